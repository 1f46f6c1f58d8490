#include "base/clock.h"
#include "decision/record.h"
#include "unit.h"

#include "base/version.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define MAN "packaging/man/tiergate-records.5"

static const uint8_t key[PSEUDONYM_KEY] = "0123456789abcdef0123456789abcdef";

static struct decision example(void)
{
	struct decision d = {
		.time = INT64_C(1795514400) * NS_PER_S,
		.action = ACTION_ALLOW,
		.reason = REASON_ALLOW_LINE,
		.evidence = EVIDENCE_SNI_DNS,
		.protocol = PROTOCOL_TLS,
		.client = address_from4((uint8_t[]){10, 0, 1, 7}),
		.server = address_from4((uint8_t[]){203, 0, 113, 80}),
		.client_port = 40112,
		.server_port = 443,
		.transport = IPPROTO_TCP,
		.has_mac = true,
		.mac = {2, 0, 0, 0, 1, 7},
		.host = {15, "www.youtube.com"},
		.rule = "policy.conf:12",
		.user = "anna",
		.tier = "press",
		.site = "social",
		.policy = "0123456789abcdef",
	};
	return d;
}

static char line[RECORD_MAX];

/* Every record ends with the version of the program; left out here, it may be any. */
static void leave_out_version(char *record)
{
	char last[64];
	snprintf(last, sizeof last, ",\"observer.version\":\"%s\"}\n", version);
	size_t len = strlen(record), more = strlen(last);
	assert_true(len > more);
	assert_string_equal(record + len - more, last);
	strcpy(record + len - more, "}\n");
}

static const char *written(const struct decision *d, const uint8_t *pseudonym)
{
	struct buf b = BUF_OF(line);
	buf_reset(&b);
	record_write(&b, d, pseudonym);
	assert_false(b.full);
	leave_out_version(line);
	return line;
}

static void writes_all_members_in_order(void **state)
{
	struct decision d = example();
	assert_string_equal(
		written(&d, NULL),
		"{\"@timestamp\":\"2026-11-24T10:00:00.000000Z\",\"event.action\":\"allow\","
		"\"event.reason\":\"allow-line\",\"rule.name\":\"policy.conf:12\","
		"\"user.name\":\"anna\",\"tiergate.tier\":\"press\",\"source.ip\":\"10.0.1.7\","
		"\"source.port\":40112,\"source.mac\":\"02-00-00-00-01-07\","
		"\"destination.ip\":\"203.0.113.80\",\"destination.port\":443,"
		"\"destination.domain\":\"www.youtube.com\",\"network.transport\":\"tcp\","
		"\"network.protocol\":\"tls\",\"tiergate.site\":\"social\","
		"\"tiergate.evidence\":\"sni+dns\",\"tiergate.mode\":\"enforce\","
		"\"tiergate.policy\":\"0123456789abcdef\"}\n");
}

static void leaves_out_what_is_not_known(void **state)
{
	struct decision d = {.time = 1500, .transport = IPPROTO_ICMPV6, .reason = REASON_NO_TIER};
	assert_true(address_parse("2001:db8::1", &d.client));
	assert_true(address_parse("2001:db8::2", &d.server));
	assert_string_equal(
		written(&d, NULL),
		"{\"@timestamp\":\"1970-01-01T00:00:00.000001Z\",\"event.action\":\"deny\","
		"\"event.reason\":\"no-tier\",\"source.ip\":\"2001:db8::1\","
		"\"destination.ip\":\"2001:db8::2\",\"network.transport\":\"ipv6-icmp\","
		"\"tiergate.evidence\":\"none\",\"tiergate.mode\":\"enforce\"}\n");
}

static void observe_says_what_would_be(void **state)
{
	struct decision d = example();
	d.observed = true;
	assert_null(strstr(written(&d, NULL), "tiergate.would"));
	assert_non_null(strstr(line, "\"tiergate.mode\":\"observe\""));
	d.reason = REASON_OBSERVE;
	d.would_deny = true;
	d.would = REASON_NO_LINE;
	assert_non_null(strstr(written(&d, NULL), "\"tiergate.would\":\"no-line\""));
}

