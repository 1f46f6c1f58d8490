/* The input is a datagram of the kernel's: every message of it as an entry of conntrack, and every
 * attribute as one that holds others. What was read lies in the datagram, and a walk ends. */
#include "base/netlink.h"
#include "source/conntrack_message.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 6 };

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void inside(struct cursor part, struct cursor whole)
{
	require(part.bad ||
		(part.pos >= whole.pos && part.pos <= part.end && part.end <= whole.end));
}

static void walk(struct cursor c, int depth)
{
	struct netlink_attribute a;
	struct cursor whole = c;
	size_t left = cursor_left(&c), steps = left / 4 + 1;
	uint32_t number;
	while (depth && netlink_attribute(&c, &a)) {
		require(steps-- > 0 && cursor_left(&c) < left);
		left = cursor_left(&c);
		inside(a.value, whole);
		inside(netlink_child(whole, a.type), whole);
		require(netlink_u32(a.value, &number) == (cursor_left(&a.value) == 4));
		require(netlink_be32(a.value, &number) == (cursor_left(&a.value) == 4));
		walk(a.value, depth - 1);
	}
}

static void as_entry(struct cursor body)
{
	struct conntrack_message m;
	conntrack_message_read(body, &m);
	inside(m.tuple, body);
	if (m.has_key)
		require(!m.tuple.bad && address_is4(&m.key.client) == address_is4(&m.key.server));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1); /* of its size: a byte more is seen */
	struct netlink_message m;
	require(copy);
	if (size)
		memcpy(copy, data, size);
	struct cursor all = cursor_of(copy, size), datagram = all;
	size_t left = size;
	while (netlink_next(&datagram, &m)) {
		require(cursor_left(&datagram) < left);
		left = cursor_left(&datagram);
		inside(m.body, all);
		require(netlink_error(&m) <= 0);
		as_entry(m.body);
		if (cursor_left(&m.body) >= 4)
			cursor_skip(&m.body, 4);
		walk(m.body, DEPTH);
	}
	free(copy);
	return 0;
}
