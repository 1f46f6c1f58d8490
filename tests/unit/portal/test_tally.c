/* What the portal counts and tells, to a daemon that this test plays. */
#include "base/clock.h"
#include "control/call.h"
#include "portal/tally.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

struct call {
	int unused;
};

static bool away;
static json_t *told;
static unsigned open_calls;

struct call *call_open(const char *socket, unsigned seconds)
{
	assert_string_equal(socket, "/daemon");
	assert_true(seconds > 0 && seconds < 5); /* the watchdog waits 15 */
	open_calls += !away;
	return away ? NULL : calloc(1, sizeof(struct call));
}

void call_close(struct call *c)
{
	open_calls--;
	free(c);
}

bool call_send(struct call *c, const char *command, json_t *members)
{
	assert_string_equal(command, "tell");
	json_decref(told);
	told = json_incref(json_object_get(members, "portal"));
	json_decref(members);
	return true;
}

static json_int_t number(const char *key)
{
	return json_integer_value(json_object_get(told, key));
}

static const char *text(const char *key)
{
	return json_string_value(json_object_get(told, key));
}

#define T0 INT64_C(1764000000000000000) /* 2025-11-24 16:00 UTC */

static void counts_and_forgets_at_midnight(void **state)
{
	struct tally t = {.lock = PTHREAD_MUTEX_INITIALIZER, .since = T0};
	setenv("TZ", "UTC", 1);
	tally_try(&t, true, T0);
	tally_try(&t, true, T0);
	tally_try(&t, false, T0);
	tally_tell(&t, "/daemon", "https://a", NULL, T0);
	assert_int_equal(number("signed_in"), 2);
	assert_int_equal(number("failed"), 1);
	assert_int_equal(number("signed_in_today"), 2);
	assert_int_equal(number("failed_today"), 1);
	assert_string_equal(text("url"), "https://a");
	assert_string_equal(text("since"), "2025-11-24T16:00:00.000000Z");
	assert_null(json_object_get(told, "stopped"));
	assert_null(json_object_get(told, "error"));
	tally_tell(&t, "/daemon", "https://a", NULL, T0 + 8 * 3600 * NS_PER_S - 1);
	assert_int_equal(number("signed_in_today"), 2);
	tally_tell(&t, "/daemon", "https://a", "by hand", T0 + 8 * 3600 * NS_PER_S);
	assert_int_equal(number("signed_in_today"), 0);
	assert_int_equal(number("failed_today"), 0);
	assert_int_equal(number("signed_in"), 2);
	assert_string_equal(text("stopped"), "by hand");
	assert_int_equal(open_calls, 0);
}

static void tells_the_last_error(void **state)
{
	struct tally t = {.lock = PTHREAD_MUTEX_INITIALIZER};
	char longer[600];
	tally_error(&t, T0, "first");
	tally_error(&t, T0 + NS_PER_S, "second");
	tally_tell(&t, "/daemon", "", NULL, T0);
	assert_string_equal(text("error"), "second");
	assert_string_equal(text("error_at"), "2025-11-24T16:00:01.000000Z");
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	tally_error(&t, T0, longer);
	tally_tell(&t, "/daemon", "", NULL, T0);
	assert_int_equal(strlen(text("error")), sizeof t.error - 1);
	tally_error(&t, T0, "cut in a letter: \xd0");
	tally_tell(&t, "/daemon", "", NULL, T0);
	assert_string_equal(text("error"), "see the journal");
	away = true;
	tally_tell(&t, "/daemon", "", "gone", T0); /* nothing is done */
	assert_null(text("stopped"));
	away = false;
	json_decref(told);
	told = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_and_forgets_at_midnight),
		cmocka_unit_test(tells_the_last_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
