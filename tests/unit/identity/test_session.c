#include "identity/session.h"
#include "base/clock.h"
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define T0 (INT64_C(1800000000) * NS_PER_S)

static struct address addr(uint32_t n)
{
	return address_from4((uint8_t[]){10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n});
}

static struct session who(const char *user, const char *tier)
{
	struct session s = {.source = "login", .since = T0};
	snprintf(s.user, sizeof s.user, "%s", user);
	snprintf(s.tier, sizeof s.tier, "%s", tier);
	return s;
}

/* Who reads one compares it as it lies there, whatever its opener had behind the text. */
static void has_zeros_behind_its_texts(void **state)
{
	struct sessions *s = sessions_new(8);
	struct session out, dirty = {.source = "login"}, clean = who("anna", "press");
	struct address a = addr(1);
	memset(dirty.user, 'x', sizeof dirty.user);
	memset(dirty.tier, 'y', sizeof dirty.tier);
	strcpy(dirty.user, "anna");
	strcpy(dirty.tier, "press");
	assert_int_equal(session_open(s, &a, &dirty, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	assert_memory_equal(out.user, clean.user, sizeof out.user);
	assert_memory_equal(out.tier, clean.tier, sizeof out.tier);
	sessions_free(s);
}

static void opens_and_closes(void **state)
{
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press");
	struct address a = addr(1), b = addr(2);
	uint64_t g = sessions_generation(s);

	assert_false(session_at(s, &a, T0, &out));
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	assert_string_equal(out.user, "anna");
	assert_string_equal(out.tier, "press");
	assert_string_equal(out.source, "login");
	assert_int_equal(out.last_seen, T0);
	assert_int_not_equal(out.id, 0);
	assert_false(session_at(s, &b, T0, &out));
	assert_true(sessions_generation(s) != g);
	assert_int_equal(sessions_count(s), 1);

	g = sessions_generation(s);
	assert_int_equal(session_close_address(s, &b), 0);
	assert_true(sessions_generation(s) == g);
	assert_int_equal(session_close_address(s, &a), 1);
	assert_true(sessions_generation(s) != g);
	assert_false(session_at(s, &a, T0, &out));
	assert_int_equal(sessions_count(s), 0);
	sessions_free(s);
}

static void a_new_session_ends_the_one_before(void **state)
{
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press"), bob = who("bob", "staff");
	struct address a = addr(1), b = addr(2);
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	uint64_t id = out.id;
	assert_int_equal(session_add_address(s, id, &b), 0);
	assert_int_equal(session_open(s, &a, &bob, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	assert_string_equal(out.user, "bob");
	assert_int_not_equal(out.id, id);
	assert_false(session_at(s, &b, T0, &out)); /* anna's other address went with her session */
	assert_int_equal(session_add_address(s, id, &b), -ENOENT);
	assert_int_equal(sessions_count(s), 1);
	sessions_free(s);
}

static void the_same_user_keeps_what_the_session_has(void **state)
{
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press"), again = who("anna", "staff");
	struct address a = addr(1), b = addr(2);
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	uint64_t id = out.id, before = sessions_generation(s);
	session_bind(s, id, (const uint8_t *)"\2\0\0\0\0\1");
	assert_int_not_equal(sessions_generation(s),
			     before); /* workers look again at whom they know */
	assert_int_equal(session_add_address(s, id, &b), 0);
	session_flow_ended(s, &a, 7);
	again.until = T0 + 9;
	assert_int_equal(session_open(s, &b, &again, T0 + 1), 0);
	assert_int_equal(sessions_count(s), 1);
	assert_true(session_at(s, &a, T0 + 1, &out));
	assert_string_equal(out.tier, "staff");
	assert_int_not_equal(out.id, id);
	assert_true(out.has_mac);
	assert_int_equal(out.last_seen, T0 + 1);
	assert_false(session_at(s, &a, T0 + 9, &out));
	session_bind(s, id, (const uint8_t *)"\2\0\0\0\0\2"); /* of the one before: nothing */
	struct session_view v;
	uint32_t slot = 0;
	int64_t next;
	assert_true(session_each(s, &slot, &v));
	assert_int_equal(v.bytes, 0);
	assert_int_equal(v.session.mac[5], 1);
	assert_int_equal(sessions_expire(s, T0 + 9, &next), 1);
	sessions_free(s);
}

static void drops_an_address(void **state)
{
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press");
	struct address a = addr(1), b = addr(2), c = addr(3);
	assert_false(session_drop_address(s, &a));
	session_open(s, &a, &anna, T0);
	assert_true(session_at(s, &a, T0, &out));
	assert_int_equal(session_add_address(s, out.id, &b), 0);
	assert_int_equal(session_add_address(s, out.id, &c), 0);
	uint64_t g = sessions_generation(s);
	assert_true(session_drop_address(s, &a));
	assert_true(sessions_generation(s) != g);
	assert_false(session_at(s, &a, T0, &out));
	assert_true(session_at(s, &c, T0, &out));
	assert_true(session_drop_address(s, &c));
	assert_true(session_at(s, &b, T0, &out));
	assert_true(session_drop_address(s, &b));
	assert_int_equal(sessions_count(s), 0);
	sessions_free(s);
}

static void traffic_is_counted_and_keeps_from_idling(void **state)
{
	struct sessions *s = sessions_new(8);
	struct session_view v;
	struct session out, anna = who("anna", "press");
	struct address a = addr(1), b = addr(2), nobody = addr(3);
	uint32_t slot = 0;
	anna.idle = 10 * NS_PER_S;
	session_open(s, &a, &anna, T0);
	assert_true(session_at(s, &a, T0, &out));
	assert_int_equal(session_add_address(s, out.id, &b), 0);
	session_flow_open(s, &a, 100);
	session_flow_open(s, &b, 20);
	session_flow_open(s, &nobody, 5);
	sessions_round(s, T0 + 1); /* nothing to compare with */
	assert_true(session_each(s, &slot, &v));
	assert_int_equal(v.bytes, 120);
	assert_int_equal(v.flows, 2);
	assert_int_equal(v.session.last_seen, T0);
	session_flow_open(s, &a, 100);
	session_flow_open(s, &b, 21);
	sessions_round(s, T0 + 5);
	assert_true(session_at(s, &a, T0 + 5, &out));
	assert_int_equal(out.last_seen, T0 + 5);
	session_flow_ended(s, &b, 21); /* that it ends is no traffic */
	session_flow_open(s, &a, 100);
	sessions_round(s, T0 + 6);
	slot = 0;
	assert_true(session_each(s, &slot, &v));
	assert_int_equal(v.bytes, 121);
	assert_int_equal(v.flows, 2);
	assert_int_equal(v.session.last_seen, T0 + 5);
	session_flow_open(s, &a, 99); /* one that does not count any more is none either */
	sessions_round(s, T0 + 7);
	slot = 0;
	assert_true(session_each(s, &slot, &v));
	assert_int_equal(v.bytes, 120);
	assert_int_equal(v.session.last_seen, T0 + 5);
	session_flow_open(s, &a, 100); /* and what comes from there on is */
	sessions_round(s, T0 + 8);
	assert_true(session_at(s, &a, T0 + 8, &out));
	assert_int_equal(out.last_seen, T0 + 8);
	session_flow_ended(s, &nobody, 1);
	sessions_free(s);
}

static void owns_several_addresses(void **state)
{
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press"), bob = who("bob", "staff");
	struct address a = addr(0), b = addr(100), six;
	assert_true(address_parse("2001:db8::7", &six));
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_int_equal(session_open(s, &b, &bob, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	assert_int_equal(session_add_address(s, out.id, &six), 0);
	assert_int_equal(session_add_address(s, out.id, &six), 0); /* there already */
	assert_int_equal(session_add_address(s, out.id, &b), 0);   /* taken from bob */
	assert_int_equal(sessions_count(s), 1);
	for (uint32_t i = 1; i <= SESSION_ADDRESSES - 3; i++) {
		struct address more = addr(i);
		assert_int_equal(session_add_address(s, out.id, &more), 0);
	}
	struct address over = addr(200);
	assert_int_equal(session_add_address(s, out.id, &over), -ENOSPC);
	assert_true(session_at(s, &six, T0, &out));
	assert_string_equal(out.user, "anna");

	struct session_view view;
	uint32_t slot = 0;
	assert_true(session_each(s, &slot, &view));
	assert_int_equal(view.address_count, SESSION_ADDRESSES);
	assert_true(address_equal(&view.address[0], &a));
	assert_true(address_equal(&view.address[1], &six));
	assert_false(session_each(s, &slot, &view));

	assert_int_equal(session_close_user(s, "nobody"), 0);
	assert_int_equal(session_close_user(s, "ANNA"), 1); /* however it is written */
	assert_false(session_at(s, &six, T0, &out));
	assert_false(session_at(s, &b, T0, &out));
	sessions_free(s);
}

static void a_host_is_known_in_its_networks(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 10}, other[6] = {2, 0, 0, 0, 0, 11};
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press"), bob = who("bob", "staff");
	struct session_view view;
	struct address a = addr(1), b = addr(2), six;
	uint32_t slot = 0;
	assert_true(address_parse("2001:db8::1", &six));
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_int_equal(session_open(s, &b, &bob, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	for (uint8_t i = 0; i < SESSION_NETWORKS + 2; i++) {
		six.bytes[7] = i;
		session_add_network(s, out.id, &six, mac);
		assert_true(session_of_host(s, &six, mac, T0, &out) == (i < SESSION_NETWORKS));
		assert_false(session_of_host(s, &six, other, T0, &out));
		assert_true(session_at(s, &a, T0, &out));
	}
	assert_true(session_each(s, &slot, &view));
	assert_int_equal(view.address_count, 1); /* none of them is an address */
	six.bytes[7] = 1;
	session_drop_network(s, &six, mac);
	session_drop_network(s, &six, mac);
	assert_false(session_of_host(s, &six, mac, T0, &out));
	assert_true(session_at(s, &b, T0, &out));
	session_add_network(s, out.id, &six, mac);
	six.bytes[7] = 0;
	session_add_network(s, out.id, &six, mac); /* bob has the host now */
	assert_true(session_of_host(s, &six, mac, T0, &out));
	assert_string_equal(out.user, "bob");
	assert_int_equal(session_close_user(s, "bob"), 1);
	assert_false(session_of_host(s, &six, mac, T0, &out));
	six.bytes[7] = 2;
	assert_true(session_of_host(s, &six, mac, T0, &out));
	assert_int_equal(session_close_user(s, "anna"), 1);
	assert_false(session_of_host(s, &six, mac, T0, &out));
	sessions_free(s);
}

/* Whom the changes concern, for who must tell the kernel. */
static void tells_whose_sessions_changed(void **state)
{
	struct sessions *s = sessions_new(SESSION_CHANGES * 2);
	struct network out[SESSION_CHANGES];
	struct session anna = who("anna", "press");
	struct address a = addr(1), b = addr(2);
	uint64_t since = 0;
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_int_equal(session_open(s, &b, &anna, T0), 0);
	assert_int_equal(sessions_changes(s, &since, out), 2);
	assert_true(address_equal(&out[0].base, &a) && out[0].bits == 128);
	assert_int_equal(sessions_changes(s, &since, out), 0);
	assert_int_equal(session_close_address(s, &b), 1);
	assert_int_equal(sessions_changes(s, &since, out), 1);
	assert_true(address_equal(&out[0].base, &b));
	for (uint32_t i = 0; i < SESSION_CHANGES; i++) {
		struct address c = addr(10 + i);
		assert_int_equal(session_open(s, &c, &anna, T0), 0);
	}
	uint64_t before = since;
	assert_int_equal(sessions_changes(s, &since, out), SESSION_CHANGES);
	since = before - 1; /* one more than is remembered */
	assert_true(sessions_changes(s, &since, out) == SIZE_MAX);
	assert_int_equal(sessions_changes(s, &since, out), 0);
	sessions_free(s);
}

/* What stands in the index for a host is no address that its neighbours could take. */
static void a_host_is_found_by_no_address(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 10};
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press");
	struct address a = addr(1), six, made = {0};
	assert_true(address_parse("2001:db8::1", &six));
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	session_add_network(s, out.id, &six, mac);
	memcpy(made.bytes, six.bytes, 8);
	memcpy(made.bytes + 8, mac, 6);
	assert_true(session_of_host(s, &six, mac, T0, &out));
	assert_false(session_at(s, &made, T0, &out));
	sessions_free(s);
}

static void whom_a_session_is_bound_to_is_told(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 10};
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press");
	struct address a = addr(1);
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	uint64_t before = sessions_generation(s);
	session_bind(s, out.id, mac);
	assert_true(sessions_generation(s) > before);
	assert_true(session_at(s, &a, T0, &out));
	assert_true(out.has_mac);
	assert_memory_equal(out.mac, mac, 6);
	sessions_free(s);
}

/* What stood in a session's place before is none of the next one's. */
static void a_slot_used_again_begins_at_nothing(void **state)
{
	struct sessions *s = sessions_new(1);
	struct session_view v;
	struct session out, anna = who("anna", "press"), bob = who("bob", "staff");
	struct address a = addr(1), b = addr(2);
	uint32_t slot = 0;
	anna.until = T0 + 60 * NS_PER_S;
	bob.idle = 10 * NS_PER_S;
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	session_flow_ended(s, &a, 7);
	session_flow_open(s, &a, 5);
	sessions_round(s, T0);
	session_flow_open(s, &a, 5); /* a flow of the round that is not over */
	assert_int_equal(session_close_address(s, &a), 1);
	int64_t next = -1;
	assert_int_equal(sessions_expire(s, T0, &next), 0);
	assert_int_equal(next, 0); /* nobody is there to end */
	assert_int_equal(session_open(s, &b, &bob, T0), 0);
	assert_true(session_each(s, &slot, &v));
	assert_int_equal(v.bytes, 0);
	assert_int_equal(v.flows, 0);
	session_flow_open(s, &b, 3);
	sessions_round(s, T0 + 5); /* his first: nothing to compare with */
	slot = 0;
	assert_true(session_each(s, &slot, &v));
	assert_int_equal(v.bytes, 3);
	assert_int_equal(v.flows, 1);
	assert_true(session_at(s, &b, T0, &out));
	assert_int_equal(out.last_seen, T0);
	sessions_free(s);
}

static void changed_one(struct sessions *s, uint64_t *since, const struct address *base,
			uint8_t bits)
{
	struct network out[SESSION_CHANGES];
	assert_int_equal(sessions_changes(s, since, out), 1);
	assert_true(address_equal(&out[0].base, base));
	assert_int_equal(out[0].bits, bits);
}

/* Who must tell the kernel is told of each change to what a session has: of an address, of the host
 * in a network, and of all of it where the session itself changes. */
static void tells_what_of_a_session_changed(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 10};
	struct sessions *s = sessions_new(8);
	struct network out[SESSION_CHANGES];
	struct session now, anna = who("anna", "press");
	struct address a = addr(1), b = addr(2), six, base;
	uint64_t since = 0;
	assert_true(address_parse("2001:db8::1", &six));
	assert_true(address_parse("2001:db8::", &base));
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	changed_one(s, &since, &a, 128);
	assert_true(session_at(s, &a, T0, &now));
	uint64_t generation = sessions_generation(s);
	assert_int_equal(session_add_address(s, now.id, &b), 0);
	changed_one(s, &since, &b, 128);
	assert_true(sessions_generation(s) != generation);
	assert_int_equal(session_add_address(s, now.id, &b), 0); /* it had it */
	assert_int_equal(sessions_changes(s, &since, out), 0);
	generation = sessions_generation(s);
	session_add_network(s, now.id, &six, mac);
	changed_one(s, &since, &base, 64);
	assert_true(sessions_generation(s) != generation);
	session_add_network(s, now.id, &six, mac);
	assert_int_equal(sessions_changes(s, &since, out), 0);
	session_bind(s, now.id, mac);
	assert_int_equal(sessions_changes(s, &since, out), 3);
	assert_true(address_equal(&out[0].base, &a) && out[0].bits == 128);
	assert_true(address_equal(&out[1].base, &b) && out[1].bits == 128);
	assert_true(address_equal(&out[2].base, &base) && out[2].bits == 64);
	assert_int_equal(session_open(s, &a, &anna, T0), 0); /* the same user again */
	assert_int_equal(sessions_changes(s, &since, out), 3);
	assert_true(session_drop_address(s, &b));
	changed_one(s, &since, &b, 128);
	generation = sessions_generation(s);
	session_drop_network(s, &six, mac);
	changed_one(s, &since, &base, 64);
	assert_true(sessions_generation(s) != generation);
	session_drop_network(s, &six, mac); /* it had none */
	assert_int_equal(sessions_changes(s, &since, out), 0);
	sessions_free(s);
}

/* An IPv4 address names no network that a host could be known in. */
static void a_host_has_no_ipv4_network(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 10};
	struct sessions *s = sessions_new(8);
	struct network changes[SESSION_CHANGES];
	struct session out, anna = who("anna", "press");
	struct address a = addr(1);
	uint64_t since = 0;
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_true(session_at(s, &a, T0, &out));
	session_add_network(s, out.id + 1, &a, mac);
	session_add_network(s, out.id, &a, mac);
	assert_int_equal(sessions_changes(s, &since, changes), 1); /* the opening */
	assert_false(session_of_host(s, &a, mac, T0, &out));
	sessions_free(s);
}

/* Of the networks of a host the one that is dropped goes, wherever it stands, and no other. */
static void the_network_that_is_dropped_goes(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 10};
	struct session out, anna = who("anna", "press"), bob = who("bob", "staff");
	struct address a = addr(1), six;
	assert_true(address_parse("2001:db8::1", &six));
	for (uint8_t gone = 0; gone < SESSION_NETWORKS; gone++) {
		struct sessions *s = sessions_new(8);
		assert_int_equal(session_open(s, &a, &anna, T0), 0);
		assert_true(session_at(s, &a, T0, &out));
		for (six.bytes[7] = 0; six.bytes[7] < SESSION_NETWORKS; six.bytes[7]++)
			session_add_network(s, out.id, &six, mac);
		six.bytes[7] = gone;
		session_drop_network(s, &six, mac);
		for (six.bytes[7] = 0; six.bytes[7] < SESSION_NETWORKS; six.bytes[7]++)
			assert_true(session_of_host(s, &six, mac, T0, &out) ==
				    (six.bytes[7] != gone));
		six.bytes[7] = SESSION_NETWORKS; /* there is room for one again */
		assert_true(session_at(s, &a, T0, &out));
		session_add_network(s, out.id, &six, mac);
		assert_true(session_of_host(s, &six, mac, T0, &out));
		assert_int_equal(session_close_address(s, &a), 1);
		for (six.bytes[7] = 0; six.bytes[7] <= SESSION_NETWORKS; six.bytes[7]++)
			assert_false(session_of_host(s, &six, mac, T0, &out));
		assert_int_equal(session_open(s, &a, &bob, T0), 0); /* in the same slot */
		for (six.bytes[7] = 0; six.bytes[7] <= SESSION_NETWORKS; six.bytes[7]++)
			assert_false(session_of_host(s, &six, mac, T0, &out));
		sessions_free(s);
	}
}

static void refuses_when_full(void **state)
{
	struct sessions *s = sessions_new(3);
	struct session out, anna = who("anna", "press");
	for (uint32_t i = 0; i < 3; i++) {
		struct address a = addr(i);
		assert_int_equal(session_open(s, &a, &anna, T0), 0);
	}
	struct address a = addr(3), b = addr(1);
	assert_int_equal(session_open(s, &a, &anna, T0), -ENOSPC);
	assert_false(session_at(s, &a, T0, &out));
	assert_int_equal(session_open(s, &b, &anna, T0), 0); /* takes the place of its own */
	assert_int_equal(session_close_user(s, "anna"), 3);
	assert_int_equal(session_open(s, &a, &anna, T0), 0);
	assert_null(sessions_new(0));
	sessions_free(s);
}

static void ends_at_its_time(void **state)
{
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press"), bob = who("bob", "staff");
	struct address a = addr(1), b = addr(2);
	int64_t next = -1;
	anna.until = T0 + 60 * NS_PER_S;
	assert_int_equal(sessions_expire(s, T0, &next), 0);
	assert_int_equal(next, 0);
	session_open(s, &a, &anna, T0);
	session_open(s, &b, &bob, T0);
	assert_true(session_at(s, &a, anna.until - 1, &out));
	assert_false(session_at(s, &a, anna.until, &out));
	assert_true(session_at(s, &b, INT64_MAX - 1, &out)); /* no end */
	assert_int_equal(sessions_expire(s, anna.until - 1, &next), 0);
	assert_int_equal(next, anna.until);
	uint64_t g = sessions_generation(s);
	assert_int_equal(sessions_expire(s, anna.until, &next), 1);
	assert_true(sessions_generation(s) != g);
	assert_int_equal(next, 0);
	assert_int_equal(sessions_count(s), 1);
	sessions_free(s);
}

static void ends_when_idle(void **state)
{
	struct sessions *s = sessions_new(8);
	struct session out, anna = who("anna", "press");
	struct address a = addr(1), six;
	int64_t next;
	anna.idle = 10 * NS_PER_S;
	assert_true(address_parse("fd00::1", &six));
	session_open(s, &a, &anna, T0);
	assert_true(session_at(s, &a, T0 + 10 * NS_PER_S - 1, &out));
	session_add_address(s, out.id, &six);
	assert_false(session_at(s, &a, T0 + 10 * NS_PER_S, &out));
	session_touch(s, &six, T0 + 5 * NS_PER_S); /* any of its addresses keeps it */
	assert_true(session_at(s, &a, T0 + 14 * NS_PER_S, &out));
	assert_int_equal(out.last_seen, T0 + 5 * NS_PER_S);
	session_touch(s, &six, T0 + 3 * NS_PER_S); /* never backwards */
	assert_int_equal(sessions_expire(s, T0 + 14 * NS_PER_S, &next), 0);
	assert_int_equal(next, T0 + 15 * NS_PER_S);
	assert_int_equal(sessions_expire(s, next, &next), 1);
	struct address nobody = addr(9);
	session_touch(s, &nobody, T0);
	sessions_free(s);
}

/* A long random history against an array of address -> user. */
static void agrees_with_a_naive_twin(void **state)
{
	enum { ADDRESSES = 400, CAPACITY = 150, STEPS = 60000 };
	static int twin[ADDRESSES]; /* session number, 0: none */
	struct sessions *s = sessions_new(CAPACITY);
	struct session out;
	unsigned seed = 7;
	int number = 0;
	for (int step = 0; step < STEPS; step++) {
		uint32_t at = (uint32_t)rand_r(&seed) % ADDRESSES;
		uint32_t other = (uint32_t)rand_r(&seed) % ADDRESSES;
		struct address a = addr(at), b = addr(other);
		char name[16];
		switch (rand_r(&seed) % 4) {
		case 0:
		case 1:
			snprintf(name, sizeof name, "u%d", ++number);
			struct session new = who(name, "t");
			int was = twin[at];
			for (int i = 0; was && i < ADDRESSES; i++)
				if (twin[i] == was)
					twin[i] = 0;
			if (session_open(s, &a, &new, T0) == 0)
				twin[at] = number;
			else
				assert_int_equal(sessions_count(s), CAPACITY);
			break;
		case 2:
			if (!twin[at] || !session_at(s, &a, T0, &out))
				break;
			if (session_add_address(s, out.id, &b) == 0 && twin[other] != twin[at]) {
				int gone = twin[other];
				for (int i = 0; gone && i < ADDRESSES; i++)
					if (twin[i] == gone)
						twin[i] = 0;
				twin[other] = twin[at];
			}
			break;
		case 3:
			assert_int_equal(session_close_address(s, &a), twin[at] != 0);
			for (int i = 0, gone = twin[at]; gone && i < ADDRESSES; i++)
				if (twin[i] == gone)
					twin[i] = 0;
			break;
		}
		struct address probe = addr(other);
		assert_int_equal(session_at(s, &probe, T0, &out), twin[other] != 0);
		if (twin[other]) {
			snprintf(name, sizeof name, "u%d", twin[other]);
			assert_string_equal(out.user, name);
		}
	}
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		struct address a = addr(i);
		assert_int_equal(session_at(s, &a, T0, &out), twin[i] != 0);
	}
	sessions_free(s);
}

/* Readers must only ever see a user at its own address, with its own tier. */
struct race {
	struct sessions *sessions;
	_Atomic bool stop;
	_Atomic unsigned wrong, seen;
};

static void *reader(void *arg)
{
	struct race *r = arg;
	struct session out;
	unsigned seed = (unsigned)(uintptr_t)&out;
	while (!r->stop) {
		uint32_t n = (uint32_t)rand_r(&seed) % 64;
		struct address a = addr(n);
		char want[16];
		session_touch(r->sessions, &a, T0 + (int64_t)(seed % 50) * NS_PER_S);
		if (!session_at(r->sessions, &a, T0, &out))
			continue;
		r->seen++;
		int len = snprintf(want, sizeof want, "u%u.", n);
		if (strncmp(out.user, want, (size_t)len) != 0 ||
		    strcmp(out.user + len, out.tier) != 0)
			r->wrong++;
	}
	return NULL;
}

static void readers_see_whole_sessions(void **state)
{
	struct race r = {.sessions = sessions_new(64)};
	pthread_t thread[2];
	unsigned seed = 3;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, reader, &r), 0);
	for (int i = 0; i < 100000 || (r.seen == 0 && i < 100000000); i++) {
		uint32_t n = (uint32_t)rand_r(&seed) % 64;
		struct address a = addr(n);
		char user[24], tier[12];
		snprintf(tier, sizeof tier, "t%d", i);
		snprintf(user, sizeof user, "u%u.%s", n, tier);
		struct session new = who(user, tier);
		if (i % 3)
			session_open(r.sessions, &a, &new, T0);
		else
			session_close_address(r.sessions, &a);
	}
	r.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(r.wrong, 0);
	assert_true(r.seen > 0);
	sessions_free(r.sessions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_and_closes),
		cmocka_unit_test(has_zeros_behind_its_texts),
		cmocka_unit_test(a_new_session_ends_the_one_before),
		cmocka_unit_test(the_same_user_keeps_what_the_session_has),
		cmocka_unit_test(drops_an_address),
		cmocka_unit_test(traffic_is_counted_and_keeps_from_idling),
		cmocka_unit_test(owns_several_addresses),
		cmocka_unit_test(a_host_is_known_in_its_networks),
		cmocka_unit_test(a_host_is_found_by_no_address),
		cmocka_unit_test(whom_a_session_is_bound_to_is_told),
		cmocka_unit_test(refuses_when_full),
		cmocka_unit_test(tells_whose_sessions_changed),
		cmocka_unit_test(tells_what_of_a_session_changed),
		cmocka_unit_test(a_slot_used_again_begins_at_nothing),
		cmocka_unit_test(a_host_has_no_ipv4_network),
		cmocka_unit_test(the_network_that_is_dropped_goes),
		cmocka_unit_test(ends_at_its_time),
		cmocka_unit_test(ends_when_idle),
		cmocka_unit_test(agrees_with_a_naive_twin),
		cmocka_unit_test(readers_see_whole_sessions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
