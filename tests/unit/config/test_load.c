#include "unit.h"
#include "config/files.h"
#include "base/clock.h"
#include "config/value.h"

#include <netinet/in.h>

/* Printed, loaded from another folder, printed: the same text. */
static void check_round_trip(const struct config *c)
{
	char *first = files_print(c);
	files_write("round.conf", first);
	struct config *again = files_load("round.conf");
	assert_non_null(again);
	char *second = files_print(again);
	assert_string_equal(first, second);
	config_free(again);
	free(first);
	free(second);
}

static void empty_is_the_defaults(void **state)
{
	files_write("empty.conf", "");
	struct config *c = files_load("empty.conf");
	assert_non_null(c);
	assert_int_equal(c->inside.count, 0);
	assert_int_equal(c->internal.count, 4);
	assert_int_equal(c->resolvers.count, 0);
	assert_int_equal(c->mode, CONFIG_ENFORCE);
	assert_int_equal(c->when_down, CONFIG_CLOSED);
	assert_int_equal(c->when_full, CONFIG_CLOSED);
	assert_int_equal(c->on_deny, CONFIG_REJECT);
	assert_int_equal(c->portal[0].port + c->portal[1].port, 0);
	assert_int_equal(c->http, CONFIG_HTTP_FIRST);
	assert_int_equal(c->mismatch, CONFIG_MISMATCH_LOG);
	assert_int_equal(c->audit, CONFIG_AUDIT_NORMAL);
	assert_false(c->dns_any_client);
	assert_int_equal(c->name_grace, 3600 * NS_PER_S);
	assert_int_equal(c->log, CONFIG_LOG_FILE);
	assert_string_equal(c->log_file, "/var/log/tiergate/decisions.jsonl");
	assert_null(c->pseudonym_key_file);
	assert_string_equal(c->control_socket, "/run/tiergate/control.sock");
	assert_int_equal(c->queues, 2);
	assert_int_equal(c->mark_mask, 0x7f000000);
	assert_int_equal(c->held, c->queue_length / 4);
	assert_int_equal(c->held_per_client, c->held / 16);
	assert_int_equal(c->hello_timeout, 2 * NS_PER_S);
	assert_int_equal(c->allow_count, 0);
	check_round_trip(c);
	config_free(c);
}

static void shipped_loads_and_prints(void **state)
{
	struct errors errors = {0};
	struct config *c = config_load("conf/tiergate.conf", CONFIG_FOR_RUN, &errors);
	errors_print(&errors, stderr);
	assert_non_null(c);
	assert_string_equal(c->allow[0].place.file, "rules/policy.conf");
	assert_int_equal(c->sites[0].count, 8);
	assert_string_equal(c->sites[0].list[0].file, "rules/facebook.sites");
	assert_true(c->expect_count >= 16);
	check_round_trip(c);
	config_free(c);
}

static const char everything[] =
	"inside = [ \"lan0\", \"lan0.7\" ]; internal = [ \"10.0.0.0/8\" ];\n"
	"resolvers = ( \"10.0.0.53\", \"fd00::53\" );\n"
	"mode = \"observe\"; on_deny = \"redirect\"; portal = [ \"10.0.0.1:80\", "
	"\"[fd00::1]:8080\" ];\n"
	"http = \"every-request\"; mismatch = \"deny\"; dns_scope = \"network\"; name_grace = "
	"\"0s\";\n"
	"log = \"journal\"; pseudonym_key = \"/etc/tiergate/key\"; mark_mask = 0xff000000;\n"
	"bounds = { flows = 2048; held = 64; held_per_client = 8; hello_timeout = \"1500ms\"; };\n"
	"tiers = ( { name = \"a\"; },\n"
	"  { name = \"b\"; includes = [ \"a\" ];\n"
	"    evidence = \"dns\"; mismatch = \"log\"; idle = \"8h\"; absolute = \"2d\"; } );\n"
	"segments = ( { network = \"fd00:9::/32\"; tier = \"a\"; } );\n"
	"schedules = ( { name = \"night\"; days = \"sat,sun\"; hours = \"22:00-06:00\"; "
	"zone = \"Europe/Sofia\"; } );\n"
	"sites = ( { name = \"s\"; hosts = [\n"
	"  \"example.org\",\n"
	"  \"=a.example\"\n"
	"]; } );\n"
	"allow = ( { tiers = [ \"*\" ]; sites = [ \"s\" ]; when = \"night\"; owner = \"desk "
	"\\\"1\\\"\";\n"
	"  ports = [ \"tcp/8000-8100\" ]; note = \"why\\\\\"; expires = \"2027-06-30\";\n"
	"  evidence = \"name+address\"; mismatch = \"deny\"; } );\n"
	"deny = ( { tiers = [ \"a\", \"b\" ]; sites = [ \"*\" ]; } );\n"
	"expect = ( { from = \"fd00:9::1\"; to = \"WWW.Example.org.\"; port = \"udp/443\";\n"
	"  evidence = \"host+dns\"; at = \"sun 23:00\"; outcome = \"deny\"; },\n"
	"  { tier = \"b\"; to = \"192.0.2.1\"; outcome = \"deny\"; } );\n";

