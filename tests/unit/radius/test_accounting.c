#include "unit.h"
#include "base/clock.h"
#include "radius/accounting.h"
#include "state/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A daemon that keeps a list. */
static struct daemon {
	struct {
		struct address address;
		unsigned session;
		char user[USER_MAX], tier[TIER_MAX];
	} at[32];
	unsigned count, serial, asked, renewed;
	uint8_t mac[6]; /* of the last that was told */
	bool away, full;
} d;

static int at_index(const struct address *a)
{
	for (unsigned i = 0; i < d.count; i++)
		if (address_equal(&d.at[i].address, a))
			return (int)i;
	return -1;
}

static enum accounting_result daemon_close(void *ctx, const struct address *a)
{
	d.asked++;
	if (d.away)
		return ACCOUNTING_AWAY;
	int i = at_index(a);
	if (i < 0)
		return ACCOUNTING_DONE;
	unsigned session = d.at[i].session, kept = 0;
	for (unsigned k = 0; k < d.count; k++)
		if (d.at[k].session != session)
			d.at[kept++] = d.at[k];
	d.count = kept;
	return ACCOUNTING_DONE;
}

/* Where the same user is there already, the session goes on under a new number. */
static enum accounting_result daemon_open(void *ctx, const struct address *a, const char *user,
					  const char *tier, const uint8_t mac[6])
{
	if (strcmp(tier, "gone") == 0)
		return ACCOUNTING_NO_TIER;
	if (d.full)
		return ACCOUNTING_FULL;
	int there = d.away ? -1 : at_index(a);
	if (mac)
		memcpy(d.mac, mac, 6);
	if (there >= 0 && strcmp(d.at[there].user, user) == 0) {
		unsigned session = d.at[there].session;
		d.asked++;
		d.renewed++;
		for (unsigned k = 0; k < d.count; k++)
			if (d.at[k].session == session)
				strcpy(d.at[k].tier, tier);
		return ACCOUNTING_DONE;
	}
	if (daemon_close(ctx, a) == ACCOUNTING_AWAY)
		return ACCOUNTING_AWAY;
	d.at[d.count].address = *a;
	d.at[d.count].session = ++d.serial;
	strcpy(d.at[d.count].user, user);
	strcpy(d.at[d.count++].tier, tier);
	return ACCOUNTING_DONE;
}

static enum accounting_result daemon_add(void *ctx, const struct address *with,
					 const struct address *a)
{
	d.asked++;
	if (d.away)
		return ACCOUNTING_AWAY;
	int i = at_index(with);
	if (i < 0)
		return ACCOUNTING_ENDED;
	int old = at_index(a);
	if (old >= 0 && d.at[old].session != d.at[i].session)
		daemon_close(ctx, a);
	i = at_index(with);
	d.at[d.count] = d.at[i];
	d.at[d.count++].address = *a;
	return ACCOUNTING_DONE;
}

static enum accounting_result daemon_drop(void *ctx, const struct address *a)
{
	d.asked++;
	if (d.away)
		return ACCOUNTING_AWAY;
	int i = at_index(a);
	if (i >= 0)
		d.at[i] = d.at[--d.count];
	return ACCOUNTING_DONE;
}

static const struct accounting_ops ops = {daemon_open, daemon_add, daemon_drop, daemon_close};
static struct accounting *a;
static int64_t now;
#define WALL   (1800000000 * NS_PER_S) /* when the machine was booted */
#define WINDOW (300 * NS_PER_S)
#define LASTS  (1800 * NS_PER_S)

static int set_up_of(uint32_t capacity)
{
	memset(&d, 0, sizeof d);
	now = 1000 * NS_PER_S;
	a = accounting_new(capacity, WINDOW, &ops, NULL);
	return a ? 0 : -1;
}

static int set_up(void **state)
{
	return set_up_of(64);
}

static int tear_down(void **state)
{
	accounting_free(a);
	return 0;
}

/* A report: status, session, user, addresses (up to two), time in seconds from the start. */
static struct accounting_report report(enum radius_status status, unsigned session,
				       const char *user, const char *first, const char *second,
				       int time)
{
	struct accounting_report r = {.status = status, .lasts = LASTS, .tier = "staff"};
	r.user_told = r.tier_told = true;
	r.arrived = WALL + now;
	const char *text[] = {first, second};
	r.nas[0] = r.behind[0] = 1;
	memcpy(r.session, &session, sizeof session);
	strcpy(r.user, user);
	for (int i = 0; i < 2; i++)
		if (text[i])
			assert_true(address_parse(text[i], &r.address[r.addresses++]));
	r.time.said = WALL + (1000 + (int64_t)time) * NS_PER_S;
	r.time.heard = (1000 + (int64_t)time) * NS_PER_S;
	return r;
}

