/* What a TLS 1.3 flow says after its first hello: RFC 8446 section 4.1.2 and 4.2.10. */
#include "rig.h"

/* supported_versions: 1.3; key_share: X25519, which a server may refuse all the same. */
static const uint8_t tls13[] = {0, 43, 0, 3, 2, 3, 4, 0, 51, 0, 7, 0, 5, 0, 0x1d, 0, 1, 7};
static const uint8_t early_too[] = {0, 42, 0, 0, 0, 43, 0, 3,    2, 3, 4,
				    0, 51, 0, 7, 0, 5,  0, 0x1d, 0, 1, 7};
static const uint8_t ccs[] = {20, 3, 3, 0, 1, 1}, finished[] = {23, 3, 3, 0, 4, 9, 9, 9, 9};

static size_t hello_with(uint8_t *out, const char *name, const uint8_t *extensions, size_t size)
{
	size_t len = wire_hello(out, name, size - 4);
	memcpy(out + len - size, extensions, size);
	return len;
}

static size_t hello13(uint8_t *out, const char *name)
{
	return hello_with(out, name, tls13, sizeof tls13);
}

static size_t hello_early(uint8_t *out, const char *name)
{
	return hello_with(out, name, early_too, sizeof early_too);
}

/* The client's whole side: the first hello for the news, then change_cipher_spec and another. */
struct side {
	size_t first, len;
	uint8_t bytes[1024];
};

static struct side retried(const char *second)
{
	struct side s;
	s.first = hello13(s.bytes, "news.example");
	memcpy(s.bytes + s.first, ccs, sizeof ccs);
	s.len = s.first + sizeof ccs;
	s.len += hello13(s.bytes + s.len, second);
	return s;
}

static int part(struct rig *r, const struct side *s, size_t from, size_t to)
{
	return data(r, guest, 4000, (uint32_t)from, s->bytes + from, to - from);
}

static struct rig *waiting(const struct side *s)
{
	struct rig *r = rig_new("");
	syn(r, guest, 4000);
	assert_int_equal(part(r, s, 0, s->first), VERDICT_HEARD);
	*entry_of(&r->source, 4000) = ENTRY_ANSWERED; /* HelloRetryRequest */
	return r;
}

static void a_second_hello_must_agree(void **state)
{
	struct side same = retried("news.example"), other = retried("b.news.example");
	struct rig *r = waiting(&same);
	assert_int_equal(part(r, &same, same.first, same.len), VERDICT_HEARD);
	assert_int_equal(r->logged, 1);
	rig_free(r);
	r = waiting(&other);
	assert_int_equal(part(r, &other, other.first, other.len), VERDICT_DENIED);
	assert_int_equal(r->log[1].reason, REASON_HELLO_CHANGED);
	assert_int_equal(r->source.reset_seq, 1001 + other.first);
	rig_free(r);
}

/* A new policy, a login or a schedule's edge decides again by the first hello's name, and that was
 * not what was denied. */
static void no_walk_lifts_the_denial(void **state)
{
	struct side other = retried("social.example");
	struct rig *r = waiting(&other);
	struct config *c = config_of(POLICY "name_grace = \"2h\";\n");
	struct snapshot *old = r->snapshot;
	assert_int_equal(part(r, &other, other.first, other.len), VERDICT_DENIED);
	r->snapshot = snapshot_of(c);
	wait_ms(r, 10);
	assert_int_equal(r->source.remarks, 0);
	assert_int_equal(part(r, &other, other.first, other.len), VERDICT_DENIED);
	snapshot_free(old);
	config_free(c);
	rig_free(r);
}

/* No stream is needed while it waits: there are 64 for 200 flows. */
static void a_usual_flow_waits_without_a_stream(void **state)
{
	struct rig *r = rig_new("bounds = { streams = 64; };\n");
	uint8_t bytes[512];
	size_t len = hello13(bytes, "news.example");
	for (int later = 0; later < 2; later++)
		for (unsigned port = 4000; port < 4200; port++) {
			r->logged = 0;
			if (later) {
				uint8_t flight[sizeof ccs + sizeof finished];
				memcpy(flight, ccs, sizeof ccs);
				memcpy(flight + sizeof ccs, finished, sizeof finished);
				assert_int_equal(
					data(r, guest, port, (uint32_t)len, flight, sizeof flight),
					VERDICT_PASS);
				continue;
			}
			syn(r, guest, port);
			assert_int_equal(data(r, guest, port, 0, bytes, len), VERDICT_HEARD);
		}
	rig_free(r);
}

