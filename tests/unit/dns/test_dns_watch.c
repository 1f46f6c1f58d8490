#include "unit.h"
#include "base/clock.h"
#include "dns/dns_build.h"
#include "dns/dns_watch.h"

#include <netinet/in.h>
#include <stdio.h>

#define S NS_PER_S

static const uint8_t client_bytes[] = {10, 0, 0, 2}, resolver_bytes[] = {10, 0, 0, 53},
		     other_bytes[] = {10, 0, 0, 54}, site_bytes[] = {192, 0, 2, 1};

struct bed {
	struct address client, resolver, other, site;
	struct seen *seen;
	struct dns_watch *watch;
	uint32_t seq[2]; /* of the TCP connection: client's, resolver's */
};

static int set_up(void **state)
{
	static struct bed b;
	b.client = address_from4(client_bytes);
	b.resolver = address_from4(resolver_bytes);
	b.other = address_from4(other_bytes);
	b.site = address_from4(site_bytes);
	b.seen = seen_new(1024, 0, false);
	b.watch = dns_watch_new(512, 32, b.seen);
	*state = &b;
	return b.seen && b.watch ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bed *b = *state;
	dns_watch_free(b->watch);
	seen_free(b->seen);
	return 0;
}

static bool agrees(struct bed *b, const char *text)
{
	struct host h = {.len = (uint8_t)strlen(text)};
	memcpy(h.text, text, h.len + 1u);
	return seen_agrees(b->seen, &b->client, &b->site, &h, 0);
}

static struct dns_watch_counters counters(struct bed *b)
{
	struct dns_watch_counters c;
	dns_watch_count(b->watch, &c);
	return c;
}

static void query(struct build *m, unsigned id, const char *text, unsigned type)
{
	head(m, 0x0100, 0, text, type);
	m->bytes[0] = (uint8_t)(id >> 8);
	m->bytes[1] = (uint8_t)id;
}

static void answer(struct build *m, unsigned id, const char *text)
{
	head(m, 0x8180, 1, text, DNS_A);
	m->bytes[0] = (uint8_t)(id >> 8);
	m->bytes[1] = (uint8_t)id;
	a(m, "@12", 60, 1);
}

/* UDP */

static void udp(struct bed *b, const struct address *src, unsigned sport, const struct address *dst,
		unsigned dport, const struct build *m, int64_t now)
{
	struct packet p = {.src = *src,
			   .dst = *dst,
			   .src_port = (uint16_t)sport,
			   .dst_port = (uint16_t)dport,
			   .transport = IPPROTO_UDP,
			   .payload = cursor_of(m->bytes, m->len)};
	dns_watch_packet(b->watch, &p, address_equal(src, &b->client), now);
}

static struct build M;

static void ask(struct bed *b, unsigned port, unsigned id, const char *text)
{
	query(&M, id, text, DNS_A);
	udp(b, &b->client, port, &b->resolver, 53, &M, 0);
}

static void tell(struct bed *b, unsigned port, unsigned id, const char *text)
{
	answer(&M, id, text);
	udp(b, &b->resolver, 53, &b->client, port, &M, 0);
}

static void test_an_answer_to_a_question(void **state)
{
	struct bed *b = *state;
	ask(b, 4000, 7, "www.example.com");
	assert_false(agrees(b, "www.example.com"));
	tell(b, 4000, 7, "WWW.example.com");
	assert_true(agrees(b, "www.example.com"));
	assert_int_equal(counters(b).queries, 1);
	assert_int_equal(counters(b).answers, 1);
	assert_int_equal(counters(b).addresses, 1);
	tell(b, 4000, 7, "www.example.com"); /* answered already */
	assert_int_equal(counters(b).unasked, 1);
}

static void test_an_answer_to_another_question(void **state)
{
	struct bed *b = *state;
	ask(b, 4000, 7, "www.example.com");
	tell(b, 4000, 8, "www.example.com");
	tell(b, 4001, 7, "www.example.com");
	tell(b, 4000, 7, "www.example.org");
	answer(&M, 7, "www.example.com");
	udp(b, &b->other, 53, &b->client, 4000, &M, 0);
	udp(b, &b->resolver, 53, &b->other, 4000, &M, 0);
	udp(b, &b->resolver, 5353, &b->client, 4000, &M, 0);
	query(&M, 7, "www.example.com", DNS_AAAA);
	M.bytes[2] = 0x81;
	M.bytes[7] = 1;
	aaaa(&M, "@12", 60, 1);
	udp(b, &b->resolver, 53, &b->client, 4000, &M, 0);
	assert_int_equal(counters(b).unasked, 6);
	assert_int_equal(counters(b).answers, 0);
	assert_false(agrees(b, "www.example.com"));
	tell(b, 4000, 7, "www.example.com");
	assert_true(agrees(b, "www.example.com"));
}

