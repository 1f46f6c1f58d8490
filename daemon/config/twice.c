/* Which key a group has twice: libconfig only says that there is one. */
#include "config/load.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct key {
	const char *name;
	size_t len;
	int line;
	unsigned depth; /* groups around it */
};

struct search {
	const char *pos;
	int line;
	unsigned depth;
	struct key *keys; /* of the groups that are open */
	size_t count;
};

static void pass(struct search *s, size_t bytes)
{
	for (; bytes && *s->pos; bytes--, s->pos++)
		s->line += *s->pos == '\n';
}

static void pass_string(struct search *s)
{
	size_t n = 1;
	while (s->pos[n] && s->pos[n] != '"')
		n += s->pos[n] == '\\' && s->pos[n + 1] ? 2 : 1;
	pass(s, n + 1);
}

/* Blanks and comments; false where there are none. */
static bool pass_nothing(struct search *s)
{
	size_t n = strspn(s->pos, " \t\r\n\f\v");
	if (*s->pos == '#' || strncmp(s->pos, "//", 2) == 0) {
		n = strcspn(s->pos, "\n");
	} else if (strncmp(s->pos, "/*", 2) == 0) {
		const char *end = strstr(s->pos + 2, "*/");
		n = end ? (size_t)(end + 2 - s->pos) : strlen(s->pos);
	}
	pass(s, n);
	return n;
}

static size_t word_len(const char *p)
{
	size_t n = 0;
	while (isalnum((unsigned char)p[n]) || (p[n] && strchr("+-._*", p[n])))
		n++;
	return n;
}

static const struct key *before(const struct search *s, const struct key *k)
{
	for (size_t i = s->count; i-- > 0 && s->keys[i].depth == k->depth;)
		if (s->keys[i].len == k->len && memcmp(s->keys[i].name, k->name, k->len) == 0)
			return &s->keys[i];
	return NULL;
}

static void close_group(struct search *s)
{
	while (s->count && s->keys[s->count - 1].depth == s->depth)
		s->count--;
	s->depth -= s->depth > 0;
}

/* The next token, and what follows it as far as that tells whether it is a key. */
static bool take_key(struct search *s, struct key *out)
{
	*out = (struct key){s->pos, word_len(s->pos), s->line, s->depth};
	if (*s->pos == '"') {
		pass_string(s);
	} else if (!out->len) {
		s->depth += *s->pos == '{';
		if (*s->pos == '}')
			close_group(s);
		pass(s, 1);
	} else {
		pass(s, out->len);
		while (pass_nothing(s))
			continue;
		return *s->pos == '=' || *s->pos == ':';
	}
	return false;
}

bool complain_twice(struct loader *l, const char *text)
{
	struct search s = {.pos = text, .line = 1};
	const struct key *first = NULL;
	struct key k;
	while (*s.pos) {
		if (pass_nothing(&s) || !take_key(&s, &k))
			continue;
		if ((first = before(&s, &k)))
			break;
		s.keys = array_grow(s.keys, &s.count, sizeof *s.keys);
		s.keys[s.count - 1] = k;
	}
	if (first)
		complain(l, l->file, k.line, "%.*s is given on line %d already; join the two",
			 (int)(k.len < 40 ? k.len : 40), k.name, first->line);
	free(s.keys);
	return first;
}
