/* A policy that there is not the memory for is none: no table of it is missing in what is in force.
 */
#include "unit.h"

#include "no_memory.h"
#include "policy/build.h"

static void start(struct config *c)
{
	*c = (struct config){.mismatch = CONFIG_MISMATCH_LOG};
	build_tier(c, "guest", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(c, "staff", "guest", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_site(c, "names", "example.org");
	build_site(c, "more", "www.example.org");
	build_site(c, "nets", "203.0.113.0/24");
	build_network(&c->internal, "10.0.0.0/8");
	build_network(&c->resolvers, "10.0.0.53/32");
	build_line(c, ALLOW, "guest", "names", "tcp/443");
	build_line(c, ALLOW, "staff", "nets", "")->evidence = CONFIG_EVIDENCE_ANY;
	build_line(c, DENY, "guest", "more", "");
}

static void a_policy_is_whole_or_none(void **state)
{
	struct config c;
	struct errors errors = {0};
	long held = 0;
	start(&c);
	snapshot_free(snapshot_compile(&c, &errors)); /* what is made once is there */
	assert_int_equal(errors.count, 0);
	for (long n = 0; NO_MEMORY; n++) {
		held = memory_held();
		no_memory_at(n);
		struct snapshot *s = snapshot_compile(&c, &errors);
		no_memory_end();
		bool failed = no_memory_failed;
		assert_int_equal(s == NULL, failed);
		assert_int_equal(errors.count > 0, failed);
		snapshot_free(s);
		errors_deinit(&errors);
		errors = (struct errors){0};
		assert_int_equal(memory_held(), held);
		if (!failed)
			break;
	}
	build_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_is_whole_or_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
