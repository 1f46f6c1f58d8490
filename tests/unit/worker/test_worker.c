#include "policy/lockdown.h"
#include "rig.h"

static void allows_by_name(void **state)
{
	struct rig *r = rig_new("");
	assert_int_equal(syn(r, guest, 4000), VERDICT_PENDING);
	assert_int_equal(hello(r, guest, 4000, "www.news.example"), VERDICT_HEARD);
	assert_int_equal(r->logged, 1);
	assert_int_equal(r->log[0].action, ACTION_ALLOW);
	assert_int_equal(r->log[0].evidence, EVIDENCE_SNI);
	assert_string_equal(r->log[0].host.text, "www.news.example");
	assert_string_equal(r->log[0].tier, "guest");
	assert_string_equal(r->log[0].site, "news");
	assert_int_equal(r->source.resets, 0);
	rig_free(r);
}

static void denies_by_name_and_tells_both_ends(void **state)
{
	struct rig *r = rig_new("");
	assert_int_equal(syn(r, guest, 4000), VERDICT_PENDING);
	assert_int_equal(hello(r, guest, 4000, "social.example"), VERDICT_DENIED);
	assert_int_equal(r->log[0].action, ACTION_DENY);
	assert_int_equal(r->log[0].reason, REASON_NO_LINE);
	assert_int_equal(r->source.resets, 1);
	assert_int_equal(r->source.reset_seq, 1001);
	rig_free(r);
}

static void denies_a_syn_of_nobody_once(void **state)
{
	struct rig *r = rig_new("");
	assert_int_equal(syn(r, nobody, 4000), VERDICT_DENIED);
	assert_int_equal(syn(r, nobody, 4000), VERDICT_DENIED); /* the client tries again */
	assert_int_equal(syn(r, nobody, 4000), VERDICT_DENIED);
	assert_int_equal(r->logged, 1);
	assert_int_equal(r->log[0].reason, REASON_NO_TIER);
	worker_finish(r->worker);
	assert_int_equal(r->logged, 2);
	assert_int_equal(r->log[1].kind, DECISION_REPEATED);
	assert_int_equal(r->log[1].count, 2);
	rig_free(r);
}

/* A minute after what was said last, to the second. */
static void repeats_are_said_each_minute(void **state)
{
	struct rig *r = rig_new("");
	int64_t start = r->source.now;
	assert_int_equal(syn(r, nobody, 4000), VERDICT_DENIED);
	r->source.now = start + 59 * NS_PER_S;
	syn(r, nobody, 4000);
	assert_int_equal(r->logged, 1);
	r->source.now = start + 60 * NS_PER_S;
	syn(r, nobody, 4000);
	assert_int_equal(r->logged, 2);
	assert_int_equal(r->log[1].kind, DECISION_REPEATED);
	assert_int_equal(r->log[1].count, 2);
	rig_free(r);
}

static void holds_a_split_hello(void **state)
{
	struct rig *r = rig_new("");
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "news.example", 900);
	syn(r, guest, 4000);
	uint64_t first = r->source.next_id;
	assert_int_equal(data(r, guest, 4000, 500, bytes + 500, len - 500), -1); /* the end first */
	assert_int_equal(data(r, guest, 4000, 0, bytes, 500), VERDICT_HEARD);
	assert_int_equal(r->source.verdict[first], VERDICT_HEARD);
	rig_free(r);
}

static void a_denied_split_hello_goes_nowhere(void **state)
{
	struct rig *r = rig_new("");
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "social.example", 900);
	syn(r, guest, 4000);
	uint64_t first = r->source.next_id;
	assert_int_equal(data(r, guest, 4000, 0, bytes, 500), -1);
	assert_int_equal(data(r, guest, 4000, 500, bytes + 500, len - 500), VERDICT_DROP);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED); /* the one that is answered */
	assert_int_equal(r->source.reset_seq, 1001);
	rig_free(r);
}

/* Nobody acknowledges what is held: where its sender waits for that, it goes, and is compared. */
static void what_is_stuck_goes(void **state)
{
	struct rig *r = rig_new("");
	uint8_t good[2048], bad[2048];
	size_t len = wire_hello(good, "news.example", 900);
	wire_hello(bad, "social.example", 898);
	for (int again = 0; again < 2; again++) {
		unsigned port = 4000 + (unsigned)again;
		r->logged = 0;
		syn(r, guest, port);
		uint64_t first = r->source.next_id;
		assert_int_equal(data(r, guest, port, 0, good, 200), -1);
		wait_ms(r, 30);
		assert_int_equal(r->source.verdict[first], -1);
		if (again)
			assert_int_equal(data(r, guest, port, 0, good, 200), VERDICT_PASS);
		else
			wait_ms(r, 20);
		assert_int_equal(r->source.verdict[first], VERDICT_PASS);
		assert_int_equal(data(r, guest, port, 200, good + 200, len - 200), VERDICT_HEARD);
		assert_true(r->logged == 1 && r->log[0].stuck);
		assert_int_equal(data(r, guest, port, 0, bad, 200), VERDICT_DENIED);
	}
	rig_free(r);
}

/* Where the name stands in what is held, and no line allows it, nothing goes. */
static void what_shows_a_denied_name_stays(void **state)
{
	struct rig *r = rig_new("");
	uint8_t bad[2048], good[2048];
	size_t len = wire_hello(bad, "social.example", 900);
	wire_hello(good, "news.example", 900);
	for (int allowed = 0; allowed < 2; allowed++) {
		unsigned port = 4000 + (unsigned)allowed;
		const uint8_t *bytes = allowed ? good : bad;
		syn(r, guest, port);
		uint64_t first = r->source.next_id;
		assert_int_equal(data(r, guest, port, 0, bytes, len - 50), -1);
		wait_ms(r, 1000);
		assert_int_equal(r->source.verdict[first], allowed ? VERDICT_PASS : -1);
	}
	wait_ms(r, 1500);
	assert_int_equal(r->log[0].reason, REASON_HELLO_UNFINISHED);
	rig_free(r);
}

static void half_a_head_shows_its_host(void **state)
{
	static const struct {
		const char *text;
		int verdict;
	} half[] = {
		{"GET / HTTP/1.1\r\nAccept: a", VERDICT_PASS},
		{"GET / HTTP/1.1\r\nHost: news.example\r\nAcc", VERDICT_PASS},
		{"GET / HTTP/1.1\r\nHost: social.example\r\n", -1},
		{"GET / HTTP/1.1\r\nHost: social.exam", -1},
		{"GET http://social.example", -1},
		{"GET http://social.example/ HTTP/1.1\r\n", -1},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERDICT_PASS},
	};
	for (unsigned i = 0; i < sizeof half / sizeof *half; i++) {
		struct rig *r = rig_new("");
		http_syn(r, 4000);
		uint64_t first = r->source.next_id;
		assert_int_equal(request(r, 4000, 0, half[i].text), -1);
		wait_ms(r, 100);
		assert_int_equal(r->source.verdict[first], half[i].verdict);
		rig_free(r);
	}
}

static void what_its_client_ends_stays(void **state)
{
	struct rig *r = rig_new("");
	struct wire w;
	syn(r, guest, 4000);
	uint64_t first = r->source.next_id;
	wire_tcp(&w, guest, 4000, site, 443, TCP_ACK | TCP_FIN, 1001, "SECRET", 6);
	assert_int_equal(packet(r, &w), -1);
	wait_ms(r, 100);
	assert_int_equal(r->source.verdict[first], -1);
	rig_free(r);
}

/* A part of a name, and lines that all want agreement: silence is not enough. */
static void with_care(void **state)
{
	uint8_t bytes[2048];
	for (int strict = 0; strict < 2; strict++) {
		struct rig *r = rig_new(strict ? "mismatch = \"deny\";\n" : "");
		size_t len = wire_hello(bytes, "news.example", 0);
		const uint8_t *name = memmem(bytes, len, "news.example", 12);
		uint32_t cut = strict ? 43 : (uint32_t)(name - bytes) + 5;
		syn(r, guest, 4000);
		uint64_t first = r->source.next_id;
		assert_int_equal(data(r, guest, 4000, 0, bytes, 20), -1);
		assert_int_equal(data(r, guest, 4000, 20, bytes + 20, cut - 20), -1);
		wait_ms(r, 100);
		assert_int_equal(data(r, guest, 4000, 20, bytes + 20, 10), VERDICT_DROP);
		assert_int_equal(r->source.verdict[first], -1);
		assert_int_equal(data(r, guest, 4000, 0, bytes, 20), VERDICT_PASS);
		assert_int_equal(r->source.verdict[first], VERDICT_PASS);
		rig_free(r);
	}
}