/* The client asks HTTPS of `from` and is told that it leads to `to`. */
static void lead(struct bed *b, const char *from, const char *to)
{
	query(&M, 9, from, DNS_HTTPS);
	udp(b, &b->client, 4009, &b->resolver, 53, &M, 0);
	head(&M, 0x8180, 1, from, DNS_HTTPS);
	M.bytes[0] = 0;
	M.bytes[1] = 9;
	size_t start = record_begin(&M, "@12", DNS_HTTPS, 60);
	u16(&M, 1);
	name(&M, to);
	record_end(&M, start);
	udp(b, &b->resolver, 53, &b->client, 4009, &M, 0);
}

static void test_what_a_target_resolves_to(void **state)
{
	struct bed *b = *state;
	lead(b, "www.example.com", "svc.example");
	lead(b, "svc.example", "edge.example");
	assert_false(agrees(b, "www.example.com"));
	ask(b, 4000, 7, "edge.example");
	tell(b, 4000, 7, "edge.example");
	assert_true(agrees(b, "www.example.com"));
	assert_true(agrees(b, "svc.example"));
	assert_true(agrees(b, "edge.example"));
	assert_int_equal(counters(b).addresses, 1);
	uint32_t slot = 0;
	for (struct seen_entry e;
	     seen_each(b->seen, &slot, &e);) /* targets are not for the state */
		assert_memory_equal(&e.address, &b->site, sizeof b->site);
}

/* The newest sixteen that lead to a name count, so that one name can't cost more than that. */
static void test_the_names_that_lead_to_one_are_bounded(void **state)
{
	struct bed *b = *state;
	for (unsigned i = 0; i < 17; i++) {
		char from[24];
		snprintf(from, sizeof from, "w%u.example.com", i);
		lead(b, from, "svc.example");
	}
	ask(b, 4000, 7, "svc.example");
	tell(b, 4000, 7, "svc.example");
	assert_false(agrees(b, "w0.example.com"));
	assert_true(agrees(b, "w1.example.com"));
	assert_true(agrees(b, "w16.example.com"));
}

static void test_a_late_answer(void **state)
{
	struct bed *b = *state;
	ask(b, 4000, 7, "www.example.com");
	answer(&M, 7, "www.example.com");
	udp(b, &b->resolver, 53, &b->client, 4000, &M, 30 * S + 1);
	assert_int_equal(counters(b).unasked, 1);
	ask(b, 4000, 7, "www.example.com");
	answer(&M, 7, "www.example.com");
	udp(b, &b->resolver, 53, &b->client, 4000, &M, 30 * S);
	assert_int_equal(counters(b).answers, 1);
}

static void test_the_oldest_question_goes(void **state)
{
	struct bed *b = *state;
	for (unsigned id = 0; id < 65; id++)
		ask(b, 4000, id, "www.example.com");
	tell(b, 4000, 0, "www.example.com");
	assert_int_equal(counters(b).unasked, 1);
	for (unsigned id = 1; id < 65; id++)
		tell(b, 4000, id, "www.example.com");
	assert_int_equal(counters(b).answers, 64);
}

static void test_both_ports_53(void **state)
{
	struct bed *b = *state;
	ask(b, 53, 7, "www.example.com");
	tell(b, 53, 7, "www.example.com");
	assert_true(agrees(b, "www.example.com"));
}

static void test_a_client_answers_itself(void **state)
{
	struct bed *b = *state;
	ask(b, 4000, 7, "www.example.com");
	answer(&M, 7, "www.example.com");
	udp(b, &b->client, 4000, &b->resolver, 53, &M, 0);
	assert_int_equal(counters(b).answers, 0);
	assert_false(agrees(b, "www.example.com"));
}

