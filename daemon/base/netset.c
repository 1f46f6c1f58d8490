/* A path-compressed binary trie (Patricia). A node without a value is a fork that two networks
 * needed; values beyond a node's first hang on a chain in the order in which they were added. */
#include "base/netset.h"

#include <stdbool.h>
#include <stdlib.h>

#define NO_NODE UINT32_MAX
#define NO_LINK UINT32_MAX

struct key {
	uint64_t high, low;
};

struct node {
	struct key key;
	uint32_t child[2];
	uint32_t first, last; /* links of its values */
	uint8_t bits;
};

struct link {
	uint32_t value, next;
};

struct netset {
	struct node *nodes;
	struct link *links;
	uint32_t root;
	uint32_t node_count, node_cap, link_count, link_cap;
};

static struct key key_of(const struct address *a)
{
	uint64_t words[2];
	memcpy(words, a->bytes, 16);
	return (struct key){__builtin_bswap64(words[0]), __builtin_bswap64(words[1])};
}

static unsigned bit_at(struct key k, unsigned bit)
{
	return bit < 64 ? k.high >> (63 - bit) & 1 : k.low >> (127 - bit) & 1;
}

/* How many leading bits two keys share. */
static unsigned shared(struct key a, struct key b)
{
	if (a.high != b.high)
		return (unsigned)__builtin_clzll(a.high ^ b.high);
	if (a.low != b.low)
		return 64 + (unsigned)__builtin_clzll(a.low ^ b.low);
	return 128;
}

struct netset *netset_new(void)
{
	struct netset *s = calloc(1, sizeof *s);
	if (s)
		s->root = NO_NODE;
	return s;
}

void netset_free(struct netset *s)
{
	if (!s)
		return;
	free(s->nodes);
	free(s->links);
	free(s);
}

static bool reserve(void **items, uint32_t count, uint32_t *cap, uint32_t more, size_t size)
{
	if (count + more <= *cap)
		return true;
	uint32_t want = *cap ? *cap * 2 : 16;
	void *grown = reallocarray(*items, want, size);
	if (!grown)
		return false;
	*items = grown;
	*cap = want;
	return true;
}

static uint32_t node_add(struct netset *s, struct key key, unsigned bits)
{
	s->nodes[s->node_count] = (struct node){
		.key = key,
		.child = {NO_NODE, NO_NODE},
		.first = NO_LINK,
		.last = NO_LINK,
		.bits = (uint8_t)bits,
	};
	return s->node_count++;
}

/* The node of exactly this network, made where it is missing; room for two nodes is there. */
static uint32_t node_at(struct netset *s, struct key key, unsigned bits)
{
	uint32_t *at = &s->root;
	while (*at != NO_NODE) {
		struct node *n = &s->nodes[*at];
		unsigned same = shared(key, n->key);
		if (same > bits)
			same = bits;
		if (same >= n->bits) {
			if (n->bits == bits)
				return *at;
			at = &n->child[bit_at(key, n->bits)];
			continue;
		}
		uint32_t below = *at, fork = node_add(s, key, same);
		*at = fork;
		s->nodes[fork].child[bit_at(s->nodes[below].key, same)] = below;
		if (same == bits)
			return fork;
		at = &s->nodes[fork].child[bit_at(key, same)];
	}
	return *at = node_add(s, key, bits);
}

bool netset_add(struct netset *s, const struct network *n, uint32_t value)
{
	if (!reserve((void **)&s->nodes, s->node_count, &s->node_cap, 2, sizeof *s->nodes) ||
	    !reserve((void **)&s->links, s->link_count, &s->link_cap, 1, sizeof *s->links))
		return false;
	struct node *node = &s->nodes[node_at(s, key_of(&n->base), n->bits)];
	uint32_t link = s->link_count++;
	s->links[link] = (struct link){value, NO_LINK};
	if (node->first == NO_LINK)
		node->first = link;
	else
		s->links[node->last].next = link;
	node->last = link;
	return true;
}

/* The node below `from` (or the root) that holds the key, or NULL. */
static const struct node *step(const struct netset *s, const struct node *from, struct key key)
{
	uint32_t at = s->root;
	if (from) {
		if (from->bits == 128)
			return NULL;
		at = from->child[bit_at(key, from->bits)];
	}
	if (at == NO_NODE || shared(key, s->nodes[at].key) < s->nodes[at].bits)
		return NULL;
	return &s->nodes[at];
}

/* The shortest network that can hold an address: IPv4 lies below ::ffff:0:0/96, and a network of
 * IPv6 that is wider holds none of it. */
static unsigned widest(const struct address *a)
{
	return address_is4(a) ? 96 : 0;
}

uint32_t netset_find(const struct netset *s, const struct address *a)
{
	struct key key = key_of(a);
	unsigned least = widest(a);
	uint32_t found = NETSET_NONE;
	for (const struct node *n = step(s, NULL, key); n; n = step(s, n, key))
		if (n->first != NO_LINK && n->bits >= least)
			found = s->links[n->first].value;
	return found;
}

size_t netset_all(const struct netset *s, const struct address *a, uint32_t *values, size_t max)
{
	struct key key = key_of(a);
	size_t count = 0;
	for (const struct node *n = step(s, NULL, key); n; n = step(s, n, key))
		for (uint32_t l = n->bits < widest(a) ? NO_LINK : n->first; l != NO_LINK;
		     l = s->links[l].next, count++)
			if (count < max)
				values[count] = s->links[l].value;
	return count;
}