/* In two parts, cut at `at`, with what came before sent again in between. */
static void cut_in_two(const struct side *s, size_t at, bool backwards, bool other)
{
	struct rig *r = rig_new("held = \"until-whole\";\n");
	size_t from = at > s->first ? s->first : 0;
	syn(r, guest, 4000);
	if (from)
		part(r, s, 0, from);
	uint64_t first = r->source.next_id;
	part(r, s, backwards ? at : from, backwards ? s->len : at);
	part(r, s, 0, at < s->first ? at : s->first);
	int last = part(r, s, backwards ? from : at, backwards ? at : s->len);
	int before = r->source.verdict[first];
	/* what is no part of the second hello waits for nothing */
	bool passes = !backwards && at >= s->first && at <= s->first + sizeof ccs;
	if (other) {
		assert_int_equal(before, !passes          ? VERDICT_DENIED
					 : at == s->first ? VERDICT_HEARD
							  : VERDICT_PASS);
		assert_int_equal(r->log[r->logged - 1].reason, REASON_HELLO_CHANGED);
		assert_true(last == VERDICT_DENIED || last == VERDICT_DROP);
	} else {
		assert_true(before <= VERDICT_HEARD && last <= VERDICT_HEARD);
		assert_int_equal(*entry_of(&r->source, 4000), ENTRY_HEARD);
	}
	rig_free(r);
}

static void however_it_is_cut(void **state)
{
	struct side sides[] = {retried("news.example"), retried("social.example")};
	for (int other = 0; other < 2; other++)
		for (size_t at = 1; at < sides[other].len; at++)
			for (int backwards = 0; backwards < 2; backwards++)
				cut_in_two(&sides[other], at, backwards, other);
}

static void byte_by_byte(void **state)
{
	struct side sides[] = {retried("news.example"), retried("social.example")};
	for (int other = 0; other < 2; other++) {
		struct rig *r = rig_new("");
		uint64_t id = 0;
		syn(r, guest, 4000);
		for (size_t i = 0; i < sides[other].len; i++, id = r->source.next_id)
			part(r, &sides[other], i, i + 1);
		enum reason said = other ? REASON_HELLO_CHANGED : REASON_ALLOW_LINE;
		assert_int_equal(r->log[r->logged - 1].reason, said);
		assert_int_equal(r->logged, 1 + other);
		assert_int_equal(r->source.verdict[id - 1], other ? VERDICT_DROP : VERDICT_PASS);
		rig_free(r);
	}
}

static void the_first_hello_sent_again_says_nothing_new(void **state)
{
	struct side s = retried("social.example");
	struct rig *r = waiting(&s);
	assert_int_equal(part(r, &s, 0, s.first), VERDICT_PASS);
	assert_int_equal(part(r, &s, 10, s.first), VERDICT_PASS);
	assert_int_equal(part(r, &s, 10, s.first + 6), VERDICT_PASS); /* and goes on */
	assert_int_equal(part(r, &s, s.first - 9, s.len), VERDICT_DENIED);
	rig_free(r);
}

static void what_lies_beyond_a_hole_is_held(void **state)
{
	struct side s = retried("social.example");
	struct rig *r = waiting(&s);
	uint64_t first = r->source.next_id;
	assert_int_equal(part(r, &s, s.first + 20, s.len), -1);
	assert_int_equal(part(r, &s, s.first, s.first + 20), VERDICT_DROP);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED);
	assert_int_equal(r->source.reset_seq, 1001 + s.first);
	rig_free(r);
}