/* The same from a client that does not say when. */
static struct accounting_report untimed(struct accounting_report r)
{
	r.time.said = 0;
	r.time.heard = now;
	return r;
}

static enum accounting_result take(struct accounting_report r)
{
	return accounting_take(a, &r, now);
}

static const char *who(const char *address)
{
	struct address at;
	assert_true(address_parse(address, &at));
	int i = at_index(&at);
	return i < 0 ? "" : d.at[i].user;
}

#define START(session, user, ...)   take(report(RADIUS_START, session, user, __VA_ARGS__))
#define INTERIM(session, user, ...) take(report(RADIUS_INTERIM, session, user, __VA_ARGS__))
#define STOP(session, user, ...)    take(report(RADIUS_STOP, session, user, __VA_ARGS__))

static void a_session_opens_and_ends(void **state)
{
	assert_int_equal(START(1, "ann", "10.0.0.1", "fd00::1", 0), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann");
	assert_string_equal(who("fd00::1"), "ann");
	assert_int_equal(d.serial, 1);
	assert_int_equal(STOP(1, "ann", "10.0.0.1", "fd00::1", 60), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
}

static void repeated_reports_ask_nothing_of_the_daemon(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	unsigned asked = d.asked;
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_DONE);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_DONE);
	assert_int_equal(d.asked, asked);
	assert_int_equal(d.serial, 1);
}

static void a_start_after_its_stop_opens_nothing(void **state)
{
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_DONE);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_OLD);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 30), ACCOUNTING_OLD);
	struct accounting_report r = report(RADIUS_INTERIM, 1, "ann", "10.0.0.1", NULL, 90);
	assert_int_equal(take(untimed(r)),
			 ACCOUNTING_OLD);          /* who does not say when can't be newer */
	assert_int_equal(take(r), ACCOUNTING_OLD); /* only a Start opens it again */
	assert_int_equal(take(untimed(report(RADIUS_START, 1, "ann", "10.0.0.1", NULL, 90))),
			 ACCOUNTING_OLD);
	assert_int_equal(d.count, 0);
}

static void an_identifier_used_again_is_a_new_session(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	STOP(1, "ann", "10.0.0.1", NULL, 60);
	assert_int_equal(START(1, "bob", "10.0.0.1", NULL, 61), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "bob");
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_OLD); /* replayed */
	assert_string_equal(who("10.0.0.1"), "bob");
}

static void an_old_interim_moves_nothing(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.2", NULL, 120), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "");
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_OLD);
	assert_string_equal(who("10.0.0.2"), "ann");
	now += 180 * NS_PER_S;
	struct accounting_report r = untimed(report(RADIUS_INTERIM, 1, "ann", "10.0.0.2", NULL, 0));
	r.has_session_time = true;
	r.session_time = 180;
	assert_int_equal(take(r), ACCOUNTING_DONE);
	r.session_time = 179;
	r.address[0].bytes[15] = 9;
	assert_int_equal(take(r), ACCOUNTING_OLD);
	assert_string_equal(who("10.0.0.2"), "ann");
}

static void replays_far_from_now_open_nothing(void **state)
{
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, -301), ACCOUNTING_STALE);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 301), ACCOUNTING_STALE);
	assert_int_equal(d.count, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, -300), ACCOUNTING_DONE);
	assert_int_equal(START(2, "bob", "10.0.0.2", NULL, 300), ACCOUNTING_DONE);
	/* a Stop that was long on its way still ends */
	now += 3600 * NS_PER_S;
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "");
}

/* No report that could be replayed within its window is forgotten before. */
static void what_ended_is_remembered_beyond_the_window(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 300);
	STOP(1, "ann", "10.0.0.1", NULL, 300);
	for (int s = 0; s <= 600; s += 30) {
		now = (1000 + (int64_t)s) * NS_PER_S;
		accounting_sweep(a, now);
		START(1, "ann", "10.0.0.1", NULL, 300);
		assert_int_equal(d.count, 0);
	}
}

static void addresses_come_and_move(void **state)
{
	assert_int_equal(START(1, "ann", NULL, NULL, 0), ACCOUNTING_NO_ADDRESS);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 1), ACCOUNTING_DONE);
	assert_int_equal(INTERIM(1, "ann", "fd00::1", NULL, 2), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann"); /* nothing was said of IPv4 */
	assert_string_equal(who("fd00::1"), "ann");
	assert_int_equal(d.serial, 1);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.2", NULL, 3), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "");
	assert_string_equal(who("10.0.0.2"), "ann");
	assert_string_equal(who("fd00::1"), "ann");
}

