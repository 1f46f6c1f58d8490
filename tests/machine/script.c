#include "script.h"

#include "base/clock.h"
#include "policy.h"
#include "sim.h"

#include <stdlib.h>

static const char *const names[EVENT_KINDS] = {
#define X(id, text) [EVENT_##id] = text,
	EVENT_LIST(X)
#undef X
};

enum { CLASSES = 3, CLASS = 22 };

/* How often a week. */
static const unsigned often[EVENT_KINDS] = {
	[EVENT_LOGIN] = 90,       [EVENT_LOGOUT] = 25,     [EVENT_LOGOUT_HOST] = 6,
	[EVENT_LOGOUT_TIER] = 3,  [EVENT_LOGOUT_ROOM] = 3, [EVENT_CONNECT] = 700,
	[EVENT_PROBE] = 20,       [EVENT_FLOOD] = 4,       [EVENT_LOCKDOWN] = 14,
	[EVENT_LOCKDOWN_END] = 5, [EVENT_UNBLOCK] = 4,     [EVENT_POLICY] = 6,
	[EVENT_LIST] = 7,         [EVENT_BAD_POLICY] = 4,  [EVENT_BAD_LIST] = 4,
	[EVENT_RELOAD] = 4,       [EVENT_ROTATE] = 8,      [EVENT_RESTART] = 6,
	[EVENT_KILL] = 6,         [EVENT_REBOOT] = 2,      [EVENT_SET_CLOCK] = 3,
	[EVENT_SUSPEND] = 2,
};

struct dice {
	uint64_t seed, thrown;
};

static unsigned throw(struct dice * d, unsigned sides)
{
	return (unsigned)(sim_number(d->seed, 0x5c217, d->thrown++) % sides);
}

/* Mondays; and Thursdays before a change of the clock: of the Union in spring and in autumn, of the
 * States in spring and autumn; and a turn of the year. */
int64_t script_begins(uint64_t seed)
{
	static const int64_t begins[] = {
		1795392000, /* 2026-11-23, Monday */
		1805932800, /* 2027-03-25, Thursday */
		1824681600, /* 2027-10-28, Thursday */
		1804723200, /* 2027-03-11, Thursday */
		1825286400, /* 2027-11-04, Thursday */
		1798502400, /* 2026-12-29, Tuesday */
	};
	return begins[sim_number(seed, 0xbe915, 0) % 6] * NS_PER_S;
}

/* Most of a day happens by day, and much at once. */
static int64_t make_time(struct dice *d)
{
	int64_t day = throw(d, 7), ms = throw(d, 1000);
	int64_t second = throw(d, 3) ? 6 * 3600 + throw(d, 12 * 3600) : throw(d, 86400);
	return (day * 86400 + second) * 1000 + ms;
}

static int length(struct dice *d)
{
	switch (throw(d, 4)) {
	case 0: return 1;
	case 1: return 1 + (int) throw(d, 60);
	case 2: return 60 + (int) throw(d, 3600);
	default: return 600 + (int) throw(d, 6 * 3600);
	}
}

static int lockdown_whom(struct dice *d)
{
	switch (throw(d, 3)) {
	case 0: return (int) throw(d, ROOMS);
	case 1: return 100 + (int) throw(d, TIERS);
	default: return 200 + (int) throw(d, USERS);
	}
}

static void fill(struct event *e, struct dice *d)
{
	e->a = (int) throw(d, 1000);
	e->b = (int) throw(d, HOSTS);
	e->c = (int) throw(d, 120);
	switch (e->kind) {
	case EVENT_LOGIN:
		e->a %= USERS;
		e->c = throw(d, 3) ? 600 + (int) throw(d, 8 * 3600) : 0;
		break;
	case EVENT_LOGOUT:
	case EVENT_UNBLOCK: e->a %= USERS; break;
	case EVENT_LOGOUT_TIER: e->a %= TIERS; break;
	case EVENT_LOGOUT_ROOM: e->a %= ROOMS; break;
	case EVENT_CONNECT: e->c = length(d); /* fall through */
	case EVENT_PROBE: e->a %= NAMES_ALL; break;
	case EVENT_LOCKDOWN:
		e->a = lockdown_whom(d);
		e->b = throw(d, 2) ? 0 : (int) throw(d, 1 << SITES);
		e->c = throw(d, 5) ? 60 + (int) throw(d, 4 * 3600) : 0;
		break;
	case EVENT_SUSPEND:
	case EVENT_SET_CLOCK:
		e->c = (int)(throw(d, 2) ? throw(d, 30) : throw(d, 7200));
		if (e->kind == EVENT_SET_CLOCK && throw(d, 2))
			e->c = -e->c;
		break;
	case EVENT_FLOOD: e->c = 100 + (int) throw(d, 2500); break;
	case EVENT_RESTART: e->a %= 4; break;
	case EVENT_REBOOT: e->a %= 2; break;
	default: break;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct event *one = a, *other = b;
	if (one->at != other->at)
		return one->at < other->at ? -1 : 1;
	return (int)one->kind - (int)other->kind;
}

/* A class signs in, more than the table takes. */
static size_t add_class(struct event *out, struct dice *d)
{
	const int64_t at = make_time(d);
	const unsigned first = throw(d, HOSTS), users = throw(d, USERS);
	for (unsigned i = 0; i < CLASS; i++)
		out[i] = (struct event){
			.kind = EVENT_LOGIN,
			.at = at + throw(d, 60 * 1000),
			.a = (int)((users + i) % USERS),
			.b = (int)((first + i) % HOSTS),
			.c = 900 + (int) throw(d, 3600),
		};
	return CLASS;
}

size_t script_make(uint64_t seed, struct event out[static EVENTS_MAX])
{
	struct dice d = {.seed = seed};
	size_t n = 0;
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		for (unsigned i = 0; i < often[kind]; i++) {
			out[n] = (struct event){.kind = (enum event_kind)kind, .at = make_time(&d)};
			fill(&out[n++], &d);
		}
	for (unsigned i = 0; i < CLASSES; i++)
		n += add_class(out + n, &d);
	/* Who signs in goes somewhere. */
	for (size_t i = 0, logins = n; i < logins; i++)
		for (unsigned more = 3; out[i].kind == EVENT_LOGIN && more; more--) {
			out[n] = (struct event){
				.kind = EVENT_CONNECT,
				.at = out[i].at + 1000 + throw(&d, 3600 * 1000),
			};
			fill(&out[n], &d);
			out[n++].b = out[i].b;
		}
	/* Much comes at one time: a third of what is done is done just after something else. */
	for (size_t i = 0; i < n; i++)
		if (out[i].kind != EVENT_CONNECT && throw(&d, 3) == 0)
			out[i].at = out[throw(&d, (unsigned)n)].at + throw(&d, 4000);
	qsort(out, n, sizeof *out, by_time);
	return n;
}

void event_print(const struct event *e, FILE *to)
{
	int64_t s = e->at / 1000;
	fprintf(to, "day %d %02d:%02d:%02d.%03d %s a=%d b=%d c=%d\n", (int)(s / 86400),
		(int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60), (int)(e->at % 1000),
		names[e->kind], e->a, e->b, e->c);
}
