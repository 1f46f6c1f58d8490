/* The walk that ends what no worker remembers: when there is a reason for one, whose flows it
 * takes, that nothing is dropped before it was done, and which flows of it are ended. The kernel's
 * table, the sessions and the clock are the test's. */
#include "no_memory.h"
#include "unit.h"

#include "base/clock.h"
#include "base/log.h"

static unsigned complaints;
static void complain(const char *format, ...)
{
	complaints++;
}
#define log_error               complain
#define log_allowed(limit, now) ((void)(limit), true)
#include "gateway/sweep.c"

/* ---- what the sweep asks ---- */

static struct state_swept was, kept;
static bool was_kept;
static unsigned keeps;
static struct network changed[SESSION_CHANGES];
static size_t changes; /* SIZE_MAX: more than are remembered */
static const char *digest;
static int64_t wall, edge;

size_t sessions_changes(const struct sessions *s, uint64_t *since,
			struct network out[static SESSION_CHANGES])
{
	size_t n = changes;
	if (n <= SESSION_CHANGES)
		memcpy(out, changed, n * sizeof *out);
	changes = 0;
	return n;
}

const char *snapshot_digest(const struct snapshot *s)
{
	return digest;
}

int64_t snapshot_next_edge(const struct snapshot *s, int64_t now)
{
	assert_true(now == wall || now == was.wall);
	return now < edge ? edge : 0;
}

int64_t clock_wall(void)
{
	return wall;
}

int64_t clock_now(void)
{
	return 0;
}

bool state_load_swept(struct store *from, struct state_swept *s)
{
	*s = was_kept ? was : (struct state_swept){0};
	return was_kept;
}

int state_save_swept(struct store *to, const struct state_swept *s)
{
	kept = *s;
	keeps++;
	return 0;
}

bool lockdown_holds(const struct lockdown *l, int64_t now)
{
	return now < l->until;
}

static struct flow_key table[4096];
static size_t flows;
static int list_fails;
static unsigned lists;

int conntrack_list(struct conntrack *c, void (*flow)(void *ctx, const struct flow_key *key),
		   void *ctx)
{
	lists++;
	for (size_t i = 0; i < flows; i++)
		flow(ctx, &table[i % (sizeof table / sizeof *table)]);
	return list_fails ? list_fails : (int)flows;
}

static struct flow_key ended[4096];
static size_t ends;
static uint16_t unknown_port; /* the kernel has no such flow any more */

int conntrack_remark(struct conntrack *c, const struct flow_key *key, uint32_t old, enum verdict v)
{
	assert_int_equal(old, 0);
	assert_int_equal(v, VERDICT_PENDING);
	ended[ends++] = *key;
	return key->client_port == unknown_port ? -ENOENT : 0;
}

static unsigned spent;

bool quotas_each_spent(struct gateway *g, uint32_t *slot, struct flow_key *key)
{
	if (*slot == spent)
		return false;
	*key = (struct flow_key){.client_port = (uint16_t)(9000 + (*slot)++)};
	return true;
}

/* ---- set up ---- */

static struct gateway *g;
static struct config config;
static long held;

static int set_up(void **state)
{
	changes = flows = ends = 0;
	lists = spent = complaints = keeps = 0;
	was_kept = false;
	list_fails = 0;
	unknown_port = 0;
	digest = "0123";
	wall = 1000;
	edge = 0;
	g = calloc(1, sizeof *g);
	held = memory_held();
	config.queues = 2;
	g->config = &config;
	g->sweep = sweep_new();
	g->store = NULL;
	was = (struct state_swept){0};
	sweep_tick(g); /* the first looks only */
	assert_int_equal(lists, 0);
	return 0;
}

static int tear_down(void **state)
{
	sweep_free(g->sweep);
	assert_int_equal(memory_held(), held); /* as before it was made */
	free(g);
	sweep_free(NULL);
	return 0;
}

static void add_table_flow(const char *client, const char *server, uint16_t port)
{
	struct flow_key *k = &table[flows++];
	*k = (struct flow_key){.client_port = port};
	assert_true(address_parse(client, &k->client) && address_parse(server, &k->server));
}

static void change(const char *text)
{
	assert_true(network_parse(text, &changed[changes++]));
}