/* The Stop of who had the address before must not sign out who has it now. */
static void a_late_stop_ends_nobody_else(void **state)
{
	START(1, "ann", "10.0.0.1", "10.0.0.3", 0);
	START(2, "bob", "10.0.0.1", NULL, 5);
	assert_string_equal(who("10.0.0.1"), "bob");
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 6), ACCOUNTING_ENDED);
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 7), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "bob");
	assert_int_equal(STOP(2, "bob", "10.0.0.1", NULL, 8), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
}

static void who_was_signed_out_by_hand_stays_out(void **state)
{
	struct address at;
	START(1, "ann", "10.0.0.1", NULL, 0);
	assert_true(address_parse("10.0.0.1", &at));
	daemon_close(NULL, &at);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", "fd00::1", 60), ACCOUNTING_ENDED);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", "fd00::1", 120), ACCOUNTING_ENDED);
	assert_int_equal(d.count, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 121), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann");
}

static void a_tier_changes_and_goes(void **state)
{
	struct accounting_report r = report(RADIUS_INTERIM, 1, "ann", "10.0.0.1", NULL, 1);
	START(1, "ann", "10.0.0.1", NULL, 0);
	strcpy(r.tier, "guest");
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_string_equal(d.at[0].tier, "guest");
	assert_int_equal(d.count, 1);
	r.tier[0] = '\0';
	assert_int_equal(take(r), ACCOUNTING_NO_TIER);
	assert_int_equal(d.count, 0);
	strcpy(r.tier, "gone");
	assert_int_equal(take(r), ACCOUNTING_NO_TIER);
	r.user[0] = '\0';
	assert_int_equal(take(r), ACCOUNTING_NO_USER);
}

static void a_lost_stop_is_bounded(void **state)
{
	struct accounting_counters c;
	START(1, "ann", "10.0.0.1", NULL, 0);
	now += LASTS - NS_PER_S;
	accounting_sweep(a, now);
	assert_int_equal(d.count, 1);
	now += NS_PER_S;
	d.away = true;
	accounting_sweep(a, now);
	d.away = false;
	accounting_sweep(a, now);
	assert_int_equal(d.count, 0);
	accounting_count(a, &c);
	assert_int_equal(c.timed_out, 1);
	assert_int_equal(c.open, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_STALE);
	/* it was only the network */
	assert_int_equal(take(untimed(report(RADIUS_INTERIM, 1, "ann", "10.0.0.1", NULL, 0))),
			 ACCOUNTING_DONE);
	assert_int_equal(d.count, 1);
}

static void a_restart_ends_what_was_before_it(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	START(2, "bob", "10.0.0.2", NULL, 50);
	struct accounting_report other = report(RADIUS_START, 3, "cat", "10.0.0.3", NULL, 0);
	other.nas[0] = 2;
	assert_int_equal(take(other), ACCOUNTING_DONE);
	assert_int_equal(take(report(RADIUS_ON, 0, "", NULL, NULL, 40)), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "");
	assert_string_equal(who("10.0.0.2"), "bob");
	assert_string_equal(who("10.0.0.3"), "cat");
	d.away = true;
	assert_int_equal(take(report(RADIUS_OFF, 0, "", NULL, NULL, 60)), ACCOUNTING_AWAY);
	d.away = false;
	assert_int_equal(take(report(RADIUS_OFF, 0, "", NULL, NULL, 60)), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.2"), "");
	assert_string_equal(who("10.0.0.3"), "cat");
}

static void nothing_is_lost_while_the_daemon_is_away(void **state)
{
	d.away = true;
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_AWAY);
	d.away = false;
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann");
	d.away = true;
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 9), ACCOUNTING_AWAY);
	d.away = false;
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 9), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
	d.full = true;
	assert_int_equal(START(2, "bob", "10.0.0.2", NULL, 9), ACCOUNTING_FULL);
	assert_false(accounting_answered(ACCOUNTING_FULL) || accounting_answered(ACCOUNTING_AWAY));
	assert_true(accounting_answered(ACCOUNTING_OLD) && accounting_answered(ACCOUNTING_STALE));
}

/* Who is another, or of another tier, is said again until the daemon knows of it. */
static void a_change_waits_for_the_daemon(void **state)
{
	struct accounting_report r = report(RADIUS_INTERIM, 1, "ann", "10.0.0.1", NULL, 1);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	strcpy(r.tier, "guest");
	d.away = true;
	assert_int_equal(take(r), ACCOUNTING_AWAY);
	d.away = false;
	assert_string_equal(d.at[0].tier, "staff");
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_string_equal(d.at[0].tier, "guest");
	strcpy(r.user, "bob");
	d.away = true;
	assert_int_equal(take(r), ACCOUNTING_AWAY);
	d.away = false;
	assert_string_equal(who("10.0.0.1"), "ann");
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "bob");
}

