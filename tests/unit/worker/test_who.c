/* Whose a packet is, on a segment of ours: the neighbour table's word, narrowed by the frame. */
#include "rig.h"

static const uint8_t ANN[6] = {2, 0, 0, 0, 0, 0xa}, BOB[6] = {2, 0, 0, 0, 0, 0xb};
static const char *const ann = "10.8.0.5", *const ann6 = "2001:db8::5";

static struct address addr(const char *text)
{
	struct address a;
	assert_true(address_parse(text, &a));
	return a;
}

static void is_at(struct rig *r, const char *text, const uint8_t mac[6])
{
	struct address a = addr(text);
	onlink_set(r->onlink, &a, mac);
}

/* The same segment over IPv6. */
static int six(struct rig *r, const char *client, unsigned port, uint8_t flags, uint32_t seq,
	       const void *bytes, size_t len)
{
	struct wire four, w = {.len = 0};
	struct address a = addr(client), b = addr("2001:db8:f::7");
	wire_tcp(&four, guest, port, site, 443, flags, seq, bytes, len);
	w.bytes[0] = 0x60;
	put16(w.bytes + 4, four.len - 20);
	w.bytes[6] = IPPROTO_TCP;
	w.bytes[7] = 64;
	memcpy(w.bytes + 8, a.bytes, 16);
	memcpy(w.bytes + 24, b.bytes, 16);
	memcpy(w.bytes + 40, four.bytes + 20, four.len - 20);
	w.len = four.len + 20;
	return packet(r, &w);
}

static int syn6(struct rig *r, const char *client, unsigned port)
{
	return six(r, client, port, TCP_SYN, 1000, NULL, 0);
}

static int hello6(struct rig *r, const char *client, unsigned port, const char *name)
{
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, name, 0);
	return six(r, client, port, TCP_ACK | TCP_PSH, 1001, bytes, len);
}

/* Ann is signed in at 10.8.0.5, and known there and in her /64; both networks are segments. */
static struct rig *with_ann(bool bound)
{
	struct rig *r = rig_on(POLICY, true);
	struct session s = {.user = "ann", .tier = "press", .idle = 60 * NS_PER_S}, out;
	struct address a = addr(ann), six = addr(ann6);
	struct network n4, n6;
	assert_true(network_parse("10.8.0.0/24", &n4) && network_parse("2001:db8::/64", &n6));
	onlink_route(r->onlink, &n4, 1, true);
	onlink_route(r->onlink, &n6, 1, true);
	is_at(r, ann, ANN);
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	assert_true(session_at(r->sessions, &a, r->source.now, &out));
	session_add_network(r->sessions, out.id, &six, ANN);
	if (bound)
		session_bind(r->sessions, out.id, ANN);
	return r;
}

static void from(struct rig *r, const uint8_t mac[6])
{
	memcpy(r->source.mac, mac, 6);
}

static void the_frame_makes_nobody_another(void **state)
{
	for (int bound = 0; bound < 2; bound++) {
		struct rig *r = with_ann(bound);
		from(r, ANN);
		assert_int_equal(syn(r, ann, 4000), VERDICT_PENDING);
		assert_int_equal(hello(r, ann, 4000, "social.example"), VERDICT_HEARD);
		from(r, BOB); /* her address in his frames */
		assert_int_equal(syn(r, ann, 4001), VERDICT_DENIED);
		is_at(r, "10.8.0.7", BOB);
		from(r, ANN); /* her MAC address over an address of his */
		assert_int_equal(syn(r, "10.8.0.7", 4002), VERDICT_DENIED);
		is_at(r, "2001:db8::bad:1", BOB);
		assert_int_equal(syn6(r, "2001:db8::bad:1", 4003), VERDICT_DENIED);
		rig_free(r);
	}
}

/* A new address of a host comes before the neighbour table has it: the handshake passes, its answer
 * makes the kernel ask, and data waits until who it is was told. */
static void data_waits_for_the_segments_word(void **state)
{
	for (int honest = 0; honest < 2; honest++) {
		struct rig *r = with_ann(true);
		struct worker_counters c;
		from(r, ANN);
		assert_int_equal(syn6(r, "2001:db8::77", 4000), VERDICT_PENDING);
		assert_int_equal(r->asks, 0);
		assert_int_equal(hello6(r, "2001:db8::77", 4000, "social.example"), VERDICT_DROP);
		struct address a = addr("2001:db8::77");
		assert_int_equal(r->asks, 1);
		assert_true(address_equal(&r->asked, &a));
		worker_count(r->worker, &c);
		assert_int_equal(c.unconfirmed, 1);
		assert_int_equal(r->logged, 0);
		is_at(r, "2001:db8::77", honest ? ANN : BOB);
		assert_int_equal(hello6(r, "2001:db8::77", 4000, "social.example"),
				 honest ? VERDICT_HEARD : VERDICT_DENIED);
		rig_free(r);
	}
}

