/* top: what a gateway does now, of its status and of the decisions that it tells: a model that
 * knows no terminal and no socket. Constant memory: each table holds the TOP_ROWS that weigh most
 * (Metwally, Agrawal and El Abbadi, 2005: Space-Saving), and weights fade, so that what is over
 * leaves. Times are in nanoseconds of the wall clock; it may step back. */
#pragma once
#include "base/decision.h"
#include <jansson.h>

#define TOP_ROWS   256
#define TOP_RECENT 4096 /* decisions kept, for a filter that is set and for a pause that ends */
#define TOP_KEY    256
#define TOP_FILTER 64

enum top_by { TOP_USERS, TOP_SITES, TOP_DENIALS, TOP_REASONS, TOP_TABLES };
enum top_sort { TOP_NOW, TOP_DENIED, TOP_ALLOWED, TOP_BYTES, TOP_NAME, TOP_SORTS };

struct top_row {
	char key[TOP_KEY], more[TIER_MAX]; /* a user's tier, a denial's reason; else "" */
	double weight;                     /* flows of late, an upper bound (top.c) */
	uint64_t allowed, denied, bytes;   /* since it is in the table; denied: or would be */
};

struct top;

/* NULL where memory ran out. */
struct top *top_new(int64_t now);
void top_free(struct top *t);

/* The daemon's status; rates are of what came since the one before. */
void top_status(struct top *t, const json_t *status, int64_t now);
/* The daemon can't be asked: why, in words. Rates begin anew with the next status. */
void top_gone(struct top *t, const char *why);
void top_record(struct top *t, const struct decision *d);
/* So many records did not reach us. */
void top_lost(struct top *t, uint64_t count);

/* Only decisions with the text (no matter in which case) in user, client, tier, site or host are
 * counted: of those kept, and from now on. "": all since the beginning. */
void top_filter(struct top *t, const char *text);
/* Nothing that is shown changes until the pause is over; then it catches up. */
void top_pause(struct top *t, bool pause);

/* The rows of a table, in order; at most `max`. Views, valid until the model changes. */
size_t top_rows(struct top *t, enum top_by by, enum top_sort sort, const struct top_row **out,
		size_t max);

/* ---- the screen, as lines of text (top_render.c) ---- */

#define TOP_WIDTH 512 /* bytes of a line, its NUL included */
#define TOP_LINES 200

struct top_view {
	unsigned width, height; /* characters, lines */
	enum top_sort sort;
	const char *trouble; /* what is not ok with the daemon, "": nothing */
};

enum top_look { TOP_PLAIN, TOP_GOOD, TOP_BAD, TOP_TITLE };

struct top_screen {
	size_t count;
	struct {
		enum top_look look;
		char text[TOP_WIDTH]; /* UTF-8 without anything that a terminal obeys */
	} line[TOP_LINES];
};

/* No more than height lines of no more than width characters. */
void top_render(struct top *t, const struct top_view *v, struct top_screen *out);
