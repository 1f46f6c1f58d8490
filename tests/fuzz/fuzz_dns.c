/* A DNS message: names must be host names, walks must end and say the same again, and what is noted
 * must be found. */
#include "base/clock.h"
#include "dns/dns_watch.h"
#include "base/host.h"

#include <stdlib.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_host(const struct host *h)
{
	struct host again;
	require(strlen(h->text) == h->len);
	require(!h->len ||
		(host_canonical(h->text, h->len, &again) == PARSE_OK && host_equal(h, &again)));
}

static size_t walk(struct dns_message *m, size_t size, struct dns_address *last)
{
	size_t count = 0;
	while (dns_next(m, last) == PARSE_OK)
		require(++count <= size / 4);
	require(dns_next(m, last) == (m->damaged ? PARSE_BAD : PARSE_ABSENT));
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seen *seen;
	if (!seen)
		seen = seen_new(4096, 3600 * NS_PER_S, false); /* room for names that lead here */
	const struct address client = {{[15] = 1}};
	struct dns_message m;
	struct dns_address d = {0};
	struct dns_ech e;
	if (size > 65535 || dns_message(cursor_of(data, size), &m) != PARSE_OK)
		return 0;
	check_host(&m.question);
	struct host end;
	uint32_t end_ttl;
	if (dns_alias(&m, &end, &end_ttl))
		check_host(&end);
	require(m.targets <= DNS_TARGETS);
	for (unsigned i = 0; i < m.targets; i++) {
		struct host target;
		uint32_t ttl;
		dns_target(&m, i, &target, &ttl);
		check_host(&target);
	}
	size_t count = walk(&m, size, &d);
	struct address last = d.address;
	require(count == 0 || (m.question.len && m.response && m.rcode == 0));
	dns_rewind(&m);
	for (size_t configs = 0; dns_next_ech(&m, &e) == PARSE_OK; configs++) {
		check_host(&e.public_name);
		require(configs <= size / 4);
	}
	dns_rewind(&m);
	require(walk(&m, size, &d) == count);
	dns_rewind(&m);
	require(dns_note(seen, &client, &m, 0) == count);
	if (count)
		require(seen_agrees(seen, &client, &last, &m.question, 0));
	return 0;
}
