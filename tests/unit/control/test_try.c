/* tiergatectl try as people run it: on logs, on a capture, with changes that are meant. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CASE    "tests/golden/segment-tier/"
#define RECORDS CASE "want.jsonl"

static char dir[64], program[512], output[32768];

static const char *in_dir(const char *name)
{
	static char path[8][96];
	static unsigned next;
	char *p = path[next++ % 8];
	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

/* The case's configuration, with something replaced. */
static void variant(const char *name, const char *old, const char *new)
{
	char text[4096];
	FILE *from = fopen(CASE "tiergate.conf", "r"), *to = fopen(in_dir(name), "w");
	text[fread(text, 1, sizeof text - 1, from)] = '\0';
	const char *at = strstr(text, old);
	assert_non_null(at);
	fprintf(to, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	fclose(from);
	fclose(to);
}

static int start(void **state)
{
	const char *build = getenv("TIERGATE_BUILD");
	snprintf(dir, sizeof dir, "/tmp/tiergate-try-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(program, sizeof program, "%s/tiergatectl", build ? build : "build");
	variant("wide", "sites = [ \"staffers\" ]; }",
		"sites = [ \"staffers\" ]; },\n"
		"{ tiers = [ \"guest\" ]; sites = [ \"staffers\" ]; "
		"evidence = \"any\"; }");
	variant("narrow", "{ tiers = [ \"guest\" ]; sites = [ \"guests\" ]; }",
		"{ tiers = [ \"staff\" ]; sites = [ \"guests\" ]; }");
	variant("people", "segments = (",
		"segments = ( { network = \"10.2.0.0/16\"; tier = \"guest\"; },");
	return access(program, X_OK);
}

static int stop(void **state)
{
	char command[128];
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

/* Tries a configuration of the folder against the case's. */
static void want(const char *new, const char *arguments, int status, const char *said)
{
	char command[1024];
	snprintf(command, sizeof command, "%s try %s --config %stiergate.conf %s 2>&1", program,
		 in_dir(new), CASE, arguments);
	FILE *f = popen(command, "r");
	output[fread(output, 1, sizeof output - 1, f)] = '\0';
	int got = WEXITSTATUS(pclose(f));
	if (got != status || !strstr(output, said))
		fail_msg("%s: status %d, not %d, or lacks \"%s\":\n%s", command, got, status, said,
			 output);
}

#define ON_RECORDS "--against " RECORDS " "

static void says_who_gains_and_loses(void **state)
{
	want("wide", ON_RECORDS, 1,
	     "+ guest: staffers, 1 flow\n"
	     "    as 10.1.0.2 to www.staff.example at 203.0.113.10 tcp/443, 2026-03-02 10:00; it "
	     "was "
	     "no-line; it is allow-line, wide:11\n"
	     "18 flows of 10 records: 1 change, 0 of these are named\n");
	want("narrow", ON_RECORDS "--json", 1,
	     "{\"change\":\"loses\",\"tier\":\"guest\",\"user\":\"\",\"site\":\"guests\",\"flows\":"
	     "1,"
	     "\"named\":false,\"example\":{\"time\":\"2026-03-02T10:00:00.004000Z\",\"source\":"
	     "\"10.1.0.2\",\"destination\":\"203.0.113.10\",\"domain\":\"www.guest.example\","
	     "\"port\":"
	     "\"tcp/"
	     "443\"},\"was\":{\"reason\":\"allow-line\",\"rule\":\"tiergate.conf:9\"},\"is\":{"
	     "\"reason\":\"no-line\"}}\n{\"records\":10,\"flows\":18,\"changed\":1,\"named\":0,");
	/* nobody there named a host before it was denied */
	want("people", ON_RECORDS, 1,
	     "+? guest: 203.0.113.10, 12 flows\n    as 10.2.0.1 to 203.0.113.10");
	want("../../" CASE "tiergate.conf", "", 3,
	     ""); /* of its configuration: the log is not there */
}

/* What flows may still do, but no longer without end, or less of it. */
static void says_whose_quota_changes(void **state)
{
	char line[256];
	variant("quota", "sites = [ \"guests\" ]; }",
		"sites = [ \"guests\" ]; quota = \"90 min/day\"; }");
	variant("less", "sites = [ \"guests\" ]; }",
		"sites = [ \"guests\" ]; quota = \"1 h/day\"; }");
	want("quota", ON_RECORDS, 1,
	     "~ guest: guests, 1 flow\n"
	     "    as 10.1.0.2 to www.guest.example at 203.0.113.10 tcp/443, 2026-03-02 10:00; it "
	     "was allow-line, tiergate.conf:9; it is allow-line, quota:9\n"
	     "    the quota was none\n"
	     "    the quota is 90 min/day, guest at guests\n"
	     "18 flows of 10 records: 3 change, 0 of these are named\n");
	snprintf(line, sizeof line, ON_RECORDS "--config %s", in_dir("quota"));
	want("less", line, 1,
	     "    the quota was 90 min/day, guest at guests\n"
	     "    the quota is 1 h/day, guest at guests\n");
	want("quota", line, 0, "0 change");
	want("less", "--against " CASE "in.pcap --json", 1,
	     "{\"change\":\"quota\",\"tier\":\"guest\",\"user\":\"\",\"site\":\"guests\","
	     "\"quota_was\":\"\",\"quota_is\":\"1 h/day, guest at guests\",");
	/* who has named the one has not named the other */
	snprintf(line, sizeof line, ON_RECORDS "--json >%s", in_dir("seen"));
	want("quota", line, 1, "");
	snprintf(line, sizeof line, ON_RECORDS "--allow-change %s", in_dir("seen"));
	want("quota", line, 0, " 3 of these are named\n");
	want("less", line, 1, " 0 of these are named\n");
}

/* Neither answer may be taken for "nothing changes". */
static void bad_configurations(void **state)
{
	char line[256];
	variant("bad", "sites = [ \"guests\" ]; }",
		"sites = [ \"guests\" ]; quota = \"many/day\"; }");
	want("bad", ON_RECORDS, 3, "bad:9: ");
	want("bad", "--against " CASE "in.pcap", 3, "bad:9: ");
	snprintf(line, sizeof line, ON_RECORDS "--config %s", in_dir("bad"));
	want("wide", line, 3, "bad:9: ");
}

static void nothing_changes(void **state)
{
	variant("same", "internal", "# a comment\ninternal");
	want("same", ON_RECORDS, 0, "18 flows of 10 records: 0 change, 0 of these are named\n");
	assert_int_equal(strncmp(output, "18 flows", 8), 0);
}

static void changes_that_are_meant(void **state)
{
	char line[256];
	FILE *f = fopen(in_dir("meant"), "w");
	fputs("# the press desk asked for it\n\n"
	      "{\"change\": \"gains\", \"site\": \"staffers\"}\n"
	      "{\"change\": \"gains\", \"tier\": \"staff\", \"site\": \"staffers\"}\n",
	      f);
	fclose(f);
	snprintf(line, sizeof line, ON_RECORDS "--allow-change %s", in_dir("meant"));
	want("wide", line, 0, "+ guest: staffers, 1 flow (named)\n");
	want("narrow", line, 1, "- guest: guests, 1 flow\n");
	/* what was printed and looked at is taken as it is */
	snprintf(line, sizeof line, ON_RECORDS "--json >%s", in_dir("seen"));
	want("narrow", line, 1, "");
	snprintf(line, sizeof line, ON_RECORDS "--allow-change %s", in_dir("seen"));
	want("narrow", line, 0, " 1 of these are named\n");
	snprintf(line, sizeof line, "sed -i s/guest/staff/ %s", in_dir("seen"));
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof line, ON_RECORDS "--allow-change %s", in_dir("seen"));
	want("narrow", line, 1, " 0 of these are named\n");
	want("wide", line, 1, "+ guest: staffers, 1 flow\n");
	f = fopen(in_dir("meant"), "w");
	fputs("{\"change\": \"grows\"}\n{\"change\": \"gains\", \"tier\": 7}\nwhat\n", f);
	fclose(f);
	snprintf(line, sizeof line, ON_RECORDS "--allow-change %s", in_dir("meant"));
	want("wide", line, 3, "meant:1: no change; one such as");
	assert_non_null(strstr(output, "meant:2: "));
	assert_non_null(strstr(output, "meant:3: "));
	snprintf(line, sizeof line, ON_RECORDS "--allow-change %s", in_dir("absent"));
	want("wide", line, 3, "absent can't be read: No such file");
}

/* A change that is named with a name that nobody has would be taken for one that did not come. */
static void names_that_nobody_has(void **state)
{
	char line[512], users[256];
	FILE *f = fopen(in_dir("users"), "w");
	fputs("anna:staff:!\n", f);
	fclose(f);
	assert_int_equal(chmod(in_dir("users"), 0640), 0);
	snprintf(users, sizeof users,
		 "users_file = \"%s\"; hosts = ( { address = \"10.1.0.9\"; user = \"eve\"; tier = "
		 "\"guest\"; } ); internal",
		 in_dir("users"));
	variant("known", "internal", users);
	f = fopen(in_dir("meant"), "w");
	fputs("{\"change\": \"gains\", \"tier\": \"gest\", \"site\": \"staffer\"}\n# a comment\n"
	      "{\"change\": \"gains\", \"tier\": \"w\\u001bhatever\", \"host\": \"x.example\"}\n"
	      "{\"change\": \"gains\", \"user\": \"ana\"}\n"
	      "{\"change\": \"gains\", \"user\": \"somebody-else\"}\n"
	      "{\"change\": \"gains\", \"user\": \"anna\"}\n"
	      "{\"change\": \"gains\", \"user\": \"eve\", \"tier\": \"staff\"}\n"
	      "{\"change\": \"gains\", \"user\": \"voucher-1\"}\n"
	      "{\"change\": \"loses\", \"user\": \"ann\", \"site\": \"guests\"}\n",
	      f);
	fclose(f);
	snprintf(line, sizeof line,
		 "sed '1,3s/\"tiergate.tier\"/\"user.name\":\"ann\",&/' " RECORDS " >%s",
		 in_dir("log"));
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof line, "--against %s --config %s --allow-change %s", in_dir("log"),
		 in_dir("known"), in_dir("meant"));
	want("wide", line, 1,
	     "meant:1: warning: neither policy has a tier \"gest\"; did you mean \"guest\"?\n");
	const char *said = strstr(output, "meant:1: ");
	static const char *const next[] = {
		"meant:1: warning: neither policy has a site \"staffer\"; did you mean "
		"\"staffers\"?\n",
		"meant:3: warning: neither policy has a tier \"w?hatever\"\n",
		"meant:4: warning: no record and no users file has a user \"ana\"; did you mean "
		"\"anna\"?\n",
		"meant:5: warning: no record and no users file has a user \"somebody-else\"\n"};
	for (size_t i = 0; i < sizeof next / sizeof *next; i++) {
		said = strchr(said, '\n') + 1 + strlen(dir) + 1;
		if (strncmp(said, next[i], strlen(next[i])) != 0)
			fail_msg("not \"%s\":\n%s", next[i], output);
	}
	assert_string_equal(strchr(said, '\n'), "\n"); /* and no more */
	/* who may not read the users file is told nothing of users */
	assert_int_equal(remove(in_dir("users")), 0);
	want("wide", line, 1, "meant:3: ");
	assert_null(strstr(output, "meant:4: "));
}

/* Nobody is a name, too; so are a tier that goes, one that comes, and who comes with an address. */
static void names_of_one_policy(void **state)
{
	char line[512], old[256];
	FILE *f = fopen(in_dir("users"), "w");
	fputs("anna:staff:!\n", f);
	fclose(f);
	snprintf(old, sizeof old, "users_file = \"%s\"; tiers = ( { name = \"interns\"; },",
		 in_dir("users"));
	variant("known", "tiers = (", old);
	variant("comes", "tiers = (",
		"hosts = ( { address = \"10.1.0.9\"; user = \"eve\"; tier = \"editors\"; } );\n"
		"tiers = ( { name = \"editors\"; },");
	f = fopen(in_dir("meant"), "w");
	fputs("{\"change\": \"loses\", \"tier\": \"interns\"}\n"
	      "{\"change\": \"gains\", \"tier\": \"editors\"}\n"
	      "{\"change\": \"gains\", \"tier\": \"\", \"user\": \"eve\"}\n",
	      f);
	fclose(f);
	snprintf(line, sizeof line, ON_RECORDS "--config %s --allow-change %s", in_dir("known"),
		 in_dir("meant"));
	want("comes", line, 0, " 0 change");
	assert_null(strstr(output, "warning"));
	f = fopen(in_dir("meant"), "w");
	fputs("{\"change\": \"loses\", \"tier\": \"intern\"}\n"
	      "{\"change\": \"gains\", \"tier\": \"editor\"}\n",
	      f);
	fclose(f);
	want("comes", line, 0, "a tier \"intern\"; did you mean \"interns\"?\n");
	assert_non_null(strstr(output, "a tier \"editor\"; did you mean \"editors\"?\n"));
	/* where nothing was tried there is nothing to say of it */
	snprintf(line, sizeof line, "--against /nowhere --config %s --allow-change %s",
		 in_dir("known"), in_dir("meant"));
	want("comes", line, 3, "/nowhere");
	assert_null(strstr(output, "warning"));
}

static void some_of_the_records(void **state)
{
	want("wide", ON_RECORDS "--since 2026-03-02T10:00:01Z", 0,
	     "0 flows of 0 records: 0 change");
	want("wide", ON_RECORDS "--since 2026-03-02T10:00:00Z", 1, "18 flows of 10 records");
	want("wide", ON_RECORDS "--since yesterday", 2, "--since wants a time");
	want("wide", ON_RECORDS RECORDS " " RECORDS, 1, "54 flows of 30 records");
	want("wide", RECORDS, 2, "usage: tiergatectl try");
	want("wide", "--against /nowhere", 3, "/nowhere: records can't be read: No such file");
}

/* Of a day of the week the last one is meant: records of the day before it are not. */
static void since_a_day_of_the_week(void **state)
{
	char line[512], day[16];
	FILE *f = fopen(in_dir("log"), "w");
	time_t now = time(NULL);
	for (int age = 1; age <= 3; age += 2) {
		time_t then = now - age * 86400;
		strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%SZ", gmtime(&then));
		fprintf(f,
			"{\"@timestamp\":\"%s\",\"event.action\":\"deny\",\"event.reason\":\"no-"
			"line\","
			"\"source.ip\":\"10.1.0.2\",\"destination.ip\":\"203.0.113.10\","
			"\"network.transport\":\"tcp\",\"tiergate.evidence\":\"address\","
			"\"tiergate.mode\":\"enforce\"}\n",
			line);
	}
	fclose(f);
	now -= 2 * 86400;
	strftime(day, sizeof day, "%a %H:%M", localtime(&now));
	day[0] |= 0x20;
	snprintf(line, sizeof line, "--against %s --since \"%s\"", in_dir("log"), day);
	want("wide", line, 0, "1 flows of 1 records");
	snprintf(line, sizeof line, "--against %s", in_dir("log"));
	want("wide", line, 0, "2 flows of 2 records");
}

/* The log that the configuration names, with what was rotated of it. */
static void the_log_itself(void **state)
{
	char line[512], log[256];
	snprintf(log, sizeof log, "log = \"file\"; log_file = \"%s\"; internal", in_dir("log"));
	variant("logs", "internal", log);
	snprintf(line, sizeof line,
		 "gzip -c <" RECORDS " >%s; (head -c 1000 " RECORDS
		 "; echo; echo x; head -c 10 " RECORDS ") >%s",
		 in_dir("log.1.gz"), in_dir("log"));
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof line, "--config %s", in_dir("logs"));
	want("wide", line, 1, "19 flows of 11 records: 1 change");
	assert_non_null(strstr(output, "  2 lines can't be read\n  1 last lines have no end\n"
				       "  the first line that is none is log:3\n"));
	variant("logs", "internal", "log = \"journal\"; internal");
	want("wide", line, 3, "the log is no file; name records with --against");
}