static void sessions_of_before_are_taken_over(void **state)
{
	struct accounting_report old = report(0, 0, "ann", "10.0.0.1", "fd00::1", 0);
	struct accounting_report dan = report(0, 0, "dan", "10.0.0.4", NULL, 0);
	old.time = dan.time = (struct accounting_moment){0};
	daemon_open(NULL, &old.address[0], "ann", "staff", NULL);
	daemon_add(NULL, &old.address[0], &old.address[1]);
	daemon_open(NULL, &dan.address[0], "dan", "staff", NULL);
	accounting_adopt(a, &old, now);
	accounting_adopt(a, &old, now); /* twice is once */
	accounting_adopt(a, &dan, now);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	assert_int_equal(d.serial, 2); /* no new session */
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 5), ACCOUNTING_DONE);
	assert_int_equal(d.count, 1);
	assert_int_equal(STOP(7, "eve", "10.0.0.4", NULL, 5), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.4"), "dan"); /* not eve's */
	now += LASTS;
	accounting_sweep(a, now);
	assert_int_equal(d.count, 0); /* nobody reported it */
}

static void a_full_table_refuses_and_forgets_what_ended(void **state)
{
	tear_down(NULL);
	assert_int_equal(set_up_of(4), 0);
	char address[16];
	for (unsigned i = 1; i <= 5; i++) {
		snprintf(address, sizeof address, "10.0.0.%u", i);
		assert_int_equal(START(i, "ann", address, NULL, 0),
				 i <= 4 ? ACCOUNTING_DONE : ACCOUNTING_FULL);
	}
	/* one that is open makes no room, however soon it ends */
	enum { LATER = LASTS / NS_PER_S - 10 };
	now += LATER * NS_PER_S;
	assert_int_equal(STOP(2, "ann", "10.0.0.2", NULL, LATER), ACCOUNTING_DONE);
	assert_int_equal(START(5, "eve", "10.0.0.5", NULL, LATER), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.5"), "eve");
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, LATER), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "");
	assert_int_equal(START(7, "ann", "10.0.0.1", NULL, LATER), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.2"), "");
	assert_string_equal(who("10.0.0.4"), "ann");
	assert_int_equal(START(6, "fay", "10.0.0.6", NULL, LATER), ACCOUNTING_FULL);
}

/* Reports in every order, thrice each: who is signed in at the end is who reported last. */
static void any_order_ends_the_same(void **state)
{
	unsigned seed = 1;
	for (int round = 0; round < 200; round++) {
		struct accounting_report list[12];
		tear_down(NULL);
		assert_int_equal(set_up_of(16), 0);
		for (unsigned i = 0; i < 12; i++) {
			static const enum radius_status status[] = {RADIUS_START, RADIUS_INTERIM,
								    RADIUS_INTERIM, RADIUS_STOP};
			unsigned which = i % 4;
			list[i] = report(status[which], i / 4 + 1, i / 4 == 1 ? "bob" : "ann",
					 i / 4 == 2 ? "10.0.0.2" : "10.0.0.1", NULL, (int)i * 10);
		}
		for (unsigned i = 0; i < 36; i++) {
			seed = seed * 1103515245 + 12345;
			take(list[(seed >> 16) % 12]);
		}
		for (unsigned i = 3; i < 12;
		     i += 4) /* what a client got no answer to comes again */
			take(list[i]);
		assert_int_equal(d.count, 0);
	}
}

/* ---- what a report leaves out, and what changes ---- */

static void what_is_left_out_stays(void **state)
{
	struct accounting_report r = report(RADIUS_INTERIM, 1, "", NULL, NULL, 60);
	START(1, "ann", "10.0.0.1", "fd00::1", 0);
	unsigned asked = d.asked;
	r.user_told = r.tier_told = false;
	strcpy(r.tier, "visitor"); /* the default, of who says none */
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_int_equal(d.asked, asked);
	assert_string_equal(who("10.0.0.1"), "ann");
	assert_string_equal(d.at[0].tier, "staff");
	/* of a new session nothing is known */
	r = report(RADIUS_START, 1, "bob", "10.0.0.1", NULL, 90);
	r.tier_told = false;
	strcpy(r.tier, "visitor");
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "bob");
	assert_string_equal(d.at[0].tier, "visitor");
	/* nor is another user's tier one's own */
	START(2, "cat", "10.0.0.2", NULL, 90);
	now += 100 * NS_PER_S;
	r = untimed(report(RADIUS_INTERIM, 2, "dan", "10.0.0.2", NULL, 0));
	r.tier_told = false;
	strcpy(r.tier, "visitor");
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.2"), "dan");
	assert_string_equal(d.at[at_index(&r.address[0])].tier, "visitor");
}

