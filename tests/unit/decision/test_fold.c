#include "decision/fold.h"
#include "base/clock.h"
#include "unit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define WINDOW (10 * NS_PER_S)

static struct fold *f;

static int make(void **state)
{
	f = fold_new(WINDOW);
	return f ? 0 : -1;
}

static int drop(void **state)
{
	fold_free(f);
	return 0;
}

static struct decision denial(const char *user, const char *host)
{
	struct decision d = {.time = 5, .transport = IPPROTO_TCP, .server_port = 443};
	d.reason = REASON_NO_LINE;
	d.client = address_from4((uint8_t[]){10, 0, 1, 7});
	d.server = address_from4((uint8_t[]){203, 0, 113, 80});
	snprintf(d.user, sizeof d.user, "%s", user);
	d.host.len = (uint8_t)snprintf(d.host.text, sizeof d.host.text, "%s", host);
	return d;
}

static void equal_denials_are_one_and_a_count(void **state)
{
	struct decision d = denial("anna", "news.example"), out;
	assert_false(fold_takes(f, &d, 1));
	d.time = 9;
	d.client_port = 4000; /* another connection, by another address of the same user */
	d.client = address_from4((uint8_t[]){10, 0, 1, 8});
	for (int i = 0; i < 7; i++)
		assert_true(fold_takes(f, &d, WINDOW));
	d.kind = DECISION_REPEATED;
	d.count = 5;
	assert_true(fold_takes(f, &d, WINDOW));
	assert_false(fold_due(f, WINDOW, &out));
	assert_true(fold_due(f, WINDOW + 1, &out));
	assert_int_equal(out.kind, DECISION_REPEATED);
	assert_int_equal(out.count, 12);
	assert_int_equal(out.time, 9);
	assert_string_equal(out.user, "anna");
	assert_false(fold_due(f, INT64_MAX, &out));
	d.kind = DECISION_DECIDED;
	assert_false(fold_takes(f, &d, WINDOW + 2)); /* a new window begins with a record */
}

static void a_window_without_repeats_says_nothing(void **state)
{
	struct decision d = denial("anna", "news.example"), out;
	assert_false(fold_takes(f, &d, 1));
	assert_false(fold_due(f, INT64_MAX, &out));
}

static void others_stay_apart(void **state)
{
	struct decision d = denial("anna", "news.example");
	assert_false(fold_takes(f, &d, 1));
	struct decision other[] = {d, d, d, d, d, d, d, d, d};
	strcpy(other[0].user, "bob");
	strcpy(other[1].tier, "guest");
	strcpy(other[2].rule, "a.conf:1");
	strcpy(other[3].site, "news");
	other[4].reason = REASON_DENY_LINE;
	other[5].server_port = 80;
	other[6].transport = IPPROTO_UDP;
	strcpy(other[7].policy, "0123");
	other[8].host.text[0] = 'm';
	for (size_t i = 0; i < sizeof other / sizeof *other; i++)
		assert_false(fold_takes(f, &other[i], 2));
	d.action = ACTION_ALLOW;
	assert_false(fold_takes(f, &d, 2));
	d.action = ACTION_DENY;
	d.kind = DECISION_ENDED;
	assert_false(fold_takes(f, &d, 2));
	d.kind = DECISION_LOST;
	assert_false(fold_takes(f, &d, 2));
}

static void addresses_count_where_there_is_no_name(void **state)
{
	struct decision d = denial("", ""), client, server;
	client = server = d;
	client.client = address_from4((uint8_t[]){10, 0, 1, 8});
	server.server = address_from4((uint8_t[]){203, 0, 113, 81});
	assert_false(fold_takes(f, &d, 1));
	assert_false(fold_takes(f, &client, 1));
	assert_false(fold_takes(f, &server, 1));
	assert_true(fold_takes(f, &d, 1));
}

