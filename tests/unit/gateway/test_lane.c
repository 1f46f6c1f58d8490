/* A queue's thread: what it remembers for the state file is all that there is, and a record that
 * can't be kept lets nothing pass where that is asked for. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define worker_remember   remembers
#define sink_count        sink_counts
#define snapshot_settings settings_of
#include "gateway/lane.c"

static size_t flows, told; /* in the worker's table; of them copied */
static struct settings settings;
static bool sink_fails;

size_t remembers(struct worker *w, uint32_t *slot, bool waiting, struct flow_memory *out,
		 size_t max)
{
	assert_false(waiting);
	size_t n = flows - told < max ? flows - told : max;
	for (size_t i = 0; i < n; i++)
		out[i].isn = (uint32_t)(told + i);
	told += n;
	*slot = told == flows && n < max ? UINT32_MAX : (uint32_t)told;
	return n;
}

void sink_counts(const struct sink *s, struct sink_counters *out)
{
	*out = (struct sink_counters){.failing = sink_fails};
}

const struct settings *settings_of(const struct snapshot *s)
{
	return &settings;
}

/* Takes turns until the worker is done; how many. */
static unsigned turns_for(size_t there, uint32_t room)
{
	static struct flow_memory memory[3 * MEMORY_PORTION];
	struct config c = {.flows = room};
	struct gateway g = {.config = &c};
	struct lane l = {.gateway = &g, .memory = memory};
	unsigned turns = 0;
	flows = there;
	told = 0;
	atomic_init(&l.remember, true);
	while (atomic_load(&l.remember) && turns < 10) {
		lane_remember(&l);
		turns++;
	}
	assert_int_equal(l.memory_count, there < room ? there : room);
	for (size_t i = 0; i < l.memory_count; i++)
		assert_int_equal(memory[i].isn, i);
	return turns;
}

/* A portion a turn: what stands behind the first is not forgotten by a restart. */
static void all_flows_are_remembered(void **state)
{
	assert_int_equal(turns_for(0, 3 * MEMORY_PORTION), 1);
	assert_int_equal(turns_for(5, 3 * MEMORY_PORTION), 1);
	assert_int_equal(turns_for(2 * MEMORY_PORTION + 5, 3 * MEMORY_PORTION), 3);
}

static void no_more_are_remembered_than_room(void **state)
{
	assert_int_equal(turns_for(2 * MEMORY_PORTION, MEMORY_PORTION + 5), 3);
}

/* ---- records ---- */

static bool record_is_kept(enum config_audit audit, bool fails, struct ring *records)
{
	struct gateway g = {0};
	struct lane l = {.gateway = &g, .records = records};
	struct decision d = {0};
	settings.audit = audit;
	sink_fails = fails;
	return lane_record(&l, &d);
}

static void strict_audit_wants_a_sink_that_writes(void **state)
{
	struct ring *r = ring_new(2, sizeof(struct decision));
	assert_non_null(r);
	assert_true(record_is_kept(CONFIG_AUDIT_STRICT, false, r));
	ring_release((assert_non_null(ring_peek(r)), r));
	assert_false(record_is_kept(CONFIG_AUDIT_STRICT, true, r));
	assert_non_null(ring_peek(r)); /* written once the disk has room again */
	ring_release(r);
	assert_true(record_is_kept(!CONFIG_AUDIT_STRICT, true, r));
	assert_true(record_is_kept(!CONFIG_AUDIT_STRICT, false, r));
	assert_false(record_is_kept(!CONFIG_AUDIT_STRICT, false, r)); /* no room */
	ring_free(r);
}

/* What does not fit is not said to be done: the worker comes back to the flow, the packet comes
 * again. */
static void what_does_not_fit_waits(void **state)
{
	struct gateway g = {.remark_fd = eventfd(0, EFD_NONBLOCK)};
	struct lane l = {.gateway = &g,
			 .remarks = ring_new(2, sizeof(struct remark)),
			 .asks = ring_new(2, sizeof(struct address))};
	struct flow_key key = {.client_port = 4000};
	struct address a = {{1}}, b = {{2}}, c = {{3}};
	eventfd_t told_of = 0;
	assert_true(lane_remark(&l, &key, 7, VERDICT_DENIED));
	assert_true(lane_remark(&l, &key, 8, VERDICT_DROP));
	assert_false(lane_remark(&l, &key, 9, VERDICT_DENIED));
	const struct remark *r = ring_peek(l.remarks);
	assert_int_equal(r->isn, 7);
	assert_int_equal(r->key.client_port, 4000);
	ring_release(l.remarks);
	assert_true(lane_remark(&l, &key, 9, VERDICT_DENIED));
	lane_ask(&l, &a);
	lane_ask(&l, &b);
	lane_ask(&l, &c);
	assert_memory_equal(ring_peek(l.asks), &a, sizeof a);
	ring_release(l.asks);
	assert_memory_equal(ring_peek(l.asks), &b, sizeof b);
	ring_release(l.asks);
	assert_null(ring_peek(l.asks));
	assert_int_equal(eventfd_read(g.remark_fd, &told_of), 0);
	assert_int_equal(told_of, 5); /* the main loop is woken for each that is there */
	ring_free(l.remarks);
	ring_free(l.asks);
	close(g.remark_fd);
}

/* ---- a thread that hangs, and one that has failed ---- */

static void a_queue_without_a_turn_is_stuck(void **state)
{
	struct lane l = {0};
	atomic_init(&l.turns, 7);
	assert_true(lane_check(&l));
	for (unsigned i = 1; i < STUCK_TICKS; i++)
		assert_true(lane_check(&l));
	assert_false(lane_check(&l));
	assert_false(lane_check(&l));
	atomic_store(&l.turns, 8); /* it goes on */
	assert_true(lane_check(&l));
}

/* A queue that nobody reads would let nothing pass, or all, for ever. */
static void a_failed_queue_ends_the_daemon(void **state)
{
	static struct config c;
	static struct gateway g;
	g.config = &c;
	assert_true(sd_event_new(&g.event) >= 0);
	g.lanes[0].gateway = g.lanes[1].gateway = &g;
	lane_check(&g.lanes[0]);
	assert_int_equal(g.status, 0);
	g.lanes[1].failed = -EIO;
	lane_check(&g.lanes[1]);
	assert_int_equal(g.status, 3);
	sd_event_unref(g.event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_flows_are_remembered),
		cmocka_unit_test(no_more_are_remembered_than_room),
		cmocka_unit_test(strict_audit_wants_a_sink_that_writes),
		cmocka_unit_test(what_does_not_fit_waits),
		cmocka_unit_test(a_queue_without_a_turn_is_stuck),
		cmocka_unit_test(a_failed_queue_ends_the_daemon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
