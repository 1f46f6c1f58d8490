/* What a worker gives to the next process and takes from the last one, to the last field; which
 * flows it knows; and what becomes of it where there is no memory. */
#include "no_memory.h"
#include "rig.h"

static struct flow_memory memory_of(uint16_t port)
{
	struct flow_memory m = {
		.key = guest_key(IPPROTO_TCP, port, 443),
		.allowed = true,
		.outcome = {.action = ACTION_ALLOW,
			    .reason = REASON_ALLOW_LINE,
			    .rule = 1,
			    .site = 1},
		.evidence = EVIDENCE_SNI_DNS,
		.protocol = PROTOCOL_TLS,
		.syn_seen = true,
		.heard = true,
		.mismatch = true,
		.has_mac = true,
		.mac = {1, 2, 3, 4, 5, 6},
		.isn = 77,
		.next = 1234,
		.first = 1700000000 * NS_PER_S,
		.last = 1700000001 * NS_PER_S,
		.host = {.len = 12, .text = "news.example"},
		.user = "ann",
		.tier = "guest",
	};
	return m;
}

/* What a rig that takes it gives back. */
static struct flow_memory back(const struct flow_memory *m)
{
	struct rig *r = rig_new("");
	struct flow_memory out[2];
	uint32_t slot = 0;
	memset(out, 0, sizeof out);
	worker_restore(r->worker, m);
	assert_int_equal(worker_remember(r->worker, &slot, true, out, 2), 1);
	assert_int_equal(slot, UINT32_MAX);
	rig_free(r);
	return out[0];
}

static void is_the_same(const struct flow_memory *a, const struct flow_memory *b)
{
	assert_memory_equal(&a->key, &b->key, sizeof a->key);
	assert_int_equal(a->allowed, b->allowed);
	assert_int_equal(a->outcome.action, b->outcome.action);
	assert_int_equal(a->outcome.reason, b->outcome.reason);
	assert_int_equal(a->outcome.rule, b->outcome.rule);
	assert_int_equal(a->outcome.site, b->outcome.site);
	assert_int_equal(a->evidence, b->evidence);
	assert_int_equal(a->protocol, b->protocol);
	assert_int_equal(a->syn_seen, b->syn_seen);
	assert_int_equal(a->live, b->live);
	assert_int_equal(a->heard, b->heard);
	assert_int_equal(a->mismatch, b->mismatch);
	assert_int_equal(a->has_mac, b->has_mac);
	assert_memory_equal(a->mac, b->mac, sizeof a->mac);
	assert_int_equal(a->isn, b->isn);
	assert_int_equal(a->next, b->next);
	assert_int_equal(a->first, b->first);
	assert_int_equal(a->last, b->last);
	assert_int_equal(a->host.len, b->host.len);
	assert_string_equal(a->host.text, b->host.text);
	assert_string_equal(a->user, b->user);
	assert_string_equal(a->tier, b->tier);
}

/* Each field by itself: that it is kept, and that no other stands for it. */
static void each_field_comes_back(void **state)
{
	const struct flow_memory m = memory_of(4000);
	struct flow_memory other[12], got = back(&m);
	is_the_same(&got, &m);
	for (size_t i = 0; i < 12; i++)
		other[i] = m;
	other[0].allowed = false;
	other[0].outcome.action = ACTION_DENY;
	other[1].evidence = EVIDENCE_ADDRESS;
	other[2].protocol = PROTOCOL_HTTP;
	other[3].syn_seen = false;
	other[4].live = true;
	other[5].heard = false;
	other[6].mismatch = false;
	other[7].has_mac = false;
	other[8].host.len = 0;
	other[8].host.text[0] = '\0';
	other[9].user[0] = '\0';
	other[10].tier[0] = '\0';
	other[11].outcome.reason = REASON_INTERNAL;
	for (size_t i = 0; i < 12; i++) {
		got = back(&other[i]);
		is_the_same(&got, &other[i]);
	}
}

/* What a file says of whom ends where its room does. */
static void texts_of_a_file_end(void **state)
{
	struct flow_memory m = memory_of(4000);
	memset(m.user, 'u', sizeof m.user);
	memset(m.tier, 't', sizeof m.tier);
	struct flow_memory got = back(&m);
	assert_int_equal(strnlen(got.user, sizeof got.user), sizeof got.user - 1);
	assert_int_equal(strnlen(got.tier, sizeof got.tier), sizeof got.tier - 1);
}

