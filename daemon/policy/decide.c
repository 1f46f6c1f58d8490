#include "policy/decide.h"

#include "policy/compiled.h"

/* What is asked of every line, with what a name or an address is worth already worked out. */
struct asked {
	const struct facts *facts;
	uint8_t transport;
	uint16_t port;
	bool named, mismatch;
	enum evidence name_evidence;
	int64_t now, expiry;
	uint32_t host_set, address_set;
	bool firm;                       /* only what no name that may still come could undo */
	const struct quota *const *past; /* taken for used up */
	size_t past_count;
};

/* The first rule that matches, and what kept others from it. */
struct found {
	uint32_t rule; /* index in the tier's rules, or RULE_NONE */
	uint32_t site;
	bool weak, mismatched;
	bool spent; /* a rule would match, had its quota not been used up */
};

enum basis { BY_NAME, BY_ADDRESS, BY_ANY };

bool ports_have(const struct config_port *ports, size_t count, uint8_t transport, uint16_t port)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i].transport == transport && ports[i].first <= port &&
		    port <= ports[i].last)
			return true;
	return false;
}

static bool rule_open(const struct rule *r, const struct asked *a)
{
	return a->expiry < r->expires &&
	       ports_have(r->ports, r->port_count, a->transport, a->port) &&
	       (!r->when || schedule_active(r->when, a->now));
}

/* The site matches; is what is known of the destination enough for the rule? */
static bool rule_content(const struct rule *r, const struct asked *a, enum basis basis,
			 struct found *found)
{
	bool by_name = basis == BY_NAME || (basis == BY_ANY && a->named);
	enum evidence known = by_name ? a->name_evidence : EVIDENCE_ADDRESS;
	if (known >= r->wants && !(r->refuses_mismatch && a->mismatch))
		return true;
	if (known >= r->wants)
		found->mismatched = true;
	else if (by_name && r->wants == EVIDENCE_HOST_DNS && known >= EVIDENCE_HOST)
		found->mismatched = true;
	else if (by_name)
		found->weak = true;
	return false;
}

/* A name opens (takes out of a deny line) only where the flow or a resolver said it: an encrypted
 * hello's outer name is a word for somebody else. */
static uint32_t opening_set(const struct asked *a)
{
	return a->name_evidence > EVIDENCE_ECH_OUTER ? a->host_set : 0;
}

/* Does the hold count: what opens takes all that the site needs, what closes only its own. */
static bool hold_counts(enum hold hold, bool opens)
{
	return hold == HOLD_OWN || (hold == HOLD_SHARED && opens);
}

/* "!name" takes the flow out of its site, by whatever entry that would hold it. */
static bool site_excepts(const struct snapshot *s, const struct asked *a, bool deny, uint16_t site)
{
	return siteset_hold(s->sets, deny ? opening_set(a) : a->host_set, site) == HOLD_NOT;
}

/* Is the destination in one of the sites for which the rule does not hold? */
static bool rule_excepts(const struct snapshot *s, const struct rule *r, const struct asked *a,
			 bool deny)
{
	for (size_t i = 0; i < r->except_count; i++) {
		uint16_t site = r->except[i];
		uint32_t names = deny ? opening_set(a) : a->host_set;
		if (hold_counts(siteset_hold(s->sets, names, site), deny) ||
		    (hold_counts(siteset_hold(s->sets, a->address_set, site), deny) &&
		     siteset_hold(s->sets, a->host_set, site) != HOLD_NOT))
			return true;
	}
	return false;
}

/* Could the flow's own name, which is not known yet, take the flow out of the rule? */
static bool rule_is_soft(const struct snapshot *s, const struct rule *r, size_t site,
			 enum basis basis)
{
	return r->except_hosts || (basis == BY_ADDRESS && s->sites[site].has_exceptions);
}

