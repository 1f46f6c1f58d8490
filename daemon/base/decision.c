#include "base/decision.h"

#include <stddef.h>

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
