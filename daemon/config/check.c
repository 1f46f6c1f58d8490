#include "config/load.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[REF_COUNT] = {"tier", "site", "schedule"};

static int by_name(const void *a, const void *b)
{
	const struct named *x = *(const struct named *const *)a;
	const struct named *y = *(const struct named *const *)b;
	int order = strcmp(x->name, y->name);
	return order ? order : x < y ? -1 : x > y;
}

/* Pointers into names, sorted; equal names in the order of reading. Owned by the caller. */
static const struct named **index_of(const struct names *n)
{
	const struct named **index = must(calloc(n->count + 1, sizeof *index));
	for (size_t i = 0; i < n->count; i++)
		index[i] = &n->item[i];
	qsort(index, n->count, sizeof *index, by_name);
	return index;
}

static void check_twice(struct loader *l, enum ref_kind kind, const struct named **index)
{
	const struct named *first = index[0];
	for (size_t i = 1; i < l->given[kind].count; i++) {
		if (strcmp(index[i]->name, first->name) != 0) {
			first = index[i];
			continue;
		}
		complain(l, index[i]->place.file, index[i]->place.line,
			 "%s \"%s\" is there already, at %s:%d; give it another name", kinds[kind],
			 first->name, first->place.file, first->place.line);
	}
}

static bool is_given(const struct named **index, size_t count, const char *name)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(index[middle]->name, name);
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void dangling(struct loader *l, enum ref_kind kind, const struct named **index,
		     const struct named *used)
{
	char text[1024], plural[16];
	struct buf b = BUF_OF(text);
	size_t count = l->given[kind].count;
	const char **names = must(calloc(count + 1, sizeof *names));
	for (size_t i = 0; i < count; i++)
		names[i] = index[i]->name;
	snprintf(plural, sizeof plural, "%ss", kinds[kind]);
	suggest(used->name, names, count, plural, &b);
	complain(l, used->place.file, used->place.line, "there is no %s \"%.60s\"; %s", kinds[kind],
		 used->name, text);
	free(names);
}

static void check_names(struct loader *l)
{
	for (enum ref_kind kind = 0; kind < REF_COUNT; kind++) {
		const struct named **index = index_of(&l->given[kind]);
		const struct names *used = &l->used[kind];
		check_twice(l, kind, index);
		for (size_t i = 0; i < used->count && !l->incomplete; i++)
			if (!is_given(index, l->given[kind].count, used->item[i].name))
				dangling(l, kind, index, &used->item[i]);
		free(index);
	}
}

static size_t tier_index(const struct config *c, const char *name)
{
	size_t i = 0;
	while (i < c->tier_count && (!c->tiers[i].name || strcmp(c->tiers[i].name, name) != 0))
		i++;
	return i;
}

/* Depth first; 1: on the way down, 2: done. True where the way came back to itself. */
static bool loops(const struct config *c, size_t tier, uint8_t *state)
{
	if (tier == c->tier_count || state[tier] == 2)
		return false;
	if (state[tier] == 1)
		return true;
	state[tier] = 1;
	bool found = false;
	for (size_t i = 0; i < c->tiers[tier].includes.count; i++)
		found |= loops(c, tier_index(c, c->tiers[tier].includes.item[i]), state);
	state[tier] = 2;
	return found;
}

static void check_loops(struct loader *l)
{
	const struct config *c = l->c;
	uint8_t *state = must(calloc(c->tier_count + 1, 1));
	for (size_t i = 0; i < c->tier_count; i++)
		if (loops(c, i, state))
			complain(l, c->tiers[i].place.file, c->tiers[i].place.line,
				 "tier \"%s\" includes itself, or others that include it; take one "
				 "out",
				 c->tiers[i].name ? c->tiers[i].name : "");
	free(state);
}

static int by_network(const void *a, const void *b)
{
	const struct config_segment *x = *(const struct config_segment *const *)a;
	const struct config_segment *y = *(const struct config_segment *const *)b;
	int order = memcmp(&x->network, &y->network, sizeof x->network);
	return order ? order : x < y ? -1 : x > y;
}

static bool within(const struct network *inner, const struct network *outer)
{
	return outer->bits <= inner->bits && network_has(outer, &inner->base);
}

/* Segments may overlap, and who reads them may not know which counts. Sorted, a network follows
 * those that hold it; one is told of. */
