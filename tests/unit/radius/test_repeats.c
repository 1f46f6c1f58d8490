/* From within the server: which packets count as ones that came again, what is said of it all, and
 * what becomes of it where there is no memory. */
#include "no_memory.h"
#include "unit.h"

#include "radius/server.c"

#include <stdio.h>

static char status[2048]; /* what the service manager was told last */

int sd_notifyf(int unset, const char *format, ...)
{
	va_list more;
	va_start(more, format);
	vsnprintf(status, sizeof status, format, more);
	va_end(more);
	return 1;
}

/* ---- packets that come again ---- */

static struct repeat places[4 * WAYS];
static struct radius_server s = {.repeats = places, .repeat_sets = 4};
static uint8_t authenticator[16];
static struct radius_request r = {.id = 7, .authenticator = authenticator};
static struct datagram d = {.port = 5000};

#define T0 (1000 * NS_PER_S)

static int begin(void **state)
{
	memset(places, 0, sizeof places);
	for (uint8_t i = 0; i < 16; i++)
		authenticator[i] = i;
	r.id = 7;
	d.port = 5000;
	return address_parse("10.0.0.2", &d.from) ? 0 : -1;
}

/* All of it is the same: who sent it, from which port, its number, its authenticator. */
static void a_packet_is_the_same_in_all_that_tells_it(void **state)
{
	assert_false(is_repeated(&s, &r, &d, T0));
	repeat_note(&s, &r, &d, T0);
	assert_true(is_repeated(&s, &r, &d, T0));
	assert_true(is_repeated(&s, &r, &d, T0 + 60 * NS_PER_S - 1));
	assert_false(is_repeated(&s, &r, &d, T0 + 60 * NS_PER_S));
	r.id = 8;
	assert_false(is_repeated(&s, &r, &d, T0));
	r.id = 7;
	d.port = 5001;
	assert_false(is_repeated(&s, &r, &d, T0));
	d.port = 5000;
	d.from.bytes[15] ^= 1;
	assert_false(is_repeated(&s, &r, &d, T0));
	d.from.bytes[15] ^= 1;
	for (int i = 0; i < 16; i++) {
		authenticator[i] ^= 0x10; /* in the same set or another */
		assert_false(is_repeated(&s, &r, &d, T0));
		authenticator[i] ^= 0x10;
	}
	assert_true(is_repeated(&s, &r, &d, T0));
}

/* Of a set the oldest goes, and none of the sets beside. */
static void the_oldest_of_a_set_goes(void **state)
{
	for (uint8_t set = 0; set < 4; set++) {
		authenticator[0] = set;
		authenticator[1] = authenticator[2] = authenticator[3] = 0;
		for (uint8_t i = 0; i <= WAYS; i++) {
			r.id = i;
			repeat_note(&s, &r, &d, T0 + (i == 2 ? -1 : i));
		}
	}
	for (uint8_t set = 0; set < 4; set++) {
		authenticator[0] = set;
		for (uint8_t i = 0; i <= WAYS; i++) {
			r.id = i;
			assert_int_equal(is_repeated(&s, &r, &d, T0), i != 2);
		}
	}
}

/* ---- what the daemon's answers mean ---- */

static void each_answer_has_its_result(void **state)
{
	assert_int_equal(result_of(DAEMON_DONE), ACCOUNTING_DONE);
	assert_int_equal(result_of(DAEMON_NOT_FOUND), ACCOUNTING_ENDED);
	assert_int_equal(result_of(DAEMON_BLOCKED), ACCOUNTING_ENDED);
	assert_int_equal(result_of(DAEMON_REFUSED), ACCOUNTING_FULL);
	assert_int_equal(result_of(DAEMON_AWAY), ACCOUNTING_AWAY);
}

/* ---- what is said ---- */

static const struct accounting_ops none;

static void what_is_not_zero_is_said_when_it_changes(void **state)
{
	struct radius_server one = {.accounting = accounting_new(16, NS_PER_S, &none, NULL)};
	assert_non_null(one.accounting);
	status[0] = '\0';
	say_state(&one, T0, false);
	assert_string_equal(status, ""); /* nothing came */
	one.counters.packets = 3;
	one.counters.answered = 2;
	one.counters.result[ACCOUNTING_DONE] = 2;
	one.counters.result[ACCOUNTING_STALE] = 1;
	one.counters.result[ACCOUNTING_COUNT - 1] = 4;
	say_state(&one, T0, false);
	char want[128];
	snprintf(want, sizeof want, "STATUS=RADIUS: packets 3, answered 2, stale 1, %s 4",
		 accounting_text(ACCOUNTING_COUNT - 1));
	assert_string_equal(status, want);
	assert_int_equal(one.log_next, T0 + 3600 * NS_PER_S);
	assert_int_equal(one.logged, 3);
	status[0] = '\0';
	say_state(&one, T0, true);
	assert_string_equal(status, "");
	one.counters.packets = 4;
	say_state(&one, T0 + 3600 * NS_PER_S - 1, false); /* told, and not logged yet */
	assert_non_null(strstr(status, "packets 4"));
	assert_int_equal(one.logged, 3);
	say_state(&one, T0 + 3600 * NS_PER_S, false);
	assert_int_equal(one.logged, 4);
	one.counters.packets = 5;
	say_state(&one, T0 + 3600 * NS_PER_S, true); /* the end is logged at any time */
	assert_int_equal(one.logged, 5);
	accounting_free(one.accounting);
}

/* ---- without memory ---- */

static int on_save(struct store *store, const char *kind, uint32_t version, const void *bytes,
		   size_t len)
{
	return 0;
}

static void what_cannot_be_made_or_saved_is_told(void **state)
{
	static const struct store_ops store_ops = {.save = on_save};
	struct store store = {&store_ops};
	struct accounting *a = NULL;
	struct accounting_report report = {.status = RADIUS_STOP, .arrived = 1, .lasts = 1};
	if (!NO_MEMORY)
		skip();
	for (long n = 0; !a; n++) {
		no_memory_at(n);
		a = accounting_new(16, NS_PER_S, &none, NULL);
		assert_true(!a == no_memory_failed);
		no_memory_end();
	}
	accounting_take(a, &report, T0);
	no_memory_at(0);
	assert_int_equal(accounting_save(a, &store, T0), -ENOMEM);
	no_memory_end();
	assert_int_equal(accounting_save(a, &store, T0), 0);
	accounting_free(a);
	accounting_free(NULL);
	no_memory_at(0);
	assert_null(radius_server_new(NULL, "", "", NULL, NULL));
	no_memory_end();
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup(f, begin)
	const struct CMUnitTest tests[] = {
		WITH(a_packet_is_the_same_in_all_that_tells_it),
		WITH(the_oldest_of_a_set_goes),
		WITH(each_answer_has_its_result),
		WITH(what_is_not_zero_is_said_when_it_changes),
		WITH(what_cannot_be_made_or_saved_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
