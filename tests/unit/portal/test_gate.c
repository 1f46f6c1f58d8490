/* What the portal asks the daemon, against a socket that answers as it is told. */
#include "unit.h"
#include "base/clock.h"
#include "control/call.h"
#include "portal/gate.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/tiergate-gate-XXXXXX", path[64], heard[1024];
static const char *says; /* NULL: hangs up */
static int listener;

static void *serve(void *arg)
{
	int fd;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		ssize_t n = recv(fd, heard, sizeof heard - 1, 0);
		heard[n > 0 ? n : 0] = '\0';
		if (says)
			send(fd, says, strlen(says), MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static int set_up(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	pthread_t thread;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/socket", folder);
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	return bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 4) == 0 &&
			       pthread_create(&thread, NULL, serve, NULL) == 0 &&
			       pthread_detach(thread) == 0
		       ? 0
		       : -1;
}

static int tear_down(void **state)
{
	unlink(path);
	return rmdir(folder);
}

static bool login(struct gate *g, int64_t lasts)
{
	struct address a;
	assert_true(address_parse("10.0.0.7", &a));
	*g = (struct gate){.socket = path};
	bool did = gate_login(g, &a, "ann", "press", "portal", lasts);
	gate_close(g);
	return did;
}

/* Whom the daemon refuses is not signed in, whatever else stands in its answer. */
static void a_refusal_is_none(void **state)
{
	struct gate g;
	says = "{\"id\":1,\"ok\":true,\"result\":{\"session\":7}}\n";
	assert_true(login(&g, 3600 * NS_PER_S));
	assert_false(g.away || g.unsure || g.code[0]);
	says = "{\"id\":1,\"ok\":false,\"code\":\"full\",\"error\":\"x\",\"result\":{\"session\":7}"
	       "}\n";
	assert_false(login(&g, 3600 * NS_PER_S));
	assert_string_equal(g.code, "full");
	assert_false(g.away);
	says = "{\"id\":1,\"result\":{\"session\":7}}\n"; /* no word of success */
	assert_false(login(&g, 3600 * NS_PER_S));
}

/* Who got the command and hung up may have done it. */
static void an_answer_that_does_not_come_is_unsure(void **state)
{
	struct gate g;
	says = NULL;
	assert_false(login(&g, 3600 * NS_PER_S));
	assert_true(g.away && g.unsure);
}

/* No part of a second, and never none: "for" of zero would be one without an end. */
static void a_session_lasts_whole_seconds_and_one_at_least(void **state)
{
	static const struct {
		int64_t lasts;
		const char *said;
	} of[] = {{1, "\"for\":\"1s\""},
		  {NS_PER_S - 1, "\"for\":\"1s\""},
		  {NS_PER_S * 5 / 2, "\"for\":\"2s\""},
		  {3600 * NS_PER_S, "\"for\":\"1h\""}};
	struct gate g;
	says = "{\"id\":1,\"ok\":true,\"result\":{}}\n";
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		assert_true(login(&g, of[i].lasts));
		if (!strstr(heard, of[i].said))
			fail_msg("said %s, not %s", heard, of[i].said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_is_none),
		cmocka_unit_test(an_answer_that_does_not_come_is_unsure),
		cmocka_unit_test(a_session_lasts_whole_seconds_and_one_at_least),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