static void test_malformed_is_counted(void **state)
{
	struct bed *b = *state;
	ask(b, 4000, 7, "www.example.com");
	answer(&M, 7, "www.example.com");
	M.bytes[7] = 2;
	udp(b, &b->resolver, 53, &b->client, 4000, &M, 0);
	assert_int_equal(counters(b).malformed, 1);
	assert_true(agrees(b, "www.example.com")); /* it stood before the damage */
	M.len = 11;
	udp(b, &b->resolver, 53, &b->client, 4000, &M, 0);
	assert_int_equal(counters(b).malformed, 2);
}

static void test_ttl_has_a_bound(void **state)
{
	struct bed *b = *state;
	struct host h = {.len = 9, .text = "a.example"};
	ask(b, 4000, 7, "a.example");
	head(&M, 0x8180, 1, "a.example", DNS_A);
	M.bytes[0] = 0;
	M.bytes[1] = 7;
	a(&M, "@12", 0x7fffffff, 1);
	udp(b, &b->resolver, 53, &b->client, 4000, &M, 0);
	assert_true(seen_agrees(b->seen, &b->client, &b->site, &h, 7 * 86400 * S));
	assert_false(seen_agrees(b->seen, &b->client, &b->site, &h, 7 * 86400 * S + S));
}

/* TCP */

static void tcp(struct bed *b, bool from_client, uint32_t seq, unsigned flags, const void *bytes,
		size_t len)
{
	struct packet p = {.src = from_client ? b->client : b->resolver,
			   .dst = from_client ? b->resolver : b->client,
			   .src_port = from_client ? 4000 : 53,
			   .dst_port = from_client ? 53 : 4000,
			   .transport = IPPROTO_TCP,
			   .tcp_flags = (uint8_t)flags,
			   .seq = seq,
			   .payload = cursor_of(bytes, len)};
	dns_watch_packet(b->watch, &p, from_client, 0);
}

static void open_tcp(struct bed *b, uint32_t client, uint32_t resolver)
{
	b->seq[0] = client + 1;
	b->seq[1] = resolver + 1;
	tcp(b, true, client, TCP_SYN, "", 0);
	tcp(b, false, resolver, TCP_SYN | TCP_ACK, "", 0);
}

/* Messages with their length prefix, one after the other. */
struct sent {
	uint8_t bytes[256 * 1024];
	size_t len;
};
static struct sent Q, R;

static void put(struct sent *s, const struct build *m)
{
	s->bytes[s->len++] = (uint8_t)(m->len >> 8);
	s->bytes[s->len++] = (uint8_t)m->len;
	memcpy(s->bytes + s->len, m->bytes, m->len);
	s->len += m->len;
}

static void pipelined(unsigned count, unsigned pad)
{
	Q.len = R.len = 0;
	for (unsigned i = 0; i < count; i++) {
		char text[32];
		snprintf(text, sizeof text, "n%u.example", i);
		query(&M, i, text, DNS_A);
		put(&Q, &M);
		answer(&M, i, text);
		for (unsigned more = 0; more < pad; more++)
			u8(&M, 0);
		put(&R, &M);
	}
}

static void test_tcp_split_at_every_byte(void **state)
{
	struct bed *b = *state;
	pipelined(2, 0);
	for (size_t cut = 0; cut <= R.len; cut++) {
		open_tcp(b, (uint32_t)cut * 1000, 0xffffffc0u + (uint32_t)cut);
		tcp(b, true, b->seq[0], TCP_ACK, Q.bytes, cut % Q.len);
		tcp(b, true, b->seq[0] + cut % Q.len, TCP_ACK, Q.bytes + cut % Q.len,
		    Q.len - cut % Q.len);
		tcp(b, false, b->seq[1], TCP_ACK, R.bytes, cut);
		tcp(b, false, b->seq[1] + (uint32_t)cut, TCP_ACK, R.bytes + cut, R.len - cut);
		assert_int_equal(counters(b).answers, 2 * (cut + 1));
	}
	assert_true(agrees(b, "n1.example"));
	assert_int_equal(counters(b).unasked, 0);
	assert_int_equal(counters(b).lost, 0);
}

