/* Who looks after the rules, look by look: what is a loss and said once, when it is put back, what
 * is left alone, and what was counted. The kernel and its rules are the test's. */
#include "no_memory.h"
#include "netlink_kernel.h"
#include "unit.h"

#include "base/log.h"

#include <stdio.h>

/* What an operator is warned of. */
static unsigned warnings;
static char warned[512];
static void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void warn(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(warned, sizeof warned, format, args);
	va_end(args);
	warnings++;
}
#define log_warn warn
#include "wiring/watch.c"

/* ---- the rules, and what is done with them ---- */

static enum wiring_state found; /* by the next look */
static enum wiring_state after; /* by those behind a restore */
static struct ruleset set;
static int unreadable;
static uint64_t counted[RULESET_COUNTS];
static unsigned restores;
static bool restore_fails, down;
static int lock_says;
static struct rules_name restored_name;
static enum wiring_backend restored_backend;

int ruleset_read(struct ruleset *r)
{
	*r = set;
	return unreadable;
}

void ruleset_deinit(struct ruleset *r)
{
}

enum wiring_state wiring_judge(const struct config *c, const struct ruleset *r,
			       uint64_t counts[static RULESET_COUNTS], char out[static 256])
{
	memcpy(counts, counted, sizeof counted);
	snprintf(out, 256, "sentence %d", found);
	return found;
}

static const char *setting; /* the fault of one */

bool wiring_settings(char out[static 256])
{
	snprintf(out, 256, "%s", setting ? setting : "");
	return !setting;
}

bool wiring_restore(const struct config *c, enum wiring_backend b, const struct rules_name *name,
		    struct errors *errors)
{
	restores++;
	restored_name = *name;
	restored_backend = b;
	found = after;
	if (restore_fails)
		errors_add(errors, NULL, 0, "nft: broken");
	return !restore_fails;
}

int wiring_lock(const struct config *c, bool wait)
{
	assert_false(wait);
	return lock_says;
}

bool wiring_is_down(const struct config *c)
{
	return down;
}

static const char *link_fault;
static bool links_unknown;

bool links_check(const struct strings *inside, struct errors *faults)
{
	if (link_fault)
		errors_add(faults, NULL, 0, "%s", link_fault);
	return !links_unknown;
}

/* ---- set up ---- */

#define S NS_PER_S

static struct config config;
static struct watch *w;
static struct watch_state state;

static int begin(void **s)
{
	struct errors errors = {0};
	kernel_reset();
	found = after = WIRING_GOOD;
	set = (struct ruleset){.nft = true,
			       .named = true,
			       .print = 7,
			       .name = {.epoch = 3, .rules = "0123abcd", .policy = "ffff0000"}};
	unreadable = 0;
	memset(counted, 0, sizeof counted);
	restores = 0;
	restore_fails = down = links_unknown = false;
	setting = NULL;
	link_fault = NULL;
	lock_says = -ENOENT;
	config = (struct config){.when_flushed = CONFIG_RESTORE};
	w = watch_new(&config, &errors);
	if (!w)
		return -1;
	state = w->state;
	return 0;
}

static int end(void **s)
{
	watch_free(w);
	kernel_reset();
	return 0;
}

static void look_at(int64_t now)
{
	look_at_rules(w, &state, now);
}

/* ---- the tests ---- */

/* Said and counted once, put back at once, and good again. */
static void a_loss_is_put_back_at_once(void **s)
{
	static const enum wiring_state losses[] = {WIRING_GONE, WIRING_DAMAGED};
	for (size_t i = 0; i < 2; i++) {
		int64_t now = 1000 * S * (int64_t)(i + 1);
		look_at(now);
		assert_true(state.rules_good);
		assert_int_equal(restores, i);
		found = losses[i];
		warnings = 0;
		look_at(now + 1);
		assert_int_equal(warnings, 1); /* once is no fight with another program */
		assert_string_equal(warned, "the kernel's rules were put back");
		assert_int_equal(restores, i + 1);
		assert_int_equal(state.counters.lost, i + 1);
		assert_int_equal(state.counters.put_back, i + 1);
		assert_true(state.rules_good);
		assert_int_equal(restored_backend, WIRING_NFT);
		assert_int_equal(restored_name.epoch, 3);
		assert_string_equal(restored_name.rules, "0123abcd");
	}
}