static void other_kinds(void **state)
{
	struct decision d = example();
	d.kind = DECISION_ENDED;
	d.bytes = UINT64_MAX;
	d.packets = 10;
	d.duration = 1500000000;
	assert_non_null(strstr(written(&d, NULL), "\"event.action\":\"end\""));
	assert_non_null(strstr(line, "\"network.bytes\":18446744073709551615,"
				     "\"network.packets\":10,\"event.duration\":1500000000"));
	d.kind = DECISION_REPEATED;
	d.action = ACTION_DENY;
	d.count = 7;
	assert_non_null(strstr(written(&d, NULL), "\"event.action\":\"deny\""));
	assert_non_null(strstr(line, "\"tiergate.repeats\":7"));
	assert_null(strstr(line, "event.duration"));
	struct decision lost = {.kind = DECISION_LOST, .count = 12};
	assert_string_equal(written(&lost, NULL),
			    "{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\","
			    "\"event.action\":\"lost\",\"tiergate.lost\":12}\n");
}

static void hides_users_behind_a_key(void **state)
{
	struct decision d = example();
	assert_null(strstr(written(&d, key), "anna"));
	/* printf anna | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef */
	assert_non_null(strstr(line, "\"user.name\":\"d662e85040070d4d\""));
	d.user[0] = '\0';
	assert_null(strstr(written(&d, key), "user.name"));
}

/* The longest of everything, each byte of what is text escaped, still fits. */
static void longest_record_fits(void **state)
{
	struct decision d = example();
	d.kind = DECISION_ENDED;
	d.observed = d.would_deny = true;
	d.would = d.reason = REASON_NAME_ADDRESS_MISMATCH;
	d.bytes = d.packets = UINT64_MAX;
	d.duration = INT64_MAX;
	memset(d.host.text, 'a', HOST_MAX);
	d.host.len = HOST_MAX;
	memset(d.rule, 0xff, sizeof d.rule - 1);
	memset(d.user, 0xff, sizeof d.user - 1);
	memset(d.tier, 0xff, sizeof d.tier - 1);
	memset(d.site, 0xff, sizeof d.site - 1);
	assert_true(address_parse("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", &d.client));
	d.server = d.client;
	json_t *j = json_loads(written(&d, NULL), JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(j);
	json_decref(j);
	struct buf b = BUF_OF(line);
	buf_reset(&b);
	record_write_text(&b, &d, true);
	assert_false(b.full);
}

static void bad_text_stays_json(void **state)
{
	struct decision d = example();
	strcpy(d.user, "a\"b\\\n\x1b[31m\xff\xc3\xa9");
	json_t *j = json_loads(written(&d, NULL), 0, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "user.name")),
			    "a\"b\\\n\x1b[31m\xc3\xbf\xc3\xa9");
	json_decref(j);
	struct buf b = BUF_OF(line);
	buf_reset(&b);
	record_write_text(&b, &d, false);
	assert_null(strchr(line, '\x1b'));
}

/* No byte that a terminal could take for a command, be it at the edges of what is plain. */
static void people_read_plain_text(void **state)
{
	static const char odd[] = "a\x1f \x7e\x7f\x80\xff";
	struct decision d = {0};
	char line[2048];
	struct buf b = BUF_OF(line);
	memcpy(d.user, odd, sizeof odd);
	record_write_text(&b, &d, false);
	assert_non_null(strstr(line, "a? ~???"));
	for (const char *c = line; *c; c++)
		assert_true((*c >= 0x20 && *c < 0x7f) || *c == '\n');
}

static void text_for_people(void **state)
{
	struct decision d = example();
	struct buf b = BUF_OF(line);
	setenv("TZ", "UTC", 1);
	buf_reset(&b);
	record_write_text(&b, &d, false);
	assert_string_equal(line, "10:00:00  allow  anna(press)  www.youtube.com/203.0.113.80:443"
				  "  allow-line  policy.conf:12\n");
	d.transport = IPPROTO_UDP;
	d.action = ACTION_DENY;
	d.user[0] = d.rule[0] = '\0';
	d.reason = REASON_NO_LINE;
	assert_true(address_parse("2001:db8::2", &d.server));
	buf_reset(&b);
	record_write_text(&b, &d, true);
	assert_string_equal(line, "10:00:00  \033[31mdeny \033[0m  10.0.1.7(press)  "
				  "www.youtube.com/[2001:db8::2]:443 udp  no-line\n");
}

