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
