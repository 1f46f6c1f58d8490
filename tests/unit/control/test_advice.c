/* tiergatectl coverage, expect --suggest, suggest, unused, why with an edit as people run them:
 * what is printed loads as it is. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], build[512], output[32768];

#define POLICY                                                                                     \
	"tiers = ( { name = \"guest\"; }, { name = \"press\"; includes = [ \"guest\" ]; } );\n"    \
	"sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; }, { name = \"ads\"; "         \
	"hosts = [ \"ads.example\" ]; } );\n"                                                      \
	"allow = ( { tiers = [ \"press\" ]; sites = [ \"news\" ]; owner = \"desk\"; } );\n"        \
	"deny = ( { tiers = [ \"guest\" ]; sites = [ \"news\", \"ads\" ]; } );\n"

static void put(const char *name, const char *text)
{
	char path[96];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int mkdir_in(const char *name)
{
	char path[96];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return mkdir(path, 0755);
}

static int start(void **state)
{
	const char *b = getenv("TIERGATE_BUILD");
	snprintf(dir, sizeof dir, "/tmp/tiergate-advice-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(build, sizeof build, "%s", b ? b : "build");
	if (build[0] != '/') {
		char *here = getcwd(NULL, 0);
		snprintf(build, sizeof build, "%s/%s", here, b ? b : "build");
		free(here);
	}
	put("bare.conf", POLICY);
	put("t.conf", POLICY "policy = [ \"more.conf\" ];\n");
	put("bad.conf", "allow = 1;\n");
	return 0;
}

static int stop(void **state)
{
	char command[128];
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

/* Runs a command in the folder. */
static void want(const char *command, int status, const char *said)
{
	char line[1200];
	snprintf(line, sizeof line, "cd %s; PATH=%s:$PATH; { %s; } 2>&1", dir, build, command);
	FILE *f = popen(line, "r");
	output[fread(output, 1, sizeof output - 1, f)] = '\0';
	int got = WEXITSTATUS(pclose(f));
	if (got != status || !strstr(output, said))
		fail_msg("%s: status %d, not %d, or lacks \"%s\":\n%s", line, got, status, said,
			 output);
}

static void coverage_and_expect(void **state)
{
	want("tiergatectl coverage --config bare.conf", 1,
	     "bare.conf:3: allow press: news, owner desk\nbare.conf:4: deny guest: news, ads\n"
	     "2 of 2 lines decide no expect\n");
	want("tiergatectl coverage --json --config bare.conf", 1,
	     "{\"rule\":\"bare.conf:4\",\"kind\":\"deny\",\"tiers\":[\"guest\"],\"sites\":["
	     "\"news\",\"ads\"]}\n{\"lines\":2,\"untouched\":2}\n");
	want("tiergatectl expect --suggest --config bare.conf", 0,
	     "expect = (\n\t# bare.conf:3, desk\n"
	     "\t{ tier = \"press\"; to = \"news.example\"; outcome = \"allow\"; },\n");
	/* what it writes is a file that loads and holds, and then nothing is left */
	want("tiergatectl expect --suggest --config bare.conf >more.conf; "
	     "tiergated check --config t.conf && tiergatectl coverage --config t.conf",
	     0, "0 of 2 lines decide no expect\n");
	want("tiergatectl expect --suggest --config t.conf", 0, "");
	assert_string_equal(output, "");
	want("tiergatectl expect --suggest --json --config bare.conf", 0, "");
	assert_string_equal(output, "{\"rule\":\"bare.conf:3\",\"owner\":\"desk\",\"tier\":"
				    "\"press\",\"to\":\"news.example\","
				    "\"port\":\"tcp/443\",\"outcome\":\"allow\"}\n"
				    "{\"rule\":\"bare.conf:3\",\"owner\":\"desk\",\"tier\":"
				    "\"guest\",\"to\":\"news.example\","
				    "\"port\":\"tcp/443\",\"outcome\":\"deny\"}\n"
				    "{\"rule\":\"bare.conf:4\",\"tier\":\"guest\",\"to\":\"news."
				    "example\",\"port\":\"tcp/443\","
				    "\"outcome\":\"deny\"}\n");
	/* of what others decide as well nothing is found: a comment, as JSON no outcome */
	put("dead.conf",
	    "tiers = ( { name = \"guest\"; } );\n"
	    "sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; },\n"
	    "{ name = \"all\"; hosts = [ \"example\" ]; }, { name = \"ads\"; hosts = [ "
	    "\"ads.test\" ]; } );\n"
	    "allow = ( { tiers = [ \"guest\" ]; sites = [ \"all\" ]; },\n"
	    "{ tiers = [ \"guest\" ]; sites = [ \"news\" ]; ports = [ \"tcp/443\" ]; owner = "
	    "\"desk\"; },\n"
	    "{ tiers = [ \"guest\" ]; sites = [ \"ads\" ]; ports = [ \"tcp/80\" ]; },\n"
	    "{ tiers = [ \"guest\" ]; sites = [ \"news\" ]; ports = [ \"udp/443\" ]; } "
	    ");\n");
	want("tiergatectl expect --suggest --config dead.conf", 1, "");
	assert_string_equal(output,
			    "expect = (\n\t# dead.conf:4\n"
			    "\t{ tier = \"guest\"; to = \"example\"; outcome = \"allow\"; },\n"
			    "\t# dead.conf:5, desk: nothing found that this line alone decides\n"
			    "\t# dead.conf:6\n"
			    "\t{ tier = \"guest\"; to = \"ads.test\"; port = \"tcp/80\"; outcome = "
			    "\"allow\"; }\n"
			    "\t# dead.conf:7: nothing found that this line alone decides\n"
			    ");\n");
	want("tiergatectl expect --suggest --json --config dead.conf", 1,
	     "{\"rule\":\"dead.conf:5\",\"owner\":\"desk\"}\n{\"rule\":\"dead.conf:6\",");
	want("tiergatectl expect --config bare.conf", 2, "--suggest");
	want("tiergatectl coverage --config bad.conf", 3, "bad.conf:1:");
	want("tiergatectl coverage too much", 2, "too is no option");
}

