#include "source/capture.h"

#include "base/buf.h"
#include "base/clock.h"
#include "wire.h"

#include <unistd.h>

#define C  "10.0.0.1"
#define S  "192.0.2.1"
#define R  "10.0.0.53"
#define SA (TCP_SYN | TCP_ACK)
#define PA (TCP_PSH | TCP_ACK)
#define FA (TCP_FIN | TCP_ACK)

/* A worker that says what it hears, and decides by a function. */
struct run {
	char text[8192];
	struct buf said;
	enum verdict (*decide)(struct run *r, const struct packet *p);
	int count;         /* of arrivals */
	uint64_t held[16]; /* ids that decide() put off */
	size_t held_count;
	bool hold; /* set by decide(): no verdict now */
	uint64_t now_id;
	struct source *source;
	struct capture_counters counters;
	bool broken;
};

static void say_key(struct run *r, const struct address *src, unsigned sport,
		    const struct address *dst, unsigned dport, unsigned transport)
{
	char a[ADDRESS_TEXT], b[ADDRESS_TEXT];
	buf_printf(&r->said, " %u %s:%u %s:%u", transport, address_format(src, a), sport,
		   address_format(dst, b), dport);
}

static void ended(void *ctx, const struct flow_key *k, uint64_t bytes, uint64_t packets,
		  int64_t after, int64_t last)
{
	struct run *r = ctx;
	buf_text(&r->said, "end");
	say_key(r, &k->client, k->client_port, &k->server, k->server_port, k->transport);
	buf_printf(&r->said, " %u/%u\n", (unsigned)packets, (unsigned)bytes);
	assert_true(after <= last);
}

static void kernel_denied(void *ctx, const struct arrival *a, const struct flow_key *k,
			  enum reason reason)
{
	struct run *r = ctx;
	buf_printf(&r->said, "kernel %s", reason_text(reason));
	say_key(r, &k->client, k->client_port, &k->server, k->server_port, k->transport);
	buf_char(&r->said, '\n');
	assert_true(a->now >= 1000 * NS_PER_S);
}

static bool resolver(void *ctx, const struct address *a)
{
	struct address want;
	return address_parse(R, &want) && address_equal(a, &want);
}

static bool internal(void *ctx, const struct address *a)
{
	struct network want;
	return network_parse("10.7.0.0/16", &want) && network_has(&want, a);
}

static void arrival_in(struct run *r, const struct arrival *a)
{
	struct packet p;
	enum packet_parse parsed = (a->cut ? packet_parse_cut : packet_parse)(a->bytes, a->len, &p);
	assert_int_equal(parsed, PACKET_OK);
	buf_text(&r->said, a->kind == ARRIVAL_DNS ? "dns" : "up");
	say_key(r, &p.src, p.src_port, &p.dst, p.dst_port, p.transport);
	buf_char(&r->said, ' ');
	buf_bytes(&r->said, p.payload.pos, cursor_left(&p.payload));
	buf_text(&r->said, a->cut ? " cut\n" : "\n");
	r->hold = false;
	r->now_id = a->id;
	enum verdict v = r->decide ? r->decide(r, &p) : VERDICT_PENDING;
	r->count++;
	if (!r->hold)
		r->source->ops->verdict(r->source, a->id, v);
	else
		r->held[r->held_count++] = a->id;
}

/* Plays a file; `out` may be NULL. */
static void play(struct run *r, struct wire_file *f, const char *out, const char *inside)
{
	struct errors errors = {0};
	struct network network;
	struct arrival list[4];
	if (f->dumper)
		wire_close(f);
	r->said = BUF_OF(r->text);
	buf_text(&r->said, "");
	if (inside)
		assert_true(network_parse(inside, &network));
	r->source = capture_open(&(struct capture_options){.read = f->path,
							   .write = out,
							   .inside = inside ? &network : NULL,
							   .inside_count = inside != NULL,
							   .internal = internal,
							   .resolver = resolver,
							   .ended = ended,
							   .kernel_denied = kernel_denied,
							   .ctx = r,
							   .flows = 64},
				 &errors);
	assert_non_null(r->source);
	int n;
	while ((n = r->source->ops->receive(r->source, list, 4)) >= 0)
		for (int i = 0; i < n; i++)
			arrival_in(r, &list[i]);
	assert_int_equal(n, SOURCE_END);
	assert_int_equal(r->source->ops->receive(r->source, list, 4), SOURCE_END);
	r->source->ops->flush(r->source);
	capture_count(r->source, &r->counters);
	r->broken = r->counters.broken != NULL;
	assert_int_equal(capture_finish(r->source), 0);
	r->source->ops->free(r->source);
	assert_false(r->said.full);
	unlink(f->path);
}

