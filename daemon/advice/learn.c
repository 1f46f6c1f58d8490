#include "advice/learn.h"

#include "base/array.h"
#include "base/clock.h"

#include <stdlib.h>

#define WINDOW     (10 * NS_PER_S)
#define CLIENTS    4096 /* a power of two; one that falls on another's place begins anew */
#define RECENT     32
#define CANDIDATES 16
#define OCCASIONS  3

struct node {
	uint32_t occasions;
	uint32_t with[CANDIDATES], count[CANDIDATES]; /* who was there at the first occasion */
	uint32_t candidates;
};

struct client {
	struct address address;
	struct {
		int64_t time;
		uint32_t node;
	} recent[RECENT];
	uint32_t met; /* the last is recent[(met - 1) % RECENT] */
};

struct learn {
	struct node nodes[LEARN_NODES];
	struct client clients[CLIENTS];
};

struct learn *learn_new(void)
{
	return must(calloc(1, sizeof(struct learn)));
}

void learn_free(struct learn *l)
{
	free(l);
}

static struct client *client_at(struct learn *l, const struct address *a)
{
	uint32_t h = 2166136261u;
	const uint8_t *bytes = (const uint8_t *)a;
	for (size_t i = 0; i < sizeof *a; i++)
		h = (h ^ bytes[i]) * 16777619u;
	struct client *c = &l->clients[(h ^ h >> 16) % CLIENTS];
	if (!address_equal(&c->address, a))
		*c = (struct client){.address = *a};
	return c;
}

static void count(struct node *n, uint32_t with)
{
	uint32_t i = 0;
	while (i < n->candidates && n->with[i] != with)
		i++;
	if (i == n->candidates) {
		if (n->occasions > 1 || i == CANDIDATES)
			return;
		n->with[n->candidates++] = with;
	}
	n->count[i]++;
}

void learn_seen(struct learn *l, const struct address *client, uint32_t node, int64_t time)
{
	struct client *c = client_at(l, client);
	uint32_t have = c->met < RECENT ? c->met : RECENT;
	for (uint32_t i = 0; i < have; i++)
		if (c->recent[i].node == node && time - c->recent[i].time <= WINDOW)
			return; /* of the same occasion */
	l->nodes[node].occasions++;
	for (uint32_t i = 0; i < have; i++)
		if (time - c->recent[i].time <= WINDOW)
			count(&l->nodes[node], c->recent[i].node);
	c->recent[c->met % RECENT].node = node;
	c->recent[c->met++ % RECENT].time = time;
}

uint32_t learn_companion(const struct learn *l, uint32_t node)
{
	const struct node *n = &l->nodes[node];
	uint32_t best = LEARN_NONE;
	for (uint32_t i = 0; i < n->candidates && n->occasions >= OCCASIONS; i++) {
		uint32_t with = l->nodes[n->with[i]].occasions;
		if (n->count[i] == n->occasions && 2 * n->count[i] >= with &&
		    (best == LEARN_NONE || with < l->nodes[best].occasions))
			best = n->with[i];
	}
	return best;
}
