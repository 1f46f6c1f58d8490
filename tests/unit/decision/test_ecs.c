/* Records by the Elastic Common Schema: each member that is not ours has a name of it and a value
 * of its type, in the records that the replays of tests/golden want and in one of every kind. */
#include "base/address.h"
#include "base/clock.h"
#include "decision/record.h"
#include "unit.h"

#include <ctype.h>
#include <glob.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define FACTS  "tests/unit/decision/ecs.tsv"
#define FIELDS 64

static struct field {
	char name[64], type[16];
	unsigned met;
} fields[FIELDS];
static size_t count;

static int load_facts(void **state)
{
	char line[256];
	FILE *f = fopen(FACTS, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (line[0] == '#')
			continue;
		assert_true(count < FIELDS);
		assert_int_equal(
			sscanf(line, "%63[^\t]\t%15s", fields[count].name, fields[count].type), 2);
		count++;
	}
	fclose(f);
	return 0;
}

static struct field *find(const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

/* Digits where the pattern has '0', any other byte as it is. */
static bool like(const char *text, const char *pattern)
{
	for (; *pattern && *text; text++, pattern++)
		if (*pattern == '0' ? !isdigit((unsigned char)*text) : *text != *pattern)
			return false;
	return *text == *pattern;
}

#define KEYWORD_MAX 1024 /* ECS's ignore_above: what is longer can't be searched */

static bool has_type(const json_t *value, const char *type)
{
	const char *text = json_string_value(value);
	struct address address;
	if (strcmp(type, "long") == 0)
		return json_is_integer(value) && json_integer_value(value) >= 0;
	if (!text)
		return false;
	if (strcmp(type, "date") == 0)
		return like(text, "0000-00-00T00:00:00.000000Z");
	if (strcmp(type, "ip") == 0)
		return address_parse(text, &address);
	return strcmp(type, "keyword") == 0 && text[0] && strlen(text) <= KEYWORD_MAX;
}

/* ECS shows 00-00-5E-00-53-23: upper case and hyphens. */
static bool is_mac(const char *text)
{
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? text[i] != '-' : !strchr("0123456789ABCDEF", text[i]) || !text[i])
			return false;
	return text[17] == '\0';
}

static void check_record(const char *line, const char *where)
{
	const char *name;
	json_t *value, *record = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	if (!record)
		fail_msg("%s: no JSON: %s", where, line);
	json_object_foreach(record, name, value)
	{
		struct field *f = find(name);
		if (strncmp(name, "tiergate.", 9) == 0)
			continue;
		if (!f)
			fail_msg("%s: %s is not in " FACTS, where, name);
		if (!has_type(value, f->type))
			fail_msg("%s: %s is no %s: %s", where, name, f->type, line);
		if (strcmp(name, "source.mac") == 0 && !is_mac(json_string_value(value)))
			fail_msg("%s: not as ECS writes it: %s", where, line);
		f->met++;
	}
	json_decref(record);
}

static void records_of_replays(void **state)
{
	static char line[2 * RECORD_MAX];
	glob_t found;
	unsigned records = 0;
	assert_int_equal(glob("tests/golden/*/want.jsonl", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *f = fopen(found.gl_pathv[i], "r");
		assert_non_null(f);
		for (; fgets(line, sizeof line, f); records++)
			check_record(line, found.gl_pathv[i]);
		fclose(f);
	}
	globfree(&found);
	assert_true(records > 500);
}

static struct decision full(void)
{
	struct decision d = {
		.time = INT64_C(1795514400) * NS_PER_S,
		.evidence = EVIDENCE_SNI_DNS,
		.client = address_from4((uint8_t[]){10, 0, 1, 7}),
		.server = address_from4((uint8_t[]){203, 0, 113, 80}),
		.client_port = 40112,
		.server_port = 443,
		.has_mac = true,
		.mac = {2, 0, 0, 0xab, 1, 7},
		.host = {15, "www.youtube.com"},
		.rule = "policy.conf:12",
		.user = "anna",
		.tier = "press",
		.site = "social",
		.policy = "0123456789abcdef",
		.count = 3,
		.bytes = INT64_MAX,
		.packets = 12,
		.duration = 1500000000,
	};
	return d;
}

static void check_decision(const struct decision *d, const char *where)
{
	char line[RECORD_MAX];
	struct buf b = BUF_OF(line);
	record_write(&b, d, NULL);
	assert_false(b.full);
	check_record(line, where);
}

static void every_kind_and_word(void **state)
{
	struct decision d = full();
	for (int kind = 0; kind <= DECISION_ACT; kind++) {
		d.kind = (enum decision_kind)kind;
		for (int reason = 0; reason < REASON_COUNT; reason++) {
			d.reason = d.would = (enum reason)reason;
			d.observed = d.would_deny = reason % 2;
			check_decision(&d, "a reason");
		}
		for (int transport = 0; transport < 256; transport++) {
			d.transport = (uint8_t)transport;
			check_decision(&d, "a transport");
		}
		d.transport = IPPROTO_TCP;
		for (int protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
			d.protocol = (enum protocol)protocol;
			check_decision(&d, "a protocol");
		}
	}
	assert_true(address_parse("2001:db8::7", &d.client));
	d.kind = DECISION_DECIDED;
	check_decision(&d, "IPv6");
}

/* Runs last: a fact that no record needs tells of a member that was lost. */
static void every_fact_is_of_use(void **state)
{
	for (size_t i = 0; i < count; i++)
		if (!fields[i].met)
			fail_msg(FACTS ": no record has %s", fields[i].name);
}

static void notices_what_is_wrong(void **state)
{
	assert_false(has_type(json_string("443"), "long"));
	assert_false(has_type(json_integer(6), "keyword"));
	assert_false(has_type(json_string("2026-11-24 10:00:00"), "date"));
	assert_false(has_type(json_string("10.0.0"), "ip"));
	assert_false(is_mac("02:00:00:00:01:07"));
	assert_false(is_mac("02-00-00-00-01-0a"));
	assert_null(find("network.byte"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notices_what_is_wrong),
		cmocka_unit_test(records_of_replays),
		cmocka_unit_test(every_kind_and_word),
		cmocka_unit_test(every_fact_is_of_use),
	};
	return cmocka_run_group_tests(tests, load_facts, NULL);
}