static void handshake(struct wire_file *f, unsigned port)
{
	wire_packet(f, wire_tcp(C, port, S, 443, TCP_SYN, 100, ""));
	wire_packet(f, wire_tcp(S, 443, C, port, SA, 900, ""));
	wire_packet(f, wire_tcp(C, port, S, 443, TCP_ACK, 101, ""));
}

static enum verdict allow_with_payload(struct run *r, const struct packet *p)
{
	return cursor_left(&p->payload) ? VERDICT_ALLOWED : VERDICT_PENDING;
}

static enum verdict deny_with_payload(struct run *r, const struct packet *p)
{
	return cursor_left(&p->payload) ? VERDICT_DENIED : VERDICT_PENDING;
}

static enum verdict deny(struct run *r, const struct packet *p)
{
	return VERDICT_DENIED;
}

/* ---- marks and directions ---- */

static void allowed_flow_stays_in_the_kernel(void **state)
{
	struct run r = {.decide = allow_with_payload};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	handshake(&f, 5000);
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 101, "hello"));
	wire_packet(&f, wire_tcp(S, 443, C, 5000, PA, 901, "hello yourself"));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 106, "more"));
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 6 " C ":5000 " S ":443 \n"
				    "up 6 " C ":5000 " S ":443 hello\n"
				    "end 6 " C ":5000 " S ":443 6/263\n");
	assert_int_equal(r.counters.packets, 6);
	assert_int_equal(r.counters.passed, 6);
	assert_int_equal(r.counters.kernel_passed, 4);
	assert_int_equal(r.counters.denied, 0);
	assert_int_equal(r.counters.flows, 1);
}

static void denied_mark_lasts_on_a_confirmed_entry(void **state)
{
	struct run r = {.decide = deny_with_payload};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	handshake(&f, 5000);
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 101, "hello"));
	wire_packet(&f, wire_tcp(S, 443, C, 5000, PA, 901, "hello yourself"));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 106, "more"));
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 6 " C ":5000 " S ":443 \n"
				    "up 6 " C ":5000 " S ":443 hello\n"
				    "end 6 " C ":5000 " S ":443 6/263\n");
	assert_int_equal(r.counters.passed, 3);
	assert_int_equal(r.counters.denied, 3);
}

static void first_packet_denial_comes_up_again(void **state)
{
	struct run r = {.decide = deny};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	handshake(&f, 5000); /* as it was captured: without us the server answered */
	wire_packet(&f, wire_tcp(C, 5000, S, 443, TCP_SYN, 100, ""));
	play(&r, &f, NULL, NULL);
	/* nothing was confirmed: no mark, no end, and no ACK of a handshake that was not */
	assert_string_equal(r.text, "up 6 " C ":5000 " S ":443 \n"
				    "up 6 " C ":5000 " S ":443 \n"
				    "up 6 " C ":5000 " S ":443 \n");
	assert_int_equal(r.counters.denied, 4);
}

static void undecided_packets_all_come_up(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	handshake(&f, 5000);
	wire_packet(&f, wire_tcp(S, 443, C, 5000, PA, 901, "banner"));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, TCP_ACK, 101, ""));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 101, "a"));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 102, "b"));
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 6 " C ":5000 " S ":443 \n"
				    "up 6 " C ":5000 " S ":443 a\n"
				    "up 6 " C ":5000 " S ":443 b\n"
				    "end 6 " C ":5000 " S ":443 7/288\n");
}

static void syn_ack_first_makes_the_receiver_the_client(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_tcp(S, 443, C, 5000, SA, 900, ""));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 101, "hello"));
	wire_packet(&f, wire_tcp(S, 443, C, 5001, PA, 1, "late")); /* loose pickup */
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 6 " C ":5000 " S ":443 hello\n"
				    "up 6 " S ":443 " C ":5001 late\n"
				    "end 6 " C ":5000 " S ":443 2/85\n"
				    "end 6 " S ":443 " C ":5001 1/44\n");
}

static enum verdict redirect(struct run *r, const struct packet *p)
{
	return VERDICT_REDIRECT;
}

static void redirected_flow_belongs_to_the_portal(void **state)
{
	struct run r = {.decide = redirect};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	handshake(&f, 5000);
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 6 " C ":5000 " S ":443 \n"
				    "end 6 " C ":5000 " S ":443 3/120\n");
	assert_int_equal(r.counters.passed, 0);
}

static enum verdict remark_at_third(struct run *r, const struct packet *p)
{
	struct flow_key key = {p->src, p->dst, p->src_port, p->dst_port, p->transport};
	if (p->src_port == 1) /* another flow's packet: time to change the first one's mark */
		key.client_port = 5000;
	if (p->src_port == 1)
		r->source->ops->remark(r->source, &key, 0,
				       r->count == 1 ? VERDICT_DENIED : VERDICT_PENDING);
	return VERDICT_ALLOWED;
}

