/* What record.c writes comes back as it was. */
#include "base/clock.h"
#include "decision/read.h"
#include "decision/record.h"
#include "unit.h"

#include "base/version.h"

#include <glob.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

/* A line that is not byte by byte as record.c writes it goes another way to the same. */
static void read_both_ways(const char *text, size_t len, const struct decision *want)
{
	static char other[RECORD_MAX + 1];
	static struct decision d;
	snprintf(other, sizeof other, "{ %.*s", (int)len - 1, text + 1);
	assert_int_equal(record_read(other, len + 1, &d), RECORD_GOOD);
	assert_memory_equal(&d, want, sizeof d);
}

static void round_trip(const char *text, size_t len)
{
	static char again[RECORD_MAX];
	static struct decision d;
	struct buf b = BUF_OF(again);
	buf_reset(&b);
	if (record_read(text, len, &d) != RECORD_GOOD)
		fail_msg("not read: %.*s", (int)len, text);
	read_both_ways(text, len, &d);
	record_write(&b, &d, NULL);
	/* what is written tells this program's version, which golden records leave out */
	static char want[RECORD_MAX + 64];
	char last[64];
	snprintf(last, sizeof last, ",\"observer.version\":\"%s\"}\n", version);
	int n = strstr(text, last) ? (int)len : (int)len - 2;
	n = snprintf(want, sizeof want, "%.*s%s", n, text, n == (int)len ? "" : last);
	if (b.len != (size_t)n || memcmp(again, want, b.len) != 0)
		fail_msg("%.*s came back as\n%s", (int)len, text, again);
}

