/* The input is a program of reads over itself: no read may pass the end, and none may go back. */
#include "base/cursor.h"
#include <stdlib.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void read_some(struct cursor *c, int depth)
{
	while (cursor_left(c) > 0 && !c->bad) {
		const uint8_t *before = c->pos;
		uint8_t copy[64], what = cursor_u8(c);
		size_t n = what >> 3;
		struct cursor child;
		switch (what & 7) {
		case 0: cursor_u16(c); break;
		case 1: cursor_u24(c); break;
		case 2: cursor_u32(c); break;
		case 3: cursor_u64(c); break;
		case 4: cursor_skip(c, n * n); break;
		case 5: cursor_copy(c, copy, n); break;
		case 6: require(cursor_peek(c) == (cursor_left(c) ? *c->pos : 0)); break;
		case 7:
			child = cursor_sub(c, n * 4);
			require(child.end <= c->pos || child.bad);
			if (depth < 16)
				read_some(&child, depth + 1);
			break;
		}
		require(c->pos > before && c->pos <= c->end);
		require(!c->bad || c->pos == c->end);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	read_some(&c, 0);
	require(c.pos == c.end);
	require(cursor_u64(&c) == 0 && c.bad);
	return 0;
}
