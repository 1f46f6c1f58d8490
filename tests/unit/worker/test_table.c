/* The table of flows: what becomes of a packet where it is full, and what of it outlives a restart.
 */
#include "rig.h"

enum { FLOWS = 1024, EACH = 16 };

/* Of clients that may hold 16 packets each, one flow a packet, until no flow can go for another. */
static void fill(struct rig *r)
{
	uint8_t bytes[2048];
	wire_hello(bytes, "news.example", 900);
	for (unsigned i = 0; i < FLOWS; i++) {
		char client[16];
		snprintf(client, sizeof client, "10.9.1.%u", 1 + i / EACH);
		assert_int_equal(syn(r, client, 4000 + i), VERDICT_PENDING);
		assert_int_equal(data(r, client, 4000 + i, 0, bytes, 100), -1);
		r->source.now -= 2 * NS_PER_MS; /* all at once: nothing is stuck, or too late */
	}
}

static void a_full_table_lets_nothing_pass(void **state)
{
	struct rig *r = rig_new("bounds = { flows = 1024; held = 2048; held_per_client = 16; };\n");
	fill(r);
	unsigned logged = r->logged;
	assert_int_equal(syn(r, guest, 5000), VERDICT_DENIED);
	assert_int_equal(r->worker->counters.reasons[REASON_TABLE_FULL], 1);
	assert_int_equal(r->logged, logged); /* counted, not recorded */
	rig_free(r);
}

/* The kernel has forgotten an ended flow: what uses its ports next is another. */
static void an_ended_flow_is_not_remembered(void **state)
{
	struct rig *r = rig_new("bounds = { flows = 1024; };\n");
	struct flow_memory memory[4];
	struct wire w;
	for (unsigned port = 4000; port < 4002; port++) {
		wire_udp(&w, nobody, port, site, 9999, "data", 4);
		assert_int_equal(packet(r, &w), VERDICT_DENIED);
	}
	uint32_t slot = 0;
	assert_int_equal(worker_remember(r->worker, &slot, true, memory, 4), 2);
	struct flow_ended e = {.bytes = 32, .packets = 1};
	e.key = guest_key(IPPROTO_UDP, 4000, 9999);
	address_parse(nobody, &e.key.client);
	e.after = e.last = r->source.now + NS_PER_S;
	worker_flow_ended(r->worker, &e);
	slot = 0;
	assert_int_equal(worker_remember(r->worker, &slot, true, memory, 4), 1);
	assert_int_equal(memory[0].key.client_port, 4001);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_table_lets_nothing_pass),
		cmocka_unit_test(an_ended_flow_is_not_remembered),
	};
	rcu_register_thread();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
