#include "decision/fold.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS 512 /* windows that are open at once */

struct slot {
	int64_t end; /* 0: free */
	uint64_t repeats;
	struct decision first; /* and the time of the last */
};

struct fold {
	int64_t window;
	struct slot slots[SLOTS];
};

struct fold *fold_new(int64_t window)
{
	struct fold *f = calloc(1, sizeof *f);
	if (f)
		f->window = window;
	return f;
}

void fold_free(struct fold *f)
{
	free(f);
}

static bool same_who(const struct decision *a, const struct decision *b)
{
	return strcmp(a->user, b->user) == 0 && strcmp(a->tier, b->tier) == 0 &&
	       (a->user[0] || address_equal(&a->client, &b->client));
}

/* A record of repeats says neither rule nor site. */
static bool same_rule(const struct decision *a, const struct decision *b)
{
	return b->kind == DECISION_REPEATED ||
	       (strcmp(a->rule, b->rule) == 0 && strcmp(a->site, b->site) == 0);
}

static bool same_where(const struct decision *a, const struct decision *b)
{
	return a->server_port == b->server_port && a->transport == b->transport &&
	       a->host.len == b->host.len && memcmp(a->host.text, b->host.text, a->host.len) == 0 &&
	       (a->host.len || address_equal(&a->server, &b->server));
}

static bool same(const struct decision *a, const struct decision *b)
{
	return a->reason == b->reason && same_where(a, b) && same_who(a, b) && same_rule(a, b) &&
	       strcmp(a->policy, b->policy) == 0;
}

bool fold_takes(struct fold *f, const struct decision *d, int64_t now)
{
	struct slot *room = NULL;
	if (d->action != ACTION_DENY ||
	    (d->kind != DECISION_DECIDED && d->kind != DECISION_REPEATED))
		return false;
	for (struct slot *s = f->slots; s < f->slots + SLOTS; s++) {
		if (!s->end) {
			room = s;
		} else if (now < s->end && same(&s->first, d)) {
			s->repeats += d->kind == DECISION_REPEATED ? d->count : 1;
			s->first.time = d->time;
			return true;
		}
	}
	if (room && d->kind == DECISION_DECIDED)
		*room = (struct slot){.end = now + f->window, .first = *d};
	return false;
}

bool fold_due(struct fold *f, int64_t now, struct decision *out)
{
	for (struct slot *s = f->slots; s < f->slots + SLOTS; s++) {
		if (!s->end || now < s->end)
			continue;
		s->end = 0;
		if (!s->repeats)
			continue;
		*out = s->first;
		out->kind = DECISION_REPEATED;
		out->count = s->repeats;
		return true;
	}
	return false;
}