/* Said as long as it is so, and nothing is loaded for it; a loss of rules goes before. */
static void settings_of_others_are_said(void **s)
{
	look_at(1000 * S);
	setting = "nf_conntrack_acct is off";
	look_at_settings(w, &state);
	assert_false(state.rules_good);
	assert_string_equal(state.rules, setting);
	look_at(1001 * S);
	look_at_settings(w, &state);
	assert_false(state.rules_good);
	assert_int_equal(restores, 0);
	assert_int_equal(state.counters.lost, 0);
	found = after = WIRING_GONE;
	look_at(1002 * S);
	look_at_settings(w, &state);
	assert_string_equal(state.rules, "sentence 3");
	found = after = WIRING_GOOD;
	setting = NULL;
	look_at(1003 * S);
	look_at_settings(w, &state);
	assert_true(state.rules_good);
}

static void what_was_never_good_is_not_put_back(void **s)
{
	found = WIRING_GONE;
	look_at(1000 * S);
	found = WIRING_OTHER;
	look_at(1001 * S);
	assert_int_equal(restores, 0);
	assert_int_equal(state.counters.lost, 0);
	assert_false(state.rules_good);
	assert_string_equal(state.rules, "sentence 1");
}

/* Rules of this configuration that are not whole at the first look are known by their name. */
static void what_is_damaged_at_the_first_look_is_known_by_its_name(void **s)
{
	found = WIRING_DAMAGED;
	set.named = false;
	look_at(1000 * S);
	assert_int_equal(restores, 0);
	set.named = true;
	set.nft = false;
	look_at(1001 * S);
	assert_int_equal(restores, 1);
	assert_int_equal(restored_backend, WIRING_IPTABLES);
}

static void other_rules_are_another_commands(void **s)
{
	look_at(1000 * S);
	found = WIRING_OTHER;
	look_at(1001 * S);
	assert_int_equal(restores, 0);
	assert_int_equal(state.counters.lost, 0);
}

/* Any change of a rule is seen by the number of all; new rules have their own. */
static void a_rule_that_was_changed_is_a_loss(void **s)
{
	look_at(1000 * S);
	set.print = 8;
	look_at(1001 * S);
	assert_int_equal(state.counters.lost, 1);
	assert_int_equal(restores, 1);
	assert_int_equal(w->print, 8); /* the new ones tell what they are */
	look_at(1002 * S);
	assert_int_equal(state.counters.lost, 1);
	set.print = 9;
	set.name.epoch = 4; /* loaded anew */
	look_at(1003 * S);
	set.print = 10;
	set.name.acct = true;
	look_at(1004 * S);
	set.print = 11;
	strcpy(set.name.rules, "0123abce");
	look_at(1005 * S);
	set.print = 12;
	strcpy(set.name.policy, "ffff0001");
	look_at(1006 * S);
	assert_int_equal(state.counters.lost, 1);
	assert_true(state.rules_good);
}

/* With pauses that grow where another takes them away again and again; after a quiet minute the
 * next is a first one. */