static void remark_changes_a_known_flow(void **state)
{
	struct run r = {.decide = remark_at_third};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_udp(C, 5000, S, 443, "a"));
	wire_packet(&f, wire_udp(C, 1, S, 443, "deny it"));
	wire_packet(&f, wire_udp(C, 5000, S, 443, "b"));
	wire_packet(&f, wire_udp(S, 443, C, 5000, "c"));
	play(&r, &f, NULL, NULL);
	assert_int_equal(r.counters.denied, 2);
	assert_int_equal(r.count, 2);
}

/* ---- what never comes up ---- */

static void kernel_passes_what_needs_no_decision(void **state)
{
	struct run r = {.decide = deny};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_udp(C, 1, "239.255.255.250", 1900, "multicast"));
	wire_packet(&f, wire_udp(C, 1, "255.255.255.255", 67, "broadcast"));
	wire_packet(&f, wire_udp(C, 1, "169.254.1.2", 80, "link-local"));
	wire_packet(&f, wire_udp("0.0.0.0", 68, "10.0.0.9", 67, "no address yet"));
	wire_packet(&f, wire_udp("fd00::1", 1, "ff02::fb", 5353, "multicast"));
	wire_packet(&f, wire_udp("fd00::1", 1, "fe80::1", 53, "link-local"));
	wire_packet(&f, wire_tcp(C, 1, "10.7.1.1", 443, TCP_SYN, 1, ""));
	wire_packet(&f, wire_tcp("10.7.1.1", 443, C, 1, SA, 1, ""));
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "end 6 " C ":1 10.7.1.1:443 2/80\n");
	assert_int_equal(r.counters.kernel_passed, 8);
	/* and these are not among them */
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_udp(C, 1, "240.0.0.1", 1, ""));
	wire_packet(&f, wire_udp(C, 1, "169.253.1.2", 1, ""));
	wire_packet(&f, wire_udp(C, 1, "10.8.1.1", 1, ""));
	wire_packet(&f, wire_udp("127.0.0.1", 1, "127.0.0.1", 2, ""));
	wire_packet(&f, wire_udp("fd00::1", 1, "fec0::1", 1, ""));
	r.count = 0;
	play(&r, &f, NULL, NULL);
	assert_int_equal(r.count, 5);
}

static void dns_of_resolvers_goes_its_own_way(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_udp(R, 53, C, 4999, "unasked"));
	wire_packet(&f, wire_udp(C, 5000, R, 53, "query"));
	wire_packet(&f, wire_udp(R, 53, C, 5000, "answer"));
	wire_packet(&f, wire_udp(C, 5001, S, 53, "another's"));
	wire_packet(&f, wire_udp(S, 53, C, 5001, "answer"));
	wire_packet(&f, wire_tcp(C, 5002, R, 53, TCP_SYN, 1, ""));
	play(&r, &f, NULL, "10.0.0.0/24");
	assert_string_equal(r.text, "up 17 " R ":53 " C ":4999 unasked\n"
				    "dns 17 " C ":5000 " R ":53 query\n"
				    "dns 17 " R ":53 " C ":5000 answer\n"
				    "up 17 " C ":5001 " S ":53 another's\n"
				    "dns 6 " C ":5002 " R ":53 \n"
				    "end 17 " R ":53 " C ":4999 1/35\n"
				    "end 17 " C ":5000 " R ":53 2/67\n"
				    "end 17 " C ":5001 " S ":53 2/71\n"
				    "end 6 " C ":5002 " R ":53 1/40\n");
}

static void inside_networks_say_who_is_a_client(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_tcp(S, 443, C, 5000, PA, 1, "mid-stream")); /* dropped */
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 1, "mid-stream"));
	wire_packet(&f, wire_tcp(S, 443, C, 5001, SA, 1, ""));    /* answer to the inside */
	wire_packet(&f, wire_tcp(S, 999, C, 22, TCP_SYN, 1, "")); /* port forward */
	wire_packet(&f, wire_tcp(C, 22, S, 999, SA, 1, ""));
	wire_packet(&f, wire_udp(S, 999, C, 22, "in"));
	wire_packet(&f, wire_udp(C, 22, S, 999, "out"));
	play(&r, &f, NULL, "10.0.0.0/24");
	assert_string_equal(r.text, "up 6 " C ":5000 " S ":443 mid-stream\n"
				    "up 17 " C ":22 " S ":999 out\n"
				    "end 6 " C ":5000 " S ":443 1/50\n"
				    "end 6 " C ":5001 " S ":443 1/40\n"
				    "end 6 " S ":999 " C ":22 2/80\n"
				    "end 17 " S ":999 " C ":22 2/61\n");
	assert_int_equal(r.counters.denied, 1);
}

static struct wire icmp_error(const char *src, const char *dst, struct wire about)
{
	struct wire w = {.len = 0};
	WIRE_PUT(&w, 3, 4, 0, 0, 0, 0, 0, 0);
	wire_put(&w, about.bytes, 28);
	return wire_ip(src, dst, IPPROTO_ICMP, 0, w.bytes, w.len);
}

