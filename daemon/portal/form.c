#include "portal/form.h"

/* One byte of a name or value; false at its end. */
static bool take_byte(struct cursor *c, char end, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t b = cursor_peek(c);
	if (cursor_left(c) == 0 || b == '&' || b == (uint8_t)end)
		return false;
	cursor_skip(c, 1);
	if (b == '%') {
		unsigned value = 0;
		for (int i = 0; i < 2; i++) {
			uint8_t d = cursor_u8(c);
			const char *at =
				d ? strchr(digits, d >= 'A' && d <= 'F' ? d | 32 : d) : NULL;
			c->bad |= !at;
			value = value << 4 | (at ? (unsigned)(at - digits) : 0);
		}
		b = (uint8_t)value;
	} else if (b == '+') {
		b = ' ';
	}
	c->bad |= b == '\0';
	*out = b;
	return true;
}

static bool take_name(struct cursor *c, const char *name)
{
	size_t len = strlen(name), at = 0;
	bool same = true;
	uint8_t b;
	for (; take_byte(c, '=', &b); at++)
		same = same && at < len && (uint8_t)name[at] == b;
	return same && at == len;
}

/* False where it does not fit. */
static bool take_value(struct cursor *c, char *out, size_t size)
{
	size_t at = 0;
	uint8_t b;
	for (; take_byte(c, '&', &b); at++)
		if (out && at + 1 < size)
			out[at] = (char)b;
	if (out)
		out[at < size ? at : 0] = '\0';
	return !out || at < size;
}

enum parse form_field(const void *body, size_t len, const char *name, char *out, size_t size)
{
	struct cursor c = cursor_of(body, len);
	bool found = false, good = true;
	out[0] = '\0';
	while (cursor_left(&c)) {
		bool wanted = take_name(&c, name);
		if (cursor_peek(&c) == '=')
			cursor_skip(&c, 1);
		good &= !(wanted && found);
		good &= take_value(&c, wanted ? out : NULL, size);
		found |= wanted;
		if (cursor_left(&c))
			cursor_skip(&c, 1); /* & */
	}
	if (good && !c.bad)
		return found ? PARSE_OK : PARSE_ABSENT;
	out[0] = '\0';
	return PARSE_BAD;
}