static void test_tcp_out_of_order_and_repeated(void **state)
{
	struct bed *b = *state;
	pipelined(40, 0);
	for (unsigned round = 0; round < 50; round++) {
		unsigned random = round * 7919 + 1;
		open_tcp(b, round * 100000, ~round);
		tcp(b, true, b->seq[0], TCP_ACK, Q.bytes, Q.len);
		/* pieces, each pair of neighbours swapped at random, some sent twice */
		for (size_t at = 0; at < R.len;) {
			random = random * 1103515245 + 12345;
			size_t one = 1 + (random >> 8) % 90, two = 1 + (random >> 16) % 90;
			one = one < R.len - at ? one : R.len - at;
			two = two < R.len - at - one ? two : R.len - at - one;
			if (random & 16)
				tcp(b, false, b->seq[1] + (uint32_t)(at + one), TCP_ACK,
				    R.bytes + at + one, two);
			tcp(b, false, b->seq[1] + (uint32_t)at, TCP_ACK, R.bytes + at, one);
			tcp(b, false, b->seq[1] + (uint32_t)(at + one), TCP_ACK, R.bytes + at + one,
			    two);
			at += one + two;
		}
		assert_int_equal(counters(b).answers, 40 * (round + 1));
	}
	assert_int_equal(counters(b).lost, 0);
}

static void test_tcp_large_segments_and_messages(void **state)
{
	struct bed *b = *state;
	pipelined(4, 65000);
	open_tcp(b, 1, 2);
	tcp(b, true, b->seq[0], TCP_ACK, Q.bytes, Q.len);
	tcp(b, false, b->seq[1], TCP_ACK, R.bytes, R.len);
	assert_int_equal(counters(b).answers, 4);
	pipelined(2000, 0); /* a client's window slides too */
	open_tcp(b, 10, 20);
	for (size_t at = 0; at < Q.len; at += 5000)
		tcp(b, true, b->seq[0] + (uint32_t)at, TCP_ACK, Q.bytes + at,
		    Q.len - at < 5000 ? Q.len - at : 5000);
	assert_int_equal(counters(b).queries, 2004);
	assert_int_equal(counters(b).lost, 0);
}

static void test_tcp_syn_with_data(void **state)
{
	struct bed *b = *state;
	pipelined(1, 0);
	tcp(b, true, 99, TCP_SYN, Q.bytes, Q.len);
	tcp(b, true, 99, TCP_SYN, Q.bytes, Q.len);
	tcp(b, false, 7, TCP_SYN | TCP_ACK, R.bytes, R.len);
	assert_int_equal(counters(b).queries, 1);
	assert_int_equal(counters(b).answers, 1);
}

static void test_tcp_without_its_start_is_not_followed(void **state)
{
	struct bed *b = *state;
	pipelined(1, 0);
	tcp(b, true, 100, TCP_ACK, Q.bytes, Q.len);
	tcp(b, false, 100, TCP_ACK, R.bytes, R.len);
	tcp(b, false, 7, TCP_SYN | TCP_ACK, "", 0);
	tcp(b, false, 8, TCP_ACK, R.bytes, R.len);
	assert_int_equal(counters(b).queries, 0);
	assert_int_equal(counters(b).answers, 0);
}

static void test_tcp_past_the_window_is_lost(void **state)
{
	struct bed *b = *state;
	pipelined(1, 0);
	open_tcp(b, 1, 2);
	tcp(b, true, b->seq[0], TCP_ACK, Q.bytes, Q.len);
	tcp(b, false, b->seq[1] + 70000, TCP_ACK, R.bytes, R.len);
	assert_int_equal(counters(b).lost, 1);
	tcp(b, false, b->seq[1], TCP_ACK, R.bytes, R.len);
	assert_int_equal(counters(b).answers, 0);
	open_tcp(b, 1000, 2000);
	for (unsigned hole = 0; hole < 9; hole++)
		tcp(b, false, b->seq[1] + 10 + hole * 10, TCP_ACK, R.bytes, 5);
	assert_int_equal(counters(b).lost, 2);
}

static void test_tcp_ends(void **state)
{
	struct bed *b = *state;
	pipelined(1, 0);
	open_tcp(b, 1, 2);
	tcp(b, true, b->seq[0], TCP_ACK | TCP_FIN, Q.bytes, Q.len);
	tcp(b, false, b->seq[1], TCP_ACK | TCP_FIN, R.bytes, R.len); /* a half-closed one lives */
	assert_int_equal(counters(b).answers, 1);
	tcp(b, true, b->seq[0] + (uint32_t)Q.len, TCP_ACK, Q.bytes, Q.len);
	assert_int_equal(counters(b).queries, 1);
	open_tcp(b, 1000, 2000);
	tcp(b, true, b->seq[0], TCP_RST, "", 0);
	tcp(b, true, b->seq[0], TCP_ACK, Q.bytes, Q.len);
	assert_int_equal(counters(b).queries, 1);
}