/* A flow whose handshake alone has passed: its start is kept, and nothing is decided. */
static void a_start_comes_back(void **state)
{
	struct flow_memory m = {.key = guest_key(IPPROTO_TCP, 4000, 443),
				.outcome.action = ACTION_WAIT,
				.syn_seen = true,
				.isn = 1001,
				.first = 1700000000 * NS_PER_S,
				.last = 1700000001 * NS_PER_S};
	struct flow_memory got = back(&m);
	assert_int_equal(got.outcome.action, ACTION_WAIT);
	assert_true(got.syn_seen);
	assert_int_equal(got.isn, 1001);
	assert_int_equal(got.first, m.first);
	struct rig *r = rig_new("");
	uint32_t slot = 0;
	worker_restore(r->worker, &m);
	assert_int_equal(worker_remember(r->worker, &slot, false, &got, 1), 0); /* nor asked for */
	rig_free(r);
}

/* ---- killed between a flow's cut and its record ---- */

/* A rig that remembers a flow to a host as allowed, and hears that it ended. */
static struct rig *ended(const char *host, const char *more, bool denied)
{
	struct flow_memory m = memory_of(4000);
	struct rig *r = rig_new(more);
	const struct flow_ended e = {.key = m.key, .after = INT64_MAX, .denied = denied};
	m.host.len = (uint8_t)snprintf(m.host.text, sizeof m.host.text, "%s", host);
	worker_restore(r->worker, &m);
	worker_flow_ended(r->worker, &e);
	return r;
}

static void is_told(struct rig *r, bool cut, enum reason reason)
{
	assert_int_equal(r->logged, 1 + cut);
	assert_int_equal(r->log[0].kind, cut ? DECISION_DECIDED : DECISION_ENDED);
	assert_int_equal(r->log[0].action, cut ? ACTION_DENY : ACTION_ALLOW);
	assert_int_equal(r->log[0].reason, reason);
	assert_int_equal(r->log[cut].kind, DECISION_ENDED);
	assert_int_equal(r->log[cut].reason, reason);
	rig_free(r);
}

/* Its mark says so where no record may: the next process makes it. What is allowed now was cut for
 * a reason that nobody knows any more. */
static void what_an_earlier_process_cut_has_a_record(void **state)
{
	is_told(ended("else.example", "", true), true, REASON_NO_LINE);
	is_told(ended("else.example", "", false), false, REASON_ALLOW_LINE);
	is_told(ended("news.example", "", true), false, REASON_ALLOW_LINE);
	struct flow_memory said = memory_of(4000);
	said.allowed = false;
	memcpy(said.host.text, "else", 4);
	said.outcome = (struct outcome){.action = ACTION_DENY, .reason = REASON_NO_LINE};
	struct rig *r = rig_new("");
	worker_restore(r->worker, &said);
	worker_flow_ended(r->worker, &(struct flow_ended){
					     .key = said.key, .after = INT64_MAX, .denied = true});
	assert_int_equal(r->logged, 0); /* its record was made */
	rig_free(r);
	is_told(ended("else.example", "mode = \"observe\";\n", true), false, REASON_ALLOW_LINE);
}

/* The table is saved before the kernel's word came: then it is as it was, and denied again. */
static void a_denial_without_its_record_is_not_kept(void **state)
{
	const struct flow_memory m = memory_of(4000);
	struct rig *r = rig_new("");
	struct flow_memory out;
	uint32_t slot = 0;
	worker_restore(r->worker, &m);
	struct flow *f = flow_find(r->worker->flows, &m.key);
	f->was = REASON_ALLOW_LINE;
	f->state = FLOW_DENIED;
	f->outcome = (struct outcome){.action = ACTION_DENY, .reason = REASON_LOCKDOWN};
	worker_remember(r->worker, &slot, true, &out, 1);
	assert_false(out.allowed);
	assert_int_equal(out.outcome.reason, REASON_LOCKDOWN);
	f->unsaid = true;
	slot = 0;
	worker_remember(r->worker, &slot, true, &out, 1);
	assert_true(out.allowed);
	assert_int_equal(out.outcome.action, ACTION_ALLOW);
	assert_int_equal(out.outcome.reason, REASON_ALLOW_LINE);
	assert_int_equal(out.outcome.rule, RULE_NONE);
	rig_free(r);
}

/* In portions, each flow once. */
static void flows_are_given_in_portions(void **state)
{
	struct rig *r = rig_new("");
	struct flow_memory out[3];
	bool seen[7] = {0};
	uint32_t slot = 0;
	size_t all = 0;
	for (uint16_t i = 0; i < 7; i++) {
		struct flow_memory m = memory_of((uint16_t)(4000 + i));
		worker_restore(r->worker, &m);
	}
	while (slot != UINT32_MAX) {
		size_t n = worker_remember(r->worker, &slot, true, out, 3);
		assert_true(n <= 3);
		for (size_t i = 0; i < n; i++) {
			unsigned which = out[i].key.client_port - 4000u;
			assert_true(which < 7 && !seen[which]);
			seen[which] = true;
		}
		all += n;
	}
	assert_int_equal(all, 7);
	rig_free(r);
}

