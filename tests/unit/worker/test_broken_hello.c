/* Hellos that cannot be read, or that are too many: what becomes of their flows. */
#include "rig.h"

#define PEOPLE                                                                                     \
	"tiers = ( { name = \"guest\"; } );\n"                                                     \
	"segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"
#define SITES                                                                                      \
	"sites = ( { name = \"net\"; hosts = [ \"203.0.113.0/24\", \"news.example\" ]; },\n"       \
	"          { name = \"social\"; hosts = [ \"social.example\" ]; },\n"                      \
	"          { name = \"other\"; hosts = [ \"198.51.100.0/24\" ]; } );\n"
#define ALLOW(evidence)                                                                            \
	"allow = ( { tiers = [ \"guest\" ]; sites = [ \"net\" ]; evidence = \"" evidence           \
	"\"; } );\n"
#define DENY(site, ports)                                                                          \
	"deny = ( { tiers = [ \"guest\" ]; sites = [ \"" site "\" ]; ports = [ \"" ports           \
	"\" ]; } );\n"

static const uint8_t malformed[] = {22, 3, 1, 0, 5, 2, 0, 0, 1, 0};
static const uint8_t nul[] = "social.example\0";

/* DNS told this client of one name at the site, as for evidence = "dns". */
static struct rig *rig_telling(const char *text)
{
	struct rig *r = rig_with(text);
	struct address client, server;
	struct host news = {12, "news.example"};
	address_parse(guest, &client);
	address_parse(site, &server);
	seen_add(r->seen, &client, &server, &news, 60 * NS_PER_S, r->source.now);
	return r;
}