static bool is_spent(const struct snapshot *s, const struct quota *q, const struct asked *a)
{
	for (size_t i = 0; i < a->past_count; i++)
		if (a->past[i] == q)
			return true;
	return quota_spent_until(s, q, a->facts, a->now);
}

/* Looks through the rules of one site for one before what is found already. */
static void look(const struct snapshot *s, const struct rules *rules, size_t site,
		 const struct asked *a, enum basis basis, struct found *found)
{
	for (uint32_t i = rules->first[site]; i < rules->first[site + 1]; i++) {
		uint32_t at = rules->by_site[i];
		const struct rule *r = &rules->item[at];
		if (at >= found->rule)
			return;
		if (a->firm && rule_is_soft(s, r, site, basis))
			continue;
		if (rule_open(r, a) && !rule_excepts(s, r, a, rules->deny) &&
		    rule_content(r, a, basis, found)) {
			if (r->quota && is_spent(s, r->quota, a)) {
				found->spent = true;
				continue;
			}
			found->rule = at;
			found->site = site < s->site_count ? (uint32_t)site : SITE_NONE;
			return;
		}
	}
}

static struct asked asked_of(const struct facts *f, int64_t now, int64_t expiry)
{
	return (struct asked){
		.facts = f,
		.transport = f->transport,
		.port = f->port,
		.named = f->host && f->host->len,
		.mismatch = f->mismatch && f->host && f->host->len,
		.name_evidence = f->evidence,
		.now = now,
		.expiry = expiry,
	};
}

static struct found find(const struct snapshot *s, const struct rules *rules, const struct asked *a)
{
	struct found found = {.rule = RULE_NONE, .site = SITE_NONE};
	size_t count;
	if (!rules->count)
		return found;
	const uint16_t *m = siteset_sites(s->sets, a->host_set, &count);
	for (size_t i = 0; i < count; i++)
		if (hold_counts(member_hold(m[i]), !rules->deny))
			look(s, rules, member_site(m[i]), a, BY_NAME, &found);
	m = siteset_sites(s->sets, a->address_set, &count);
	for (size_t i = 0; i < count; i++)
		if (hold_counts(member_hold(m[i]), !rules->deny) &&
		    !site_excepts(s, a, rules->deny, member_site(m[i])))
			look(s, rules, member_site(m[i]), a, BY_ADDRESS, &found);
	look(s, rules, s->site_count, a, BY_ANY, &found);
	return found;
}

/* Could any rule match, given some name? A quota that is used up is no matter: the name is waited
 * for, so that who is denied, and the record, can be told for what. */
static bool name_could_match(const struct rules *rules, const struct asked *a)
{
	for (size_t i = 0; i < rules->gate_count; i++)
		if (rule_open(&rules->item[rules->gates[i]], a))
			return true;
	return false;
}

/* What denies a flow: an operator's lockdown, else a deny line. */
static struct found find_denying(const struct snapshot *s, const struct tier *t,
				 const struct facts *f, const struct asked *a)
{
	const struct rule *r;
	for (unsigned at = 0; (r = locks_next(s, f, a->now, &at));)
		if (!(a->firm && r->except_hosts) && !rule_excepts(s, r, a, true))
			return (struct found){.rule = RULE_LOCKDOWN, .site = SITE_NONE};
	return find(s, &t->deny, a);
}

/* What a deny line in observe mode would do to what is allowed. */
static struct outcome watch(const struct snapshot *s, const struct tier *t, const struct asked *a,
			    struct outcome o)
{
	if (!t->watch.count)
		return o;
	struct found found = find(s, &t->watch, a);
	if (found.rule == RULE_NONE)
		return o;
	o.watched = true;
	o.watched_rule = t->watch.item[found.rule].line;
	o.watched_site = found.site;
	return o;
}

/* Could anything deny, given some name? */
static bool name_could_deny(const struct snapshot *s, const struct tier *t, const struct facts *f,
			    const struct asked *a)
{
	unsigned at = 0;
	return locks_next(s, f, a->now, &at) || name_could_match(&t->deny, a);
}