static void pauses_grow_while_another_takes_them_away(void **s)
{
	int64_t now = 1000 * S, last = 0;
	char want[64];
	look_at(now);
	after = WIRING_GONE; /* gone again at once */
	found = WIRING_GONE;
	look_at(now);
	assert_int_equal(restores, 1);
	for (unsigned times = 1; times < 12; times++) {
		last = now;
		now = last + watch_pause(times) - 1;
		look_at(now);
		assert_int_equal(restores, times);
		assert_int_equal(w->due, last + watch_pause(times));
		now++;
		warnings = 0;
		look_at(now);
		assert_int_equal(warnings, 1);
		snprintf(want, sizeof want, "put back %u times now,", times + 1);
		assert_memory_equal(warned, want, strlen(want));
		assert_int_equal(restores, times + 1);
		assert_int_equal(w->due, 0);
	}
	assert_int_equal(state.counters.lost, 1);
	assert_int_equal(state.counters.put_back, 0);
	now += QUIET; /* not yet quiet */
	look_at(now);
	assert_int_equal(w->times, 13);
	now += QUIET + 1;
	look_at(now);
	assert_int_equal(w->times, 1);
	after = WIRING_GOOD;
	now += watch_pause(1);
	look_at(now);
	assert_int_equal(state.counters.put_back, 1);
	found = WIRING_GONE; /* a new loss */
	look_at(now + 1);
	assert_int_equal(state.counters.lost, 2);
}

static void what_was_taken_away_on_purpose_stays_away(void **s)
{
	look_at(1000 * S);
	found = WIRING_GONE;
	down = true;
	look_at(1001 * S);
	assert_int_equal(restores, 0);
	assert_int_equal(state.counters.lost, 0);
	assert_non_null(strstr(state.rules, "taken away by `tiergatectl wiring down`"));
	down = false;
	config.when_flushed = CONFIG_REPORT;
	look_at(1002 * S);
	look_at(1003 * S);
	assert_int_equal(restores, 0);
	assert_int_equal(state.counters.lost, 1);
	found = WIRING_GOOD; /* by somebody's hand */
	look_at(1004 * S);
	found = WIRING_GONE;
	look_at(1005 * S);
	assert_int_equal(state.counters.lost, 2);
}

/* A command of ours that is at work is let finish; and what can't be read is said, and no loss. */
static void what_is_at_work_is_let_finish(void **s)
{
	look_at(1000 * S);
	found = WIRING_GONE;
	lock_says = -EWOULDBLOCK;
	look_at(1001 * S);
	assert_int_equal(state.counters.lost, 0);
	assert_true(state.rules_good);
	lock_says = eventfd(0, 0);
	look_at(1002 * S);
	assert_int_equal(state.counters.lost, 1);
	assert_false(kernel_is_open(lock_says));
	lock_says = -ENOENT;
	unreadable = -EPERM;
	found = WIRING_GONE;
	look_at(1200 * S);
	assert_int_equal(restores, 1);
	assert_false(state.rules_good);
	assert_string_equal(state.rules,
			    "the kernel's rules can't be read: Operation not permitted");
}

static void a_restore_that_fails_is_no_restore(void **s)
{
	look_at(1000 * S);
	found = after = WIRING_GONE;
	restore_fails = true;
	look_at(1001 * S);
	assert_int_equal(restores, 1);
	assert_int_equal(state.counters.put_back, 0);
	assert_true(w->seen_loss);
	assert_false(state.rules_good);
}

/* What rules counted goes on where new ones count from nothing. */
static void counts_go_on_over_new_rules(void **s)
{
	static const uint64_t steps[][2] = {{5, 5},  {9, 9},  {9, 9}, {2, 11},
					    {3, 12}, {0, 12}, {4, 16}};
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		counted[0] = counted[RULESET_COUNTS - 1] = steps[i][0];
		look_at(1000 * S + (int64_t)i);
		assert_int_equal(state.counters.counts[0], steps[i][1]);
		assert_int_equal(state.counters.counts[RULESET_COUNTS - 1], steps[i][1]);
	}
	counted[0] = 100;
	found = WIRING_OTHER; /* another configuration's: no counts of ours */
	look_at(2000 * S);
	assert_int_equal(state.counters.counts[0], 16);
}

static void interfaces_are_said_when_they_change(void **s)
{
	look_at_links(w, &state);
	assert_true(state.interfaces_good);
	link_fault = "no lan0";
	look_at_links(w, &state);
	assert_false(state.interfaces_good);
	assert_string_equal(state.interfaces, "no lan0");
	link_fault = NULL;
	look_at_links(w, &state);
	assert_true(state.interfaces_good);
	assert_string_equal(state.interfaces, "");
	link_fault = "cannot be listed";
	links_unknown = true;
	look_at_links(w, &state);
	assert_false(state.interfaces_good);
}

