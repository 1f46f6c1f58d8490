#include "decision/records.h"

#include "base/array.h"
#include "base/file.h"
#include "base/probe.h"
#include "decision/read.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define ROOM (256 * 1024) /* bytes read at once; a line that is longer is damaged */

struct file {
	char *path;
	int64_t first; /* time of its first record; INT64_MAX: it has none */
	size_t given;  /* as which of the files it was given */
};

struct records {
	struct file *files;
	size_t count, at; /* at: the one after the open one */
	gzFile in;        /* NULL: none is open */
	uint64_t line;    /* of the open one */
	size_t start, end;
	bool over;  /* the open one has no more bytes */
	bool skips; /* the rest of a line that is too long */
	struct records_count counted;
	char room[ROOM];
};

/* ---- one file ---- */

static int open_one(struct records *r, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = fd < 0 || fstat(fd, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;
	r->in = error ? NULL : gzdopen(fd, "rb");
	if (!r->in) {
		if (fd >= 0)
			close(fd);
		return error ? error : ENOMEM;
	}
	gzbuffer(r->in, 64 * 1024);
	r->line = r->start = r->end = 0;
	r->over = r->skips = false;
	return 0;
}

static void close_one(struct records *r)
{
	if (r->in)
		gzclose_r(r->in);
	r->in = NULL;
}

static void note(struct records *r, uint64_t *count)
{
	struct records_count *c = &r->counted;
	const char *path = r->files[r->at - 1].path, *slash = strrchr(path, '/');
	if (!c->first[0])
		snprintf(c->first, sizeof c->first, "%.*s:%llu", RULE_MAX - 1,
			 slash ? slash + 1 : path, (unsigned long long)r->line);
	++*count;
}

/* Reads on behind what is not used up; false at the end. */
static bool fill(struct records *r)
{
	memmove(r->room, r->room + r->start, r->end - r->start);
	r->end -= r->start;
	r->start = 0;
	int n = r->over ? 0 : gzread(r->in, r->room + r->end, (unsigned)(ROOM - r->end)), error;
	if (n <= 0) {
		gzerror(r->in, &error);
		if (!r->over && error != Z_OK && error != Z_STREAM_END)
			note(r, &r->counted.cut);
		r->over = true;
		return false;
	}
	r->end += (size_t)n;
	return true;
}

/* The next line, with its newline; the last may have none. A line too long to hold is counted. */
static bool next_line(struct records *r, const char **line, size_t *len)
{
	for (size_t looked = 0;;) {
		char *from = r->room + r->start;
		char *stop = memchr(from + looked, '\n', r->end - r->start - looked);
		if (stop) {
			bool whole = !r->skips;
			r->skips = false;
			r->line++;
			*line = from;
			*len = (size_t)(stop + 1 - from);
			r->start += *len;
			if (whole)
				return true;
			looked = 0;
			note(r, &r->counted.damaged);
			continue;
		}
		looked = r->end - r->start;
		if (looked == ROOM) {
			r->skips = true;
			r->start = r->end;
			looked = 0;
		}
		if (!fill(r))
			break;
	}
	r->line += r->end > r->start || r->skips;
	if (r->skips)
		note(r, &r->counted.torn);
	*line = r->room + r->start;
	*len = r->skips ? 0 : r->end - r->start;
	r->start = r->end;
	r->skips = false;
	return *len > 0;
}

static bool next_of_one(struct records *r, struct decision *out)
{
	const char *line;
	size_t len;
	while (next_line(r, &line, &len)) {
		enum record_is is = record_read(line, len, out);
		if (is == RECORD_GOOD)
			return true;
		if (line[len - 1] != '\n')
			note(r, &r->counted.torn);
		else
			note(r, is == RECORD_STRANGE ? &r->counted.strange : &r->counted.damaged);
	}
	return false;
}

/* ---- files in order ---- */

static int by_first(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->given < y->given ? -1 : 1;
}

/* Opens each once to see that it can be read, and when it begins; a pipe would lose that. */
static bool look(struct records *r, struct file *f, struct errors *errors)
{
	struct decision d;
	struct stat st;
	f->first = INT64_MAX;
	if (stat(f->path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) &&
	    r->count == 1)
		return true;
	int error = open_one(r, f->path);
	if (error) {
		errors_add(errors, f->path, 0, "records can't be read: %s; %s", file_error(error),
			   error == EISDIR   ? "name the files in it"
			   : error == EACCES ? "run it as root, or as a member of its group"
					     : "name others, or look at log_file");
		return false;
	}
	r->at = (size_t)(f - r->files) + 1;
	if (next_of_one(r, &d))
		f->first = d.time;
	close_one(r);
	return true;
}

static void add(struct records *r, const char *path)
{
	size_t given = r->count;
	r->files = array_grow(r->files, &r->count, sizeof *r->files);
	r->files[given] = (struct file){.path = must(strdup(path)), .given = given};
}

static struct records *open_all(struct records *r, struct errors *errors)
{
	bool good = true;
	for (size_t i = 0; i < r->count; i++)
		good &= look(r, &r->files[i], errors);
	if (!good) {
		records_free(r);
		return NULL;
	}
	qsort(r->files, r->count, sizeof *r->files, by_first);
	r->counted = (struct records_count){0};
	r->at = 0;
	return r;
}

struct records *records_open(const char *const *paths, size_t count, struct errors *errors)
{
	struct records *r = must(calloc(1, sizeof *r));
	for (size_t i = 0; i < count; i++)
		add(r, paths[i]);
	return open_all(r, errors);
}

struct records *records_open_log(const char *file, struct errors *errors)
{
	struct records *r = must(calloc(1, sizeof *r));
	glob_t found = {0};
	char pattern[PATH_MAX];
	snprintf(pattern, sizeof pattern, "%s[.-][0-9]*", file);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			add(r, found.gl_pathv[i]);
	globfree(&found);
	if (r->count == 0 || access(file, F_OK) == 0)
		add(r, file);
	return open_all(r, errors);
}

bool records_next(struct records *r, struct decision *out)
{
	for (;;) {
		if (r->in && next_of_one(r, out)) {
			r->counted.good++;
			if (decision_is_probe(out))
				continue;
			return true;
		}
		close_one(r);
		if (r->at == r->count)
			return false;
		r->at++;
		if (open_one(r, r->files[r->at - 1].path)) /* it was there a moment ago */
			note(r, &r->counted.cut);
	}
}

const struct records_count *records_counted(const struct records *r)
{
	return &r->counted;
}

void records_free(struct records *r)
{
	if (!r)
		return;
	close_one(r);
	for (size_t i = 0; i < r->count; i++)
		free(r->files[i].path);
	free(r->files);
	free(r);
}
