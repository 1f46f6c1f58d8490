/* tiergatectl report: what it counts, and that no text from elsewhere gets out of its place. */
#include "unit.h"

#include "base/clock.h"
#include "decision/record.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], records[96], page[96], output[65536];
#define T0 (INT64_C(1772445600) * NS_PER_S) /* 2026-03-02 10:00 UTC */

static void put(FILE *to, const struct decision *d)
{
	char line[RECORD_MAX];
	struct buf b = BUF_OF(line);
	buf_reset(&b);
	record_write(&b, d, NULL);
	fwrite(line, 1, b.len, to);
}

static struct decision flow(int hours, enum action action, const char *user, const char *name)
{
	struct decision d = {.time = T0 + hours * 3600 * NS_PER_S,
			     .action = action,
			     .reason = action == ACTION_ALLOW ? REASON_ALLOW_LINE : REASON_NO_LINE,
			     .transport = IPPROTO_TCP,
			     .client = address_from4((uint8_t[]){10, 0, 0, 7}),
			     .server = address_from4((uint8_t[]){203, 0, 113, 9}),
			     .tier = "staff"};
	snprintf(d.user, sizeof d.user, "%s", user);
	d.host.len = (uint8_t)strlen(name);
	memcpy(d.host.text, name, strlen(name) + 1);
	return d;
}

static int set_up(void **state)
{
	setenv("TZ", "UTC", 1);
	strcpy(folder, "/tmp/report-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(records, sizeof records, "%s/records", folder);
	snprintf(page, sizeof page, "%s/page.html", folder);
	FILE *f = fopen(records, "w");
	struct decision d = flow(0, ACTION_ALLOW, "anna", "good.example");
	put(f, &d);
	put(f, &d);
	d.kind = DECISION_ENDED;
	d.bytes = 2500000;
	put(f, &d);
	d = flow(1, ACTION_DENY, "=bob", "bad.example");
	put(f, &d);
	d.kind = DECISION_REPEATED;
	d.count = 4;
	put(f, &d);
	d = flow(2, ACTION_ALLOW, "<script>\"&", "would.example");
	d.observed = d.would_deny = true;
	d.would = REASON_NO_TIER;
	put(f, &d);
	d = (struct decision){.time = T0, .kind = DECISION_LOST, .count = 9};
	put(f, &d);
	fputs("no record at all\n", f);
	return fclose(f);
}

static int tear_down(void **state)
{
	unlink(records);
	unlink(page);
	return rmdir(folder);
}

static int run(const char *arguments)
{
	const char *build = getenv("TIERGATE_BUILD");
	char command[512];
	snprintf(command, sizeof command, "%s/tiergatectl report %s 2>&1", build ? build : "build",
		 arguments);
	FILE *f = popen(command, "r");
	output[fread(output, 1, sizeof output - 1, f)] = '\0';
	return WEXITSTATUS(pclose(f));
}

static int report(const char *options)
{
	char arguments[256];
	snprintf(arguments, sizeof arguments, "--against %s %s", records, options);
	return run(arguments);
}

static void has(const char *text)
{
	if (!strstr(output, text))
		fail_msg("lacks %s:\n%s", text, output);
}

static void counts_flows_once(void **state)
{
	assert_int_equal(report(""), 0);
	has("8 flows, 2 allowed, 5 denied, 1 would be denied, 2.5 MB ended");
	has("        2         0         0        2.5  anna");
	has("        0         5         0        0.0  bad.example");
	has("        0         0         1        0.0  no-tier");
	has("# 1 lines can't be read");
	assert_null(strstr(output, "good.example")); /* names are those that were denied */
}

static void json_has_all_of_it(void **state)
{
	assert_int_equal(report("--json"), 0);
	has("\"allowed\":2,\"denied\":5,\"would\":1,\"bytes\":2500000,\"flows\":8,\"lost\":9,"
	    "\"from\":\"2026-03-02T10:00:00.000000Z\",\"to\":\"2026-03-02T12:00:00.000000Z\"");
	has("\"time\":[{\"allowed\":2,\"denied\":5,\"would\":1,\"bytes\":2500000,\"key\":\"2026-03-"
	    "02\"}]");
}

static void since_leaves_out_what_is_older(void **state)
{
	assert_int_equal(report("--since \"2026-03-02 11:00\""), 0);
	has("6 flows, 0 allowed, 5 denied, 1 would be denied");
}

/* A cell that begins as a formula does would be run by a spreadsheet. */
static void csv_is_no_formula(void **state)
{
	assert_int_equal(report("--csv"), 0);
	has("by,key,allowed,denied,would,bytes\r\n");
	has("user,\"'=bob\",0,5,0,0\r\n");
	has("user,\"<script>\"\"&\",0,0,1,0\r\n");
}

static void write_page(const char *more)
{
	char options[128];
	snprintf(options, sizeof options, "--html %s %s", page, more);
	assert_int_equal(report(options), 0);
	FILE *f = fopen(page, "r");
	assert_non_null(f);
	output[fread(output, 1, sizeof output - 1, f)] = '\0';
	fclose(f);
}

/* A head teacher reads "0.0 MB" as that nothing was measured. */
static void a_page_has_no_column_of_zeros(void **state)
{
	write_page("--since \"2026-03-02 11:00\"");
	has("<th>allowed</th><th>denied</th>");
	assert_null(strstr(output, "MB"));
	assert_null(strstr(output, "<td>0.0</td>"));
	has("only observe.</p>");
}

static void a_page_has_no_markup_of_others(void **state)
{
	write_page("");
	has("; 2.5 MB in connections that ended.</p>");
	has("<th>would be denied</th><th>MB</th></tr>");
	has("<td>2.5</td></tr>");
	/* what a phone overrides is last */
	assert_true(strstr(output, "(max-width:40rem)") > strstr(output, "svg text{fill"));
	assert_true(strstr(output, "(max-width:40rem)") >
		    strstr(output, "td,th{padding:.25rem .6rem"));
	has("<b>2 were allowed</b> and <b>5 denied</b>; 1 more would be denied");
	has("<td>&lt;script&gt;&quot;&amp;</td>");
	assert_null(strstr(output, "<script"));
	assert_null(strstr(output, "http")); /* nothing from elsewhere */
	has("<th>would be denied</th>");
	has("</span>would be denied; the highest bar is ");
	has("<td>no-line<small>");
	assert_null(
		strstr(output, "<td>0</td><td>0</td><td>0</td><td>0.0</td>")); /* says nothing */
	has("prefers-color-scheme:dark");
	has("@media print");
	has("<rect class=\"no\"");
}

static void says_how_it_is_called(void **state)
{
	assert_int_equal(report("--day --week"), 2);
	assert_int_equal(report("--html x --csv"), 2);
	assert_int_equal(run("--against /nowhere"), 3);
	has("/nowhere");
	assert_int_equal(report("--html /nowhere/page"), 3);
	has("/nowhere/page: No such file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_flows_once),
		cmocka_unit_test(json_has_all_of_it),
		cmocka_unit_test(since_leaves_out_what_is_older),
		cmocka_unit_test(csv_is_no_formula),
		cmocka_unit_test(a_page_has_no_column_of_zeros),
		cmocka_unit_test(a_page_has_no_markup_of_others),
		cmocka_unit_test(says_how_it_is_called),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