/* A name that is whole again needs no care. */
static void care_ends_with_the_whole_name(void **state)
{
	struct rig *r = rig_new("");
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "news.example", 900);
	uint32_t at = (uint32_t)((const uint8_t *)memmem(bytes, len, "news.example", 12) - bytes);
	syn(r, guest, 4000);
	uint64_t first = r->source.next_id;
	assert_int_equal(data(r, guest, 4000, 0, bytes, at + 5), -1);
	wait_ms(r, 100);
	assert_int_equal(r->source.verdict[first], -1);
	assert_int_equal(data(r, guest, 4000, at + 5, bytes + at + 5, 20), -1);
	wait_ms(r, 100);
	assert_int_equal(r->source.verdict[first], VERDICT_PASS);
	rig_free(r);
}

/* What is let go is a sender's first window, nothing behind a hole, and nothing that no line could
 * allow; and it has no longer to become whole than what is held. */
static void what_is_stuck_has_bounds(void **state)
{
	struct rig *r = rig_new("bounds = { hello_timeout = \"2s\"; };\n");
	static uint8_t bytes[20000];
	wire_hello(bytes, "news.example", 900);
	syn(r, guest, 4000);
	uint64_t first = r->source.next_id;
	assert_int_equal(data(r, guest, 4000, 100, bytes + 100, 100), -1);
	wait_ms(r, 100);
	assert_int_equal(r->source.verdict[first], -1); /* behind a hole */
	assert_int_equal(data(r, guest, 4000, 0, bytes, 100), -1);
	wait_ms(r, 100);
	assert_int_equal(r->source.verdict[first], VERDICT_PASS);
	wait_ms(r, 1900);
	assert_int_equal(r->log[0].reason, REASON_HELLO_UNFINISHED);
	assert_int_equal(r->source.remarked, VERDICT_DENIED);
	rig_free(r);

	r = rig_new("");
	wire_hello(bytes, "news.example", 15500);
	syn(r, guest, 4000);
	for (uint32_t at = 0; at < 15000; at += 3000) {
		first = r->source.next_id;
		data(r, guest, 4000, at, bytes + at, 3000);
		wait_ms(r, 100);
		assert_int_equal(r->source.verdict[first], at < 12000 ? VERDICT_PASS : -1);
	}
	rig_free(r);

	for (uint32_t last = 14600; last <= 14601; last++) { /* ten segments, and a byte */
		r = rig_new("");
		syn(r, guest, 4000);
		for (uint32_t at = 0; at < last; at += 1460) {
			uint32_t len = last - at < 1460 || at + 1460 == 14600 ? last - at : 1460;
			first = r->source.next_id;
			data(r, guest, 4000, at, bytes + at, len);
			at = len > 1460 ? last : at;
		}
		wait_ms(r, 100);
		assert_int_equal(r->source.verdict[first], last == 14600 ? VERDICT_PASS : -1);
		rig_free(r);
	}
}

static void an_unfinished_hello_is_denied_in_time(void **state)
{
	struct rig *r = rig_new("held = \"until-whole\"; bounds = { hello_timeout = \"2s\"; };\n");
	uint8_t bytes[2048];
	wire_hello(bytes, "news.example", 900);
	syn(r, guest, 4000);
	uint64_t first = r->source.next_id;
	assert_int_equal(data(r, guest, 4000, 0, bytes, 500), -1);
	wait_ms(r, 1900);
	assert_int_equal(r->source.verdict[first], -1);
	wait_ms(r, 200);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED);
	assert_int_equal(r->log[0].reason, REASON_HELLO_UNFINISHED);
	assert_int_equal(r->source.resets, 1); /* the server is told */
	rig_free(r);
}

/* After a lost SYN its sender's timer has 3 s (RFC 6298 5.7), and doubles. */
static void a_sender_whose_packets_are_lost_has_longer(void **state)
{
	enum { SYN_TWICE, SAID_TWICE, HOLE, ALL };
	for (int lost = 0; lost < ALL; lost++) {
		struct rig *r = rig_new("");
		uint8_t bytes[2048];
		wire_hello(bytes, "news.example", 900);
		syn(r, guest, 4000);
		if (lost == SYN_TWICE) {
			wait_ms(r, 1000);
			syn(r, guest, 4000);
		}
		data(r, guest, 4000, lost == HOLE ? 20 : 0, bytes, 500);
		wait_ms(r, 50); /* it is let go, but for the hole */
		if (lost == SAID_TWICE)
			assert_int_equal(data(r, guest, 4000, 0, bytes, 500), VERDICT_PASS);
		wait_ms(r, 29800);
		assert_int_equal(r->logged, 0);
		wait_ms(r, 300);
		assert_int_equal(r->log[0].reason, REASON_HELLO_UNFINISHED);
		rig_free(r);
	}
}

/* It repeats what is held from its server: that says nothing of its network. */
static void a_repeat_of_what_is_held_is_no_loss(void **state)
{
	struct rig *r = rig_new("held = \"until-whole\";\n");
	uint8_t bytes[2048];
	wire_hello(bytes, "news.example", 900);
	syn(r, guest, 4000);
	data(r, guest, 4000, 0, bytes, 500);
	wait_ms(r, 1000);
	data(r, guest, 4000, 0, bytes, 500);
	wait_ms(r, 1100);
	assert_int_equal(r->log[0].reason, REASON_HELLO_UNFINISHED);
	rig_free(r);
}

static void an_idle_handshake_is_left_alone(void **state)
{
	struct rig *r = rig_new("");
	assert_int_equal(syn(r, guest, 4000), VERDICT_PENDING);
	wait_ms(r, 3600 * 1000);
	assert_int_equal(r->logged, 0);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	rig_free(r);
}

static void overlaps_that_differ_are_denied(void **state)
{
	struct rig *r = rig_new("held = \"until-whole\";\n");
	uint8_t bytes[2048];
	wire_hello(bytes, "news.example", 900);
	syn(r, guest, 4000);
	assert_int_equal(data(r, guest, 4000, 0, bytes, 500), -1);
	assert_int_equal(data(r, guest, 4000, 0, bytes, 500), VERDICT_DROP); /* a plain repeat */
	bytes[100] ^= 1;
	assert_int_equal(data(r, guest, 4000, 0, bytes, 600), VERDICT_DROP);
	assert_int_equal(r->log[0].reason, REASON_OVERLAP_CONFLICT);
	rig_free(r);
}

static void one_client_cannot_hold_all(void **state)
{
	struct rig *r = rig_new("bounds = { held = 64; held_per_client = 16; };\n");
	uint8_t bytes[2048];
	wire_hello(bytes, "news.example", 900);
	for (unsigned i = 0; i < 16; i++) {
		syn(r, guest, 4000 + i);
		assert_int_equal(data(r, guest, 4000 + i, 0, bytes, 100), -1);
	}
	syn(r, guest, 5000);
	assert_int_equal(data(r, guest, 5000, 0, bytes, 100), VERDICT_DENIED);
	assert_int_equal(r->log[0].reason, REASON_HELD_FULL);
	syn(r, "10.9.0.6", 5000); /* another client's are held all the same */
	assert_int_equal(data(r, "10.9.0.6", 5000, 0, bytes, 100), -1);
	rig_free(r);
}

static void a_syn_with_data_decides_or_falls_back(void **state)
{
	struct rig *r = rig_new("");
	uint8_t bytes[2048];
	struct wire w;
	size_t len = wire_hello(bytes, "news.example", 900);
	wire_tcp(&w, guest, 4000, site, 443, TCP_SYN, 1000, bytes, 200);
	assert_int_equal(packet(r, &w), VERDICT_DROP);
	assert_int_equal(syn(r, guest, 4000), VERDICT_PENDING);
	assert_int_equal(data(r, guest, 4000, 0, bytes, len), VERDICT_HEARD);
	wire_tcp(&w, guest, 4001, site, 443, TCP_SYN, 1000, bytes, len);
	assert_int_equal(packet(r, &w), VERDICT_PENDING); /* its server may leave the data alone */
	assert_int_equal(r->log[1].action, ACTION_ALLOW);
	assert_int_equal(data(r, guest, 4001, 0, bytes, len), VERDICT_HEARD);
	bytes[len - 1] ^= 1;
	assert_int_equal(data(r, guest, 4001, 0, bytes, len), VERDICT_DENIED);
	assert_int_equal(r->log[2].reason, REASON_OVERLAP_CONFLICT);
	rig_free(r);
}

static void bytes_without_a_name(void **state)
{
	struct rig *r = rig_new("");
	syn(r, guest, 4000);
	assert_int_equal(data(r, guest, 4000, 0, "SSH-2.0-x\r\n", 11), VERDICT_DENIED);
	assert_int_equal(r->log[0].reason, REASON_NO_NAME);
	assert_int_equal(r->log[0].evidence, EVIDENCE_ADDRESS);
	rig_free(r);
}

