#include "source/racer.h"

#include "base/clock.h"
#include "base/hash.h"
#include "source/conntrack.h"
#include "source/reply.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRSTS = 256, /* flows that began lately, by hash: a newer one takes the place */
	COPIES = 64,
	COPY_MAX = 2048, /* more is several in one packet, which have one entry */
	IP6_HEADER = 40,
};
#define RACE (3 * NS_PER_S) /* longer than a hello is held */

struct first {
	struct flow_key key;
	int64_t at; /* 0: none */
};

struct copy {
	uint64_t id;
	struct flow_key key;
	uint32_t len; /* 0: none */
	uint8_t bytes[COPY_MAX];
};

struct racers {
	struct conntrack_asker *asker;
	struct hash_key secret;
	struct first first[FIRSTS];
	unsigned count, next; /* copies that are here; the place of the next one */
	struct copy copy[COPIES];
};

struct racers *racers_open(void)
{
	struct racers *r = calloc(1, sizeof *r);
	if (r)
		r->asker = conntrack_asker_open();
	if (r && r->asker && hash_key_random(&r->secret))
		return r;
	racers_close(r);
	return NULL;
}

void racers_close(struct racers *r)
{
	if (r && r->asker)
		conntrack_asker_close(r->asker);
	free(r);
}

/* A whole datagram of UDP right behind its IP header, with hops to go. */
static bool is_plain(const struct arrival *a, struct packet *p)
{
	bool four = a->len && a->bytes[0] >> 4 == 4;
	if (a->len < IP6_HEADER || a->len > COPY_MAX || a->cut ||
	    a->bytes[four ? 9 : 6] != IPPROTO_UDP || a->bytes[four ? 8 : 7] < 2)
		return false;
	return packet_parse(a->bytes, a->len, p) == PACKET_OK && p->ip_len == a->len;
}

static struct first *place_of(struct racers *r, const struct flow_key *key)
{
	uint64_t words[5];
	memcpy(words, key->client.bytes, 16);
	memcpy(words + 2, key->server.bytes, 16);
	words[4] = (uint64_t)key->client_port << 16 | key->server_port;
	return &r->first[hash_words13(&r->secret, words, 5) % FIRSTS];
}

static bool same(const struct flow_key *a, const struct flow_key *b)
{
	return memcmp(a->client.bytes, b->client.bytes, 16) == 0 &&
	       memcmp(a->server.bytes, b->server.bytes, 16) == 0 &&
	       a->client_port == b->client_port && a->server_port == b->server_port;
}

static void keep(struct racers *r, const struct arrival *a, const struct flow_key *key)
{
	struct copy *c = &r->copy[r->next++ % COPIES];
	r->count += !c->len;
	c->id = a->id;
	c->key = *key;
	c->len = a->len;
	memcpy(c->bytes, a->bytes, a->len);
}

void racers_see(struct racers *r, const struct arrival *a)
{
	struct packet p;
	if (a->entry != ENTRY_NONE || a->kind != ARRIVAL_CLIENT || !is_plain(a, &p))
		return;
	const struct flow_key key = {p.src, p.dst, p.src_port, p.dst_port, p.transport};
	struct first *f = place_of(r, &key);
	if (f->at && a->now - f->at < RACE && same(&f->key, &key))
		keep(r, a, &key);
	else
		*f = (struct first){key, a->now};
}

static struct copy *find(const struct racers *r, uint64_t id)
{
	for (unsigned i = 0; r->count && i < COPIES; i++)
		if (r->copy[i].len && r->copy[i].id == id)
			return (struct copy *)&r->copy[i];
	return NULL;
}

bool racers_has(const struct racers *r, uint64_t id)
{
	return find(r, id);
}

bool racers_send(struct racers *r, uint64_t id, int raw4, int raw6)
{
	struct copy *c = find(r, id);
	bool sent = c && conntrack_leaves_elsewhere(r->asker, &c->key) &&
		    reply_forward(raw4, raw6, c->bytes, c->len);
	racers_drop(r, id);
	return sent;
}

void racers_drop(struct racers *r, uint64_t id)
{
	struct copy *c = find(r, id);
	if (!c)
		return;
	c->len = 0;
	r->count--;
}