/* ---- suggest ---- */

/* A record of a denial, or of what was allowed; host "": none. */
static void record(FILE *f, int second, int client, const char *tier, const char *host, int port,
		   const char *action, const char *reason)
{
	fprintf(f,
		"{\"@timestamp\":\"2026-03-02T10:%02d:%02d.000000Z\",\"event.action\":\"%s\","
		"\"event.reason\":\"%s\",\"user.name\":\"u%d\",\"tiergate.tier\":\"%s\","
		"\"source.ip\":\"10.1.0.%d\",\"source.port\":40002,\"destination.ip\":"
		"\"203.0.113.%d\",\"destination.port\":%d,",
		second / 60, second % 60, action, reason, client, tier, client, client, port);
	if (host[0])
		fprintf(f, "\"destination.domain\":\"%s\",", host);
	fprintf(f,
		"\"network.transport\":\"tcp\",\"tiergate.evidence\":\"%s\",\"tiergate.mode\":"
		"\"enforce\",\"tiergate.policy\":\"51dab9717a7147af\"}\n",
		host[0] ? "sni" : "address");
}

static void deny(FILE *f, int second, int client, const char *tier, const char *host, int port)
{
	record(f, second, client, tier, host, port, "deny", "no-line");
}

static void records(void)
{
	char path[96];
	snprintf(path, sizeof path, "%s/r.jsonl", dir);
	FILE *f = fopen(path, "w");
	for (int i = 0; i < 4; i++) { /* a page and its images, by several people */
		deny(f, 60 * i, 1 + i % 2, "press", "www.shop.co.uk", 443);
		deny(f, 60 * i + 2, 1 + i % 2, "press", "img.shopcdn.net", 443);
		deny(f, 60 * i + 3, 1 + i % 2, "press", "login.shop.co.uk", 8443);
	}
	for (int i = 0; i < 3; i++) /* a list that lies there, and what is not of it alone */
		deny(f, 300 + i, 1, "press", "v.video.example", 443);
	deny(f, 310, 1, "guest", "www.videocdn.example", 443);
	deny(f, 320, 1, "guest", "news.example", 443);   /* a site that keeps guests out */
	deny(f, 330, 1, "press", "shared.example", 443); /* shared by the list */
	deny(f, 340, 1, "press", "", 22);                /* an address */
	deny(f, 350, 1, "gone", "x.example", 443);       /* a tier of old */
	record(f, 360, 1, "press", "bad.example", 443, "deny", "name-address-mismatch");
	deny(f, 370, 1, "press", "news.example", 443);      /* allowed since */
	deny(f, 380, 1, "press", "com", 443);               /* no registered domain */
	deny(f, 382, 1, "press", "www.ads.example", 443);   /* a site that keeps others out */
	deny(f, 384, 1, "press", "not.video.example", 443); /* what the list excepts */
	record(f, 390, 1, "press", "fine.example", 443, "allow", "allow-line");
	fputs("{\"@timestamp\":\"2026-0", f);
	fclose(f);
}

