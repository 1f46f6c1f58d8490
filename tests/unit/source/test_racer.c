#include "base/clock.h"
#include "source/racer.h"
#include "unit.h"

#include <stdlib.h>

#define MS NS_PER_MS

/* A datagram of 10.0.0.1:PORT to 192.0.2.1:443. */
struct datagram {
	uint8_t bytes[2100];
	struct arrival arrival;
};

static struct arrival *make(struct datagram *d, uint64_t id, uint16_t port, uint32_t len,
			    int64_t now)
{
	memset(d, 0, sizeof *d);
	uint8_t head[28] = {0x45,
			    0,
			    (uint8_t)(len >> 8),
			    (uint8_t)len,
			    0,
			    0,
			    0,
			    0,
			    64,
			    17,
			    0,
			    0,
			    10,
			    0,
			    0,
			    1,
			    192,
			    0,
			    2,
			    1,
			    (uint8_t)(port >> 8),
			    (uint8_t)port,
			    1,
			    0xbb,
			    (uint8_t)((len - 20) >> 8),
			    (uint8_t)(len - 20)};
	memcpy(d->bytes, head, sizeof head);
	d->arrival = (struct arrival){.id = id, .bytes = d->bytes, .len = len, .now = now};
	return &d->arrival;
}

static struct racers *open_racers(void)
{
	struct racers *r = racers_open();
	if (!r)
		skip();
	return r;
}

static void who_comes_second_races(void **state)
{
	struct datagram d;
	struct racers *r = open_racers();
	racers_see(r, make(&d, 1, 5000, 1228, 1 * MS));
	assert_false(racers_has(r, 1));
	racers_see(r, make(&d, 2, 5001, 1228, 1 * MS));
	assert_false(racers_has(r, 2));
	racers_see(r, make(&d, 3, 5000, 1228, 2 * MS));
	assert_true(racers_has(r, 3));
	racers_see(r, make(&d, 4, 5000, 40, 2 * MS));
	assert_true(racers_has(r, 4));
	racers_drop(r, 3);
	racers_drop(r, 3);
	racers_drop(r, 7);
	assert_false(racers_has(r, 3));
	assert_true(racers_has(r, 4));
	racers_close(r);
}

/* What its mark says, or its time, or its form. */
static void what_does_not_race(void **state)
{
	struct datagram d;
	struct racers *r = open_racers();
	racers_see(r, make(&d, 1, 5000, 1228, 1 * MS));
	make(&d, 2, 5000, 1228, 2 * MS)->entry = ENTRY_PENDING;
	racers_see(r, &d.arrival);
	make(&d, 3, 5000, 1228, 2 * MS)->cut = true;
	racers_see(r, &d.arrival);
	make(&d, 4, 5000, 1228, 2 * MS)->bytes = d.bytes;
	d.bytes[9] = 6; /* TCP */
	racers_see(r, &d.arrival);
	make(&d, 5, 5000, 1228, 2 * MS);
	d.bytes[8] = 1; /* no hop to go */
	racers_see(r, &d.arrival);
	make(&d, 6, 5000, 1228, 2 * MS);
	d.bytes[6] = 0x20; /* a fragment */
	racers_see(r, &d.arrival);
	racers_see(r, make(&d, 7, 5000, 2049, 2 * MS));
	racers_see(r, make(&d, 8, 5000, 1228, 2 * MS));
	d.arrival.len = 0;
	racers_see(r, &d.arrival);
	for (uint64_t id = 1; id <= 7; id++)
		assert_false(racers_has(r, id));
	assert_true(racers_has(r, 8));
	racers_see(r, make(&d, 9, 5000, 1228, 3002 * MS));
	assert_false(racers_has(r, 9));
	racers_see(r, make(&d, 10, 5000, 1228, 3003 * MS));
	assert_true(racers_has(r, 10));
	racers_close(r);
}

static void the_oldest_copies_go(void **state)
{
	struct datagram d;
	struct racers *r = open_racers();
	racers_see(r, make(&d, 0, 5000, 1228, 1 * MS));
	for (uint64_t id = 1; id <= 70; id++)
		racers_see(r, make(&d, id, 5000, 1228, 1 * MS));
	for (uint64_t id = 1; id <= 70; id++) {
		assert_int_equal(racers_has(r, id), id > 6);
		racers_drop(r, id);
		assert_false(racers_has(r, id));
	}
	racers_close(r);
}

/* The kernel has no such entry, or there is no socket: it goes as it would have gone. */
static void without_an_entry_nothing_is_sent(void **state)
{
	struct datagram d;
	struct racers *r = open_racers();
	racers_see(r, make(&d, 1, 5000, 1228, 1 * MS));
	racers_see(r, make(&d, 2, 5000, 1228, 1 * MS));
	assert_false(racers_send(r, 2, -1, -1));
	assert_false(racers_has(r, 2));
	assert_false(racers_send(r, 2, -1, -1));
	racers_close(r);
	racers_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_comes_second_races),
		cmocka_unit_test(what_does_not_race),
		cmocka_unit_test(the_oldest_copies_go),
		cmocka_unit_test(without_an_entry_nothing_is_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
