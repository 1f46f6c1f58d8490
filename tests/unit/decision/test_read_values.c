/* Each value of a record to its bounds; and the quick way to read a line takes what record.c
 * writes, and says the same as jansson of all that it takes. */
#include "unit.h"

#include "decision/read.c"
#include "decision/record.h"

#include <glob.h>
#include <stdio.h>
#include <time.h>

static struct value text(const char *t)
{
	return (struct value){.kind = TEXT, .text = t, .len = strlen(t)};
}

static struct value number(int64_t n)
{
	return (struct value){.kind = NUMBER, .number = n};
}

/* ---- times ---- */

static void days_are_those_of_the_calendar(void **state)
{
	struct tm tm = {.tm_year = 70, .tm_mday = 1};
	for (int64_t day = 0; day < 106800; day++) {
		time_t t = day * 86400;
		gmtime_r(&t, &tm);
		assert_int_equal(days_of(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday), day);
	}
}

static void a_time_is_read_to_the_nanosecond(void **state)
{
	static const struct {
		const char *text;
		int64_t time; /* ns; -1: it is none */
	} of[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:00.000000001Z", 1},
		{"1970-01-01T00:00:00.9Z", 900000000},
		{"1970-01-01T00:00:00.99Z", 990000000},
		{"1970-01-01T00:00:00.123456789Z", 123456789},
		{"1970-01-01T00:00:00.1234567891Z", -1},
		{"1970-01-01T00:00:59Z", 59 * NS_PER_S},
		{"1970-01-01T00:00:60Z", 60 * NS_PER_S}, /* a leap second */
		{"1970-01-01T00:00:61Z", -1},
		{"1970-01-01T00:59:00Z", 59 * 60 * NS_PER_S},
		{"1970-01-01T00:60:00Z", -1},
		{"1970-01-01T23:00:00Z", 23 * 3600 * NS_PER_S},
		{"1970-01-01T24:00:00Z", -1},
		{"1970-01-31T00:00:00Z", 30 * 86400 * NS_PER_S},
		{"1970-01-32T00:00:00Z", -1},
		{"1970-01-00T00:00:00Z", -1},
		{"1970-00-01T00:00:00Z", -1},
		{"1970-12-01T00:00:00Z", 334 * 86400 * NS_PER_S},
		{"1970-13-01T00:00:00Z", -1},
		{"1969-12-31T23:59:59Z", -1},
		{"2261-12-31T23:59:59Z", INT64_C(9214646399) * NS_PER_S},
		{"2262-01-01T00:00:00Z", -1},
		{"1970-01-01T00:00:00", -1},
		{"1970-01-01T00:00:00.", -1},
		{"1970-01-01T00:00:00.Z", 0},
		{"1970-01-01T00:00:00.5", -1},
		{"1970-01-01T00:00:00ZZ", -1},
		{"1970-01-01T00:00:00.:Z", -1},
		{"1970-01-01T00:00:00./Z", -1},
		{"1970x01-01T00:00:00Z", -1},
		{"1970-01x01T00:00:00Z", -1},
		{"1970-01-01 00:00:00Z", -1},
		{"1970-01-01T00x00:00Z", -1},
		{"1970-01-01T00:00x00Z", -1},
		{"19:0-01-01T00:00:00Z", -1},
		{"197:-01-01T00:00:00Z", -1},
		{"1970-0:-01T00:00:00Z", -1},
		{"1970-01-/1T00:00:00Z", -1},
		{"1970-01-01T:0:00:00Z", -1},
		{"1970-01-01T0/:00:00Z", -1},
		{"1970-01-01T00:0x:00Z", -1},
		{"1970-01-01T00:00:x0Z", -1},
		{"x970-01-01T00:00:00Z", -1},
		{"yesterday, at noon, or so", -1},
	};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		struct decision d = {0};
		struct value v = text(of[i].text);
		bool good = take_time(&v, &d);
		if (good != (of[i].time >= 0) || (good && d.time != of[i].time))
			fail_msg("%s: %d %lld", of[i].text, good, (long long)d.time);
	}
	struct decision d;
	struct value n = number(5), none = {0};
	assert_false(take_time(&n, &d) || take_time(&none, &d));
}

/* ---- other values ---- */

static void a_text_fits_to_its_last_byte(void **state)
{
	char out[4] = "old";
	struct value v = text("abc"), longer = text("abcd"), none = {0}, n = number(1);
	assert_true(take_text(&none, out, sizeof out));
	assert_string_equal(out, "old");
	assert_true(take_text(&v, out, sizeof out));
	assert_string_equal(out, "abc");
	assert_false(take_text(&longer, out, sizeof out));
	assert_false(take_text(&n, out, sizeof out));
}