static void denials_become_lines(void **state)
{
	records();
	assert_int_equal(mkdir_in("rules"), 0);
	put("rules/video.sites",
	    "video.example\nvideocdn.example\n!not.video.example\n~shared.example\n");
	put("rules/broken.sites", "shop.co.uk\nno entry at all\n");
	want("tiergatectl suggest --config bare.conf --against r.jsonl", 0,
	     "# 21 flows were denied, or would have been, that the lines here would allow\n"
	     "# 1 more the policy of today allows\n"
	     "# 1 a deny line stands in the way of, see why\n"
	     "# 1 no line would help: their evidence, a malformed hello ...\n"
	     "# 1 were of nobody, or of a tier that is no more\n"
	     "# 26 records are of another policy: an earlier one, or another host's\n"
	     "# 1 records are of a tier that the policy lacks\n"
	     "# 1 last lines have no end\n");
	assert_non_null(strstr(
		output,
		"allow = (\n\t# 12 flows by u1, u2, 2026-03-02 10:00 to 2026-03-02 10:03; known by "
		"sni (12)\n\t# www.shop.co.uk, login.shop.co.uk\n"
		"\t{ tiers = [ \"press\" ]; sites = [ \"shop.co.uk\", \"shop.co.uk-learned\" ]; "
		"ports = [ \"tcp/443\", \"tcp/8443\" ]; },\n"
		"\t# 3 flows by u1, "));
	assert_non_null(strstr(output, "\t{ name = \"shop.co.uk\"; hosts = [ \"shop.co.uk\" ]; },\n"
				       "\t# learned: what always came with it\n"
				       "\t{ name = \"shop.co.uk-learned\"; hosts = [ "
				       "\"shopcdn.net\" ]; },\n"
				       "\t{ name = \"video\"; lists = [ \"/"));
	assert_non_null(strstr(output, "tiers = [ \"guest\" ]; sites = [ \"video\" ]; }"));
	assert_non_null(strstr(output, "hosts = [ \"shared.example\" ]"));
	assert_non_null(strstr(output, "hosts = [ \"=com\" ]"));
	assert_non_null(strstr(output, "hosts = [ \"ads.example\" ]"));
	assert_non_null(strstr(output, "hosts = [ \"video.example\" ]"));
	assert_non_null(strstr(output, "hosts = [ \"203.0.113.1\" ]"));
	assert_non_null(strstr(output, "ports = [ \"tcp/22\" ]; evidence = \"any\"; }"));
}

/* What was suggested loads as it is, and then nothing of it is denied any more. */
static void suggestions_load(void **state)
{
	want("tiergatectl suggest --config bare.conf --against r.jsonl >more.conf; "
	     "tiergated check --config t.conf && "
	     "tiergatectl suggest --config t.conf --against r.jsonl",
	     0, "# 22 more the policy of today allows\n");
	assert_non_null(strstr(output, "# Nothing to suggest.\n"));
	assert_null(strstr(output, "sites = ("));
}

static void suggestions_are_asked_for(void **state)
{
	want("tiergatectl suggest --config bare.conf --against r.jsonl --tier guest --json", 0,
	     "{\"tier\":\"guest\",\"site\":\"video\",\"is\":\"list\",\"from\":\"/");
	assert_non_null(strstr(output, "\"records\":26,\"denied\":2,\"grouped\":1,"));
	want("tiergatectl suggest --config bare.conf --against r.jsonl --user u2 --json", 0,
	     "\"grouped\":6,");
	want("tiergatectl suggest --config bare.conf --against r.jsonl --since "
	     "2026-03-02T10:05:35Z --json",
	     0, "\"is\":\"address\"");
	want("tiergatectl suggest --config bare.conf --against r.jsonl --tier none", 1,
	     "has no tier none (tiers known: guest, press); write it");
	want("tiergatectl suggest --config bare.conf --against r.jsonl --tier gest", 1,
	     "has no tier gest (did you mean \"guest\"?); write it");
	put("users", "u1:press:!\nu2:guest:!\nanna:guest:!\n");
	put("users.conf", POLICY "users_file = \"users\";\n");
	want("chmod 0640 users; F=$PWD/users; sed -i \"s|\\\"users\\\"|\\\"$F\\\"|\" users.conf; "
	     "tiergatectl suggest --config users.conf --against r.jsonl --user ana",
	     0, "no record is of a user ana\ntiergatectl: did you mean anna, of ");
	put("users", "u1:press:!\n");
	want("tiergatectl suggest --config users.conf --against r.jsonl", 0,
	     "# 1 users are in no users file now\n# 6 records are theirs\n# 1 last lines");
	want("tiergatectl suggest --config users.conf --against r.jsonl --json", 0,
	     "\"other_policy\":26,\"unknown_tier\":1,\"unknown_users\":1,\"of_unknown_users\":6,"
	     "\"strange\":0,\"damaged\":0,\"torn\":1,\"gone\":0,\"cut\":0,\"first_bad\":\"r.jsonl:"
	     "27\"}");
	want("tiergatectl suggest --config bare.conf --against nowhere", 3, "nowhere");
	want("tiergatectl suggest --config bare.conf r.jsonl", 2, "--against names records");
	want("tiergatectl suggest --since never", 2, "--since wants a time");
}

