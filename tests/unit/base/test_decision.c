/* The closed lists: every word is there, once, and made of what a record may hold. */
#include "unit.h"

#include "base/decision.h"

static bool is_word(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz-+") == strlen(s);
}

static void test_reasons(void **state)
{
	for (unsigned r = 0; r < REASON_COUNT; r++) {
		assert_true(is_word(reason_text(r)));
		assert_true(strlen(reason_help(r)) > 10);
		for (unsigned other = 0; other < r; other++)
			assert_string_not_equal(reason_text(r), reason_text(other));
	}
}

static void test_evidence(void **state)
{
	assert_string_equal(evidence_text(EVIDENCE_NONE), "none");
	assert_string_equal(evidence_text(EVIDENCE_SNI_DNS), "sni+dns");
	for (unsigned e = 0; e < EVIDENCE_COUNT; e++) {
		assert_true(is_word(evidence_text(e)));
		assert_true(strlen(evidence_help(e)) > 5);
	}
	/* from weak to strong: policy compares them */
	assert_true(EVIDENCE_ADDRESS < EVIDENCE_ECH_OUTER && EVIDENCE_ECH_OUTER < EVIDENCE_DNS &&
		    EVIDENCE_DNS < EVIDENCE_HOST && EVIDENCE_SNI < EVIDENCE_HOST_DNS);
}

static void test_protocols(void **state)
{
	assert_null(protocol_text(PROTOCOL_NONE));
	for (unsigned p = PROTOCOL_NONE + 1; p < PROTOCOL_COUNT; p++)
		assert_true(is_word(protocol_text(p)));
}

/* An outcome that nobody filled denies. */
static void test_zero_denies(void **state)
{
	struct outcome o = {0};
	assert_int_equal(o.action, ACTION_DENY);
}

/* As directories and 802.1X clients write them. */
static void test_user_names(void **state)
{
	static const char *const good[] = {"ann",
					   "EXAMPLE\\ann",
					   "ann@example.org",
					   "host/pc-7.example.org",
					   "pc-7$",
					   "Ann Smith",
					   "a:b=c#d",
					   "\xd0\x90\xd0\xbd\xd0\xb0",
					   "\xf0\x9f\x90\x81",
					   "\xc2\xa0",
					   "\xe2\x80\x94",
					   "\xe3\x80\x8e\xe3\x81\xa6", /* not E2 */
					   "\xf1\x80\xa8\x80",
					   "a\"<&>'%s"};
	static const char *const bad[] = {"",
					  "-x",
					  " a",
					  "a ",
					  "a\nb",
					  "a\tb",
					  "\x1b[2J",
					  "a\x7f",
					  "\xc2\x85",
					  "\xc3",
					  "\xff",
					  "a\xc0\xaf",
					  "\xed\xa0\x80",
					  "\xe2\x80\xa8",
					  "\xe2\x80\xae"
					  "nna",
					  "\xe2\x81\xa6"
					  "a",
					  "\xe2\x80\x8f",
					  "\xf5\x80\x80\x80"};
	char longest[USER_MAX + 1];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!user_name_valid(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (user_name_valid(bad[i]))
			fail_msg("taken: no. %zu", i);
	memset(longest, 'a', USER_MAX);
	longest[USER_MAX] = '\0';
	assert_false(user_name_valid(longest));
	longest[USER_MAX - 1] = '\0';
	assert_true(user_name_valid(longest));
	longest[USER_MAX - 2] = '\xd0'; /* cut within a character */
	assert_false(user_name_valid(longest));
}

static void names_of_one_person(void **state)
{
	static const char *const same[][2] = {
		{"anna", "Anna"},
		{"ANNA@CORP.EXAMPLE", "anna@corp.example"},
		{"Иван", "ИВАН"},
		{"ёлка", "Ёлка"},
		{"Jürgen", "JÜRGEN"},
		{"øre", "ØRE"},
		{"Ωmega", "ωMEGA"},
		{"", ""},
		{"a\xf0\x9f\x98\x80", "A\xf0\x9f\x98\x80"},
	};
	static const char *const other[][2] = {
		{"anna", "ann"}, {"ann", "anna"}, {"anna", "anne"},     {"Иван", "Ивам"},
		{"a[", "a{"},    {"a@", "a`"},    {"×", "÷"},           {"a", "а"},
		{"", "a"},       {"ð", "p"},      {"\xc3", "\xc3\xa9"},
	};
	char a[USER_MAX], b[USER_MAX];
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		if (!user_name_same(same[i][0], same[i][1]))
			fail_msg("%s is not %s", same[i][0], same[i][1]);
		user_name_fold(same[i][0], a);
		user_name_fold(same[i][1], b);
		assert_memory_equal(a, b, sizeof a);
	}
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		if (user_name_same(other[i][0], other[i][1]))
			fail_msg("%s is %s", other[i][0], other[i][1]);
		user_name_fold(other[i][0], a);
		user_name_fold(other[i][1], b);
		assert_memory_not_equal(a, b, sizeof a);
	}
}

static void a_folded_name_is_whole(void **state)
{
	char longest[USER_MAX], out[USER_MAX];
	memset(longest, 'A', sizeof longest);
	longest[USER_MAX - 1] = '\0';
	user_name_fold(longest, out);
	memset(longest, 'a', USER_MAX - 1);
	assert_memory_equal(out, longest, sizeof out);
	memcpy(longest + USER_MAX - 3, "\xd0\x98", 2); /* a letter of two bytes at the end */
	user_name_fold(longest, out);
	memcpy(longest + USER_MAX - 3, "\xd0\xb8", 2);
	assert_memory_equal(out, longest, sizeof out);
	user_name_fold("Анна/\xf0\x9f\x98\x80/ÉVA", out);
	assert_string_equal(out, "анна/\xf0\x9f\x98\x80/éva");
}

/* Names come out of state files and other programs' requests: one that is longer than any may be is
 * cut at a whole character, and nothing behind the room for it is touched. */
static void a_name_that_is_too_long_is_cut(void **state)
{
	char name[3 * USER_MAX + 1] = "", out[USER_MAX + 8];
	memset(name, 'A', sizeof name - 1);
	memset(out, '#', sizeof out);
	user_name_fold(name, out);
	assert_int_equal(strlen(out), USER_MAX - 1);
	assert_memory_equal(out + USER_MAX, "########", 8);
	memcpy(name + USER_MAX - 2, "\xd0\x98", 2); /* one byte too many */
	user_name_fold(name, out);
	assert_int_equal(strlen(out), USER_MAX - 2);
	assert_int_equal(out[USER_MAX - 1], '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_one_person),
		cmocka_unit_test(a_folded_name_is_whole),
		cmocka_unit_test(test_user_names),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_zero_denies),
		cmocka_unit_test(a_name_that_is_too_long_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