/* One address that comes or goes changes the session: it neither ends nor begins. */
static void an_address_that_changes_ends_nothing(void **state)
{
	char text[16];
	START(1, "ann", "10.0.0.1", "fd00::1", 0);
	for (int i = 2; i < 40; i++) {
		snprintf(text, sizeof text, "fd00::%x", i);
		assert_int_equal(INTERIM(1, "ann", "10.0.0.1", text, i), ACCOUNTING_DONE);
		assert_string_equal(who("10.0.0.1"), "ann");
		assert_string_equal(who(text), "ann");
		assert_int_equal(d.count, 2);
	}
	assert_int_equal(INTERIM(1, "ann", "10.0.0.9", NULL, 60), ACCOUNTING_DONE);
	assert_int_equal(INTERIM(1, "ann", "fd00::99", NULL, 61), ACCOUNTING_DONE);
	assert_int_equal(d.serial, 1);
	assert_int_equal(d.count, 2);
	/* also where it is the only one: the new one comes first */
	START(2, "bob", "10.0.0.5", NULL, 0);
	assert_int_equal(INTERIM(2, "bob", "10.0.0.6", NULL, 5), ACCOUNTING_DONE);
	assert_int_equal(d.serial, 2);
	assert_string_equal(who("10.0.0.5"), "");
	assert_string_equal(who("10.0.0.6"), "bob");
}

static void eight_addresses_change_for_eight_others(void **state)
{
	struct accounting_report r = report(RADIUS_START, 1, "ann", NULL, NULL, 0);
	for (unsigned i = 0; i < RADIUS_ADDRESSES; i++)
		r.address[i] = address_from4((uint8_t[]){10, 0, 0, (uint8_t)(1 + i)});
	r.addresses = RADIUS_ADDRESSES;
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_int_equal(d.count, RADIUS_ADDRESSES);
	for (unsigned i = 0; i < RADIUS_ADDRESSES; i++)
		r.address[i].bytes[14] = 9;
	r.status = RADIUS_INTERIM;
	r.time.said += NS_PER_S;
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_int_equal(d.serial, 1);
	assert_true(d.count >= RADIUS_ADDRESSES - 1); /* one kept the session's place */
	assert_string_equal(who("10.0.0.1"), "");
}

static void a_mac_address_is_told_and_changes(void **state)
{
	struct accounting_report r = report(RADIUS_START, 1, "ann", "10.0.0.1", NULL, 0);
	r.has_mac = true;
	r.mac[5] = 7;
	take(r);
	assert_int_equal(d.mac[5], 7);
	r.status = RADIUS_INTERIM;
	r.time.said += NS_PER_S;
	take(r);
	assert_int_equal(d.renewed, 0);
	r.has_mac = false;
	take(r);
	assert_int_equal(d.renewed, 0);
	r.has_mac = true;
	r.mac[5] = 8;
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_int_equal(d.renewed, 1);
	assert_int_equal(d.mac[5], 8);
	assert_int_equal(d.serial, 1);
}

/* ---- what has ended ---- */

static void only_a_start_opens_what_a_stop_has_ended(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, -3);
	STOP(1, "ann", "10.0.0.1", NULL, -2);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, -1), ACCOUNTING_OLD);
	assert_int_equal(d.count, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	assert_int_equal(d.count, 1);
}

/* A client's clock has whole seconds: a Start in that of the Stop is another one, unless it is the
 * known one. */
static void a_start_in_the_second_of_the_stop_is_new(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, -5);
	STOP(1, "ann", "10.0.0.1", NULL, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	STOP(1, "ann", "10.0.0.1", NULL, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_OLD);
	assert_int_equal(d.count, 0);
}

static void a_late_update_takes_no_address_from_who_roamed(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	struct accounting_report there = report(RADIUS_START, 2, "ann", "10.0.0.1", NULL, 5);
	there.nas[0] = there.behind[0] = 2;
	take(there);
	STOP(1, "ann", "10.0.0.1", NULL, 6);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 7), ACCOUNTING_OLD);
	there.status = RADIUS_STOP;
	there.time.said += 60 * NS_PER_S;
	assert_int_equal(take(there), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
}

