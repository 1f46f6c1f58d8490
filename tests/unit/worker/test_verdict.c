/* From outcome to verdict, rule by rule: what is answered in a server's place, what a pass leaves
 * on an entry, what is said of a flow whose name can't be told. */
#include "base/host.h"
#include "rig.h"

#include "worker/verdict.c"

#define REDIRECT "on_deny = \"redirect\"; portal = \"10.0.0.1:80\";\n"

/* ---- what is answered in a server's place ---- */

static struct wire at_hand;
static struct arrival arrival;
static struct packet out;

/* A guest's denied request, of which its server has nothing, and the same packet at hand again. */
static struct rig *denied_request(struct flow *f)
{
	struct rig *r = rig_new(REDIRECT);
	struct flow_key key = guest_key(IPPROTO_TCP, 4000, 80);
	http_syn(r, 4000);
	assert_int_equal(request(r, 4000, 0, BAD), VERDICT_DROP_DENIED);
	const struct flow *found = flow_find(r->worker->flows, &key);
	assert_non_null(found);
	*f = *found;
	wire_tcp(&at_hand, guest, 4000, site, 80, TCP_ACK | TCP_PSH, 1001, BAD, strlen(BAD));
	arrival = (struct arrival){
		.bytes = at_hand.bytes, .len = at_hand.len, .entry = ENTRY_ANSWERED};
	r->worker->at = &arrival;
	assert_non_null(request_portal(r->worker, f, &out));
	return r;
}

static bool answers(struct rig *r, const struct flow *f)
{
	return request_portal(r->worker, f, &out) != NULL;
}

static void only_a_denial_of_the_policys_is_answered(void **state)
{
	struct flow f;
	struct rig *r = denied_request(&f);
	for (int reason = 0; reason < REASON_COUNT; reason++) {
		f.outcome.reason = (enum reason)reason;
		assert_int_equal(answers(r, &f), reason <= REASON_NAME_ADDRESS_MISMATCH ||
							 reason == REASON_LOCKDOWN ||
							 reason == REASON_QUOTA_SPENT);
	}
	r->worker->at = NULL;
	rig_free(r);
}

/* Each by itself keeps a request from being answered by us. */
static void what_a_server_may_have_is_not_answered(void **state)
{
	struct flow f, was;
	struct rig *r = denied_request(&f);
	was = f;
	f.passed = true;
	assert_false(answers(r, &f));
	f = was;
	f.named.unsent = 1;
	assert_false(answers(r, &f));
	f = was;
	f.named.syn_seen = false;
	assert_false(answers(r, &f));
	f = was;
	f.named.protocol = PROTOCOL_TLS;
	assert_false(answers(r, &f));
	f = was;
	f.named.entry.key.server_port = 8080;
	assert_false(answers(r, &f));
	f = was;
	assert_true(address_parse("fd00::5", &f.named.entry.key.client)); /* no portal there */
	assert_false(answers(r, &f));
	r->worker->at = NULL; /* nothing is at hand */
	assert_false(answers(r, &was));
	rig_free(r);
}

static void only_data_is_answered(void **state)
{
	struct flow f;
	struct rig *r = denied_request(&f);
	uint8_t *flags = &at_hand.bytes[20 + 13];
	for (unsigned set = 0; set < 64; set++) {
		*flags = (uint8_t)set;
		assert_int_equal(answers(r, &f), (set & TCP_ACK) && !(set & (TCP_SYN | TCP_RST)));
	}
	wire_tcp(&at_hand, guest, 4000, site, 80, TCP_ACK, 1001, NULL, 0);
	arrival.len = at_hand.len;
	assert_false(answers(r, &f));
	arrival.len = 3; /* unreadable */
	assert_false(answers(r, &f));
	r->worker->at = NULL;
	rig_free(r);
}

/* A device that asks whether it is captive is answered where somebody has to sign in, alone. */
static void a_question_for_captivity_is_answered_for_nobody_alone(void **state)
{
	static const struct who anybody = {.tier = "guest"}, none;
	struct flow f;
	struct rig *r = denied_request(&f);
	struct host probe;
	assert_true(host_parse("connectivitycheck.gstatic.com", &probe));
	assert_true(probe_asks(&probe));
	const struct host *was = f.named.host;
	const struct who *who = f.who;
	f.named.host = &probe;
	f.who = &anybody;
	assert_false(answers(r, &f));
	f.who = &none;
	assert_true(answers(r, &f));
	f.named.host = was;
	f.who = &anybody;
	assert_true(answers(r, &f));
	f.who = who;
	r->worker->at = NULL;
	rig_free(r);
}

/* ---- verdicts ---- */

