#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wiring/ruleset.h"
#include "wiring/watch.h"

#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

static struct ruleset_chain chains[] = {
	{NFPROTO_IPV4, "mangle", "TIERGATE-INSIDE", true, 0, 2},
	{NFPROTO_IPV4, "mangle", "TIERGATE-SENT", true, 2, 3},
	{NFPROTO_IPV4, "mangle", "PREROUTING", false, 5, 1},
	{NFPROTO_IPV4, "filter", "TIERGATE-DENIED", true, 6, 0},
	{NFPROTO_IPV6, "mangle", "TIERGATE-INSIDE", true, 6, 1},
};
static struct ruleset_rule rules[] = {{11, 5},   {12, 70}, {13, 1000}, {14, 3},
				      {15, 900}, {16, 1},  {17, 2}};

static const char text[] = "*mangle\n:TIERGATE-INSIDE - [0:0]\n"
			   "-A TIERGATE-INSIDE -m rpfilter --invert -j DROP\n"
			   "-A TIERGATE-INSIDE -m conntrack --ctstate INVALID -j DROP\n"
			   "-A TIERGATE-SENT -m mark --mark 0x6/0x7 -j RETURN\n"
			   "-A TIERGATE-SENT -m mark --mark 0x7/0x7 -j RETURN\n"
			   "-A TIERGATE-SENT -j DROP\n"
			   "-A PREROUTING -j TIERGATE-PREROUTING\nCOMMIT\n";

static struct ruleset set(void)
{
	return (struct ruleset){.chain = chains, .chains = 5, .rule = rules, .rules = 7};
}

static void counts_by_the_text(void **state)
{
	struct ruleset r = set();
	struct errors faults = {0};
	uint64_t counts[RULESET_COUNTS] = {0};
	ruleset_compare(&r, NFPROTO_IPV4, text, &faults, counts);
	assert_int_equal(faults.count, 0);
	assert_int_equal(counts[RULESET_REVERSE], 5);
	assert_int_equal(counts[RULESET_INVALID], 70);
	assert_int_equal(counts[RULESET_UNDECIDED], 900);
	assert_int_equal(counts[RULESET_UNOPENED], 0);
}

/* One too few, one too many, a chain that is not there. */
static void says_which_chain_differs(void **state)
{
	static const struct {
		unsigned chain, rules;
		const char *said;
	} cases[] = {
		{0, 1, "ip mangle, chain TIERGATE-INSIDE: 1 rules of ours where 2 belong"},
		{1, 4, "ip mangle, chain TIERGATE-SENT: 4 rules of ours where 3 belong"},
		{2, 0, "ip mangle, chain PREROUTING: 0 rules of ours where 1 belong"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ruleset r = set();
		struct errors faults = {0};
		uint64_t counts[RULESET_COUNTS] = {0};
		unsigned was = chains[cases[i].chain].rules;
		chains[cases[i].chain].rules = cases[i].rules;
		ruleset_compare(&r, NFPROTO_IPV4, text, &faults, counts);
		chains[cases[i].chain].rules = was;
		assert_int_equal(faults.count, 1);
		assert_string_equal(faults.lines[0], cases[i].said);
		errors_deinit(&faults);
	}
	struct ruleset none = {0};
	struct errors faults = {0};
	uint64_t counts[RULESET_COUNTS] = {0};
	ruleset_compare(&none, NFPROTO_IPV4, text, &faults, counts);
	assert_int_equal(faults.count, 3);
	errors_deinit(&faults);
}

static char *removal(uint8_t family, const char *kept)
{
	struct ruleset r = set();
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	ruleset_removal(&r, family, kept, f);
	assert_int_equal(fclose(f), 0);
	return out;
}

/* By handle, of one family, and nothing that is not ours. */
static void removes_its_own(void **state)
{
	char *all = removal(NFPROTO_IPV4, NULL), *rest = removal(NFPROTO_IPV4, text);
	assert_string_equal(all, "delete rule ip mangle PREROUTING handle 16\n"
				 "flush chain ip mangle TIERGATE-INSIDE\n"
				 "flush chain ip mangle TIERGATE-SENT\n"
				 "flush chain ip filter TIERGATE-DENIED\n"
				 "delete chain ip mangle TIERGATE-INSIDE\n"
				 "delete chain ip mangle TIERGATE-SENT\n"
				 "delete chain ip filter TIERGATE-DENIED\n");
	assert_null(strstr(rest, "TIERGATE-INSIDE"));
	assert_non_null(strstr(rest, "delete chain ip filter TIERGATE-DENIED"));
	free(all);
	free(rest);
	all = removal(NFPROTO_INET, NULL);
	assert_string_equal(all, "");
	free(all);
}

static void pauses_grow(void **state)
{
	static const int tenths[] = {0, 5, 5, 5, 5, 5, 5, 5, 10, 20, 40, 80, 80, 80};
	for (unsigned i = 0; i < sizeof tenths / sizeof *tenths; i++)
		assert_int_equal(watch_pause(i), tenths[i] * INT64_C(100000000));
	assert_int_equal(watch_pause(UINT32_MAX), INT64_C(8000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_by_the_text),
		cmocka_unit_test(says_which_chain_differs),
		cmocka_unit_test(removes_its_own),
		cmocka_unit_test(pauses_grow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
