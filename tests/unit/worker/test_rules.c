/* What decides whether the table is decided again and what is lifted by it, rule by rule. */
#include "rig.h"

#include "worker/again.c"

/* Denied for the bytes of the flow itself: no other policy makes them others. A name that was not
 * told at all may be told by another policy's lines, and a lockdown ends. */
static void what_was_denied_for_its_bytes_stays_denied(void **state)
{
	for (int e = 0; e < EVIDENCE_COUNT; e++)
		for (int r = 0; r < REASON_COUNT; r++) {
			struct flow f = {.named.evidence = (enum evidence)e,
					 .outcome.reason = (enum reason)r};
			bool told = e == EVIDENCE_HOST || e == EVIDENCE_SNI ||
				    e == EVIDENCE_HOST_DNS || e == EVIDENCE_SNI_DNS;
			bool bytes = r == REASON_NAME_BAD || r == REASON_HELLO_MALFORMED ||
				     r == REASON_HELLO_UNFINISHED || r == REASON_HELLO_CHANGED ||
				     r == REASON_SYN_AGAIN || r == REASON_QUIC_UNREADABLE ||
				     r == REASON_PACKET_MALFORMED || r == REASON_FRAGMENT;
			bool want = r == REASON_OVERLAP_CONFLICT || (told && bytes);
			if (denied_for_bytes(&f) != want)
				fail_msg("%s, %s", evidence_text((enum evidence)e),
					 reason_text((enum reason)r));
		}
}

/* At a schedule's edge, when names are to be kept, and where the wall clock was set by a second. */
static void the_table_is_decided_again_in_time(void **state)
{
	struct rig *r = rig_new("");
	struct worker *w = r->worker;
	w->now = 1000 * NS_PER_S;
	w->ahead = w->again_ahead = 5 * NS_PER_S;
	w->again_names = w->now + 1;
	w->again_edge = 0;
	assert_false(again_due(w));
	w->again_edge = 1005 * NS_PER_S;
	assert_true(again_due(w));
	w->again_edge++;
	assert_false(again_due(w));
	w->now++;
	assert_true(again_due(w)); /* both */
	w->again_edge = 0;
	assert_true(again_due(w));
	w->again_names++;
	assert_false(again_due(w));
	for (int way = -1; way <= 1; way += 2) {
		w->ahead = w->again_ahead + way * NS_PER_S;
		assert_true(again_due(w));
		w->ahead = w->again_ahead + way * (NS_PER_S - 1);
		assert_false(again_due(w));
	}
	rig_free(r);
}

/* ---- what the kernel tells of a flow that was to end ---- */

static struct ring *told;

static void tell(struct rig *r, const struct flow_key *key, int what, int64_t after)
{
	struct flow_ended *e = ring_claim(told);
	*e = (struct flow_ended){
		.key = *key, .bytes = 11, .packets = 3, .after = after, .last = r->source.now};
	e->what = what;
	ring_publish(told);
	wait_ms(r, 0);
}

static struct rig *with_ring(void)
{
	told = ring_new(16, sizeof(struct flow_ended));
	rig_told = told;
	struct rig *r = rig_new("");
	rig_told = NULL;
	syn(r, guest, 4000);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	return r;
}

static void end_of(struct rig *r)
{
	rig_free(r);
	ring_free(told);
}

/* Its end is a record with what it carried, once; a flow that began later is another. */
static void an_end_is_recorded_once_and_of_its_own_flow(void **state)
{
	struct rig *r = with_ring();
	struct flow_key key = guest_key(IPPROTO_TCP, 4000, 443), other = key;
	unsigned before = r->logged;
	other.client_port++;
	tell(r, &other, FLOW_OVER, INT64_MAX);
	tell(r, &key, FLOW_OVER, 0); /* what ended before it began */
	assert_int_equal(r->logged, before);
	tell(r, &key, FLOW_OVER, INT64_MAX);
	assert_int_equal(r->logged, before + 1);
	assert_int_equal(r->log[before].kind, DECISION_ENDED);
	assert_int_equal(r->log[before].bytes, 11);
	assert_int_equal(r->log[before].packets, 3);
	assert_true(r->log[before].duration > 0);
	tell(r, &key, FLOW_OVER, INT64_MAX);
	assert_int_equal(r->logged, before + 1);
	assert_false(flow_known(r->worker->flows, &key));
	end_of(r);
}