/* ---- why, and the edit that would flip it ---- */

static void why_names_the_edit(void **state)
{
	want("tiergatectl why --config bare.conf --tier guest --to news.example", 1,
	     "  edit:     the smallest that would allow it\n"
	     "            bare.conf:4: leave the deny line out\n");
	put("edit.conf", "tiers = ( { name = \"a\"; }, { name = \"b\"; } );\n"
			 "sites = ( { name = \"video\"; lists = [ \"rules/video.sites\" ]; } );\n"
			 "allow = ( { tiers = [ \"a\" ]; sites = [ \"video\" ]; } );\n"
			 "deny = ( { tiers = [ \"*\" ]; sites = [ \"video\" ]; ports = [ "
			 "\"udp/443\" ]; } );\n");
	want("tiergatectl why --config edit.conf --tier a --to x.not.video.example", 1,
	     "            rules/video.sites:3: leave out \"!not.video.example\"\n");
	want("tiergatectl why --config edit.conf --tier b --to video.example --json", 1,
	     "\"edit\":[{\"where\":\"edit.conf:3\",\"what\":\"add \\\"b\\\" to tiers\"}],"
	     "\"smallest\":true}");
	want("tiergatectl why --config edit.conf --tier a --to video.example --port tcp/22", 1,
	     "edit.conf:3: add \"tcp/22\" to ports\n");
	want("tiergatectl why --config edit.conf --tier a --to video.example --port udp/443", 1,
	     "edit.conf:4: take \"a\" out of the deny line's tiers\n");
	want("tiergatectl why --config edit.conf --tier a --to other.example", 1,
	     "edit.conf:2: add \"=other.example\" to site video\n");
	want("tiergatectl why --config edit.conf --tier a --to video.example", 0,
	     "  edit:     the smallest that would deny it\n"
	     "            deny: add { tiers = [ \"a\" ]; sites = [ \"video\" ]; ports = [ "
	     "\"tcp/443\" ]; }\n");
	want("tiergatectl why --config edit.conf --address 10.0.0.9 --to video.example", 1,
	     "no-tier");
	assert_null(strstr(output, "edit: "));
}

static void unused_lines_and_entries(void **state)
{
	put("unused.conf", POLICY "policy = [ \"old.conf\" ];\n");
	put("old.conf", "sites = ( { name = \"old\"; hosts = [ \"old.example\" ]; } );\n"
			"allow = ( { tiers = [ \"press\" ]; sites = [ \"old\" ]; expires = "
			"\"2020-01-31\"; owner = \"nobody now\"; } );\n");
	want("tiergatectl unused --config unused.conf --against r.jsonl --days 36500", 1,
	     "old.conf:2: allow press: old, owner nobody now; never used; expired with "
	     "2020-01-31\nsite ads, unused.conf: not used: ads.example\n"
	     "site old, old.conf: not used: old.example\n");
	assert_non_null(strstr(output, "# 1 lines to look at, 2 entries not used, by 26 records"));
	assert_non_null(strstr(output, "# the records do not reach back so far\n"));
	assert_non_null(strstr(
		output, "# 26 records are of another policy: an earlier one, or another host's\n"
			"# 1 records are of a tier that the policy lacks\n"
			"# 1 last lines have no end\n"));
	want("gzip -c r.jsonl | head -c 300 >cut.gz; tiergatectl unused --config bare.conf --days "
	     "36500 --against cut.gz",
	     1,
	     "# 1 files are cut short or damaged: what was before that is read\n"
	     "# the first that is cut is cut.gz:");
	want("printf 'x\n{}\n' >odd; tiergatectl report --against r.jsonl odd --json", 0,
	     "\"read\":{\"strange\":1,\"damaged\":1,\"torn\":1,\"gone\":0,\"cut\":0,"
	     "\"first_bad\":\"r.jsonl:27\"}");
	want("tiergatectl unused --config bare.conf --against r.jsonl --days 36500 --json", 0,
	     "{\"site\":\"ads\",\"list\":\"bare.conf\",\"line\":2,\"entry\":\"ads.example\"}\n"
	     "{\"records\":26,\"lines\":0,\"entries\":1,");
	want("tiergatectl unused --days 0", 2, "--days wants a number");
	want("tiergatectl unused --days 3x", 2, "--days wants a number");
	want("tiergatectl unused --since 2026-03-02T10:00:00Z", 2, "usage: tiergatectl unused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(coverage_and_expect), cmocka_unit_test(denials_become_lines),
		cmocka_unit_test(suggestions_load),    cmocka_unit_test(suggestions_are_asked_for),
		cmocka_unit_test(why_names_the_edit),  cmocka_unit_test(unused_lines_and_entries),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
