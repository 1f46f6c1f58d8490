/* digest: SHA-256 over what makes a policy the policy that it is. Each value goes in with its
 * length or width, so that no two policies give the same bytes. Places of lines count, since
 * records name them; comments, owners and notes do not. */
#include "config/schema.h"
#include "config/value.h"
#include "policy/compiled.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void number(struct sha256_ctx *ctx, uint64_t value)
{
	uint8_t bytes[8];
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
	sha256_update(ctx, sizeof bytes, bytes);
}

static void bytes(struct sha256_ctx *ctx, const void *data, size_t len)
{
	number(ctx, len);
	sha256_update(ctx, len, data);
}

static void text(struct sha256_ctx *ctx, const char *s)
{
	number(ctx, s != NULL);
	if (s)
		bytes(ctx, s, strlen(s));
}

static void texts(struct sha256_ctx *ctx, const struct strings *s)
{
	number(ctx, s->count);
	for (size_t i = 0; i < s->count; i++)
		text(ctx, s->item[i]);
}

static void network(struct sha256_ctx *ctx, const struct network *n)
{
	bytes(ctx, n->base.bytes, sizeof n->base.bytes);
	number(ctx, n->bits);
}

static void networks(struct sha256_ctx *ctx, const struct networks *n)
{
	number(ctx, n->count);
	for (size_t i = 0; i < n->count; i++)
		network(ctx, &n->item[i]);
}

static void tiers(struct sha256_ctx *ctx, const struct config *c)
{
	number(ctx, c->tier_count);
	for (size_t i = 0; i < c->tier_count; i++) {
		const struct config_tier *t = &c->tiers[i];
		text(ctx, t->name);
		texts(ctx, &t->includes);
		number(ctx, t->evidence);
		number(ctx, t->mismatch);
		number(ctx, (uint64_t)t->idle);
		number(ctx, (uint64_t)t->absolute);
		if (t->mode) /* without: as it was before tiers had one */
			text(ctx, "observe");
	}
	number(ctx, c->segment_count);
	for (size_t i = 0; i < c->segment_count; i++) {
		network(ctx, &c->segments[i].network);
		text(ctx, c->segments[i].tier);
	}
	if (c->host_count) { /* without: as it was before there were hosts */
		text(ctx, "hosts");
		number(ctx, c->host_count);
	}
	for (size_t i = 0; i < c->host_count; i++) {
		const struct config_host *h = &c->hosts[i];
		number(ctx, h->has_mac);
		bytes(ctx, h->has_mac ? h->mac : h->address.bytes, h->has_mac ? 6 : 16);
		text(ctx, h->user);
		text(ctx, h->tier);
	}
}

static void dates(struct sha256_ctx *ctx, const char *what, const struct config_dates *d)
{
	text(ctx, what);
	number(ctx, d->days);
	for (size_t i = 0; i < d->days; i++) {
		number(ctx, (uint64_t)d->day[i].from);
		number(ctx, (uint64_t)d->day[i].to);
	}
	number(ctx, d->times);
	for (size_t i = 0; i < d->times; i++) {
		number(ctx, (uint64_t)d->time[i].from);
		number(ctx, (uint64_t)d->time[i].to);
	}
}

static void schedules(struct sha256_ctx *ctx, const struct config *c)
{
	number(ctx, c->schedule_count);
	for (size_t i = 0; i < c->schedule_count; i++) {
		const struct config_schedule *s = &c->schedules[i];
		text(ctx, s->name);
		text(ctx, s->zone);
		number(ctx, s->days);
		number(ctx, s->hours[0].from);
		number(ctx, s->hours[0].to);
		if (s->not_within) /* without: as it was before there was `not`, and so below */
			text(ctx, s->not_within);
		for (size_t k = 1; k < s->hours_count; k++) {
			text(ctx, "hours");
			number(ctx, s->hours[k].from);
			number(ctx, s->hours[k].to);
		}
		if (s->dated)
			dates(ctx, "dates", &s->dates);
		if (s->except.count) {
			text(ctx, "except");
			texts(ctx, &s->except);
		}
		if (s->except_dates.days || s->except_dates.times)
			dates(ctx, "not on", &s->except_dates);
	}
}

static void list(struct sha256_ctx *ctx, const struct site_list *l)
{
	number(ctx, l->count);
	for (size_t i = 0; i < l->count; i++) {
		const struct site_entry *e = l->item[i];
		number(ctx, e->kind + (e->shared ? 16 : 0));
		if (e->kind == SITE_NETWORK)
			network(ctx, &e->network);
		else
			bytes(ctx, e->host.text, e->host.len);
	}
}