/* The same where the table has forgotten who is at the session's address; asked at most every 10
 * ms. */
static void so_it_does_at_an_address_that_was_forgotten(void **state)
{
	struct rig *r = with_ann(true);
	struct address a = addr(ann);
	onlink_drop(r->onlink, &a);
	from(r, ANN);
	assert_int_equal(syn(r, ann, 4000), VERDICT_PENDING);
	for (int i = 0; i < 5; i++)
		assert_int_equal(hello(r, ann, 4000, "social.example"), VERDICT_DROP);
	assert_int_equal(r->asks, 1);
	from(r, BOB);
	assert_int_equal(syn(r, ann, 4001), VERDICT_DENIED);
	from(r, ANN);
	is_at(r, ann, ANN);
	assert_int_equal(hello(r, ann, 4000, "social.example"), VERDICT_HEARD);
	rig_free(r);
}

/* What the segment's tier allows needs no word. */
static void a_segments_tier_is_everybodys(void **state)
{
	struct rig *r = with_ann(true);
	struct network n;
	assert_true(network_parse("10.9.0.0/16", &n));
	onlink_route(r->onlink, &n, 1, true);
	from(r, BOB);
	assert_int_equal(syn(r, guest, 4000), VERDICT_PENDING);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	assert_int_equal(r->asks, 0);
	rig_free(r);
}

#define QUOTAS                                                                                     \
	"tiers = ( { name = \"guest\"; } );\n"                                                     \
	"segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"                       \
	"sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; } );\n"                        \
	"allow = ( { tiers = [ \"*\" ]; sites = [ \"news\" ]; quota = \"3 MB/day\"; } );\n"

/* But where the policy has quotas: each host has its own, and which one it is decides. */
static void a_quota_is_a_hosts_that_is_known(void **state)
{
	struct rig *r = rig_on(QUOTAS, true);
	struct network n;
	assert_true(network_parse("10.9.0.0/16", &n));
	onlink_route(r->onlink, &n, 1, true);
	from(r, BOB);
	assert_int_equal(syn(r, guest, 4000), VERDICT_PENDING);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_DROP);
	assert_int_equal(r->asks, 1);
	is_at(r, guest, BOB);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	assert_true(host_key_is_mac(&r->use.account.who.host));
	rig_free(r);
}

static int64_t last_seen(struct rig *r)
{
	struct address a = addr(ann);
	struct session s;
	return session_at(r->sessions, &a, r->source.now, &s) ? s.last_seen : 0;
}

static void only_its_host_keeps_a_session_alive(void **state)
{
	for (int bound = 0; bound < 2; bound++) {
		struct rig *r = with_ann(bound);
		struct address a = addr(ann);
		int64_t began = r->source.now;
		wait_ms(r, 20000);
		from(r, BOB);
		syn(r, ann, 4001);
		hello(r, ann, 4001, "news.example");
		assert_int_equal(last_seen(r), began);
		from(r, ANN);
		onlink_drop(r->onlink, &a); /* it may be anybody */
		syn(r, ann, 4002);
		assert_int_equal(last_seen(r), began);
		is_at(r, ann, ANN);
		hello(r, ann, 4002, "news.example"); /* in the same second: now it is told */
		assert_int_equal(last_seen(r), r->source.now);
		wait_ms(r, 20000);
		syn(r, ann, 4003);
		assert_int_equal(last_seen(r), r->source.now);
		wait_ms(r, 20000);
		data(r, ann, 4004, 0, "x", 0); /* a flow that is met without its SYN */
		assert_int_equal(last_seen(r), r->source.now);
		rig_free(r);
	}
}

/* A flow that is decided: its packets, too, and once a second is enough. */
static void a_decided_flow_keeps_it_alive(void **state)
{
	struct rig *r = with_ann(true);
	from(r, ANN);
	assert_int_equal(syn(r, ann, 4000), VERDICT_PENDING);
	assert_int_equal(hello(r, ann, 4000, "news.example"), VERDICT_HEARD);
	for (int i = 0; i < 3; i++) {
		wait_ms(r, 20000);
		assert_int_equal(data(r, ann, 4000, 0, "x", 0), VERDICT_PASS);
		assert_int_equal(last_seen(r), r->source.now);
	}
	int64_t seen = last_seen(r);
	data(r, ann, 4000, 0, "x", 0);
	assert_int_equal(last_seen(r), seen);
	wait_ms(r, 2000);
	from(r, BOB);
	data(r, ann, 4000, 0, "x", 0);
	assert_int_equal(last_seen(r), seen);
	from(r, ANN);
	data(r, ann, 4000, 0, "x", 0);
	assert_int_equal(last_seen(r), r->source.now);
	rig_free(r);
}

