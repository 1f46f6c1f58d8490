#include "portal/form.h"
#include "unit.h"

#include <string.h>

static enum parse get(const char *body, const char *name, char out[static 8])
{
	return form_field(body, strlen(body), name, out, 8);
}

static void values_are_decoded(void **state)
{
	char out[8];
	assert_int_equal(get("user=ann&to=x", "user", out), PARSE_OK);
	assert_string_equal(out, "ann");
	assert_int_equal(get("user=ann&to=x", "to", out), PARSE_OK);
	assert_string_equal(out, "x");
	assert_int_equal(get("a=1+2%263%3d", "a", out), PARSE_OK);
	assert_string_equal(out, "1 2&3=");
	assert_int_equal(get("%61=%D0%b6", "a", out), PARSE_OK);
	assert_string_equal(out, "ж");
	assert_int_equal(get("a=b=c", "a", out), PARSE_OK);
	assert_string_equal(out, "b=c");
	assert_int_equal(get("a", "a", out), PARSE_OK);
	assert_string_equal(out, "");
}

static void what_is_not_there_is_absent(void **state)
{
	static const char *const bodies[] = {"",       "&",     "users=x", "use=x",
					     "x=user", "=user", "USER=1"};
	char out[8] = "old";
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		assert_int_equal(get(bodies[i], "user", out), PARSE_ABSENT);
		assert_string_equal(out, "");
	}
}

static void a_value_fits_to_its_last_byte(void **state)
{
	char out[8];
	assert_int_equal(get("a=1234567", "a", out), PARSE_OK);
	assert_string_equal(out, "1234567");
	assert_int_equal(get("a=12345678", "a", out), PARSE_BAD);
	assert_string_equal(out, "");
	assert_int_equal(get("b=12345678901&a=1", "a", out), PARSE_OK);
}

static void malformed_bodies_are_refused_whole(void **state)
{
	static const char *const bodies[] = {"a=%",       "a=%4",    "a=%4g",   "a=%g4",    "a=%00",
					     "a=1&b=%zz", "a=1&%=2", "a=1&a=2", "a=1&%61=2"};
	char out[8];
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		assert_int_equal(get(bodies[i], "a", out), PARSE_BAD);
		assert_string_equal(out, "");
	}
	assert_int_equal(form_field("a=1\0", 4, "a", out, sizeof out), PARSE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_decoded),
		cmocka_unit_test(what_is_not_there_is_absent),
		cmocka_unit_test(a_value_fits_to_its_last_byte),
		cmocka_unit_test(malformed_bodies_are_refused_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
