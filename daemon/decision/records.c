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

#define ROOM   (256 * 1024) /* bytes read at once; a line that is longer is damaged */
#define PACKED (64 * 1024)  /* bytes of a compressed file that are read at once */

struct file {
	char *path;
	int64_t first; /* time of its first record; INT64_MAX: it has none */
	size_t given;  /* as which of the files it was given */
};

/* The open file. zlib's own gzread hands out nothing of what it unpacked just before a fault. */
struct source {
	int fd; /* -1: none is open */
	enum { AS_IT_IS, GZIP } form;
	bool within; /* a member of a gzip file, whose end is to come */
	bool faulty; /* it is cut, damaged, or can't be read on */
	z_stream z;  /* next_in, avail_in: what is read of it and not used */
	uint8_t packed[PACKED];
};

struct records {
	struct file *files;
	size_t count, at; /* at: the one after the open one */
	struct source in;
	uint64_t line; /* of the open one */
	size_t start, end;
	bool over;  /* the open one has no more bytes */
	bool skips; /* the rest of a line that is too long */
	struct records_count counted;
	char room[ROOM];
};

/* ---- the bytes of one file ---- */

static size_t read_some(struct source *s, void *to, size_t room)
{
	ssize_t n;
	do
		n = read(s->fd, to, room);
	while (n < 0 && errno == EINTR);
	s->faulty |= n < 0;
	return n > 0 ? (size_t)n : 0;
}

/* Whether its name says that it is compressed, by whatever program. */
static bool is_packed_by_name(const char *path)
{
	static const char *const ends[] = {".gz", ".xz", ".zst", ".bz2"};
	const char *dot = strrchr(path, '.');
	for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
		if (strcmp(dot, ends[i]) == 0)
			return true;
	return false;
}

/* What has the name of a compressed file and is none, nor records, is damaged from its start: as
 * one that a full disk left empty, or one of another program's. */
static void find_form(struct source *s, const char *path)
{
	size_t n = 0, more;
	while (n < 2 && (more = read_some(s, s->packed + n, PACKED - n)) > 0)
		n += more;
	s->z = (z_stream){.next_in = s->packed, .avail_in = (uInt)n};
	s->within = false;
	s->form = n >= 2 && s->packed[0] == 0x1f && s->packed[1] == 0x8b ? GZIP : AS_IT_IS;
	if (s->form == GZIP)
		s->faulty |= inflateInit2(&s->z, 15 + 16) != Z_OK; /* 16: of gzip */
	else if (is_packed_by_name(path) && (n == 0 || s->packed[0] != '{'))
		s->faulty = true;
}

/* One member may follow another, and zeros the last. */
static bool at_end(struct source *s)
{
	for (;;) {
		while (!s->within && s->z.avail_in && *s->z.next_in == 0) {
			s->z.next_in++;
			s->z.avail_in--;
		}
		if (s->z.avail_in)
			break;
		s->z.next_in = s->packed;
		s->z.avail_in = (uInt)read_some(s, s->packed, PACKED);
		if (!s->z.avail_in) {
			s->faulty |= s->within;
			return true;
		}
	}
	if (!s->within)
		s->faulty |= inflateReset(&s->z) != Z_OK;
	s->within = true;
	return s->faulty;
}

static size_t unpack(struct source *s, char *to, size_t room)
{
	s->z.next_out = (uint8_t *)to;
	s->z.avail_out = (uInt)room;
	while (s->z.avail_out && !at_end(s)) {
		int e = inflate(&s->z, Z_NO_FLUSH);
		s->within = e != Z_STREAM_END;
		if (e != Z_OK && e != Z_STREAM_END && e != Z_BUF_ERROR) {
			s->faulty = true;
			break;
		}
	}
	return room - s->z.avail_out;
}

/* 0 at the end, and where it is faulty from there on. */
static size_t read_on(struct source *s, char *to, size_t room)
{
	size_t n = s->z.avail_in < room ? s->z.avail_in : room;
	if (s->faulty)
		return 0;
	if (s->form == GZIP)
		return unpack(s, to, room);
	if (n == 0)
		return read_some(s, to, room);
	memcpy(to, s->z.next_in, n);
	s->z.next_in += n;
	s->z.avail_in -= (uInt)n;
	return n;
}

/* ---- one file ---- */

static int open_one(struct records *r, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = fd < 0 || fstat(fd, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;
	if (error && fd >= 0)
		close(fd);
	if (error)
		return error;
	r->in.fd = fd;
	r->in.faulty = false;
	find_form(&r->in, path);
	r->line = r->start = r->end = 0;
	r->over = r->skips = false;
	return 0;
}

static void close_one(struct records *r)
{
	if (r->in.fd < 0)
		return;
	if (r->in.form == GZIP)
		inflateEnd(&r->in.z);
	close(r->in.fd);
	r->in.fd = -1;
}

/* Counts something; the first of its kind is named with the line it is at, or behind. */
static void note(struct records *r, uint64_t *count, char first[static RECORDS_PLACE])
{
	const char *path = r->files[r->at - 1].path, *slash = strrchr(path, '/');
	if (!first[0])
		snprintf(first, RECORDS_PLACE, "%.*s:%llu", RULE_MAX - 1, slash ? slash + 1 : path,
			 (unsigned long long)r->line);
	++*count;
}

static void note_line(struct records *r, uint64_t *count)
{
	note(r, count, r->counted.first);
}

/* Reads on behind what is not used up; false at the end. What is read before a fault counts. */
static bool fill(struct records *r)
{
	memmove(r->room, r->room + r->start, r->end - r->start);
	r->end -= r->start;
	r->start = 0;
	size_t n = r->over ? 0 : read_on(&r->in, r->room + r->end, ROOM - r->end);
	if (n == 0 && !r->over && r->in.faulty)
		note(r, &r->counted.cut, r->counted.cut_after);
	r->over |= n == 0;
	r->end += n;
	return n > 0;
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
			note_line(r, &r->counted.damaged);
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
		note_line(r, &r->counted.torn);
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
			note_line(r, &r->counted.torn);
		else
			note_line(r,
				  is == RECORD_STRANGE ? &r->counted.strange : &r->counted.damaged);
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

static struct records *new (void)
{
	struct records *r = must(calloc(1, sizeof *r));
	r->in.fd = -1;
	return r;
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
	struct records *r = new ();
	for (size_t i = 0; i < count; i++)
		add(r, paths[i]);
	return open_all(r, errors);
}

struct records *records_open_log(const char *file, struct errors *errors)
{
	struct records *r = new ();
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
		if (r->in.fd >= 0 && next_of_one(r, out)) {
			r->counted.good++;
			if (decision_is_probe(out))
				continue;
			return true;
		}
		close_one(r);
		if (r->at == r->count)
			return false;
		r->at++;
		r->counted.gone += open_one(r, r->files[r->at - 1].path) != 0; /* since a moment */
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