static void identifiers_are_new_ones_after_a_restart(void **state)
{
	/* of a client that says no times */
	take(untimed(report(RADIUS_START, 1, "ann", "10.0.0.1", NULL, 0)));
	now += NS_PER_S / 20;
	assert_int_equal(take(untimed(report(RADIUS_ON, 0, "", NULL, NULL, 0))), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
	now += NS_PER_S / 20;
	assert_int_equal(take(untimed(report(RADIUS_START, 1, "bob", "10.0.0.1", NULL, 0))),
			 ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "bob");
	take(untimed(report(RADIUS_STOP, 1, "bob", "10.0.0.1", NULL, 0)));
	/* what was ended since the restart has ended */
	now += NS_PER_S;
	assert_int_equal(take(untimed(report(RADIUS_INTERIM, 1, "bob", "10.0.0.1", NULL, 0))),
			 ACCOUNTING_OLD);
	assert_int_equal(take(untimed(report(RADIUS_START, 1, "bob", "10.0.0.1", NULL, 0))),
			 ACCOUNTING_OLD);
	assert_int_equal(d.count, 0);
}

/* What was reported before a restart, and comes after it, is of before: also of a session that
 * nobody knows. */
static void reports_of_before_a_restart_open_nothing(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	take(report(RADIUS_ON, 0, "", NULL, NULL, 30));
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_OLD);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 29), ACCOUNTING_OLD);
	assert_int_equal(START(7, "eve", "10.0.0.7", NULL, 29), ACCOUNTING_OLD);
	struct accounting_report late =
		untimed(report(RADIUS_START, 8, "eve", "10.0.0.7", NULL, 0));
	late.delayed = true;
	late.time.heard = (1000 + 20) * NS_PER_S; /* by its Acct-Delay-Time */
	assert_int_equal(take(late), ACCOUNTING_OLD);
	assert_int_equal(d.count, 0);
	/* the same restart told again ends nothing that began since */
	assert_int_equal(INTERIM(1, "bob", "10.0.0.1", NULL, 31), ACCOUNTING_DONE);
	assert_int_equal(take(report(RADIUS_ON, 0, "", NULL, NULL, 30)), ACCOUNTING_OLD);
	assert_string_equal(who("10.0.0.1"), "bob");
	now += 3600 * NS_PER_S;
	assert_int_equal(take(report(RADIUS_ON, 0, "", NULL, NULL, 31)), ACCOUNTING_STALE);
	assert_string_equal(who("10.0.0.1"), "bob");
}

/* Where a client says when and its restart does not (its clock is not set yet), reports that it
 * made before are told by their own times. */
static void a_restart_without_a_time_is_one(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, -20);
	INTERIM(1, "ann", "10.0.0.1", NULL, -10);
	assert_int_equal(take(untimed(report(RADIUS_ON, 0, "", NULL, NULL, 0))), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, -20), ACCOUNTING_OLD);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, -10), ACCOUNTING_OLD);
	assert_int_equal(START(1, "bob", "10.0.0.1", NULL, 1), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "bob");
}

static void what_was_not_heard_of_comes_back_by_what_is_newer(void **state)
{
	struct accounting_report r = report(RADIUS_START, 1, "ann", "10.0.0.1", NULL, 0);
	r.lasts = 60 * NS_PER_S;
	take(r);
	now += 60 * NS_PER_S;
	accounting_sweep(a, now);
	assert_int_equal(d.count, 0);
	assert_int_equal(take(r), ACCOUNTING_OLD); /* sent again by somebody, within the window */
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 61), ACCOUNTING_DONE);
	assert_int_equal(d.count, 1);
}

/* The same session over another way: a proxy that stands in, or the other IP version. */
static void a_client_may_report_from_elsewhere(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	struct accounting_report r = report(RADIUS_INTERIM, 1, "ann", "10.0.0.1", NULL, 5);
	r.nas[0] = 9; /* behind stays */
	unsigned serial = d.serial;
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_int_equal(d.serial, serial);
	r.status = RADIUS_STOP;
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
	/* another client with the same identifier and user is another */
	START(2, "ann", "10.0.0.2", NULL, 0);
	r = report(RADIUS_STOP, 2, "ann", "10.0.0.2", NULL, 5);
	r.nas[0] = r.behind[0] = 9;
	take(r);
	assert_string_equal(who("10.0.0.2"), "ann");
}

/* Two clients may use one identifier. */
static void an_identifier_belongs_to_its_client(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	struct accounting_report r = report(RADIUS_START, 1, "bob", "10.0.0.2", NULL, 0);
	r.nas[0] = r.behind[0] = 2;
	assert_int_equal(take(r), ACCOUNTING_DONE);
	r.status = RADIUS_STOP;
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann");
	assert_string_equal(who("10.0.0.2"), "");
}

/* ---- what outlives the process ---- */

static char folder[64], journal[96];
static struct store *store;