static void icmp_errors_follow_their_flow(void **state)
{
	struct run r = {.decide = allow_with_payload};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	struct wire known = wire_udp(C, 5000, S, 443, "hello"), unknown = wire_udp(C, 1, S, 1, "");
	wire_packet(&f, icmp_error(S, C, known)); /* too early */
	wire_packet(&f, known);
	wire_packet(&f, icmp_error("198.51.100.9", C, known));
	wire_packet(&f, icmp_error(C, S, wire_udp(S, 443, C, 5000, "answer")));
	wire_packet(&f, icmp_error(S, C, unknown));
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 17 " C ":5000 " S ":443 hello\n"
				    "end 17 " C ":5000 " S ":443 1/33\n");
	assert_int_equal(r.counters.passed, 3);
	assert_int_equal(r.counters.denied, 2);
}

/* Not even an error about it leaves a flow that is denied. */
static void icmp_errors_of_a_denied_flow_are_dropped(void **state)
{
	struct run r = {.decide = deny_with_payload};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	struct wire hello = wire_tcp(C, 5000, S, 443, PA, 101, "hello");
	handshake(&f, 5000);
	wire_packet(&f, icmp_error(S, C, hello)); /* about what passed */
	wire_packet(&f, hello);
	wire_packet(&f, icmp_error(S, C, hello));
	play(&r, &f, NULL, NULL);
	assert_int_equal(r.counters.passed, 4);
	assert_int_equal(r.counters.denied, 2);
}

static void echo_is_a_flow(void **state)
{
	struct run r = {0};
	struct wire_file f;
	const uint8_t ask[8] = {8}, answer[8] = {0};
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_ip(S, C, IPPROTO_ICMP, 0, answer, 8)); /* to nothing */
	wire_packet(&f, wire_ip(C, S, IPPROTO_ICMP, 0, ask, 8));
	wire_packet(&f, wire_ip(S, C, IPPROTO_ICMP, 0, answer, 8));
	play(&r, &f, NULL, NULL);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.counters.denied, 1);
	assert_int_equal(r.counters.passed, 2);
}

/* ---- ends ---- */

static void end_of_a_marked_flow_is_said_when_it_closes(void **state)
{
	struct run r = {.decide = allow_with_payload};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	handshake(&f, 5000);
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 101, "one"));
	wire_packet(&f, wire_tcp(S, 443, C, 5000, FA, 901, ""));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, FA, 104, ""));
	wire_packet(&f, wire_tcp(S, 443, C, 5000, TCP_ACK, 902, ""));
	wire_packet(&f, wire_udp(C, 1, S, 1, ""));
	wire_packet(&f, wire_tcp(S, 443, C, 5000, FA, 901, "")); /* again */
	wire_packet(&f, wire_tcp(C, 5000, S, 443, TCP_ACK, 105, ""));
	handshake(&f, 5001); /* undecided: its packets may still come up */
	wire_packet(&f, wire_tcp(S, 443, C, 5001, TCP_RST, 901, ""));
	wire_packet(&f, wire_udp(C, 2, S, 1, ""));
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 6 " C ":5000 " S ":443 \n"
				    "up 6 " C ":5000 " S ":443 one\n"
				    "end 6 " C ":5000 " S ":443 7/283\n"
				    "up 17 " C ":1 " S ":1 \n"
				    "up 6 " C ":5001 " S ":443 \n"
				    "up 17 " C ":2 " S ":1 \n"
				    "end 17 " C ":1 " S ":1 1/28\n"
				    "end 6 " C ":5001 " S ":443 4/160\n"
				    "end 17 " C ":2 " S ":1 1/28\n");
	assert_int_equal(r.counters.denied, 0);
}

static void new_syn_ends_a_closed_flow(void **state)
{
	struct run r = {.decide = allow_with_payload};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	handshake(&f, 5000);
	wire_packet(&f, wire_tcp(C, 5000, S, 443, PA, 101, "one"));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, FA, 104, ""));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, TCP_SYN, 100, "")); /* the old one, late */
	wire_packet(&f, wire_tcp(C, 5000, S, 443, TCP_SYN, 7000, ""));
	wire_packet(&f, wire_tcp(S, 443, C, 5000, TCP_RST, 1, ""));
	wire_packet(&f, wire_tcp(C, 5000, S, 443, TCP_SYN, 7000, ""));
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 6 " C ":5000 " S ":443 \n"
				    "up 6 " C ":5000 " S ":443 one\n"
				    "up 6 " C ":5000 " S ":443 \n"
				    "end 6 " C ":5000 " S ":443 6/243\n"
				    "up 6 " C ":5000 " S ":443 \n"
				    "end 6 " C ":5000 " S ":443 2/80\n"
				    "up 6 " C ":5000 " S ":443 \n"
				    "end 6 " C ":5000 " S ":443 1/40\n");
	assert_int_equal(r.counters.flows, 3);
}