static void a_number_has_its_bounds(void **state)
{
	uint64_t out = 9;
	uint16_t port;
	struct value none = {0}, zero = number(0), most = number(100), more = number(101),
		     less = number(-1), word = text("5");
	assert_true(take_number(&none, 100, &out));
	assert_int_equal(out, 9);
	assert_true(take_number(&zero, 100, &out));
	assert_int_equal(out, 0);
	assert_true(take_number(&most, 100, &out));
	assert_int_equal(out, 100);
	assert_false(take_number(&more, 100, &out));
	assert_false(take_number(&less, 100, &out));
	assert_false(take_number(&word, 100, &out));
	most = number(65535);
	more = number(65536);
	assert_true(take_port(&most, &port));
	assert_int_equal(port, 65535);
	assert_false(take_port(&more, &port));
	assert_true(take_port(&none, &port));
	assert_int_equal(port, 0);
}

static void a_mac_is_read_digit_by_digit(void **state)
{
	static const char good[] = "01-23-45-67-89-AB";
	struct decision d = {0};
	struct value v = text(good), none = {0}, n = number(1);
	assert_true(take_mac(&none, &d));
	assert_false(d.has_mac);
	assert_true(take_mac(&v, &d));
	assert_true(d.has_mac);
	assert_memory_equal(d.mac, "\x01\x23\x45\x67\x89\xab", 6);
	v = text("CD-EF-00-00-00-00");
	assert_true(take_mac(&v, &d));
	assert_memory_equal(d.mac, "\xcd\xef\0\0\0\0", 6);
	for (size_t i = 0; i < sizeof good - 1; i++) {
		char bad[sizeof good];
		for (const char *odd = "-:G/@a "; *odd; odd++) {
			strcpy(bad, good);
			bad[i] = *odd;
			v = text(bad);
			if (strcmp(bad, good) != 0 && (take_mac(&v, &d) || d.has_mac))
				fail_msg("taken: %s", bad);
		}
	}
	v = text("01-23-45-67-89-A");
	assert_false(take_mac(&v, &d));
	v = text("01-23-45-67-89-ABC");
	assert_false(take_mac(&v, &d));
	assert_false(take_mac(&n, &d));
}

static void a_transport_is_a_word_or_a_number_of_a_byte(void **state)
{
	static const struct {
		const char *text;
		int number;
	} of[] = {{"tcp", 6}, {"udp", 17},  {"icmp", 1}, {"ipv6-icmp", 58}, {"sctp", 132},
		  {"0", 0},   {"255", 255}, {"256", -1}, {"999", -1},       {"1000", -1},
		  {"", -1},   {"-1", -1},   {"1x", -1},  {"x1", -1},        {"tcpx", -1},
		  {"tc", -1}, {"/", -1},    {":", -1},   {" 7", -1},        {"9", 9}};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		struct value v = text(of[i].text);
		uint8_t out = 0;
		bool good = take_transport(&v, &out);
		if (good != (of[i].number >= 0) || (good && out != of[i].number))
			fail_msg("%s: %d %u", of[i].text, good, out);
	}
	struct value n = number(6), none = {0};
	uint8_t out;
	assert_false(take_transport(&n, &out) || take_transport(&none, &out));
}