static void users_that_nobody_knows(void **state)
{
	char line[512], users[256];
	FILE *f = fopen(in_dir("users"), "w");
	fputs("ann:staff:!\n", f);
	fclose(f);
	snprintf(users, sizeof users, "users_file = \"%s\"; internal", in_dir("users"));
	variant("known", "internal", users);
	snprintf(line, sizeof line,
		 "sed '1,3s/\"tiergate.tier\"/\"user.name\":\"ann\",&/; 4,6s/\"tiergate.tier\"/"
		 "\"user.name\":\"eve\",&/; "
		 "8s/\"tiergate.tier\"/\"user.name\":\"voucher-1\",&/' " RECORDS " >%s",
		 in_dir("log"));
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof line, "--against %s --config %s", in_dir("log"), in_dir("known"));
	want("wide", line, 1, "+ guest, ann: staffers, 1 flow\n");
	assert_non_null(
		strstr(output, "  1 users are in no users file now\n  2 records are theirs\n"));
}

/* Who is known by the configuration, or by a pseudonym alone, is not unknown. */
static void users_that_somebody_knows(void **state)
{
	char line[512], users[512];
	snprintf(users, sizeof users,
		 "users_file = \"%s\"; hosts = ( { address = \"10.1.0.9\"; user = \"eve\"; tier = "
		 "\"guest\"; } ); internal",
		 in_dir("users"));
	variant("known", "internal", users);
	snprintf(line, sizeof line, "--against %s --config %s", in_dir("log"), in_dir("known"));
	want("wide", line, 1, "+ guest, ann: staffers, 1 flow\n");
	assert_null(strstr(output, "no users file"));
	snprintf(users, sizeof users, "users_file = \"%s\"; pseudonym_key = \"%s\"; internal",
		 in_dir("users"), in_dir("key"));
	variant("known", "internal", users);
	want("wide", line, 1, "+ guest, ann: staffers, 1 flow\n");
	assert_null(strstr(output, "no users file"));
}

