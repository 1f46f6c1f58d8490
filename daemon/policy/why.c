#include "policy/why.h"

#include "policy/compiled.h"
#include "config/value.h"
#include "policy/lockdown.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* What keeps a line from matching, and how far away that makes it. */
enum obstacle {
	OBSTACLE_TIER = 1 << 0,
	OBSTACLE_PORT = 1 << 1,
	OBSTACLE_TIME = 1 << 2,
	OBSTACLE_EXPIRED = 1 << 3,
	OBSTACLE_SITE = 1 << 4,
	OBSTACLE_NAMELESS = 1 << 5,
	OBSTACLE_EVIDENCE = 1 << 6,
	OBSTACLE_MISMATCH = 1 << 7,
	OBSTACLE_EXCEPTED = 1 << 8,
	OBSTACLE_SPENT = 1 << 9,
};

static const unsigned distance[] = {3, 2, 1, 1, 100, 1, 1, 1, 2, 1};

/* A question with what does not change from line to line worked out. */
struct question {
	const struct snapshot *s;
	const struct facts *f;
	int64_t now, expiry;
	uint32_t tier; /* or TIER_NONE */
	uint32_t host_set, address_set;
	bool named;
};

static bool holds(enum hold h)
{
	return h == HOLD_OWN || h == HOLD_SHARED;
}

/* Does one of an allow line's sites hold the name, or the address that no "!name" excepts? */
static bool site_by_name(const struct question *q, const struct line *l)
{
	for (size_t i = 0; i < l->site_count; i++)
		if (holds(siteset_hold(q->s->sets, q->host_set, l->sites[i])))
			return true;
	return false;
}

static bool site_by_address(const struct question *q, const struct line *l)
{
	for (size_t i = 0; i < l->site_count; i++)
		if (holds(siteset_hold(q->s->sets, q->address_set, l->sites[i])) &&
		    siteset_hold(q->s->sets, q->host_set, l->sites[i]) != HOLD_NOT)
			return true;
	return false;
}

/* The site of an allow line's `except` that has the destination as its own, or SITE_NONE. */
static uint32_t excepted_by(const struct question *q, const struct line *l)
{
	for (size_t i = 0; i < l->except_count; i++)
		if (siteset_hold(q->s->sets, q->host_set, l->except[i]) == HOLD_OWN ||
		    (siteset_hold(q->s->sets, q->address_set, l->except[i]) == HOLD_OWN &&
		     siteset_hold(q->s->sets, q->host_set, l->except[i]) != HOLD_NOT))
			return l->except[i];
	return SITE_NONE;
}

static const struct tier *tier_of(const struct question *q)
{
	return q->tier == TIER_NONE ? NULL : &q->s->tiers[q->tier];
}

/* The same judgement as decide.c's, of one line and in words. */
static unsigned destination_obstacles(const struct question *q, const struct line *l)
{
	enum evidence wants = wants_of(evidence_for(l, tier_of(q)));
	bool by_name = q->named && (l->any_site || site_by_name(q, l));
	bool by_address = l->any_site || site_by_address(q, l);
	enum evidence known = by_name ? q->f->evidence : EVIDENCE_ADDRESS;
	if (!by_name && !by_address)
		return !q->named && l->has_hosts ? OBSTACLE_NAMELESS : OBSTACLE_SITE;
	if (excepted_by(q, l) != SITE_NONE)
		return OBSTACLE_EXCEPTED;
	bool refused = q->named && q->f->mismatch && mismatch_refused(q->s, l, tier_of(q));
	if (known >= wants)
		return refused ? OBSTACLE_MISMATCH : 0;
	if (by_name && wants == EVIDENCE_HOST_DNS && known >= EVIDENCE_HOST)
		return OBSTACLE_MISMATCH;
	if (!q->named && (l->any_site || l->has_hosts))
		return OBSTACLE_NAMELESS;
	return OBSTACLE_EVIDENCE;
}

static unsigned obstacles_of(const struct question *q, const struct line *l)
{
	unsigned o = destination_obstacles(q, l);
	if (q->tier == TIER_NONE || !l->tiers[q->tier])
		o |= OBSTACLE_TIER;
	if (!ports_have(l->ports, l->port_count, q->f->transport, q->f->port))
		o |= OBSTACLE_PORT;
	if (l->when && !schedule_active(l->when, q->now))
		o |= OBSTACLE_TIME;
	if (q->expiry >= l->expires)
		o |= OBSTACLE_EXPIRED;
	if (l->quota && quota_spent_until(q->s, l->quota, q->f, q->now))
		o |= OBSTACLE_SPENT;
	return o;
}

