/* What of a connection in the middle of its handshake outlives the daemon. */
#include "rig.h"

/* What the guest's flow is to the next daemon: with the kernel's entry as it is. */
static struct rig *restarted(struct rig *old, bool waiting, size_t wanted)
{
	struct flow_memory memory[4];
	uint32_t slot = 0;
	size_t count = worker_remember(old->worker, &slot, waiting, memory, 4);
	struct rig *r = rig_new("held = \"until-whole\";\n");
	r->source.now = old->source.now;
	memcpy(r->source.entry, old->source.entry, sizeof r->source.entry);
	rig_free(old);
	assert_int_equal(count, wanted);
	for (size_t i = 0; i < count; i++)
		worker_restore(r->worker, &memory[i]);
	return r;
}

static struct rig *opened(void)
{
	struct rig *r = rig_new("held = \"until-whole\";\n");
	syn(r, guest, 4000);
	return r;
}

static void a_hello_after_a_restart_is_judged(void **state)
{
	struct rig *r = restarted(opened(), true, 1);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_HEARD);
	rig_free(r);
	r = restarted(opened(), true, 1);
	assert_int_equal(hello(r, guest, 4000, "evil.example"), VERDICT_DENIED);
	rig_free(r);
}

/* The start that the SYN told is kept: bytes ahead of it are not the first ones. */
static void bytes_keep_their_place(void **state)
{
	struct rig *r = restarted(opened(), true, 1);
	int v = data(r, guest, 4000, 600, "\x16\3\1\2\0\1", 6);
	assert_true(v == -1 || v == VERDICT_DROP);
	rig_free(r);
}

/* While packets are judged, what waits now may be another connection when the state is read. */
static void while_it_runs_only_what_is_decided_is_kept(void **state)
{
	struct rig *r = restarted(opened(), false, 0);
	assert_int_equal(hello(r, guest, 4000, "news.example"), VERDICT_DENIED);
	assert_int_equal(r->log[r->logged - 1].reason, REASON_NAME_FORGOTTEN);
	rig_free(r);
}

static void what_is_held_comes_again(void **state)
{
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "news.example", 0);
	struct rig *r = opened();
	assert_int_equal(data(r, guest, 4000, 0, bytes, 20), -1);
	r = restarted(r, true, 1);
	assert_int_equal(data(r, guest, 4000, 0, bytes, 20), -1);
	assert_int_equal(data(r, guest, 4000, 20, bytes + 20, len > 20 ? len - 20 : 0),
			 VERDICT_HEARD);
	rig_free(r);
}

/* Of what a server was given already the next daemon has not seen the beginning. */
static void what_has_begun_to_pass_is_forgotten(void **state)
{
	uint8_t bytes[2048];
	wire_hello(bytes, "news.example", 0);
	struct rig *r = rig_new("");
	syn(r, guest, 4000);
	assert_int_equal(data(r, guest, 4000, 0, bytes, 5), -1);
	wait_ms(r, 100);
	rig_free(restarted(r, true, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_after_a_restart_is_judged),
		cmocka_unit_test(bytes_keep_their_place),
		cmocka_unit_test(while_it_runs_only_what_is_decided_is_kept),
		cmocka_unit_test(what_is_held_comes_again),
		cmocka_unit_test(what_has_begun_to_pass_is_forgotten),
	};
	rcu_register_thread();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
