/* What a report counts, whatever the order of the records and however many keys there are; how it
 * is shown is tried as people run it, in ../control/test_report.c. */
#include "unit.h"

#include "no_memory.h"

#include "advice/report.c"

#define T0 (INT64_C(1772445600) * NS_PER_S) /* 2026-03-02 10:00 UTC */

static struct decision denial(int hour, const char *user)
{
	struct decision d = {.kind = DECISION_DECIDED,
			     .action = ACTION_DENY,
			     .reason = REASON_NO_LINE,
			     .time = T0 + hour * 3600 * NS_PER_S,
			     .tier = "press"};
	snprintf(d.user, sizeof d.user, "%s", user);
	snprintf(d.host.text, sizeof d.host.text, "www.shop.example");
	d.host.len = (uint8_t)strlen(d.host.text);
	return d;
}

static const json_t *rows(const json_t *report, const char *by)
{
	return json_object_get(json_object_get(report, "by"), by);
}

static json_int_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static const char *text(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

/* Logs of several files come in any order. */
static void times_are_in_order(void **state)
{
	static const int hours[] = {5, 2, 9, 2, 7};
	struct report *r = report_new(false);
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < 5; i++) {
		struct decision d = denial(hours[i], "ann");
		report_record(r, &d);
	}
	json_t *j = report_json(r, 10);
	assert_non_null(strstr(text(j, "from"), "T12:00"));
	assert_non_null(strstr(text(j, "to"), "T19:00"));
	const json_t *time = rows(j, "time");
	assert_int_equal(json_array_size(time), 4);
	for (size_t i = 1; i < 4; i++)
		assert_true(strcmp(text(json_array_get(time, i - 1), "key"),
				   text(json_array_get(time, i), "key")) < 0);
	assert_int_equal(number(json_array_get(time, 0), "denied"), 2);
	json_decref(j);
	report_free(r);
}

/* What an operator did, and what was lost, is no flow, and has no time. */
static void what_is_no_flow_is_not_counted(void **state)
{
	struct report *r = report_new(true);
	struct decision d = denial(3, "ann"), act = denial(0, "root"), lost = denial(99, "");
	act.kind = DECISION_ACT;
	lost.kind = DECISION_LOST;
	lost.count = 7;
	report_record(r, &act);
	report_record(r, &d);
	report_record(r, &lost);
	json_t *j = report_json(r, 10);
	assert_int_equal(number(j, "flows"), 1);
	assert_int_equal(number(j, "denied"), 1);
	assert_int_equal(number(j, "lost"), 7);
	assert_string_equal(text(j, "from"), text(j, "to"));
	assert_int_equal(json_array_size(rows(j, "user")), 1);
	json_decref(j);
	report_free(r);
}

/* Every key has its own row while there is room, and none is lost where there is not. */
static void what_is_beyond_the_room_is_the_others(void **state)
{
	enum { ROOM = SLOTS / 4 * 3, MORE = 100 };
	long held = memory_held();
	char user[24];
	struct report *r = report_new(true);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < ROOM + MORE; i++) {
			snprintf(user, sizeof user, "user-%u", i);
			struct decision d = denial(0, user);
			report_record(r, &d);
		}
	json_t *j = report_json(r, 2 * SLOTS);
	const json_t *users = rows(j, "user");
	assert_int_equal(json_array_size(users), ROOM + 1);
	for (size_t i = 0; i < ROOM; i++)
		assert_int_equal(number(json_array_get(users, i), "denied"), 2);
	const json_t *others = json_array_get(users, ROOM);
	assert_string_equal(text(others, "key"), "others");
	assert_int_equal(number(others, "denied"), 2 * MORE);
	assert_int_equal(number(j, "denied"), 2 * (ROOM + MORE));
	json_decref(j);
	j = report_json(r, 3); /* and so is what is not among the first */
	users = rows(j, "user");
	assert_int_equal(json_array_size(users), 4);
	assert_int_equal(number(json_array_get(users, 3), "denied"), 2 * (ROOM + MORE) - 2 * 3);
	json_decref(j);
	report_free(r);
	assert_int_equal(memory_held(), held);
}

static void who_is_denied_most_is_first(void **state)
{
	static const struct {
		const char *user;
		enum action action;
		int times;
	} of[] = {{"b", ACTION_DENY, 2},
		  {"a", ACTION_DENY, 2},
		  {"c", ACTION_DENY, 3},
		  {"z", ACTION_ALLOW, 9},
		  {"b", ACTION_ALLOW, 1}};
	static const char *const order[] = {"c", "b", "a", "z"};
	struct report *r = report_new(true);
	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		for (int k = 0; k < of[i].times; k++) {
			struct decision d = denial(0, of[i].user);
			d.action = of[i].action;
			report_record(r, &d);
		}
	json_t *j = report_json(r, 10);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(text(json_array_get(rows(j, "user"), i), "key"), order[i]);
	assert_int_equal(json_array_size(rows(j, "name")), 1); /* of what was denied */
	assert_int_equal(number(json_array_get(rows(j, "name"), 0), "denied"), 7);
	json_decref(j);
	report_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_in_order),
		cmocka_unit_test(what_is_no_flow_is_not_counted),
		cmocka_unit_test(what_is_beyond_the_room_is_the_others),
		cmocka_unit_test(who_is_denied_most_is_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
