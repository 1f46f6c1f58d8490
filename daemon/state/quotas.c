#include "state/encode.h"
#include "state/state.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

#define KIND    "quotas"
#define VERSION 2 /* 1: without what was used before the clock was set back */
#define LOST    "quotas-lost"

static void put_account(FILE *to, const struct usage_memory *m)
{
	put_u64(to, m->account.id);
	put_text(to, m->account.who.user);
	put_u64(to, m->account.who.host.word[0]);
	put_u64(to, m->account.who.host.word[1]);
	put_u64(to, (uint64_t)m->start);
	put_u64(to, (uint64_t)m->end);
	put_u64(to, m->used);
	put_u64(to, (uint64_t)m->minute);
	put_u64(to, m->moved);
	put_u64(to, (uint64_t)m->before);
	put_u64(to, m->used_before);
}

static void take_account(struct cursor *c, uint32_t version, struct usage_memory *m)
{
	memset(m, 0, sizeof *m); /* zeros behind the text */
	m->account.id = cursor_u64(c);
	take_text(c, m->account.who.user, sizeof m->account.who.user);
	m->account.who.host.word[0] = cursor_u64(c);
	m->account.who.host.word[1] = cursor_u64(c);
	m->start = (int64_t)cursor_u64(c);
	m->end = (int64_t)cursor_u64(c);
	m->used = cursor_u64(c);
	m->minute = (int64_t)cursor_u64(c);
	m->moved = cursor_u64(c);
	if (version == 1)
		return;
	m->before = (int64_t)cursor_u64(c);
	m->used_before = cursor_u64(c);
}

static void put_flow(FILE *to, const struct flow_key *k, uint32_t account, uint64_t seen)
{
	put_address(to, &k->client);
	put_address(to, &k->server);
	put_u16(to, k->client_port);
	put_u16(to, k->server_port);
	put_u8(to, k->transport);
	put_u32(to, account);
	put_u64(to, seen);
}

static uint64_t take_flow(struct cursor *c, struct flow_key *k, uint32_t *account)
{
	memset(k, 0, sizeof *k);
	take_address(c, &k->client);
	take_address(c, &k->server);
	k->client_port = cursor_u16(c);
	k->server_port = cursor_u16(c);
	k->transport = cursor_u8(c);
	*account = cursor_u32(c);
	return cursor_u64(c);
}

/* Of the flows what was counted already is kept in the same file: none counts twice, or not. */
int state_save_quotas(struct store *to, const struct usage *u, struct meter *m)
{
	struct usage_memory account;
	struct flow_key key;
	uint32_t slot = 0, number, n = 0;
	uint64_t seen;
	struct blob b;
	if (!blob_open(&b))
		return -ENOMEM;
	while (usage_each(u, &slot, &number, &account)) {
		put_u32(b.to, number);
		put_account(b.to, &account);
		n++;
	}
	put_u32(b.to, USAGE_NONE);
	for (slot = 0; m && meter_each(m, &slot, &key, &number, &seen);)
		put_flow(b.to, &key, number, seen);
	return blob_save(&b, to, KIND, VERSION);
}

struct renumbered {
	uint32_t then, now;
};

static int by_then(const void *a, const void *b)
{
	uint32_t x = ((const struct renumbered *)a)->then, y = ((const struct renumbered *)b)->then;
	return (x > y) - (x < y);
}

static void load_flows(struct cursor *c, struct usage *u, struct meter *m, int64_t now,
		       struct renumbered *list, size_t count)
{
	struct flow_key key;
	qsort(list, count, sizeof *list, by_then);
	while (cursor_left(c)) {
		struct renumbered which = {0};
		uint64_t seen = take_flow(c, &key, &which.then);
		const struct renumbered *r =
			count ? bsearch(&which, list, count, sizeof *list, by_then) : NULL;
		if (!c->bad && r && m && meter_restore(m, &key, r->now, seen, now))
			usage_hold_again(u, r->now);
	}
}

unsigned state_load_quotas(struct store *from, struct usage *u, struct meter *m, int64_t now,
			   bool *lost)
{
	struct cursor c;
	int64_t shift; /* of another clock than theirs */
	uint32_t version = from->ops->version(from, KIND) == 1 ? 1 : VERSION;
	char *bytes = blob_load(from, KIND, version, &c, &shift);
	struct usage_memory account;
	struct renumbered *list = calloc(cursor_left(&c) / 60 + 1, sizeof *list);
	unsigned count = 0;
	while (bytes && list && !c.bad) {
		uint32_t then = cursor_u32(&c);
		if (c.bad || then == USAGE_NONE)
			break;
		take_account(&c, version, &account);
		uint32_t number = c.bad ? USAGE_NONE : usage_restore(u, &account);
		if (number != USAGE_NONE)
			list[count++] = (struct renumbered){then, number};
	}
	if (bytes && list)
		load_flows(&c, u, m, now, list, count);
	*lost = c.bad || (bytes && !list);
	if (*lost)
		log_error("the state of quotas can't be read: what was used of them may be had "
			  "again, until they begin anew");
	free(list);
	free(bytes);
	return count;
}

int state_save_quotas_lost(struct store *to, int64_t until)
{
	struct blob b;
	if (!blob_open(&b))
		return -ENOMEM;
	put_u64(b.to, (uint64_t)until);
	return blob_save(&b, to, LOST, 1);
}

int64_t state_load_quotas_lost(struct store *from)
{
	struct cursor c;
	int64_t shift; /* of another clock than the wall's */
	char *bytes = blob_load(from, LOST, 1, &c, &shift);
	int64_t until = bytes ? (int64_t)cursor_u64(&c) : 0;
	free(bytes);
	return c.bad ? 0 : until;
}
