/* The input is a client's stream. What a prefix is found to be, all of it is: more bytes never make
 * a bad hello good, nor a hello another one. */
#include "name/hello.h"
#include "base/host.h"
#include "name/tls.h"
#include <stdlib.h>

typedef enum parse reader(struct cursor stream, struct hello *out);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static enum parse read_first(reader *read, const uint8_t *data, size_t size, struct hello *out)
{
	uint8_t *copy = malloc(size ? size : 1);
	require(copy);
	if (size)
		memcpy(copy, data, size);
	enum parse answer = read(cursor_of(copy, size), out);
	free(copy);
	if (answer != PARSE_OK || out->name != HELLO_NAME_OK)
		return answer;
	struct host again;
	require(host_canonical(out->host.text, out->host.len, &again) == PARSE_OK);
	require(host_equal(&again, &out->host));
	return answer;
}

static void check(reader *read, const uint8_t *data, size_t size)
{
	struct hello whole, part;
	enum parse answer = read_first(read, data, size, &whole);
	for (size_t step = size / 16 + 1, at = 0; at < size; at += step) {
		enum parse early = read_first(read, data, at, &part);
		require(early == PARSE_MORE || early == answer);
		if (early == PARSE_OK) {
			require(part.name == whole.name);
			require(host_equal(&part.host, &whole.host));
		}
	}
}

/* What follows a first hello, with and without early data. */
static enum parse next(struct cursor stream, struct hello *out)
{
	uint32_t early = 0;
	uint64_t used;
	return tls_next_hello(stream, &early, &used, out);
}

static enum parse next_early(struct cursor stream, struct hello *out)
{
	uint32_t early = TLS_EARLY_MAX;
	uint64_t used;
	enum parse answer = tls_next_hello(stream, &early, &used, out);
	require(early <= TLS_EARLY_MAX);
	require(answer != PARSE_MORE || !out->server_next || used + 5 > cursor_left(&stream));
	return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(tls_records, data, size);
	check(next, data, size);
	check(next_early, data, size);
	if (size > 5)
		tls_client_hello(cursor_of(data + 5, size - 5), NULL, &(struct hello){0});
	return 0;
}