static void overlaps_that_differ(void **state)
{
	struct side s = retried("news.example");
	struct rig *r = waiting(&s);
	assert_int_equal(part(r, &s, s.first, s.first + 40), -1);
	s.bytes[s.first + 30] ^= 1;
	assert_int_equal(part(r, &s, s.first + 20, s.len), VERDICT_DROP);
	assert_int_equal(r->log[1].reason, REASON_OVERLAP_CONFLICT);
	rig_free(r);
}

static void half_a_second_hello_is_not_waited_for(void **state)
{
	struct side s = retried("news.example");
	struct rig *r = waiting(&s);
	uint64_t first = r->source.next_id;
	assert_int_equal(part(r, &s, s.first, s.first + 40), -1);
	wait_ms(r, 5000);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED);
	assert_int_equal(r->log[1].reason, REASON_HELLO_UNFINISHED);
	assert_int_equal(r->log[1].protocol, PROTOCOL_TLS);
	/* the first one's name is none of what was denied */
	assert_int_equal(r->log[1].evidence, EVIDENCE_ADDRESS);
	rig_free(r);
}

/* Where a tier is observed it goes on, and nothing of the flow is read any more: what comes would
 * be joined to half a hello. */
static void half_a_second_hello_of_an_observed_tier_goes_on(void **state)
{
	struct side s = retried("news.example");
	struct rig *r =
		rig_with("tiers = ( { name = \"guest\"; mode = \"observe\"; } );\n"
			 "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"
			 "sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; } );\n"
			 "allow = ( { tiers = [ \"*\" ]; sites = [ \"news\" ]; } ); held = "
			 "\"until-whole\";");
	struct flow_key key = guest_key(IPPROTO_TCP, 4000, 443);
	syn(r, guest, 4000);
	assert_int_equal(part(r, &s, 0, s.first), VERDICT_HEARD);
	const struct flow *f = flow_find(r->worker->flows, &key);
	assert_true(f->named.live);
	uint64_t first = r->source.next_id;
	assert_int_equal(part(r, &s, s.first, s.first + 40), -1);
	wait_ms(r, 5000);
	assert_int_equal(r->source.verdict[first], VERDICT_HEARD);
	assert_true(r->log[1].would_deny);
	assert_int_equal(r->log[1].would, REASON_HELLO_UNFINISHED);
	assert_int_equal(f->state, FLOW_ALLOWED);
	assert_false(f->named.live);
	assert_int_equal(part(r, &s, s.first + 40, s.len), VERDICT_PASS);
	assert_int_equal(r->logged, 2);
	rig_free(r);
}

/* What shows that no second hello comes any more, and what does not. */
static void what_ends_the_watch(void **state)
{
	static const uint8_t encrypted[] = {22, 3, 3, 0, 9, 1, 3, 0, 0, 1, 2, 3, 4, 5};
	static const uint8_t key_exchange[] = {22, 3, 3, 0, 5, 16, 0, 0, 1, 1};
	static const uint8_t alert[] = {21, 3, 3, 0, 2, 1, 90}, nothing[] = {23, 3, 3, 0, 0};
	static const struct {
		const uint8_t *bytes;
		size_t len;
		enum verdict want;
	} examples[] = {
		{finished, sizeof finished, VERDICT_HEARD},
		{nothing, sizeof nothing, VERDICT_HEARD},
		{key_exchange, sizeof key_exchange, VERDICT_HEARD}, /* it became TLS 1.2 */
		{encrypted, sizeof encrypted, VERDICT_HEARD},       /* a Finished of TLS 1.2 */
		{ccs, sizeof ccs, VERDICT_PASS},
		{alert, sizeof alert, VERDICT_PASS}, /* user_canceled: servers overlook it */
		{(const uint8_t *)"GET / HTTP/1.1\r\n", 16, VERDICT_DENIED},
	};
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		struct side s = retried("social.example");
		struct rig *r = waiting(&s);
		memcpy(s.bytes + s.first, examples[i].bytes, examples[i].len);
		size_t end = s.first + examples[i].len, len;
		assert_int_equal(part(r, &s, s.first, end), examples[i].want);
		len = hello13(s.bytes + end, "social.example");
		if (examples[i].want == VERDICT_PASS)
			assert_int_equal(part(r, &s, end, end + len), VERDICT_DENIED);
		rig_free(r);
	}
}