/* What the workers were asked; the flow at `known` (-1: none) is remembered by one. */
static size_t workers_answer(int known)
{
	struct lookup *l = g->lanes[0].lookup;
	if (!l)
		return 0;
	assert_ptr_equal(g->lanes[1].lookup, l);
	assert_null(g->lanes[2].lookup);
	assert_int_equal(l->waiting, 2);
	sweep_tick(g);
	l->waiting = 1;
	sweep_tick(g); /* both have to have looked */
	assert_int_equal(ends, 0);
	if (known >= 0)
		l->known[known] = true;
	l->waiting = 0;
	g->lanes[0].lookup = g->lanes[1].lookup = NULL;
	size_t count = l->count;
	sweep_tick(g);
	return count;
}

static uint64_t swept(void)
{
	struct sweep_counters c;
	sweep_count(g->sweep, &c);
	return c.swept;
}

/* ---- the tests ---- */

static void whose_session_changed_has_all_flows_looked_for(void **state)
{
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	add_table_flow("10.0.0.8", "203.0.113.1", 2);
	add_table_flow("203.0.113.1", "10.0.0.7", 3); /* seen from the other side */
	add_table_flow("10.0.0.7", "203.0.113.2", 4);
	change("10.0.0.7");
	sweep_tick(g);
	assert_int_equal(workers_answer(-1), 3);
	assert_int_equal(ends, 3);
	assert_int_equal(ended[0].client_port, 1);
	assert_int_equal(ended[1].client_port, 3);
	assert_int_equal(ended[2].client_port, 4);
	assert_int_equal(swept(), 3);
	for (int i = 0; i < 3; i++)
		sweep_tick(g); /* once */
	assert_int_equal(lists, 1);
	assert_int_equal(ends, 3);
}

/* What a worker remembers it ends itself; what the kernel has no more is not counted. */
static void what_a_worker_remembers_is_left_to_it(void **state)
{
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	add_table_flow("10.0.0.7", "203.0.113.2", 2);
	add_table_flow("10.0.0.7", "203.0.113.3", 3);
	unknown_port = 3;
	change("10.0.0.0/24");
	sweep_tick(g);
	assert_int_equal(workers_answer(0), 3);
	assert_int_equal(ends, 2);
	assert_int_equal(ended[0].client_port, 2);
	assert_int_equal(swept(), 1);
}

/* Another policy, a lockdown and a schedule's edge may concern each flow. */
static void what_concerns_all_walks_over_all(void **state)
{
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	add_table_flow("10.9.0.7", "203.0.113.1", 2);
	for (int reason = 0; reason < 4; reason++) {
		ends = 0;
		if (reason == 0) {
			digest = "4567";
			edge = 2000;
		} else if (reason == 1) {
			g->lockdowns.generation++;
		} else if (reason == 2) {
			wall = 1999;
			sweep_tick(g); /* not yet */
			assert_null(g->lanes[0].lookup);
			wall = 2000;
			edge = 3000;
		} else {
			changes = SIZE_MAX; /* of so many sessions that nobody knows whose */
		}
		sweep_tick(g);
		assert_int_equal(workers_answer(-1), 2);
		assert_int_equal(ends, 2);
		sweep_tick(g);
		assert_int_equal(lists, reason + 1);
	}
	wall = 2999;
	sweep_tick(g);
	assert_int_equal(lists, 4);
	wall = 3001; /* past it is past it */
	edge = 0;    /* the last one */
	sweep_tick(g);
	assert_int_equal(lists, 5);
	ends = 0;
	workers_answer(-1);
	wall = INT64_MAX;
	sweep_tick(g);
	assert_int_equal(lists, 5);
}

/* Set back, it is before an edge again, and in a lockdown that was over. */
static void a_clock_that_is_set_back_concerns_all(void **state)
{
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	wall = 1001;
	sweep_tick(g);
	assert_int_equal(lists, 0);
	wall = 1000;
	sweep_tick(g);
	assert_int_equal(workers_answer(-1), 1);
	assert_int_equal(ends, 1);
	sweep_tick(g);
	assert_int_equal(lists, 1);
}

/* Whether the first look of a process that starts after one that was killed walks. */
static bool walks_at_start(void)
{
	struct sweep *before = g->sweep;
	unsigned n = lists;
	g->sweep = sweep_new();
	sweep_tick(g);
	sweep_free(g->sweep);
	g->sweep = before;
	return lists > n;
}