static void mid_stream_is_forgotten(void **state)
{
	struct rig *r = rig_new("");
	assert_int_equal(data(r, guest, 4000, 70000, "\x17\x03\x03 no hello", 12), VERDICT_DENIED);
	assert_int_equal(r->log[0].reason, REASON_NAME_FORGOTTEN);
	rig_free(r);
}

/* It went on, and its end never came: that is a decision, and has a record. */
static void half_a_hello_that_was_observed_has_its_record(void **state)
{
	struct rig *r = rig_new("mode = \"observe\";\n");
	uint8_t bytes[2048];
	wire_hello(bytes, "social.example", 900);
	syn(r, nobody, 4000);
	assert_int_equal(data(r, nobody, 4000, 0, bytes, 500), VERDICT_PASS);
	worker_finish(r->worker);
	assert_int_equal(r->logged, 1);
	assert_true(r->log[0].would_deny);
	rig_free(r);
}

static void observe_denies_nothing(void **state)
{
	struct rig *r = rig_new("mode = \"observe\";\n");
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "social.example", 900);
	assert_int_equal(syn(r, nobody, 4000), VERDICT_PENDING);
	assert_int_equal(data(r, nobody, 4000, 0, bytes, 500), VERDICT_PASS);
	assert_int_equal(data(r, nobody, 4000, 500, bytes + 500, len - 500), VERDICT_ALLOWED);
	assert_int_equal(r->log[0].action, ACTION_ALLOW);
	assert_true(r->log[0].would_deny);
	assert_int_equal(r->log[0].would, REASON_NO_TIER);
	assert_string_equal(r->log[0].host.text, "social.example");
	rig_free(r);
}

#define GUESTS_OBSERVED                                                                            \
	"tiers = ( { name = \"guest\"; mode = \"observe\"; }, { name = \"press\"; } );\n"          \
	"segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; },\n"                         \
	"             { network = \"10.8.0.0/16\"; tier = \"press\"; } );\n"                       \
	"sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; } );\n"                        \
	"allow = ( { tiers = [ \"*\" ]; sites = [ \"news\" ]; } );\n"

/* One tier is looked at, others are denied as ever, and a lockdown shuts the observed one in. */
static void a_tier_is_observed(void **state)
{
	struct rig *r = rig_with(GUESTS_OBSERVED);
	struct lockdowns *l = calloc(1, sizeof *l);
	struct lockdown shut = {.of = LOCKDOWN_TIER, .whom = "guest", .until = INT64_MAX};
	struct errors missing = {0};
	bool failed;
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "social.example", 300);
	assert_int_equal(syn(r, guest, 4000), VERDICT_PENDING);
	assert_int_equal(data(r, guest, 4000, 0, bytes, len), VERDICT_ALLOWED);
	assert_int_equal(r->log[0].action, ACTION_ALLOW);
	assert_int_equal(r->log[0].reason, REASON_OBSERVE);
	assert_true(r->log[0].observed && r->log[0].would_deny);
	assert_int_equal(r->log[0].would, REASON_NO_LINE);
	assert_string_equal(r->log[0].host.text, "social.example");
	syn(r, nobody, 4001);
	assert_int_equal(data(r, nobody, 4001, 0, bytes, len), VERDICT_DENIED);
	assert_false(r->log[1].observed);
	assert_true(lockdowns_add(l, &shut, 1));
	snapshot_lock(r->snapshot, locks_make(r->snapshot, l, &missing, &failed));
	assert_int_equal(syn(r, guest, 4002), VERDICT_DENIED);
	assert_int_equal(r->log[r->logged - 1].reason, REASON_LOCKDOWN);
	free(l);
	rig_free(r);
}

#define LIMITED                                                                                    \
	"tiers = ( { name = \"guest\"; }, { name = \"press\"; } );\n"                              \
	"segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"                       \
	"sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; },\n"                          \
	"          { name = \"free\"; hosts = [ \"free.example\" ]; } );\n"                        \
	"allow = ( { tiers = [ \"*\" ]; sites = [ \"news\" ]; quota = \"3 MB/day\"; },\n"          \
	"          { tiers = [ \"*\" ]; sites = [ \"free\" ]; } );\n"

static void spend(struct rig *r, const struct quota_account *a, uint64_t generation)
{
	struct spent *p = spent_new(1, generation);
	spent_add(p, a, INT64_MAX);
	spent_free(snapshot_spend(r->snapshot, p));
}

/* Told once for each flow and account; cut when it is used up, and nobody else is. */
static void a_quota_is_told_and_cuts(void **state)
{
	struct rig *r = rig_with(LIMITED);
	struct session s = {.user = "ana", .tier = "press", .source = "test"};
	struct address a, b;
	syn(r, guest, 4000);
	assert_int_equal(hello(r, guest, 4000, "free.example"), VERDICT_HEARD);
	assert_int_equal(r->uses, 0);
	syn(r, guest, 4001);
	assert_int_equal(hello(r, guest, 4001, "news.example"), VERDICT_HEARD);
	assert_int_equal(r->uses, 1);
	assert_int_equal(r->use.key.client_port, 4001);
	assert_true(r->use.young && r->use.account.id);
	assert_string_equal(r->use.account.who.user, "");
	const struct quota_account at_guest = r->use.account;
	address_parse(guest, &a);
	address_parse(nobody, &b);
	assert_int_equal(session_open(r->sessions, &b, &s, r->source.now), 0);
	syn(r, nobody, 4002);
	assert_int_equal(hello(r, nobody, 4002, "news.example"), VERDICT_HEARD);
	assert_int_equal(r->uses, 2);
	assert_string_equal(r->use.account.who.user, "ana");
	wait_ms(r, 100);
	assert_int_equal(r->uses, 2);
	spend(r, &at_guest, 5);
	r->source.remarks = 0;
	wait_ms(r, 100);
	assert_int_equal(r->source.remarks, 1);
	assert_int_equal(r->source.remarked, VERDICT_DENIED);
	assert_int_equal(r->log[r->logged - 1].reason, REASON_QUOTA_SPENT);
	assert_string_equal(r->log[r->logged - 1].host.text, "news.example");
	assert_int_equal(r->log[r->logged - 1].client_port, 4001);
	syn(r, guest, 4003);
	assert_int_equal(hello(r, guest, 4003, "news.example"), VERDICT_DENIED);
	assert_int_equal(r->log[r->logged - 1].reason, REASON_QUOTA_SPENT);
	assert_int_equal(r->uses, 2);
	/* signed in, the same flow counts for somebody else */
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	syn(r, guest, 4004);
	assert_int_equal(hello(r, guest, 4004, "news.example"), VERDICT_HEARD);
	assert_string_equal(r->use.account.who.user, "ana");
	spend(r, &r->use.account, 6);
	r->source.remarks = 0;
	wait_ms(r, 100);
	assert_int_equal(r->source.remarks, 2);
	rig_free(r);
}

/* What can't be told now is told later, and what changes hands is told again. */
static void a_quota_is_told_again(void **state)
{
	struct rig *r = rig_with(LIMITED);
	struct session s = {.user = "ana", .tier = "press", .source = "test"};
	struct address a;
	r->uses_full = true;
	syn(r, guest, 4000);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	wait_ms(r, 100);
	assert_int_equal(r->uses, 0);
	r->uses_full = false;
	wait_ms(r, 100);
	assert_int_equal(r->uses, 1);
	assert_int_equal(r->use.key.client_port, 4000);
	wait_ms(r, 100);
	assert_int_equal(r->uses, 1);
	address_parse(guest, &a);
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	wait_ms(r, 100);
	assert_int_equal(r->uses, 2);
	assert_string_equal(r->use.account.who.user, "ana");
	assert_false(r->use.young);
	/* a policy without it */
	struct config *c =
		config_of("tiers = ( { name = \"press\"; } );\n"
			  "sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; } );\n"
			  "allow = ( { tiers = [ \"press\" ]; sites = [ \"news\" ]; } );\n");
	struct snapshot *old = r->snapshot;
	r->snapshot = snapshot_of(c);
	wait_ms(r, 100);
	assert_int_equal(r->uses, 3);
	assert_int_equal(r->use.account.id, 0);
	snapshot_free(old);
	config_free(c);
	rig_free(r);
}

/* What is kept of a tier between packets is of one policy: in the next another one has its number.
 */