static void sites(struct sha256_ctx *ctx, const struct config *c)
{
	number(ctx, c->site_count);
	for (size_t i = 0; i < c->site_count; i++) {
		text(ctx, c->sites[i].name);
		number(ctx, c->sites[i].count);
		for (size_t l = 0; l < c->sites[i].count; l++)
			list(ctx, &c->sites[i].list[l]);
	}
}

static void quota(struct sha256_ctx *ctx, const struct config_quota *q)
{
	char words[160] = "";
	struct buf b = BUF_OF(words);
	if (!q->amount) /* without: as it was before there were quotas */
		return;
	quota_format(q, &b);
	text(ctx, "quota");
	text(ctx, words);
}

static void lines(struct sha256_ctx *ctx, const struct config_line *lines, size_t count)
{
	number(ctx, count);
	for (size_t i = 0; i < count; i++) {
		const struct config_line *l = &lines[i];
		text(ctx, l->place.file);
		number(ctx, (uint64_t)l->place.line);
		texts(ctx, &l->tiers);
		texts(ctx, &l->sites);
		if (l->except.count) { /* without: as it was before there was `except` */
			text(ctx, "except");
			texts(ctx, &l->except);
		}
		if (l->mode == CONFIG_LINE_OBSERVE)
			text(ctx, "observe");
		number(ctx, l->port_count);
		for (size_t k = 0; k < l->port_count; k++) {
			number(ctx, l->ports[k].transport);
			number(ctx, l->ports[k].first);
			number(ctx, l->ports[k].last);
		}
		text(ctx, l->when);
		number(ctx, l->evidence);
		number(ctx, l->mismatch);
		number(ctx, (uint64_t)l->expires);
		quota(ctx, &l->quota);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In whatever order they are written. */
static void text_set(struct sha256_ctx *ctx, const struct strings *s)
{
	char **sorted = calloc(s->count + 1, sizeof *sorted);
	number(ctx, s->count);
	if (!sorted) {
		texts(ctx, s);
		return;
	}
	if (s->count)
		memcpy(sorted, s->item, s->count * sizeof *sorted);
	qsort(sorted, s->count, sizeof *sorted, by_text);
	for (size_t i = 0; i < s->count; i++)
		text(ctx, sorted[i]);
	free(sorted);
}

uint64_t digest_quota(const struct config_line *l)
{
	struct config_quota q = l->quota;
	struct sha256_ctx ctx;
	uint64_t id;
	sha256_init(&ctx);
	text_set(&ctx, &l->tiers);
	text_set(&ctx, &l->sites);
	text_set(&ctx, &l->except);
	struct config_port *sorted = line_ports_sorted(l);
	const struct config_port *ports = sorted ? sorted : l->ports;
	number(&ctx, l->port_count);
	for (size_t i = 0; i < l->port_count; i++) {
		number(&ctx, ports[i].transport);
		number(&ctx, ports[i].first);
		number(&ctx, ports[i].last);
	}
	free(sorted);
	text(&ctx, l->when);
	q.amount = 1;
	quota(&ctx, &q);
	sha256_digest(&ctx, sizeof id, (uint8_t *)&id);
	return id;
}

static void setting(struct sha256_ctx *ctx, const struct option *o, const struct config *c)
{
	switch (o->type) {
	case OPTION_NETWORKS: networks(ctx, option_member(o, c)); break;
	case OPTION_WORD: number(ctx, (uint64_t)option_word(o, c)); break;
	case OPTION_DURATION: number(ctx, *(const uint64_t *)option_member(o, c)); break;
	default: abort(); /* a row of schema.c that asks for more than there is here */
	}
}

void digest_make(const struct config *c, char out[static 17])
{
	struct sha256_ctx ctx;
	uint8_t digest[SHA256_DIGEST_SIZE];
	sha256_init(&ctx);
	text(&ctx, "tiergate policy 1");
	for (size_t i = 0; i < schema_main.count; i++)
		if (schema_main.options[i].in_digest)
			setting(&ctx, &schema_main.options[i], c);
	tiers(&ctx, c);
	schedules(&ctx, c);
	sites(&ctx, c);
	lines(&ctx, c->allow, c->allow_count);
	lines(&ctx, c->deny, c->deny_count);
	sha256_digest(&ctx, sizeof digest, digest);
	for (int i = 0; i < 8; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}
