/* files: configuration files for a test, in a folder of their own. */
#pragma once
#include "config/config.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char files_folder[64];

static inline int files_setup(void **state)
{
	snprintf(files_folder, sizeof files_folder, "/tmp/tiergate-config-XXXXXX");
	return mkdtemp(files_folder) ? 0 : -1;
}

static inline int files_remove_one(const char *path, const struct stat *st, int type,
				   struct FTW *at)
{
	return remove(path);
}

static inline int files_teardown(void **state)
{
	return nftw(files_folder, files_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file of the folder; one result lives until the next call. */
static inline const char *files_path(const char *name)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", files_folder, name);
	return path;
}

static inline void files_write_n(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(files_path(name), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

static inline void files_write(const char *name, const char *text)
{
	files_write_n(name, text, strlen(text));
}

static inline struct config *files_load_for(const char *name, enum config_use use)
{
	struct errors errors = {0};
	struct config *c = config_load(files_path(name), use, &errors);
	errors_print(&errors, stderr);
	assert_true(!c == (errors.count > 0));
	errors_deinit(&errors);
	return c;
}

static inline struct config *files_load(const char *name)
{
	return files_load_for(name, CONFIG_FOR_CHECK);
}

/* All errors of a load that must fail, a line each; the caller frees. */
static inline char *files_errors(const char *name, enum config_use use)
{
	char *text;
	size_t len;
	struct errors errors = {0};
	FILE *f = open_memstream(&text, &len);
	assert_null(config_load(files_path(name), use, &errors));
	errors_print(&errors, f);
	fclose(f);
	errors_deinit(&errors);
	return text;
}

static inline char *files_print(const struct config *c)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	config_print(c, f);
	fclose(f);
	return text;
}