static void tiers_change_places(void **state)
{
	struct rig *r = rig_new("");
	syn(r, guest, 4000);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	struct config *c =
		config_of("tiers = ( { name = \"press\"; }, { name = \"guest\"; } );\n"
			  "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"
			  "sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; },\n"
			  "          { name = \"social\"; hosts = [ \"social.example\" ]; } );\n"
			  "allow = ( { tiers = [ \"guest\" ]; sites = [ \"news\" ]; },\n"
			  "          { tiers = [ \"press\" ]; sites = [ \"social\" ]; } );\n");
	struct snapshot *old = r->snapshot;
	r->snapshot = snapshot_of(c);
	syn(r, guest, 4001);
	assert_int_equal(hello(r, guest, 4001, "news.example"), VERDICT_HEARD);
	syn(r, guest, 4002);
	assert_int_equal(hello(r, guest, 4002, "social.example"), VERDICT_DENIED);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_PASS); /* as it was */
	snapshot_free(old);
	config_free(c);
	rig_free(r);
}

/* However long the table, who comes meanwhile waits for a portion; what comes late has more. */
static void a_long_table_is_decided_again_in_portions(void **state)
{
	enum { FLOWS = 800, LEAST = 64, OF_1_MS = 250 };
	struct rig *r = rig_new("");
	struct config *c =
		config_of("tiers = ( { name = \"guest\"; } );\n"
			  "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n");
	r->full = true;
	for (unsigned i = 0; i < FLOWS; i++) {
		syn(r, guest, 4000 + i);
		assert_int_equal(hello(r, guest, 4000 + i, "news.example"), VERDICT_HEARD);
	}
	struct snapshot *old = r->snapshot;
	r->snapshot = snapshot_of(c);
	assert_false(r->source.source.soon);
	for (unsigned turn = 1; turn < 4; turn++) {
		wait_ms(r, 0);
		assert_int_equal(r->source.remarks, turn * LEAST);
		assert_true(r->source.source.soon);
	}
	for (int ms = 1; ms < 3; ms++) {
		wait_ms(r, 1);
		assert_int_equal(r->source.remarks, 3 * LEAST + ms * OF_1_MS);
	}
	assert_int_equal(hello(r, guest, 4000 + FLOWS - 1, "news.example"), VERDICT_DENIED);
	assert_int_equal(r->source.remarks, FLOWS);
	assert_false(r->source.source.soon);
	snapshot_free(old);
	config_free(c);
	rig_free(r);
}

#define ADS_OBSERVED                                                                               \
	"tiers = ( { name = \"guest\"; } );\n"                                                     \
	"segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"                       \
	"sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; },\n"                          \
	"          { name = \"ads\"; hosts = [ \"ads.news.example\" ]; } );\n"                     \
	"allow = ( { tiers = [ \"*\" ]; sites = [ \"news\" ]; } );\n"                              \
	"deny = ( { tiers = [ \"*\" ]; sites = [ \"ads\" ]; mode = \"observe\"; } );\n"

/* One deny line is looked at: what it would deny is allowed, and its record is about that line. */
static void a_line_is_observed(void **state)
{
	static const char *const names[] = {"ads.news.example", "news.example", "other.example"};
	struct rig *r = rig_with(ADS_OBSERVED);
	uint8_t bytes[2048];
	for (unsigned i = 0; i < 3; i++) {
		size_t len = wire_hello(bytes, names[i], 300);
		assert_int_equal(syn(r, guest, (uint16_t)(4000 + i)), VERDICT_PENDING);
		int v = data(r, guest, (uint16_t)(4000 + i), 0, bytes, len);
		assert_int_equal(v == VERDICT_DENIED, i == 2);
		assert_int_equal(r->log[i].observed, i == 0);
		assert_int_equal(r->log[i].would_deny, i == 0);
	}
	const struct decision *d = &r->log[0];
	assert_int_equal(d->action, ACTION_ALLOW);
	assert_int_equal(d->reason, REASON_OBSERVE);
	assert_int_equal(d->would, REASON_DENY_LINE);
	assert_non_null(strstr(d->rule, ":6"));
	assert_string_equal(d->site, "ads");
	assert_int_equal(r->log[1].reason, REASON_ALLOW_LINE);
	rig_free(r);
}

static void a_login_counts_at_once(void **state)
{
	struct rig *r = rig_new("");
	struct session s = {.user = "ana", .tier = "press", .source = "test"};
	struct address a;
	address_parse(nobody, &a);
	assert_int_equal(syn(r, nobody, 4000), VERDICT_DENIED);
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	assert_int_equal(syn(r, nobody, 4000), VERDICT_PENDING);
	assert_int_equal(hello(r, nobody, 4000, "social.example"), VERDICT_HEARD);
	assert_string_equal(r->log[r->logged - 1].user, "ana");
	r->source.remarks = 0;
	assert_int_equal(session_close_address(r->sessions, &a), 1);
	wait_ms(r, 100);
	assert_int_equal(r->source.remarks, 1);
	assert_int_equal(r->source.remarked, VERDICT_DENIED);
	assert_int_equal(r->log[r->logged - 1].reason, REASON_NO_TIER);
	rig_free(r);
}

static void a_reload_touches_only_what_changed(void **state)
{
	struct rig *r = rig_new("");
	struct config *c =
		config_of("tiers = ( { name = \"guest\"; } );\n"
			  "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"
			  "sites = ( { name = \"b\"; hosts = [ \"b.news.example\" ]; } );\n"
			  "allow = ( { tiers = [ \"guest\" ]; sites = [ \"b\" ]; } );\n");
	syn(r, guest, 4000);
	syn(r, guest, 4001);
	assert_int_equal(hello(r, guest, 4000, "a.news.example"), VERDICT_HEARD);
	assert_int_equal(hello(r, guest, 4001, "b.news.example"), VERDICT_HEARD);
	struct snapshot *old = r->snapshot;
	r->snapshot = snapshot_of(c);
	wait_ms(r, 100);
	assert_int_equal(r->source.remarks, 1);
	assert_int_equal(r->logged, 3);
	assert_string_equal(r->log[2].host.text, "a.news.example");
	assert_int_equal(r->log[2].action, ACTION_DENY);
	snapshot_free(old);
	config_free(c);
	rig_free(r);
}

static void strict_audit_denies_what_it_cannot_record(void **state)
{
	struct rig *r = rig_new("audit = \"strict\";\n");
	syn(r, guest, 4000);
	r->full = true;
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_DENIED);
	r->full = false;
	syn(r, guest, 4001);
	assert_int_equal(hello(r, guest, 4001, "news.example"), VERDICT_HEARD);
	rig_free(r);
}

static void a_flow_ends_with_a_record(void **state)
{
	struct rig *r = rig_new("");
	struct flow_ended e = {.bytes = 5000, .packets = 12};
	syn(r, guest, 4000);
	hello(r, guest, 4000, "news.example");
	e.key = guest_key(IPPROTO_TCP, 4000, 443);
	e.after = e.last = r->source.now + 2 * NS_PER_S;
	worker_flow_ended(r->worker, &e);
	assert_int_equal(r->logged, 2);
	assert_int_equal(r->log[1].kind, DECISION_ENDED);
	assert_int_equal(r->log[1].bytes, 5000);
	assert_int_equal(r->log[1].duration, 2 * NS_PER_S + NS_PER_MS);
	worker_flow_ended(r->worker, &e); /* known no more */
	assert_int_equal(r->logged, 2);
	rig_free(r);
}

/* The kernel tells the end of a reset connection when its ports are used again, and late. */
static void an_end_told_late_is_an_earlier_connections(void **state)
{
	struct rig *r = rig_new("");
	struct flow_ended e = {.key = guest_key(IPPROTO_TCP, 4000, 443)};
	struct wire w;
	uint8_t bytes[512];
	size_t len = wire_hello(bytes, "news.example", 0);
	syn(r, guest, 4000);
	hello(r, guest, 4000, "news.example");
	*entry_of(&r->source, 4000) = ENTRY_NONE;
	wait_ms(r, 1000);
	wire_tcp(&w, guest, 4000, site, 443, TCP_SYN, 500000, NULL, 0);
	packet(r, &w);
	assert_int_equal(r->logged, 2);
	assert_int_equal(r->log[1].kind, DECISION_ENDED); /* of the first */
	e.after = r->source.now - 1;
	worker_flow_ended(r->worker, &e);
	assert_int_equal(data(r, guest, 4000, 499000, bytes, len), VERDICT_HEARD);
	assert_int_equal(r->logged, 3);
	e.after = r->source.now;
	worker_flow_ended(r->worker, &e);
	assert_int_equal(r->logged, 4);
	assert_int_equal(r->log[3].kind, DECISION_ENDED);
	rig_free(r);
}

