/* The wall clock is set while the worker runs: durations stay, schedules and records follow. */
#include "rig.h"

#define HOUR (3600 * NS_PER_S)

static void a_hold_lasts_as_long_as_it_should(void **state)
{
	static const int64_t steps[] = {0, -48 * HOUR, 48 * HOUR};
	for (size_t i = 0; i < 3; i++) {
		struct rig *r = rig_new("");
		uint8_t bytes[2048];
		size_t len = wire_hello(bytes, "news.example", 0);
		syn(r, guest, 5000);
		assert_int_equal(data(r, guest, 5000, 0, bytes, len / 2), -1);
		r->source.ahead = steps[i];
		wait_ms(r, 1500);
		assert_int_equal(r->logged, 0);
		wait_ms(r, 1000);
		assert_int_equal(r->logged, 1);
		assert_int_equal(r->log[0].reason, REASON_HELLO_UNFINISHED);
		assert_int_equal(r->log[0].time, r->source.now + steps[i]);
		rig_free(r);
	}
}

static void a_session_ends_when_it_should(void **state)
{
	struct rig *r = rig_new("");
	struct address a;
	address_parse(nobody, &a);
	struct session s = {
		.user = "ann", .tier = "guest", .until = r->source.now + HOUR, .idle = 2 * HOUR};
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	for (int i = 0; i < 2; i++) {
		r->source.ahead = i ? 48 * HOUR : -48 * HOUR;
		assert_int_equal(syn(r, nobody, 5000u + (unsigned)i), VERDICT_PENDING);
	}
	r->source.ahead = -48 * HOUR;
	wait_ms(r, 3600 * 1000);
	assert_int_equal(syn(r, nobody, 5002), VERDICT_DENIED);
	rig_free(r);
}

/* It is Friday, 08:00. */
#define OFFICE                                                                                     \
	"segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"                       \
	"tiers = ( { name = \"guest\"; } );\n"                                                     \
	"schedules = ( { name = \"office\"; days = \"mon-fri\"; hours = \"07:00-09:00\";\n"        \
	"                zone = \"UTC\"; } );\n"                                                   \
	"sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; } );\n"                        \
	"allow = ( { tiers = [ \"guest\" ]; sites = [ \"news\" ]; when = \"office\"; } );\n"

static void a_schedule_follows_the_wall_clock(void **state)
{
	static const int64_t steps[] = {4 * HOUR, -4 * HOUR};
	for (size_t i = 0; i < 2; i++) {
		struct rig *r = rig_with(OFFICE);
		syn(r, guest, 5000);
		assert_int_equal(hello(r, guest, 5000, "news.example"), VERDICT_HEARD);
		r->source.ahead = steps[i]; /* past the edge, or back before one */
		wait_ms(r, 10);
		assert_int_equal(r->source.remarks, 1);
		assert_int_equal(r->source.remarked, VERDICT_DENIED);
		assert_int_equal(syn(r, guest, 5001), VERDICT_DENIED);
		r->source.ahead = 0;
		wait_ms(r, 10);
		assert_int_equal(syn(r, guest, 5002), VERDICT_PENDING);
		rig_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hold_lasts_as_long_as_it_should),
		cmocka_unit_test(a_session_ends_when_it_should),
		cmocka_unit_test(a_schedule_follows_the_wall_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