/* Interfaces are looked at where there was word of them, and each half minute. */
static void a_look_is_whole_and_told(void **s)
{
	struct watch_state got;
	watch_get(w, false, &got);
	assert_false(got.looked);
	look(w, false);
	watch_get(w, false, &got);
	assert_true(got.looked && got.rules_good && got.interfaces_good);
	setting = "nf_conntrack_acct is off";
	look(w, false);
	watch_get(w, false, &got);
	assert_false(got.rules_good);
	setting = NULL;
	look(w, false);
	int64_t next = w->next_links;
	link_fault = "no lan0";
	look(w, false);
	watch_get(w, false, &got);
	assert_true(got.interfaces_good);
	assert_int_equal(w->next_links, next);
	look(w, true);
	watch_get(w, false, &got);
	assert_false(got.interfaces_good);
	assert_true(w->next_links >= next);
	assert_int_equal(w->looks, 5);
	link_fault = NULL;
	watch_config(w, &config); /* another one names others */
	look(w, false);
	watch_get(w, false, &got);
	assert_true(got.interfaces_good);
}

static void notices_are_drained(void **s)
{
	int fd = mnl_socket_get_fd(w->socket[RULES]);
	assert_false(drain(fd));
	kernel_put(fd, "x", 1);
	kernel_put(fd, "y", 1);
	assert_true(drain(fd));
	assert_false(drain(fd));
	kernel.from = 42; /* another process's are no word of the kernel's */
	kernel_put(fd, "x", 1);
	kernel.from = 0;
	assert_false(drain(fd));
	kernel.empty = ENOBUFS; /* so many that some were lost */
	assert_true(drain(fd));
}

static void it_looks_by_itself_while_it_runs(void **s)
{
	struct watch_state got;
	assert_int_equal(watch_start(w), 0);
	do
		watch_get(w, true, &got);
	while (!got.looked);
	assert_true(got.rules_good);
	found = WIRING_GONE;
	do
		watch_get(w, true, &got);
	while (got.counters.put_back < 1);
	assert_true(restores >= 1);
}

static void what_cannot_be_watched_is_said(void **s)
{
	struct errors errors = {0};
	kernel.cannot_bind = EPERM;
	assert_null(watch_new(&config, &errors));
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_bind = 0;
	kernel.cannot_open = EMFILE;
	assert_null(watch_new(&config, &errors));
	kernel.cannot_open = 0;
	assert_int_equal(errors.count, 2);
	assert_non_null(strstr(errors.lines[0], "the kernel's rules can't be watched: Operation"));
	assert_non_null(strstr(errors.lines[1], "Too many open files"));
	bool failed = NO_MEMORY;
	for (long n = 0; failed; n++) {
		no_memory_at(n);
		struct watch *one = watch_new(&config, &errors);
		failed = no_memory_failed;
		no_memory_end();
		assert_true(!one == failed);
		watch_free(one);
	}
	errors_deinit(&errors);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(a_loss_is_put_back_at_once),
		WITH(settings_of_others_are_said),
		WITH(what_was_never_good_is_not_put_back),
		WITH(what_is_damaged_at_the_first_look_is_known_by_its_name),
		WITH(other_rules_are_another_commands),
		WITH(a_rule_that_was_changed_is_a_loss),
		WITH(pauses_grow_while_another_takes_them_away),
		WITH(what_was_taken_away_on_purpose_stays_away),
		WITH(what_is_at_work_is_let_finish),
		WITH(a_restore_that_fails_is_no_restore),
		WITH(counts_go_on_over_new_rules),
		WITH(interfaces_are_said_when_they_change),
		WITH(a_look_is_whole_and_told),
		WITH(notices_are_drained),
		WITH(it_looks_by_itself_while_it_runs),
		WITH(what_cannot_be_watched_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