static void an_address_has_to_be_there(void **state)
{
	struct address a;
	struct value none = {0}, v = text("10.0.0.7"), bad = text("10.0.0.777"), n = number(1),
		     longest = text("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_true(take_address(&v, &a) && take_address(&longest, &a));
	assert_false(take_address(&none, &a) || take_address(&bad, &a) || take_address(&n, &a));
}

/* ---- groups: each member is needed, or may be left out ---- */

static const char whole[] =
	"{\"@timestamp\":\"2026-11-24T10:00:00.123456Z\",\"event.action\":\"deny\","
	"\"event.reason\":\"no-line\",\"rule.name\":\"a.conf:1\",\"user.name\":\"ann\","
	"\"tiergate.tier\":\"staff\",\"source.ip\":\"10.0.0.7\",\"source.port\":40000,"
	"\"source.mac\":\"01-23-45-67-89-AB\",\"destination.ip\":\"192.0.2.1\","
	"\"destination.port\":443,\"destination.domain\":\"a.example\","
	"\"network.transport\":\"tcp\",\"network.protocol\":\"tls\",\"tiergate.site\":\"docs\","
	"\"tiergate.evidence\":\"sni\",\"tiergate.held\":\"until-stuck\","
	"\"tiergate.mode\":\"observe\",\"tiergate.would\":\"no-line\",\"tiergate.repeats\":7,"
	"\"network.bytes\":8,\"network.packets\":9,\"event.duration\":10,"
	"\"tiergate.policy\":\"0123456789abcdef\",\"observer.version\":\"1\"}";

/* The values of a line, by jansson; they point into it. */
static json_t *values_of(const char *line, struct value v[MEMBERS])
{
	json_t *j = json_loads(line, 0, NULL);
	if (!j)
		fail_msg("no JSON: %s", line);
	read_slowly(j, v);
	return j;
}

static void each_member_is_needed_or_may_be_left_out(void **state)
{
	static const enum member needed[] = {MEMBER_TIME,     MEMBER_ACTION,      MEMBER_REASON,
					     MEMBER_SOURCE,   MEMBER_DESTINATION, MEMBER_TRANSPORT,
					     MEMBER_EVIDENCE, MEMBER_MODE};
	struct value v[MEMBERS];
	struct decision d;
	json_t *j = values_of(whole, v);
	assert_true(take_record(v, &d));
	assert_int_equal(d.kind, DECISION_REPEATED);
	assert_true(d.observed && d.would_deny && d.stuck && d.has_mac);
	assert_int_equal(d.count, 7);
	assert_int_equal(d.bytes, 8);
	assert_int_equal(d.packets, 9);
	assert_int_equal(d.duration, 10);
	assert_int_equal(d.client_port, 40000);
	assert_int_equal(d.server_port, 443);
	assert_int_equal(d.host.len, 9);
	for (int m = 0; m < MEMBERS; m++) {
		struct value kept = v[m];
		bool is_needed = false;
		for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
			is_needed |= needed[i] == (enum member)m;
		v[m] = (struct value){0};
		if (take_record(v, &d) == is_needed)
			fail_msg("without %s", names[m].text);
		/* none of a decision's may be of another kind */
		v[m] = (struct value){.kind = OTHER};
		bool free = m == MEMBER_LOST || m == MEMBER_ACT || m == MEMBER_BY ||
			    m == MEMBER_DETAIL || m == MEMBER_VERSION || m == MEMBER_HELD;
		if (take_record(v, &d) != free)
			fail_msg("another kind of %s", names[m].text);
		v[m] = kept;
	}
	json_decref(j);
}

static void an_acts_members_are_checked(void **state)
{
	static const char line[] =
		"{\"@timestamp\":\"2026-11-24T10:00:00Z\",\"event.action\":\"act\","
		"\"tiergate.act\":\"login\",\"tiergate.by\":\"root\",\"user.name\":\"ann\","
		"\"tiergate.tier\":\"staff\",\"source.ip\":\"10.0.0.7\","
		"\"tiergate.policy\":\"0123456789abcdef\",\"tiergate.detail\":\"x\"}";
	static const enum member own[] = {MEMBER_ACT,    MEMBER_BY,     MEMBER_USER,  MEMBER_TIER,
					  MEMBER_SOURCE, MEMBER_DETAIL, MEMBER_POLICY};
	struct value v[MEMBERS];
	struct decision d;
	json_t *j = values_of(line, v);
	assert_true(take_record(v, &d));
	assert_int_equal(d.kind, DECISION_ACT);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		struct value kept = v[own[i]];
		v[own[i]] = (struct value){0};
		assert_int_equal(take_record(v, &d), own[i] != MEMBER_ACT);
		v[own[i]] = number(1);
		assert_false(take_record(v, &d));
		v[own[i]] = kept;
	}
	json_decref(j);
}

static void a_loss_is_a_number(void **state)
{
	struct value v[MEMBERS] = {[MEMBER_TIME] = text("2026-11-24T10:00:00Z"),
				   [MEMBER_ACTION] = text("lost"),
				   [MEMBER_LOST] = number(5)};
	struct decision d;
	assert_true(take_record(v, &d));
	assert_int_equal(d.kind, DECISION_LOST);
	assert_int_equal(d.count, 5);
	v[MEMBER_LOST] = number(-5);
	assert_false(take_record(v, &d));
	v[MEMBER_LOST] = text("5");
	assert_false(take_record(v, &d));
}

/* ---- the quick way ---- */

static bool same_value(const struct value *a, const struct value *b)
{
	return a->kind == b->kind &&
	       (a->kind != TEXT || (a->len == b->len && memcmp(a->text, b->text, a->len) == 0)) &&
	       (a->kind != NUMBER || a->number == b->number);
}

/* Whether a line is read quickly; then it is what jansson says that it is. */
static bool quick(const char *line, size_t len)
{
	struct value q[MEMBERS] = {0}, s[MEMBERS];
	if (!read_quick(line, len, q))
		return false;
	json_t *j = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(j))
		fail_msg("no JSON: %.*s", (int)len, line);
	read_slowly(j, s);
	for (int m = 0; m < MEMBERS; m++)
		if (!same_value(&q[m], &s[m]))
			fail_msg("%s of %.*s", names[m].text, (int)len, line);
	json_decref(j);
	return true;
}