static const char *text_of(const struct decision *d, bool colour)
{
	struct buf b = BUF_OF(line);
	buf_reset(&b);
	record_write_message(&b, d, colour);
	return line;
}

/* What each kind is to a reader, with and without its colour. */
static void each_kind_has_its_words_and_colour(void **state)
{
	struct decision d = example();
	assert_string_equal(text_of(&d, true),
			    "\033[32mallow\033[0m  anna(press)  www.youtube.com/203.0.113.80:443"
			    "  allow-line  policy.conf:12");
	d.kind = DECISION_ENDED;
	d.bytes = 7;
	d.duration = 1500000000;
	assert_string_equal(text_of(&d, true),
			    "\033[2mend  \033[0m  anna(press)  www.youtube.com/203.0.113.80:443"
			    "  allow-line  policy.conf:12  7 bytes in 1.5 s");
	d.kind = DECISION_REPEATED;
	d.action = ACTION_DENY;
	d.count = 9;
	d.observed = d.would_deny = true;
	d.would = REASON_NO_LINE;
	d.rule[0] = '\0';
	assert_string_equal(text_of(&d, false),
			    "deny   anna(press)  www.youtube.com/203.0.113.80:443"
			    "  allow-line  would deny: no-line  9 more times");
	d.would_deny = false;
	d.count = 1;
	d.host.len = 0;
	d.tier[0] = '\0';
	d.transport = IPPROTO_ICMP;
	assert_string_equal(text_of(&d, false),
			    "deny   anna  203.0.113.80 icmp  allow-line  1 more times");
	assert_true(address_parse("2001:db8::2", &d.server));
	d.transport = 47;
	d.user[0] = '\0';
	d.kind = DECISION_DECIDED;
	d.would_deny = true;
	d.observed = false;
	assert_string_equal(text_of(&d, false), "deny   10.0.1.7  2001:db8::2 47  allow-line");
	struct decision lost = {.kind = DECISION_LOST, .count = 3};
	assert_string_equal(text_of(&lost, true), "\033[33mlost \033[0m  3 records were lost");
}

static void an_act_is_read_as_a_sentence(void **state)
{
	struct decision d = {.kind = DECISION_ACT};
	strcpy(d.act, "reload");
	strcpy(d.by, "ro\x1bot");
	assert_string_equal(text_of(&d, true), "\033[33mact  \033[0m  ro?ot: reload");
	assert_string_equal(
		written(&d, NULL),
		"{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\",\"event.action\":\"act\","
		"\"tiergate.act\":\"reload\",\"tiergate.by\":\"ro\\u001bot\"}\n");
	strcpy(d.user, "ann");
	strcpy(d.tier, "staff");
	strcpy(d.detail, "for 1h");
	assert_true(address_parse("10.0.0.7", &d.client));
	assert_string_equal(text_of(&d, false),
			    "act    ro?ot: reload  ann  staff  10.0.0.7  for 1h");
	assert_string_equal(
		written(&d, NULL),
		"{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\",\"event.action\":\"act\","
		"\"tiergate.act\":\"reload\",\"tiergate.by\":\"ro\\u001bot\","
		"\"user.name\":\"ann\",\"tiergate.tier\":\"staff\","
		"\"source.ip\":\"10.0.0.7\",\"tiergate.detail\":\"for 1h\"}\n");
	assert_null(strstr(written(&d, key), "ann"));
}

