/* One lasting connection to the daemon: what is asked, what its answers mean, and when it is left
 * alone. The connection is the test's (control/call.h). */
#include "no_memory.h"
#include "unit.h"
#include "base/clock.h"
#include "control/call.h"
#include "radius/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S NS_PER_S

/* ---- the other end ---- */

struct call {
	bool old; /* the daemon behind it has gone */
};

static char log[8192];
static const char *answers[16]; /* what is received, one after another; NULL: error */
static unsigned answer_at, open_calls;
static int error; /* errno of what is not received */
static bool cannot_open, cannot_send;

struct call *call_open(const char *socket, unsigned seconds)
{
	strcat(log, "open\n");
	assert_string_equal(socket, "/socket");
	assert_int_equal(seconds, 2);
	if (cannot_open)
		return NULL;
	open_calls++;
	return calloc(1, sizeof(struct call));
}

void call_close(struct call *c)
{
	open_calls -= c != NULL;
	free(c);
}

bool call_send(struct call *c, const char *command, json_t *m)
{
	char *text = json_dumps(m, JSON_COMPACT | JSON_SORT_KEYS);
	snprintf(log + strlen(log), sizeof log - strlen(log), "%s %s\n", command, text);
	free(text);
	json_decref(m);
	errno = error;
	return !cannot_send && !c->old;
}

json_t *call_receive(struct call *c)
{
	const char *text = answers[answer_at];
	if (!text) {
		errno = error;
		return NULL;
	}
	answer_at++;
	return json_loads(text, 0, NULL);
}

/* ---- set up ---- */

static struct daemon *d;
static struct address a, b;

static int begin(void **state)
{
	log[0] = '\0';
	memset(answers, 0, sizeof answers);
	answer_at = 0;
	error = 0;
	cannot_open = cannot_send = false;
	d = daemon_new("/socket", "radius");
	return d && address_parse("10.0.0.7", &a) && address_parse("2001:db8::7", &b) ? 0 : -1;
}

static int end(void **state)
{
	daemon_free(d);
	assert_int_equal(open_calls, 0);
	return 0;
}

static void did(const char *want)
{
	if (strcmp(log, want) != 0)
		fail_msg("did\n%sand not\n%s", log, want);
	log[0] = '\0';
}

static void will_answer(const char *text)
{
	answer_at = 0;
	for (int i = 0; i < 8; i++)
		answers[i] = text;
}

#define OK "{\"ok\": true}"

/* ---- the tests ---- */

static void each_command_says_what_it_means(void **state)
{
	static const uint8_t mac[6] = {1, 2, 3, 0xa, 0xb, 0xc};
	will_answer(OK);
	assert_int_equal(daemon_login(d, &a, "ann", "staff", NULL, 1), DAEMON_DONE);
	assert_int_equal(daemon_login(d, &a, "ann", "staff", mac, 1), DAEMON_DONE);
	assert_int_equal(daemon_add(d, &a, &b, 1), DAEMON_DONE);
	assert_int_equal(daemon_drop(d, &b, 1), DAEMON_DONE);
	assert_int_equal(daemon_ping(d, 1), DAEMON_DONE);
	assert_int_equal(daemon_logout(d, &a, 1), DAEMON_DONE);
	did("open\n"
	    "login {\"address\":\"10.0.0.7\",\"source\":\"radius\",\"tier\":\"staff\",\"user\":"
	    "\"ann\"}\n"
	    "login {\"address\":\"10.0.0.7\",\"mac\":\"01:02:03:0a:0b:0c\",\"source\":\"radius\","
	    "\"tier\":\"staff\",\"user\":\"ann\"}\n"
	    "add {\"address\":\"2001:db8::7\",\"source\":\"radius\",\"with\":\"10.0.0.7\"}\n"
	    "drop {\"address\":\"2001:db8::7\",\"source\":\"radius\"}\n"
	    "ping {\"source\":\"radius\"}\n"
	    "logout {\"address\":\"10.0.0.7\",\"source\":\"radius\"}\n");
}

static void each_refusal_has_its_meaning(void **state)
{
	static const struct {
		const char *answer;
		enum daemon_answer means;
	} of[] = {{"{\"ok\": false, \"code\": \"not-found\"}", DAEMON_NOT_FOUND},
		  {"{\"ok\": false, \"code\": \"blocked\"}", DAEMON_BLOCKED},
		  {"{\"ok\": false, \"code\": \"full\"}", DAEMON_REFUSED},
		  {"{\"ok\": false}", DAEMON_REFUSED},
		  {"{}", DAEMON_REFUSED},
		  {"{\"ok\": 1}", DAEMON_REFUSED},
		  {"{\"ok\": true, \"code\": \"not-found\"}", DAEMON_DONE}};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		will_answer(of[i].answer);
		assert_int_equal(daemon_ping(d, 1), of[i].means);
	}
}

/* Who does not answer is left alone for a second, so that the loop goes on; and then asked again.
 */
static void a_daemon_that_is_away_rests(void **state)
{
	cannot_open = true;
	assert_int_equal(daemon_ping(d, 5), DAEMON_AWAY);
	did("open\n");
	cannot_open = false;
	will_answer(OK);
	assert_int_equal(daemon_ping(d, 6), DAEMON_AWAY);
	assert_int_equal(daemon_ping(d, 5 + S - 1), DAEMON_AWAY);
	did("");
	assert_int_equal(daemon_ping(d, 5 + S), DAEMON_DONE);
	did("open\nping {\"source\":\"radius\"}\n");
}