/* Another's packets in a flow, undecided or not, are as if they had not come. */
static void anothers_packets_touch_nothing(void **state)
{
	struct rig *r = with_ann(true);
	from(r, ANN);
	assert_int_equal(syn(r, ann, 4000), VERDICT_PENDING);
	from(r, BOB);
	assert_int_equal(hello(r, ann, 4000, "nothing.example"), VERDICT_DROP);
	assert_int_equal(syn(r, ann, 4000), VERDICT_DROP);
	from(r, ANN);
	assert_int_equal(hello(r, ann, 4000, "social.example"), VERDICT_HEARD);
	unsigned logged = r->logged;
	from(r, BOB);
	assert_int_equal(hello(r, ann, 4000, "nothing.example"), VERDICT_DROP);
	assert_int_equal(r->logged, logged);
	rig_free(r);
}

/* Behind a router frames carry its MAC address, which tells nobody. */
static void a_routers_mac_address_is_nobodys(void **state)
{
	struct rig *r = with_ann(false);
	struct address six = addr("2001:db8:9::1");
	struct session out;
	struct address a = addr(ann);
	assert_true(session_at(r->sessions, &a, r->source.now, &out));
	session_add_network(r->sessions, out.id, &six, ANN);
	from(r, ANN);
	assert_int_equal(syn6(r, "2001:db8:9::2", 4000), VERDICT_DENIED);
	rig_free(r);
}

/* Many addresses with one MAC address, or that nobody has, hold no more than one host may. */
static void a_hosts_addresses_share_what_it_may_hold(void **state)
{
	for (int confirmed = 0; confirmed < 2; confirmed++) {
		struct rig *r =
			rig_on(POLICY "bounds = { held = 16; held_per_client = 4; };\n", true);
		struct network n;
		uint8_t bytes[2048];
		char text[ADDRESS_TEXT];
		size_t len = wire_hello(bytes, "news.example", 0);
		unsigned held = 0;
		assert_true(network_parse("10.9.0.0/16", &n));
		onlink_route(r->onlink, &n, 1, true);
		for (unsigned i = 10; i < 20; i++) {
			snprintf(text, sizeof text, "10.9.0.%u", i);
			if (confirmed)
				is_at(r, text, BOB);
			syn(r, text, 4000);
			held += data(r, text, 4000, 0, bytes, len / 2) == -1;
		}
		assert_int_equal(held, 4);
		is_at(r, guest, ANN);
		syn(r, guest, 4000);
		assert_int_equal(data(r, guest, 4000, 0, bytes, len / 2), -1);
		rig_free(r);
	}
}

/* What a bridge carries from port to port comes up where br_netfilter is loaded. */
static void what_stays_on_a_segment_passes(void **state)
{
	struct rig *r = rig_on(POLICY, true);
	struct wire w;
	struct network n, far;
	assert_true(network_parse("192.0.2.0/24", &n) && network_parse("198.51.100.0/24", &far));
	onlink_route(r->onlink, &n, 1, true);
	onlink_route(r->onlink, &far, 2, true);
	is_at(r, "192.0.2.5", ANN);
	wire_tcp(&w, "192.0.2.5", 4000, "192.0.2.9", 80, TCP_SYN, 1000, NULL, 0);
	assert_int_equal(packet(r, &w), VERDICT_ALLOWED);
	assert_int_equal(r->log[0].reason, REASON_INTERNAL);
	wire_tcp(&w, "192.0.2.5", 4001, "198.51.100.9", 80, TCP_SYN, 1000, NULL,
		 0); /* another segment */
	assert_int_equal(packet(r, &w), VERDICT_DENIED);
	wire_tcp(&w, "192.0.2.5", 4002, site, 80, TCP_SYN, 1000, NULL, 0);
	assert_int_equal(packet(r, &w), VERDICT_DENIED);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_frame_makes_nobody_another),
		cmocka_unit_test(data_waits_for_the_segments_word),
		cmocka_unit_test(so_it_does_at_an_address_that_was_forgotten),
		cmocka_unit_test(a_segments_tier_is_everybodys),
		cmocka_unit_test(a_quota_is_a_hosts_that_is_known),
		cmocka_unit_test(only_its_host_keeps_a_session_alive),
		cmocka_unit_test(a_decided_flow_keeps_it_alive),
		cmocka_unit_test(anothers_packets_touch_nothing),
		cmocka_unit_test(a_routers_mac_address_is_nobodys),
		cmocka_unit_test(a_hosts_addresses_share_what_it_may_hold),
		cmocka_unit_test(what_stays_on_a_segment_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
