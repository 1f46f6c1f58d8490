/* What of the gateway is written when, and what becomes of a lockdown: the state's own functions,
 * the workers and the clock are the test's. */
#include "unit.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned warnings, complaints;
static void warn(const char *format, ...)
{
	warnings++;
}
static void complain(const char *format, ...)
{
	complaints++;
}
static int64_t wall;
static int64_t wall_clock(void)
{
	return wall;
}
#define clock_wall              wall_clock
#define log_warn                warn
#define log_error               complain
#define log_allowed(limit, now) ((void)(limit), true)
#include "gateway/lockdown.c"
#include "gateway/memory.c"

/* ---- what happens, a word each ---- */

static char happened[4096];
static int fails; /* -errno of each save */

static void note(const char *format, ...)
{
	size_t at = strlen(happened);
	va_list more;
	va_start(more, format);
	vsnprintf(happened + at, sizeof happened - at, format, more);
	va_end(more);
}

static void did(const char *want)
{
	if (strcmp(happened, want) != 0)
		fail_msg("did \"%s\" and not \"%s\"", happened, want);
	happened[0] = '\0';
}

static int save(const char *what)
{
	note("%s ", what);
	return fails;
}

static uint64_t sessions_at, usage_at;
static uint32_t session_count;

uint64_t sessions_generation(const struct sessions *s)
{
	return sessions_at;
}

uint32_t sessions_count(const struct sessions *s)
{
	return session_count;
}

static struct network changed_of[SESSION_CHANGES];
static size_t changes; /* since they were kept */
static struct address still_there;

size_t sessions_changes(const struct sessions *s, uint64_t *since,
			struct network out[static SESSION_CHANGES])
{
	if (changes != SIZE_MAX)
		memcpy(out, changed_of, changes * sizeof *out);
	++*since;
	return changes;
}

bool session_at(struct sessions *s, const struct address *a, int64_t now, struct session *out)
{
	out->since = 1234;
	return address_equal(a, &still_there);
}

static struct state_end gone[SESSION_CHANGES];

int state_save_ended(struct store *to, const struct state_end *list, size_t count, int64_t now)
{
	note("ended%zu ", count);
	memcpy(gone, list, count * sizeof *gone);
	return fails;
}

uint64_t usage_generation(const struct usage *u)
{
	return usage_at;
}

int state_save_sessions(struct store *to, struct sessions *s)
{
	return save("sessions");
}

int state_save_names(struct store *to, struct seen *s)
{
	return save("names");
}

int state_save_quotas(struct store *to, const struct usage *u, struct meter *m)
{
	return save("quotas");
}

void hits_save(struct gateway *g, bool last)
{
	note("hits%s ", last ? "-last" : "");
}

int state_save_flows(struct store *to, unsigned index, const struct flow_memory *list, size_t count,
		     const char *policy)
{
	assert_string_equal(policy, "0123");
	note("flows%u:%zu ", index, count);
	return fails;
}

const char *snapshot_digest(const struct snapshot *s)
{
	return "0123";
}

size_t worker_remember(struct worker *w, uint32_t *slot, bool waiting, struct flow_memory *out,
		       size_t max)
{
	assert_true(waiting); /* also what is not decided yet: no process goes on with it */
	assert_int_equal(*slot, 0);
	assert_int_equal(max, 100);
	return (size_t)(uintptr_t)w;
}

int state_save_lockdowns(struct store *to, const struct lockdowns *l)
{
	return save("lockdowns");
}

/* ---- and at a start ---- */

static bool no_store;

struct store *store_folder_new(const char *folder)
{
	assert_string_equal(folder, "/state");
	return no_store ? NULL : (struct store *)1;
}

unsigned state_load_lockdowns(struct store *from, struct lockdowns *l, bool *lost)
{
	note("lockdowns? ");
	*lost = true;
	return l->count = 1;
}

void hits_load(struct gateway *of)
{
	note("hits? ");
}

void quotas_load(struct gateway *of)
{
	note("quotas? ");
}

static unsigned ended_before;

unsigned state_load_ended(struct store *from, struct sessions *s, int64_t now)
{
	note("ended? ");
	return ended_before;
}

unsigned state_load_sessions(struct store *from, struct sessions *s, int64_t now)
{
	note("sessions? ");
	sessions_at = 5;
	return 1;
}

unsigned state_load_names(struct store *from, struct seen *s, int64_t now)
{
	note("names? ");
	return 1;
}

