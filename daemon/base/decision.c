#include "base/decision.h"

#include "base/utf8.h"

#include <string.h>

/* C0 and C1, DEL; line and paragraph separators, and what changes the direction of text (Unicode
 * 2028 to 202E, 2066 to 2069, 200E, 200F). */
static bool is_control(const unsigned char *p, size_t len)
{
	if (len == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	if (len == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (len != 3 || p[0] != 0xe2)
		return false;
	return (p[1] == 0x80 && ((p[2] >= 0xa8 && p[2] <= 0xae) || p[2] == 0x8e || p[2] == 0x8f)) ||
	       (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

bool user_name_valid(const char *name)
{
	const unsigned char *p = (const unsigned char *)name;
	size_t left = strlen(name);
	if (left == 0 || left >= USER_MAX || name[0] == '-' || name[0] == ' ' ||
	    name[left - 1] == ' ')
		return false;
	while (left) {
		size_t n = utf8_len(p, left);
		if (n == 0 || is_control(p, n))
			return false;
		p += n;
		left -= n;
	}
	return true;
}

/* A character of one or two bytes, of longer ones a byte. */
static unsigned next_char(const unsigned char **p)
{
	unsigned c = *(*p)++;
	if ((c & 0xe0) == 0xc0 && (**p & 0xc0) == 0x80)
		c = (c & 0x1f) << 6 | (*(*p)++ & 0x3f);
	return c;
}

static unsigned small(unsigned c)
{
	static const struct {
		unsigned first, last, to;
	} capitals[] = {{'A', 'Z', 'a'},       {0xc0, 0xd6, 0xe0},    {0xd8, 0xde, 0xf8},
			{0x391, 0x3a9, 0x3b1}, {0x400, 0x40f, 0x450}, {0x410, 0x42f, 0x430}};
	for (size_t i = 0; i < sizeof capitals / sizeof *capitals; i++)
		if (capitals[i].first <= c && c <= capitals[i].last)
			return c - capitals[i].first + capitals[i].to;
	return c;
}

bool user_name_same(const char *a, const char *b)
{
	const unsigned char *p = (const unsigned char *)a, *q = (const unsigned char *)b;
	while (*p && *q)
		if (small(next_char(&p)) != small(next_char(&q)))
			return false;
	return *p == *q;
}

void user_name_fold(const char *name, char *out)
{
	const unsigned char *p = (const unsigned char *)name;
	size_t n = 0;
	memset(out, 0, USER_MAX);
	while (*p) {
		const unsigned char *first = p;
		unsigned c = next_char(&p);
		bool two = p - first == 2;
		if (n + (two ? 2 : 1) >= USER_MAX)
			return;
		c = two || c < 0x80 ? small(c) : c;
		if (two)
			out[n++] = (char)(0xc0 | c >> 6);
		out[n++] = (char)(two ? 0x80 | (c & 0x3f) : c);
	}
}

const char *evidence_text(enum evidence e)
{
	static const char *const text[] = {
#define X(id, text, what) text,
		EVIDENCE_LIST(X)
#undef X
	};
	return text[e];
}

const char *evidence_help(enum evidence e)
{
	static const char *const help[] = {
#define X(id, text, what) what,
		EVIDENCE_LIST(X)
#undef X
	};
	return help[e];
}

const char *reason_text(enum reason r)
{
	static const char *const text[] = {
#define X(id, text, what) text,
		REASON_LIST(X)
#undef X
	};
	return text[r];
}

const char *reason_help(enum reason r)
{
	static const char *const help[] = {
#define X(id, text, what) what,
		REASON_LIST(X)
#undef X
	};
	return help[r];
}

const char *protocol_text(enum protocol p)
{
	static const char *const text[] = {
#define X(id, text) text,
		PROTOCOL_LIST(X)
#undef X
	};
	return text[p];
}