/* A flow is known by its key from either side; and each look is one less to wait for. */
static void a_flow_is_known_from_either_side(void **state)
{
	struct rig *r = rig_new("");
	struct flow_memory m = memory_of(4000);
	worker_restore(r->worker, &m);
	struct flow_key keys[] = {m.key,
				  {m.key.server, m.key.client, 443, 4000, IPPROTO_TCP},
				  {m.key.server, m.key.client, 4000, 443, IPPROTO_TCP},
				  {m.key.client, m.key.server, 4001, 443, IPPROTO_TCP},
				  {m.key.client, m.key.server, 4000, 443, IPPROTO_UDP},
				  m.key};
	_Atomic bool known[6] = {0};
	struct lookup l = {.key = keys, .known = known, .count = 5, .waiting = 2};
	worker_known(r->worker, &l);
	static const bool want[] = {true, true, false, false, false, false};
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(known[i], want[i]);
	assert_int_equal(l.waiting, 1);
	rig_free(r);
}

static void without_memory_there_is_no_worker(void **state)
{
	struct rig *r = rig_new("");
	bool failed = NO_MEMORY;
	for (long n = 0; failed; n++) {
		no_memory_at(n);
		struct worker *w = worker_new(&r->worker->o);
		failed = no_memory_failed;
		no_memory_end();
		assert_true(!w == failed);
		worker_free(w);
	}
	worker_free(NULL);
	rig_free(r);
}

/* ---- counters ---- */

/* What became of packets, each counted once and as what it was. */
static void what_became_of_packets_is_counted(void **state)
{
	struct rig *r = rig_new("");
	struct worker_counters c;
	syn(r, guest, 4000);
	hello(r, guest, 4000, "news.example");
	syn(r, guest, 4001);
	hello(r, guest, 4001, "evil.example");
	hello(r, guest, 4001, "evil.example"); /* again */
	syn(r, nobody, 4002);
	struct wire w;
	wire_tcp(&w, guest, 4003, site, 443, TCP_SYN, 1000, NULL, 0);
	w.bytes[0] = 0x4f; /* a header longer than the packet */
	packet(r, &w);
	worker_count(r->worker, &c);
	assert_int_equal(c.packets, 7);
	assert_int_equal(c.malformed, 1);
	assert_int_equal(c.allowed, 1);
	assert_int_equal(c.denied, 3);
	assert_int_equal(c.waiting, 2);
	assert_int_equal(c.flows, 4);
	assert_int_equal(c.held + c.evicted + c.again + c.stuck + c.unread + c.dns, 0);
	assert_int_equal(c.reasons[REASON_NO_LINE], 1);
	assert_int_equal(c.reasons[REASON_NO_TIER], 1);
	assert_int_equal(c.reasons[REASON_PACKET_MALFORMED], 1);
	assert_int_equal(c.reasons[REASON_ALLOW_LINE], 1);
	rig_free(r);
}

/* Where the source is over what waits is decided with what is known. */
static void the_end_decides_what_waits(void **state)
{
	uint8_t bytes[2048];
	struct rig *r = rig_new("held = \"until-whole\";\n");
	wire_hello(bytes, "news.example", 0);
	syn(r, guest, 4000);
	uint64_t id = r->source.next_id;
	assert_int_equal(data(r, guest, 4000, 0, bytes, 20), -1);
	syn(r, guest, 4001); /* which has said nothing: neither allowed nor denied */
	unsigned before = r->logged;
	worker_finish(r->worker);
	assert_int_equal(r->source.verdict[id], VERDICT_DENIED);
	assert_int_equal(r->logged, before + 1);
	assert_int_equal(r->log[before].reason, REASON_HELLO_UNFINISHED);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_comes_back),
		cmocka_unit_test(texts_of_a_file_end),
		cmocka_unit_test(a_start_comes_back),
		cmocka_unit_test(what_an_earlier_process_cut_has_a_record),
		cmocka_unit_test(a_denial_without_its_record_is_not_kept),
		cmocka_unit_test(flows_are_given_in_portions),
		cmocka_unit_test(a_flow_is_known_from_either_side),
		cmocka_unit_test(without_memory_there_is_no_worker),
		cmocka_unit_test(what_became_of_packets_is_counted),
		cmocka_unit_test(the_end_decides_what_waits),
	};
	rcu_register_thread();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
