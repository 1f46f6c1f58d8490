#include "dns/question.h"
#include "base/clock.h"
#include "dns/intern.h"
#include "packet/owned.h"

#include <stdlib.h>
#include <sys/random.h>

#define LIFE  (30 * NS_PER_S)
#define SHARE 8 /* a host has an eighth */

/* A question is known by its print, a hash keyed with a secret of this process: nobody who does not
 * know the key can make two questions of one print. 0: the slot is free. */
struct slot {
	uint64_t print;
	int64_t asked;
	uint32_t chain; /* next slot of the bucket, + 1 */
};

/* Buckets lead to the slots. */
struct questions {
	uint64_t seed[2];
	uint32_t mask;
	struct owned *owned;
	struct slot *slot;
	uint32_t *bucket; /* slot + 1 */
};

struct questions *questions_new(uint32_t size)
{
	struct questions *q = calloc(1, sizeof *q);
	if (!q)
		return NULL;
	uint32_t slots = 1;
	while (slots < size && slots < 1u << 31)
		slots *= 2;
	q->mask = slots - 1;
	q->slot = calloc(slots, sizeof *q->slot);
	q->bucket = calloc(slots, sizeof *q->bucket);
	q->owned = owned_new(slots, slots / SHARE);
	if (q->slot && q->bucket && q->owned &&
	    getrandom(q->seed, sizeof q->seed, 0) == sizeof q->seed)
		return q;
	questions_free(q);
	return NULL;
}

void questions_free(struct questions *q)
{
	if (!q)
		return;
	owned_free(q->owned);
	free(q->slot);
	free(q->bucket);
	free(q);
}

static uint64_t print_of(const struct questions *q, const struct dns_peers *peers,
			 const struct dns_message *m)
{
	uint64_t words[5 + 32], *name = words + 5;
	size_t name_words = (m->question.len + 7u) / 8;
	memcpy(words, &peers->client, 16);
	memcpy(words + 2, &peers->resolver, 16);
	words[4] = (uint64_t)peers->client_port << 48 | (uint64_t)m->id << 32 |
		   (uint64_t)m->type << 16 | (uint64_t)m->question.len << 8 | peers->transport;
	if (name_words)
		name[name_words - 1] = 0; /* what the copy leaves of the last word */
	memcpy(name, m->question.text, m->question.len);
	uint64_t print = hash_words(q->seed, words, 5 + name_words, 0);
	return print + !print;
}

/* The link that leads to the slot with this print, or the end of its chain. */
static uint32_t *find(struct questions *q, uint64_t print)
{
	uint32_t *link = &q->bucket[print & q->mask];
	while (*link && q->slot[*link - 1].print != print)
		link = &q->slot[*link - 1].chain;
	return link;
}

static void drop(struct questions *q, uint32_t *link)
{
	struct slot *s = &q->slot[*link - 1];
	*link = s->chain;
	s->print = 0;
}

void question_add(struct questions *q, const struct host_key *host, const struct dns_peers *peers,
		  const struct dns_message *m, int64_t now)
{
	uint64_t print = print_of(q, peers, m);
	uint32_t *link = find(q, print);
	bool evicted;
	if (*link) { /* asked again */
		q->slot[*link - 1].asked = now;
		owned_touch(q->owned, *link - 1);
		return;
	}
	uint32_t i = owned_take(q->owned, host, &evicted);
	if (evicted)
		drop(q, find(q, q->slot[i].print));
	uint32_t *bucket = &q->bucket[print & q->mask];
	q->slot[i] = (struct slot){print, now, *bucket};
	*bucket = i + 1;
}

bool question_take(struct questions *q, const struct dns_peers *peers, const struct dns_message *m,
		   int64_t now)
{
	uint32_t *link = find(q, print_of(q, peers, m));
	if (!*link)
		return false;
	uint32_t i = *link - 1;
	bool fresh = now - q->slot[i].asked <= LIFE;
	drop(q, link);
	owned_give(q->owned, i);
	return fresh;
}