/* Ten million lines are ten seconds, and not a minute and a half. */
static void what_is_written_is_read_quickly(void **state)
{
	char line[RECORD_MAX];
	size_t count = 0;
	glob_t found;
	assert_int_equal(glob("tests/golden/*/want.jsonl", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *f = fopen(found.gl_pathv[i], "r");
		assert_non_null(f);
		for (; fgets(line, sizeof line, f); count++)
			if (!quick(line, strlen(line) - 1) && !strchr(line, '\\'))
				fail_msg("not quickly: %s", line);
		fclose(f);
	}
	globfree(&found);
	assert_true(count > 200);
	assert_true(quick(whole, sizeof whole - 1));
	static const char *const more[] = {
		"{\"tiergate.lost\":0}", "{\"tiergate.lost\":999999999999999999}",
		"{\"tiergate.act\":\"\"}", "{\"@timestamp\":\"x\",\"observer.version\":\"y\"}"};
	for (size_t i = 0; i < 4; i++)
		assert_true(quick(more[i], strlen(more[i])));
}

static void what_is_otherwise_is_left_to_jansson(void **state)
{
	static const char *const lines[] = {
		"",
		"{",
		"{}",
		"{\"",
		"{\"tiergate.lost\"",
		"{\"tiergate.lost\":",
		"{\"tiergate.lost\":}",
		"{\"tiergate.lost\":05}",
		"{\"tiergate.lost\":00}",
		"{\"tiergate.lost\":-5}",
		"{\"tiergate.lost\":1000000000000000000}",
		"{\"tiergate.lost\":5",
		"{\"tiergate.lost\":5]",
		"{\"tiergate.lost\":5}}",
		"{\"tiergate.lost\":5,",
		"{\"tiergate.lost\":5,}",
		"{\"tiergate.lost\":5 }",
		"{\"tiergate.lost\" :5}",
		"{\"tiergate.lost\":\"5}",
		"{\"tiergate.lost\":5,\"tiergate.lost\":5}",
		"{\"tiergate.act\":\"x\",\"tiergate.lost\":5}", /* in another order */
		"{\"tiergate.los\":5}",
		"{\"tiergate.losu\":5}",
		"{\"observer.versionx\":5}",
		"{\"tiergate.act\":\"a\\u0041\"}",
		"{\"tiergate.act\":\"\xc3\xa9\"}",
		"{\"tiergate.act\":\"\x1f\"}",
		"x\"tiergate.lost\":5}",
		"{xtiergate.lost\":5}",
		"{\"tiergate.lost\"x5}",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		if (quick(lines[i], strlen(lines[i])))
			fail_msg("quickly: %s", lines[i]);
}

/* Whatever byte stands wherever: what is read quickly is what jansson reads. */
static void every_byte_of_a_line_is_looked_at(void **state)
{
	static const char odd[] = "\"\\{}:,0-9 \x1f\x20\x7f\x80\xff\n\0a";
	char line[sizeof whole];
	for (size_t i = 0; i < sizeof whole - 1; i++) {
		for (size_t k = 0; k < sizeof odd; k++) {
			memcpy(line, whole, sizeof line);
			line[i] = odd[k];
			bool plain = is_plain(line, sizeof whole - 1);
			unsigned char c = (unsigned char)odd[k];
			assert_int_equal(plain, c >= 0x20 && c < 0x80 && c != '\\');
			quick(line, sizeof whole - 1);
		}
		quick(whole, i);
	}
	for (size_t len = 0; len < 24; len++) /* in words of eight, and what is left of them */
		for (size_t i = 0; i < len; i++) {
			char few[24];
			memset(few, '~', sizeof few);
			assert_true(is_plain(few, len));
			few[i] = '\x1f';
			assert_false(is_plain(few, len));
			few[i] = '\x80';
			assert_false(is_plain(few, len));
			few[i] = '\x20';
			assert_true(is_plain(few, len));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(days_are_those_of_the_calendar),
		cmocka_unit_test(a_time_is_read_to_the_nanosecond),
		cmocka_unit_test(a_text_fits_to_its_last_byte),
		cmocka_unit_test(a_number_has_its_bounds),
		cmocka_unit_test(a_mac_is_read_digit_by_digit),
		cmocka_unit_test(a_transport_is_a_word_or_a_number_of_a_byte),
		cmocka_unit_test(an_address_has_to_be_there),
		cmocka_unit_test(each_member_is_needed_or_may_be_left_out),
		cmocka_unit_test(an_acts_members_are_checked),
		cmocka_unit_test(a_loss_is_a_number),
		cmocka_unit_test(what_is_written_is_read_quickly),
		cmocka_unit_test(what_is_otherwise_is_left_to_jansson),
		cmocka_unit_test(every_byte_of_a_line_is_looked_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
