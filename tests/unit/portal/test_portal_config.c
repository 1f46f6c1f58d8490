/* portal.conf: what is shipped is good, what is wrong is said, and portal.conf(5) has every option.
 * `test_portal_config --print` prints the option part of the page, to be put between its marks. */
#include "unit.h"
#include "../config/manual.h"
#include "base/clock.h"
#include "portal/portal_config.h"

#include <unistd.h>

static void put_options(FILE *to)
{
	put_table(to, &schema_portal, "Options");
	for (size_t i = 0; i < schema_portal.count; i++) {
		const struct option *o = &schema_portal.options[i];
		char title[64];
		snprintf(title, sizeof title, "Options in %s", o->name);
		if (o->table)
			put_table(to, o->table, title);
	}
}

static void manual_says_what_the_schema_says(void **state)
{
	manual_check("packaging/man/portal.conf.5", put_options);
}

static void the_shipped_file_is_good(void **state)
{
	struct errors errors = {0};
	struct portal_config *c = portal_config_load("conf/portal.conf", &errors);
	errors_print(&errors, stderr);
	assert_non_null(c);
	assert_string_equal(portal_authority(c), "gate.example");
	assert_int_equal(c->session, 12 * 3600 * NS_PER_S);
	assert_int_equal(c->credentials, CREDENTIALS_USERS);
	assert_int_equal(c->https.port, 443);
	portal_config_free(c);
}

/* How many lines are said of a file. */
static size_t errors_of(const char *text)
{
	char path[] = "/tmp/tiergate-portal-XXXXXX";
	struct errors errors = {0};
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	struct portal_config *c = portal_config_load(path, &errors);
	size_t count = errors.count;
	assert_true(!c == (count > 0));
	portal_config_free(c);
	errors_deinit(&errors);
	unlink(path);
	return count;
}

#define NEEDED "certificate = \"/c\"; key = \"/k\"; url = \"https://gate.example\";\n"

static void a_clock_that_is_disregarded_is_not_required(void **state)
{
#define CLIENT(more)                                                                               \
	NEEDED "radius_clients = ( { network = \"10.0.0.0/8\"; secret = "                          \
	       "\"0123456789abcdef\"; " more "} );"
	assert_int_equal(errors_of(CLIENT("clock = \"disregard\";")), 0);
	assert_int_equal(errors_of(CLIENT("require = [ \"event-timestamp\" ];")), 0);
	assert_int_equal(
		errors_of(CLIENT("clock = \"disregard\"; require = [ \"event-timestamp\" ];")), 1);
}

static void all_errors_are_said_at_once(void **state)
{
	assert_int_equal(errors_of(NEEDED), 0);
	assert_int_equal(errors_of(""), 3);
	assert_int_equal(errors_of(NEEDED "sesion = \"8h\"; session = \"8 hours\"; http = \"x\";\n"
					  "credentials = [ \"user\" ]; checkers = 0;"),
			 5);
	assert_int_equal(errors_of(NEEDED "credentials = [ ]; venue_url = \"http://x\";"), 2);
	assert_int_equal(errors_of("certificate = \"/c\"; key = \"/k\"; url = \"http://gate\";"),
			 1);
	assert_int_equal(errors_of("certificate = \"/c\"; key = \"/k\"; url = \"https://g/x\";"),
			 1);
	assert_int_equal(errors_of("certificate = \"c\"; key = \"/k\"; url = \"https://g\";"), 1);
	assert_int_equal(errors_of(NEEDED "language = \"../x\";"), 1);
	assert_int_equal(errors_of("url = "), 1);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--print") == 0) {
		put_options(stdout);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_that_is_disregarded_is_not_required),
		cmocka_unit_test(manual_says_what_the_schema_says),
		cmocka_unit_test(the_shipped_file_is_good),
		cmocka_unit_test(all_errors_are_said_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
