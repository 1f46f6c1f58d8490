/* The kernel's rules as a capture plays them, each by itself: what stays on its link, what may
 * begin, what opens, what an answer makes of an entry, what a verdict leaves. */
#include "no_memory.h"
#include "unit.h"

#include "source/capture.c"

static struct address at(const char *text)
{
	struct address a;
	if (!address_parse(text, &a))
		fail_msg("%s", text);
	return a;
}

static void what_stays_on_its_link(void **state)
{
	static const struct {
		const char *src, *dst;
		bool stays;
	} of[] = {
		{"10.0.0.1", "10.0.0.2", false},
		{"0.0.0.0", "10.0.0.2", true},
		{"::", "2001:db8::1", true},
		{"0.0.0.1", "10.0.0.2", false},
		{"10.0.0.1", "223.255.255.255", false},
		{"10.0.0.1", "224.0.0.0", true},
		{"10.0.0.1", "239.255.255.255", true},
		{"10.0.0.1", "240.0.0.0", false},
		{"10.0.0.1", "255.255.255.254", false},
		{"10.0.0.1", "255.255.255.255", true},
		{"10.0.0.1", "169.254.0.1", true},
		{"10.0.0.1", "169.253.0.1", false},
		{"10.0.0.1", "169.255.0.1", false},
		{"10.0.0.1", "168.254.0.1", false},
		{"10.0.0.1", "127.0.0.1", false},
		{"2001:db8::1", "ff02::1", true},
		{"2001:db8::1", "feff::1", false},
		{"2001:db8::1", "fe80::1", true},
		{"2001:db8::1", "febf::1", true},
		{"2001:db8::1", "fec0::1", false},
		{"2001:db8::1", "fe7f::1", false},
		{"2001:db8::1", "fd80::1", false},
		{"2001:db8::1", "::1", false},
	};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		struct address src = at(of[i].src), dst = at(of[i].dst);
		if (stays_on_link(&src, &dst) != of[i].stays)
			fail_msg("%s > %s", of[i].src, of[i].dst);
	}
}

