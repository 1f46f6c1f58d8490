/* random_policy: small policies and flows of few names, so that all of them meet. */
#pragma once
#include "base/zone.h"
#include "config/value.h"
#include "policy/build.h"
#include "random.h"

#define NOW INT64_C(1782129600000000000) /* Mon 2026-06-22 12:00 UTC */

static const char *const tier_names[] = {"t0", "t1", "t2", "t3"};
static const char *const site_names[] = {"s0", "s1", "s2", "s3", "s4"};
static const char *const hosts[] = {"a.x",   "b.x", "a.b.x", "b.b.x", "x",
				    "a.a.x", "y",   "a.y",   "b.a.y", "z"};
static const char *const addresses[] = {"203.0.113.1", "203.0.113.200", "198.51.100.1",
					"2001:db8::1", "10.0.0.1"};
static const char *const networks[] = {"203.0.113.0/24", "203.0.113.128/25", "198.51.100.1",
				       "2001:db8::/32", "0.0.0.0/0"};

#define PICK(array) ((array)[random_below(sizeof(array) / sizeof *(array))])

static inline bool chance(unsigned percent)
{
	return random_below(100) < percent;
}

/* A few of the names, joined by spaces, or now and then "*". */
static inline const char *some(const char *const *names, size_t count, bool star)
{
	static char text[64];
	struct buf b = BUF_OF(text);
	buf_reset(&b);
	if (star && chance(12))
		return "*";
	buf_text(&b, names[random_below((uint32_t)count)]);
	while (chance(35))
		buf_printf(&b, " %s", names[random_below((uint32_t)count)]);
	return text;
}

static inline void random_site(struct config *c, const char *name)
{
	char text[256] = "";
	struct buf b = BUF_OF(text);
	while (chance(75)) {
		static const char *const kinds[] = {"", "", "", "=", "!"};
		buf_text(&b, " ");
		if (chance(20))
			buf_char(&b, '~');
		if (chance(25))
			buf_text(&b, PICK(networks));
		else if (text[strlen(text) - 1] != '~' && chance(10))
			buf_text(&b, "|");
		else if (text[strlen(text) - 1] == '~')
			buf_printf(&b, "%s%s", chance(30) ? "=" : "", PICK(hosts));
		else
			buf_printf(&b, "%s%s", PICK(kinds), PICK(hosts));
	}
	build_site(c, name, text);
}

static const char *const quotas[] = {"90 min/day", "60 min/day", "90 min/week",
				     "1 GiB/day together", "1 GiB/day from 04:00 UTC"};

static inline void random_line(struct config *c, bool deny)
{
	static const char *const ports[] = {"", "", "tcp/443", "udp/1-1000 tcp/80",
					    "tcp/0-65535 udp/0-65535"};
	static const char *const when[] = {"office", "night", "work", "term", "breaks", "camp"};
	char tiers[64];
	strcpy(tiers, some(tier_names, 4, true));
	struct config_line *l = build_line(c, deny, tiers, some(site_names, 5, true), PICK(ports));
	if (chance(35))
		l->except = build_words(some(site_names, 5, false));
	l->when = chance(30) ? strdup(PICK(when)) : NULL;
	l->expires = chance(15) ? NOW + (int64_t)random_below(3) - 1 : 0;
	l->evidence = chance(50) ? CONFIG_EVIDENCE_UNSET : random_below(5);
	l->mismatch = random_below(3);
	if (deny && chance(35))
		l->mode = CONFIG_LINE_OBSERVE;
	if (!deny && chance(35) && quota_parse(PICK(quotas), &l->quota))
		abort();
}

#define TODAY (NOW / NS_PER_S / DAY_S)

/* Dates about the two weeks that are looked at, and now and then times. */
static inline void random_dates(struct config_dates *d)
{
	for (uint32_t n = random_below(4); n; n--) {
		int64_t day = TODAY - 3 + random_below(18);
		*GROW(d->day, d->days) = (struct span){day, day + 1 + random_below(3)};
	}
	for (uint32_t n = chance(40) ? random_below(3) : 0; n; n--) {
		int64_t at = NOW / NS_PER_S + ((int64_t)random_below(14 * 48) - 48) * 1800;
		*GROW(d->time, d->times) =
			(struct span){at, at + 1800 * (1 + (int64_t)random_below(50))};
	}
	d->days = spans_join(d->day, d->days);
	d->times = spans_join(d->time, d->times);
}

/* Of dates alone or of hours on them. */
static inline struct config_schedule *random_dated(struct config *c, const char *name)
{
	build_schedule(c, name, chance(50) ? 0x7f : 0x2d, 0, 1440, "UTC");
	struct config_schedule *s = &c->schedules[c->schedule_count - 1];
	s->dated = true;
	random_dates(&s->dates);
	if (chance(50)) {
		s->hours_count = 2;
		s->hours[0] = (struct config_hours){540, 780};
		s->hours[1] = (struct config_hours){1200, chance(50) ? 90 : 1380};
	}
	return s;
}

static inline void random_schedules(struct config *c)
{
	build_schedule(c, "office", 0x1f, 480, 1080, "UTC");
	build_schedule(c, "night", 0x7f, 1320, 360, "UTC");
	build_schedule(c, "work", 0x1f, 480, 1080, "UTC");
	build_schedule(c, "lunch", 0x7f, 720, 780, "UTC");
	c->schedules[2].not_within = strdup("lunch");
	random_dated(c, "breaks");
	build_schedule(c, "term", 0x1f, 480, 1080, "UTC");
	c->schedules[5].except = build_words(chance(50) ? "breaks" : "breaks lunch");
	random_dates(&c->schedules[5].except_dates);
	struct config_schedule *camp = random_dated(c, "camp");
	if (chance(50))
		random_dates(&camp->except_dates);
}

static inline void random_config(struct config *c)
{
	*c = (struct config){.mismatch = CONFIG_MISMATCH_LOG + random_below(2)};
	build_network(&c->internal, "10.0.0.0/8");
	for (size_t i = 0; i < 4; i++) {
		const char *includes = i > 0 && chance(60) ? some(tier_names, i, false) : "";
		build_tier(c, tier_names[i], includes, random_below(5), random_below(3));
	}
	for (size_t i = 0; i < 5; i++)
		random_site(c, site_names[i]);
	random_schedules(c);
	for (uint32_t n = random_below(6); n; n--)
		random_line(c, ALLOW);
	for (uint32_t n = random_below(3); n; n--)
		random_line(c, DENY);
}

struct flow_facts {
	struct facts f;
	struct host host;
};

static inline void random_facts(struct flow_facts *x)
{
	static const char *const tiers[] = {"t0", "t1", "t2", "t3", "t1", "t3", NULL, "", "gone"};
	x->host = build_host(PICK(hosts));
	x->f = (struct facts){
		.client = build_address("10.1.1.1"),
		.server = build_address(PICK(addresses)),
		.port = chance(70) ? 443 : (uint16_t)random_below(1200),
		.transport = chance(70) ? IPPROTO_TCP : IPPROTO_UDP,
		.tier = PICK(tiers),
		.host = chance(75) ? &x->host : NULL,
		.evidence = EVIDENCE_ADDRESS,
	};
	if (x->f.host)
		x->f.evidence = EVIDENCE_ECH_OUTER + random_below(EVIDENCE_COUNT - 2);
	x->f.mismatch =
		(x->f.evidence == EVIDENCE_SNI || x->f.evidence == EVIDENCE_HOST) && chance(50);
}
