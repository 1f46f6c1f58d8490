/* What a report may do, rule by rule: which of two is the later, which is stale or old, what opens
 * a session again, and which session it is of. */
#include "unit.h"

#include "radius/accounting.c"

#include <string.h>

#define S NS_PER_S

static struct accounting_moment at(int64_t said, int64_t heard)
{
	return (struct accounting_moment){said, heard};
}

/* By the client's clock where it told of both, else by when we heard, to a second. */
static void moments_have_one_order(void **state)
{
	static const struct {
		struct accounting_moment a, b;
		bool before;
	} of[] = {
		{{1, 9 * S}, {2, 1 * S}, true},  {{2, 1 * S}, {2, 9 * S}, false},
		{{2, 1 * S}, {1, 9 * S}, false}, {{0, 1 * S}, {2, 2 * S + 1}, true},
		{{0, 1 * S}, {2, 2 * S}, false}, {{2, 1 * S}, {0, 2 * S + 1}, true},
		{{0, 1 * S}, {0, 2 * S}, false}, {{0, 1 * S}, {0, 2 * S + 1}, true},
		{{0, 3 * S}, {0, 1 * S}, false},
	};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		if (is_before(&of[i].a, &of[i].b) != of[i].before)
			fail_msg("case %zu", i);
	struct accounting_moment m = at(5, 50), by = at(4, 60);
	advance(&m, &by);
	assert_int_equal(m.said, 5);
	assert_int_equal(m.heard, 60);
	by = at(6, 10);
	advance(&m, &by);
	assert_int_equal(m.said, 6);
	assert_int_equal(m.heard, 60);
}

static void a_report_far_from_now_is_stale(void **state)
{
	const struct accounting a = {.window = 300};
	static const struct {
		int64_t said;
		bool stale;
	} of[] = {{0, false},  {1000, false}, {700, false},
		  {699, true}, {1300, false}, {1301, true}};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		const struct accounting_report r = {.arrived = 1000, .time = {of[i].said, 5}};
		assert_int_equal(is_stale(&a, &r), of[i].stale);
	}
}

/* Later than all that is known; or a Start of the very second that is not the one that is known. */
static void what_is_newer_than_what_is_known(void **state)
{
	static const struct {
		enum radius_status status;
		int64_t said, last, started;
		bool newer;
	} of[] = {
		{RADIUS_INTERIM, 11, 10, 5, true}, {RADIUS_INTERIM, 10, 10, 5, false},
		{RADIUS_INTERIM, 9, 10, 5, false}, {RADIUS_START, 11, 10, 5, true},
		{RADIUS_START, 10, 10, 5, true},   {RADIUS_START, 10, 10, 10, false},
		{RADIUS_START, 9, 10, 5, false},
	};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		const struct entry e = {.last = {of[i].last, 0}, .started = {of[i].started, 0}};
		const struct accounting_report r = {.status = of[i].status,
						    .time = {of[i].said, 0}};
		if (is_newer(&e, &r) != of[i].newer)
			fail_msg("case %zu", i);
	}
}

/* ---- with a table ---- */

static struct accounting *a;
static const uint8_t nas[ACCOUNTING_KEY] = {1}, behind[ACCOUNTING_KEY] = {2},
		     session[ACCOUNTING_KEY] = {3}, other[ACCOUNTING_KEY] = {9};
static const struct accounting_ops none;

static int begin_table(void **state)
{
	a = accounting_new(16, 300 * S, &none, NULL);
	return a ? 0 : -1;
}

static int end_table(void **state)
{
	accounting_free(a);
	return 0;
}

static struct entry *make(void)
{
	uint32_t i = entry_new(a);
	assert_int_not_equal(i, NONE);
	entry_key(a, i, nas, behind, session);
	return &a->entries[i];
}

static struct accounting_report report(enum radius_status status, int64_t said, int64_t heard)
{
	struct accounting_report r = {.status = status, .time = {said, heard}};
	memcpy(r.nas, nas, sizeof nas);
	memcpy(r.behind, behind, sizeof behind);
	memcpy(r.session, session, sizeof session);
	return r;
}

static void a_session_that_ended_is_opened_by_what_is_surely_new(void **state)
{
	struct entry *e = make();
	e->state = ENTRY_ENDED;
	e->last = at(10, 10 * S);
	e->started = at(5, 5 * S);
	struct accounting_report r = report(RADIUS_START, 11, 20 * S);
	assert_true(reopens(a, e, &r));
	assert_false(is_old(a, e, &r));
	r.status = RADIUS_INTERIM; /* of what has ended */
	assert_false(reopens(a, e, &r));
	assert_true(is_old(a, e, &r));
	r = report(RADIUS_START, 9, 20 * S);
	assert_false(reopens(a, e, &r));
	r = report(RADIUS_START, 0, 20 * S); /* without a time: perhaps a replay */
	assert_false(reopens(a, e, &r));
	e->revives = true; /* who was only not heard of for too long */
	assert_true(reopens(a, e, &r));
	r.status = RADIUS_INTERIM;
	assert_true(reopens(a, e, &r));
	r = report(RADIUS_INTERIM, 10, 20 * S);
	assert_false(reopens(a, e, &r));
	r = report(RADIUS_INTERIM, 11, 20 * S);
	assert_true(reopens(a, e, &r));
}

