/* replay --session ADDRESS=USER:TIER: what is taken, and that nothing else opens a session or is
 * copied beyond its room. */
#include "unit.h"

#include "gateway/replay.c"
#include "policy/build.h"

static struct replay r;
static struct config config;

static int begin(void **state)
{
	struct errors errors = {0};
	config = (struct config){.mismatch = CONFIG_MISMATCH_LOG};
	build_tier(&config, "press", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	r = (struct replay){.snapshot = snapshot_compile(&config, &errors),
			    .sessions = sessions_new(64)};
	return r.snapshot && r.sessions ? 0 : -1;
}

static int end(void **state)
{
	snapshot_free(r.snapshot);
	sessions_free(r.sessions);
	build_free(&config);
	return 0;
}

static void whose(const char *text, const char *address, const char *user)
{
	struct session s;
	struct address a;
	assert_true(open_session(&r, text));
	assert_true(address_parse(address, &a));
	assert_true(session_at(r.sessions, &a, 0, &s));
	assert_string_equal(s.user, user);
	assert_string_equal(s.tier, "press");
}

static void a_session_is_who_and_where(void **state)
{
	whose("10.0.0.1=ann:press", "10.0.0.1", "ann");
	whose("2001:db8::1=bob:press", "2001:db8::1", "bob");
	whose("10.0.0.2=a:b:press", "10.0.0.2", "a:b"); /* the last colon is the tier's */
	whose("10.0.0.3=c=d:press", "10.0.0.3", "c=d"); /* the first = the user's */
}

static void what_is_none_opens_nothing(void **state)
{
	static const char *const bad[] = {"",
					  "10.0.0.1",
					  "10.0.0.1=ann",
					  "10.0.0.1=ann:",
					  "10.0.0.1=:press",
					  "=ann:press",
					  "10.0.0.1=ann:nobody",
					  "10.0.0=ann:press",
					  "10.0.0.1:press",
					  "10.0.0.1=-x:press",
					  "10.0.0.1= ann:press"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (open_session(&r, bad[i]))
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(sessions_count(r.sessions), 0);
}

static void each_part_has_a_bound(void **state)
{
	char user[USER_MAX + 1], text[1000];
	memset(user, 'u', sizeof user);
	for (size_t len = USER_MAX - 2; len <= USER_MAX; len++) {
		snprintf(text, sizeof text, "10.0.0.1=%.*s:press", (int)len, user);
		assert_int_equal(open_session(&r, text), len < USER_MAX);
	}
	snprintf(text, sizeof text, "10.0.0.1=ann:%.*s", TIER_MAX, user);
	assert_false(open_session(&r, text));
	for (size_t len = 1; len < sizeof text; len++) { /* whatever its length */
		memset(text, 'x', len);
		text[len] = '\0';
		assert_false(open_session(&r, text));
		memcpy(text, "10.0.0.1=", len < 9 ? len : 9);
		text[len - 1] = ':';
		assert_false(open_session(&r, text));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_is_who_and_where),
		TEST(what_is_none_opens_nothing),
		TEST(each_part_has_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