static void note_overlaps(struct loader *l, const struct config_segment **order, size_t count)
{
	size_t overlaps = 0, inner = 0, outer = 0;
	for (size_t i = 1, around = 0; i < count; i++) {
		while (around > 0 && !within(&order[i]->network, &order[around]->network))
			around--;
		if (within(&order[i]->network, &order[around]->network) && order[i]->tier &&
		    order[around]->tier && strcmp(order[i]->tier, order[around]->tier) != 0 &&
		    overlaps++ == 0)
			inner = i, outer = around;
		if (!within(&order[i]->network, &order[around]->network) ||
		    order[i]->network.bits > order[around]->network.bits)
			around = i;
	}
	if (overlaps)
		errors_add(
			&l->c->notes, order[inner]->place.file, order[inner]->place.line,
			"the segment lies in that of %s:%d, which has another tier (%zu such): the "
			"longest network that holds an address counts",
			order[outer]->place.file, order[outer]->place.line, overlaps);
}

static void check_segments(struct loader *l)
{
	const struct config *c = l->c;
	const struct config_segment **order = must(calloc(c->segment_count + 1, sizeof *order));
	for (size_t i = 0; i < c->segment_count; i++)
		order[i] = &c->segments[i];
	qsort(order, c->segment_count, sizeof *order, by_network);
	for (size_t i = 1; i < c->segment_count; i++) {
		const struct config_segment *s = order[i], *first = order[i - 1];
		static const struct network unread;
		if (memcmp(&s->network, &first->network, sizeof s->network) == 0 &&
		    memcmp(&s->network, &unread, sizeof unread) != 0)
			complain(l, s->place.file, s->place.line,
				 "the network is there already, at %s:%d; give it one tier",
				 first->place.file, first->place.line);
	}
	note_overlaps(l, order, c->segment_count);
	free(order);
}

static int by_key(const struct config_host *x, const struct config_host *y)
{
	int order = memcmp(&x->address, &y->address, sizeof x->address);
	return order ? order : memcmp(x->mac, y->mac, sizeof x->mac);
}

static int by_host(const void *a, const void *b)
{
	const struct config_host *x = *(const struct config_host *const *)a;
	const struct config_host *y = *(const struct config_host *const *)b;
	int order = by_key(x, y);
	return order ? order : x < y ? -1 : x > y;
}

static void check_hosts(struct loader *l)
{
	const struct config *c = l->c;
	const struct config_host **order = must(calloc(c->host_count + 1, sizeof *order));
	static const struct config_host unread;
	for (size_t i = 0; i < c->host_count; i++) {
		order[i] = &c->hosts[i];
		if (order[i]->has_address == order[i]->has_mac)
			complain(l, order[i]->place.file, order[i]->place.line,
				 "a host has one of address and mac; write address = \"10.9.0.7\" "
				 "or "
				 "mac = \"02:00:5e:10:00:07\"");
	}
	qsort(order, c->host_count, sizeof *order, by_host);
	for (size_t i = 1; i < c->host_count; i++) {
		const struct config_host *h = order[i], *first = order[i - 1];
		if (by_key(h, first) == 0 && by_key(h, &unread) != 0)
			complain(l, h->place.file, h->place.line,
				 "the host is there already, at %s:%d; give it one user",
				 first->place.file, first->place.line);
	}
	free(order);
}

static void check_excepted(struct loader *l, const struct config_schedule *s, const char *key,
			   const char *name)
{
	const struct config *c = l->c;
	for (size_t k = 0; k < c->schedule_count; k++) {
		const struct config_schedule *other = &c->schedules[k];
		if (!other->name || strcmp(other->name, name) != 0)
			continue;
		if (other->not_within || other->except.count || other->except_dates.days ||
		    other->except_dates.times)
			complain(l, s->place.file, s->place.line,
				 "%s = \"%s\", which has %s of its own; name a schedule "
				 "without",
				 key, name, other->not_within ? "a `not`" : "an `except`");
	}
}

/* One level, so that it can be read, and leads to no circle. */
static void check_schedules(struct loader *l)
{
	for (size_t i = 0; i < l->c->schedule_count; i++) {
		const struct config_schedule *s = &l->c->schedules[i];
		struct span span;
		bool timed;
		if (s->name && dates_parse(s->name, &span, &timed))
			complain(l, s->place.file, s->place.line,
				 "name = \"%s\" reads as a date; write a name that does not",
				 s->name);
		if (s->not_within)
			check_excepted(l, s, "not", s->not_within);
		for (size_t k = 0; k < s->except.count; k++)
			check_excepted(l, s, "except", s->except.item[k]);
	}
}