/* A version that servers overlook, for supported_versions counts. */
static void a_strange_second_hello_is_one(void **state)
{
	struct side s = retried("social.example");
	struct rig *r = waiting(&s);
	s.bytes[s.first + 6 + 9] = 4;
	assert_int_equal(part(r, &s, s.first, s.len), VERDICT_DENIED);
	assert_int_equal(r->log[1].reason, REASON_HELLO_MALFORMED);
	rig_free(r);
}

/* The first hello and what is encrypted early stand in one packet, of which the last record goes on
 * in the next. */
static void early_data_is_walked_over(void **state)
{
	for (int other = 0; other < 2; other++) {
		struct rig *r = rig_new("");
		struct side s = {0};
		syn(r, guest, 4000);
		s.len = hello_early(s.bytes, "news.example");
		memcpy(s.bytes + s.len, ccs, sizeof ccs);
		s.len += sizeof ccs;
		for (int record = 0; record < 2; record++) {
			memcpy(s.bytes + s.len, "\x17\3\3\0\x64", 5);
			s.len += 5 + 100;
		}
		size_t cut = s.len - 103; /* in the second record's header */
		assert_int_equal(part(r, &s, 0, cut), VERDICT_HEARD);
		assert_int_equal(part(r, &s, s.len - 20, s.len), -1); /* beyond a hole */
		assert_int_equal(part(r, &s, cut, s.len - 20), VERDICT_PASS);
		size_t end = s.len;
		s.len += hello13(s.bytes + s.len, other ? "social.example" : "news.example");
		assert_int_equal(part(r, &s, end, s.len), other ? VERDICT_DENIED : VERDICT_PASS);
		rig_free(r);
	}
}

/* No server skips so much of it, and a client that has it taken is not slowed for longer. */
static void early_data_has_a_bound(void **state)
{
	static const uint8_t full[5 + 3272] = {23, 3, 3, 3272 >> 8, 3272 & 0xff};
	struct rig *r = rig_new("");
	uint8_t bytes[512];
	syn(r, guest, 4000);
	uint32_t at = (uint32_t)hello_early(bytes, "news.example");
	assert_int_equal(data(r, guest, 4000, 0, bytes, at), VERDICT_HEARD);
	for (int i = 0; i < 20; i++, at += sizeof full) /* 65,440 bytes */
		assert_int_equal(data(r, guest, 4000, at, full, sizeof full), VERDICT_PASS);
	uint8_t rest[5 + 95] = {23, 3, 3, 0, 95}, one[5 + 1] = {23, 3, 3, 0, 1};
	assert_int_equal(data(r, guest, 4000, at, rest, sizeof rest), VERDICT_PASS);
	at += sizeof rest;
	assert_int_equal(data(r, guest, 4000, at, one, sizeof one), VERDICT_PASS);
	rig_free(r);
}

/* Nobody answered yet: a client that knows its server may say it all at once. */
static void both_hellos_in_one_packet(void **state)
{
	struct side same = retried("news.example"), other = retried("social.example");
	struct rig *r = rig_new("");
	syn(r, guest, 4000);
	assert_int_equal(part(r, &other, 0, other.len), VERDICT_DENIED);
	rig_free(r);
	r = rig_new("");
	syn(r, guest, 4000);
	assert_int_equal(part(r, &same, 0, same.len), VERDICT_HEARD);
	rig_free(r);
	r = rig_new("");
	syn(r, guest, 4000); /* half of the second: neither passes */
	assert_int_equal(part(r, &other, 0, other.len - 30), -1);
	assert_int_equal(part(r, &other, other.len - 30, other.len), VERDICT_DROP);
	rig_free(r);
}