static size_t hello_of(uint8_t *out, const uint8_t *name, size_t len)
{
	static const uint8_t x[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	char placeholder[33];
	snprintf(placeholder, sizeof placeholder, "%.*s", (int)len, x);
	size_t size = wire_hello(out, placeholder, 0);
	memcpy(out + size - len, name, len);
	return size;
}

static void expect(struct rig *r, unsigned port, const void *bytes, size_t len, int want,
		   enum reason reason)
{
	r->logged = 0;
	if (syn(r, guest, port) == VERDICT_PENDING)
		assert_int_equal(data(r, guest, port, 0, bytes, len), want);
	assert_int_equal(r->log[0].reason, reason);
	assert_int_equal(r->log[0].action, want == VERDICT_HEARD ? ACTION_ALLOW : ACTION_DENY);
}

/* The address is allowed, and a name in the hello could have been denied. */
static void a_broken_hello_evades_no_deny_line(void **state)
{
	static const char *const policies[] = {
		PEOPLE SITES ALLOW("any") DENY("social", "tcp/443"),
		PEOPLE SITES ALLOW("dns") DENY("social", "tcp/443"),
	};
	for (size_t i = 0; i < 2; i++) {
		uint8_t bytes[512];
		struct rig *r = rig_telling(policies[i]);
		size_t len = hello_of(bytes, nul, 15);
		expect(r, 4000, malformed, sizeof malformed, VERDICT_DENIED,
		       REASON_HELLO_MALFORMED);
		expect(r, 4001, bytes, len, VERDICT_DENIED, REASON_NAME_BAD);
		expect(r, 4002, "\x16\3\1\0\x40\1\1\0\0", 9, VERDICT_DENIED,
		       REASON_HELLO_MALFORMED); /* more than 64 KiB */
		expect(r, 4003, "SSH-2.0-x\r\n", 11, VERDICT_HEARD, REASON_ALLOW_LINE);
		len = wire_hello(bytes, "news.example", 0);
		expect(r, 4004, bytes, len, VERDICT_HEARD, REASON_ALLOW_LINE);
		rig_free(r);
	}
}

/* Who reads the record learns of the line, which denies whatever the bytes say. */
static void a_deny_line_is_the_reason(void **state)
{
	struct rig *r = rig_with(PEOPLE SITES ALLOW("dns") DENY("social", "tcp/443"));
	struct address client, server;
	struct host social = {14, "social.example"};
	address_parse(guest, &client);
	address_parse(site, &server);
	seen_add(r->seen, &client, &server, &social, 60 * NS_PER_S, r->source.now);
	expect(r, 4000, malformed, sizeof malformed, VERDICT_DENIED, REASON_DENY_LINE);
	rig_free(r);
}

/* A hello that told no name was denied for what a line could have denied. */
static void without_the_deny_line_it_may_go_on(void **state)
{
	struct rig *r = rig_telling(PEOPLE SITES ALLOW("any") DENY("social", "tcp/443"));
	struct config *c = config_of(PEOPLE SITES ALLOW("any"));
	expect(r, 4000, malformed, sizeof malformed, VERDICT_DENIED, REASON_HELLO_MALFORMED);
	struct snapshot *old = r->snapshot;
	r->snapshot = snapshot_of(c);
	wait_ms(r, 10);
	assert_int_equal(r->source.remarks, 1);
	assert_int_equal(r->source.remarked, VERDICT_PENDING);
	snapshot_free(old);
	config_free(c);
	rig_free(r);
}

/* Other ports, a site that goes by address: no name could have been denied. */
static void elsewhere_the_address_is_enough(void **state)
{
	static const char *const policies[] = {
		PEOPLE SITES ALLOW("dns"),
		PEOPLE SITES ALLOW("dns") DENY("social", "tcp/80"),
		PEOPLE SITES ALLOW("dns") DENY("other", "tcp/443"),
	};
	for (size_t i = 0; i < 3; i++) {
		uint8_t bytes[512];
		struct rig *r = rig_telling(policies[i]);
		size_t len = hello_of(bytes, nul, 15);
		expect(r, 4000, malformed, sizeof malformed, VERDICT_HEARD, REASON_ALLOW_LINE);
		expect(r, 4001, bytes, len, VERDICT_HEARD, REASON_ALLOW_LINE);
		rig_free(r);
	}
}

static void contradicting_bytes_are_always_denied(void **state)
{
	struct rig *r = rig_telling(PEOPLE SITES ALLOW("dns"));
	uint8_t bytes[512];
	size_t len = wire_hello(bytes, "news.example", 0);
	syn(r, guest, 4000);
	assert_int_equal(data(r, guest, 4000, 0, bytes, 60), -1);
	bytes[50] ^= 1;
	assert_int_equal(data(r, guest, 4000, 30, bytes + 30, len - 30), VERDICT_DROP);
	assert_int_equal(r->log[0].reason, REASON_OVERLAP_CONFLICT);
	assert_int_equal(r->log[0].protocol, PROTOCOL_TLS);
	rig_free(r);
}

/* One that ends before it is whole: its protocol is known. */
static void an_unfinished_hello_has_a_protocol(void **state)
{
	static const uint8_t quic[] = {22, 3, 1};
	struct rig *r = rig_telling(PEOPLE SITES ALLOW("any") DENY("social", "tcp/443"));
	syn(r, guest, 4000);
	assert_int_equal(data(r, guest, 4000, 0, quic, sizeof quic), -1);
	syn(r, guest, 4001);
	assert_int_equal(data(r, guest, 4001, 7, quic, sizeof quic), -1); /* no start */
	wait_ms(r, 31000);
	assert_int_equal(r->log[0].reason, REASON_HELLO_UNFINISHED);
	assert_int_equal(r->log[0].protocol, PROTOCOL_TLS);
	assert_int_equal(r->log[1].reason, REASON_HELLO_UNFINISHED);
	assert_int_equal(r->log[1].protocol, PROTOCOL_NONE);
	rig_free(r);
}

/* A hello of 64 KiB in packets; the last has its verdict. */
static int large(struct rig *r, unsigned port, size_t message, size_t record)
{
	static uint8_t bytes[2 * 65536];
	uint8_t *end = bytes;
	uint8_t head[512];
	size_t used = wire_hello(head, "news.example", 1) - 5;
	size_t padding = message - used;
	syn(r, guest, port);
	/* the padding extension is the last: its length and those around it grow */
	put16(head + 5 + 2, (unsigned)(message - 4) & 0xffff);
	put16(head + 5 + 45, (unsigned)(9 + 12 + 4 + 1 + padding));
	put16(head + 5 + used - 3, (unsigned)(1 + padding));
	for (size_t at = 0; at < message; at += record) {
		size_t n = message - at < record ? message - at : record;
		memcpy(end, "\x16\3\1", 3);
		put16(end + 3, (unsigned)n);
		memset(end + 5, 0, n);
		if (at < used)
			memcpy(end + 5, head + 5 + at, used - at < n ? used - at : n);
		end += 5 + n;
	}
	size_t len = (size_t)(end - bytes);
	int last = -1;
	for (size_t at = 0; at < len && last == -1; at += 1400)
		last = data(r, guest, port, (uint32_t)at, bytes + at,
			    len - at < 1400 ? len - at : 1400);
	return last;
}

static void hellos_of_64_kib(void **state)
{
	for (size_t record = 16384; record > 80; record /= 2) {
		struct rig *r = rig_new("bounds = { held = 256; held_per_client = 256; };\n");
		assert_int_equal(large(r, 4000, 65536, record), VERDICT_HEARD);
		assert_string_equal(r->log[0].host.text, "news.example");
		assert_int_equal(large(r, 4001, 65537, record), VERDICT_DENIED);
		assert_int_equal(r->log[1].reason, REASON_HELLO_MALFORMED);
		rig_free(r);
	}
}

/* ---- one client's part of what all share ---- */

static int mail(struct rig *r, const char *client, unsigned port)
{
	struct wire w;
	wire_tcp(&w, client, port, site, 25, TCP_SYN, 1000, NULL, 0);
	assert_int_equal(packet(r, &w), VERDICT_PENDING);
	wire_tcp(&w, client, port, site, 25, TCP_ACK, 1001, "EHLO me\r\n", 9);
	return packet(r, &w);
}

/* What goes before STARTTLS is joined and not held: a sixteenth of the streams is one client's. */
static void one_client_cannot_join_all(void **state)
{
	struct rig *r =
		rig_with(PEOPLE "bounds = { streams = 64; };\n"
				"sites = ( { name = \"mail\"; hosts = [ \"news.example\" ]; } );\n"
				"allow = ( { tiers = [ \"guest\" ]; sites = [ \"mail\" ];\n"
				"            ports = [ \"tcp/25\" ]; } );\n");
	struct flow_ended e = {.after = INT64_MAX};
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(mail(r, guest, 4000 + i), VERDICT_PASS);
	assert_int_equal(mail(r, guest, 4004), VERDICT_DENIED);
	assert_int_equal(r->log[0].reason, REASON_HELD_FULL);
	for (unsigned i = 0; i < 60; i++) {
		char client[16];
		snprintf(client, sizeof client, "10.9.1.%u", i);
		assert_int_equal(mail(r, client, 4000), VERDICT_PASS);
	}
	assert_int_equal(mail(r, "10.9.2.1", 4000), VERDICT_DENIED);
	assert_int_equal(r->log[1].reason, REASON_TABLE_FULL);
	e.key = guest_key(IPPROTO_TCP, 4000, 25);
	worker_flow_ended(r->worker, &e);
	assert_int_equal(mail(r, guest, 4005), VERDICT_PASS);
	rig_free(r);
}

/* What stands behind the first request in its packet is read even where nothing more can be joined.
 */
static void pipelined_without_a_stream(void **state)
{
	struct rig *r = rig_new("http = \"every-request\"; bounds = { streams = 64; };\n");
	uint8_t bytes[512];
	wire_hello(bytes, "news.example", 0);
	for (unsigned i = 0; i < 4; i++) {
		syn(r, guest, 5000 + i);
		assert_int_equal(data(r, guest, 5000 + i, 0, bytes, 60), -1);
	}
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, GOOD GOOD), VERDICT_PASS);
	http_syn(r, 4001);
	assert_int_equal(request(r, 4001, 0, GOOD BAD), VERDICT_DENIED);
	http_syn(r, 4002);
	assert_int_equal(request(r, 4002, 0, GOOD "GET / HT"), VERDICT_DENIED);
	assert_int_equal(r->log[r->logged - 1].reason, REASON_HELD_FULL);
	rig_free(r);
}