/* NAT is decided by a flow's first packet and by no other. */
static void only_an_opening_syn_is_redirected(void **state)
{
	struct flow f;
	struct rig *r = denied_request(&f);
	struct worker *w = r->worker;
	struct packet p;
	f.named.protocol = PROTOCOL_NONE;
	f.named.started = false;
	for (unsigned entry = ENTRY_NONE; entry <= ENTRY_ALLOWED; entry++)
		for (unsigned data = 0; data < 2; data++)
			for (unsigned syn = 0; syn < 2; syn++) {
				wire_tcp(&at_hand, guest, 4000, site, 80, syn ? TCP_SYN : TCP_ACK,
					 1000, "x", data);
				assert_int_equal(packet_parse(at_hand.bytes, at_hand.len, &p),
						 PACKET_OK);
				arrival.len = at_hand.len;
				arrival.entry = (enum entry)entry;
				w->packet = &p;
				bool opens = syn && !data && entry == ENTRY_NONE;
				assert_int_equal(flow_denial_verdict(w, &f),
						 opens ? VERDICT_REDIRECT : VERDICT_DENIED);
				w->packet = NULL; /* it can't be read */
				assert_int_equal(flow_denial_verdict(w, &f), VERDICT_DENIED);
			}
	wire_tcp(&at_hand, guest, 4000, site, 80, TCP_SYN, 1000, NULL, 0);
	assert_int_equal(packet_parse(at_hand.bytes, at_hand.len, &p), PACKET_OK);
	arrival.len = at_hand.len;
	arrival.entry = ENTRY_NONE;
	w->packet = &p;
	struct flow was = f;
	f.named.started = true;
	assert_int_equal(flow_denial_verdict(w, &f), VERDICT_DENIED);
	f = was;
	f.named.entry.key.server_port = 443;
	assert_int_equal(flow_denial_verdict(w, &f), VERDICT_DENIED);
	f = was;
	f.named.entry.key.transport = IPPROTO_UDP;
	assert_int_equal(flow_denial_verdict(w, &f), VERDICT_DENIED);
	w->at = NULL;
	w->packet = NULL;
	rig_free(r);
}

/* What an allowed flow's packet leaves on its entry: nothing settles a flow whose later bytes
 * matter, and a flow that was heard is settled by the kernel when its server answers. */
static void what_passes_settles_no_more_than_was_heard(void **state)
{
	struct rig *r = rig_new("");
	struct worker *w = r->worker;
	struct packet p = {.transport = IPPROTO_TCP};
	struct arrival a = {0};
	w->at = &a;
	w->packet = &p;
	for (unsigned i = 0; i < 1u << 6; i++) {
		bool heard = i & 1, syn = i & 2, live = i & 4, tls = i & 8, asked = i & 16,
		     tcp = i & 32;
		for (unsigned entry = ENTRY_NONE; entry <= ENTRY_ALLOWED; entry++) {
			struct flow f = {.asked = asked,
					 .named = {.heard = heard,
						   .live = live,
						   .protocol = tls ? PROTOCOL_TLS : PROTOCOL_HTTP}};
			f.named.entry.key.transport = tcp ? IPPROTO_TCP : IPPROTO_UDP;
			p.tcp_flags = syn ? TCP_SYN : TCP_ACK;
			a.entry = (enum entry)entry;
			enum verdict want = VERDICT_HEARD;
			if (!heard)
				want = VERDICT_ALLOWED;
			else if (tcp && syn)
				want = entry == ENTRY_NONE ? VERDICT_PENDING : VERDICT_PASS;
			else if (live && !tls)
				want = tcp || entry == ENTRY_PENDING ? VERDICT_PASS
								     : VERDICT_PENDING;
			else if (entry >= ENTRY_HEARD || (live && asked))
				want = VERDICT_PASS;
			if (flow_pass_verdict(w, &f) != want)
				fail_msg("%#x, entry %u", i, entry);
		}
	}
	w->at = NULL;
	w->packet = NULL;
	rig_free(r);
}

/* ---- what is said of a flow without a name ---- */

/* A deny line's and a lockdown's word is the last: what is broken besides takes nothing from it. */
static void what_forbids_is_said_before_what_is_broken(void **state)
{
	for (int reason = 0; reason < REASON_COUNT; reason++)
		assert_int_equal(forbids((enum reason)reason),
				 reason == REASON_DENY_LINE || reason == REASON_LOCKDOWN);
}

static void what_is_broken_has_its_reason(void **state)
{
	static const enum parse parses[] = {PARSE_OK, PARSE_MORE, PARSE_ABSENT, PARSE_BAD};
	static const enum hello_name names[] = {HELLO_NAME_OK, HELLO_NAME_ABSENT, HELLO_NAME_BAD};
	for (size_t p = 0; p < sizeof parses / sizeof *parses; p++)
		for (size_t h = 0; h < sizeof names / sizeof *names; h++) {
			struct naming n = {
				.parse = parses[p], .broken = REASON_COUNT, .hello.name = names[h]};
			enum reason want = REASON_COUNT;
			if (parses[p] == PARSE_BAD)
				want = REASON_HELLO_MALFORMED;
			else if (parses[p] == PARSE_OK && names[h] == HELLO_NAME_BAD)
				want = REASON_NAME_BAD;
			assert_int_equal(broken_by(&n), want);
			n.broken = REASON_OVERLAP_CONFLICT;
			assert_int_equal(broken_by(&n), REASON_OVERLAP_CONFLICT);
		}
}

/* Texts of the policy go into records cut, and ended. */
static void texts_are_cut_to_their_room(void **state)
{
	char to[4];
	for (size_t len = 0; len < 8; len++) {
		char from[9] = "abcdefgh";
		from[len] = '\0';
		memset(to, '!', sizeof to);
		text_copy(to, sizeof to, from);
		assert_int_equal(strlen(to), len < 3 ? len : 3);
		assert_memory_equal(to, from, len < 3 ? len : 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_denial_of_the_policys_is_answered),
		cmocka_unit_test(what_a_server_may_have_is_not_answered),
		cmocka_unit_test(only_data_is_answered),
		cmocka_unit_test(a_question_for_captivity_is_answered_for_nobody_alone),
		cmocka_unit_test(only_an_opening_syn_is_redirected),
		cmocka_unit_test(what_passes_settles_no_more_than_was_heard),
		cmocka_unit_test(what_forbids_is_said_before_what_is_broken),
		cmocka_unit_test(what_is_broken_has_its_reason),
		cmocka_unit_test(texts_are_cut_to_their_room),
	};
	rcu_register_thread();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rcu_unregister_thread();
	return failed;
}