/* Of what a reload denies only open connections have a record: the kernel knows which are. */
static void what_is_over_is_not_denied(void **state)
{
	struct flow_ended e[3] = {{.what = FLOW_CUT}, {.what = FLOW_CLOSED}, {.after = INT64_MAX}};
	struct ring *told = rig_told = ring_new(8, sizeof *e);
	struct rig *r = rig_new("");
	struct config *c =
		config_of("tiers = ( { name = \"guest\"; } );\n"
			  "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n");
	for (unsigned i = 0; i < 2; i++) {
		syn(r, guest, 4000 + i);
		assert_int_equal(hello(r, guest, 4000 + i, "news.example"), VERDICT_HEARD);
		e[i].key = guest_key(IPPROTO_TCP, (uint16_t)(4000 + i), 443);
	}
	e[2].key = e[1].key;
	struct snapshot *old = r->snapshot;
	r->snapshot = snapshot_of(c);
	wait_ms(r, 1);
	assert_int_equal(r->source.remarks, 2);
	assert_int_equal(r->logged, 2);
	for (unsigned i = 0; i < 3; i++) {
		memcpy(ring_claim(told), &e[i], sizeof *e);
		ring_publish(told);
	}
	wait_ms(r, 1);
	assert_int_equal(r->logged, 4);
	assert_int_equal(r->log[2].client_port, 4000);
	assert_int_equal(r->log[2].action, ACTION_DENY);
	assert_int_equal(r->log[3].kind, DECISION_ENDED);
	assert_int_equal(r->log[3].client_port, 4001);
	assert_int_equal(r->log[3].reason, REASON_ALLOW_LINE);
	rig_told = NULL;
	snapshot_free(old);
	config_free(c);
	rig_free(r);
	ring_free(told);
}

static void broken_packets_have_a_reason(void **state)
{
	struct rig *r = rig_new("");
	struct wire w;
	wire_tcp(&w, guest, 4000, site, 443, TCP_SYN, 1000, NULL, 0);
	w.bytes[20 + 12] = 15 << 4; /* a TCP header that passes the packet's end */
	assert_int_equal(packet(r, &w), VERDICT_DROP);
	assert_int_equal(r->log[0].reason, REASON_PACKET_MALFORMED);
	for (uint32_t len = 0; len < 20; len++) {
		w.len = len;
		packet(r, &w);
	}
	r->logged = 0;
	uint8_t bytes[12] = {0};
	wire_tcp(&w, "10.9.0.6", 4000, site, 443, TCP_ACK, 1001, bytes, sizeof bytes);
	w.bytes[6] = 0x20; /* more fragments follow; the kernel would have joined them */
	assert_int_equal(packet(r, &w), VERDICT_DROP);
	assert_int_equal(r->logged, 1);
	assert_int_equal(r->log[0].reason, REASON_FRAGMENT);
	rig_free(r);
}

static void denial_is_as_configured(void **state)
{
	struct rig *r = rig_new("on_deny = \"drop\";\n");
	assert_int_equal(syn(r, nobody, 4000), VERDICT_DROP_DENIED);
	rig_free(r);
	r = rig_new("on_deny = \"redirect\"; portal = \"10.0.0.1:80\";\n");
	struct wire w;
	wire_tcp(&w, nobody, 4000, site, 80, TCP_SYN, 1000, NULL, 0);
	assert_int_equal(packet(r, &w), VERDICT_REDIRECT);
	assert_int_equal(syn(r, nobody, 4000), VERDICT_DENIED); /* 443 */
	rig_free(r);
}

static void the_first_request_decides_by_default(void **state)
{
	struct rig *r = rig_new("");
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, GOOD), VERDICT_HEARD);
	rig_free(r);
}

#define REDIRECT "on_deny = \"redirect\"; portal = \"10.0.0.1:80\";\n"

static void a_denied_request_is_answered(void **state)
{
	struct rig *r = rig_new(REDIRECT);
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, BAD), VERDICT_DROP_DENIED);
	assert_int_equal(r->source.redirects, 1);
	assert_int_equal(r->source.redirect.seq, 7); /* what wire_tcp acknowledges */
	assert_int_equal(r->source.redirect.ack, 1001 + strlen(BAD));
	assert_true(r->source.redirect.follows);
	assert_string_equal(r->source.redirect_to, "social.example");
	assert_int_equal(r->source.resets, 1);
	assert_int_equal(r->source.reset_seq, 1001);
	assert_int_equal(r->logged, 1);
	assert_int_equal(request(r, 4000, 0, BAD), VERDICT_DROP_DENIED); /* sent again */
	assert_int_equal(r->source.redirects, 2);
	assert_int_equal(r->logged, 1);
	rig_free(r);
}

static void a_head_request_is_followed_and_others_are_not(void **state)
{
	static const char *const requests[] = {"HEAD / HTTP/1.1\r\nHost: social.example\r\n\r\n",
					       "HEAR / HTTP/1.1\r\nHost: social.example\r\n\r\n",
					       "POST / HTTP/1.1\r\nHost: social.example\r\n\r\n"};
	for (unsigned i = 0; i < 3; i++) {
		struct rig *r = rig_new(REDIRECT);
		http_syn(r, 4000);
		assert_int_equal(request(r, 4000, 0, requests[i]), VERDICT_DROP_DENIED);
		assert_int_equal(r->source.redirects, 1);
		assert_int_equal(r->source.redirect.follows, i == 0);
		rig_free(r);
	}
}

/* What a server's socket may leave out of what it reads ends a flow, but where nothing is denied.
 */
static void an_urgent_byte_ends_a_heard_flow_unless_observed(void **state)
{
	for (unsigned observed = 0; observed < 2; observed++) {
		struct rig *r = rig_new(observed ? "mode = \"observe\";\n" : "");
		struct wire w;
		uint8_t bytes[2048];
		size_t len = wire_hello(bytes, "news.example", 0);
		syn(r, guest, 4000);
		assert_int_equal(data(r, guest, 4000, 0, bytes, len), VERDICT_HEARD);
		wire_tcp(&w, guest, 4000, site, 443, TCP_ACK | TCP_URG, 1001 + (uint32_t)len, "!",
			 1);
		unsigned logged = r->logged;
		int v = packet(r, &w);
		if (observed)
			assert_true(v != VERDICT_DENIED && v != VERDICT_DROP &&
				    r->logged == logged);
		else
			assert_int_equal(v, VERDICT_DENIED);
		rig_free(r);
	}
}

static void a_held_request_is_answered_once(void **state)
{
	struct rig *r = rig_new(REDIRECT);
	http_syn(r, 4000);
	uint64_t first = r->source.next_id;
	assert_int_equal(request(r, 4000, 0, "PUT / HTTP/1.1\r\nHost: soc"), -1);
	assert_int_equal(request(r, 4000, 25, "ial.example\r\n\r\n"), VERDICT_DROP_DENIED);
	assert_int_equal(r->source.verdict[first], VERDICT_DROP_DENIED);
	assert_int_equal(r->source.redirects, 1);
	assert_int_equal(r->source.redirect.ack, 1001 + 25 + 15);
	assert_false(r->source.redirect.follows);
	http_syn(r, 4001); /* a later packet's first bytes are no method */
	assert_int_equal(request(r, 4001, 0, "PUT / HTTP/1.1\r\nX: "), -1);
	assert_int_equal(request(r, 4001, 19, "GET 1\r\nHost: social.example\r\n\r\n"),
			 VERDICT_DROP_DENIED);
	assert_false(r->source.redirect.follows);
	rig_free(r);
}

/* Only what is wholly ours to answer: not TLS, not what a server may have begun to answer, not
 * where the address has no portal. */
static void nothing_else_is_answered(void **state)
{
	struct rig *r = rig_new(REDIRECT "http = \"every-request\";\n");
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "social.example", 0);
	struct wire w;
	http_syn(r, 4000); /* TLS at port 80 */
	wire_tcp(&w, guest, 4000, site, 80, TCP_ACK | TCP_PSH, 1001, bytes, len);
	assert_int_equal(packet(r, &w), VERDICT_DENIED);
	assert_int_equal(syn(r, guest, 4001), VERDICT_PENDING);
	assert_int_equal(data(r, guest, 4001, 0, BAD, strlen(BAD)), VERDICT_DENIED); /* port 443 */
	http_syn(r, 4002);
	assert_int_equal(request(r, 4002, 0, GOOD), VERDICT_PASS);
	assert_int_equal(request(r, 4002, strlen(GOOD), BAD), VERDICT_DENIED);
	http_syn(r, 4003);
	assert_int_equal(request(r, 4003, 0, GOOD BAD), VERDICT_DENIED);
	http_syn(r, 4004);
	assert_int_equal(request(r, 4004, 0, "GET / HTTP/1.1\nBAD\n\n"), VERDICT_DENIED);
	http_syn(r, 4005); /* its server has the beginning */
	uint64_t first = r->source.next_id;
	assert_int_equal(request(r, 4005, 0, "GET / HTTP/1.1\r\n"), -1);
	wait_ms(r, 50);
	assert_int_equal(r->source.verdict[first], VERDICT_PASS);
	assert_int_equal(request(r, 4005, 16, "Host: social.example\r\n\r\n"), VERDICT_DENIED);
	assert_int_equal(r->source.redirects, 0);
	rig_free(r);
	r = rig_new("on_deny = \"redirect\"; portal = \"[fd00::1]:80\";\n");
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, BAD), VERDICT_DENIED);
	rig_free(r);
	r = rig_new("on_deny = \"drop\"; portal = \"10.0.0.1:80\";\n");
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, BAD), VERDICT_DROP_DENIED);
	assert_int_equal(r->source.redirects, 0);
	assert_int_equal(r->source.resets, 0); /* nobody hears of it */
	rig_free(r);
}