static void idle_flows_end_in_the_capture_s_time(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_udp(C, 1, S, 1, "")); /* unanswered: 30 s */
	wire_packet(&f, wire_udp(C, 2, S, 1, ""));
	wire_packet(&f, wire_udp(S, 1, C, 2, "")); /* answered: 120 s */
	handshake(&f, 3);                          /* to the end */
	f.time.tv_sec = 1045;
	wire_packet(&f, wire_udp(C, 4, S, 1, ""));
	f.time.tv_sec = 1125;
	wire_packet(&f, wire_udp(C, 5, S, 1, ""));
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 17 " C ":1 " S ":1 \n"
				    "up 17 " C ":2 " S ":1 \n"
				    "up 6 " C ":3 " S ":443 \n"
				    "end 17 " C ":1 " S ":1 1/28\n"
				    "up 17 " C ":4 " S ":1 \n"
				    "end 17 " C ":4 " S ":1 1/28\n" /* in the first's slot */
				    "end 17 " C ":2 " S ":1 2/56\n"
				    "up 17 " C ":5 " S ":1 \n"
				    "end 6 " C ":3 " S ":443 3/120\n"
				    "end 17 " C ":5 " S ":1 1/28\n");
}

static void table_is_bounded(void **state)
{
	struct run r = {.decide = allow_with_payload};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	for (unsigned port = 1; port <= 65; port++)
		wire_packet(&f, wire_udp(C, port, S, 1, ""));
	play(&r, &f, NULL, NULL);
	assert_non_null(strstr(r.text, "end 17 " C ":1 " S ":1 1/28\nup 17 " C ":65 "));
}

/* ---- fragments and broken packets ---- */

static void fragment4(struct wire_file *f, const struct wire *body, size_t from, size_t to,
		      const char *change)
{
	struct wire copy = *body;
	if (change)
		memcpy(copy.bytes + from, change, strlen(change));
	unsigned field = (unsigned)(from / 8) | (to < body->len ? 0x2000 : 0);
	wire_packet(f, wire_ip(C, S, IPPROTO_UDP, field, copy.bytes + from, to - from));
}

static void fragments_are_joined(void **state)
{
	struct run r = {.decide = allow_with_payload};
	struct wire_file f;
	struct wire body = wire_udp_body(5000, 443, "0123456789abcdefghij", 20);
	wire_open(&f, DLT_RAW);
	fragment4(&f, &body, 16, 28, NULL);
	fragment4(&f, &body, 8, 24, NULL); /* overlaps, with the same bytes */
	assert_int_equal(r.count, 0);
	fragment4(&f, &body, 0, 8, NULL);
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 17 " C ":5000 " S ":443 0123456789abcdefghij\n"
				    "end 17 " C ":5000 " S ":443 1/48\n");
	assert_int_equal(r.counters.fragments, 3);
}

static void ip6_fragments_are_joined(void **state)
{
	struct run r = {0};
	struct wire_file f;
	struct wire body = wire_udp_body(5000, 443, "0123456789abcdefghij", 20), part = {.len = 0};
	wire_open(&f, DLT_RAW);
	WIRE_PUT(&part, IPPROTO_UDP, 0, 0, 1, 1, 2, 3, 4);
	wire_put(&part, body.bytes, 16);
	wire_packet(&f,
		    wire_ip("fd00::1", "2001:db8::1", IPPROTO_FRAGMENT, 0, part.bytes, part.len));
	part.len = 0;
	WIRE_PUT(&part, IPPROTO_TCP, 0, 0, 16, 1, 2, 3, 4); /* what the first says counts */
	wire_put(&part, body.bytes + 16, body.len - 16);
	wire_packet(&f,
		    wire_ip("fd00::1", "2001:db8::1", IPPROTO_FRAGMENT, 0, part.bytes, part.len));
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 17 fd00::1:5000 2001:db8::1:443 0123456789abcdefghij\n"
				    "end 17 fd00::1:5000 2001:db8::1:443 1/68\n");
}

static void fragments_that_conflict_are_denied(void **state)
{
	struct run r = {0};
	struct wire_file f;
	struct wire body = wire_udp_body(5000, 443, "0123456789abcdefghij", 20);
	wire_open(&f, DLT_RAW);
	fragment4(&f, &body, 0, 16, NULL);
	fragment4(&f, &body, 8, 24, "X");
	fragment4(&f, &body, 16, 28, NULL); /* swallowed */
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "kernel fragment 17 " C ":5000 " S ":443\n");
	assert_int_equal(r.counters.passed, 0);
}