static void observe_lets_it_pass_and_says_so(void **state)
{
	struct side s = retried("social.example");
	struct rig *r = rig_new("mode = \"observe\";\n");
	syn(r, guest, 4000);
	assert_int_equal(part(r, &s, 0, s.first), VERDICT_HEARD);
	assert_int_equal(part(r, &s, s.first, s.first + 40), VERDICT_PASS);
	assert_int_equal(part(r, &s, s.first + 40, s.len), VERDICT_PASS);
	assert_true(r->log[1].would_deny);
	assert_int_equal(r->log[1].would, REASON_HELLO_CHANGED);
	rig_free(r);
}

/* Nothing is held or lost of it: not the beginning of a hello, nor that once more. */
static void observe_lets_a_repeat_pass(void **state)
{
	struct side s = retried("social.example");
	struct rig *r = rig_new("mode = \"observe\";\n");
	static const uintmax_t passing[] = {VERDICT_PASS, VERDICT_HEARD};
	syn(r, guest, 4000);
	for (int i = 0; i < 3; i++)
		assert_in_set(part(r, &s, 0, 100), passing, 2);
	syn(r, guest, 4001);
	data(r, guest, 4001, 0, s.bytes, s.first);
	for (int i = 0; i < 3; i++)
		assert_int_equal(data(r, guest, 4001, (uint32_t)s.first, s.bytes + s.first, 40),
				 VERDICT_PASS);
	rig_free(r);
}

/* A SYN that brought a whole hello and was lost comes again before any answer (RFC 7413). */
static void a_hello_in_a_syn_comes_again(void **state)
{
	struct rig *r = rig_new("");
	struct wire w;
	uint8_t bytes[1024];
	size_t len = hello13(bytes, "news.example");
	wire_tcp(&w, guest, 4000, site, 443, TCP_SYN, 1000, bytes, len);
	int first = packet(r, &w);
	assert_int_not_equal(first, VERDICT_DROP);
	*entry_of(&r->source, 4000) = ENTRY_PENDING;
	assert_int_not_equal(packet(r, &w), VERDICT_DROP);
	assert_int_equal(r->worker->counters.unread, 0);
	rig_free(r);
}

/* Met mid-stream: where its beginning lies is not known, so its bytes say nothing. */
static void mid_stream(void **state)
{
	struct side s = retried("social.example");
	struct rig *r = rig_new("");
	assert_int_equal(part(r, &s, 0, s.first), VERDICT_DENIED);
	assert_int_equal(r->log[0].reason, REASON_NAME_FORGOTTEN);
	rig_free(r);
}

static int flags(struct rig *r, uint8_t tcp_flags, uint32_t seq)
{
	struct wire w;
	wire_tcp(&w, guest, 4000, site, 443, tcp_flags, seq, NULL, 0);
	return packet(r, &w);
}

/* A client that gives up and comes back from the same port: once the kernel has forgotten the flow.
 */
static void a_reset_makes_room(void **state)
{
	struct side s = retried("news.example");
	struct rig *r = waiting(&s);
	uint32_t next = 1001 + (uint32_t)s.first;
	assert_int_equal(flags(r, TCP_RST, next), VERDICT_PASS);
	*entry_of(&r->source, 4000) = ENTRY_NONE;
	assert_int_equal(flags(r, TCP_SYN, next + 5000), VERDICT_PENDING);
	/* its first hello is a first one again */
	assert_int_equal(data(r, guest, 4000, next + 5000 - 1000, s.bytes, s.first), VERDICT_HEARD);
	assert_int_equal(r->logged, 3);
	assert_int_equal(r->log[1].kind, DECISION_ENDED);
	assert_int_equal(r->log[2].reason, REASON_ALLOW_LINE);
	rig_free(r);
}