static void every_request_is_judged_where_asked(void **state)
{
	struct rig *r = rig_new("http = \"every-request\";\n");
	uint32_t at = 0;
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, at, GOOD), VERDICT_PASS);
	at += strlen(GOOD);
	assert_int_equal(request(r, 4000, at, GOOD), VERDICT_PASS);
	at += strlen(GOOD);
	assert_int_equal(request(r, 4000, 0, GOOD), VERDICT_PASS); /* sent again */
	assert_int_equal(request(r, 4000, at, POST), VERDICT_PASS);
	at += strlen(POST);
	assert_int_equal(request(r, 4000, at, "GET / HTTP"), VERDICT_PASS); /* the body */
	at += 10;
	assert_int_equal(request(r, 4000, at, BAD), VERDICT_DENIED);
	assert_int_equal(r->logged, 2);
	assert_string_equal(r->log[1].host.text, "social.example");
	assert_int_equal(r->source.reset_seq, 1001 + at);
	rig_free(r);
}

static void pipelined_requests_are_all_judged(void **state)
{
	struct rig *r = rig_new("http = \"every-request\";\n");
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, GOOD GOOD), VERDICT_PASS);
	assert_int_equal(r->logged, 1);
	assert_int_equal(request(r, 4000, 2 * strlen(GOOD), GOOD BAD), VERDICT_DENIED);
	http_syn(r, 4001);
	assert_int_equal(request(r, 4001, 0, GOOD BAD), VERDICT_DENIED); /* in the first packet */
	rig_free(r);
}

static void a_split_later_request_is_held(void **state)
{
	struct rig *r = rig_new("http = \"every-request\";\n");
	uint32_t at = strlen(GOOD);
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, GOOD), VERDICT_PASS);
	uint64_t first = r->source.next_id;
	assert_int_equal(request(r, 4000, at, "GET / HTTP/1.1\r\nHost: soc"), -1);
	assert_int_equal(request(r, 4000, at + 25, "ial.example\r\n\r\n"), VERDICT_DROP);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED);
	assert_int_equal(r->source.reset_seq, 1001 + at);
	rig_free(r);
}

static void strict_agreement_denies_the_syn(void **state)
{
	struct rig *r = rig_new("mismatch = \"deny\";\n");
	struct address client, server;
	struct host denied = {14, "social.example"}, good = {12, "news.example"};
	address_parse(guest, &client);
	address_parse(site, &server);
	assert_int_equal(syn(r, guest, 4000), VERDICT_PENDING); /* DNS told nothing: perhaps late */
	seen_add(r->seen, &client, &server, &denied, 60 * NS_PER_S, r->source.now);
	assert_int_equal(syn(r, guest, 4001), VERDICT_DENIED);
	assert_string_equal(r->log[0].host.text, "social.example");
	assert_int_equal(r->log[0].evidence, EVIDENCE_DNS);
	seen_add(r->seen, &client, &server, &good, 60 * NS_PER_S, r->source.now);
	assert_int_equal(syn(r, guest, 4002), VERDICT_PENDING);
	assert_int_equal(hello(r, guest, 4002, "news.example"), VERDICT_HEARD);
	assert_int_equal(r->log[1].evidence, EVIDENCE_SNI_DNS);
	rig_free(r);
}

/* Where there is no room to ask for all names of an address, an allowed one may be among the rest.
 */
static void too_many_names_deny_no_syn(void **state)
{
	struct rig *r = rig_new("mismatch = \"deny\";\n");
	struct address client, server;
	address_parse(guest, &client);
	address_parse(site, &server);
	for (unsigned i = 0; i < NAMES; i++) {
		struct host denied = {.len = 17};
		snprintf(denied.text, sizeof denied.text, "%02u.social.example", i);
		seen_add(r->seen, &client, &server, &denied, 60 * NS_PER_S, r->source.now);
		int want = i + 1 < NAMES ? VERDICT_DENIED : VERDICT_PENDING;
		assert_int_equal(syn(r, guest, 4000 + i), want);
		r->logged = 0;
	}
	rig_free(r);
}

static int syn_with(struct rig *r, unsigned port, uint32_t seq, const void *bytes, size_t len)
{
	struct wire w;
	wire_tcp(&w, guest, port, site, 443, TCP_SYN, seq, bytes, len);
	return packet(r, &w);
}

/* A SYN between the parts of a hello must not make what is held forgotten. */
static void a_syn_cannot_empty_a_held_stream(void **state)
{
	struct rig *r = rig_new("");
	uint8_t bad[2048], good[2048];
	size_t len = wire_hello(good, "news.example", 900);
	wire_hello(bad, "social.example", 900);
	syn(r, guest, 4000);
	uint64_t first = r->source.next_id;
	assert_int_equal(data(r, guest, 4000, 0, bad, 500), -1);
	assert_int_equal(syn_with(r, 4000, 1000, good, 1), VERDICT_DROP);
	assert_int_equal(syn(r, guest, 4000), VERDICT_DROP);
	assert_int_equal(data(r, guest, 4000, 0, good, len), VERDICT_DROP);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED);
	assert_int_equal(r->log[0].reason, REASON_OVERLAP_CONFLICT);
	rig_free(r);
}

/* The kernel may hold an old connection's entry for open, or closed, when its ports are used again:
 * it is asked, and the SYN comes again. */
static void a_syn_after_a_heard_flow_asks_the_kernel(void **state)
{
	for (unsigned over = 0; over < 2; over++) {
		struct rig *r = rig_new("");
		syn(r, guest, 4000);
		assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
		unsigned logged = r->logged;
		int remarks = r->source.remarks;
		assert_int_equal(syn_with(r, 4000, 5000, NULL, 0), VERDICT_DROP);
		assert_int_equal(r->source.remarks, remarks + 1);
		assert_int_equal(r->source.remarked, VERDICT_DROP);
		assert_int_equal(r->logged, logged);
		if (over)
			*entry_of(&r->source, 4000) = ENTRY_NONE;
		assert_int_equal(syn_with(r, 4000, 5000, NULL, 0),
				 over ? VERDICT_PENDING : VERDICT_DENIED);
		if (!over)
			assert_int_equal(r->log[r->logged - 1].reason, REASON_SYN_AGAIN);
		rig_free(r);
	}
}

static void a_syn_is_denied_where_the_kernel_cannot_be_asked(void **state)
{
	struct rig *r = rig_new("");
	syn(r, guest, 4000);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	r->source.remark_room = 0;
	assert_int_equal(syn_with(r, 4000, 5000, NULL, 0), VERDICT_DENIED);
	rig_free(r);
}

/* Another number to count from, while the server counts from the one that it has answered. */
static void a_second_syn_cannot_move_the_start(void **state)
{
	static const uint32_t numbers[] = {3000, 900, 0x40000000, 0x80000000};
	for (unsigned i = 0; i < 4; i++)
		for (enum entry entry = ENTRY_ANSWERED; entry <= ENTRY_ALLOWED; entry++) {
			struct rig *r = rig_new("");
			syn(r, guest, 4000);
			*entry_of(&r->source, 4000) = entry;
			assert_int_equal(syn_with(r, 4000, numbers[i], NULL, 0), VERDICT_DENIED);
			assert_int_equal(r->log[0].reason, REASON_SYN_AGAIN);
			rig_free(r);
		}
}

/* Nobody has answered the first: it is the last that conntrack waits for an answer to. */
/* What the kernel lets pass overtakes a SYN that is here; with a reset before it, its server would
 * take it, and what it carries, for a new connection. */
static void a_late_syn_goes_nowhere(void **state)
{
	struct rig *r = rig_new("");
	uint8_t bad[2048];
	struct wire w;
	size_t len = wire_hello(bad, "social.example", 0);
	syn(r, guest, 4000);
	assert_int_equal(syn(r, guest, 4000), VERDICT_PASS); /* its answer was lost */
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	for (enum entry e = ENTRY_HEARD; e <= ENTRY_ALLOWED; e++) {
		*entry_of(&r->source, 4000) = e;
		assert_int_equal(syn(r, guest, 4000), VERDICT_DROP);
		wire_tcp(&w, guest, 4000, site, 443, TCP_SYN, 1000, bad, len);
		assert_int_equal(packet(r, &w), VERDICT_DROP);
	}
	rig_free(r);
}