static struct outcome by_rule(enum action action, const struct rules *rules,
			      const struct found *found)
{
	if (found->rule == RULE_LOCKDOWN)
		return (struct outcome){.action = ACTION_DENY,
					.reason = REASON_LOCKDOWN,
					.rule = RULE_LOCKDOWN,
					.site = SITE_NONE};
	return (struct outcome){
		.action = action,
		.reason = action == ACTION_ALLOW ? REASON_ALLOW_LINE : REASON_DENY_LINE,
		.rule = rules->item[found->rule].line,
		.site = found->site,
	};
}

static struct outcome by_reason(enum action action, enum reason reason)
{
	return (struct outcome){
		.action = action, .reason = reason, .rule = RULE_NONE, .site = SITE_NONE};
}

/* What no name that may still come could undo. Nothing is, where nothing is found at all: so it is
 * asked for second. */
static struct found find_firm(const struct snapshot *s, const struct tier *t, const struct facts *f,
			      const struct asked *a, bool denying)
{
	struct asked firm = *a;
	firm.firm = true;
	return denying ? find_denying(s, t, f, &firm) : find(s, &t->allow, &firm);
}

/* A name may still come, and any name may: only what the address alone decides, and no name undoes,
 * is final. What it would be allowed by must hold even where the name turns out not to agree with
 * the address. */
static struct outcome decide_waiting(const struct snapshot *s, const struct tier *t,
				     const struct facts *f, struct asked *a)
{
	a->named = false;
	a->mismatch = true;
	a->host_set = 0;
	struct found denied = find_denying(s, t, f, a), allowed = find(s, &t->allow, a);
	const struct found firm_denied =
		denied.rule == RULE_NONE ? denied : find_firm(s, t, f, a, true);
	if (firm_denied.rule != RULE_NONE)
		return by_rule(ACTION_DENY, &t->deny, &firm_denied);
	/* what a line in observe mode is waited for is what it would be waited for in earnest */
	if (allowed.rule != RULE_NONE && denied.rule == RULE_NONE && !name_could_deny(s, t, f, a) &&
	    !name_could_match(&t->watch, a)) {
		const struct found firm = find_firm(s, t, f, a, false);
		if (firm.rule != RULE_NONE)
			return watch(s, t, a, by_rule(ACTION_ALLOW, &t->allow, &firm));
	}
	if (allowed.rule != RULE_NONE || allowed.mismatched || name_could_match(&t->allow, a))
		return by_reason(ACTION_WAIT, REASON_NO_NAME);
	if (denied.rule != RULE_NONE)
		return by_rule(ACTION_DENY, &t->deny, &denied);
	return by_reason(ACTION_DENY, allowed.spent ? REASON_QUOTA_SPENT : REASON_NO_LINE);
}

static enum reason why_none(const struct tier *t, const struct asked *a, const struct found *found)
{
	if (found->spent)
		return REASON_QUOTA_SPENT;
	if (found->mismatched)
		return REASON_NAME_ADDRESS_MISMATCH;
	if (found->weak)
		return REASON_WEAK_EVIDENCE;
	if (!a->named && name_could_match(&t->allow, a))
		return REASON_NO_NAME;
	return REASON_NO_LINE;
}

static uint32_t tier_of(const struct snapshot *s, const struct facts *f)
{
	return f->tier_number ? f->tier_number - 1 : snapshot_tier(s, f->tier);
}

void sites_of(const struct snapshot *s, const struct facts *f, uint32_t *host, uint32_t *address)
{
	uint32_t set = netset_find(s->networks, &f->server);
	*address = set == NETSET_NONE ? 0 : set;
	*host = f->host && f->host->len ? hostset_find(s->hosts, f->host) : 0;
}