static void every_option_is_read(void **state)
{
	files_write("all.conf", everything);
	struct config *c = files_load_for("all.conf", CONFIG_FOR_RUN);
	assert_non_null(c);
	assert_string_equal(c->inside.item[1], "lan0.7");
	assert_int_equal(c->resolvers.count, 2);
	assert_int_equal(c->mode, CONFIG_OBSERVE);
	assert_int_equal(c->when_down, CONFIG_OPEN);
	assert_int_equal(c->when_full, CONFIG_OPEN);
	assert_int_equal(c->on_deny, CONFIG_REDIRECT);
	assert_int_equal(c->portal[0].port, 80);
	assert_int_equal(c->portal[1].port, 8080);
	assert_true(address_is4(&c->portal[0].address));
	assert_int_equal(c->http, CONFIG_HTTP_EVERY);
	assert_int_equal(c->mismatch, CONFIG_MISMATCH_DENY);
	assert_true(c->dns_any_client);
	assert_int_equal(c->name_grace, 0);
	assert_int_equal(c->log, CONFIG_LOG_JOURNAL);
	assert_int_equal(c->mark_mask, 0xff000000);
	assert_int_equal(c->flows, 2048);
	assert_int_equal(c->held, 64);
	assert_int_equal(c->held_per_client, 8);
	assert_int_equal(c->hello_timeout, 1500 * NS_PER_MS);
	config_free(c);
}

static void every_row_is_read(void **state)
{
	files_write("all.conf", everything);
	struct config *c = files_load("all.conf");
	assert_non_null(c);
	const struct config_line *allow = &c->allow[0], *deny = &c->deny[0];
	assert_string_equal(c->tiers[1].includes.item[0], "a");
	assert_int_equal(c->tiers[1].evidence, CONFIG_EVIDENCE_DNS);
	assert_int_equal(c->tiers[1].mismatch, CONFIG_MISMATCH_LOG);
	assert_int_equal(c->tiers[1].idle, 8 * 3600 * NS_PER_S);
	assert_int_equal(c->tiers[0].absolute, 0);
	assert_int_equal(c->segments[0].network.bits, 32);
	assert_int_equal(c->schedules[0].days, 0x60);
	assert_int_equal(c->schedules[0].hours[0].from, 22 * 60);
	assert_int_equal(c->schedules[0].hours[0].to, 6 * 60);
	assert_string_equal(allow->tiers.item[0], "*");
	assert_int_equal(allow->port_count, 1);
	assert_int_equal(allow->ports[0].last, 8100);
	assert_string_equal(allow->owner, "desk \"1\"");
	assert_string_equal(allow->note, "why\\");
	assert_int_equal(allow->evidence, CONFIG_EVIDENCE_NAME_ADDRESS);
	assert_int_equal(allow->expires / NS_PER_S, 1814400000); /* 2027-07-01 */
	assert_int_equal(deny->port_count, 3);
	assert_int_equal(deny->ports[2].transport, IPPROTO_UDP);
	assert_int_equal(deny->expires, 0);
	assert_int_equal(deny->evidence, CONFIG_EVIDENCE_UNSET);
	assert_true(c->expects[0].has_from);
	assert_string_equal(c->expects[0].to, "www.example.org");
	assert_int_equal(c->expects[0].evidence, EVIDENCE_HOST_DNS);
	assert_int_equal(c->expects[0].outcome, ACTION_DENY);
	assert_false(c->expects[1].has_from);
	assert_int_equal(c->expects[1].evidence, EVIDENCE_COUNT);
	assert_int_equal(c->expects[1].port.first, 443);
	check_round_trip(c);
	config_free(c);
}

static void lines_are_those_written(void **state)
{
	files_write("all.conf", everything);
	struct config *c = files_load("all.conf");
	assert_non_null(c);
	assert_string_equal(c->tiers[0].place.file, "all.conf");
	assert_int_equal(c->tiers[0].place.line, 7);
	assert_int_equal(c->tiers[1].place.line, 8);
	assert_int_equal(c->sites[0].list[0].item[0]->line, 13);
	assert_int_equal(c->sites[0].list[0].item[1]->line, 14);
	assert_int_equal(c->allow[0].place.line, 16);
	assert_int_equal(c->deny[0].place.line, 19);
	assert_int_equal(c->expects[1].place.line, 22);
	config_free(c);
}

static void inside_is_needed_to_run(void **state)
{
	files_write("empty.conf", "");
	char *errors = files_errors("empty.conf", CONFIG_FOR_RUN);
	assert_non_null(strstr(errors, "inside names no interface"));
	free(errors);
	struct config *c = files_load_for("empty.conf", CONFIG_FOR_REPLAY);
	assert_non_null(c);
	config_free(c);
}