/* Ports are those of transports that have them; a number has all its digits. */
static void each_transport_has_its_word_and_ports(void **state)
{
	static const struct {
		uint8_t number;
		const char *word;
		bool ports;
	} of[] = {{IPPROTO_TCP, "tcp", true},
		  {IPPROTO_UDP, "udp", true},
		  {IPPROTO_SCTP, "sctp", true},
		  {IPPROTO_DCCP, "33", true},
		  {IPPROTO_UDPLITE, "136", true},
		  {IPPROTO_ICMP, "icmp", false},
		  {IPPROTO_ICMPV6, "ipv6-icmp", false},
		  {0, "0", false},
		  {9, "9", false},
		  {10, "10", false},
		  {255, "255", false}};
	struct decision d = example();
	char want[64];
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		d.transport = of[i].number;
		snprintf(want, sizeof want, "\"network.transport\":\"%s\"", of[i].word);
		assert_non_null(strstr(written(&d, NULL), want));
		assert_int_equal(!!strstr(line, "\"source.port\":40112"), of[i].ports);
		assert_int_equal(!!strstr(line, "\"destination.port\":443"), of[i].ports);
	}
	d.duration = -5; /* a clock that was set */
	d.kind = DECISION_ENDED;
	d.stuck = true;
	assert_non_null(strstr(written(&d, NULL), "\"event.duration\":0"));
	assert_non_null(strstr(line, "\"tiergate.held\":\"until-stuck\""));
	d.kind = DECISION_DECIDED;
	assert_null(strstr(written(&d, NULL), "duration"));
	assert_null(strstr(line, "repeats"));
}

/* ---- the man page says the same as base/decision.h and as the writer ---- */

static char *man_page(void)
{
	static char text[64 * 1024];
	FILE *f = fopen(MAN, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void has_item(const char *man, const char *word, const char *help)
{
	char item[256];
	snprintf(item, sizeof item, ".It Ql %s\n%s\n", word, help);
	if (!strstr(man, item))
		fail_msg(MAN " lacks: %s", item);
}

static unsigned items(const char *man, const char *section)
{
	unsigned n = 0;
	const char *start = strstr(man, section);
	assert_non_null(start);
	const char *end = strstr(start + 4, "\n.Sh ");
	for (const char *p = start; (p = strstr(p, "\n.It Ql ")) && p < end; p++)
		n++;
	return n;
}

static void man_page_has_every_reason_and_evidence(void **state)
{
	const char *man = man_page();
	for (int i = 0; i < REASON_COUNT; i++)
		has_item(man, reason_text(i), reason_help(i));
	for (int i = 0; i < EVIDENCE_COUNT; i++)
		has_item(man, evidence_text(i), evidence_help(i));
	assert_int_equal(items(man, ".Sh REASONS"), REASON_COUNT);
	assert_int_equal(items(man, ".Sh EVIDENCE"), EVIDENCE_COUNT);
	for (int i = 0; i < PROTOCOL_COUNT; i++)
		if (protocol_text(i)) {
			char word[32];
			snprintf(word, sizeof word, ".Ql %s", protocol_text(i));
			assert_non_null(strstr(man, word));
		}
}

static void man_page_has_every_member(void **state)
{
	const char *man = man_page(), *key_name;
	json_t *value;
	struct decision d = example();
	d.observed = d.would_deny = true;
	for (int kind = 0; kind <= DECISION_LOST; kind++) {
		d.kind = (enum decision_kind)kind;
		json_t *j = json_loads(written(&d, NULL), JSON_REJECT_DUPLICATES, NULL);
		json_object_foreach(j, key_name, value)
		{
			const char *list = strstr(man, ".Sh MEMBERS");
			char word[64];
			snprintf(word, sizeof word, " %s", key_name);
			if (!strstr(list, word))
				fail_msg(MAN " lacks %s", key_name);
		}
		json_decref(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_all_members_in_order),
		cmocka_unit_test(leaves_out_what_is_not_known),
		cmocka_unit_test(observe_says_what_would_be),
		cmocka_unit_test(other_kinds),
		cmocka_unit_test(hides_users_behind_a_key),
		cmocka_unit_test(longest_record_fits),
		cmocka_unit_test(bad_text_stays_json),
		cmocka_unit_test(text_for_people),
		cmocka_unit_test(each_kind_has_its_words_and_colour),
		cmocka_unit_test(an_act_is_read_as_a_sentence),
		cmocka_unit_test(each_transport_has_its_word_and_ports),
		cmocka_unit_test(people_read_plain_text),
		cmocka_unit_test(man_page_has_every_reason_and_evidence),
		cmocka_unit_test(man_page_has_every_member),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