static void two_ends_of_a_datagram_conflict(void **state)
{
	for (int later = 0; later < 2; later++) {
		struct run r = {0};
		struct wire_file f;
		struct wire body = wire_udp_body(5000, 443, "0123456789abcdefghij", 20),
			    shorter = body;
		shorter.len = 24;
		wire_open(&f, DLT_RAW);
		fragment4(&f, &shorter, 16, 24, NULL);
		fragment4(&f, later ? &(struct wire){.len = 60} : &body, 24, later ? 32 : 28,
			  NULL); /* past the end, or another end */
		fragment4(&f, &body, 0, 16, NULL);
		play(&r, &f, NULL, NULL);
		assert_string_equal(r.text, "kernel fragment 17 " C ":0 " S ":0\n");
	}
}

static void lost_fragments_are_said(void **state)
{
	struct run r = {0};
	struct wire_file f;
	struct wire body = wire_udp_body(5000, 443, "0123456789abcdefghij", 20);
	wire_open(&f, DLT_RAW);
	fragment4(&f, &body, 0, 16, NULL);
	f.time.tv_sec = 1031;
	fragment4(&f, &body, 16, 28, NULL); /* too late: another datagram */
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "kernel fragment 17 " C ":5000 " S ":443\n"
				    "kernel fragment 17 " C ":0 " S ":0\n");
}

static void datagrams_in_flight_are_bounded(void **state)
{
	struct run r = {0};
	struct wire_file f;
	struct wire body = wire_udp_body(5000, 443, "0123456789abcdefghij", 20);
	wire_open(&f, DLT_RAW);
	fragment4(&f, &body, 0, 16, NULL);
	for (int i = 0; i < 64; i++) {
		struct wire w = wire_ip(C, "203.0.113.9", IPPROTO_UDP, 0x2000, body.bytes, 16);
		w.bytes[5] = (uint8_t)(100 + i);
		wire_packet(&f, w);
	}
	fragment4(&f, &body, 16, 28, NULL);
	play(&r, &f, NULL, NULL);
	assert_int_equal(r.count, 0);
	assert_ptr_equal(strstr(r.text, "kernel fragment 17 " C ":5000 " S ":443\n"), r.text);
}

static void malformed_packets_are_said_once_a_flow(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	for (int i = 0; i < 3; i++)
		wire_packet(&f, wire_ip(C, S, IPPROTO_UDP, 0, "shrt", 4));
	wire_packet(&f, wire_tcp(C, 1, S, 2, TCP_SYN | TCP_FIN, 1, ""));
	wire_packet(&f, wire_tcp(C, 1, S, 2, 0, 1, ""));
	wire_packet(&f, wire_ip(C, "224.0.0.1", IPPROTO_UDP, 0, "shrt", 4));
	wire_frame(&f, "\x45", 1, 1);
	wire_frame(&f, "\x99", 1, 1);
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "kernel packet-malformed 17 " C ":0 " S ":0\n"
				    "kernel packet-malformed 6 " C ":1 " S ":2\n");
	assert_int_equal(r.counters.malformed, 7);
	assert_int_equal(r.counters.not_ip, 1);
}

/* Whoever sends a datagram first opens nothing to whom it went to: as live, where the answer comes
 * up as a client's. */
static void an_answer_to_what_began_outside_is_a_clients(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_udp(S, 443, C, 5000, "knock"));
	wire_packet(&f, wire_udp(C, 5000, S, 443, "deny it"));
	wire_packet(&f, wire_tcp(S, 443, C, 5001, TCP_SYN, 1, ""));
	wire_packet(&f, wire_tcp(C, 5001, S, 443, TCP_SYN | TCP_ACK, 1, ""));
	play(&r, &f, NULL, "10.0.0.0/24");
	assert_non_null(strstr(r.text, "up 17 " C ":5000 " S ":443 deny it"));
	assert_null(strstr(r.text, "up 6 "));
}

/* What the world sends, broken or not, is no flow of a client's. */
static void what_is_malformed_outside_is_no_clients(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_ip(S, C, IPPROTO_UDP, 0, "shrt", 4));
	wire_packet(&f, wire_ip(C, S, IPPROTO_UDP, 0, "shrt", 4));
	play(&r, &f, NULL, "10.0.0.0/24");
	assert_string_equal(r.text, "kernel packet-malformed 17 " C ":0 " S ":0\n");
	assert_int_equal(r.counters.malformed, 2);
	assert_int_equal(r.counters.flows, 1);
}

static void cut_packets_come_as_they_are(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	struct wire w = wire_udp(C, 1, S, 2, "0123456789");
	wire_frame(&f, w.bytes, w.len, w.len - 4);
	w = wire_udp(C, 3, S, 2, "whole");
	wire_frame(&f, w.bytes, w.len + 10, w.len); /* only a trailer was cut */
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 17 " C ":1 " S ":2 012345 cut\n"
				    "up 17 " C ":3 " S ":2 whole\n"
				    "end 17 " C ":1 " S ":2 1/38\n"
				    "end 17 " C ":3 " S ":2 1/33\n");
	assert_int_equal(r.counters.cut, 1);
	assert_string_equal(r.counters.first, "frame 1, of 34 bytes, cut (snapshot length)");
}

