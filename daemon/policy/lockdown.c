#include "policy/lockdown.h"

#include "policy/compiled.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

bool lockdown_holds(const struct lockdown *l, int64_t now)
{
	return now < l->until;
}

bool lockdowns_end(struct lockdowns *l, uint32_t id)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (l->item[i].id != id)
			continue;
		memmove(&l->item[i], &l->item[i + 1], (l->count - i - 1) * sizeof *l->item);
		l->count--;
		l->generation++;
		return true;
	}
	return false;
}

static void forget_over(struct lockdowns *l, int64_t by)
{
	for (unsigned i = l->count; i-- > 0;)
		if (!lockdown_holds(&l->item[i], by))
			lockdowns_end(l, l->item[i].id);
}

bool lockdowns_add(struct lockdowns *l, struct lockdown *one, int64_t now)
{
	forget_over(l, now - LOCKDOWN_KEPT);
	if (l->count == LOCKDOWNS_MAX)
		forget_over(l, now);
	if (l->count == LOCKDOWNS_MAX)
		return false;
	one->id = ++l->last;
	l->item[l->count++] = *one;
	l->generation++;
	return true;
}

const struct lockdown *lockdowns_block(const struct lockdowns *l, const char *user, int64_t now)
{
	for (unsigned i = 0; i < l->count; i++)
		if (l->item[i].of == LOCKDOWN_USER && l->item[i].site_count == 0 &&
		    lockdown_holds(&l->item[i], now) && user_name_same(l->item[i].whom, user))
			return &l->item[i];
	return NULL;
}

void lockdown_whom(const struct lockdown *l, struct buf *out)
{
	static const char *const kinds[] = {"segment ", "tier ", "user "};
	buf_text(out, kinds[l->of]);
	if (l->of == LOCKDOWN_SEGMENT)
		network_format(&l->segment, out);
	else
		buf_text(out, l->whom);
}

/* ---- compiled ---- */

struct lock {
	struct lockdown is;
	uint16_t site[LOCKDOWN_SITES]; /* ascending */
	struct rule rule;              /* deny everything but these */
};

struct locks {
	uint64_t generation;
	unsigned count;
	struct lock item[];
};

static size_t site_index(const struct snapshot *s, const char *name)
{
	size_t i = 0;
	while (i < s->site_count && strcmp(s->sites[i].name, name) != 0)
		i++;
	return i;
}

static void resolve(const struct snapshot *s, struct lock *l, struct errors *missing)
{
	uint32_t count = 0;
	l->rule = (struct rule){.line = RULE_LOCKDOWN, .any_site = true, .except = l->site};
	for (unsigned i = 0; i < l->is.site_count; i++) {
		size_t site = site_index(s, l->is.site[i]);
		if (site < s->site_count) {
			l->site[count++] = (uint16_t)site;
			l->rule.except_hosts |= s->sites[site].has_hosts;
			continue;
		}
		errors_add(missing, NULL, 0,
			   "lockdown %u: the policy has no site \"%s\", so none is open to it; "
			   "tiergatectl lockdown end %u, and lock down anew",
			   l->is.id, l->is.site[i], l->is.id);
	}
	l->rule.except_count = count;
}

struct locks *locks_make(const struct snapshot *s, const struct lockdowns *l,
			 struct errors *missing, bool *failed)
{
	*failed = false;
	if (l->count == 0)
		return NULL;
	struct locks *locks = calloc(1, sizeof *locks + l->count * sizeof *locks->item);
	if (!locks) {
		*failed = true;
		return NULL;
	}
	locks->generation = l->generation;
	for (locks->count = 0; locks->count < l->count; locks->count++) {
		locks->item[locks->count].is = l->item[locks->count];
		resolve(s, &locks->item[locks->count], missing);
	}
	return locks;
}

struct locks *snapshot_lock(struct snapshot *s, struct locks *locks)
{
	return atomic_exchange_explicit(&s->locks, locks, memory_order_acq_rel);
}

void locks_free(struct locks *l)
{
	free(l);
}

static const struct locks *locks_of(const struct snapshot *s)
{
	return atomic_load_explicit(&s->locks, memory_order_acquire);
}

uint64_t snapshot_lock_generation(const struct snapshot *s)
{
	const struct locks *l = locks_of(s);
	return l ? l->generation : 0;
}

static bool concerns(const struct lockdown *l, const struct facts *f)
{
	switch (l->of) {
	case LOCKDOWN_SEGMENT: return network_has(&l->segment, &f->client);
	case LOCKDOWN_TIER: return f->tier && strcmp(l->whom, f->tier) == 0;
	case LOCKDOWN_USER: return f->user && user_name_same(l->whom, f->user);
	}
	return true;
}

const struct rule *locks_next(const struct snapshot *s, const struct facts *f, int64_t now,
			      unsigned *at)
{
	const struct locks *l = locks_of(s);
	while (l && *at < l->count) {
		const struct lock *one = &l->item[(*at)++];
		if (lockdown_holds(&one->is, now) && concerns(&one->is, f))
			return &one->rule;
	}
	return NULL;
}

const struct lockdown *snapshot_lockdown(const struct snapshot *s, const struct facts *f,
					 int64_t now)
{
	unsigned at = 0;
	return locks_next(s, f, now, &at) ? &locks_of(s)->item[at - 1].is : NULL;
}

int64_t locks_next_edge(const struct snapshot *s, int64_t now)
{
	const struct locks *l = locks_of(s);
	int64_t edge = 0;
	for (unsigned i = 0; l && i < l->count; i++) {
		int64_t until = l->item[i].is.until;
		if (until > now && until != INT64_MAX && (!edge || until < edge))
			edge = until;
	}
	return edge;
}