/* Allowed by its address whatever it says: a SYN that was lost comes again, and is let through. */
static void a_lost_syn_comes_again(void **state)
{
	struct rig *r =
		rig_with("tiers = ( { name = \"guest\"; evidence = \"any\"; } );\n"
			 "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"
			 "sites = ( { name = \"all\"; hosts = [ \"203.0.113.0/24\" ]; } );\n"
			 "allow = ( { tiers = [ \"guest\" ]; sites = [ \"all\" ]; } );\n");
	assert_int_equal(syn(r, guest, 4000), VERDICT_ALLOWED);
	assert_int_not_equal(syn(r, guest, 4000), VERDICT_DROP);
	rig_free(r);
}

static void an_unanswered_syn_binds_nobody(void **state)
{
	struct rig *r = rig_new("");
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "news.example", 0);
	syn(r, guest, 4000);
	assert_int_equal(syn_with(r, 4000, 3000, NULL, 0), VERDICT_PASS);
	assert_int_equal(data(r, guest, 4000, 2000, bytes, len), VERDICT_HEARD);
	assert_int_equal(r->logged, 1);
	rig_free(r);
}

/* Two new entries at once: the kernel keeps one, and does not say which. */
static void two_syns_race(void **state)
{
	struct rig *r = rig_new("");
	syn(r, guest, 4000);
	*entry_of(&r->source, 4000) = ENTRY_NONE;
	assert_int_equal(syn_with(r, 4000, 3000, NULL, 0), VERDICT_DROP);
	*entry_of(&r->source, 4000) = ENTRY_ANSWERED; /* the first */
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_DENIED);
	assert_int_equal(r->log[0].reason, REASON_NAME_FORGOTTEN);
	syn(r, guest, 4001); /* refused, say: the kernel's entry is gone */
	*entry_of(&r->source, 4001) = ENTRY_NONE;
	wait_ms(r, 501);
	assert_int_equal(syn_with(r, 4001, 3000, NULL, 0), VERDICT_PENDING);
	rig_free(r);
}

/* No byte goes to a server that the kernel has not heard answer. */
static void payload_before_the_answer(void **state)
{
	struct rig *r = rig_new("");
	r->source.silent = true;
	syn(r, guest, 4000);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_DROP);
	assert_int_equal(r->logged, 0);
	r->source.silent = false;
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	syn(r, guest, 4001);
	*entry_of(&r->source, 4001) = ENTRY_NONE; /* conntrack has forgotten the handshake */
	assert_int_equal(hello(r, guest, 4001, "news.example"), VERDICT_DENIED);
	assert_int_equal(r->log[1].reason, REASON_NAME_FORGOTTEN);
	rig_free(r);
}

/* What its server may not have got, another may not stand in the place of. */
static void judged_bytes_are_compared(void **state)
{
	struct rig *r = rig_new("");
	uint8_t good[512], bad[512];
	size_t len = wire_hello(good, "news.example", 9),
	       other = wire_hello(bad, "social.example", 7);
	assert_int_equal(len, other);
	for (unsigned i = 0; i < 4; i++) {
		const size_t from[] = {0, 0, 60, len - 1}, to[] = {len, 70, len, len + 9};
		r->logged = 0;
		syn(r, guest, 4000 + i);
		assert_int_equal(data(r, guest, 4000 + i, 0, good, len), VERDICT_HEARD);
		/* the same again, in whatever parts, and what goes on behind it */
		assert_int_equal(data(r, guest, 4000 + i, 0, good, 70), VERDICT_PASS);
		assert_int_equal(data(r, guest, 4000 + i, 70, good + 70, len - 70), VERDICT_PASS);
		assert_int_equal(data(r, guest, 4000 + i, (uint32_t)len, bad, 30), VERDICT_PASS);
		/* before the first byte */
		assert_int_equal(data(r, guest, 4000 + i, UINT32_MAX - 9, bad, 300), VERDICT_DROP);
		assert_int_equal(r->logged, 1);
		if (i == 3)
			bad[len - 1] = good[len - 1] ^ 1;
		assert_int_equal(
			data(r, guest, 4000 + i, (uint32_t)from[i], bad + from[i], to[i] - from[i]),
			VERDICT_DENIED);
		assert_int_equal(r->log[1].reason, REASON_OVERLAP_CONFLICT);
	}
	rig_free(r);
}

/* Whoever leaves while packets of his are held: each gets its verdict, and the worker goes on. */
static void a_logout_while_holding_strands_nothing(void **state)
{
	struct rig *r = rig_new("");
	struct session s = {.user = "ana", .tier = "press", .source = "test"};
	struct address a;
	uint8_t bytes[2048];
	wire_hello(bytes, "social.example", 900);
	address_parse(nobody, &a);
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	syn(r, nobody, 4000);
	uint64_t first = r->source.next_id;
	assert_int_equal(data(r, nobody, 4000, 0, bytes, 500), -1);
	session_close_address(r->sessions, &a);
	syn(r, nobody, 4000);
	syn(r, nobody, 4000);
	wait_ms(r, 5000);
	assert_int_not_equal(r->source.verdict[first], -1);
	assert_int_equal(syn(r, nobody, 4001), VERDICT_DENIED);
	rig_free(r);
}

static void a_live_flow_that_is_revoked_holds_nothing(void **state)
{
	struct rig *r = rig_new("http = \"every-request\";\n");
	struct session s = {.user = "ana", .tier = "press", .source = "test"};
	struct address a;
	address_parse(guest, &a);
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, BAD), VERDICT_PASS); /* not bad for the press */
	uint64_t first = r->source.next_id;
	assert_int_equal(request(r, 4000, strlen(BAD), "GET / HT"), -1);
	session_close_address(r->sessions, &a);
	wait_ms(r, 100);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED);
	assert_int_equal(r->source.remarked, VERDICT_DENIED);
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	wait_ms(r, 5000);
	rig_free(r);
}

/* A later request beyond a hole is neither passed nor forgotten. */
/* Of an upload's chunks the sizes are compared when they come again, however much was sent since,
 * and the bytes are not. */
static void chunks_come_again(void **state)
{
	static const char head[] = "POST / HTTP/1.1\r\nHost: news.example\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";
	enum { CHUNKS = 200, EACH = 1024 };
	struct rig *r = rig_new("http = \"every-request\";\n");
	char chunk[EACH + 1];
	snprintf(chunk, sizeof chunk, "%x\r\n", EACH - 7);
	memset(chunk + 5, 'x', EACH - 7);
	strcpy(chunk + EACH - 2, "\r\n");
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, head), VERDICT_PASS);
	for (uint32_t i = 0; i < CHUNKS; i++)
		assert_int_equal(request(r, 4000, sizeof head - 1 + i * EACH, chunk), VERDICT_PASS);
	memset(chunk + 5, 'y', EACH - 7);
	assert_int_equal(request(r, 4000, sizeof head - 1, chunk), VERDICT_PASS);
	chunk[0]++;
	assert_int_equal(request(r, 4000, sizeof head - 1, chunk), VERDICT_DENIED);
	assert_int_equal(r->log[r->logged - 1].reason, REASON_OVERLAP_CONFLICT);
	rig_free(r);
}

static void a_later_request_out_of_order_is_held(void **state)
{
	struct rig *r = rig_new("http = \"every-request\";\n");
	uint32_t at = strlen(GOOD);
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, GOOD), VERDICT_PASS);
	uint64_t first = r->source.next_id;
	assert_int_equal(request(r, 4000, 2 * at, BAD), -1);
	assert_int_equal(request(r, 4000, at, GOOD), VERDICT_DROP);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED);
	http_syn(r, 4001); /* in order what comes first passes, and does not make the rest pass */
	assert_int_equal(request(r, 4001, 0, GOOD), VERDICT_PASS);
	first = r->source.next_id;
	assert_int_equal(request(r, 4001, 3 * at, BAD), -1);
	assert_int_equal(request(r, 4001, at, GOOD), VERDICT_PASS);
	assert_int_equal(request(r, 4001, 2 * at, GOOD), VERDICT_DROP);
	assert_int_equal(r->source.verdict[first], VERDICT_DENIED);
	rig_free(r);
}

/* The server is told to end by the number that it waits for. */
static void an_empty_packet_moves_no_bytes(void **state)
{
	struct rig *r = rig_new("");
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "social.example", 900);
	syn(r, guest, 4000);
	assert_int_equal(data(r, guest, 4000, 0, bytes, 500), -1);
	assert_int_equal(data(r, guest, 4000, 500, NULL, 0), VERDICT_PASS);
	assert_int_equal(data(r, guest, 4000, 500, bytes + 500, len - 500), VERDICT_DROP);
	assert_int_equal(r->source.reset_seq, 1001);
	data(r, guest, 4001, 0, NULL, 0); /* mid-stream */
	assert_int_equal(data(r, guest, 4001, 0, bytes, len), VERDICT_DENIED);
	assert_int_equal(r->source.reset_seq, 1001);
	rig_free(r);
}