/* What is remembered of a restored flow is what was remembered before. */
static void check_memory(struct rig *r, const struct flow_memory *before)
{
	struct flow_memory m;
	uint32_t slot = 0;
	assert_int_equal(worker_remember(r->worker, &slot, true, &m, 1), 1);
	assert_memory_equal(&m.key, &before->key, sizeof m.key);
	assert_memory_equal(&m.outcome, &before->outcome, sizeof m.outcome);
	assert_int_equal(m.allowed, before->allowed);
	assert_int_equal(m.evidence, before->evidence);
	assert_int_equal(m.protocol, before->protocol);
	assert_true(m.syn_seen == before->syn_seen && m.live == before->live &&
		    m.heard == before->heard && m.mismatch == before->mismatch);
	assert_int_equal(m.isn, before->isn);
	assert_int_equal(m.next, before->next);
	assert_int_equal(m.first, before->first);
	assert_int_equal(m.last, before->last);
	assert_string_equal(m.host.text, before->host.text);
	assert_string_equal(m.user, before->user);
	assert_string_equal(m.tier, before->tier);
}

static struct rig *restarted_with(struct rig *old, const char *more)
{
	struct flow_memory memory[4];
	uint32_t slot = 0;
	size_t count = worker_remember(old->worker, &slot, true, memory, 4);
	struct rig *r = rig_new(more);
	r->source.now = old->source.now;
	memcpy(r->source.entry, old->source.entry, sizeof r->source.entry);
	rig_free(old);
	assert_int_equal(count, 1);
	worker_restore(r->worker, &memory[0]);
	check_memory(r, &memory[0]);
	return r;
}

static struct rig *restarted(struct rig *old)
{
	return restarted_with(old, "");
}

/* With another policy no mark counts any more. The flow goes on, and is settled by its server's
 * next answer, not by itself; what may come in the place of its hello is still unknown. */
static void a_restart_with_another_policy_settles_nothing(void **state)
{
	uint8_t good[2048], bad[2048];
	size_t len = wire_hello(good, "news.example", 0);
	struct rig *r = rig_new("");
	wire_hello(bad, "evil.example", 0);
	syn(r, guest, 4000);
	assert_int_equal(data(r, guest, 4000, 0, good, len), VERDICT_HEARD);
	r = restarted_with(r, "on_deny = \"drop\";\n");
	*entry_of(&r->source, 4000) = ENTRY_NONE;
	assert_int_equal(data(r, guest, 4000, (uint32_t)len, "\x17\3\3\0\1x", 6), VERDICT_HEARD);
	assert_int_equal(data(r, guest, 4000, 0, bad, len), VERDICT_DROP);
	rig_free(r);
}

/* Where every request is judged the kernel is never given the flow. */
static void a_restart_goes_on_judging_requests(void **state)
{
	struct rig *r = rig_new("http = \"every-request\";\n");
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, GOOD), VERDICT_PASS);
	r = restarted_with(r, "http = \"every-request\";\n");
	*entry_of(&r->source, 4000) = ENTRY_NONE;
	assert_int_equal(request(r, 4000, strlen(GOOD), GOOD), VERDICT_PASS);
	*entry_of(&r->source, 4000) = ENTRY_NONE;
	assert_int_equal(request(r, 4000, 2 * strlen(GOOD), BAD), VERDICT_DENIED);
	rig_free(r);
}

/* A request in a SYN: its entry is marked as every other's. */
static void a_request_in_a_syn_is_marked(void **state)
{
	struct rig *r = rig_new("http = \"every-request\";\n");
	struct wire w;
	wire_tcp(&w, guest, 4000, site, 80, TCP_SYN, 1000, GOOD, strlen(GOOD));
	assert_int_equal(packet(r, &w), VERDICT_PENDING);
	assert_int_equal(request(r, 4000, strlen(GOOD), BAD), VERDICT_DENIED);
	rig_free(r);
}

static void a_restart_goes_on_waiting(void **state)
{
	static const char *const second[] = {"news.example", "social.example"};
	for (int other = 0; other < 2; other++) {
		struct side s = retried(second[other]);
		struct rig *r = restarted(waiting(&s));
		/* sent again: nobody knows what stood there */
		assert_int_equal(part(r, &s, 0, s.first), VERDICT_DROP);
		assert_int_equal(part(r, &s, s.first, s.len),
				 other ? VERDICT_DENIED : VERDICT_HEARD);
		assert_int_equal(r->logged, other);
		rig_free(r);
	}
}