static void test_tcp_oldest_connection_goes(void **state)
{
	struct bed *b = *state;
	struct address clients[5];
	pipelined(1, 0);
	for (unsigned i = 0; i < 5; i++) {
		b->client = (struct address){{0xfd, [15] = (uint8_t)i}}; /* one host */
		clients[i] = b->client;
		open_tcp(b, 1, 2);
	}
	for (unsigned i = 5; i-- > 0;) {
		b->client = clients[i];
		tcp(b, true, 2, TCP_ACK, Q.bytes, Q.len);
	}
	assert_int_equal(counters(b).queries, 4);
	assert_int_equal(counters(b).lost, 2); /* the last was met again mid-stream */
}

static void test_tcp_connections_of_many(void **state)
{
	struct bed *b = *state;
	pipelined(1, 0);
	for (unsigned i = 0; i < 32; i++) {
		b->client = address_from4((uint8_t[]){10, 0, 1, (uint8_t)i});
		open_tcp(b, 1, 2);
	}
	for (unsigned i = 0; i < 32; i++) {
		b->client = address_from4((uint8_t[]){10, 0, 1, (uint8_t)i});
		tcp(b, true, 2, TCP_ACK, Q.bytes, Q.len);
	}
	assert_int_equal(counters(b).queries, 32);
	assert_int_equal(counters(b).lost, 0);
}

/* What a client sends is no answer, whatever it calls it. */
static void test_a_client_answers_nothing(void **state)
{
	struct bed *b = *state;
	pipelined(1, 0);
	open_tcp(b, 1, 2);
	tcp(b, true, b->seq[0], TCP_ACK, Q.bytes, Q.len);
	tcp(b, true, b->seq[0] + (uint32_t)Q.len, TCP_ACK, R.bytes, R.len);
	ask(b, 53, 7, "www.example.com");
	answer(&M, 7, "www.example.com");
	udp(b, &b->client, 53, &b->resolver, 53, &M, 0);
	assert_int_equal(counters(b).answers, 0);
	assert_false(agrees(b, "n0.example"));
	assert_false(agrees(b, "www.example.com"));
}

/* Mid-stream: a segment with acknowledgement, window and time. */
static void later(struct bed *b, bool from_client, uint32_t seq, uint32_t ack, uint16_t window,
		  const struct sent *bytes, int64_t now)
{
	struct packet p = {.src = from_client ? b->client : b->resolver,
			   .dst = from_client ? b->resolver : b->client,
			   .src_port = from_client ? 4000 : 53,
			   .dst_port = from_client ? 53 : 4000,
			   .transport = IPPROTO_TCP,
			   .tcp_flags = TCP_ACK,
			   .seq = seq,
			   .ack = ack,
			   .window = window,
			   .payload = cursor_of(bytes->bytes, bytes->len)};
	dns_watch_packet(b->watch, &p, from_client, now);
}

static void test_tcp_taken_up_mid_stream(void **state)
{
	static const struct sent none;
	struct bed *b = *state;
	pipelined(1, 0);
	uint32_t q = (uint32_t)Q.len, r = (uint32_t)R.len;
	later(b, false, 1000, 1, 500, &R, 0); /* somewhere in an answer */
	later(b, true, 1, 1000 + r, 5000, &none, 0);
	later(b, true, 1, 1000 + r, 5000, &Q, S - 1); /* too soon: the resolver may have more */
	later(b, false, 1000 + r, 1 + q, 500, &R, S - 1);
	assert_int_equal(counters(b).queries, 0);
	later(b, true, 1 + q, 1000 + 2 * r, 5000, &none, S);
	later(b, true, 1 + q, 1000 + 2 * r, 5000, &Q, 2 * S);
	later(b, false, 1000 + 2 * r, 1 + 2 * q, 500, &R, 2 * S);
	assert_int_equal(counters(b).answers, 1);
	assert_true(agrees(b, "n0.example"));
}

