/* What becomes of a datagram of an allowed flow, whatever QUIC's reader says of it: that is the
 * test's own here, since some of its answers (a packet that two keys open) nobody can make at
 * will. */
#include "unit.h"

#undef fail
#define quic_datagram said_datagram
#include "name/naming.c"
#define fail() _fail(__FILE__, __LINE__)

static const uint8_t datagram[QUIC_DATAGRAM_MIN] = {0xc0, 0, 0, 0, 1};

/* ---- what the reader says ---- */

static struct {
	enum parse parse;
	bool conflict, lost, opened, anew, known;
	const char *host; /* NULL: a hello without a name */
} says;

enum parse said_datagram(struct quic *q, struct quic_flow *f, struct cursor bytes,
			 struct stream_pool *pool, struct stream **crypto, bool *conflict,
			 struct hello *out)
{
	hello_reset(out);
	out->protocol = PROTOCOL_QUIC;
	out->name = says.host ? HELLO_NAME_OK : HELLO_NAME_ABSENT;
	if (says.host)
		host_parse(says.host, &out->host);
	f->lost = says.lost;
	f->opened = says.opened;
	f->anew = says.anew;
	f->known[0].version = says.known;
	*conflict = says.conflict;
	return says.parse;
}

static struct namer namer;

static int set_up(void **state)
{
	namer = (struct namer){.quic = quic_new(),
			       .streams = stream_pool_new(1),
			       .shares = shares_new(1, 1),
			       .seen = seen_new(16, 0, false),
			       .hosts = unique_new(2, sizeof(struct host)),
			       .quics = pool_new(1, sizeof(struct quic_flow))};
	return !namer.quic || !namer.streams || !namer.shares || !namer.seen || !namer.hosts ||
	       !namer.quics;
}

static int tear_down(void **state)
{
	quic_free(namer.quic);
	stream_pool_free(namer.streams);
	shares_free(namer.shares);
	seen_free(namer.seen);
	unique_free(namer.hosts);
	pool_free(namer.quics);
	return 0;
}

/* A datagram of a flow that was allowed by this evidence, for a.example where it is a name. */
static struct naming next_of(enum evidence evidence)
{
	struct naming_flow f = {.evidence = evidence, .heard = true};
	struct packet p = {.transport = IPPROTO_UDP,
			   .payload = cursor_of(datagram, sizeof datagram)};
	struct naming out;
	struct host host;
	f.entry.key.transport = IPPROTO_UDP;
	assert_true(host_parse("a.example", &host));
	if (has_name(&f))
		naming_set_host(&namer, &f, &host);
	naming_later(&namer, &f, &p, &out);
	naming_end(&namer, &f);
	return out;
}

static void is(enum evidence evidence, enum naming_word word, enum reason broken)
{
	struct naming got = next_of(evidence);
	if (got.word != word || got.broken != broken)
		fail_msg("evidence %d: word %d, reason %d", evidence, got.word, got.broken);
}

/* Of the first three nothing in the flow is believed; of the last four it has a name. */
static const enum evidence of[] = {EVIDENCE_ADDRESS, EVIDENCE_DNS, EVIDENCE_ECH_OUTER,
				   EVIDENCE_HOST,    EVIDENCE_SNI, EVIDENCE_SNI_DNS};

static void are(unsigned from, unsigned to, enum naming_word word, enum reason broken)
{
	for (unsigned i = from; i <= to; i++)
		is(of[i], word, broken);
}

/* ---- the tests ---- */

/* Two keys open it, or it says something else in a place that was read: also a flow that needed no
 * name ends there, for a server reads QUIC in it. */
static void a_conflict_passes_in_no_flow(void **state)
{
	memset(&says, 0, sizeof says);
	says.parse = PARSE_BAD;
	says.conflict = true;
	for (int opened = 0; opened < 2; opened++) {
		says.opened = opened;
		are(0, 5, NAMING_BAD, REASON_OVERLAP_CONFLICT);
	}
}

/* What is no QUIC that we can read is none of a flow's that needed no name, unless it opened. */
static void bad_bytes_pass_where_no_name_was_needed(void **state)
{
	memset(&says, 0, sizeof says);
	says.parse = PARSE_BAD;
	are(0, 2, NAMING_PASS_ALL, REASON_COUNT);
	are(3, 5, NAMING_BAD, REASON_QUIC_UNREADABLE);
	says.opened = true;
	are(0, 2, NAMING_BAD, REASON_QUIC_UNREADABLE);
}

/* An Initial that only a server can open may hold another hello: lost, where the flow has a name or
 * has spoken QUIC before. */
static void what_only_a_server_can_read_is_lost(void **state)
{
	memset(&says, 0, sizeof says);
	says.parse = PARSE_BAD;
	says.lost = true;
	are(3, 5, NAMING_LOSE, REASON_COUNT);
	are(0, 2, NAMING_PASS_ALL, REASON_COUNT);
	says.known = true;
	are(0, 2, NAMING_LOSE, REASON_COUNT);
}

/* Under the first hello's keys only that one may come again; under others it is judged, if it says
 * something else. */
static void a_later_hello_says_the_same_or_is_asked_about(void **state)
{
	memset(&says, 0, sizeof says);
	says.parse = PARSE_OK;
	says.opened = true;
	for (int anew = 0; anew < 2; anew++) {
		says.anew = anew;
		says.host = "a.example";
		are(2, 5, NAMING_PASS_ALL, REASON_COUNT);
		says.host = NULL;
		are(0, 1, NAMING_PASS_ALL, REASON_COUNT);
	}
	says.host = "b.example";
	are(2, 5, NAMING_ASK, REASON_COUNT);
	are(0, 1, NAMING_ASK, REASON_COUNT);
	says.anew = false;
	are(2, 5, NAMING_BAD, REASON_HELLO_CHANGED);
	are(0, 1, NAMING_BAD, REASON_HELLO_CHANGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_conflict_passes_in_no_flow),
		cmocka_unit_test(bad_bytes_pass_where_no_name_was_needed),
		cmocka_unit_test(what_only_a_server_can_read_is_lost),
		cmocka_unit_test(a_later_hello_says_the_same_or_is_asked_about),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
