#include "packet/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* What an owner keeps of a flow. */
struct flow {
	struct flow_entry entry;
	bool stays;
	char rest[100];
};

static bool stays(const void *flow)
{
	return ((const struct flow *)flow)->stays;
}

static struct flow_key key_of(uint16_t port)
{
	const uint8_t client[4] = {10, 0, 0, 1}, server[4] = {192, 0, 2, 1};
	return (struct flow_key){address_from4(client), address_from4(server), port, 443, 6};
}

static struct flow *find(struct flow_table *t, uint16_t port)
{
	struct flow_key key = key_of(port);
	return flow_find(t, &key);
}

/* Remembers the ports of evicted flows, in order. */
struct evictions {
	uint16_t port[64];
	size_t count;
};

static void evicted(void *ctx, void *flow)
{
	struct evictions *e = ctx;
	struct flow *f = flow;
	assert_true(f->entry.used);
	e->port[e->count++] = f->entry.key.client_port;
}

static struct flow_table *table_of(uint32_t capacity, struct evictions *e)
{
	const struct flow_owner owner = {.size = sizeof(struct flow),
					 .stays = stays,
					 .evicted = e ? evicted : NULL,
					 .ctx = e};
	return flow_table_new(capacity, &owner);
}

static struct flow *add(struct flow_table *t, uint16_t port)
{
	struct flow_key key = key_of(port);
	const struct host_key host = host_key_address(&key.client);
	return flow_add(t, &key, &host);
}

/* In a table of one chain every key meets every other: no host has another's flow for its own. */
static void each_part_of_a_key_tells_flows_apart(void **state)
{
	struct flow_table *t = table_of(1, NULL);
	struct flow_key other[5];
	assert_non_null(add(t, 1000));
	for (int i = 0; i < 5; i++)
		other[i] = key_of(1000);
	other[0].client = address_from4((const uint8_t[]){10, 0, 0, 2});
	other[1].server = address_from4((const uint8_t[]){192, 0, 2, 2});
	other[2].client_port = 1001;
	other[3].server_port = 444;
	other[4].transport = 17;
	for (int i = 0; i < 5; i++) {
		assert_null(flow_find(t, &other[i]));
		assert_false(flow_known(t, &other[i]));
	}
	assert_non_null(find(t, 1000));
	flow_table_free(t);
}

/* To be asked is no use: the least recently used stays so. */
static void known_is_not_used(void **state)
{
	struct evictions e = {0};
	struct flow_table *t = table_of(2, &e);
	struct flow_key one = key_of(1), three = key_of(3);
	add(t, 1);
	add(t, 2);
	assert_true(flow_known(t, &one));
	assert_false(flow_known(t, &three));
	add(t, 3);
	assert_false(flow_known(t, &one));
	assert_true(flow_known(t, &three));
	flow_table_free(t);
}

static void added_flows_are_found(void **state)
{
	struct flow_table *t = table_of(8, NULL);
	assert_int_equal(flow_capacity(t), 8);
	assert_null(find(t, 1));
	assert_null(flow_oldest(t));
	struct flow *f = add(t, 1);
	assert_memory_equal(f->rest, (char[100]){0}, sizeof f->rest);
	assert_ptr_equal(find(t, 1), f);
	assert_null(find(t, 2));
	assert_int_equal(flow_count(t), 1);
	flow_remove(t, f);
	assert_null(find(t, 1));
	assert_int_equal(flow_count(t), 0);
	flow_table_free(t);
}

static void every_part_of_a_key_counts(void **state)
{
	struct flow_table *t = table_of(8, NULL);
	add(t, 1);
	struct flow_key key = key_of(1);
	assert_non_null(flow_find(t, &key));
	key.client.bytes[15] ^= 1;
	assert_null(flow_find(t, &key));
	key = key_of(1);
	key.server.bytes[0] ^= 1;
	assert_null(flow_find(t, &key));
	key = key_of(1);
	key.server_port++;
	assert_null(flow_find(t, &key));
	key = key_of(1);
	key.transport = 17;
	assert_null(flow_find(t, &key));
	flow_table_free(t);
}

static void least_recently_used_goes(void **state)
{
	struct evictions e = {0};
	struct flow_table *t = table_of(3, &e);
	for (uint16_t port = 1; port <= 3; port++)
		add(t, port);
	assert_int_equal(e.count, 0);
	find(t, 1);
	assert_int_equal(((struct flow *)flow_oldest(t))->entry.key.client_port, 2);
	add(t, 4);
	add(t, 5);
	assert_int_equal(e.count, 2);
	assert_int_equal(e.port[0], 2);
	assert_int_equal(e.port[1], 3);
	assert_non_null(find(t, 1));
	assert_null(find(t, 2));
	assert_int_equal(flow_count(t), 3);
	flow_table_free(t);
}

/* As `add`, of another host. */
static struct flow *add_from(struct flow_table *t, uint8_t host, uint16_t port)
{
	struct flow_key key = key_of(port);
	const struct host_key k = {{0, host}};
	return flow_add(t, &key, &k);
}