static unsigned distance_of(unsigned obstacles)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < sizeof distance / sizeof *distance; i++)
		if (obstacles >> i & 1)
			sum += distance[i];
	return sum;
}

/* The allow line that is nearest to matching; NULL where none names a site that holds the
 * destination. */
static const struct line *nearest_line(const struct question *q, unsigned *obstacles)
{
	const struct line *best = NULL;
	unsigned best_distance = distance_of(OBSTACLE_SITE);
	for (size_t i = 0; i < q->s->allow_count; i++) {
		unsigned o = obstacles_of(q, &q->s->lines[i]);
		if (distance_of(o) < best_distance) {
			best = &q->s->lines[i];
			best_distance = distance_of(o);
			*obstacles = o;
		}
	}
	return best;
}

static void say_tier(const struct question *q, const struct line *l, struct buf *b)
{
	char address[ADDRESS_TEXT];
	const char *comma = "";
	if (!q->f->tier || !*q->f->tier) {
		buf_printf(b, "nobody is signed in at %s and no segment covers it",
			   address_format(&q->f->client, address));
		return;
	}
	if (q->tier == TIER_NONE) {
		buf_printf(b, "the policy has no tier \"%.40s\"", q->f->tier);
		return;
	}
	buf_text(b, "the line is for ");
	for (size_t t = 0; t < q->s->tier_count; t++) {
		const char *name = q->s->tiers[t].name;
		if (!l->tiers[t])
			continue;
		if (b->len + strlen(name) + TIER_MAX + 24 > b->cap) {
			buf_text(b, ", ...");
			break;
		}
		buf_printf(b, "%s%s", comma, name);
		comma = ", ";
	}
	buf_printf(b, "; the tier here is %s", q->f->tier);
}

static void port_words(struct buf *b, uint8_t transport, uint16_t first, uint16_t last)
{
	if (transport == IPPROTO_TCP || transport == IPPROTO_UDP)
		buf_text(b, transport == IPPROTO_TCP ? "tcp" : "udp");
	else
		buf_printf(b, "protocol %u", transport);
	buf_printf(b, "/%u", first);
	if (last != first)
		buf_printf(b, "-%u", last);
}

static void say_port(const struct question *q, const struct line *l, struct buf *b)
{
	buf_text(b, "the line is for ");
	for (size_t i = 0; i < l->port_count; i++) {
		if (b->len + 60 > b->cap) {
			buf_text(b, ", ...");
			break;
		}
		buf_text(b, i ? ", " : "");
		port_words(b, l->ports[i].transport, l->ports[i].first, l->ports[i].last);
	}
	buf_text(b, "; this is ");
	port_words(b, q->f->transport, q->f->port, q->f->port);
}

static void say_time(const struct question *q, const struct line *l, struct buf *b)
{
	buf_text(b, "the line holds only ");
	schedule_format(l->when, b);
	buf_printf(b, " %s; it is ", l->when->zone_name);
	if (schedule_has_dates(l->when))
		zone_format_date(l->when->zone, q->now, b);
	else
		zone_format(l->when->zone, q->now, b);
	buf_text(b, " there");
}

static void say_expired(const struct line *l, struct buf *b)
{
	char text[40];
	struct buf date = BUF_OF(text);
	clock_format(&date, l->expires - 1);
	buf_printf(b, "the line expired with %.10s (UTC)", text);
}

static void say_spent(const struct question *q, const struct line *l, struct buf *b)
{
	struct quota_who whose;
	quota_whose(l->quota, q->f, &whose);
	buf_text(b, "the line's quota, ");
	quota_amount_format(l->quota->bytes, l->quota->amount, b);
	buf_text(b, l->quota->week ? " a week, is used up by " : " a day, is used up by ");
	quota_who_format(&whose, b);
	buf_text(b, " until ");
	zone_format_date(l->quota->zone, quota_spent_until(q->s, l->quota, q->f, q->now), b);
	buf_printf(b, " %s", l->quota->zone_name);
}