unsigned state_load_flows(struct store *from, unsigned index, const char *policy,
			  void (*each)(void *ctx, const struct flow_memory *m, bool same),
			  void *ctx)
{
	const struct flow_memory m = {.isn = index};
	note("flows%u? ", index);
	each(ctx, &m, true);
	return 1;
}

void worker_restore(struct worker *w, const struct flow_memory *m)
{
	assert_int_equal((uintptr_t)w, 11 + m->isn); /* the lane's own */
	note("flow ");
}

static bool locks_fail, locked_before;
static unsigned locks_freed, rcu_waits;

bool lockdown_holds(const struct lockdown *l, int64_t now)
{
	return now < l->until;
}

struct locks *locks_make(const struct snapshot *s, const struct lockdowns *l,
			 struct errors *missing, bool *failed)
{
	note("lock%u ", l->count);
	*failed = locks_fail;
	return NULL;
}

struct locks *snapshot_lock(struct snapshot *s, struct locks *l)
{
	return locked_before ? (struct locks *)1 : NULL;
}

void locks_free(struct locks *l)
{
	locks_freed += l != NULL;
}

#undef synchronize_rcu
void urcu_memb_synchronize_rcu(void)
{
	assert_int_equal(locks_freed, rcu_waits); /* readers first */
	rcu_waits++;
}

int sd_event_exit(sd_event *e, int code)
{
	note("exit%d ", code);
	return 0;
}

void gateway_act(struct gateway *g, const char *by, const char *what, const char *detail)
{
	note("%s:%s ", what, detail);
}

/* ---- set up ---- */

static struct gateway *g;
static struct config config;
static struct flow_memory memory[2];

static int set_up(void **state)
{
	g = calloc(1, sizeof *g);
	config = (struct config){.queues = 2, .flows = 100, .state_dir = (char *)"/state"};
	g->config = &config;
	g->store = (struct store *)1;
	happened[0] = '\0';
	fails = 0;
	sessions_at = usage_at = session_count = 0;
	changes = 0;
	warnings = complaints = locks_freed = rcu_waits = 0;
	locks_fail = locked_before = false;
	wall = 1000;
	return 0;
}

static int tear_down(void **state)
{
	free(g);
	return 0;
}

static void ticks(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		state_save_tick(g);
}

/* ---- the tests ---- */

static void what_changed_is_kept_with_the_next_tick_and_the_rest_each_minute(void **state)
{
	ticks(59);
	did("");
	ticks(1);
	did("names hits ");
	sessions_at = 1;
	ticks(1);
	did("sessions ");
	ticks(58);
	did("");
	ticks(1);
	did("names hits ");
	session_count = 1; /* whose traffic moves no generation */
	usage_at = 1;
	ticks(59);
	did("");
	ticks(1);
	did("sessions quotas names hits ");
	usage_at = 2;
	g->usage_urgent = true; /* it is not to be had twice */
	ticks(1);
	did("quotas ");
	assert_false(g->usage_urgent);
	g->usage_urgent = true; /* what is kept already is not kept again */
	ticks(1);
	did("");
}

/* What could not be written is tried with the next tick, and said each time. */
static void what_could_not_be_kept_is_tried_again(void **state)
{
	sessions_at = 1;
	fails = -ENOSPC;
	ticks(2);
	did("sessions sessions ");
	assert_int_equal(warnings, 2);
	fails = 0;
	ticks(2);
	did("sessions ");
	assert_int_equal(warnings, 2);
	usage_at = 1;
	g->usage_urgent = true;
	fails = -ENOSPC;
	ticks(1);
	did("quotas ");
	assert_int_equal(warnings, 3);
	fails = 0;
	ticks(1);
	did("quotas ");
	usage_at = 2;
	quotas_keep(g); /* somebody is about to be cut: at once */
	did("quotas ");
	assert_false(g->usage_urgent);
	usage_at = 3;
	fails = -ENOSPC;
	quotas_keep(g);
	did("quotas ");
	assert_true(g->usage_urgent);
	fails = 0;
	ticks(53); /* up to the minute */
	did("quotas ");
	ticks(1);
	did("names hits ");
}

static void without_a_store_nothing_is_kept(void **state)
{
	g->store = NULL;
	sessions_at = usage_at = session_count = 1;
	g->usage_urgent = true;
	g->lanes[0].memory_count = 3;
	ticks(60);
	quotas_keep(g);
	did("");
	assert_false(g->lanes[0].remember);
}

/* A worker is asked each minute, and what it gives is written when it is whole; nobody is asked
 * again before. */