/* Every record of every golden replay. */
static void golden_records_come_back(void **state)
{
	char line[RECORD_MAX];
	size_t count = 0;
	glob_t found;
	assert_int_equal(glob("tests/golden/*/want.jsonl", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *f = fopen(found.gl_pathv[i], "r");
		assert_non_null(f);
		for (; fgets(line, sizeof line, f); count++)
			round_trip(line, strlen(line));
		fclose(f);
	}
	globfree(&found);
	assert_true(count > 200);
}

static struct decision example(void)
{
	return (struct decision){
		.time = INT64_C(1795514400) * NS_PER_S + 123456000,
		.reason = REASON_DENY_LINE,
		.evidence = EVIDENCE_ECH_OUTER,
		.protocol = PROTOCOL_QUIC,
		.client = address_from4((uint8_t[]){10, 0, 1, 7}),
		.server = address_from4((uint8_t[]){203, 0, 113, 80}),
		.client_port = 65535,
		.server_port = 1,
		.transport = IPPROTO_UDP,
		.has_mac = true,
		.mac = {2, 0xab, 0, 0, 1, 0xff},
		.stuck = true,
		.host = {15, "www.youtube.com"},
		.rule = "policy.conf:12",
		.user = "DOMAIN\\\xd0\xb0nna \"x\"",
		.tier = "press",
		.site = "social",
		.policy = "0123456789abcdef",
	};
}

static void every_word_comes_back(void **state)
{
	static char line[RECORD_MAX];
	struct decision d, want = example();
	for (int i = 0; i < 4 * REASON_COUNT; i++) {
		struct buf b = BUF_OF(line);
		buf_reset(&b);
		want.kind = (enum decision_kind)(i % 4);
		want.reason = want.would = (enum reason)(i / 4);
		want.evidence = (enum evidence)(i % EVIDENCE_COUNT);
		want.protocol = (enum protocol)(i % PROTOCOL_COUNT);
		want.action = want.kind == DECISION_ENDED || i & 8 ? ACTION_ALLOW : ACTION_DENY;
		want.observed = want.would_deny = i & 16;
		want.would = want.would_deny ? want.reason : 0;
		want.transport = (uint8_t)i;
		want.count =
			want.kind == DECISION_REPEATED || want.kind == DECISION_LOST ? 1u << 20 : 0;
		want.bytes = want.packets = want.kind == DECISION_ENDED ? UINT64_C(1) << 40 : 0;
		want.duration = want.kind == DECISION_ENDED ? NS_PER_S : 0;
		record_write(&b, &want, NULL);
		round_trip(line, b.len);
		assert_int_equal(record_read(line, b.len, &d), RECORD_GOOD);
		assert_int_equal(d.kind, want.kind);
		assert_int_equal(d.time, want.time);
		assert_int_equal(d.count, want.count);
		if (d.kind == DECISION_LOST)
			continue;
		assert_int_equal(d.action, want.action);
		assert_int_equal(d.reason, want.reason);
		assert_int_equal(d.would_deny, want.would_deny);
		assert_int_equal(d.would, want.would);
		assert_int_equal(d.bytes, want.bytes);
		assert_int_equal(d.duration, want.duration);
		assert_string_equal(d.user, want.user);
		assert_memory_equal(d.mac, want.mac, 6);
	}
}

/* Every kind of day until nanoseconds end, as clock_format writes it. */
/* What an operator did, with and without whom. */
static void acts_come_back(void **state)
{
	struct decision d = {.kind = DECISION_ACT, .time = INT64_C(1782129600123456000)}, back;
	strcpy(d.act, "lockdown");
	strcpy(d.by, "root");
	for (int more = 0; more < 2; more++) {
		char line[RECORD_MAX];
		struct buf b = BUF_OF(line);
		record_write(&b, &d, NULL);
		read_both_ways(line, b.len, &d);
		assert_int_equal(record_read(line, b.len, &back), RECORD_GOOD);
		assert_memory_equal(&back.client, &d.client, sizeof d.client);
		assert_string_equal(back.act, d.act);
		assert_string_equal(back.by, d.by);
		assert_string_equal(back.user, d.user);
		assert_string_equal(back.tier, d.tier);
		assert_string_equal(back.detail, d.detail);
		assert_int_equal(back.time, d.time);
		strcpy(d.user, "ada \\ \"x");
		strcpy(d.tier, "pupils");
		strcpy(d.detail, "7, only exam");
		assert_true(address_parse("fd00::7", &d.client));
	}
	static const char bare[] =
		"{\"@timestamp\":\"2026-06-22T12:00:00Z\",\"event.action\":\"act\"}";
	assert_int_equal(record_read(bare, sizeof bare - 1, &back), RECORD_STRANGE);
}

static void every_time_comes_back(void **state)
{
	static char line[RECORD_MAX];
	struct decision d, want = {.kind = DECISION_LOST};
	for (int64_t day = 0; day < 106500; day += 1 + (day % 7 == 3)) {
		struct buf b = BUF_OF(line);
		want.time = (day * 86400 + day * 7919 % 86400) * NS_PER_S + day * 1000;
		record_write(&b, &want, NULL);
		assert_int_equal(record_read(line, b.len, &d), RECORD_GOOD);
		assert_int_equal(d.time, want.time);
	}
}

static void what_is_no_record(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"null",
		"[1]",
		"{\"@timestamp\":\"2026-11-24T10:00:00Z\",\"event.action\":\"lost\"",
		"{\"@timestamp\":\"2026-11-24T10:00:00\",\"event.action\":\"lost\"}",
		"{\"@timestamp\":\"2026-11-24T10:00:00Z\",\"event.action\":\"loose\"}",
		"{\"@timestamp\":\"2262-01-01T10:00:00Z\",\"event.action\":\"lost\"}",
		"{\"@timestamp\":\"1969-12-31T10:00:00Z\",\"event.action\":\"lost\"}",
		"{\"@timestamp\":\"2026-13-24T10:00:00Z\",\"event.action\":\"lost\"}",
		"{\"@timestamp\":\"2026-11-00T10:00:00Z\",\"event.action\":\"lost\"}",
		"{\"@timestamp\":\"2026-11-24T24:00:00Z\",\"event.action\":\"lost\"}",
		"{\"@timestamp\":\"2026-11-24T10:00:00ZZ\",\"event.action\":\"lost\"}",
		"{\"@timestamp\":\"yesterday\",\"event.action\":\"lost\"}",
		"{\"@timestamp\":\"2026-11-24T10:00:00Z\",\"event.action\":\"lost\",\"tiergate."
		"lost\":-1}",
		"{\"@timestamp\":\"2026-11-24T10:00:00Z\",\"event.action\":\"allow\"}",
	};
	struct decision d;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (record_read(bad[i], strlen(bad[i]), &d) == RECORD_GOOD)
			fail_msg("read: %s", bad[i]);
}

