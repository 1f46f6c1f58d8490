#include "base/file.h"
#include "base/sandbox.h"
#include "config/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES (RULE_MAX - 16) /* with ":line" it is still a rule name */

void strings_add(struct strings *s, const char *text)
{
	s->item = array_grow(s->item, &s->count, sizeof *s->item);
	s->item[s->count - 1] = must(strdup(text));
}

void names_add(struct names *n, const char *name, const char *file, int line)
{
	n->item = array_grow(n->item, &n->count, sizeof *n->item);
	n->item[n->count - 1] = (struct named){name, {file, line}};
}

/* Below the main file's folder a name is relative to it, so that records are the same wherever the
 * folder is. */
const char *named_file(struct loader *l, const char *path, int line)
{
	char name[NAME_MAX_BYTES + 1];
	const char *slash = strrchr(l->file, '/');
	size_t folder = strlen(l->c->folder);
	int n;
	while (path[0] == '.' && path[1] == '/')
		path += 2;
	if (path[0] == '/' && strncmp(path, l->c->folder, folder) == 0 && path[folder] == '/')
		n = snprintf(name, sizeof name, "%s", path + folder + 1);
	else if (path[0] == '/' || !slash)
		n = snprintf(name, sizeof name, "%s", path);
	else
		n = snprintf(name, sizeof name, "%.*s/%s", (int)(slash - l->file), l->file, path);
	if (n <= 0 || (size_t)n >= sizeof name) {
		complain(l, l->file, line,
			 "\"%.60s\" can't be a file; write a path of 1 to %d bytes", path,
			 NAME_MAX_BYTES);
		return NULL;
	}
	strings_add(&l->c->files, name);
	return l->c->files.item[l->c->files.count - 1];
}

#define CONFIG_FILE_MAX (256U << 20) /* bytes: a list of ten million names */

char *config_path(const struct loader *l, const char *name)
{
	char *path;
	const char *folder = l->c->folder, *slash = strcmp(folder, "/") == 0 ? "" : "/";
	int n = name[0] == '/' ? asprintf(&path, "%s", name)
			       : asprintf(&path, "%s%s%s", folder, slash, name);
	if (n < 0)
		abort();
	return path;
}

static const char *error_of(const char *path, int error)
{
	return error == EACCES ? sandbox_error(path, error) : file_error(error);
}

static const char *advice_of(int error)
{
	return error == EISDIR   ? "name a file in it"
	       : error == EACCES ? "run it as root, or name a file that can"
				 : "name a file that can";
}

char *config_text(struct loader *l, const char *name, int line, size_t *len)
{
	return config_text_of(l, name, line, CONFIG_FILE_MAX, len);
}

char *config_text_of(struct loader *l, const char *name, int line, size_t max, size_t *len)
{
	char *text = NULL, *path = config_path(l, name);
	int error = -file_read_text(path, max, &text, len);
	if (error && line > 0)
		complain(l, l->file, line, "%s can't be read: %s; %s", name, error_of(path, error),
			 advice_of(error));
	else if (error) /* as it was written: that is what the operator looks for */
		complain(l, l->c->path, 0, "can't be read: %s; %s", error_of(path, error),
			 advice_of(error));
	free(path);
	return text;
}
