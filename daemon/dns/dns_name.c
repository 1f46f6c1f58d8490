#include "dns/dns_name.h"
#include "base/host.h"

#define HEADER 12 /* of a message: no name is there */

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* A byte of `upper` has its high bit where the text has 'A' to 'Z'. */
static void copy_lower8(uint8_t *to, const uint8_t *from)
{
	const uint64_t each = UINT64_MAX / 255;
	uint64_t text;
	memcpy(&text, from, 8);
	uint64_t low = text & each * 0x7f;
	uint64_t upper = (low + each * (0x80 - 'A')) ^ (low + each * (0x7f - 'Z'));
	text |= (upper & ~text & each * 0x80) >> 2;
	memcpy(to, &text, 8);
}

/* Eight bytes at a time; the last eight may overlap those before. */
static void copy_lower(uint8_t *to, const uint8_t *from, size_t n)
{
	if (n < 8) {
		for (size_t i = 0; i < n; i++)
			to[i] = lower(from[i]);
		return;
	}
	for (size_t i = 0; i + 8 < n; i += 8)
		copy_lower8(to + i, from + i);
	copy_lower8(to + n - 8, from + n - 8);
}

static struct cursor message_at(const struct cursor *whole, size_t offset)
{
	struct cursor c = *whole;
	cursor_skip(&c, offset);
	return c;
}

static size_t offset_of(const struct cursor *whole, const struct cursor *c)
{
	return (size_t)(c->pos - whole->pos);
}

/* A walk over a name's labels. Each pointer must lead before the labels that it ends, so that a
 * name can't loop. */
struct labels {
	struct cursor c;
	size_t start;
};

static struct labels labels_at(const struct cursor *whole, const struct cursor *c)
{
	return (struct labels){*c, offset_of(whole, c)};
}

static bool follow_pointers(const struct cursor *whole, struct labels *l)
{
	while (cursor_peek(&l->c) >= 0xc0) {
		size_t target = cursor_u16(&l->c) & 0x3fff;
		if (l->c.bad || target >= l->start || target < HEADER)
			return false;
		l->start = target;
		l->c = message_at(whole, target);
	}
	return true;
}

/* Returns the next label's length, 0 at the root, -1 where the name is malformed. */
static int next_label(const struct cursor *whole, struct labels *l, const uint8_t **label)
{
	if (!follow_pointers(whole, l))
		return -1;
	uint8_t n = cursor_u8(&l->c);
	*label = cursor_bytes(&l->c, n);
	return l->c.bad || n > 63 ? -1 : n;
}

static bool skip_labels(struct cursor *c)
{
	for (;;) {
		uint8_t n = cursor_u8(c);
		if (n >= 0xc0)
			return cursor_skip(c, 1);
		if (n > 63 || !cursor_skip(c, n))
			return false;
		if (n == 0)
			return !c->bad;
	}
}

/* Most are one pointer. */
bool dns_name_skip(struct cursor *c)
{
	return cursor_peek(c) >= 0xc0 ? cursor_skip(c, 2) : skip_labels(c);
}

/* Copies labels until a pointer or the root, at once: their lengths are no letters. */
static bool copy_labels(struct cursor *c, struct dns_name *out, size_t *len)
{
	struct cursor run = *c, at = *c;
	uint8_t n;
	while ((n = cursor_peek(&at)) > 0 && n < 64)
		cursor_skip(&at, 1u + n);
	size_t size = cursor_left(&run) - cursor_left(&at);
	if (at.bad || (n && n < 0xc0) || *len + size >= sizeof out->wire)
		return false;
	copy_lower(out->wire + *len, cursor_bytes(&run, size), size);
	*len += size;
	*c = at;
	return true;
}

bool dns_name_read(const struct cursor *whole, struct cursor *c, struct dns_name *out)
{
	struct labels l = labels_at(whole, c);
	out->at = l.start <= 0x3fff ? (uint16_t)l.start : 0;
	size_t len = 0;
	bool good = copy_labels(&l.c, out, &len);
	*c = l.c;
	cursor_skip(c, cursor_peek(c) ? 2 : 1);
	while (good && cursor_peek(&l.c))
		good = follow_pointers(whole, &l) && copy_labels(&l.c, out, &len);
	if (!good || c->bad || cursor_left(&l.c) == 0)
		return false;
	out->wire[len++] = 0;
	out->len = (uint8_t)len;
	return true;
}

/* Most owners of records are one pointer to where the name stands, and of the others most differ in
 * the first label. */
enum parse dns_name_is(const struct cursor *whole, struct cursor at, const struct dns_name *name)
{
	struct cursor c = at;
	if (name->at && cursor_u16(&c) == (0xc000 | name->at))
		return PARSE_OK;
	struct labels l = labels_at(whole, &at);
	const uint8_t *label, *asked = name->wire;
	uint8_t text[64];
	int n;
	while ((n = next_label(whole, &l, &label)) == *asked) {
		if (n == 0)
			return PARSE_OK;
		copy_lower(text, label, (unsigned)n);
		if (memcmp(text, asked + 1, (size_t)n) != 0)
			return PARSE_ABSENT;
		asked += 1 + n;
	}
	return n < 0 ? PARSE_BAD : PARSE_ABSENT;
}

static const bool host_byte[256] = {
	['a' ... 'z'] = true, ['0' ... '9'] = true, ['-'] = true, ['_'] = true};

void dns_name_host(const struct dns_name *n, size_t from, struct host *out)
{
	bool good = true;
	size_t len = 0, last = 0;
	for (size_t at = from; n->wire[at];) {
		uint8_t label = n->wire[at++];
		if (len)
			out->text[len++] = '.';
		for (last = len; label; label--) {
			uint8_t c = n->wire[at++];
			good &= host_byte[c];
			out->text[len++] = (char)c;
		}
	}
	if (!good || host_label_is_number(out->text + last, len - last))
		len = 0;
	out->text[len] = '\0';
	out->len = (uint8_t)len;
}

size_t dns_name_service(const struct dns_name *n)
{
	size_t at = 0;
	for (int label = 0; label < 2; label++) {
		if (n->wire[at] < 2 || n->wire[at + 1] != '_')
			return 0;
		at += 1u + n->wire[at];
	}
	return at;
}
