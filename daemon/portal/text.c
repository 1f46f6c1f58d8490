#include "portal/text.h"

#include "base/file.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const keys[] = {
#define X(id, key, english) key,
	TEXT_LIST(X)
#undef X
};
static const char *const english[] = {
#define X(id, key, english) english,
	TEXT_LIST(X)
#undef X
};

const char *text_key(enum text t)
{
	return keys[t];
}

const char *text_english(enum text t)
{
	return english[t];
}

/* ---- one file ---- */

/* UTF-8 without control characters (C0, C1, DEL). */
static bool good_text(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t left = strlen(text);
	while (left) {
		size_t n = utf8_len(p, left);
		if (n == 0 || p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0))
			return false;
		p += n;
		left -= n;
	}
	return true;
}

static char *trim(char *text)
{
	text += strspn(text, " \t");
	size_t len = strlen(text);
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t' || text[len - 1] == '\r'))
		text[--len] = '\0';
	return text;
}

static size_t holes(const char *text)
{
	size_t n = 0;
	while ((text = strstr(text, "{}"))) {
		text += 2;
		n++;
	}
	return n;
}

static void take_line(struct language *l, char *line, const char *file, int number,
		      struct errors *errors)
{
	char *equals = strchr(line, '='), *key, *value;
	size_t i = 0;
	line = trim(line);
	if (!*line || *line == '#')
		return;
	if (!equals) {
		errors_add(errors, file, number, "this is no text; key = text would be accepted");
		return;
	}
	*equals = '\0';
	key = trim(line);
	value = trim(equals + 1);
	while (i < TEXT_COUNT && strcmp(keys[i], key) != 0)
		i++;
	if (i == TEXT_COUNT)
		errors_add(errors, file, number, "no page has a text of that name");
	else if (!*value || strlen(value) > TEXT_MAX || !good_text(value))
		errors_add(errors, file, number,
			   "%s is no such text; 1 to %d bytes of UTF-8 would be accepted", keys[i],
			   TEXT_MAX);
	else if (holes(value) != holes(english[i]))
		errors_add(errors, file, number, "%s needs %zu of {}, as in \"%s\"", keys[i],
			   holes(english[i]), english[i]);
	else
		l->text[i] = value;
}

bool language_parse(struct language *l, char *bytes, size_t len, const char *file,
		    struct errors *errors)
{
	size_t before = errors->count;
	int number = 1;
	l->bytes = bytes;
	for (size_t i = 0; i < TEXT_COUNT; i++)
		l->text[i] = english[i];
	if (memchr(bytes, '\0', len)) {
		errors_add(errors, file, 0, "the file holds a NUL byte");
		return false;
	}
	for (char *line = bytes, *next; line; line = next, number++) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		take_line(l, line, file, number, errors);
	}
	return errors->count == before;
}

/* ---- all of them ---- */

static bool language_name(const char *file, char out[static LANGUAGE_BYTES])
{
	size_t len = strspn(file, "abcdefghijklmnopqrstuvwxyz-");
	if (len == 0 || len >= LANGUAGE_BYTES || strcmp(file + len, ".text") != 0)
		return false;
	memcpy(out, file, len);
	out[len] = '\0';
	return true;
}

static void load_one(struct texts *t, const char *folder, const char *name, struct errors *errors)
{
	char *path, *bytes;
	size_t len;
	struct language *l = (struct language *)texts_named(t, name);
	if (!l && t->count == LANGUAGES_MAX)
		return;
	if (asprintf(&path, "%s/%s.text", folder, name) < 0)
		abort();
	int e = file_read_text(path, TEXT_FILE_MAX, &bytes, &len);
	if (e < 0) {
		errors_add(errors, path, 0, "the texts cannot be read: %s", file_error(-e));
	} else {
		l = l ? l : &t->language[t->count++];
		strcpy(l->name, name);
		free(l->bytes); /* of the built-in English */
		language_parse(l, bytes, len, path, errors);
	}
	free(path);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct language *)a)->name, ((const struct language *)b)->name);
}

static void load_all(struct texts *t, const char *folder, struct errors *errors)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char name[LANGUAGE_BYTES];
	if (!dir && errno != ENOENT)
		errors_add(errors, folder, 0, "the folder of the texts cannot be read: %s",
			   strerror(errno));
	while (dir && (entry = readdir(dir)))
		if (language_name(entry->d_name, name))
			load_one(t, folder, name, errors);
	if (dir)
		closedir(dir);
	qsort(t->language, t->count, sizeof *t->language, by_name);
}

struct texts *texts_load(const char *folder, const char *fallback, struct errors *errors)
{
	size_t before = errors->count;
	struct texts *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	language_parse(&t->language[0], strdup(""), 0, "", errors);
	strcpy(t->language[0].name, "en");
	t->count = 1;
	load_all(t, folder, errors);
	const struct language *l = texts_named(t, fallback);
	if (l)
		t->fallback = (size_t)(l - t->language);
	else
		errors_add(errors, folder, 0, "there is no %s.text, and language = \"%s\"",
			   fallback, fallback);
	if (errors->count == before)
		return t;
	texts_free(t);
	return NULL;
}

void texts_free(struct texts *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++)
		free(t->language[i].bytes);
	free(t);
}

const struct language *texts_named(const struct texts *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->language[i].name, name) == 0)
			return &t->language[i];
	return NULL;
}

/* ---- what a browser asks for ---- */

/* A tag is a language's by its name, or by its first part: "bg-BG" is "bg". */
static const struct language *match(const struct texts *t, const char *tag, size_t len)
{
	char name[LANGUAGE_BYTES];
	for (; len; len--) {
		if (len < sizeof name &&
		    (len == strlen(tag) || !strchr("abcdefghijklmnopqrstuvwxyz"
						   "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
						   tag[len]))) {
			for (size_t i = 0; i < len; i++)
				name[i] = (char)(tag[i] >= 'A' && tag[i] <= 'Z' ? tag[i] | 32
										: tag[i]);
			name[len] = '\0';
			const struct language *l = texts_named(t, name);
			if (l)
				return l;
		}
	}
	return NULL;
}

/* Thousandths of "q=0.8"; 1000 where there is none. */
static int weight(const char *text, size_t len)
{
	const char *q = memmem(text, len, "q=", 2);
	int value = 0, scale = 1000;
	if (!q)
		return 1000;
	for (q += 2; q < text + len && scale; q++) {
		if (*q == '.')
			continue;
		if (*q < '0' || *q > '9')
			break;
		value += (*q - '0') * scale;
		scale /= 10;
	}
	return value;
}

const struct language *texts_choose(const struct texts *t, const char *header)
{
	const struct language *best = &t->language[t->fallback];
	int best_weight = 0;
	while (header && *header) {
		header += strspn(header, " \t,");
		size_t len = strcspn(header, ","), tag = strcspn(header, ",; \t");
		const struct language *l = match(t, header, tag);
		int w = weight(header + tag, len - tag);
		if (l && w > best_weight) {
			best = l;
			best_weight = w;
		}
		header += len;
	}
	return best;
}