static void flows_are_asked_for_and_written_when_they_are_whole(void **state)
{
	g->lanes[0].memory_slot = 7;
	g->lanes[2].memory_count = 7; /* of no queue of ours */
	ticks(60);
	did("names hits ");
	assert_true(g->lanes[0].remember && g->lanes[1].remember);
	assert_false(g->lanes[2].remember);
	assert_int_equal(g->lanes[0].memory_slot, 0);
	g->lanes[0].memory_count = 5; /* at work */
	g->lanes[0].memory_slot = 3;
	g->lanes[1].memory_count = 4;
	g->lanes[1].remember = false; /* done */
	ticks(1);
	did("flows1:4 ");
	assert_int_equal(g->lanes[1].memory_count, 0);
	assert_int_equal(g->lanes[0].memory_count, 5);
	ticks(59);
	did("names hits ");
	assert_true(g->lanes[1].remember);
	assert_int_equal(g->lanes[0].memory_slot, 3); /* it goes on where it was */
	g->lanes[1].memory_slot = 9;                  /* and has found none so far */
	ticks(60);
	did("names hits ");
	assert_int_equal(g->lanes[1].memory_slot, 9);
	g->lanes[0].remember = false;
	ticks(1);
	did("flows0:5 ");
	assert_false(g->lanes[0].remember);
}

static void a_stop_keeps_all(void **state)
{
	sessions_at = session_count = usage_at = 1;
	g->lanes[0].memory = memory;
	g->lanes[0].worker = (struct worker *)11;
	g->lanes[1].memory = memory;
	g->lanes[2].memory = memory; /* of no queue of ours */
	g->lanes[2].worker = (struct worker *)13;
	state_save_all(g);
	did("sessions quotas names hits-last flows0:11 ");
	g->lanes[1].worker = (struct worker *)12;
	g->lanes[0].memory = NULL; /* a lane that was not opened */
	g->lanes[1].memory_slot = 9;
	state_save_all(g);
	did("sessions names hits-last flows1:12 ");
}

/* Who was told that somebody is signed out relies on it: their addresses are written at once, and
 * of more than are remembered all sessions. */
static void who_is_signed_out_stays_so(void **state)
{
	assert_true(network_parse("10.0.0.7", &changed_of[0]));
	assert_true(network_parse("10.0.0.8", &changed_of[1])); /* another's now */
	assert_true(network_parse("2001:db8::/64", &changed_of[2]));
	assert_true(network_parse("10.0.0.9", &changed_of[3]));
	still_there = changed_of[1].base;
	changes = 4;
	assert_int_equal(gateway_ended(g), 0);
	did("ended3 ");
	const int64_t since[] = {0, 1234, 0};
	for (unsigned i = 0; i < 3; i++) {
		assert_true(address_equal(&gone[i].at, &changed_of[i == 2 ? 3 : i].base));
		assert_int_equal(gone[i].since, since[i]);
	}
	sessions_at = 1;
	ticks(1);
	did("sessions ended0 ");
	ticks(1);
	did("");
	sessions_at = 2;
	ticks(1);
	did("sessions "); /* there is no list any more */
	changes = SIZE_MAX;
	assert_int_equal(gateway_ended(g), 0);
	did("sessions ");
	changes = 1;
	fails = -ENOSPC;
	assert_int_equal(gateway_ended(g), -ENOSPC); /* and whoever asked is told */
	did("ended1 ");
	fails = 0;
	g->store = NULL;
	assert_int_equal(gateway_ended(g), -ENOENT);
	did("");
	still_there = (struct address){0};
}

/* ---- lockdowns ---- */

/* It is kept before it is in force: a crash in between shuts too much. */
static void a_lockdown_is_kept_before_it_is_in_force(void **state)
{
	struct lockdowns *l = calloc(1, sizeof *l);
	l->count = 2;
	g->lockdowns_lost = true;
	assert_int_equal(gateway_lock(g, l), 0);
	did("lockdowns lock2 ");
	assert_int_equal(gateway_lockdowns(g)->count, 2);
	assert_false(g->lockdowns_lost); /* somebody has said what is to be shut */
	fails = -ENOSPC;
	l->count = 3;
	assert_int_equal(gateway_lock(g, l), -ENOSPC); /* and it is in force all the same */
	did("lockdowns lock3 ");
	assert_int_equal(gateway_lockdowns(g)->count, 3);
	g->store = NULL;
	assert_int_equal(gateway_lock(g, l), -ENOENT);
	did("lock3 ");
	free(l);
}

