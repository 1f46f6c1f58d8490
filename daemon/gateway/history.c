/* Every policy that was in force, in STATE_DIR/history: N.conf, a configuration that loads as it
 * is, behind lines that say when it was loaded, its digest and by whom. */
#include "gateway/inner.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memstream.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT     100 /* policies; the oldest go */
#define HEAD     4   /* lines before the configuration */
#define TEXT_MAX (64U << 20)

static void path_of(const char *state_dir, unsigned long n, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/history/%06lu.conf", state_dir, n);
}

/* The greatest number in the folder, and the smallest; 0 where there is none. */
static void numbers(const char *folder, unsigned long *first, unsigned long *last)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	*first = *last = 0;
	while (d && (e = readdir(d))) {
		char *end;
		unsigned long n = strtoul(e->d_name, &end, 10);
		if (end == e->d_name || strcmp(end, ".conf") != 0 || !n)
			continue;
		*last = n > *last ? n : *last;
		*first = !*first || n < *first ? n : *first;
	}
	if (d)
		closedir(d);
}

static const char *body_of(const char *text)
{
	for (int i = 0; text && i < HEAD; i++)
		if ((text = strchr(text, '\n')))
			text++;
	return text;
}

static bool is_last(const struct config *c, unsigned long last, const char *body)
{
	char path[PATH_MAX], *text = NULL;
	size_t len;
	path_of(c->state_dir, last, path);
	bool same = file_read(path, TEXT_MAX, &text, &len) == 0 && body_of(text) &&
		    strcmp(body_of(text), body) == 0;
	free(text);
	return same;
}

static int write_one(const struct config *c, unsigned long n, const char *digest, const char *by,
		     const char *body)
{
	struct file_new f;
	char path[PATH_MAX], when[40];
	struct buf b = BUF_OF(when);
	clock_format(&b, clock_wall());
	path_of(c->state_dir, n, path);
	int e = file_new_open_nofollow(&f, path, 0600, (gid_t)-1);
	if (e < 0)
		return e;
	fprintf(f.to, "# history %lu\n# loaded %s\n# policy %s\n# by %s\n%s", n, when, digest, by,
		body);
	return file_new_commit(&f);
}

/* The configuration in one file; the caller frees it. NULL where memory ran out. */
static char *text_of(const struct config *c)
{
	char *body = NULL;
	size_t len = 0;
	FILE *to = memstream_open(&body, &len);
	if (!to)
		return NULL;
	config_print(c, to);
	if (fclose(to) == 0 && len < TEXT_MAX)
		return body;
	free(body);
	return NULL;
}

static void keep(const struct config *c, const char *digest, const char *by, const char *body)
{
	char folder[PATH_MAX], path[PATH_MAX];
	unsigned long first, last;
	snprintf(folder, sizeof folder, "%s/history", c->state_dir);
	int e = mkdir(folder, 0700) < 0 && errno != EEXIST ? -errno : 0;
	numbers(folder, &first, &last);
	if (!e && !is_last(c, last, body))
		e = write_one(c, last + 1, digest, by, body);
	for (; !e && first && first + KEPT <= last + 1; first++) {
		path_of(c->state_dir, first, path);
		remove(path);
	}
	if (e)
		log_warn("%s: the policy can't be kept: %s", folder, strerror(-e));
}

void history_changed(const struct config *before, const char *digest_before,
		     const struct config *now, const char *digest, const char *by)
{
	char *old = text_of(before), *body = text_of(now);
	if (old && body && strcmp(old, body) != 0) {
		keep(before, digest_before, "the start", old);
		keep(now, digest, by, body);
	}
	free(old);
	free(body);
}

void history_begin(const struct config *c, const char *digest)
{
	char *body = text_of(c);
	if (body)
		keep(c, digest, "the start", body);
	free(body);
}

void history_go_on(const struct config *c, const char *digest)
{
	char folder[PATH_MAX];
	struct stat st;
	snprintf(folder, sizeof folder, "%s/history", c->state_dir);
	if (stat(folder, &st) == 0 && S_ISDIR(st.st_mode))
		history_begin(c, digest);
}

unsigned long history_last_good(const char *state_dir, struct policy *out)
{
	char path[PATH_MAX];
	unsigned long first, n;
	snprintf(path, sizeof path, "%s/history", state_dir);
	for (numbers(path, &first, &n); n && n >= first; n--) {
		struct errors errors = {0};
		path_of(state_dir, n, path);
		if (access(path, F_OK) < 0)
			continue; /* a gap */
		bool good = policy_load(path, CONFIG_FOR_START, out, &errors);
		for (size_t i = 0; i < errors.count; i++)
			log_warn("%s/history: %s", state_dir, errors.lines[i]);
		errors_deinit(&errors);
		if (good)
			return n;
		policy_free(out);
	}
	return 0;
}