static void errors_of_icmp_are_told_from_its_flows(void **state)
{
	for (unsigned type = 0; type < 256; type++) {
		struct packet p = {.transport = IPPROTO_ICMP, .icmp_type = (uint8_t)type};
		assert_int_equal(is_icmp_error(&p),
				 type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
		assert_int_equal(may_begin(&p),
				 type == 8 || type == 13 || type == 15 || type == 17);
		p.transport = IPPROTO_ICMPV6;
		assert_int_equal(is_icmp_error(&p), type >= 1 && type <= 4);
		assert_int_equal(may_begin(&p), type == 128 || type == 139);
		p.transport = IPPROTO_UDP;
		assert_false(is_icmp_error(&p));
		assert_true(may_begin(&p));
	}
}

/* Each set of flags of TCP. */
static void what_a_segment_may_do(void **state)
{
	for (unsigned flags = 0; flags < 64; flags++) {
		struct packet p = {.transport = IPPROTO_TCP, .tcp_flags = (uint8_t)flags};
		bool syn = flags & TCP_SYN, ack = flags & TCP_ACK, fin = flags & TCP_FIN,
		     rst = flags & TCP_RST,
		     other = flags & ~(unsigned)(TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST);
		assert_int_equal(may_begin(&p), !fin && !rst);
		assert_int_equal(may_open(&p), syn && !ack);
		assert_int_equal(is_empty_ack(&p), ack && !syn && !other);
		p.payload = cursor_of("x", 1);
		assert_false(is_empty_ack(&p));
	}
}

static void a_datagram_may_open_where_it_may_hold_an_initial(void **state)
{
	static uint8_t initial[1200] = {0xc0, 0, 0, 0, 1};
	struct packet p = {.transport = IPPROTO_UDP, .ip_len = 2399};
	p.payload = cursor_of("short", 5);
	assert_false(may_open(&p));
	p.ip_len = 2400; /* two in one */
	assert_true(may_open(&p));
	p.ip_len = 1228;
	p.payload = cursor_of(initial, sizeof initial);
	assert_true(may_open(&p));
	p.transport = IPPROTO_SCTP;
	assert_false(may_open(&p));
}

/* ---- what a server's packet makes of an entry ---- */

static enum entry answered(enum entry entry, uint8_t transport, uint8_t flags, uint32_t ack,
			   const char *payload, size_t len)
{
	struct track k = {.entry = entry, .isn = 100, .flow.key.server_port = 443};
	struct packet p = {.transport = transport, .tcp_flags = flags, .ack = ack};
	p.payload = cursor_of(payload, len);
	server_answers(&k, &p);
	return k.entry;
}

static void an_answer_moves_the_entry_on(void **state)
{
	const uint8_t sa = TCP_SYN | TCP_ACK;
	assert_int_equal(answered(ENTRY_PENDING, IPPROTO_TCP, sa, 101, "", 0), ENTRY_ANSWERED);
	assert_int_equal(answered(ENTRY_PENDING, IPPROTO_TCP, sa, 100, "", 0), ENTRY_PENDING);
	assert_int_equal(answered(ENTRY_PENDING, IPPROTO_TCP, sa, 102, "", 0), ENTRY_PENDING);
	assert_int_equal(answered(ENTRY_PENDING, IPPROTO_TCP, TCP_ACK, 101, "", 0), ENTRY_PENDING);
	assert_int_equal(answered(ENTRY_PENDING, IPPROTO_TCP, TCP_SYN, 101, "", 0), ENTRY_PENDING);
	assert_int_equal(answered(ENTRY_PENDING, IPPROTO_UDP, sa, 101, "", 0), ENTRY_PENDING);
	assert_int_equal(answered(ENTRY_NONE, IPPROTO_TCP, sa, 101, "", 0), ENTRY_NONE);
	assert_int_equal(answered(ENTRY_HEARD, IPPROTO_TCP, TCP_ACK, 9, "", 0), ENTRY_HEARD);
	assert_int_equal(answered(ENTRY_HEARD, IPPROTO_TCP, TCP_ACK, 9, "HTTP/1.1", 8),
			 ENTRY_ALLOWED);
	assert_int_equal(answered(ENTRY_HEARD, IPPROTO_TCP, TCP_ACK | TCP_RST, 9, "HTTP/1.1", 8),
			 ENTRY_HEARD);
	assert_int_equal(answered(ENTRY_HEARD, IPPROTO_TCP, sa, 9, "HTTP/1.1", 8), ENTRY_HEARD);
	assert_int_equal(answered(ENTRY_ANSWERED, IPPROTO_TCP, TCP_ACK, 9, "HTTP/1.1", 8),
			 ENTRY_ANSWERED);
	assert_int_equal(answered(ENTRY_HEARD, IPPROTO_UDP, 0, 0, "", 0), ENTRY_ALLOWED);
	assert_int_equal(answered(ENTRY_PENDING, IPPROTO_UDP, 0, 0, "x", 1), ENTRY_PENDING);
}

/* ---- what becomes of a client's packet ---- */

static bool is_internal;
static bool internal(void *ctx, const struct address *a)
{
	return is_internal;
}

static void a_clients_packet_passes_or_comes_up(void **state)
{
	struct capture c = {0};
	struct track k = {0};
	struct packet syn = {.transport = IPPROTO_TCP, .tcp_flags = TCP_SYN},
		      ack = {.transport = IPPROTO_TCP, .tcp_flags = TCP_ACK}, data = ack,
		      udp = {.transport = IPPROTO_UDP};
	data.payload = cursor_of("x", 1);
	static const enum entry entries[] = {ENTRY_NONE, ENTRY_PENDING, ENTRY_ANSWERED, ENTRY_HEARD,
					     ENTRY_ALLOWED};
	for (size_t i = 0; i < 5; i++) {
		bool answered = i == 2 || i == 3, allowed = i == 4;
		k = (struct track){.entry = entries[i]};
		assert_int_equal(client_fate(&c, &k, &syn), FATE_CLIENT);
		assert_int_equal(client_fate(&c, &k, &ack),
				 answered || allowed ? FATE_PASS : FATE_CLIENT);
		assert_int_equal(client_fate(&c, &k, &data), allowed ? FATE_PASS : FATE_CLIENT);
		assert_int_equal(client_fate(&c, &k, &udp), allowed ? FATE_PASS : FATE_CLIENT);
		k.denied = true;
		assert_int_equal(client_fate(&c, &k, &ack), FATE_DROP);
		c.o.internal = internal;
		assert_int_equal(client_fate(&c, &k, &ack), FATE_DROP);
		is_internal = true;
		assert_int_equal(client_fate(&c, &k, &ack), FATE_PASS);
		c.o.internal = NULL;
		is_internal = false;
	}
}

/* ---- verdicts ---- */

static void a_verdict_leaves_its_mark(void **state)
{
	static const struct {
		enum verdict v;
		enum entry entry;
		bool passes, confirms, denies, denies_confirmed;
	} of[] = {
		{VERDICT_PASS, ENTRY_NONE, true, true, false, false},
		{VERDICT_PENDING, ENTRY_PENDING, true, true, false, false},
		{VERDICT_HEARD, ENTRY_HEARD, true, true, false, false},
		{VERDICT_ALLOWED, ENTRY_ALLOWED, true, true, false, false},
		{VERDICT_DENIED, ENTRY_NONE, false, false, false, true},
		{VERDICT_DROP_DENIED, ENTRY_NONE, false, false, false, true},
		{VERDICT_REDIRECT, ENTRY_NONE, false, true, true, true},
		{VERDICT_DROP, ENTRY_NONE, false, false, false, false},
	};
	for (size_t i = 0; i < 8; i++) {
		for (int confirmed = 0; confirmed < 2; confirmed++) {
			struct capture c = {0};
			struct track k = {.serial = 7, .confirmed = confirmed};
			struct waiting *w = take_waiting(&c);
			assert_non_null(w);
			w->track = &k;
			w->serial = 7;
			verdict(&c.source, 0, of[i].v);
			assert_int_equal(k.entry, of[i].entry);
			assert_int_equal(k.confirmed, confirmed || of[i].confirms);
			assert_int_equal(k.denied,
					 confirmed ? of[i].denies_confirmed : of[i].denies);
			assert_int_equal(c.counters.passed, of[i].passes);
			assert_int_equal(c.counters.denied, !of[i].passes);
			verdict(&c.source, 0, VERDICT_ALLOWED);  /* it has its one verdict */
			verdict(&c.source, 64, VERDICT_ALLOWED); /* and there is no such packet */
			assert_int_equal(k.entry, of[i].entry);
			assert_int_equal(c.counters.passed, of[i].passes);
			free(c.waiting);
		}
	}
}

/* The flow may be gone, and another in its place. */
static void a_verdict_is_of_its_own_flow(void **state)
{
	struct capture c = {0};
	struct track k = {.serial = 8};
	struct waiting *w = take_waiting(&c);
	w->track = &k;
	w->serial = 7;
	verdict(&c.source, 0, VERDICT_ALLOWED);
	assert_int_equal(k.entry, ENTRY_NONE);
	assert_false(k.confirmed);
	assert_int_equal(c.counters.passed, 1);
	free(c.waiting);
}

/* As many may wait as the bound says; each has a number of its own, and a free one is used again.
 */
static void many_may_wait_and_not_too_many(void **state)
{
	struct capture c = {0};
	struct track k = {0};
	for (uint32_t i = 0; i < WAITING_MAX; i++) {
		struct waiting *w = take_waiting(&c);
		assert_int_equal(w - c.waiting, i);
		w->track = &k;
	}
	assert_null(take_waiting(&c));
	verdict(&c.source, 5, VERDICT_DROP);
	verdict(&c.source, 9, VERDICT_DROP);
	assert_int_equal(take_waiting(&c) - c.waiting, 9);
	assert_int_equal(take_waiting(&c) - c.waiting, 5);
	assert_null(take_waiting(&c));
	free(c.waiting);
	if (NO_MEMORY) {
		struct capture none = {0};
		no_memory_at(0);
		assert_null(take_waiting(&none));
		no_memory_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_on_its_link),
		cmocka_unit_test(errors_of_icmp_are_told_from_its_flows),
		cmocka_unit_test(what_a_segment_may_do),
		cmocka_unit_test(a_datagram_may_open_where_it_may_hold_an_initial),
		cmocka_unit_test(an_answer_moves_the_entry_on),
		cmocka_unit_test(a_clients_packet_passes_or_comes_up),
		cmocka_unit_test(a_verdict_leaves_its_mark),
		cmocka_unit_test(a_verdict_is_of_its_own_flow),
		cmocka_unit_test(many_may_wait_and_not_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