/* Without memory for its lock the process ends, and the rules deny what nobody decides. */
static void a_lockdown_that_cannot_be_in_force_ends_the_process(void **state)
{
	struct lockdowns *l = calloc(1, sizeof *l);
	l->count = 1;
	locks_fail = true;
	gateway_lock(g, l);
	did("lockdowns lock1 exit1 ");
	assert_int_equal(complaints, 1);
	free(l);
}

static void an_older_lock_goes_when_no_worker_reads_it(void **state)
{
	assert_true(lockdowns_over(g, NULL));
	assert_int_equal(rcu_waits, 0);
	locked_before = true;
	assert_true(lockdowns_over(g, NULL));
	assert_int_equal(rcu_waits, 1);
	assert_int_equal(locks_freed, 1);
}

/* What is shut is shut before anything else is remembered, and what was in force is not written
 * again. */
static void a_start_remembers_lockdowns_first(void **state)
{
	g->lanes[0].worker = (struct worker *)11;
	g->lanes[1].worker = (struct worker *)12;
	g->store = NULL;
	assert_true(state_load(g));
	did("lockdowns? lock1 hits? quotas? sessions? ended? names? flows0? flow flows1? flow ");
	assert_non_null(g->store);
	assert_true(g->lockdowns_lost);
	ticks(1);
	did("");
	ended_before = 1; /* whom the sessions' file still has */
	assert_true(state_load(g));
	happened[0] = '\0';
	sessions_at = 6;
	ticks(1);
	did("sessions ended0 "); /* and which then needs no list beside it */
	ticks(1);
	did("");
	ended_before = 0;
	locks_fail = true;
	assert_false(state_load(g));
	did("lockdowns? lock1 ");
	no_store = true;
	assert_true(state_load(g)); /* nothing is kept, and nothing was */
	did("");
	no_store = false;
}

/* Each end is told once, when its time has come. */
static void an_end_is_told_once(void **state)
{
	g->lockdowns.count = 3;
	g->lockdowns.item[0] = (struct lockdown){.id = 4, .until = 1000};
	g->lockdowns.item[1] = (struct lockdown){.id = 5, .until = 1500};
	g->lockdowns.item[2] = (struct lockdown){.id = 6, .until = INT64_MAX};
	g->locks_told = 999;
	lockdowns_tick(g);
	did("lockdown-end:4 ");
	lockdowns_tick(g);
	wall = 1499;
	lockdowns_tick(g);
	did("");
	wall = 1500;
	lockdowns_tick(g);
	did("lockdown-end:5 ");
	wall = 9999;
	lockdowns_tick(g);
	did("");
	g->lockdowns.item[2].until = 9999; /* was over when it was told last */
	lockdowns_tick(g);
	did("");
	wall = 1499; /* set back: what holds again is told, and its end again */
	lockdowns_tick(g);
	did("lockdown:5, again lockdown:6, again ");
	lockdowns_tick(g);
	did("");
	wall = 1500;
	lockdowns_tick(g);
	did("lockdown-end:5 ");
}

/* The next one takes the room of what was over, before the second in which its end is told. */
static void an_end_is_told_before_its_room_is_taken(void **state)
{
	struct lockdowns *l = calloc(1, sizeof *l);
	g->lockdowns.count = 1;
	g->lockdowns.item[0] = (struct lockdown){.id = 4, .until = 1000};
	g->locks_told = 999;
	l->count = 1;
	l->item[0] = (struct lockdown){.id = 5, .until = 1500};
	wall = 1000;
	assert_int_equal(gateway_lock(g, l), 0);
	did("lockdown-end:4 lockdowns lock1 ");
	wall = 900;
	g->locks_told = 2000; /* set back since, and then locked: that is no "again" */
	l->item[0].id = 6;
	assert_int_equal(gateway_lock(g, l), 0);
	did("lockdown:5, again lockdowns lock1 ");
	lockdowns_tick(g);
	did("");
	free(l);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(what_changed_is_kept_with_the_next_tick_and_the_rest_each_minute),
		WITH(what_could_not_be_kept_is_tried_again),
		WITH(without_a_store_nothing_is_kept),
		WITH(flows_are_asked_for_and_written_when_they_are_whole),
		WITH(a_stop_keeps_all),
		WITH(who_is_signed_out_stays_so),
		WITH(a_lockdown_is_kept_before_it_is_in_force),
		WITH(a_lockdown_that_cannot_be_in_force_ends_the_process),
		WITH(an_older_lock_goes_when_no_worker_reads_it),
		WITH(a_start_remembers_lockdowns_first),
		WITH(an_end_is_told_once),
		WITH(an_end_is_told_before_its_room_is_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