static void what_a_killed_process_left_is_done_by_the_next(void **state)
{
	struct lockdown *l = &g->lockdowns.item[0];
	g->store = (struct store *)g; /* some */
	was = (struct state_swept){900, "0123"};
	was_kept = true;
	assert_false(walks_at_start());
	strcpy(was.policy, "4567");
	assert_true(walks_at_start());
	strcpy(was.policy, "0123");
	edge = 1000;
	assert_true(walks_at_start());
	edge = 1001;
	assert_false(walks_at_start());
	was.wall = 1001; /* set back meanwhile */
	assert_true(walks_at_start());
	was.wall = 900;
	g->lockdowns.count = 1;
	*l = (struct lockdown){.since = 900, .until = 1001};
	assert_false(walks_at_start());
	l->since = 901;
	assert_true(walks_at_start());
	l->until = 1000; /* over */
	assert_false(walks_at_start());
	was_kept = false; /* the first process: of no other policy, and nothing is shut */
	was = (struct state_swept){0};
	assert_false(walks_at_start());
	l->until = 1001;
	assert_true(walks_at_start());
	g->store = NULL; /* nothing is kept */
	was_kept = true;
	assert_false(walks_at_start());
}

/* Not before workers have done theirs, and never while a walk is to be done. */
static void what_is_done_is_noted(void **state)
{
	g->store = (struct store *)g;
	keeps = 0;
	sweep_tick(g);
	assert_int_equal(keeps, 1);
	assert_int_equal(kept.wall, 1000);
	assert_string_equal(kept.policy, "0123");
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	digest = "4567";
	list_fails = -ENOBUFS;
	for (int i = 0; i < 3 * NOTED; i++)
		sweep_tick(g);
	assert_int_equal(keeps, 1);
	list_fails = 0;
	sweep_tick(g);
	for (int i = 0; i < 3 * NOTED; i++)
		sweep_tick(g); /* the walk is out */
	assert_int_equal(keeps, 1);
	assert_int_equal(workers_answer(-1), 1);
	wall = 1001;
	for (int i = 0; i < NOTED; i++)
		sweep_tick(g);
	assert_int_equal(keeps, 2);
	assert_int_equal(kept.wall, 1001);
	assert_string_equal(kept.policy, "4567");
	ends = 0;
	g->lockdowns.generation++;
	sweep_tick(g);
	workers_answer(-1);
	for (int i = 0; i < SETTLED - 4; i++)
		sweep_tick(g);
	assert_int_equal(keeps, 2);
	for (int i = 0; i < 4; i++)
		sweep_tick(g);
	assert_int_equal(keeps, 3);
	g->store = NULL;
	for (int i = 0; i < 2 * NOTED; i++)
		sweep_tick(g);
	assert_int_equal(keeps, 3);
}

/* A change while a round is out is of the next round. */
static void what_changes_meanwhile_is_not_forgotten(void **state)
{
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	add_table_flow("10.0.0.8", "203.0.113.1", 2);
	change("10.0.0.7");
	sweep_tick(g);
	change("10.0.0.8");
	assert_int_equal(workers_answer(-1), 1);
	assert_int_equal(ended[0].client_port, 1);
	ends = 0;
	sweep_tick(g);
	assert_int_equal(workers_answer(-1), 1);
	assert_int_equal(ended[0].client_port, 2);
}

/* More changes than fit beside those that wait: all flows, rather than some. */
static void changes_that_do_not_fit_are_everybodys(void **state)
{
	add_table_flow("10.9.0.7", "203.0.113.1", 1);
	list_fails = -ENOBUFS;
	change("10.0.0.7");
	sweep_tick(g);
	for (size_t i = 0; i < SESSION_CHANGES - 1; i++)
		change("10.0.0.8"); /* they fit, by one */
	sweep_tick(g);
	assert_false(g->sweep->all);
	change("10.0.0.9");
	sweep_tick(g);
	assert_true(g->sweep->all);
	list_fails = 0;
	sweep_tick(g);
	assert_int_equal(workers_answer(-1), 1);
}

/* A walk that fails is walked again, and said. */
static void a_walk_that_fails_is_done_again(void **state)
{
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	change("10.0.0.7");
	list_fails = -ENOBUFS;
	for (unsigned i = 1; i <= 3; i++) {
		sweep_tick(g);
		assert_int_equal(lists, i);
		assert_int_equal(complaints, i);
		assert_null(g->lanes[0].lookup);
	}
	list_fails = 0;
	sweep_tick(g);
	assert_int_equal(workers_answer(-1), 1);
	assert_int_equal(ends, 1);
	sweep_tick(g);
	assert_int_equal(lists, 4);
}

