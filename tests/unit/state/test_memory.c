/* Whichever allocation fails while state is written: what was kept before stays, or the new is kept
 * whole; half of it never is. */
#include "no_memory.h"
#include "unit.h"

#include "base/clock.h"
#include "base/host.h"
#include "state/state.h"

#include <string.h>

/* ---- a store that remembers how much it was given ---- */

static size_t kept; /* bytes; SIZE_MAX: nothing yet */
static char body[64 * 1024];

static int save(struct store *s, const char *kind, uint32_t version, const void *bytes, size_t len)
{
	assert_true(len <= sizeof body);
	memcpy(body, bytes, len);
	kept = len;
	return 0;
}

static char *load(struct store *s, const char *kind, uint32_t version, size_t *len)
{
	char *bytes = malloc(kept);
	*len = bytes ? kept : 1;
	return bytes ? memcpy(bytes, body, kept) : NULL;
}

static uint32_t version(struct store *s, const char *kind)
{
	return 0;
}

static const struct store_ops ops = {.save = save, .load = load, .version = version};
static struct store store = {&ops};

/* ---- what is kept ---- */

static struct sessions *sessions;
static struct seen *seen;
static struct usage *usage;
static struct lockdowns *lockdowns;
static struct flow_memory flows[64];

static int set_up(void **state)
{
	struct host host;
	sessions = sessions_new(256);
	seen = seen_new(4096, 3600 * NS_PER_S, false);
	usage = usage_new(16);
	lockdowns = calloc(1, sizeof *lockdowns);
	if (!sessions || !seen || !usage || !lockdowns)
		return -1;
	lockdowns->count = lockdowns->last = 3;
	assert_true(host_parse("www.example.org", &host));
	for (uint8_t i = 1; i < 64; i++) {
		const struct session s = {.user = "ada", .tier = "press"};
		struct address a = address_from4((const uint8_t[]){10, 9, 0, i});
		assert_int_equal(session_open(sessions, &a, &s, NS_PER_S), 0);
		seen_add(seen, &a, &a, &host, 100 * NS_PER_S, NS_PER_S);
		flows[i] = (struct flow_memory){.key = {.client = a}, .host = host, .user = "ada"};
	}
	return 0;
}

static int tear_down(void **state)
{
	sessions_free(sessions);
	seen_free(seen);
	usage_free(usage);
	free(lockdowns);
	return 0;
}

static int save_sessions(void)
{
	return state_save_sessions(&store, sessions);
}

static int save_names(void)
{
	return state_save_names(&store, seen);
}

static int save_lockdowns(void)
{
	return state_save_lockdowns(&store, lockdowns);
}

static int save_hits(void)
{
	static const struct hits none;
	return state_save_hits(&store, &none, false);
}

static int save_quotas(void)
{
	return state_save_quotas(&store, usage, NULL);
}

static int save_flows(void)
{
	return state_save_flows(&store, 0, flows, sizeof flows / sizeof *flows, "policy");
}

static int save_swept(void)
{
	static const struct state_swept now = {7, "policy"};
	return state_save_swept(&store, &now);
}

static void half_of_it_is_never_kept(void **state)
{
	static int (*const each[])(void) = {save_sessions, save_names, save_lockdowns, save_hits,
					    save_quotas,   save_flows, save_swept};
	for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
		assert_int_equal(each[i](), 0);
		size_t whole = kept;
		bool failed = NO_MEMORY;
		assert_true(whole > 0);
		for (long n = 0; failed; n++) {
			long held = memory_held();
			kept = SIZE_MAX;
			no_memory_at(n);
			int e = each[i]();
			failed = no_memory_failed;
			no_memory_end();
			if (e == 0 ? kept != whole : e != -ENOMEM || kept != SIZE_MAX)
				fail_msg("%zu, allocation %ld: %d, %zu bytes of %zu", i, n, e, kept,
					 whole);
			assert_int_equal(memory_held(), held);
		}
	}
}

/* Where memory runs out while it is read, nothing is remembered, and nothing is lost of it. */
static void what_cannot_be_read_is_left(void **state)
{
	bool failed = NO_MEMORY, lost;
	assert_int_equal(save_names(), 0);
	unsigned names = state_load_names(&store, seen, NS_PER_S);
	assert_true(names > 0);
	for (long n = 0; failed; n++) {
		long held = memory_held();
		no_memory_at(n);
		unsigned taken = state_load_names(&store, seen, NS_PER_S);
		failed = no_memory_failed;
		no_memory_end();
		assert_true(taken == names || (failed && taken == 0)); /* sorting needs none */
		assert_int_equal(memory_held(), held);
	}
	static const struct usage_memory used = {.account = {.id = 7, .who.user = "ada"},
						 .used = 9};
	assert_int_not_equal(usage_restore(usage, &used), USAGE_NONE);
	assert_int_equal(state_save_quotas(&store, usage, NULL), 0);
	failed = NO_MEMORY;
	for (long n = 0; failed; n++) {
		long held = memory_held();
		lost = false;
		no_memory_at(n);
		unsigned taken = state_load_quotas(&store, usage, NULL, NS_PER_S, &lost);
		failed = no_memory_failed;
		no_memory_end();
		assert_int_equal(taken, !failed);
		assert_true(n == 0 || lost == failed); /* read, and no room for it */
		assert_int_equal(memory_held(), held);
	}
	assert_int_equal(save_lockdowns(), 0);
	no_memory_at(0); /* what was shut is open then, and that has to be said */
	state_load_lockdowns(&store, lockdowns, &lost);
	no_memory_end();
	assert_int_equal(lost, NO_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_of_it_is_never_kept),
		cmocka_unit_test(what_cannot_be_read_is_left),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
