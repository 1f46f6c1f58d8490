#include "base/clock.h"
#include "gateway/inner.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What of a gateway state files are made of: sessions and names, without queues. */
static struct {
	struct config config;
	struct gateway g;
	char folder[64];
} f;

static int set_up(void **state)
{
	memset(&f, 0, sizeof f);
	strcpy(f.folder, "/tmp/tiergate-memory-XXXXXX");
	if (!mkdtemp(f.folder))
		return -1;
	f.config.state_dir = f.folder;
	f.g.config = &f.config;
	f.g.store = store_folder_new(f.folder);
	f.g.sessions = sessions_new(16);
	f.g.seen = seen_new(16, NS_PER_S, false);
	f.g.usage = usage_new(16);
	if (!f.g.usage)
		return -1;
	f.g.usage_saved = usage_generation(f.g.usage);
	return f.g.store && f.g.sessions && f.g.seen ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];
	f.g.store->ops->free(f.g.store);
	sessions_free(f.g.sessions);
	seen_free(f.g.seen);
	usage_free(f.g.usage);
	snprintf(command, sizeof command, "rm -rf '%s'", f.folder);
	return system(command);
}

static struct address at;

static void sign_in(int64_t now)
{
	const struct session s = {.user = "ada", .tier = "press", .idle = 3600 * NS_PER_S};
	assert_true(address_parse("10.9.0.5", &at));
	assert_int_equal(session_open(f.g.sessions, &at, &s, now), 0);
}

/* When a later daemon finds the session, it goes on from what is in the file. */
static int64_t kept_last_seen(int64_t now)
{
	struct session s;
	struct sessions *later = sessions_new(16);
	state_load_sessions(f.g.store, later, now);
	bool there = session_at(later, &at, now, &s);
	sessions_free(later);
	return there ? s.last_seen : 0;
}

/* Signed in 50 minutes ago, and busy ever since: a restart is no hour without traffic. */
static void a_stop_keeps_when_traffic_was_seen(void **state)
{
	int64_t now = clock_now(), seen = now - NS_PER_S;
	sign_in(now - 3000 * NS_PER_S);
	state_save_tick(&f.g);
	session_touch(f.g.sessions, &at, seen);
	state_save_all(&f.g);
	assert_int_equal(kept_last_seen(now), seen);
}

/* And a daemon that is killed has lost a minute of it at most. */
static void each_minute_keeps_when_traffic_was_seen(void **state)
{
	int64_t now = clock_now(), seen = now - NS_PER_S;
	sign_in(now - 3000 * NS_PER_S);
	state_save_tick(&f.g);
	session_touch(f.g.sessions, &at, seen);
	for (int i = 0; i < 60; i++)
		state_save_tick(&f.g);
	assert_int_equal(kept_last_seen(now), seen);
}

static void a_change_is_kept_with_the_next_tick(void **state)
{
	int64_t now = clock_now();
	sign_in(now);
	state_save_tick(&f.g);
	assert_int_equal(kept_last_seen(now), now);
	session_close_address(f.g.sessions, &at);
	state_save_tick(&f.g);
	assert_int_equal(kept_last_seen(now), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_stop_keeps_when_traffic_was_seen, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(each_minute_keeps_when_traffic_was_seen, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_change_is_kept_with_the_next_tick, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