/* Where its client has begun anew since, its identifiers are new ones. */
static void after_a_restart_of_the_client_identifiers_are_new(void **state)
{
	static const uint8_t zeros[ACCOUNTING_KEY];
	struct entry *e = make();
	uint32_t era = entry_new(a);
	entry_key(a, era, nas, behind, zeros);
	e->state = ENTRY_ENDED;
	e->last = at(10, 10 * S);
	a->entries[era].last = at(20, 10 * S);
	struct accounting_report r = report(RADIUS_INTERIM, 21, 30 * S);
	assert_true(reopens(a, e, &r));
	r = report(RADIUS_INTERIM, 0, 30 * S);
	assert_true(reopens(a, e, &r));
	r = report(RADIUS_INTERIM, 19, 30 * S); /* of before the beginning */
	assert_false(reopens(a, e, &r));
	a->entries[era].last = at(5, 10 * S);
	r = report(RADIUS_INTERIM, 10, 30 * S); /* known already */
	assert_false(reopens(a, e, &r));
	a->entries[era].last = at(20, 10 * S - 1); /* a beginning of before it ended */
	r = report(RADIUS_INTERIM, 21, 30 * S);
	assert_false(reopens(a, e, &r));
}

static void an_open_session_takes_what_is_not_old(void **state)
{
	struct entry *e = make();
	e->state = ENTRY_OPEN;
	e->last = at(10, 10 * S);
	e->session_time = 100;
	struct accounting_report r = report(RADIUS_INTERIM, 9, 20 * S);
	assert_true(is_old(a, e, &r));
	r = report(RADIUS_INTERIM, 10, 20 * S);
	assert_false(is_old(a, e, &r));
	r.has_session_time = true; /* told by how long it lasts where clocks do not tell */
	r.session_time = 99;
	assert_true(is_old(a, e, &r));
	r.session_time = 100;
	assert_false(is_old(a, e, &r));
	r.session_time = 99;
	r.time.said = 11;
	assert_false(is_old(a, e, &r));
	r.time.said = 0;
	assert_true(is_old(a, e, &r));
	r.status = RADIUS_START;
	assert_false(is_old(a, e, &r));
	r = report(RADIUS_INTERIM, 0, 8 * S);
	assert_true(is_old(a, e, &r));
}

/* Unclaimed, or reported from elsewhere under the same identifier; and of the same user. */
static void a_session_is_told_by_client_identifier_and_user(void **state)
{
	struct entry *e = make();
	strcpy(e->user, "ann");
	struct accounting_report r = report(RADIUS_INTERIM, 1, 1);
	assert_true(is_same(e, &r));
	memcpy(r.session, other, sizeof other);
	assert_false(is_same(e, &r));
	r = report(RADIUS_INTERIM, 1, 1);
	memcpy(r.behind, other, sizeof other);
	assert_false(is_same(e, &r));
	e->adopted = true;
	assert_true(is_same(e, &r));
	r.user_told = true;
	assert_false(is_same(e, &r));
	strcpy(r.user, "ann");
	assert_true(is_same(e, &r));
	for (uint8_t bit = 0; bit < 8; bit++) { /* whatever memcmp makes of the difference */
		e->adopted = false;
		r = report(RADIUS_INTERIM, 1, 1);
		r.session[5] ^= (uint8_t)(1 << bit);
		assert_false(is_same(e, &r));
	}
}

/* The same beginning told again, or one before it. */
static void a_beginning_is_known(void **state)
{
	struct accounting_moment era = at(10, 10 * S);
	struct accounting_report r = report(RADIUS_ON, 10, 50 * S);
	assert_true(is_known(&era, &r));
	r.time.said = 11;
	assert_false(is_known(&era, &r));
	r.time.said = 0;
	assert_false(is_known(&era, &r));
	r.delayed = true;
	assert_false(is_known(&era, &r));
	r.time.heard = 11 * S;
	assert_true(is_known(&era, &r));
	r.time.heard = 11 * S + 1;
	assert_false(is_known(&era, &r));
}

/* Of the versions of which an address was reported, those that were not. */
static void addresses_that_are_left(void **state)
{
	static const char *const had[] = {"10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"};
	struct entry *e = make();
	struct address gone[RADIUS_ADDRESSES];
	e->addresses = 4;
	for (int i = 0; i < 4; i++)
		assert_true(address_parse(had[i], &e->at[i].address));
	struct accounting_report r = report(RADIUS_INTERIM, 1, 1);
	assert_int_equal(left(e, &r, gone), 0);
	r.address[0] = e->at[1].address;
	r.addresses = 1;
	assert_int_equal(left(e, &r, gone), 1);
	assert_true(address_equal(&gone[0], &e->at[0].address));
	r.address[1] = e->at[2].address;
	r.addresses = 2;
	assert_int_equal(left(e, &r, gone), 2);
	assert_true(address_equal(&gone[1], &e->at[3].address));
	assert_true(is_at(e, &r.address[0]));
	assert_true(is_reported(&r, &e->at[1].address));
	assert_false(is_reported(&r, &e->at[0].address));
}

static void each_result_has_its_word(void **state)
{
	assert_string_equal(accounting_text(ACCOUNTING_NO_TIER), "no-tier");
	for (int i = 0; i < ACCOUNTING_COUNT; i++)
		assert_int_equal(accounting_answered((enum accounting_result)i),
				 i != ACCOUNTING_FULL && i != ACCOUNTING_AWAY);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin_table, end_table)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moments_have_one_order),
		cmocka_unit_test(a_report_far_from_now_is_stale),
		cmocka_unit_test(what_is_newer_than_what_is_known),
		WITH(a_session_that_ended_is_opened_by_what_is_surely_new),
		WITH(after_a_restart_of_the_client_identifiers_are_new),
		WITH(an_open_session_takes_what_is_not_old),
		WITH(a_session_is_told_by_client_identifier_and_user),
		WITH(a_beginning_is_known),
		WITH(addresses_that_are_left),
		cmocka_unit_test(each_result_has_its_word),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