static void what_could_not_be_read_is_counted(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_IEEE802_11);
	wire_packet(&f, wire_udp(C, 1, S, 2, "one"));
	play(&r, &f, NULL, NULL);
	assert_int_equal(r.counters.unread, 1);
	assert_string_equal(r.counters.first, "frame 1, link type 105 is not read");
	r = (struct run){0};
	wire_open(&f, DLT_RAW);
	struct wire w = wire_udp(C, 1, S, 2, "0123456789");
	wire_frame(&f, "\x99", 1, 1);       /* no IP at all */
	wire_frame(&f, w.bytes, w.len, 22); /* ends within the header: no denied flow */
	wire_frame(&f, w.bytes, w.len, 0);
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "");
	assert_int_equal(r.counters.not_ip, 1);
	assert_int_equal(r.counters.unread, 2);
	assert_int_equal(r.counters.cut, 0);
	assert_ptr_equal(strstr(r.counters.first, "frame 2, of 22 bytes, cut before"),
			 r.counters.first);
}

static void cut_fragment_is_counted(void **state)
{
	struct run r = {0};
	struct wire_file f;
	struct wire body = wire_udp_body(5000, 443, "0123456789abcdefghij", 20);
	struct wire w = wire_ip(C, S, IPPROTO_UDP, 0x2000, body.bytes, 16);
	wire_open(&f, DLT_RAW);
	wire_frame(&f, w.bytes, w.len, w.len - 8);
	play(&r, &f, NULL, NULL);
	assert_int_equal(r.counters.cut, 1);
}

static void cut_packet_whose_length_is_zero_is_cut(void **state)
{
	static uint8_t bytes[70000];
	struct run r = {0};
	struct wire_file f;
	struct wire w = wire_tcp(C, 1, S, 2, TCP_SYN, 1, "");
	memcpy(bytes, w.bytes, w.len);
	bytes[2] = bytes[3] = 0;
	wire_open(&f, DLT_RAW);
	wire_frame(&f, bytes, sizeof bytes, 100);
	play(&r, &f, NULL, NULL);
	assert_int_equal(r.counters.cut, 1);
}

static void capture_that_breaks_off_ends(void **state)
{
	struct run r = {0};
	struct wire_file f;
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_udp(C, 1, S, 2, "one"));
	wire_packet(&f, wire_udp(C, 3, S, 2, "two"));
	wire_close(&f);
	f.dumper = NULL;
	assert_int_equal(truncate(f.path, 24 + 16 + 31 + 16 + 10), 0);
	play(&r, &f, NULL, NULL);
	assert_string_equal(r.text, "up 17 " C ":1 " S ":2 one\n"
				    "end 17 " C ":1 " S ":2 1/31\n");
	assert_true(r.broken);
}

/* ---- output ---- */

static void assert_frames(const char *path, int link, const char *want)
{
	char why[PCAP_ERRBUF_SIZE], text[1024] = "";
	struct buf b = BUF_OF(text);
	pcap_t *in = pcap_open_offline(path, why);
	assert_non_null(in);
	assert_int_equal(pcap_datalink(in), link);
	struct pcap_pkthdr *h;
	const u_char *bytes;
	while (pcap_next_ex(in, &h, &bytes) == 1)
		buf_printf(&b, "%ld.%06ld/%u ", (long)h->ts.tv_sec, (long)h->ts.tv_usec, h->caplen);
	pcap_close(in);
	assert_string_equal(text, want);
	unlink(path);
}

/* Holds what has payload until "go" comes, which decides for all. */
static enum verdict hold_until_go(struct run *r, const struct packet *p)
{
	if (memcmp(p->payload.pos, "go", 2) == 0) {
		for (size_t i = 0; i < r->held_count; i++)
			r->source->ops->verdict(r->source, r->held[i], VERDICT_ALLOWED);
		r->held_count = 0;
		return VERDICT_ALLOWED;
	}
	r->hold = true;
	return VERDICT_DROP;
}

static void output_is_in_the_order_of_verdicts(void **state)
{
	struct run r = {.decide = hold_until_go};
	struct wire_file f, out;
	struct wire body = wire_udp_body(9, 9, "go: fragments", 13);
	wire_open(&out, DLT_RAW);
	wire_close(&out);
	wire_open(&f, DLT_RAW);
	wire_packet(&f, wire_udp(C, 1, S, 2, "held"));
	wire_packet(&f, wire_udp(C, 1, S, 2, "held too"));
	wire_packet(&f, wire_udp(C, 1, "224.0.0.9", 2, ""));
	fragment4(&f, &body, 16, 21, NULL);
	fragment4(&f, &body, 0, 16, NULL);
	wire_packet(&f, wire_udp(C, 3, S, 2, "held to the end"));
	play(&r, &f, out.path, NULL);
	assert_frames(out.path, DLT_RAW,
		      "1000.002000/28 1000.000000/32 1000.001000/36 1000.003000/25 "
		      "1000.004000/36 ");
}