static void places_do_not_depend_on_the_folder(void **state)
{
	char path[256];
	mkdir(files_path("sub"), 0755);
	snprintf(path, sizeof path, "policy = [ \"./sub/p.conf\", \"%s/abs.conf\" ];",
		 files_folder);
	files_write("main.conf", path);
	files_write("sub/p.conf", "policy = [ \"q.conf\" ];\n"
				  "sites = ( { name = \"s\"; lists = [ \"l.sites\" ]; } );");
	files_write("sub/q.conf", "\n\ntiers = ( { name = \"t\"; } );");
	files_write("sub/l.sites", "example.org\n");
	files_write("abs.conf", "tiers = ( { name = \"u\"; } );");
	struct config *c = files_load("main.conf");
	assert_non_null(c);
	assert_string_equal(c->sites[0].place.file, "sub/p.conf");
	assert_string_equal(c->sites[0].list[0].file, "sub/l.sites");
	assert_string_equal(c->tiers[0].place.file, "sub/q.conf");
	assert_int_equal(c->tiers[0].place.line, 3);
	assert_string_equal(c->tiers[1].place.file, "abs.conf");
	config_free(c);
}

static void own_rows_come_first(void **state)
{
	files_write("main.conf", "policy = [ \"p.conf\" ]; tiers = ( { name = \"first\"; } );");
	files_write("p.conf", "tiers = ( { name = \"second\"; } );");
	struct config *c = files_load("main.conf");
	assert_non_null(c);
	assert_string_equal(c->tiers[0].name, "first");
	assert_string_equal(c->tiers[1].name, "second");
	config_free(c);
}

/* A file that does not parse must not make its names look dangling elsewhere. */
static void a_bad_file_hides_no_errors_and_makes_none(void **state)
{
	files_write("main.conf", "policy = [ \"bad.conf\", \"p.conf\" ];\n"
				 "segments = ( { network = \"10.0.0.0/8\"; tier = \"there\"; } );\n"
				 "mode = \"off\";");
	files_write("bad.conf", "tiers = ( { name = \"there\";\n idle = } );\n");
	files_write("p.conf", "\ntears = ( );");
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_null(strstr(errors, "there is no tier"));
	assert_non_null(strstr(errors, "main.conf:3: mode"));
	assert_non_null(strstr(errors, "bad.conf:2: syntax error"));
	assert_non_null(strstr(errors, "p.conf:2: unknown key \"tears\""));
	free(errors);
}

static void a_loop_of_files_ends(void **state)
{
	files_write("main.conf", "policy = [ \"p.conf\" ];");
	files_write("p.conf", "policy = [ \"main.conf\" ];");
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_string_equal(errors, "p.conf:1: main.conf is named twice; name each file once\n");
	free(errors);
}

static void a_zero_byte_is_an_error(void **state)
{
	files_write_n("main.conf", "\n\0mode", 6);
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_string_equal(errors, "main.conf:2: a zero byte; write a text file\n");
	free(errors);
}

/* Wherever it stands: the last word of a file, too. */
static void an_include_at_the_end_is_said(void **state)
{
	static const char *const text[] = {"@include", "@include ", "@include \"a.conf\""};
	for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
		files_write("main.conf", text[i]);
		char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
		assert_string_equal(errors, "main.conf:1: @include is not taken; name the file in "
					    "policy = [ \"file.conf\" ]\n");
		free(errors);
	}
}

/* A name of a file that no record could say is refused where it stands. */
static void a_name_of_a_file_has_a_bound(void **state)
{
	static char text[2000], name[1000];
	static const char *const forms[] = {
		"policy = [ \"%s\" ];",
		"sites = ( { name = \"s\"; lists = [ \"%s\" ]; } );",
		"schedules = ( { name = \"s\"; calendar = \"%s\"; } );",
	};
	memset(name, 'x', sizeof name - 1);
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		snprintf(text, sizeof text, forms[i], name);
		files_write("main.conf", text);
		char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
		if (!strstr(errors, "main.conf:1: "))
			fail_msg("%s", errors);
		free(errors);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_is_the_defaults),
		cmocka_unit_test(shipped_loads_and_prints),
		cmocka_unit_test(every_option_is_read),
		cmocka_unit_test(every_row_is_read),
		cmocka_unit_test(lines_are_those_written),
		cmocka_unit_test(inside_is_needed_to_run),
		cmocka_unit_test(places_do_not_depend_on_the_folder),
		cmocka_unit_test(own_rows_come_first),
		cmocka_unit_test(a_bad_file_hides_no_errors_and_makes_none),
		cmocka_unit_test(a_loop_of_files_ends),
		cmocka_unit_test(a_zero_byte_is_an_error),
		cmocka_unit_test(an_include_at_the_end_is_said),
		cmocka_unit_test(a_name_of_a_file_has_a_bound),
	};
	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
