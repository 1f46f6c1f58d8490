/* Where there is no memory: who asked is told, nothing is half there, and nobody else is hurt. */
#include "rig.h"
#include "state/store.h"
#include "unit.h"

static int begin(void **state)
{
	rig_begin("", 1);
	return 0;
}

static int end(void **state)
{
	no_memory_end();
	rig_end();
	return 0;
}

/* Makes something of its own, and ends it; false: it could not be made. */
static bool make_cookies(void)
{
	struct cookies *c = cookies_new();
	cookies_free(c);
	return c;
}

static bool make_limit(void)
{
	struct limit *l = limit_new();
	limit_free(l);
	return l;
}

static bool make_deadline(void)
{
	struct deadline *d = deadline_new(1);
	deadline_free(d);
	return d;
}

static bool make_checkers(void)
{
	struct checkers *c = checkers_new(&rig_portal, 2);
	if (c)
		checkers_stop(c);
	checkers_free(c);
	return c;
}

static bool make_server(void)
{
	static struct portal p;
	struct errors errors = {0};
	p.config = rig_portal.config;
	p.event = rig_portal.event;
	struct server *s = server_new(&p, &errors);
	assert_ptr_equal(p.server, s);
	server_free(s);
	assert_null(p.deadline);
	return s;
}

static void what_cannot_be_made_is_not_there(void **state)
{
	bool (*const makers[])(void) = {make_cookies, make_limit, make_deadline, make_checkers,
					make_server};
	for (size_t i = 0; NO_MEMORY && i < sizeof makers / sizeof *makers; i++) {
		bool failed = true, made;
		for (long n = 0; failed; n++) {
			no_memory_at(n);
			made = makers[i]();
			failed = no_memory_failed;
			no_memory_end();
			assert_true(n > 0 || !made);
			assert_true(made || failed);
		}
		assert_true(made);
	}
}

static void a_portal_without_texts_or_logo_is_none(void **state)
{
	struct errors errors = {0};
	if (!NO_MEMORY)
		skip();
	for (long n = 0; n < 2; n++) {
		no_memory_at(n);
		assert_null(assets_load(rig_portal.config, &errors));
		no_memory_at(0);
		assert_null(portal_config_load(rig_conf, &errors));
	}
	no_memory_end();
	errors_deinit(&errors);
	assets_free(NULL);
	texts_free(NULL);
}

/* It has no limit, and takes no share: room is for the others as before. */
static void a_connection_that_cannot_be_watched_takes_no_share(void **state)
{
	struct deadline *d = deadline_new(INT64_C(1000000000000000000));
	struct address a, b;
	if (!NO_MEMORY)
		skip();
	assert_true(address_parse("10.0.0.7", &a) && address_parse("10.0.0.8", &b));
	for (long n = 0; n < 3; n++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		no_memory_at(n);
		struct watched *w = deadline_begin(d, fd, &a);
		no_memory_end();
		assert_true(!w == (n == 0));
		assert_true(deadline_room(d, &b, 1));
		deadline_restart(d, w);
		deadline_pause(d, w);
		deadline_end(d, w);
		assert_true(deadline_room(d, &b, 1));
		close(fd);
	}
	deadline_free(d);
}

/* A request is answered, or its connection closed; the next one is served as ever. */
static void a_request_without_memory_hurts_no_other(void **state)
{
	static const char *const headers[] = {"Host", "gate.example", "Content-Type",
					      "application/x-www-form-urlencoded", NULL};
	static const struct rig_ask asks[] = {
		{.method = "GET", .path = "/", .headers = headers},
		{.method = "GET", .path = "/why", .query = "to=a.example", .headers = headers},
		{.method = "GET", .path = "/api", .headers = headers},
		{.method = "GET", .path = "/nowhere", .headers = headers},
		{.method = "POST",
		 .path = "/sign-in",
		 .headers = headers,
		 .body = "a=b",
		 .body_len = 3},
	};
	rig_daemon.why = "{\"action\": \"deny\", \"obstacles\": [\"one\"]}";
	for (size_t i = 0; NO_MEMORY && i < sizeof asks / sizeof *asks; i++) {
		struct MHD_Connection c;
		struct rig_got want = rig_ask(&asks[i], true), got;
		bool failed = true;
		for (long n = 0; failed; n++) {
			rig_connect(&c, rig_daemons[0], "10.0.0.1");
			no_memory_at(n);
			got = rig_request(&c, &asks[i]);
			failed = no_memory_failed;
			no_memory_end();
			rig_disconnect(&c);
			assert_true(got.closed || got.status == want.status || got.status >= 500);
			free(got.body);
		}
		assert_int_equal(got.status, want.status);
		free(want.body);
	}
}

static void a_redirect_without_memory_is_a_closed_connection(void **state)
{
	static const char *const headers[] = {"Host", "www.example.com", NULL};
	const struct rig_ask ask = {.method = "GET", .path = "/", .headers = headers};
	struct MHD_Connection c;
	bool failed = NO_MEMORY;
	for (long n = 0; failed; n++) {
		rig_connect(&c, rig_daemons[1], "10.0.0.1");
		no_memory_at(n);
		struct rig_got got = rig_request(&c, &ask);
		failed = no_memory_failed;
		rig_disconnect(&c);
		assert_int_equal(got.closed, failed);
		free(got.body);
	}
}

static unsigned saves;

static int on_save(struct store *s, const char *kind, unsigned version, const void *bytes,
		   size_t len)
{
	saves++;
	return 0;
}

/* What could not be saved is saved the next time. */
static void a_save_that_fails_is_made_up_for(void **state)
{
	const struct store_ops ops = {.save = on_save};
	struct store s = {.ops = &ops};
	struct address a = {0};
	struct token t = token_new();
	const struct cookie c = {.user = "ann", .until = INT64_MAX};
	if (!NO_MEMORY)
		skip();
	limit_begin(rig_portal.limit, &a, "ann", 1);
	cookies_put(rig_portal.cookies, &t, &c, 1);
	no_memory_at(0);
	assert_int_equal(cookies_save(rig_portal.cookies, &s), -ENOMEM);
	no_memory_at(0);
	assert_int_equal(limit_save(rig_portal.limit, &s), -ENOMEM);
	no_memory_end();
	assert_int_equal(saves, 0);
	assert_int_equal(cookies_save(rig_portal.cookies, &s), 0);
	assert_int_equal(limit_save(rig_portal.limit, &s), 0);
	assert_int_equal(saves, 2);
	assert_int_equal(cookies_save(rig_portal.cookies, &s), 0); /* nothing has changed */
	assert_int_equal(limit_save(rig_portal.limit, &s), 0);
	assert_int_equal(saves, 2);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(what_cannot_be_made_is_not_there),
		WITH(a_portal_without_texts_or_logo_is_none),
		WITH(a_connection_that_cannot_be_watched_takes_no_share),
		WITH(a_request_without_memory_hurts_no_other),
		WITH(a_redirect_without_memory_is_a_closed_connection),
		WITH(a_save_that_fails_is_made_up_for),
	};
	RIG_MUST(mkdtemp(rig_folder));
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(rig_conf);
	rmdir(rig_folder);
	return failed;
}