/* Whatever comes, records and counts together are all that came. */
static void nothing_is_lost(void **state)
{
	struct decision d, out;
	uint64_t came = 0, said = 0;
	for (int i = 0; i < 20000; i++, came++) {
		char host[32];
		snprintf(host, sizeof host, "%d.example",
			 i * 7 % 700); /* more than there is room for */
		d = denial("anna", host);
		said += !fold_takes(f, &d, i * NS_PER_MS * 5);
		while (fold_due(f, i * NS_PER_MS * 5, &out))
			said += out.count;
	}
	while (fold_due(f, INT64_MAX, &out))
		said += out.count;
	assert_int_equal(said, came);
}

/* A record of repeats says neither rule nor site: it joins the window that is open, and opens none.
 */
static void repeats_join_a_window_and_open_none(void **state)
{
	struct decision d = denial("anna", "news.example"), r = d, out;
	strcpy(d.rule, "a.conf:1");
	strcpy(d.site, "news");
	r.kind = DECISION_REPEATED;
	r.count = 3;
	assert_false(fold_takes(f, &r, 1));
	assert_false(fold_takes(f, &r, 1));
	assert_false(fold_takes(f, &d, 1));
	assert_true(fold_takes(f, &r, 1));
	assert_true(fold_due(f, INT64_MAX, &out));
	assert_int_equal(out.count, 3);
	assert_string_equal(out.rule, "a.conf:1");
}

/* A window is over at its end: what comes then is a record, be it told of or not. */
static void a_window_ends_to_the_nanosecond(void **state)
{
	struct decision d = denial("anna", "news.example"), out;
	assert_false(fold_takes(f, &d, 1));
	assert_true(fold_takes(f, &d, WINDOW));
	assert_false(fold_due(f, WINDOW, &out));
	assert_false(fold_takes(f, &d, WINDOW + 1));
	assert_true(fold_due(f, WINDOW + 1, &out));
	assert_int_equal(out.count, 1);
	assert_true(fold_takes(f, &d, WINDOW + 2));
}

static void as_many_windows_are_open_as_there_is_room_for(void **state)
{
	struct decision d, out;
	char host[32];
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 514; i++) {
			snprintf(host, sizeof host, "%d.example", i);
			d = denial("anna", host);
			assert_int_equal(fold_takes(f, &d, 1), round == 1 && i < 512);
		}
	uint64_t told = 0;
	for (; fold_due(f, WINDOW + 1, &out); told++)
		assert_int_equal(out.count, 1);
	assert_int_equal(told, 512);
	for (int i = 0; i < 512; i++) { /* and there is room again */
		snprintf(host, sizeof host, "%d.example", i);
		d = denial("anna", host);
		assert_false(fold_takes(f, &d, WINDOW + 2));
		assert_true(fold_takes(f, &d, WINDOW + 2));
	}
}

/* A user is one wherever; without a user each address is one. A name is one wherever it leads. */
static void who_and_where_are_told_by_what_is_known(void **state)
{
	struct decision named = denial("anna", "news.example"), bare = denial("", "news.example");
	assert_false(fold_takes(f, &named, 1));
	assert_false(fold_takes(f, &bare, 1));
	named.server = bare.server = address_from4((uint8_t[]){203, 0, 113, 81});
	assert_true(fold_takes(f, &named, 1) && fold_takes(f, &bare, 1));
	named.client = bare.client = address_from4((uint8_t[]){10, 0, 1, 9});
	assert_true(fold_takes(f, &named, 1));
	assert_false(fold_takes(f, &bare, 1));
	struct decision longer = denial("anna", "news.example.net");
	assert_false(fold_takes(f, &longer, 1));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(equal_denials_are_one_and_a_count),
		TEST(a_window_without_repeats_says_nothing),
		TEST(others_stay_apart),
		TEST(addresses_count_where_there_is_no_name),
		TEST(nothing_is_lost),
		TEST(repeats_join_a_window_and_open_none),
		TEST(a_window_ends_to_the_nanosecond),
		TEST(as_many_windows_are_open_as_there_is_room_for),
		TEST(who_and_where_are_told_by_what_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
