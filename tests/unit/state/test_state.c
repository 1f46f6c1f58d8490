#include "state/state.h"
#include "base/clock.h"
#include "base/file.h"
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define T0 (INT64_C(1800000000) * NS_PER_S)

static char dir[64];
static struct store *store;

static int set_up(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/tiergate-state-XXXXXX");
	assert_non_null(mkdtemp(dir));
	store = store_folder_new(dir);
	assert_non_null(store);
	return 0;
}

static const char *path_of(const char *kind)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s.state", dir, kind);
	return path;
}

static int tear_down(void **state)
{
	static const char *const kinds[] = {"test",        "sessions", "lockdowns", "hits",
					    "quotas",      "names",    "flows-0",   "flows-1",
					    "quotas-lost", "ended",    "swept"};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		unlink(path_of(kinds[i]));
	store->ops->free(store);
	return rmdir(dir); /* no temporary file is left */
}

static bool loads(const char *want, uint32_t version)
{
	size_t len;
	char *bytes = store->ops->load(store, "test", version, &len);
	bool same = bytes && len == strlen(want) && memcmp(bytes, want, len) == 0;
	free(bytes);
	return same;
}

static void keeps_bytes(void **state)
{
	struct stat st;
	assert_false(loads("", 1)); /* nothing there */
	assert_int_equal(store->ops->save(store, "test", 1, "hello", 5), 0);
	assert_true(loads("hello", 1));
	assert_int_equal(store->ops->save(store, "test", 1, "", 0), 0); /* replaces */
	assert_true(loads("", 1));
	assert_int_equal(stat(path_of("test"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(store->ops->save(store, "a-kind-of-16-bytes", 1, "", 0), -ENAMETOOLONG);
}

static void refuses_another_kind_or_version(void **state)
{
	char other[128];
	assert_int_equal(store->ops->save(store, "test", 1, "hello", 5), 0);
	assert_false(loads("hello", 2));
	snprintf(other, sizeof other, "%s", path_of("names"));
	assert_int_equal(rename(path_of("test"), other), 0);
	assert_int_equal(rename(other, path_of("sessions")), 0);
	size_t len;
	assert_null(store->ops->load(store, "sessions", 1, &len));
}

/* Every cut and every flipped bit of a file is noticed. */
static void refuses_what_is_cut_or_changed(void **state)
{
	char *whole;
	size_t size;
	assert_int_equal(store->ops->save(store, "test", 1, "hello", 5), 0);
	assert_int_equal(file_read(path_of("test"), 1000, &whole, &size), 0);
	for (size_t cut = 0; cut < size; cut++) {
		assert_int_equal(truncate(path_of("test"), (off_t)cut), 0);
		assert_false(loads("hello", 1));
		FILE *f = fopen(path_of("test"), "w");
		fwrite(whole, 1, size, f);
		fclose(f);
		assert_true(loads("hello", 1));
		f = fopen(path_of("test"), "r+");
		fseek(f, (long)cut, SEEK_SET);
		fputc(whole[cut] ^ 1, f);
		fclose(f);
		assert_false(loads("hello", 1));
	}
	free(whole);
	FILE *f = fopen(path_of("test"), "a");
	fputc('x', f);
	fclose(f);
	assert_false(loads("hello", 1));
}

static void a_folder_that_is_gone_is_an_error(void **state)
{
	struct store *s = store_folder_new("/nowhere");
	size_t len;
	assert_int_equal(s->ops->save(s, "test", 1, "", 0), -ENOENT);
	assert_null(s->ops->load(s, "test", 1, &len));
	s->ops->free(s);
}

static struct address addr(unsigned n)
{
	return address_from4((uint8_t[]){10, 0, (uint8_t)(n >> 8), (uint8_t)n});
}

static void keeps_until_when_all_was_swept(void **state)
{
	struct state_swept before = {INT64_C(1700000000000000000), "0123456789abcdef"}, after;
	size_t len;
	assert_false(state_load_swept(store, &after)); /* nothing there */
	assert_int_equal(after.wall, 0);
	assert_int_equal(state_save_swept(store, &before), 0);
	assert_true(state_load_swept(store, &after));
	assert_int_equal(after.wall, before.wall);
	assert_string_equal(after.policy, before.policy);
	char *bytes = store->ops->load(store, "swept", 1, &len);
	assert_non_null(bytes);
	for (size_t n = 0; n <= len + 1; n++) { /* less, and more */
		char *some = calloc(1, len + 1);
		memcpy(some, bytes, n < len ? n : len);
		assert_int_equal(store->ops->save(store, "swept", 1, some, n), 0);
		assert_int_equal(state_load_swept(store, &after), n == len);
		assert_int_equal(after.wall, n == len ? before.wall : 0);
		free(some);
	}
	free(bytes);
}

static void keeps_lockdowns(void **state)
{
	bool lost = true;
	static struct lockdowns before, after;
	struct lockdown one = {.of = LOCKDOWN_SEGMENT,
			       .since = 7,
			       .until = INT64_MAX,
			       .by = "root",
			       .site_count = 2,
			       .site = {"exam", "wiki"}},
			two = {.of = LOCKDOWN_USER, .whom = "ada", .since = 8, .until = 1000};
	assert_true(network_parse("10.0.12.0/24", &one.segment));
	assert_int_equal(state_load_lockdowns(store, &after, &lost), 0); /* nothing there */
	assert_false(lost);
	lockdowns_add(&before, &one, 9);
	lockdowns_add(&before, &two, 9);
	lockdowns_end(&before, 1);
	lockdowns_add(&before, &one, 9);
	assert_int_equal(state_save_lockdowns(store, &before), 0);
	assert_int_equal(state_load_lockdowns(store, &after, &lost), 2);
	assert_false(lost);
	assert_int_equal(after.last, 3); /* no number is given again */
	assert_int_not_equal(after.generation, 0);
	assert_memory_equal(after.item, before.item, 2 * sizeof *after.item);
	before.count = 0;
	assert_int_equal(state_save_lockdowns(store, &before), 0);
	assert_int_equal(state_load_lockdowns(store, &after, &lost), 0);
}

/* What no program of ours wrote: bounds and kinds. */
#define HITS_SINCE ((uint32_t)(T0 / NS_PER_S))

static void keeps_hits(void **state)
{
	struct hit item[] = {{7, UINT64_C(1) << 40, HITS_SINCE, HITS_SINCE + 9},
			     {3, 0, HITS_SINCE + 5, 0}};
	const struct hits before = {.item = item, .count = 2, .since = T0};
	struct hits after;
	assert_int_equal(state_load_hits(store, &after, T0), 0); /* nothing there */
	assert_true(after.since == 0 && after.lost_to == 0);
	assert_int_equal(state_save_hits(store, &before, true), 0);
	assert_int_equal(state_load_hits(store, &after, T0 + 60 * NS_PER_S), 2);
	assert_memory_equal(after.item, item, sizeof item);
	assert_true(after.since == T0 && after.lost_to == 0 && !after.counted);
	hits_free(&after);
	/* a clock that was set back: nothing is of a time to come */
	assert_int_equal(state_load_hits(store, &after, T0 - NS_PER_S), 2);
	assert_int_equal(after.item[0].last, HITS_SINCE - 1);
	assert_int_equal(after.item[1].since, HITS_SINCE - 1);
	assert_int_equal(after.since, T0 - NS_PER_S);
	hits_free(&after);
}

/* Whole as far as the checksum tells, and yet cut: what is whole of it is taken, and no half row.
 */
static void half_a_hit_is_none(void **state)
{
	struct hit item[] = {{7, 1, HITS_SINCE, HITS_SINCE}, {8, 2, HITS_SINCE, HITS_SINCE}};
	const struct hits before = {.item = item, .count = 2, .since = T0};
	struct hits after;
	size_t len;
	assert_int_equal(state_save_hits(store, &before, true), 0);
	char *bytes = store->ops->load(store, "hits", 1, &len);
	assert_non_null(bytes);
	for (size_t cut = 1; cut < 24; cut++) {
		assert_int_equal(store->ops->save(store, "hits", 1, bytes, len - cut), 0);
		assert_int_equal(state_load_hits(store, &after, T0), 1);
		assert_memory_equal(after.item, item, sizeof *item);
		hits_free(&after);
	}
	free(bytes);
}

/* Who dies without a last word has counted what nobody saved. */
static void says_what_hits_are_lost(void **state)
{
	struct hit item[] = {{7, 1, HITS_SINCE, HITS_SINCE}};
	struct hits h = {.item = item, .count = 1, .since = T0}, after;
	int64_t about = clock_wall(), later = about + 99 * NS_PER_S;
	assert_int_equal(state_save_hits(store, &h, false), 0);
	assert_int_equal(state_load_hits(store, &after, later), 1);
	assert_int_equal(after.lost_to, later);
	assert_true(after.lost_from >= about && after.lost_from < later);
	h.lost_from = after.lost_from;
	h.lost_to = after.lost_to;
	hits_free(&after);
	assert_int_equal(state_save_hits(store, &h, true), 0); /* and it stays known */
	assert_int_equal(state_load_hits(store, &after, later + NS_PER_S), 1);
	assert_true(after.lost_to == later && after.lost_from == h.lost_from);
	hits_free(&after);
}

static void doubts_lockdowns(void **state)
{
	bool lost;
	static struct lockdowns before, after;
	struct lockdown one = {.of = LOCKDOWN_USER, .whom = "ada", .until = 99};
	lockdowns_add(&before, &one, 9);
	before.item[0].site_count = LOCKDOWN_SITES;
	assert_int_equal(state_save_lockdowns(store, &before), 0);
	assert_int_equal(state_load_lockdowns(store, &after, &lost), 1);
	assert_false(lost);
	before.item[0].of = (enum lockdown_of)(LOCKDOWN_USER + 1);
	assert_int_equal(state_save_lockdowns(store, &before), 0);
	assert_int_equal(state_load_lockdowns(store, &after, &lost), 0);
	assert_true(lost);
	before.item[0].of = LOCKDOWN_SEGMENT;
	before.item[0].segment.bits = 129;
	assert_int_equal(state_save_lockdowns(store, &before), 0);
	assert_int_equal(state_load_lockdowns(store, &after, &lost), 0);
	assert_true(lost);
}

/* What was shut is open then: it has to be known. */
static void says_that_lockdowns_are_lost(void **state)
{
	static struct lockdowns before, after;
	struct lockdown one = {.of = LOCKDOWN_USER, .whom = "ada", .until = 99};
	char path[PATH_MAX];
	bool lost = false;
	lockdowns_add(&before, &one, 9);
	assert_int_equal(state_save_lockdowns(store, &before), 0);
	snprintf(path, sizeof path, "%s/lockdowns.state", dir);
	assert_int_equal(truncate(path, 30), 0);
	assert_int_equal(state_load_lockdowns(store, &after, &lost), 0);
	assert_true(lost);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(state_load_lockdowns(store, &after, &lost), 0);
	assert_false(lost);
}

static void nothing_moved(void *ctx, uint32_t tag, uint64_t bytes)
{
}

static void nobody_left(void *ctx, uint32_t tag)
{
}

static struct meter *meter_new(void)
{
	struct errors errors = {0};
	const struct meter_options o = {8, nothing_moved, nobody_left, NULL};
	struct meter *m = meter_open(&o, &errors);
	assert_non_null(m);
	return m;
}

static void cut_file(const char *kind, off_t bytes)
{
	struct stat st;
	assert_int_equal(stat(path_of(kind), &st), 0);
	assert_int_equal(truncate(path_of(kind), st.st_size - bytes), 0);
}

static void quotas_that_cant_be_read(struct usage *u, struct meter *m)
{
	static const char torn[] = "too short for any";
	bool lost = false;
	cut_file("quotas", 1);
	assert_int_equal(state_load_quotas(store, u, m, T0, &lost), 0);
	assert_true(lost);
	lost = false; /* whole, as far as the checksum tells */
	assert_int_equal(store->ops->save(store, "quotas", 2, torn, sizeof torn), 0);
	assert_int_equal(state_load_quotas(store, u, m, T0, &lost), 0);
	assert_true(lost);
	assert_int_equal(state_load_quotas_lost(store), 0);
	assert_int_equal(state_save_quotas_lost(store, INT64_C(1234567890123456789)), 0);
	assert_int_equal(state_load_quotas_lost(store), INT64_C(1234567890123456789));
	cut_file("quotas-lost", 1);
	assert_int_equal(state_load_quotas_lost(store), 0);
}

/* As the version before wrote it: without what was used before the clock was set back. */
static void quotas_of_an_older_version_are_read(void **state)
{
	struct usage *u = usage_new(8), *v = usage_new(8);
	struct meter *m = meter_new();
	const struct quota_account ada = {.id = UINT64_MAX, .who.user = "ada"};
	const struct usage_memory used = {.account = ada,
					  .start = -5,
					  .end = INT64_MAX,
					  .used = 1234567890123,
					  .minute = 77,
					  .moved = 4096};
	struct usage_memory out;
	struct flow_key k = {addr(1), addr(2), 4000, 443, 6}, got;
	uint32_t slot = 0, number, tag;
	uint64_t seen;
	size_t len;
	bool lost = true;
	uint32_t account = usage_restore(u, &used);
	usage_hold_again(u, account);
	assert_true(meter_restore(m, &k, account, 55, T0));
	assert_int_equal(state_save_quotas(store, u, m), 0);
	char *bytes = store->ops->load(store, "quotas", 2, &len);
	assert_non_null(bytes);
	char *end = bytes + 60 + 4 + 8 + 1 + 3 + 16 + 40; /* mark, number, account: then two more */
	memmove(end, end + 16, len - (size_t)(end + 16 - bytes));
	assert_int_equal(store->ops->save(store, "quotas", 1, bytes, len - 16), 0);
	free(bytes);
	meter_close(m);
	m = meter_new();
	assert_int_equal(state_load_quotas(store, v, m, T0, &lost), 1);
	assert_false(lost);
	assert_true(usage_each(v, &slot, &number, &out));
	assert_memory_equal(&out, &used, sizeof out);
	slot = 0;
	assert_true(meter_each(m, &slot, &got, &tag, &seen));
	assert_true(got.client_port == 4000 && seen == 55 && tag == number);
	assert_int_equal(store->ops->save(store, "quotas", 3, "", 0), 0); /* one to come */
	assert_int_equal(state_load_quotas(store, v, m, T0, &lost), 0);
	assert_true(lost);
	meter_close(m);
	usage_free(u);
	usage_free(v);
}

/* Who was signed out as the version before wrote it, which knew of none in their place. */
static void ends_of_an_older_version_are_read(void **state)
{
	struct sessions *s = sessions_new(8);
	struct address at = addr(1);
	struct session anna = {.user = "anna", .tier = "press", .since = T0}, out;
	const struct state_end list = {at, T0};
	size_t len;
	session_open(s, &at, &anna, T0);
	assert_int_equal(state_save_ended(store, &list, 1, T0 + 9), 0);
	char *bytes = store->ops->load(store, "ended", 2, &len);
	assert_non_null(bytes);
	assert_int_equal(store->ops->save(store, "ended", 1, bytes, len - 8), 0);
	free(bytes);
	assert_int_equal(state_load_ended(store, s, T0 + 20), 1);
	assert_false(session_at(s, &at, T0 + 20, &out));
	sessions_free(s);
}

static void keeps_quotas(void **state)
{
	struct usage *before = usage_new(8), *after = usage_new(8);
	struct meter *m = meter_new(), *n = meter_new();
	const struct quota_account none = {.id = 9, .who.user = "x"},
				   ada = {.id = UINT64_MAX, .who.user = "ada"},
				   host = {.id = 7, .who.host = {{1, UINT64_MAX}}};
	const struct usage_memory used = {ada, -5,   INT64_MAX, 1234567890123,
					  77,  4096, INT64_MAX, UINT64_MAX};
	struct usage_memory out;
	struct flow_key k = {addr(1), addr(2), 4000, 443, 6}, l = {addr(1), addr(2), 4001, 443, 17};
	struct flow_key got;
	uint32_t slot = 0, number, tag;
	struct usage_counters c;
	uint64_t seen;
	bool lost = true;
	assert_int_equal(state_load_quotas(store, after, n, T0, &lost), 0); /* nothing there */
	assert_false(lost);
	usage_hold(before, &none, T0);
	uint32_t a = usage_restore(before, &used), h = usage_hold(before, &host, T0);
	assert_true(meter_restore(m, &k, a, 55, T0));
	assert_true(meter_restore(m, &l, h, 66, T0));
	assert_int_equal(state_save_quotas(store, before, m), 0);
	usage_restore(after, &used); /* so that accounts have other numbers */
	assert_int_equal(state_load_quotas(store, after, n, T0, &lost), 3);
	assert_false(lost);
	while (usage_each(after, &slot, &number, &out) && out.account.id != UINT64_MAX)
		;
	assert_memory_equal(&out, &used, sizeof out);
	slot = 0;
	assert_true(meter_each(n, &slot, &got, &tag, &seen));
	assert_true(got.client_port == 4000 && got.transport == 6 && seen == 55 && tag == number);
	assert_true(meter_each(n, &slot, &got, &tag, &seen));
	assert_true(got.client_port == 4001 && got.transport == 17 && seen == 66);
	assert_false(meter_each(n, &slot, &got, &tag, &seen));
	usage_release(after, number); /* held by its flow, and else by none */
	usage_tick(after, T0);
	usage_count(after, &c);
	assert_int_equal(c.accounts, 2); /* the host's is over, and a flow holds it */
	usage_release(after, tag);
	usage_tick(after, T0);
	usage_count(after, &c);
	assert_int_equal(c.accounts, 1);
	struct usage *bare =
		usage_new(8); /* what was used counts where flows can't be metered, too */
	assert_int_equal(state_load_quotas(store, bare, NULL, T0, &lost), 3);
	assert_false(lost);
	usage_free(bare);
	quotas_that_cant_be_read(after, n);
	meter_close(m);
	meter_close(n);
	usage_free(before);
	usage_free(after);
}

/* What was ended after sessions were kept stays out: the addresses that it says, of sessions that
 * were there by then. */
static void keeps_ends(void **state)
{
	struct sessions *s = sessions_new(64);
	struct address at[4] = {addr(1), addr(2), addr(3), addr(4)};
	struct session anna = {.user = "anna", .tier = "press", .since = T0},
		       bob = {.user = "bob", .tier = "press", .since = T0 + 10},
		       carl = {.user = "carl", .tier = "press", .since = T0 + 11}, out;
	assert_int_equal(state_load_ended(store, s, T0), 0); /* nothing there */
	session_open(s, &at[0], &anna, T0);
	assert_true(session_at(s, &at[0], T0, &out));
	session_add_address(s, out.id, &at[3]);
	session_open(s, &at[1], &bob, T0);
	session_open(s, &at[2], &carl, T0);
	const struct state_end list[] = {{at[0], 0}, {at[1], 0}, {at[2], 0}, {at[3], T0}};
	assert_int_equal(state_save_ended(store, list, 3, T0 + 10), 0);
	assert_int_equal(state_load_ended(store, s, T0 + 20), 2);
	assert_false(session_at(s, &at[0], T0 + 20, &out));
	assert_true(session_at(s, &at[3], T0 + 20, &out)); /* anna's other address was not ended */
	assert_false(session_at(s, &at[1], T0 + 20, &out));
	assert_true(session_at(s, &at[2], T0 + 20, &out)); /* who signed in later */
	assert_int_equal(state_load_ended(store, s, T0 + 20), 0);
	assert_int_equal(state_save_ended(store, &list[3], 1, T0 + 99), 0);
	assert_int_equal(state_load_ended(store, s, T0 + 20), 0); /* who came in its place: anna */
	const struct state_end another = {at[3], T0 + 1};
	assert_int_equal(state_save_ended(store, &another, 1, T0 + 99), 0);
	assert_int_equal(state_load_ended(store, s, T0 + 20), 1); /* she had been there before */
	session_open(s, &at[3], &anna, T0);
	assert_int_equal(state_save_ended(store, list, 4, T0 + 99), 0);
	cut_file("ended", 1);
	assert_int_equal(state_load_ended(store, s, T0 + 20), 0);
	/* whole as far as the checksum tells: half an address is nobody's, and not that of all
	 * zeros */
	const struct address zeros = {0};
	const struct state_end gone = {.at = zeros};
	struct session zed = {.user = "zed", .tier = "press", .since = T0};
	size_t len;
	assert_int_equal(session_open(s, &zeros, &zed, T0), 0);
	assert_int_equal(state_save_ended(store, &gone, 1, T0 + 99), 0);
	char *bytes = store->ops->load(store, "ended", 2, &len);
	assert_non_null(bytes);
	for (size_t cut = 1; cut < sizeof zeros + 8; cut++) {
		assert_int_equal(store->ops->save(store, "ended", 2, bytes, len - cut), 0);
		assert_int_equal(state_load_ended(store, s, T0 + 20), 0);
		assert_true(session_at(s, &zeros, T0 + 20, &out));
	}
	free(bytes);
	session_drop_address(s, &zeros);
	assert_int_equal(state_save_ended(store, NULL, 0, 0), 0);
	assert_int_equal(state_load_ended(store, s, T0 + 20), 0);
	assert_int_equal(sessions_count(s), 2);
	sessions_free(s);
}

static void keeps_sessions(void **state)
{
	struct sessions *before = sessions_new(64), *after = sessions_new(64);
	struct session out, anna = {.user = "anna",
				    .tier = "press",
				    .source = "portal",
				    .mac = {2, 0, 0, 0, 0, 10},
				    .has_mac = true,
				    .mac_told = true,
				    .since = T0,
				    .until = T0 + 100 * NS_PER_S};
	struct session bob = {.user = "bob", .tier = "staff", .since = T0, .idle = 10 * NS_PER_S};
	struct session gone = {.user = "carl", .tier = "staff", .until = T0 + NS_PER_S};
	struct address a = addr(1), b = addr(2), c = addr(3), six;
	address_parse("2001:db8::1", &six);
	session_open(before, &a, &anna, T0);
	session_open(before, &b, &bob, T0);
	session_open(before, &c, &gone, T0);
	assert_true(session_at(before, &a, T0, &out));
	assert_int_equal(session_add_address(before, out.id, &six), 0);
	session_touch(before, &b, T0 + 5 * NS_PER_S);

	assert_int_equal(state_save_sessions(store, before), 0);
	assert_int_equal(state_load_sessions(store, after, T0 + 6 * NS_PER_S), 2);
	assert_int_equal(sessions_count(after), 2);
	assert_true(session_at(after, &six, T0 + 6 * NS_PER_S, &out));
	assert_string_equal(out.user, "anna");
	assert_string_equal(out.tier, "press");
	assert_string_equal(out.source, "portal");
	assert_true(out.has_mac && out.mac_told);
	assert_memory_equal(out.mac, anna.mac, 6);
	assert_int_equal(out.since, T0);
	assert_int_equal(out.until, T0 + 100 * NS_PER_S);
	assert_true(session_at(after, &b, T0 + 15 * NS_PER_S - 1, &out)); /* idle goes on */
	assert_false(session_at(after, &b, T0 + 15 * NS_PER_S, &out));
	assert_false(session_at(after, &c, T0, &out));
	sessions_free(before);
	sessions_free(after);
}

static void a_smaller_table_takes_what_fits(void **state)
{
	struct sessions *before = sessions_new(64), *after = sessions_new(4);
	struct session s = {.user = "anna", .tier = "press"};
	for (unsigned i = 0; i < 10; i++) {
		struct address a = addr(i);
		session_open(before, &a, &s, T0);
	}
	assert_int_equal(state_save_sessions(store, before), 0);
	assert_int_equal(state_load_sessions(store, after, T0), 4);
	sessions_free(before);
	sessions_free(after);
}

/* Sessions loaded from a file of this content, behind what every such file begins with. */
static unsigned loaded(struct sessions *s, const void *content, size_t content_len)
{
	enum { SESSIONS_VERSION = 3 };
	struct sessions *none = sessions_new(4);
	size_t len = 0;
	assert_int_equal(state_save_sessions(store, none), 0);
	char *head = store->ops->load(store, "sessions", SESSIONS_VERSION, &len);
	assert_non_null(head);
	char *file = malloc(len + content_len);
	memcpy(file, head, len);
	memcpy(file + len, content, content_len);
	assert_int_equal(
		store->ops->save(store, "sessions", SESSIONS_VERSION, file, len + content_len), 0);
	free(file);
	free(head);
	sessions_free(none);
	return state_load_sessions(store, s, T0);
}

/* Good checksum, bad content: written by a bug or by hand. */
static void bad_content_is_left_out(void **state)
{
	struct sessions *s = sessions_new(4);
	enum { COUNT_AT = 17 + 32 + 7 }; /* behind texts, times and MAC */
	static char whole[96 + 256 * 16] = "\4anna\5press\5login";
	memset(whole + 17 + 8, 0x7f, 8); /* until */
	whole[COUNT_AT] = 1;
	whole[COUNT_AT + 16] = 7; /* the address */
	assert_int_equal(loaded(s, whole, COUNT_AT + 17), 1);
	sessions_free(s);
	s = sessions_new(4);
	for (size_t len = 1; len < COUNT_AT + 17; len++)
		assert_int_equal(loaded(s, whole, len), 0);
	for (unsigned count = 0; count <= 255; count++)
		if (count == 0 || count > SESSION_ADDRESSES) {
			whole[COUNT_AT] = (char)count;
			assert_int_equal(loaded(s, whole, sizeof whole), 0);
		}
	whole[0] = (char)USER_MAX; /* a user's name that is too long */
	memset(whole + 1, 'a', USER_MAX);
	assert_int_equal(loaded(s, whole, sizeof whole), 0);
	assert_int_equal(sessions_count(s), 0);
	sessions_free(s);
}

/* As many addresses as a session may have; one whose host was met, and not told, stays so. */
static void a_session_comes_back_with_all_its_addresses(void **state)
{
	struct sessions *before = sessions_new(8), *after = sessions_new(8);
	struct session out, anna = {.user = "anna", .tier = "press", .since = T0};
	struct address a = addr(0), more;
	session_open(before, &a, &anna, T0);
	assert_true(session_at(before, &a, T0, &out));
	session_bind(before, out.id, (const uint8_t *)"\2\0\0\0\0\7");
	for (unsigned i = 1; i < SESSION_ADDRESSES; i++) {
		more = addr(i);
		assert_int_equal(session_add_address(before, out.id, &more), 0);
	}
	assert_int_equal(state_save_sessions(store, before), 0);
	assert_int_equal(state_load_sessions(store, after, T0), 1);
	for (unsigned i = 0; i < SESSION_ADDRESSES; i++) {
		more = addr(i);
		assert_true(session_at(after, &more, T0, &out));
		assert_string_equal(out.user, "anna");
	}
	assert_true(out.has_mac);
	assert_false(out.mac_told);
	assert_memory_equal(out.mac, "\2\0\0\0\0\7", 6);
	sessions_free(before);
	sessions_free(after);
}

/* More names than room is made for at first; those of a cut file that are whole. */
static void many_names_come_back(void **state)
{
	enum { NAMES = 2000, NAMES_VERSION = 2 };
	struct seen *before = seen_new(8192, 0, false), *after = seen_new(8192, 0, false);
	size_t len;
	for (unsigned i = 0; i < NAMES; i++) {
		struct address client = addr(i), server = addr(i + 1);
		struct host h = {0};
		h.len = (uint8_t)snprintf(h.text, sizeof h.text, "h%u.org", i);
		seen_add(before, &client, &server, &h, 100 * NS_PER_S, T0);
	}
	assert_int_equal(state_save_names(store, before), 0);
	unsigned whole = state_load_names(store, after, T0);
	assert_true(whole >= NAMES);
	char *bytes = store->ops->load(store, "names", NAMES_VERSION, &len);
	assert_non_null(bytes);
	assert_int_equal(store->ops->save(store, "names", NAMES_VERSION, bytes, len - 1), 0);
	assert_int_equal(state_load_names(store, after, T0), whole - 1);
	free(bytes);
	seen_free(before);
	seen_free(after);
}

/* A good checksum says only that it is whole: what it is stands in front of it. */
static void refuses_another_magic(void **state)
{
	char *file;
	size_t size;
	assert_int_equal(store->ops->save(store, "test", 0x01020304, "hello", 5), 0);
	assert_true(loads("hello", 0x01020304));
	assert_int_equal(file_read(path_of("test"), 1000, &file, &size), 0);
	assert_memory_equal(file, "TGSTATE\ntest", 12);
	assert_memory_equal(file + 24, "\1\2\3\4", 4); /* the most significant byte first */
	const size_t all = size - SHA256_DIGEST_SIZE;
	file[0] = 'X';
	struct sha256_ctx c;
	sha256_init(&c);
	sha256_update(&c, all, (const uint8_t *)file);
	sha256_digest(&c, SHA256_DIGEST_SIZE, (uint8_t *)file + all);
	FILE *f = fopen(path_of("test"), "w");
	assert_int_equal(fwrite(file, 1, size, f), size);
	fclose(f);
	free(file);
	assert_false(loads("hello", 0x01020304));
}

static void keeps_names_in_their_order(void **state)
{
	struct seen *before = seen_new(64, 0, false), *after = seen_new(64, 0, false);
	struct address client = addr(1), server = addr(2);
	struct host one = {7, "one.org"}, two = {7, "two.org"}, old = {7, "old.org"}, out[4];
	seen_add(before, &client, &server, &two, 100 * NS_PER_S, T0);
	seen_add(before, &client, &server, &old, NS_PER_S, T0);
	seen_add(before, &client, &server, &one, 100 * NS_PER_S, T0);
	assert_int_equal(state_save_names(store, before), 0);
	/* two answers, each as told to the client and to the network */
	assert_int_equal(state_load_names(store, after, T0 + 2 * NS_PER_S), 4);
	assert_int_equal(seen_names(after, &client, &server, T0 + 2 * NS_PER_S, out, 4), 2);
	assert_string_equal(out[0].text, "one.org"); /* the newest first, as before */
	assert_string_equal(out[1].text, "two.org");
	assert_false(seen_agrees(after, &client, &server, &two, T0 + 101 * NS_PER_S));
	seen_free(before);
	seen_free(after);
}

/* Told again, a name is the newest, wherever it stands in the table: which of many leaves a full
 * one first, and which an address is said to be, is the same after a restart. */
static void a_name_that_was_told_again_is_the_newest(void **state)
{
	enum { NAMES = 12 };
	struct seen *before = seen_new(64, 0, false), *after = seen_new(64, 0, false);
	struct address client = addr(1), server = addr(2);
	struct host out[NAMES], then[NAMES], name[NAMES];
	static const int again[] = {5, 0, 9, 3};
	for (int i = 0; i < NAMES; i++) {
		name[i].len = (uint8_t)snprintf(name[i].text, sizeof name[i].text, "n%d.org", i);
		seen_add(before, &client, &server, &name[i], 100 * NS_PER_S, T0);
	}
	for (size_t i = 0; i < sizeof again / sizeof *again; i++)
		seen_add(before, &client, &server, &name[again[i]], 200 * NS_PER_S, T0 + 1);
	size_t count = seen_names(before, &client, &server, T0 + 2, then, NAMES);
	assert_int_equal(count, NAMES);
	assert_string_equal(then[0].text, "n3.org");
	assert_int_equal(state_save_names(store, before), 0);
	assert_int_equal(state_load_names(store, after, T0 + 2), 2 * NAMES);
	assert_int_equal(seen_names(after, &client, &server, T0 + 2, out, NAMES), NAMES);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(out[i].text, then[i].text);
	seen_free(before);
	seen_free(after);
}

static struct flow_memory got[8];
static unsigned got_count;
static bool got_same;

static void take(void *ctx, const struct flow_memory *m, bool same)
{
	got[got_count++] = *m;
	got_same = same;
}

static void keeps_flows(void **state)
{
	const struct flow_memory kept[] = {
		{.key = {addr(1), addr(2), 40000, 443, IPPROTO_TCP},
		 .allowed = true,
		 .outcome = {.action = ACTION_ALLOW,
			     .reason = REASON_ALLOW_LINE,
			     .rule = 3,
			     .site = 2},
		 .evidence = EVIDENCE_SNI_DNS,
		 .protocol = PROTOCOL_TLS,
		 .syn_seen = true,
		 .has_mac = true,
		 .mac = {2, 0, 0, 0, 0, 1},
		 .isn = 0xfffffffe,
		 .next = 517,
		 .first = T0,
		 .last = T0 + 5,
		 .host = {7, "one.org"},
		 .user = "anna",
		 .tier = "press"},
		{.key = {addr(1), addr(2), 40002, 443, IPPROTO_TCP},
		 .live = true,
		 .heard = true,
		 .mismatch = true,
		 .first = T0,
		 .last = T0},
		{.key = {addr(1), addr(2), 40004, 443, IPPROTO_TCP},
		 .outcome.action = ACTION_WAIT,
		 .syn_seen = true,
		 .isn = 7},
	};
	got_count = 0;
	assert_int_equal(state_save_flows(store, 0, kept, 3, "0123456789abcdef"), 0);
	assert_int_equal(state_load_flows(store, 1, "0123456789abcdef", take, NULL), 0);
	assert_int_equal(state_load_flows(store, 0, "0123456789abcdef", take, NULL), 3);
	assert_true(got_same);
	const struct flow_memory *m = &got[0];
	assert_true(address_equal(&m->key.client, &kept[0].key.client));
	assert_true(address_equal(&m->key.server, &kept[0].key.server));
	assert_int_equal(m->key.client_port, 40000);
	assert_int_equal(m->key.server_port, 443);
	assert_int_equal(m->key.transport, IPPROTO_TCP);
	assert_true(m->allowed && m->syn_seen && m->has_mac);
	assert_false(m->live || m->heard || m->mismatch);
	assert_int_equal(m->outcome.rule, 3);
	assert_int_equal(m->outcome.site, 2);
	assert_int_equal(m->outcome.reason, REASON_ALLOW_LINE);
	assert_int_equal(m->evidence, EVIDENCE_SNI_DNS);
	assert_int_equal(m->protocol, PROTOCOL_TLS);
	assert_int_equal(m->isn, 0xfffffffe);
	assert_int_equal(m->next, 517);
	assert_int_equal(m->first, T0);
	assert_int_equal(m->last, T0 + 5);
	assert_string_equal(m->host.text, "one.org");
	assert_int_equal(m->host.len, 7);
	assert_memory_equal(m->mac, kept[0].mac, 6);
	assert_string_equal(m->user, "anna");
	assert_string_equal(m->tier, "press");
	assert_false(got[1].allowed || got[1].syn_seen || got[1].has_mac);
	assert_true(got[1].live && got[1].heard && got[1].mismatch);
	assert_int_equal(got[2].outcome.action, ACTION_WAIT);
	assert_true(got[2].syn_seen);
	assert_int_equal(got[2].isn, 7);

	got_count = 0;
	assert_int_equal(state_load_flows(store, 0, "another policy", take, NULL), 3);
	assert_false(got_same);
	assert_int_equal(got[0].outcome.rule, RULE_NONE);
	assert_int_equal(got[0].outcome.site, SITE_NONE);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* As if another process had kept it, whose clock was 500 s ahead of this one's. */
static void keep_as_another(const char *kind, uint32_t version)
{
	enum { OFFSET_AT = 36 };
	size_t len;
	char *bytes = store->ops->load(store, kind, version, &len);
	assert_non_null(bytes);
	uint64_t offset = 0;
	for (int i = 0; i < 8; i++)
		offset = offset << 8 | (uint8_t)bytes[OFFSET_AT + i];
	offset += 500 * (uint64_t)NS_PER_S;
	for (int i = 0; i < 8; i++)
		bytes[OFFSET_AT + i] = (char)(offset >> (56 - 8 * i));
	assert_int_equal(store->ops->save(store, kind, version, bytes, len), 0);
	free(bytes);
}

static void times_of_another_process_are_moved(void **state)
{
	struct address a = addr(1);
	struct session s = {.user = "anna", .tier = "press", .since = T0, .until = T0 + NS_PER_S};
	struct session out, endless = {.user = "bob", .tier = "press", .since = T0};
	struct sessions *sessions = sessions_new(8);
	session_open(sessions, &a, &s, T0);
	struct address b = addr(2);
	session_open(sessions, &b, &endless, T0);
	assert_int_equal(state_save_sessions(store, sessions), 0);
	keep_as_another("sessions", 3);
	session_close_address(sessions, &a);
	session_close_address(sessions, &b);
	int64_t t = T0 - 500 * NS_PER_S;
	assert_int_equal(state_load_sessions(store, sessions, t), 2);
	assert_true(session_at(sessions, &a, t, &out));
	assert_int_equal(out.since, t);
	assert_int_equal(out.last_seen, t);
	assert_int_equal(out.until, t + NS_PER_S);
	assert_true(session_at(sessions, &b, t, &out));
	assert_int_equal(out.until, 0);
	sessions_free(sessions);

	struct host host = {7, "one.org"};
	struct seen *seen = seen_new(16, 0, false);
	seen_add(seen, &a, &b, &host, NS_PER_S, T0);
	assert_int_equal(state_save_names(store, seen), 0);
	seen_free(seen);
	keep_as_another("names", 2);
	seen = seen_new(16, 0, false);
	assert_int_equal(state_load_names(store, seen, t), 2);
	assert_true(seen_agrees(seen, &a, &b, &host, t));
	assert_false(seen_agrees(seen, &a, &b, &host, t + 2 * NS_PER_S));
	seen_free(seen);

	struct flow_memory m = {.allowed = true, .first = T0, .last = T0 + 1};
	got_count = 0;
	assert_int_equal(state_save_flows(store, 0, &m, 1, "p"), 0);
	keep_as_another("flows-0", 2);
	assert_int_equal(state_load_flows(store, 0, "p", take, NULL), 1);
	assert_int_equal(got[0].first, t);
	assert_int_equal(got[0].last, t + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(keeps_bytes),
		WITH(refuses_another_kind_or_version),
		WITH(refuses_what_is_cut_or_changed),
		WITH(a_folder_that_is_gone_is_an_error),
		WITH(keeps_ends),
		WITH(keeps_sessions),
		WITH(keeps_until_when_all_was_swept),
		WITH(keeps_lockdowns),
		WITH(keeps_quotas),
		WITH(quotas_of_an_older_version_are_read),
		WITH(ends_of_an_older_version_are_read),
		WITH(doubts_lockdowns),
		WITH(keeps_hits),
		WITH(says_what_hits_are_lost),
		WITH(says_that_lockdowns_are_lost),
		WITH(a_smaller_table_takes_what_fits),
		WITH(bad_content_is_left_out),
		WITH(a_session_comes_back_with_all_its_addresses),
		WITH(many_names_come_back),
		WITH(refuses_another_magic),
		WITH(keeps_names_in_their_order),
		WITH(a_name_that_was_told_again_is_the_newest),
		WITH(keeps_flows),
		WITH(times_of_another_process_are_moved),
		WITH(half_a_hit_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