/* What was over before it could be ended was allowed to its end. */
static void what_was_over_already_is_no_denial(void **state)
{
	struct rig *r = with_ring();
	struct flow_key key = guest_key(IPPROTO_TCP, 4000, 443);
	struct flow *f = flow_find(r->worker->flows, &key);
	f->unsaid = true;
	f->was = REASON_ALLOW_LINE;
	f->state = FLOW_DENIED;
	f->outcome = (struct outcome){.action = ACTION_DENY, .reason = REASON_NO_LINE};
	unsigned before = r->logged;
	tell(r, &key, FLOW_CLOSED, 0);
	assert_int_equal(r->logged, before);
	assert_int_equal(f->state, FLOW_ALLOWED);
	assert_int_equal(f->outcome.reason, REASON_ALLOW_LINE);
	assert_int_equal(f->outcome.rule, RULE_NONE);
	assert_false(f->unsaid);
	tell(r, &key, FLOW_CLOSED, 0); /* and nothing more to say */
	f->unsaid = true;
	f->state = FLOW_DENIED;
	f->outcome = (struct outcome){.action = ACTION_DENY,
				      .reason = REASON_NO_LINE,
				      .rule = RULE_NONE,
				      .site = SITE_NONE};
	tell(r, &key, FLOW_CUT, 0);
	assert_int_equal(r->logged, before + 1);
	assert_int_equal(r->log[before].reason, REASON_NO_LINE);
	assert_int_equal(r->log[before].action, ACTION_DENY);
	tell(r, &key, FLOW_CUT, 0);
	assert_int_equal(r->logged, before + 1);
	end_of(r);
}

/* An end whose word was lost (a ring was full) is told when the kernel says that it was marked so.
 */
static void an_end_with_a_denied_mark_was_a_cut(void **state)
{
	struct rig *r = with_ring();
	struct flow_key key = guest_key(IPPROTO_TCP, 4000, 443);
	struct flow *f = flow_find(r->worker->flows, &key);
	f->unsaid = true;
	f->was = REASON_ALLOW_LINE;
	f->state = FLOW_DENIED;
	f->outcome.reason = REASON_NO_LINE;
	unsigned before = r->logged;
	const struct flow_ended e = {.key = key, .after = INT64_MAX, .denied = true};
	worker_flow_ended(r->worker, &e);
	assert_int_equal(r->logged, before + 2);
	assert_int_equal(r->log[before].kind, DECISION_DECIDED);
	assert_int_equal(r->log[before].action, ACTION_DENY);
	assert_int_equal(r->log[before].reason, REASON_NO_LINE);
	assert_int_equal(r->log[before + 1].kind, DECISION_ENDED);
	assert_int_equal(r->log[before + 1].reason, REASON_NO_LINE);
	end_of(r);
}

/* One that was to be ended and ended by itself meanwhile was allowed: so its end says. */
static void an_end_that_overtakes_its_denial_is_allowed(void **state)
{
	struct rig *r = with_ring();
	struct flow_key key = guest_key(IPPROTO_TCP, 4000, 443);
	struct flow *f = flow_find(r->worker->flows, &key);
	f->unsaid = true;
	f->was = REASON_ALLOW_LINE;
	f->outcome.reason = REASON_NO_LINE;
	unsigned before = r->logged;
	tell(r, &key, FLOW_OVER, INT64_MAX);
	assert_int_equal(r->logged, before + 1);
	assert_int_equal(r->log[before].kind, DECISION_ENDED);
	assert_int_equal(r->log[before].reason, REASON_ALLOW_LINE);
	end_of(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_denied_for_its_bytes_stays_denied),
		cmocka_unit_test(the_table_is_decided_again_in_time),
		cmocka_unit_test(an_end_is_recorded_once_and_of_its_own_flow),
		cmocka_unit_test(what_was_over_already_is_no_denial),
		cmocka_unit_test(an_end_that_overtakes_its_denial_is_allowed),
		cmocka_unit_test(an_end_with_a_denied_mark_was_a_cut),
	};
	rcu_register_thread();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
