#include "packet/held.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* A flow of a host. */
struct flow {
	struct held_flow held;
	struct host_key host;
};

static struct flow flow_from(uint8_t client)
{
	const struct address a = address_from4((uint8_t[]){10, 0, 0, client});
	return (struct flow){.host = host_key_address(&a)};
}

static bool add(struct held *h, struct flow *f, uint64_t id, int64_t now)
{
	return held_add(h, &f->held, &f->host, id, now);
}

static bool take(struct held *h, struct flow *f, uint64_t *id)
{
	return held_take(h, &f->held, &f->host, id);
}

static void takes_in_order(void **state)
{
	struct held *h = held_new(4, 4);
	struct flow f = flow_from(1);
	uint64_t id;
	assert_false(take(h, &f, &id));
	for (uint64_t i = 10; i < 13; i++)
		assert_true(add(h, &f, i, 100));
	assert_int_equal(f.held.count, 3);
	assert_int_equal(held_count(h), 3);
	for (uint64_t i = 10; i < 13; i++) {
		assert_true(take(h, &f, &id));
		assert_int_equal(id, i);
	}
	assert_false(take(h, &f, &id));
	held_free(h);
}

static void one_client_cannot_take_all(void **state)
{
	struct held *h = held_new(4, 2);
	struct flow a = flow_from(1), b = flow_from(1), c = flow_from(2);
	uint64_t id;
	assert_true(add(h, &a, 1, 0));
	assert_true(add(h, &b, 2, 0));
	assert_false(add(h, &b, 3, 0)); /* two of 10.0.0.1, in two flows */
	assert_int_equal(b.held.count, 1);
	assert_true(add(h, &c, 4, 0));
	assert_true(add(h, &c, 5, 0));
	assert_false(add(h, &c, 6, 0)); /* four in all */
	assert_true(take(h, &a, &id));
	assert_true(add(h, &b, 7, 0));
	held_free(h);
}

static void overdue_is_by_the_first_packet(void **state)
{
	struct held *h = held_new(8, 8);
	struct flow a = flow_from(1), b = flow_from(2);
	uint64_t id;
	assert_true(add(h, &a, 1, 100));
	assert_true(add(h, &a, 2, 900)); /* does not put it off */
	assert_true(add(h, &b, 3, 500));
	assert_null(held_overdue(h, 199, 100));
	assert_ptr_equal(held_overdue(h, 200, 100), &a.held);
	while (take(h, &a, &id))
		;
	assert_ptr_equal(held_overdue(h, 200, 100), &a.held); /* let go, and still not whole */
	assert_ptr_equal(held_quiet(h, 500), &b.held);
	held_done(h, &a.held);
	assert_null(held_overdue(h, 599, 100));
	assert_ptr_equal(held_overdue(h, 600, 100), &b.held);
	held_free(h);
}

static void who_lost_packets_has_longer(void **state)
{
	struct held *h = held_new(8, 8);
	struct flow a = flow_from(1), b = flow_from(2);
	assert_true(add(h, &a, 1, 1000));
	a.held.lossy = true;
	assert_null(held_overdue(h, 1000 + HELD_LOSSY * 100 - 1, 100));
	assert_ptr_equal(held_overdue(h, 1000 + HELD_LOSSY * 100, 100), &a.held);
	for (uint64_t id = 2; id <= 4; id++)
		assert_true(add(h, &b, id, 1090));
	assert_null(held_overdue(h, 1100, 100)); /* half of the room */
	assert_true(add(h, &b, 5, 1090));
	assert_ptr_equal(held_overdue(h, 1100, 100), &a.held);
	held_done(h, &a.held);
	assert_false(held_late(h, &a.held, INT64_MAX, 100)); /* waits for nothing */
	held_free(h);
}

/* Flows that let go what they held are waited for, too: they take room of the list, if none of the
 * slots. */
static void many_who_wait_have_no_longer(void **state)
{
	struct held *h = held_new(8, 8);
	struct flow a = flow_from(1), other[8];
	uint64_t id;
	assert_true(add(h, &a, 1, 1000));
	a.held.lossy = true;
	for (uint8_t i = 0; i < 8; i++) {
		assert_null(held_overdue(h, 1100, 100)); /* up to half of the list */
		other[i] = flow_from((uint8_t)(2 + i));
		assert_true(add(h, &other[i], 2, 1090));
		assert_true(take(h, &other[i], &id));
	}
	assert_int_equal(held_count(h), 1);
	assert_ptr_equal(held_overdue(h, 1100, 100), &a.held);
	held_free(h);
}

/* Against a naive twin: counts for each client, whatever the order of adds and takes. */
static void counts_hold_under_random_use(void **state)
{
	enum { CLIENTS = 40, TOTAL = 64, EACH = 5 };
	struct held *h = held_new(TOTAL, EACH);
	struct flow flows[CLIENTS];
	unsigned all = 0;
	uint64_t id;
	for (int i = 0; i < CLIENTS; i++)
		flows[i] = flow_from((uint8_t)i);
	srand(7);
	for (int step = 0; step < 100000; step++) {
		struct flow *f = &flows[rand() % CLIENTS];
		unsigned before = f->held.count;
		if (rand() % 2) {
			bool fits = before < EACH && all < TOTAL;
			assert_int_equal(add(h, f, (uint64_t)step, step), fits);
			all += fits;
		} else {
			assert_int_equal(take(h, f, &id), before > 0);
			all -= before > 0;
		}
		assert_int_equal(held_count(h), all);
	}
	held_free(h);
}

/* Those who let go what they held wait on; a table that is full of them holds for nobody else. */
static void a_full_table_of_waiters_denies(void **state)
{
	struct held *h = held_new(2, 2);
	struct flow f[5];
	uint64_t id;
	for (uint8_t i = 0; i < 5; i++) {
		f[i] = flow_from(i);
		assert_int_equal(add(h, &f[i], i, 100), i < 4);
		assert_int_equal(take(h, &f[i], &id), i < 4);
	}
	assert_int_equal(f[4].held.since, 0); /* it does not wait */
	assert_int_equal(held_count(h), 0);
	assert_true(add(h, &f[3], 9, 101)); /* who waits already may */
	assert_true(take(h, &f[3], &id));
	held_done(h, &f[1].held);
	assert_true(add(h, &f[4], 5, 102));
	assert_false(add(h, &f[1], 6, 103));
	assert_true(take(h, &f[4], &id));
	for (int i = 0; i < 5; i++)
		held_done(h, &f[i].held);
	assert_false(held_waits(h));
	held_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_in_order),
		cmocka_unit_test(one_client_cannot_take_all),
		cmocka_unit_test(overdue_is_by_the_first_packet),
		cmocka_unit_test(who_lost_packets_has_longer),
		cmocka_unit_test(many_who_wait_have_no_longer),
		cmocka_unit_test(counts_hold_under_random_use),
		cmocka_unit_test(a_full_table_of_waiters_denies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