/* Revoked flows are told to the kernel each, however many, and when it has room for them. */
static void a_revocation_waits_for_room(void **state)
{
	struct rig *r = rig_new("");
	struct session s = {.user = "ana", .tier = "press", .source = "test"};
	struct address a;
	address_parse(nobody, &a);
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	for (unsigned i = 0; i < 4; i++) {
		syn(r, nobody, 4000 + i);
		assert_int_equal(hello(r, nobody, 4000 + i, "news.example"), VERDICT_HEARD);
	}
	r->source.remarks = 0;
	r->source.remark_room = 3;
	session_close_address(r->sessions, &a);
	wait_ms(r, 10);
	assert_int_equal(r->source.remarks, 3);
	r->source.remark_room = 3;
	wait_ms(r, 10);
	assert_int_equal(r->source.remarks, 4);
	rig_free(r);
}

/* A quiet QUIC connection comes back: for five minutes after its last packet it is the flow that it
 * was, whatever the kernel has forgotten; after that it is another one, and decided anew. */
static void a_quiet_flow_is_remembered_for_five_minutes(void **state)
{
	const int64_t grace = 300 * NS_PER_S;
	struct rig *r = rig_new("internal = [ \"203.0.113.0/24\" ];\n");
	struct flow_ended e = {.key = guest_key(IPPROTO_UDP, 4000, 5000), .after = INT64_MAX};
	struct wire w;
	wire_udp(&w, guest, 4000, site, 5000, "x", 1);
	assert_int_equal(packet(r, &w), VERDICT_HEARD);
	r->source.now += 2 * grace; /* the kernel has not forgotten it */
	packet(r, &w);
	assert_int_equal(r->logged, 1);
	for (int late = 0; late < 2; late++) {
		worker_flow_ended(r->worker, &e);
		unsigned logged = r->logged;
		r->source.now += grace - NS_PER_MS + late;
		packet(r, &w);
		assert_int_equal(r->logged, logged + (unsigned)late);
	}
	rig_free(r);
}

/* A UDP flow that the kernel forgot and its client goes on with lives again: it can be revoked. */
static void a_flow_that_goes_on_after_its_end_is_revoked(void **state)
{
	struct rig *r = rig_new("internal = [ \"203.0.113.0/24\" ];\n");
	struct config *c = config_of(POLICY);
	struct flow_ended e = {.key = guest_key(IPPROTO_UDP, 4000, 5000), .after = INT64_MAX};
	struct wire w;
	wire_udp(&w, guest, 4000, site, 5000, "x", 1);
	assert_int_equal(packet(r, &w), VERDICT_HEARD);
	worker_flow_ended(r->worker, &e);
	assert_int_equal(packet(r, &w), VERDICT_PASS);
	struct snapshot *old = r->snapshot;
	r->snapshot = snapshot_of(c);
	wait_ms(r, 10);
	assert_int_equal(r->source.remarks, 1);
	assert_int_equal(r->source.remarked, VERDICT_DENIED);
	snapshot_free(old);
	config_free(c);
	rig_free(r);
}

/* What was held goes on in the order that it came in, and nothing of it waits. */
static void a_reload_to_observe_frees_what_is_held(void **state)
{
	struct rig *r = rig_new("");
	struct config *c = config_of(POLICY "mode = \"observe\";\n");
	uint8_t bytes[2048];
	wire_hello(bytes, "social.example", 900);
	syn(r, guest, 4000);
	uint64_t first = r->source.next_id;
	assert_int_equal(data(r, guest, 4000, 0, bytes, 500), -1);
	struct snapshot *old = r->snapshot;
	r->snapshot = snapshot_of(c);
	assert_int_equal(data(r, guest, 4000, 500, bytes + 500, 100), VERDICT_PASS);
	assert_int_equal(r->source.verdict[first], VERDICT_PASS);
	snapshot_free(old);
	config_free(c);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allows_by_name),
		cmocka_unit_test(denies_by_name_and_tells_both_ends),
		cmocka_unit_test(denies_a_syn_of_nobody_once),
		cmocka_unit_test(repeats_are_said_each_minute),
		cmocka_unit_test(holds_a_split_hello),
		cmocka_unit_test(a_denied_split_hello_goes_nowhere),
		cmocka_unit_test(what_is_stuck_goes),
		cmocka_unit_test(what_shows_a_denied_name_stays),
		cmocka_unit_test(what_its_client_ends_stays),
		cmocka_unit_test(half_a_head_shows_its_host),
		cmocka_unit_test(what_is_stuck_has_bounds),
		cmocka_unit_test(with_care),
		cmocka_unit_test(care_ends_with_the_whole_name),
		cmocka_unit_test(an_unfinished_hello_is_denied_in_time),
		cmocka_unit_test(a_sender_whose_packets_are_lost_has_longer),
		cmocka_unit_test(a_repeat_of_what_is_held_is_no_loss),
		cmocka_unit_test(an_idle_handshake_is_left_alone),
		cmocka_unit_test(overlaps_that_differ_are_denied),
		cmocka_unit_test(one_client_cannot_hold_all),
		cmocka_unit_test(a_syn_with_data_decides_or_falls_back),
		cmocka_unit_test(bytes_without_a_name),
		cmocka_unit_test(mid_stream_is_forgotten),
		cmocka_unit_test(half_a_hello_that_was_observed_has_its_record),
		cmocka_unit_test(observe_denies_nothing),
		cmocka_unit_test(a_tier_is_observed),
		cmocka_unit_test(a_quota_is_told_and_cuts),
		cmocka_unit_test(a_quota_is_told_again),
		cmocka_unit_test(tiers_change_places),
		cmocka_unit_test(a_long_table_is_decided_again_in_portions),
		cmocka_unit_test(a_line_is_observed),
		cmocka_unit_test(a_login_counts_at_once),
		cmocka_unit_test(a_reload_touches_only_what_changed),
		cmocka_unit_test(strict_audit_denies_what_it_cannot_record),
		cmocka_unit_test(a_flow_ends_with_a_record),
		cmocka_unit_test(what_is_over_is_not_denied),
		cmocka_unit_test(an_end_told_late_is_an_earlier_connections),
		cmocka_unit_test(broken_packets_have_a_reason),
		cmocka_unit_test(denial_is_as_configured),
		cmocka_unit_test(the_first_request_decides_by_default),
		cmocka_unit_test(a_denied_request_is_answered),
		cmocka_unit_test(a_head_request_is_followed_and_others_are_not),
		cmocka_unit_test(an_urgent_byte_ends_a_heard_flow_unless_observed),
		cmocka_unit_test(a_held_request_is_answered_once),
		cmocka_unit_test(nothing_else_is_answered),
		cmocka_unit_test(every_request_is_judged_where_asked),
		cmocka_unit_test(pipelined_requests_are_all_judged),
		cmocka_unit_test(a_split_later_request_is_held),
		cmocka_unit_test(strict_agreement_denies_the_syn),
		cmocka_unit_test(too_many_names_deny_no_syn),
		cmocka_unit_test(a_syn_cannot_empty_a_held_stream),
		cmocka_unit_test(a_syn_after_a_heard_flow_asks_the_kernel),
		cmocka_unit_test(a_syn_is_denied_where_the_kernel_cannot_be_asked),
		cmocka_unit_test(a_second_syn_cannot_move_the_start),
		cmocka_unit_test(a_late_syn_goes_nowhere),
		cmocka_unit_test(a_lost_syn_comes_again),
		cmocka_unit_test(an_unanswered_syn_binds_nobody),
		cmocka_unit_test(two_syns_race),
		cmocka_unit_test(payload_before_the_answer),
		cmocka_unit_test(judged_bytes_are_compared),
		cmocka_unit_test(a_logout_while_holding_strands_nothing),
		cmocka_unit_test(a_live_flow_that_is_revoked_holds_nothing),
		cmocka_unit_test(chunks_come_again),
		cmocka_unit_test(a_later_request_out_of_order_is_held),
		cmocka_unit_test(an_empty_packet_moves_no_bytes),
		cmocka_unit_test(a_revocation_waits_for_room),
		cmocka_unit_test(a_quiet_flow_is_remembered_for_five_minutes),
		cmocka_unit_test(a_flow_that_goes_on_after_its_end_is_revoked),
		cmocka_unit_test(a_reload_to_observe_frees_what_is_held),
	};
	rcu_register_thread();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
