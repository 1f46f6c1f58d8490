/* What the journal gets of a decision: its fields, each as it is, and the whole record. */
#include "unit.h"
#include "base/clock.h"
#include "decision/journal.h"
#include "decision/record.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-journal.h>

static char sent[4 * RECORD_MAX];
static int result;

/* A field a line. */
int sd_journal_sendv_with_location(const char *file, const char *line, const char *function,
				   const struct iovec *iov, int n)
{
	char *at = sent;
	for (int i = 0; i < n; i++)
		at += sprintf(at, "%.*s\n", (int)iov[i].iov_len, (const char *)iov[i].iov_base);
	return result;
}

static struct decision of(enum decision_kind kind)
{
	struct decision d = {.kind = kind,
			     .action = ACTION_DENY,
			     .reason = REASON_NO_LINE,
			     .transport = IPPROTO_TCP,
			     .server_port = 443,
			     .rule = "policy.conf:7",
			     .user = "ann",
			     .tier = "staff",
			     .site = "docs",
			     .host = {.text = "www.example.com", .len = 15}};
	address_parse("10.0.0.7", &d.client);
	address_parse("192.0.2.1", &d.server);
	return d;
}

static void sends(const struct decision *d, const char *want)
{
	static const char json[] = "{\"a\":1}\n";
	sent[0] = '\0';
	assert_int_equal(journal_send(d, json, sizeof json - 1), result);
	if (strcmp(sent, want) != 0)
		fail_msg("is\n%sand was to be\n%s", sent, want);
}

static void a_decision_has_its_fields(void **state)
{
	struct decision d = of(DECISION_DECIDED);
	sends(&d,
	      "MESSAGE=deny   ann(staff)  www.example.com/192.0.2.1:443  no-line  policy.conf:7\n"
	      "PRIORITY=6\nSYSLOG_IDENTIFIER=tiergate\nTIERGATE_ACTION=deny\n"
	      "TIERGATE_REASON=no-line\nTIERGATE_RULE=policy.conf:7\nTIERGATE_USER=ann\n"
	      "TIERGATE_TIER=staff\nTIERGATE_SITE=docs\nTIERGATE_SOURCE=10.0.0.7\n"
	      "TIERGATE_DESTINATION=192.0.2.1\nTIERGATE_DOMAIN=www.example.com\n"
	      "TIERGATE_RECORD={\"a\":1}\n");
	d.rule[0] = d.user[0] = d.tier[0] = d.site[0] = '\0';
	d.host.len = 0;
	result = -5; /* is told as it is */
	sends(&d, "MESSAGE=deny   10.0.0.7  192.0.2.1:443  no-line\n"
		  "PRIORITY=6\nSYSLOG_IDENTIFIER=tiergate\nTIERGATE_ACTION=deny\n"
		  "TIERGATE_REASON=no-line\nTIERGATE_SOURCE=10.0.0.7\n"
		  "TIERGATE_DESTINATION=192.0.2.1\nTIERGATE_RECORD={\"a\":1}\n");
	result = 0;
}

static void an_act_says_who_did_what(void **state)
{
	struct decision d = of(DECISION_ACT);
	strcpy(d.act, "login");
	strcpy(d.by, "root");
	strcpy(d.detail, "for 1h");
	sends(&d, "MESSAGE=act    root: login  ann  staff  10.0.0.7  for 1h\n"
		  "PRIORITY=6\nSYSLOG_IDENTIFIER=tiergate\nTIERGATE_ACTION=act\n"
		  "TIERGATE_ACT=login\nTIERGATE_BY=root\nTIERGATE_USER=ann\n"
		  "TIERGATE_DETAIL=for 1h\nTIERGATE_RECORD={\"a\":1}\n");
}

static void lost_records_are_a_warning(void **state)
{
	struct decision d = of(DECISION_LOST);
	d.count = 9;
	sends(&d, "MESSAGE=lost   9 records were lost\nPRIORITY=4\n"
		  "SYSLOG_IDENTIFIER=tiergate\nTIERGATE_ACTION=lost\nTIERGATE_RECORD={\"a\":1}\n");
}

/* The longest of everything: no field is cut, and none too many. */
static void the_longest_decision_fits(void **state)
{
	struct decision d = of(DECISION_DECIDED);
	char json[RECORD_MAX];
	memset(d.rule, 'r', sizeof d.rule - 1);
	memset(d.user, 'u', sizeof d.user - 1);
	memset(d.tier, 't', sizeof d.tier - 1);
	memset(d.site, 's', sizeof d.site - 1);
	memset(d.host.text, 'h', HOST_MAX);
	d.host.len = HOST_MAX;
	struct buf b = BUF_OF(json);
	record_write(&b, &d, NULL);
	assert_false(b.full);
	assert_int_equal(journal_send(&d, json, b.len), 0);
	unsigned lines = 0;
	for (const char *at = sent; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 13);
	json[b.len - 1] = '\0';
	assert_non_null(strstr(sent, json));
}

static void without_a_record_the_fields_are_there(void **state)
{
	struct decision d = of(DECISION_LOST);
	assert_int_equal(journal_send(&d, "", 0), 0);
	assert_non_null(strstr(sent, "\nTIERGATE_RECORD=\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_decision_has_its_fields),
		cmocka_unit_test(an_act_says_who_did_what),
		cmocka_unit_test(lost_records_are_a_warning),
		cmocka_unit_test(the_longest_decision_fits),
		cmocka_unit_test(without_a_record_the_fields_are_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
