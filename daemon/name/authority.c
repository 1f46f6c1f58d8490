#include "name/authority.h"

#include <string.h>

/* The bytes up to `stop` (with it where `with`) or the end. */
static struct cursor span(struct cursor *c, uint8_t stop, bool with)
{
	size_t have = cursor_left(c);
	const uint8_t *at = have ? memchr(c->pos, stop, have) : NULL;
	return cursor_sub(c, at ? (size_t)(at - c->pos) + with : have);
}

void authority_name(struct cursor authority, struct hello *out)
{
	bool literal = cursor_peek(&authority) == '[';
	struct cursor host = span(&authority, literal ? ']' : ':', literal);
	bool port = cursor_left(&authority) > 0;
	bool good = !port || (cursor_u8(&authority) == ':' && cursor_left(&host) > 0);
	while (cursor_left(&authority)) {
		uint8_t digit = cursor_u8(&authority);
		good &= digit >= '0' && digit <= '9';
	}
	if (good)
		hello_name(host.pos, cursor_left(&host), out);
	else
		hello_no_name(out, HELLO_NAME_BAD);
}
