/* A reload: what a running daemon can't change is refused by name, nothing of a refused one goes
 * further, and one that has no thread says so. Loading, the rules and threads are the test's. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int thread_begins(pthread_t *thread, const pthread_attr_t *how, void *run(void *), void *ctx);
int thread_is_named(pthread_t thread, const char *name);
int thread_ends(pthread_t thread, void **result);

#define pthread_create         thread_begins
#define pthread_setname_np     thread_is_named
#define setpriority            thread_is_nice
#define policy_load_and_expect loads
#define table_fixed            fixed_settings
#define wiring_loaded          rules_are_loaded
#define hits_count             hits_are_counted
#define history_changed        history_grows
#define config_keep            configuration_is_kept
#define pthread_join           thread_ends
#define snapshot_digest        digest_of
#define gateway_act            act_is_recorded
#define control_reloaded       clients_are_told
#include "gateway/reload.c"

static struct config start, next;
static bool load_fails, fixed_differs, rules_missing;
static int thread_fails;
static unsigned threads, kept;

int thread_begins(pthread_t *thread, const pthread_attr_t *how, void *run(void *), void *ctx)
{
	threads += thread_fails == 0;
	return thread_fails;
}

int thread_is_named(pthread_t thread, const char *name)
{
	return 0;
}

int thread_is_nice(__priority_which_t which, id_t who, int nice)
{
	return 0;
}

bool loads(const char *path, enum config_use use, struct policy *out, struct errors *errors)
{
	if (load_fails)
		errors_add(errors, path, 3, "wrong");
	else
		out->config = &next;
	return !load_fails;
}

void fixed_settings(const struct table *t, const void *a, const void *b,
		    void (*say)(void *ctx, const char *name), void *ctx)
{
	assert_ptr_equal(a, &start);
	assert_ptr_equal(b, &next);
	if (fixed_differs)
		say(ctx, "control_socket");
}

bool rules_are_loaded(const struct config *c, struct errors *errors)
{
	assert_ptr_equal(c, &next);
	if (rules_missing)
		errors_add(errors, NULL, 0, "the rules are others");
	return !rules_missing;
}

void hits_are_counted(const struct gateway *g, struct policy *p)
{
}

void history_grows(const struct config *before, const char *digest_before, const struct config *now,
		   const char *digest, const char *by)
{
	kept++;
}

bool configuration_is_kept(const struct config *c, struct errors *errors)
{
	kept++;
	return true;
}

static unsigned ended, answered, acts;
static char asked_by[64];

int thread_ends(pthread_t thread, void **result)
{
	ended++;
	return 0;
}

const char *digest_of(const struct snapshot *s)
{
	return "d1gest";
}

void act_is_recorded(struct gateway *g, const char *by, const char *act, const char *about)
{
	snprintf(asked_by, sizeof asked_by, "%s", by);
	acts++;
}

void clients_are_told(struct control *c, const struct errors *errors)
{
	answered++;
}

static struct gateway *g;

static int begin(void **state)
{
	load_fails = fixed_differs = rules_missing = false;
	thread_fails = 0;
	threads = kept = ended = answered = acts = 0;
	g = calloc(1, sizeof *g);
	g->config = &start;
	g->o.config = "main.conf";
	g->reload.done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return g->reload.done_fd < 0 ? -1 : 0;
}

static int end(void **state)
{
	close(g->reload.done_fd);
	errors_deinit(&g->reload.errors);
	free(g);
	return 0;
}

/* Whether the main thread was told that there is something to look at. */
static bool told(void)
{
	eventfd_t count = 0;
	return eventfd_read(g->reload.done_fd, &count) == 0 && count == 1;
}

static void refused(const char *because, size_t lines)
{
	reload_run(g);
	assert_true(told());
	assert_int_equal(g->reload.errors.count, lines);
	assert_non_null(strstr(g->reload.errors.lines[0], because));
	assert_int_equal(kept, 0);
}