/* Nobody is asked about nothing. */
static void a_walk_that_finds_nothing_is_over(void **state)
{
	change("10.0.0.7");
	sweep_tick(g);
	assert_int_equal(lists, 1);
	assert_int_equal(complaints, 0);
	assert_null(g->lanes[0].lookup);
	assert_false(g->sweep->out);
	sweep_tick(g);
	assert_int_equal(lists, 1);
}

/* Whose quota is used up is known without a walk. */
static void spent_quotas_flows_are_taken_as_they_are(void **state)
{
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	spent = 2;
	g->spent_changed = true;
	sweep_tick(g);
	assert_int_equal(lists, 0);
	assert_false(g->spent_changed);
	assert_int_equal(workers_answer(-1), 2);
	assert_int_equal(ended[0].client_port, 9000);
	assert_int_equal(ended[1].client_port, 9001);
	sweep_tick(g);
	assert_null(g->lanes[0].lookup);
}

/* The room of a round grows as it has to; where it can't, what is left is counted and said. */
static void a_round_has_room_for_all(void **state)
{
	for (unsigned i = 0; i < 4096; i++)
		add_table_flow("10.0.0.7", "203.0.113.1", (uint16_t)i);
	change("10.0.0.7");
	sweep_tick(g);
	assert_int_equal(workers_answer(-1), 4096);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(ended[i].client_port, i);
	struct sweep_counters c;
	sweep_count(g->sweep, &c);
	assert_int_equal(c.left, 0);
	assert_int_equal(complaints, 0);
}

static void a_round_has_a_bound(void **state)
{
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	for (unsigned i = 1; i < 4096; i++)
		table[i] = table[0];
	flows = (1 << 20) + 5;
	change("10.0.0.7");
	sweep_tick(g);
	assert_int_equal(g->sweep->lookup.count, 1 << 20);
	struct sweep_counters c;
	sweep_count(g->sweep, &c);
	assert_int_equal(c.left, 5);
	assert_int_equal(complaints, 1);
}

/* Who was concerned the last time is not concerned again. */
static void a_round_is_over_when_it_is_over(void **state)
{
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	add_table_flow("10.0.0.8", "203.0.113.1", 2);
	add_table_flow("10.0.0.9", "203.0.113.1", 3);
	change("10.0.0.7");
	change("10.0.0.8");
	sweep_tick(g);
	assert_int_equal(workers_answer(-1), 2);
	ends = 0;
	change("10.0.0.9");
	sweep_tick(g);
	assert_int_equal(workers_answer(-1), 1);
	assert_int_equal(ended[0].client_port, 3);
}

static void without_memory_a_walk_is_done_again(void **state)
{
	bool failed = NO_MEMORY;
	add_table_flow("10.0.0.7", "203.0.113.1", 1);
	change("10.0.0.7");
	for (long n = 0; failed; n++) {
		no_memory_at(n);
		sweep_tick(g);
		failed = no_memory_failed;
		no_memory_end();
		if (n == 0 && failed) { /* no room for the flow: it stays, and that is said */
			struct sweep_counters c;
			sweep_count(g->sweep, &c);
			assert_int_equal(c.left, 1);
			assert_int_equal(complaints, 1);
			change("10.0.0.7");
		} else if (failed) {
			assert_null(g->lanes[0].lookup);
		}
	}
	assert_int_equal(workers_answer(-1), 1);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(whose_session_changed_has_all_flows_looked_for),
		WITH(what_a_worker_remembers_is_left_to_it),
		WITH(what_concerns_all_walks_over_all),
		WITH(a_clock_that_is_set_back_concerns_all),
		WITH(what_a_killed_process_left_is_done_by_the_next),
		WITH(what_is_done_is_noted),
		WITH(what_changes_meanwhile_is_not_forgotten),
		WITH(changes_that_do_not_fit_are_everybodys),
		WITH(a_walk_that_fails_is_done_again),
		WITH(a_walk_that_finds_nothing_is_over),
		WITH(spent_quotas_flows_are_taken_as_they_are),
		WITH(a_round_has_room_for_all),
		WITH(a_round_has_a_bound),
		WITH(a_round_is_over_when_it_is_over),
		WITH(without_memory_a_walk_is_done_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
