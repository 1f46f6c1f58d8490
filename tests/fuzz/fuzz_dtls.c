/* The input is a list of a client's datagrams {length 16 bits, bytes}, of one flow. */
#include "name/dtls.h"
#include "base/host.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stream_pool *pool;
	struct stream *message = NULL;
	struct dtls_flow flow = {0};
	struct cursor c = cursor_of(data, size);
	if (!pool)
		pool = stream_pool_new(1);
	while (cursor_left(&c) > 0) {
		size_t len = cursor_u16(&c), left = cursor_left(&c);
		struct cursor datagram = cursor_sub(&c, len < left ? len : left);
		struct hello h;
		struct host again;
		bool conflict;
		enum parse answer = dtls_datagram(&flow, datagram, pool, &message, &conflict, &h);
		if (conflict && answer != PARSE_BAD)
			abort();
		if (answer == PARSE_OK && h.name == HELLO_NAME_OK &&
		    host_canonical(h.host.text, h.host.len, &again) != PARSE_OK)
			abort();
		if (answer == PARSE_BAD)
			break;
	}
	if (message)
		stream_put(pool, message);
	/* the pool has its one stream again */
	message = stream_get(pool);
	if (!message)
		abort();
	stream_put(pool, message);
	return 0;
}