/* A client that holds the rest of an answer back could make it look like another one. */
static void test_tcp_not_taken_up_in_an_answer(void **state)
{
	static const struct sent none;
	struct bed *b = *state;
	pipelined(1, 0);
	uint32_t r = (uint32_t)R.len;
	later(b, false, 1000, 1, 500, &R, 0);
	later(b, true, 1, 1000 + r, 4095, &none, 0); /* a window into which nothing more goes */
	later(b, true, 1, 1000 + r, 5000, &Q, 9 * S);
	later(b, false, 1000 + r, 1, 500, &R, 9 * S);
	later(b, true, 1, 1000 + r, 5000, &none, 9 * S); /* not all that came */
	later(b, true, 1, 1000 + r, 5000, &Q, 19 * S);
	later(b, false, 1000 + r, 1, 500, &R, 19 * S);
	assert_int_equal(counters(b).queries, 0);
	assert_false(agrees(b, "n0.example"));
}

static void test_empty_messages(void **state)
{
	struct bed *b = *state;
	open_tcp(b, 1, 2);
	tcp(b, false, b->seq[1], TCP_ACK, "\0\0\0\0\0", 5);
	pipelined(1, 0);
	tcp(b, true, b->seq[0], TCP_ACK, Q.bytes, Q.len);
	tcp(b, false, b->seq[1] + 4, TCP_ACK, R.bytes, R.len);
	assert_int_equal(counters(b).malformed, 2);
	assert_int_equal(counters(b).answers, 1);
}

/* An alias whose addresses came with it is no name that leads elsewhere: what its end resolves to
 * for others, later, is not evidence for it. */
static void test_an_alias_with_addresses_is_no_target(void **state)
{
	struct bed *b = *state;
	struct seen_counters c;
	ask(b, 4000, 7, "www.example.com");
	head(&M, 0x8180, 2, "www.example.com", DNS_A);
	M.bytes[0] = 0;
	M.bytes[1] = 7;
	alias(&M, "@12", DNS_CNAME, 60, "edge.example");
	a(&M, "edge.example", 60, 1);
	udp(b, &b->resolver, 53, &b->client, 4000, &M, 0);
	assert_true(agrees(b, "www.example.com"));
	seen_count(b->seen, &c);
	assert_int_equal(c.entries, 2);
}

/* A keep-alive repeats a byte that was acknowledged long ago: no message begins there. */
static void test_tcp_not_taken_up_by_a_keepalive(void **state)
{
	static const struct sent none;
	struct bed *b = *state;
	pipelined(1, 0);
	uint32_t q = (uint32_t)Q.len, r = (uint32_t)R.len;
	later(b, false, 1000, 1, 500, &R, 0);
	later(b, true, 1, 1000 + r, 5000, &none, 0);
	later(b, true, 0, 1000 + r, 5000, &none, 9 * S);
	later(b, true, 1, 1000 + r, 5000, &Q, 10 * S);
	later(b, false, 1000 + r, 1 + q, 500, &R, 10 * S);
	assert_int_equal(counters(b).answers, 1);
	assert_true(agrees(b, "n0.example"));
}

#define WATCH_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WATCH_TEST(test_an_answer_to_a_question),
		WATCH_TEST(test_an_answer_to_another_question),
		WATCH_TEST(test_what_a_target_resolves_to),
		WATCH_TEST(test_the_names_that_lead_to_one_are_bounded),
		WATCH_TEST(test_a_late_answer),
		WATCH_TEST(test_the_oldest_question_goes),
		WATCH_TEST(test_both_ports_53),
		WATCH_TEST(test_a_client_answers_itself),
		WATCH_TEST(test_malformed_is_counted),
		WATCH_TEST(test_ttl_has_a_bound),
		WATCH_TEST(test_tcp_split_at_every_byte),
		WATCH_TEST(test_tcp_out_of_order_and_repeated),
		WATCH_TEST(test_tcp_large_segments_and_messages),
		WATCH_TEST(test_tcp_syn_with_data),
		WATCH_TEST(test_tcp_without_its_start_is_not_followed),
		WATCH_TEST(test_tcp_past_the_window_is_lost),
		WATCH_TEST(test_tcp_ends),
		WATCH_TEST(test_tcp_oldest_connection_goes),
		WATCH_TEST(test_tcp_connections_of_many),
		WATCH_TEST(test_a_client_answers_nothing),
		WATCH_TEST(test_tcp_taken_up_mid_stream),
		WATCH_TEST(test_tcp_not_taken_up_in_an_answer),
		WATCH_TEST(test_empty_messages),
		WATCH_TEST(test_an_alias_with_addresses_is_no_target),
		WATCH_TEST(test_tcp_not_taken_up_by_a_keepalive),
	};
	return cmocka_run_group_tests_name("dns_watch", tests, NULL, NULL);
}