static void check_rows(struct loader *l)
{
	const struct config *c = l->c;
	for (size_t i = 0; i < c->site_count; i++)
		if (!c->sites[i].count)
			complain(l, c->sites[i].place.file, c->sites[i].place.line,
				 "a site without hosts; write lists = [ \"file.sites\" ] or "
				 "hosts = [ \"example.org\" ]");
	for (size_t i = 0; i < c->deny_count; i++)
		if (c->deny[i].evidence || c->deny[i].mismatch)
			complain(l, c->deny[i].place.file, c->deny[i].place.line,
				 "a deny line holds however the destination is known; take "
				 "evidence and "
				 "mismatch out");
	for (size_t i = 0; i < c->deny_count; i++)
		if (c->deny[i].quota.amount)
			complain(l, c->deny[i].place.file, c->deny[i].place.line,
				 "a deny line has no quota; give it to the allow line");
	for (size_t i = 0; i < c->allow_count; i++)
		if (c->allow[i].mode == CONFIG_LINE_OBSERVE)
			complain(l, c->allow[i].place.file, c->allow[i].place.line,
				 "mode = \"observe\" in an allow line, which would allow nothing; "
				 "leave the line out and ask `tiergatectl try` what it would "
				 "allow");
	for (size_t i = 0; i < c->expect_count; i++)
		if (!c->expects[i].tier == !c->expects[i].has_from)
			complain(
				l, c->expects[i].place.file, c->expects[i].place.line,
				"an expectation has one of tier and from; write tier = \"name\" or "
				"from = \"address\"");
}

static int line_of(const struct loader *l, const char *option)
{
	return l->lines[table_find(&schema_main, option) - schema_main.options];
}

/* A default that another option gives is one that could be written. */
static uint32_t within_bound(const char *name, uint32_t value)
{
	const struct option *o = table_find(table_find(&schema_main, "bounds")->table, name);
	return value < o->min ? (uint32_t)o->min : value > o->max ? (uint32_t)o->max : value;
}

/* What is held lies in a queue: all of it together must not fill one. */
static void check_bounds(struct loader *l)
{
	struct config *c = l->c;
	if (c->queue_length == 0)
		return; /* was wrong, and is reported */
	if (c->held == 0)
		c->held = within_bound("held", c->queue_length / 4);
	if (c->held_per_client == 0)
		c->held_per_client = within_bound("held_per_client", c->held / 16);
	if (c->held > c->queue_length / 2)
		complain(l, l->file, line_of(l, "bounds"),
			 "held = %u with queue_length = %u; write at most half of that", c->held,
			 c->queue_length);
	if (c->held_per_client > c->held)
		complain(l, l->file, line_of(l, "bounds"),
			 "held_per_client = %u with held = %u; write at most that",
			 c->held_per_client, c->held);
}

static void check_settings(struct loader *l, enum config_use use)
{
	struct config *c = l->c;
	if (use >= CONFIG_FOR_RUN && !c->inside.count)
		complain(l, l->file, line_of(l, "inside"),
			 "inside names no interface; write inside = [ \"lan0\" ]");
	if (c->on_deny == CONFIG_REDIRECT && !c->portal[0].port && !c->portal[1].port)
		complain(l, l->file, line_of(l, "on_deny"),
			 "on_deny = \"redirect\" without portal; write portal = \"10.0.0.1:80\"");
	if (c->mode == CONFIG_OBSERVE && c->audit == CONFIG_AUDIT_STRICT)
		complain(l, l->file, line_of(l, "audit"),
			 "audit = \"strict\" denies, mode = \"observe\" denies nothing; write "
			 "audit = \"normal\"");
	if (c->mode == CONFIG_OBSERVE && !line_of(l, "when_down"))
		c->when_down = CONFIG_OPEN;
	if (c->mode == CONFIG_OBSERVE && !line_of(l, "when_full"))
		c->when_full = CONFIG_OPEN;
	check_bounds(l);
}

void config_check(struct loader *l, enum config_use use)
{
	if (!l->incomplete)
		check_settings(l, use);
	check_names(l);
	check_loops(l);
	check_segments(l);
	check_hosts(l);
	check_schedules(l);
	check_rows(l);
}