static void a_reload_goes_on_waiting(void **state)
{
	static const char *const policies[] = {POLICY "on_deny = \"drop\";\n",
					       "tiers = ( { name = \"guest\"; } );\n"};
	for (int closed = 0; closed < 2; closed++) {
		struct side s = retried("social.example");
		struct rig *r = waiting(&s);
		struct config *c = config_of(policies[closed]);
		struct snapshot *old = r->snapshot;
		r->snapshot = snapshot_of(c);
		wait_ms(r, 100);
		assert_int_equal(r->source.remarks, closed);
		assert_int_equal(part(r, &s, s.first, s.len),
				 closed ? VERDICT_DENIED : VERDICT_DROP_DENIED);
		assert_int_equal(r->log[1].reason, closed ? REASON_NO_TIER : REASON_HELLO_CHANGED);
		snapshot_free(old);
		config_free(c);
		rig_free(r);
	}
}

/* STARTTLS: the first hello does not stand at the client's first byte. */
static void after_starttls(void **state)
{
	static const char text[] = "EHLO me\r\nSTARTTLS\r\n";
	struct rig *r =
		rig_with("tiers = ( { name = \"guest\"; } );\n"
			 "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"
			 "sites = ( { name = \"mail\"; hosts = [ \"news.example\" ]; } );\n"
			 "allow = ( { tiers = [ \"guest\" ]; sites = [ \"mail\" ]; ports = [ "
			 "\"tcp/25\" ]; } );\n");
	for (int other = 0; other < 2; other++) {
		struct side s = retried(other ? "social.example" : "news.example");
		uint32_t at = 1001;
		struct wire w;
		wire_tcp(&w, guest, 4000 + (unsigned)other, site, 25, TCP_SYN, 1000, NULL, 0);
		assert_int_equal(packet(r, &w), VERDICT_PENDING);
		wire_tcp(&w, guest, 4000 + (unsigned)other, site, 25, TCP_ACK, at, text, 19);
		assert_int_equal(packet(r, &w), VERDICT_PASS);
		wire_tcp(&w, guest, 4000 + (unsigned)other, site, 25, TCP_ACK, at + 19, s.bytes,
			 s.first);
		assert_int_equal(packet(r, &w), VERDICT_HEARD);
		wire_tcp(&w, guest, 4000 + (unsigned)other, site, 25, TCP_ACK,
			 at + 19 + (uint32_t)s.first, s.bytes + s.first, s.len - s.first);
		assert_int_equal(packet(r, &w), other ? VERDICT_DENIED : VERDICT_PASS);
	}
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_hello_must_agree),
		cmocka_unit_test(a_usual_flow_waits_without_a_stream),
		cmocka_unit_test(however_it_is_cut),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(no_walk_lifts_the_denial),
		cmocka_unit_test(the_first_hello_sent_again_says_nothing_new),
		cmocka_unit_test(what_lies_beyond_a_hole_is_held),
		cmocka_unit_test(overlaps_that_differ),
		cmocka_unit_test(half_a_second_hello_is_not_waited_for),
		cmocka_unit_test(half_a_second_hello_of_an_observed_tier_goes_on),
		cmocka_unit_test(what_ends_the_watch),
		cmocka_unit_test(a_strange_second_hello_is_one),
		cmocka_unit_test(early_data_is_walked_over),
		cmocka_unit_test(early_data_has_a_bound),
		cmocka_unit_test(both_hellos_in_one_packet),
		cmocka_unit_test(observe_lets_it_pass_and_says_so),
		cmocka_unit_test(observe_lets_a_repeat_pass),
		cmocka_unit_test(a_hello_in_a_syn_comes_again),
		cmocka_unit_test(mid_stream),
		cmocka_unit_test(a_reset_makes_room),
		cmocka_unit_test(a_restart_goes_on_waiting),
		cmocka_unit_test(a_restart_with_another_policy_settles_nothing),
		cmocka_unit_test(a_restart_goes_on_judging_requests),
		cmocka_unit_test(a_request_in_a_syn_is_marked),
		cmocka_unit_test(a_reload_goes_on_waiting),
		cmocka_unit_test(after_starttls),
	};
	rcu_register_thread();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
