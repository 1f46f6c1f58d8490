/* The input is a list of adds {offset 16 bits, length 8 bits, seed 8 bits} of one text, to which
 * an odd seed makes a change. A map of bytes says what must come of it. */
#include "packet/stream.h"
#include <stdlib.h>

#define SIZE (STREAM_MAX + 256)

static uint8_t byte[SIZE], there[SIZE];

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool fits(size_t from, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len && from + i < STREAM_MAX; i++)
		if (there[from + i] && byte[from + i] != bytes[i])
			return false;
	return true;
}

static void add(struct stream *s, struct cursor *c)
{
	size_t from = cursor_u16(c), len = cursor_u8(c);
	uint8_t seed = cursor_u8(c), bytes[256];
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((from + i) * 31 >> 3);
	if (len > 0 && seed & 1)
		bytes[seed % len] ^= seed;
	bool agree = fits(from, bytes, len);
	enum stream_add answer = stream_add(s, from, bytes, len);
	require(agree == (answer != STREAM_CONFLICT));
	/* full of holes, or past the end: only the second adds */
	if (answer == STREAM_OK || (answer == STREAM_FULL && from + len > STREAM_MAX))
		for (size_t i = 0; i < len; i++) {
			byte[from + i] = bytes[i];
			there[from + i] = 1;
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stream_pool *pool;
	if (!pool)
		pool = stream_pool_new(1);
	memset(there, 0, sizeof there);
	struct stream *s = stream_get(pool);
	struct cursor c = cursor_of(data, size);
	for (int i = 0; i < 60 && cursor_left(&c) >= 4; i++)
		add(s, &c);
	size_t len = 0;
	while (len < STREAM_MAX && there[len])
		len++;
	struct cursor head = stream_head(s);
	require(cursor_left(&head) == len);
	require(memcmp(head.pos, byte, len) == 0);
	stream_put(pool, s);
	return 0;
}