static void many_packets_may_wait(void **state)
{
	struct run r = {.decide = NULL};
	struct wire_file f, out;
	struct arrival a;
	struct errors errors = {0};
	wire_open(&out, DLT_RAW);
	wire_close(&out);
	wire_open(&f, DLT_RAW);
	for (int i = 0; i < 300; i++)
		wire_packet(&f, wire_udp(C, 1, S, 2, "x"));
	wire_close(&f);
	r.source = capture_open(
		&(struct capture_options){.read = f.path, .write = out.path, .flows = 4}, &errors);
	for (uint64_t i = 0; i < 300; i++) {
		assert_int_equal(r.source->ops->receive(r.source, &a, 1), 1);
		assert_int_equal(a.id, i);
	}
	assert_int_equal(r.source->ops->receive(r.source, &a, 1), SOURCE_END);
	for (uint64_t i = 0; i < 300; i += 2)
		r.source->ops->verdict(r.source, i,
				       VERDICT_ALLOWED); /* though its flow has ended */
	capture_count(r.source, &r.counters);
	assert_int_equal(r.counters.passed, 150);
	r.source->ops->free(r.source);
	unlink(f.path);
	unlink(out.path);
}

static void what_cannot_be_opened_is_said(void **state)
{
	struct wire_file f;
	struct errors errors = {0};
	wire_open(&f, DLT_RAW);
	wire_close(&f);
	assert_int_equal(truncate(f.path, 20), 0);
	struct capture_options o = {.read = "/nowhere/at.all", .flows = 4};
	assert_null(capture_open(&o, &errors));
	o.read = f.path;
	assert_null(capture_open(&o, &errors));
	assert_non_null(strstr(errors.lines[1], "want a pcap or pcapng file"));
	unlink(f.path);
	wire_open(&f, DLT_EN10MB);
	wire_close(&f);
	o.write = f.path;
	assert_null(capture_open(&o, &errors));
	o.write = "/nowhere/at.all";
	assert_null(capture_open(&o, &errors));
	assert_int_equal(errors.count, 4);
	errors_deinit(&errors);
	unlink(f.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allowed_flow_stays_in_the_kernel),
		cmocka_unit_test(denied_mark_lasts_on_a_confirmed_entry),
		cmocka_unit_test(first_packet_denial_comes_up_again),
		cmocka_unit_test(undecided_packets_all_come_up),
		cmocka_unit_test(syn_ack_first_makes_the_receiver_the_client),
		cmocka_unit_test(redirected_flow_belongs_to_the_portal),
		cmocka_unit_test(remark_changes_a_known_flow),
		cmocka_unit_test(kernel_passes_what_needs_no_decision),
		cmocka_unit_test(dns_of_resolvers_goes_its_own_way),
		cmocka_unit_test(inside_networks_say_who_is_a_client),
		cmocka_unit_test(icmp_errors_follow_their_flow),
		cmocka_unit_test(icmp_errors_of_a_denied_flow_are_dropped),
		cmocka_unit_test(echo_is_a_flow),
		cmocka_unit_test(end_of_a_marked_flow_is_said_when_it_closes),
		cmocka_unit_test(new_syn_ends_a_closed_flow),
		cmocka_unit_test(idle_flows_end_in_the_capture_s_time),
		cmocka_unit_test(table_is_bounded),
		cmocka_unit_test(fragments_are_joined),
		cmocka_unit_test(ip6_fragments_are_joined),
		cmocka_unit_test(fragments_that_conflict_are_denied),
		cmocka_unit_test(two_ends_of_a_datagram_conflict),
		cmocka_unit_test(lost_fragments_are_said),
		cmocka_unit_test(datagrams_in_flight_are_bounded),
		cmocka_unit_test(malformed_packets_are_said_once_a_flow),
		cmocka_unit_test(an_answer_to_what_began_outside_is_a_clients),
		cmocka_unit_test(what_is_malformed_outside_is_no_clients),
		cmocka_unit_test(cut_packets_come_as_they_are),
		cmocka_unit_test(what_could_not_be_read_is_counted),
		cmocka_unit_test(cut_fragment_is_counted),
		cmocka_unit_test(cut_packet_whose_length_is_zero_is_cut),
		cmocka_unit_test(capture_that_breaks_off_ends),
		cmocka_unit_test(output_is_in_the_order_of_verdicts),
		cmocka_unit_test(many_packets_may_wait),
		cmocka_unit_test(what_cannot_be_opened_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
