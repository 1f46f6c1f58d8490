/* schema: every option in one table: name, type, range, default and one line of help. The loader,
 * the printer and the test of the man page go by it. */
#pragma once
#include "base/buf.h"
#include "config/config.h"

enum option_type {
	OPTION_WORD,
	OPTION_WORDS, /* several: the bits of their values */
	OPTION_NUMBER,
	OPTION_MASK,
	OPTION_DURATION,
	OPTION_PATH,
	OPTION_TEXT,
	OPTION_NAME, /* what the row is called: unique in its table */
	OPTION_REF,  /* the name of a row of another table */
	OPTION_REFS, /* several */
	OPTION_INTERFACES,
	OPTION_NETWORK,
	OPTION_NETWORKS,
	OPTION_ADDRESS,
	OPTION_MAC,
	OPTION_USER,
	OPTION_ENDPOINT,
	OPTION_ENDPOINTS, /* a text, or a list: one for each IP version */
	OPTION_PORT,
	OPTION_PORTS,
	OPTION_DAYS,
	OPTION_HOURS,    /* ranges of a day */
	OPTION_DATES,    /* dates, ranges of dates, times */
	OPTION_EXCEPT,   /* such, or names of rows */
	OPTION_CALENDAR, /* a file with such */
	OPTION_ZONE,
	OPTION_DATE,
	OPTION_QUOTA,
	OPTION_WEEKTIME,
	OPTION_DESTINATION,
	OPTION_LISTS, /* files of a site */
	OPTION_HOSTS, /* entries of a site, written in place */
	OPTION_FILES, /* further policy files */
	OPTION_GROUP, /* { } */
	OPTION_TABLE, /* ( { }, { } ) */
};

/* What a name may refer to. */
enum ref_kind { REF_TIER, REF_SITE, REF_SCHEDULE, REF_COUNT };

struct word {
	const char *text; /* NULL ends a list of words */
	int value;
};

struct table;

struct option {
	const char *name;
	enum option_type type;
	size_t offset, size;  /* of the member of the struct that the table fills */
	size_t second;        /* offset of its count, or of its other half */
	const char *fallback; /* the default as one would write it; NULL: none */
	long long min, max;   /* numbers; ns of durations; max alone: bytes of text, items */
	const struct word *words;
	enum ref_kind ref; /* of what this is the name */
	bool star;         /* "*" stands for all */
	bool required;
	bool at_start;  /* a running process can't change it: a reload that would is refused */
	bool in_digest; /* a scalar that makes a policy the policy that it is (policy/digest.c) */
	const struct table *table;
	const char *help;
};

struct table {
	const char *row; /* "a tier": what one is called in messages */
	const struct option *options;
	size_t count;
	size_t size; /* of a row; rows begin with a struct place */
};

extern const struct table schema_main;

const struct option *table_find(const struct table *t, const char *name);

/* An option as it would be printed: "mode = \"enforce\";", "" where it is not set. The caller's. */
char *option_text(const struct option *o, const void *row);
/* Whether two rows say the same, as they would be printed. */
bool option_same(const struct option *o, const void *a, const void *b);
/* Names each option of a table, and of its groups, that differs and can't be changed at run time.
 */
void table_fixed(const struct table *t, const void *a, const void *b,
		 void (*say)(void *ctx, const char *name), void *ctx);

/* Reads one file, which is not of the daemon's own configuration, into a row of a table: forms,
 * ranges and unknown keys are checked as they are there. The row begins zeroed; it is filled as far
 * as it was good, and config_free_table frees what it owns. Places of its rows name no file. False
 * where anything is wrong; every error is then in `errors`. */
bool config_load_table(const char *path, const struct table *t, void *row, struct errors *errors);
void config_free_table(const struct table *t, void *row);

/* Appends what the option accepts, in words: "a number from 1 to 64". */
void option_accepts(const struct option *o, struct buf *b);

/* The member of a row that an option fills. */
static inline void *option_member(const struct option *o, const void *row)
{
	return (char *)row + o->offset;
}
static inline void *option_second(const struct option *o, const void *row)
{
	return (char *)row + o->second;
}
static inline int option_word(const struct option *o, const void *row)
{
	const void *member = option_member(o, row);
	return o->size == 1 ? *(const uint8_t *)member : *(const int *)member;
}

/* Whether policy files may hold the option, too. */
static inline bool option_is_policy(const struct option *o)
{
	return o->type == OPTION_TABLE || o->type == OPTION_FILES;
}