/* ---- who it is ---- */

static void another_host_at_the_address_is_nobody(void **state)
{
	struct rig *r = rig_new("");
	struct session s = {
		.user = "ana", .tier = "press", .has_mac = true, .mac = {2, 0, 0, 0, 0, 1}};
	struct address a;
	address_parse(nobody, &a);
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	memcpy(r->source.mac, "\2\0\0\0\0\2", 6);
	assert_int_equal(syn(r, nobody, 4000), VERDICT_DENIED);
	assert_int_equal(r->log[0].reason, REASON_NO_TIER);
	assert_string_equal(r->log[0].user, "");
	memcpy(r->source.mac, "\2\0\0\0\0\1", 6);
	assert_int_equal(syn(r, nobody, 4001), VERDICT_PENDING);
	assert_int_equal(hello(r, nobody, 4001, "social.example"), VERDICT_HEARD);
	assert_string_equal(r->log[1].user, "ana");
	memset(r->source.mac, 0, 6); /* behind a router: the address alone tells */
	assert_int_equal(syn(r, nobody, 4002), VERDICT_PENDING);
	rig_free(r);
}

/* What came before, sent again, passes alone. */
static void a_repeat_frees_nothing_that_is_held(void **state)
{
	struct rig *r = rig_new("http = \"every-request\";\n");
	uint32_t at = strlen(GOOD);
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, GOOD), VERDICT_PASS);
	uint64_t first = r->source.next_id;
	assert_int_equal(request(r, 4000, at, "GET / HTTP/1.1\r\nHost: soc"), -1);
	assert_int_equal(request(r, 4000, 0, GOOD), VERDICT_PASS);
	assert_int_equal(r->source.verdict[first], -1);
	assert_int_equal(request(r, 4000, at + 25, "ial.example\r\n\r\n"), VERDICT_DROP);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED);
	rig_free(r);
}