/* A torn line, and one with a member that this version does not know the word of. */
static void what_is_damaged(void **state)
{
	static const char *const members[] = {
		"event.reason",  "tiergate.evidence", "network.transport", "network.protocol",
		"tiergate.mode", "source.mac",        "source.ip",         "destination.ip"};
	static char line[RECORD_MAX];
	struct decision d, want = example();
	struct buf b = BUF_OF(line);
	record_write(&b, &want, NULL);
	for (size_t len = 0; len < b.len - 1; len++)
		assert_int_equal(record_read(line, len, &d), RECORD_DAMAGED);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		char *at = strstr(line, members[i]);
		assert_non_null(at);
		at += strlen(members[i]) + 3;
		char was = *at;
		*at = 'x';
		if (record_read(line, b.len, &d) != RECORD_STRANGE)
			fail_msg("%s: %s", members[i], line);
		*at = was;
	}
	assert_int_equal(record_read(line, b.len, &d), RECORD_GOOD);
}

/* A member that this version does not know is no harm; a control character is no JSON. */
static void what_is_strange_in_a_good_line(void **state)
{
	static char line[RECORD_MAX], more[RECORD_MAX + 32];
	struct decision d, want = example();
	struct buf b = BUF_OF(line);
	strcpy(want.user, "anna b");
	record_write(&b, &want, NULL);
	snprintf(more, sizeof more, "{\"aaa\":\"b\",%s", line + 1);
	assert_int_equal(record_read(more, strlen(more), &d), RECORD_GOOD);
	assert_string_equal(d.user, "anna b");
	for (char bad = 1; bad < 0x20; bad++) {
		strstr(line, "anna")[4] = bad;
		assert_int_equal(record_read(line, b.len, &d), RECORD_DAMAGED);
	}
}

/* The quick way ends where a record ends: with its brace, and with nothing behind it. */
static void a_record_ends_with_its_brace(void **state)
{
	static char line[RECORD_MAX];
	struct decision d, want = example();
	struct buf b = BUF_OF(line);
	strcpy(want.user, "anna b");
	record_write(&b, &want, NULL);
	assert_int_equal(line[b.len - 2], '}');
	line[b.len - 2] = ']';
	assert_int_equal(record_read(line, b.len, &d), RECORD_DAMAGED);
	line[b.len - 2] = '}';
	line[b.len - 1] = '}';
	assert_int_equal(record_read(line, b.len, &d), RECORD_DAMAGED);
	line[b.len - 1] = '\n';
	line[0] = '[';
	assert_int_equal(record_read(line, b.len, &d), RECORD_DAMAGED);
}

static void every_transport_comes_back(void **state)
{
	static char line[RECORD_MAX];
	struct decision want = example();
	for (unsigned i = 0; i <= 255; i++) {
		struct buf b = BUF_OF(line);
		struct decision d;
		want.transport = (uint8_t)i;
		record_write(&b, &want, NULL);
		assert_int_equal(record_read(line, b.len, &d), RECORD_GOOD);
		assert_int_equal(d.transport, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_records_come_back),
		cmocka_unit_test(every_word_comes_back),
		cmocka_unit_test(every_time_comes_back),
		cmocka_unit_test(acts_come_back),
		cmocka_unit_test(what_is_no_record),
		cmocka_unit_test(what_is_damaged),
		cmocka_unit_test(what_is_strange_in_a_good_line),
		cmocka_unit_test(a_record_ends_with_its_brace),
		cmocka_unit_test(every_transport_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