static int set_up_kept(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/tiergate-accounting-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(journal, sizeof journal, "%s/radius.journal", folder);
	store = store_folder_new(folder);
	if (set_up(state) < 0)
		return -1;
	accounting_load(a, store, journal, now);
	return 0;
}

static int tear_down_kept(void **state)
{
	char command[128];
	store->ops->free(store);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command) == 0 ? tear_down(state) : -1;
}

/* The next process, with what the daemon has. */
static void next_process(void)
{
	struct accounting_report r;
	accounting_free(a);
	a = accounting_new(64, WINDOW, &ops, NULL);
	assert_non_null(a);
	accounting_load(a, store, journal, now);
	for (unsigned session = 1; session <= d.serial; session++) {
		r = report(0, 0, "", NULL, NULL, 0);
		for (unsigned i = 0; i < d.count; i++)
			if (d.at[i].session == session) {
				strcpy(r.user, d.at[i].user);
				r.address[r.addresses++] = d.at[i].address;
			}
		accounting_adopt(a, &r, now);
	}
	accounting_adopted(a);
}

/* SIGKILL at once after the answer: nothing was saved but the journal. */
static void an_ending_outlives_a_killed_process(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	STOP(1, "ann", "10.0.0.1", NULL, 1);
	next_process();
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_OLD);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 2), ACCOUNTING_OLD);
	assert_int_equal(d.count, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 3), ACCOUNTING_DONE);
	next_process(); /* and so does that it has begun again */
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 4), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann");
	assert_int_equal(d.serial, 2);
}

/* What was saved and what came after it are one session. */
static void a_session_of_both_files_is_one(void **state)
{
	struct accounting_counters c;
	START(1, "ann", "10.0.0.1", NULL, 0);
	START(2, "bob", "10.0.0.2", NULL, 0);
	assert_int_equal(accounting_save(a, store, now), 0);
	STOP(1, "ann", "10.0.0.1", NULL, 1);
	next_process();
	accounting_count(a, &c);
	assert_int_equal(c.open, 1);
	assert_int_equal(c.ended, 1);
	assert_int_equal(accounting_save(a, store, now), 0);
	next_process();
	accounting_count(a, &c);
	assert_int_equal(c.open, 1);
	assert_int_equal(c.ended, 1);
	assert_int_equal(STOP(2, "bob", "10.0.0.2", NULL, 2), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
}

static void all_of_it_outlives_a_saved_process(void **state)
{
	struct address at;
	struct accounting_counters c;
	START(1, "ann", "10.0.0.1", "fd00::1", 0);
	START(2, "bob", "10.0.0.2", NULL, 0);
	STOP(2, "bob", "10.0.0.2", NULL, 1);
	START(3, "cat", "10.0.0.3", NULL, 0);
	take(report(RADIUS_INTERIM, 3, "cat", "10.0.0.3", NULL, 9));
	assert_int_equal(accounting_save(a, store, now), 0);
	struct stat st;
	assert_int_equal(stat(journal, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_true(address_parse("10.0.0.3", &at));
	daemon_close(NULL, &at); /* by hand, while there is no portal */
	next_process();
	accounting_count(a, &c);
	assert_int_equal(c.open, 2); /* one of them lost */
	assert_int_equal(START(2, "bob", "10.0.0.2", NULL, 0), ACCOUNTING_OLD);
	assert_int_equal(INTERIM(3, "cat", "10.0.0.3", NULL, 10), ACCOUNTING_ENDED);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 10), ACCOUNTING_DONE);
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 11), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
}

static void a_restart_of_the_client_outlives_it_too(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	take(report(RADIUS_ON, 0, "", NULL, NULL, 30));
	next_process();
	assert_int_equal(START(7, "eve", "10.0.0.7", NULL, 29), ACCOUNTING_OLD);
	assert_int_equal(INTERIM(1, "bob", "10.0.0.1", NULL, 31), ACCOUNTING_DONE);
}

/* After a boot the clock begins anew: what ended is remembered as long as before, at least. */
static void a_boot_makes_no_memory_shorter(void **state)
{
	now += 100000 * NS_PER_S;
	struct accounting_report start = report(RADIUS_START, 1, "ann", "10.0.0.1", NULL, 100000);
	take(start);
	STOP(1, "ann", "10.0.0.1", NULL, 100001);
	for (int saved = 0; saved < 2; saved++) {
		now = (saved ? 5 : 20) * NS_PER_S;
		next_process();
		accounting_sweep(a, now);
		start.arrived = start.time.said;
		start.time.heard = now;
		assert_int_equal(take(start), ACCOUNTING_OLD);
		assert_int_equal(accounting_save(a, store, now), 0);
	}
	now += (2 * 300 + 2) * NS_PER_S; /* no report can be that late: forgotten, in the end */
	accounting_sweep(a, now);
	struct accounting_counters c;
	accounting_count(a, &c);
	assert_int_equal(c.ended, 0);
}