/* What an observed flow says once it can't be read is not read: it would be a record a packet. */
static void an_observed_flow_breaks_once(void **state)
{
	struct rig *r = rig_new("mode = \"observe\"; http = \"every-request\";\n");
	static const char bad[] = "nonsense\r\n\r\n";
	struct flow_key key = guest_key(IPPROTO_TCP, 4000, 80);
	uint32_t at = strlen(GOOD);
	http_syn(r, 4000);
	request(r, 4000, 0, GOOD);
	assert_int_equal(r->logged, 1);
	for (int i = 0; i < 3; i++, at += sizeof bad - 1) {
		request(r, 4000, at, bad);
		assert_int_equal(r->logged, 2);
		const struct flow *f = flow_find(r->worker->flows, &key);
		assert_false(f->named.live);
	}
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_hello_evades_no_deny_line),
		cmocka_unit_test(a_deny_line_is_the_reason),
		cmocka_unit_test(without_the_deny_line_it_may_go_on),
		cmocka_unit_test(elsewhere_the_address_is_enough),
		cmocka_unit_test(contradicting_bytes_are_always_denied),
		cmocka_unit_test(an_unfinished_hello_has_a_protocol),
		cmocka_unit_test(hellos_of_64_kib),
		cmocka_unit_test(one_client_cannot_join_all),
		cmocka_unit_test(pipelined_without_a_stream),
		cmocka_unit_test(a_repeat_frees_nothing_that_is_held),
		cmocka_unit_test(another_host_at_the_address_is_nobody),
		cmocka_unit_test(an_observed_flow_breaks_once),
	};
	rcu_register_thread();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