static struct outcome answer(const struct snapshot *s, const struct facts *f, struct asked a)
{
	uint32_t tier = tier_of(s, f);
	if (f->stays || snapshot_internal(s, &f->server))
		return by_reason(ACTION_ALLOW, REASON_INTERNAL);
	if (tier == TIER_NONE)
		return by_reason(ACTION_DENY, REASON_NO_TIER);
	const struct tier *t = &s->tiers[tier];
	sites_of(s, f, &a.host_set, &a.address_set);
	if (f->waiting && !(a.named && f->evidence >= EVIDENCE_HOST))
		return decide_waiting(s, t, f, &a);
	struct found denied = find_denying(s, t, f, &a);
	if (denied.rule != RULE_NONE)
		return by_rule(ACTION_DENY, &t->deny, &denied);
	struct found allowed = find(s, &t->allow, &a);
	if (allowed.rule != RULE_NONE)
		return watch(s, t, &a, by_rule(ACTION_ALLOW, &t->allow, &allowed));
	return by_reason(ACTION_DENY, why_none(t, &a, &allowed));
}

struct outcome decide_expiring(const struct snapshot *s, const struct facts *f, int64_t now,
			       int64_t expiry)
{
	return answer(s, f, asked_of(f, now, expiry));
}

struct outcome decide(const struct snapshot *s, const struct facts *f, int64_t now)
{
	return decide_expiring(s, f, now, now);
}

size_t decide_limits(const struct snapshot *s, const struct facts *f, int64_t now,
		     const struct quota **out)
{
	struct asked a = asked_of(f, now, now);
	size_t count = 0;
	for (a.past = out;; a.past_count = count) {
		struct outcome o = answer(s, f, a);
		const struct quota *q = snapshot_quota(s, o.rule);
		if (o.action != ACTION_ALLOW)
			return count;
		if (!q)
			return 0;
		out[count++] = q;
	}
}

bool decide_name_may_deny(const struct snapshot *s, const struct facts *f, int64_t now)
{
	uint32_t tier = tier_of(s, f);
	struct asked a = asked_of(f, now, now);
	if (tier == TIER_NONE)
		return false;
	if (name_could_deny(s, &s->tiers[tier], f, &a))
		return true;
	sites_of(s, f, &a.host_set, &a.address_set);
	if (find(s, &s->tiers[tier].allow, &a).rule == RULE_NONE)
		return false;
	a.firm = true;
	return find(s, &s->tiers[tier].allow, &a).rule == RULE_NONE;
}

bool decide_wants_agreement(const struct snapshot *s, const struct facts *f, int64_t now)
{
	uint32_t tier = tier_of(s, f);
	struct asked a = asked_of(f, now, now);
	if (tier == TIER_NONE)
		return true;
	const struct tier *t = &s->tiers[tier];
	a.named = a.mismatch = false;
	for (size_t i = 0; i < t->allow.gate_count; i++) {
		const struct rule *r = &t->allow.item[t->allow.gates[i]];
		if (!r->refuses_mismatch && rule_open(r, &a))
			return false;
	}
	sites_of(s, f, &a.host_set, &a.address_set);
	a.host_set = 0;
	return find(s, &t->allow, &a).rule == RULE_NONE;
}

struct outcome decide_early(const struct snapshot *s, const struct facts *f,
			    const struct host *names, size_t count, int64_t now)
{
	struct outcome first = by_reason(ACTION_WAIT, REASON_NO_NAME);
	if (count == 0 || tier_of(s, f) == TIER_NONE || !decide_wants_agreement(s, f, now))
		return first;
	struct facts with = *f;
	with.evidence = EVIDENCE_SNI_DNS;
	with.mismatch = with.waiting = false;
	for (size_t i = count; i-- > 0;) {
		with.host = &names[i];
		first = decide(s, &with, now);
		if (first.action == ACTION_ALLOW)
			return by_reason(ACTION_WAIT, REASON_NO_NAME);
	}
	return first;
}