static void what_is_fixed_is_refused_by_name(void **state)
{
	fixed_differs = true;
	refused("control_socket: a running tiergated can't change it", 1);
}

static void what_cannot_be_loaded_is_refused(void **state)
{
	load_fails = fixed_differs = rules_missing = true; /* and nothing else is looked at */
	refused("main.conf", 1);
}

static void rules_that_are_not_loaded_are_asked_for(void **state)
{
	rules_missing = true;
	refused("the rules are others", 2);
	assert_non_null(strstr(g->reload.errors.lines[1], "tiergatectl wiring up"));
}

static void a_good_one_is_kept_and_told_once(void **state)
{
	reload_run(g);
	assert_true(told());
	assert_int_equal(g->reload.errors.count, 0);
	assert_ptr_equal(g->reload.policy.config, &next);
	assert_int_equal(kept, 2); /* the files, and the history's row */
}

static void without_a_thread_it_is_over(void **state)
{
	thread_fails = EAGAIN;
	reload_begin(g, "root");
	assert_false(g->reload.running);
	assert_true(told());
	assert_int_equal(g->reload.errors.count, 1);
	assert_non_null(strstr(g->reload.errors.lines[0], "a thread could not be started"));
}

/* It may have read files that are no longer the same. */
static void one_that_is_asked_for_meanwhile_comes_after(void **state)
{
	reload_begin(g, "root");
	assert_true(g->reload.running);
	assert_false(g->reload.again || told());
	assert_int_equal(g->reload.errors.count, 0);
	assert_true(reload_begin(g, "anna"));
	assert_true(g->reload.running && g->reload.again);
	assert_string_equal(g->reload.by, "root");
	assert_int_equal(threads, 1);
	g->reload.running = false;
}

/* Each one ends and is answered, however often another one is asked for meanwhile. */
static void none_is_held_up_by_those_that_follow(void **state)
{
	load_fails = true;
	assert_false(reload_begin(g, "root"));
	for (unsigned i = 1; i < 5; i++) {
		assert_true(reload_begin(g, "eva"));
		assert_true(reload_begin(g, "anna"));
		reload_run(g);
		reload_done(NULL, g->reload.done_fd, 0, g);
		assert_int_equal(ended, i);
		assert_int_equal(answered, i);
		assert_int_equal(acts, i);
		assert_string_equal(asked_by, i == 1 ? "root" : "anna");
		assert_int_equal(threads, i + 1); /* one for both */
		assert_true(g->reload.running && !g->reload.again && !told());
	}
	reload_run(g);
	reload_done(NULL, g->reload.done_fd, 0, g);
	assert_int_equal(threads, 5); /* and none by itself */
	assert_false(g->reload.running);
}

/* systemd tells by it which of two reloads is the later one (sd_notify(3)). */
static void systemd_is_told_when_it_began(void **state)
{
	struct timespec t[2];
	clock_gettime(CLOCK_MONOTONIC, &t[0]);
	uint64_t told_us = monotonic_usec();
	clock_gettime(CLOCK_MONOTONIC, &t[1]);
	assert_true((uint64_t)t[0].tv_sec * 1000000 + (uint64_t)t[0].tv_nsec / 1000 <= told_us);
	assert_true((uint64_t)t[1].tv_sec * 1000000 + (uint64_t)t[1].tv_nsec / 1000 >= told_us);
}

#define RELOAD_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELOAD_TEST(what_is_fixed_is_refused_by_name),
		RELOAD_TEST(what_cannot_be_loaded_is_refused),
		RELOAD_TEST(rules_that_are_not_loaded_are_asked_for),
		RELOAD_TEST(a_good_one_is_kept_and_told_once),
		RELOAD_TEST(without_a_thread_it_is_over),
		RELOAD_TEST(one_that_is_asked_for_meanwhile_comes_after),
		RELOAD_TEST(none_is_held_up_by_those_that_follow),
		RELOAD_TEST(systemd_is_told_when_it_began),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