/* A journal that was torn or damaged gives what stands before the damage, and goes on. */
static void a_torn_journal_is_read_as_far_as_it_is_good(void **state)
{
	struct stat st;
	for (unsigned i = 1; i <= 2; i++) {
		START(i, "ann", "10.0.0.1", NULL, 0);
		STOP(i, "ann", "10.0.0.1", NULL, 1);
	}
	assert_int_equal(stat(journal, &st), 0);
	for (off_t cut = st.st_size; cut >= 0; cut--) {
		assert_int_equal(truncate(journal, cut), 0);
		next_process();
		struct accounting_counters c;
		accounting_count(a, &c);
		assert_int_equal(c.ended, cut == st.st_size ? 2 : cut >= st.st_size / 2);
	}
	START(3, "ann", "10.0.0.1", NULL, 0);
	STOP(3, "ann", "10.0.0.1", NULL, 1);
	int fd = open(journal, O_RDWR);
	uint8_t byte;
	for (off_t at = 0; at < st.st_size / 2; at++) {
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		next_process();
		assert_int_equal(START(3, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
		assert_int_equal(ftruncate(fd, st.st_size / 2), 0);
		struct address there;
		assert_true(address_parse("10.0.0.1", &there));
		daemon_close(NULL, &there);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

static void the_journal_is_bounded_by_saves(void **state)
{
	for (unsigned i = 1; !accounting_save_due(a); i++) {
		assert_true(i < 10000);
		STOP(i, "ann", "10.0.0.1", NULL, 1); /* what ended longest ago makes room */
	}
	assert_int_equal(accounting_save(a, store, now), 0);
	assert_false(accounting_save_due(a));
}

int main(void)
{
#define SESSION_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define KEPT_TEST(f)    cmocka_unit_test_setup_teardown(f, set_up_kept, tear_down_kept)
	const struct CMUnitTest tests[] = {
		SESSION_TEST(a_session_opens_and_ends),
		SESSION_TEST(repeated_reports_ask_nothing_of_the_daemon),
		SESSION_TEST(a_start_after_its_stop_opens_nothing),
		SESSION_TEST(an_identifier_used_again_is_a_new_session),
		SESSION_TEST(an_old_interim_moves_nothing),
		SESSION_TEST(replays_far_from_now_open_nothing),
		SESSION_TEST(what_ended_is_remembered_beyond_the_window),
		SESSION_TEST(addresses_come_and_move),
		SESSION_TEST(a_late_stop_ends_nobody_else),
		SESSION_TEST(who_was_signed_out_by_hand_stays_out),
		SESSION_TEST(a_tier_changes_and_goes),
		SESSION_TEST(a_lost_stop_is_bounded),
		SESSION_TEST(a_restart_ends_what_was_before_it),
		SESSION_TEST(nothing_is_lost_while_the_daemon_is_away),
		SESSION_TEST(a_change_waits_for_the_daemon),
		SESSION_TEST(sessions_of_before_are_taken_over),
		SESSION_TEST(a_full_table_refuses_and_forgets_what_ended),
		SESSION_TEST(any_order_ends_the_same),
		SESSION_TEST(what_is_left_out_stays),
		SESSION_TEST(an_address_that_changes_ends_nothing),
		SESSION_TEST(eight_addresses_change_for_eight_others),
		SESSION_TEST(a_mac_address_is_told_and_changes),
		SESSION_TEST(only_a_start_opens_what_a_stop_has_ended),
		SESSION_TEST(a_start_in_the_second_of_the_stop_is_new),
		SESSION_TEST(a_late_update_takes_no_address_from_who_roamed),
		SESSION_TEST(identifiers_are_new_ones_after_a_restart),
		SESSION_TEST(reports_of_before_a_restart_open_nothing),
		SESSION_TEST(a_restart_without_a_time_is_one),
		SESSION_TEST(what_was_not_heard_of_comes_back_by_what_is_newer),
		SESSION_TEST(a_client_may_report_from_elsewhere),
		SESSION_TEST(an_identifier_belongs_to_its_client),
		KEPT_TEST(an_ending_outlives_a_killed_process),
		KEPT_TEST(all_of_it_outlives_a_saved_process),
		KEPT_TEST(a_session_of_both_files_is_one),
		KEPT_TEST(a_restart_of_the_client_outlives_it_too),
		KEPT_TEST(a_boot_makes_no_memory_shorter),
		KEPT_TEST(a_torn_journal_is_read_as_far_as_it_is_good),
		KEPT_TEST(the_journal_is_bounded_by_saves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