/* An old connection may be one to a daemon that has gone: a new one is tried at once. */
static void a_daemon_that_was_restarted_is_asked_again(void **state)
{
	will_answer(OK);
	assert_int_equal(daemon_ping(d, 1), DAEMON_DONE);
	log[0] = '\0';
	memset(answers, 0, sizeof answers);
	answer_at = 0;
	assert_int_equal(daemon_ping(d, 2), DAEMON_AWAY);
	did("ping {\"source\":\"radius\"}\nopen\nping {\"source\":\"radius\"}\n");
	assert_int_equal(open_calls, 0);
	assert_int_equal(daemon_ping(d, 2 + S), DAEMON_AWAY); /* a new one is not tried twice */
	did("open\nping {\"source\":\"radius\"}\n");
	cannot_send = true;
	assert_int_equal(daemon_ping(d, 2 + 2 * S), DAEMON_AWAY);
	did("open\nping {\"source\":\"radius\"}\n");
}

/* One that is slow is not asked twice: it may have done it. */
static void a_daemon_that_is_slow_is_asked_once(void **state)
{
	will_answer(OK);
	assert_int_equal(daemon_ping(d, 1), DAEMON_DONE);
	log[0] = '\0';
	memset(answers, 0, sizeof answers);
	error = EAGAIN;
	assert_int_equal(daemon_ping(d, 2), DAEMON_AWAY);
	did("ping {\"source\":\"radius\"}\n");
	assert_int_equal(open_calls, 0);
}

/* ---- sessions ---- */

static char told[1024];

static void on_session(void *ctx, const char *user, const char *tier, const struct address *address,
		       unsigned count)
{
	char text[ADDRESS_TEXT];
	assert_ptr_equal(ctx, told);
	snprintf(told + strlen(told), sizeof told - strlen(told), "%s %s", user, tier);
	for (unsigned i = 0; i < count; i++)
		snprintf(told + strlen(told), sizeof told - strlen(told), " %s",
			 address_format(&address[i], text));
	strcat(told, "\n");
}

#define ROW(user, tier, addresses)                                                                 \
	"{\"more\": true, \"result\": {\"user\": " user ", \"tier\": " tier                        \
	", \"addresses\": " addresses "}}"

static void sessions_are_told_one_by_one(void **state)
{
	answers[0] = ROW("\"ann\"", "\"staff\"", "[\"10.0.0.7\", \"x\", 5, \"2001:db8::7\"]");
	answers[1] = ROW("null", "\"staff\"", "[\"10.0.0.8\"]");
	answers[2] = ROW("\"bob\"", "7", "[\"10.0.0.8\"]");
	answers[3] = ROW("\"bob\"", "\"staff\"", "[]");
	answers[4] = ROW("\"bob\"", "\"staff\"", "[\"x\"]");
	answers[5] = ROW("\"eve\"", "\"press\"",
			 "[\"10.0.1.1\",\"10.0.1.2\",\"10.0.1.3\",\"10.0.1.4\",\"10.0.1.5\","
			 "\"10.0.1.6\",\"10.0.1.7\",\"10.0.1.8\",\"10.0.1.9\"]");
	answers[6] = OK;
	told[0] = '\0';
	assert_int_equal(daemon_sessions(d, on_session, told, 1), DAEMON_DONE);
	assert_string_equal(told, "ann staff 10.0.0.7 2001:db8::7\n"
				  "eve press 10.0.1.1 10.0.1.2 10.0.1.3 10.0.1.4 10.0.1.5 "
				  "10.0.1.6 10.0.1.7 10.0.1.8\n");
	did("open\nsessions {\"source\":\"radius\"}\n");
	assert_int_equal(open_calls, 1);
}

/* A list that breaks off is none: what it lacks must not be taken for ended. */
static void a_list_that_breaks_off_is_none(void **state)
{
	answers[0] = ROW("\"ann\"", "\"staff\"", "[\"10.0.0.7\"]");
	told[0] = '\0';
	assert_int_equal(daemon_sessions(d, on_session, told, 1), DAEMON_AWAY);
	assert_string_equal(told, "ann staff 10.0.0.7\n");
	assert_int_equal(open_calls, 0);
	answers[1] = "{\"ok\": false}";
	answer_at = 0;
	assert_int_equal(daemon_sessions(d, on_session, told, 1), DAEMON_AWAY);
	cannot_open = true;
	daemon_free(d);
	d = daemon_new("/socket", "radius");
	assert_int_equal(daemon_sessions(d, on_session, told, 1), DAEMON_AWAY);
	daemon_free(NULL);
	if (NO_MEMORY) {
		no_memory_at(0);
		assert_null(daemon_new("/socket", "radius"));
		no_memory_end();
	}
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(each_command_says_what_it_means),
		WITH(each_refusal_has_its_meaning),
		WITH(a_daemon_that_is_away_rests),
		WITH(a_daemon_that_was_restarted_is_asked_again),
		WITH(a_daemon_that_is_slow_is_asked_once),
		WITH(sessions_are_told_one_by_one),
		WITH(a_list_that_breaks_off_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
