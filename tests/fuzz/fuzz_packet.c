/* An IP packet: what is answered must lie in the packet, and a cut one says no less. */
#include "packet/packet.h"
#include <stdlib.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const uint8_t *data, size_t size, const struct packet *p)
{
	require(!p->payload.bad);
	require(p->payload.pos <= p->payload.end);
	require(p->payload.pos >= data + p->ip_header_len);
	require(p->payload.end <= data + size && p->payload.end <= data + p->ip_len);
	require(p->ip_header_len >= 20);
	volatile uint8_t sum = 0;
	for (struct cursor c = p->payload; cursor_left(&c);)
		sum = (uint8_t)(sum + cursor_u8(&c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet whole, cut;
	enum packet_parse answer = packet_parse(data, size, &whole);
	if (answer != PACKET_MALFORMED) {
		check(data, size, &whole);
		require((answer == PACKET_FRAGMENT) ==
			(whole.fragment_offset || whole.fragment_more));
		require(packet_parse_cut(data, size, &cut) == answer);
		require(address_equal(&cut.src, &whole.src) &&
			address_equal(&cut.dst, &whole.dst) &&
			cursor_left(&cut.payload) == cursor_left(&whole.payload));
	} else if (packet_parse_cut(data, size, &cut) != PACKET_MALFORMED) {
		check(data, size, &cut);
	}
	return 0;
}
