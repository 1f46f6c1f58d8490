/* The input is a port (1 byte, that picks who reads) and a client's stream. What a prefix is found
 * to be, all of it is; and the requests of a connection are the same however it is cut. */
#include "../http_requests.h"
#include "name/first.h"
#include "name/hello.h"
#include "name/http.h"
#include "base/host.h"
#include <stdlib.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

static const uint16_t ports[] = {0,   80, 25,   143,  110,  389, 5432,
				 587, 21, 3306, 4190, 5222, 119, 6667};
enum { PORTS = sizeof ports / sizeof *ports };

static enum parse read_first(uint16_t port, const uint8_t *data, size_t size, struct hello *out)
{
	uint8_t *copy = malloc(size ? size : 1);
	require(copy);
	if (size)
		memcpy(copy, data, size);
	struct cursor c = cursor_of(copy, size);
	enum parse answer = port == 80 ? http_request(c, out)
			    : port     ? first_starttls(port, c, out)
				       : first_hello(c, out);
	free(copy);
	if (answer != PARSE_OK || out->name != HELLO_NAME_OK)
		return answer;
	struct host again;
	require(host_canonical(out->host.text, out->host.len, &again) == PARSE_OK);
	require(host_equal(&again, &out->host));
	return answer;
}

static void check_prefixes(uint16_t port, const uint8_t *data, size_t size)
{
	struct hello whole, part;
	enum parse answer = read_first(port, data, size, &whole);
	for (size_t step = size / 16 + 1, at = 0; at < size; at += step) {
		enum parse early = read_first(port, data, at, &part);
		require(early == PARSE_MORE || early == answer);
		if (early == PARSE_OK)
			require(part.name == whole.name && host_equal(&part.host, &whole.host));
	}
}

struct tally {
	unsigned requests;
	uint32_t hosts;
	enum parse end;
	uint64_t at;
};

static struct tally follow(const uint8_t *data, size_t size, size_t piece)
{
	struct http_follow f = {0};
	struct tally t = {0};
	size_t have = 0;
	for (;;) {
		uint64_t used;
		struct hello h;
		uint64_t from = t.at < have ? t.at : have;
		t.end = t.at > have
				? PARSE_MORE
				: next_request(&f, cursor_of(data + from, have - from), &used, &h);
		if (t.at <= have)
			t.at += used;
		if (t.end == PARSE_OK) {
			t.requests++;
			for (size_t i = 0; i < h.host.len; i++)
				t.hosts = t.hosts * 31 + (uint8_t)h.host.text[i];
		} else if (t.end != PARSE_MORE || have == size) {
			return t;
		} else {
			have = size - have < piece ? size : have + piece;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	check_prefixes(ports[data[0] % 16 % PORTS], data + 1, size - 1);
	struct tally whole = follow(data + 1, size - 1, size);
	struct tally cut = follow(data + 1, size - 1, 1 + data[0] / 16);
	require(whole.requests == cut.requests && whole.hosts == cut.hosts && whole.end == cut.end);
	return 0;
}
