#include "advice/range.h"

static bool bit_of(const struct address *a, unsigned bit)
{
	return a->bytes[bit / 8] & 0x80 >> bit % 8;
}

/* One is added at the network's last bit. */
bool range_behind(const struct network *n, struct address *out)
{
	*out = n->base;
	for (unsigned bit = n->bits; bit-- > 0;) {
		out->bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		if (bit_of(out, bit))
			return true;
	}
	return false;
}

static struct address last_before(const struct address *behind)
{
	struct address last;
	memset(&last, 0xff, sizeof last);
	if (behind)
		last = *behind;
	for (int i = 15; behind && i >= 0 && last.bytes[i]-- == 0; i--)
		;
	return last;
}

void range_format(const struct address *first, const struct address *behind, struct buf *b)
{
	char text[ADDRESS_TEXT];
	const struct address last = last_before(behind);
	struct network n = {.base = *first};
	bool whole = true;
	while (n.bits < 128 && bit_of(first, n.bits) == bit_of(&last, n.bits))
		n.bits++;
	for (unsigned bit = n.bits; bit < 128; bit++)
		whole &= !bit_of(first, bit) && bit_of(&last, bit);
	if (whole && n.bits < 128) {
		network_format(&n, b);
		return;
	}
	buf_text(b, address_format(first, text));
	if (!whole)
		buf_printf(b, "-%s", address_format(&last, text));
}