static void a_host_with_an_eighth_makes_room_by_itself(void **state)
{
	struct evictions e = {0};
	struct flow_table *t = table_of(16, &e);
	add_from(t, 1, 1); /* the oldest of all */
	add_from(t, 2, 2);
	add_from(t, 2, 3);
	for (uint16_t port = 4; port <= 16; port++)
		add_from(t, 3, port);
	assert_int_equal(e.count, 0);
	find(t, 4);
	find(t, 2);
	add_from(t, 2, 17); /* two of sixteen: its own goes, not the heavy one's */
	add_from(t, 3, 18);
	assert_int_equal(e.count, 2);
	assert_int_equal(e.port[0], 3);
	assert_int_equal(e.port[1], 5);
	assert_non_null(find(t, 1));
	flow_table_free(t);
}

static void a_small_host_takes_from_a_heavy_one(void **state)
{
	struct evictions e = {0};
	struct flow_table *t = table_of(16, &e);
	for (uint16_t port = 1; port <= 13; port++)
		add_from(t, (uint8_t)port, port);
	for (uint16_t port = 14; port <= 16; port++)
		add_from(t, 99, port);
	add_from(t, 50, 17); /* three of sixteen are more than an eighth */
	assert_int_equal(e.port[0], 14);
	add_from(t, 51, 18); /* two are not: the oldest of all */
	assert_int_equal(e.port[1], 1);
	assert_int_equal(e.count, 2);
	flow_table_free(t);
}

static void what_a_heavy_host_holds_stays(void **state)
{
	struct evictions e = {0};
	struct flow_table *t = table_of(16, &e);
	add_from(t, 1, 1);
	for (uint16_t port = 2; port <= 16; port++)
		add_from(t, 2, port)->stays = true;
	assert_non_null(add_from(t, 2, 17));
	assert_int_equal(e.port[0], 1);
	flow_table_free(t);
}

static void flows_that_hold_packets_stay(void **state)
{
	struct evictions e = {0};
	struct flow_table *t = table_of(2, &e);
	add(t, 1)->stays = true;
	add(t, 2);
	assert_non_null(add(t, 3));
	assert_int_equal(e.port[0], 2);
	find(t, 3)->stays = true;
	assert_null(add(t, 4));
	assert_int_equal(e.count, 1);
	assert_int_equal(flow_count(t), 2);
	flow_remove(t, find(t, 1));
	assert_non_null(add(t, 4));
	flow_table_free(t);
}

static void walk_is_in_slot_order(void **state)
{
	struct flow_table *t = table_of(8, NULL);
	for (uint16_t port = 1; port <= 5; port++)
		add(t, port);
	flow_remove(t, find(t, 2));
	flow_remove(t, find(t, 4));
	add(t, 6); /* into the slot given back last */
	uint16_t want[] = {1, 3, 6, 5};
	uint32_t slot = 0;
	for (int i = 0; i < 4; i++) {
		struct flow *f = flow_each(t, &slot);
		assert_int_equal(f->entry.key.client_port, want[i]);
		flow_remove(t, f);
	}
	assert_null(flow_each(t, &slot));
	assert_int_equal(flow_count(t), 0);
	flow_table_free(t);
}

/* The same adds, finds and removes as on a plain array of ports in order of use. */
static void agrees_with_a_naive_twin(void **state)
{
	enum { CAPACITY = 16, ROUNDS = 20000 };
	struct evictions e = {0};
	struct flow_table *t = table_of(CAPACITY, &e);
	uint16_t twin[CAPACITY];
	size_t count = 0;
	uint32_t random = 1;
	for (int round = 0; round < ROUNDS; round++) {
		random = random * 1664525 + 1013904223;
		uint16_t port = random >> 16 & 31;
		size_t at = 0;
		while (at < count && twin[at] != port)
			at++;
		struct flow *f = find(t, port);
		assert_int_equal(f != NULL, at < count);
		if (f) {
			memmove(twin + at, twin + at + 1, (count - at - 1) * sizeof *twin);
			count--;
			if (random >> 30 == 0) {
				flow_remove(t, f);
				continue;
			}
		} else {
			e.count = 0;
			assert_non_null(add(t, port));
			assert_int_equal(e.count, count == CAPACITY);
			if (e.count) {
				assert_int_equal(e.port[0], twin[0]);
				memmove(twin, twin + 1, --count * sizeof *twin);
			}
		}
		twin[count++] = port;
		assert_int_equal(flow_count(t), count);
		assert_int_equal(((struct flow *)flow_oldest(t))->entry.key.client_port, twin[0]);
	}
	flow_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(added_flows_are_found),
		cmocka_unit_test(every_part_of_a_key_counts),
		cmocka_unit_test(least_recently_used_goes),
		cmocka_unit_test(a_host_with_an_eighth_makes_room_by_itself),
		cmocka_unit_test(a_small_host_takes_from_a_heavy_one),
		cmocka_unit_test(what_a_heavy_host_holds_stays),
		cmocka_unit_test(flows_that_hold_packets_stay),
		cmocka_unit_test(walk_is_in_slot_order),
		cmocka_unit_test(each_part_of_a_key_tells_flows_apart),
		cmocka_unit_test(known_is_not_used),
		cmocka_unit_test(agrees_with_a_naive_twin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