/* A connection with several requests has several decisions: the first is held against the first. */
static void flows_that_are_decided_again(void **state)
{
	static const char case_of[] = "tests/golden/http-every-request/";
	char line[512];
	snprintf(line, sizeof line,
		 "sed 's/\"allowed.example\"/\"*.allowed.example\", \"www.denied.example\"/' "
		 "%stiergate.conf >%s",
		 case_of, in_dir("again"));
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof line, "--against %sin.pcap --config %stiergate.conf", case_of,
		 case_of);
	want("again", line, 1, "+ guest: good, 9 flows\n");
	assert_non_null(strstr(output, "36 flows of 36 records: 9 change, 0"));
	snprintf(line, sizeof line, "sed s/allowed.example/none.example/ %stiergate.conf >%s",
		 case_of, in_dir("again"));
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof line, "--against %sin.pcap --config %stiergate.conf", case_of,
		 case_of);
	want("again", line, 1, "- guest: good, 22 flows\n");
	assert_non_null(strstr(output, "22 flows of 22 records: 22 change, 0"));
}

static void on_a_capture(void **state)
{
	want("wide", "--against " CASE "in.pcap", 1, "+ guest: staffers, 1 flow\n    as 10.1.0.2");
	assert_non_null(strstr(output, "8 flows of 8 records: 1 change, 0"));
	want("people", "--against " CASE "in.pcap", 1, "+ guest: guests, 1 flow\n");
	want("same", "--against " CASE "in.pcap --json", 0, "\"changed\":0,");
	want("wide", "--against " CASE "in.pcap --config /nowhere", 3, "/nowhere");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_who_gains_and_loses),
		cmocka_unit_test(says_whose_quota_changes),
		cmocka_unit_test(bad_configurations),
		cmocka_unit_test(nothing_changes),
		cmocka_unit_test(changes_that_are_meant),
		cmocka_unit_test(names_that_nobody_has),
		cmocka_unit_test(names_of_one_policy),
		cmocka_unit_test(some_of_the_records),
		cmocka_unit_test(the_log_itself),
		cmocka_unit_test(users_that_nobody_knows),
		cmocka_unit_test(users_that_somebody_knows),
		cmocka_unit_test(since_a_day_of_the_week),
		cmocka_unit_test(flows_that_are_decided_again),
		cmocka_unit_test(on_a_capture),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
