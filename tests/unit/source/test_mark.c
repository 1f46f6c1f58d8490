#include "source/mark.h"
#include "unit.h"

#define MASK 0x7f000000u

static void a_mark_says_kind_and_epoch(void **state)
{
	for (unsigned epoch = 0; epoch < MARK_EPOCHS; epoch++)
		for (int kind = 0; kind < MARK_KINDS; kind++) {
			uint32_t mark = mark_value(MASK, (enum mark_kind)kind, epoch);
			assert_int_equal(mark & ~MASK, 0);
			assert_int_equal(mark_kind_of(MASK, mark | 0x00abcdef), kind);
			assert_int_equal(mark_epoch_of(MASK, mark | 0x80abcdef), epoch);
		}
}

/* What is denied leaves a mark by which the kernel denies what comes after it, also where the
 * packet itself was dropped without an answer; what is dropped alone leaves none. */
static void what_a_verdict_leaves(void **state)
{
	static const struct {
		enum verdict verdict;
		enum mark_kind mark;
	} left[] = {{VERDICT_PASS, MARK_PASS},         {VERDICT_PENDING, MARK_PENDING},
		    {VERDICT_HEARD, MARK_HEARD},       {VERDICT_ALLOWED, MARK_ALLOWED},
		    {VERDICT_DENIED, MARK_DENIED},     {VERDICT_DROP_DENIED, MARK_DENIED},
		    {VERDICT_REDIRECT, MARK_REDIRECT}, {VERDICT_DROP, MARK_NONE}};
	assert_int_equal(sizeof left / sizeof *left, VERDICT_DROP_DENIED + 1);
	for (size_t i = 0; i < sizeof left / sizeof *left; i++)
		assert_int_equal(mark_of_verdict(left[i].verdict), left[i].mark);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_says_kind_and_epoch),
		cmocka_unit_test(what_a_verdict_leaves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