static void say(const struct question *q, const struct line *l, enum obstacle o, struct buf *b)
{
	const char *wants = wants_text(evidence_for(l, tier_of(q)));
	switch (o) {
	case OBSTACLE_TIER: say_tier(q, l, b); break;
	case OBSTACLE_PORT: say_port(q, l, b); break;
	case OBSTACLE_TIME: say_time(q, l, b); break;
	case OBSTACLE_EXPIRED: say_expired(l, b); break;
	case OBSTACLE_SPENT: say_spent(q, l, b); break;
	case OBSTACLE_SITE: break; /* such a line is not near */
	case OBSTACLE_EXCEPTED:
		buf_printf(b, "the line is for all but %s, which holds it",
			   snapshot_site_name(q->s, excepted_by(q, l)));
		break;
	case OBSTACLE_NAMELESS:
		buf_printf(b, "no name is known, and the line wants evidence \"%s\"", wants);
		break;
	case OBSTACLE_EVIDENCE:
		buf_printf(b, "the line wants evidence \"%s\"; known is %s", wants,
			   evidence_text(q->named ? q->f->evidence : EVIDENCE_ADDRESS));
		break;
	case OBSTACLE_MISMATCH:
		buf_text(b, "the line wants the name to agree with the address, and this network "
			    "did not resolve it so");
		break;
	}
}

static void add(struct why *out, const char *text)
{
	if (out->obstacle_count < WHY_OBSTACLES)
		snprintf(out->obstacle[out->obstacle_count++], sizeof *out->obstacle, "%s", text);
}

static void say_lockdown(const struct question *q, struct why *out)
{
	char text[sizeof *out->obstacle], until[40];
	const struct lockdown *l = snapshot_lockdown(q->s, q->f, q->now);
	struct buf b = BUF_OF(text), date = BUF_OF(until);
	if (!l)
		return;
	buf_printf(&b, "%.40s locked down ", l->by);
	lockdown_whom(l, &b);
	clock_format(&date, l->until);
	if (l->until == INT64_MAX)
		buf_text(&b, " until it is ended");
	else
		buf_printf(&b, " until %.16sZ", until);
	buf_text(&b, l->site_count ? "; open is only " : "; nothing outside is open");
	for (unsigned i = 0; i < l->site_count; i++) {
		if (b.len + SITE_MAX + 8 > b.cap) {
			buf_text(&b, ", ...");
			break;
		}
		buf_printf(&b, "%s%s", i ? ", " : "", l->site[i]);
	}
	add(out, text);
}

static void explain_nearest(const struct question *q, struct why *out)
{
	unsigned obstacles = 0;
	const struct line *l = nearest_line(q, &obstacles);
	char text[sizeof *out->obstacle], address[ADDRESS_TEXT];
	if (!l) {
		snprintf(text, sizeof text, "no allow line names a site that holds %.80s",
			 q->named ? q->f->host->text : address_format(&q->f->server, address));
		add(out, text);
		return;
	}
	strcpy(out->nearest, l->name);
	strcpy(out->nearest_owner, l->owner);
	out->nearest_note = l->note;
	out->needs = wants_text(evidence_for(l, tier_of(q)));
	for (unsigned i = 0; i < sizeof distance / sizeof *distance; i++) {
		struct buf b = BUF_OF(text);
		if (!(obstacles >> i & 1))
			continue;
		say(q, l, 1u << i, &b);
		add(out, text);
	}
}

void why_expiring(const struct snapshot *s, const struct facts *f, int64_t now, int64_t expiry,
		  struct why *out)
{
	struct question q = {
		.s = s,
		.f = f,
		.now = now,
		.expiry = expiry,
		.tier = snapshot_tier(s, f->tier),
		.named = f->host && f->host->len,
	};
	*out = (struct why){.outcome = decide_expiring(s, f, now, expiry)};
	sites_of(s, f, &q.host_set, &q.address_set);
	strcpy(out->rule, snapshot_rule_name(s, out->outcome.rule));
	strcpy(out->site, snapshot_site_name(s, out->outcome.site));
	strcpy(out->owner, snapshot_rule_owner(s, out->outcome.rule));
	out->note = snapshot_rule_note(s, out->outcome.rule);
	if (out->outcome.watched)
		strcpy(out->watched, snapshot_rule_name(s, out->outcome.watched_rule));
	if (out->outcome.action == ACTION_ALLOW) {
		if (out->outcome.rule != RULE_NONE) /* allowed: a line */
			out->needs =
				wants_text(evidence_for(&s->lines[out->outcome.rule], tier_of(&q)));
		return;
	}
	if (out->outcome.reason == REASON_DENY_LINE) {
		char text[sizeof *out->obstacle];
		snprintf(text, sizeof text,
			 "the deny line %.70s matches, and a deny beats any allow", out->rule);
		add(out, text);
	}
	if (out->outcome.reason == REASON_LOCKDOWN)
		say_lockdown(&q, out);
	explain_nearest(&q, out);
}

void why_explain(const struct snapshot *s, const struct facts *f, int64_t now, struct why *out)
{
	why_expiring(s, f, now, now, out);
}
