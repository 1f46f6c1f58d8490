#include "unit.h"
#include "base/clock.h"
#include "base/host.h"
#include "dns/seen.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define S NS_PER_S

static struct address address(unsigned n)
{
	return address_from4((uint8_t[]){10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n});
}

static struct host host(const char *text)
{
	struct host h = {.len = (uint8_t)strlen(text)};
	memcpy(h.text, text, h.len + 1u);
	return h;
}

static struct host host_number(unsigned n, unsigned len)
{
	char text[HOST_MAX + 1];
	int head = snprintf(text, sizeof text, "n%u.", n);
	for (unsigned i = (unsigned)head; i < len; i++)
		text[i] = i % 60 == 59 ? '.' : 'a';
	text[(unsigned)head > len ? (unsigned)head : len] = '\0';
	return host(text);
}

static const struct address A = {{[15] = 1}}, B = {{[15] = 2}}, X = {{[15] = 3}}, Y = {{[15] = 4}};

static void test_agrees_until_ttl_and_grace(void **state)
{
	struct seen *s = seen_new(64, 100 * S, false);
	struct host h = host("www.example.com"), other = host("www.example.org");
	assert_false(seen_agrees(s, &A, &X, &h, 0));
	seen_add(s, &A, &X, &h, 50 * S, 1000 * S);
	assert_true(seen_agrees(s, &A, &X, &h, 1000 * S));
	assert_true(seen_agrees(s, &A, &X, &h, 1150 * S));
	assert_false(seen_agrees(s, &A, &X, &h, 1150 * S + NS_PER_MS));
	assert_true(seen_agrees(s, &B, &X, &h, 1150 * S)); /* the network was told */
	assert_false(seen_agrees(s, &B, &X, &h, 1150 * S + NS_PER_MS));
	assert_false(seen_agrees(s, &A, &Y, &h, 1000 * S));
	assert_false(seen_agrees(s, &A, &X, &other, 1000 * S));
	seen_free(s);
}

static void test_a_shorter_ttl_takes_nothing_back(void **state)
{
	struct seen *s = seen_new(64, 0, false);
	struct host h = host("a.example");
	seen_add(s, &A, &X, &h, 100 * S, 0);
	seen_add(s, &A, &X, &h, 1 * S, 10 * S);
	assert_true(seen_agrees(s, &A, &X, &h, 100 * S));
	seen_add(s, &A, &X, &h, 100 * S, 50 * S);
	assert_true(seen_agrees(s, &A, &X, &h, 150 * S));
	struct seen_counters c;
	seen_count(s, &c);
	assert_int_equal(c.entries, 2);
	assert_int_equal(c.added, 3);
	seen_free(s);
}

static void test_any_client(void **state)
{
	struct seen *s = seen_new(64, 0, true);
	struct host h = host("a.example"), out[2];
	seen_add(s, &A, &X, &h, S, 0);
	assert_true(seen_agrees(s, &B, &X, &h, 0));
	assert_int_equal(seen_names(s, &B, &X, 0, out, 2), 1);
	struct seen_counters c;
	seen_count(s, &c);
	assert_int_equal(c.entries, 1);
	seen_free(s);
}

static void test_names_newest_first(void **state)
{
	struct seen *s = seen_new(64, 0, false);
	struct host a = host("a.example"), b = host("b.example"), c = host("c.example"), out[8];
	assert_int_equal(seen_names(s, &A, &X, 0, out, 8), 0);
	seen_add(s, &A, &X, &a, 100 * S, 0);
	seen_add(s, &A, &X, &b, 10 * S, 0);
	seen_add(s, &A, &X, &c, 100 * S, 0);
	seen_add(s, &A, &Y, &b, 100 * S, 0);
	assert_int_equal(seen_names(s, &A, &X, 0, out, 8), 3);
	assert_string_equal(out[0].text, "c.example");
	assert_string_equal(out[1].text, "b.example");
	assert_string_equal(out[2].text, "a.example");
	assert_int_equal(seen_names(s, &A, &X, 0, out, 1), 1);
	assert_int_equal(seen_names(s, &A, &X, 11 * S, out, 8), 2);
	seen_add(s, &A, &X, &a, 100 * S, 0);
	assert_int_equal(seen_names(s, &A, &X, 11 * S, out, 8), 2);
	assert_string_equal(out[0].text, "a.example");
	assert_string_equal(out[1].text, "c.example");
	assert_int_equal(seen_names(s, &B, &X, 0, out, 8), 0);
	seen_free(s);
}

static void test_refresh(void **state)
{
	struct seen *s = seen_new(64, 10 * S, false);
	struct host a = host("a.example"), b = host("b.example");
	seen_add(s, &A, &X, &a, 10 * S, 0);
	seen_refresh(s, &A, &X, &a, 5 * S); /* takes nothing back */
	assert_true(seen_agrees(s, &A, &X, &a, 20 * S));
	seen_refresh(s, &A, &X, &a, 100 * S);
	assert_true(seen_agrees(s, &A, &X, &a, 110 * S));
	assert_false(seen_agrees(s, &A, &X, &a, 111 * S));
	seen_refresh(s, &A, &X, &b, 100 * S); /* adds nothing */
	assert_false(seen_agrees(s, &A, &X, &b, 100 * S));
	seen_free(s);
}

static void test_hundreds_of_addresses_and_names(void **state)
{
	struct seen *s = seen_new(4096, 0, false);
	struct host a = host("cdn.example"), out[1100];
	for (unsigned n = 0; n < 900; n++) {
		struct address at = address(n);
		struct host h = host_number(n, 20);
		seen_add(s, &A, &at, &a, S, 0);
		seen_add(s, &A, &X, &h, S, 0);
	}
	for (unsigned n = 0; n < 900; n++) {
		struct address at = address(n);
		struct host h = host_number(n, 20);
		assert_true(seen_agrees(s, &A, &at, &a, 0));
		assert_true(seen_agrees(s, &A, &X, &h, 0));
	}
	assert_int_equal(seen_names(s, &A, &X, 0, out, 1100), 900);
	assert_string_equal(out[0].text, host_number(899, 20).text);
	assert_string_equal(out[899].text, host_number(0, 20).text);
	seen_free(s);
}

static void test_every_length_is_kept_exactly(void **state)
{
	struct seen *s = seen_new(2048, 0, false);
	struct host out;
	for (unsigned len = 5; len <= HOST_MAX; len++) {
		struct host h = host_number(7, len), near = h;
		struct address at = address(len);
		near.text[len - 1] = 'b';
		assert_int_equal(h.len, len);
		seen_add(s, &A, &at, &h, S, 0);
		assert_int_equal(seen_names(s, &A, &at, 0, &out, 1), 1);
		assert_true(host_equal(&out, &h));
		assert_true(seen_agrees(s, &A, &at, &h, 0));
		assert_false(seen_agrees(s, &A, &at, &near, 0));
	}
	seen_free(s);
}

static void test_long_names_push_out_but_never_break(void **state)
{
	struct seen *s = seen_new(8, 0, true);
	struct seen_counters c;
	for (unsigned n = 0; n < 1000; n++) {
		struct host h = host_number(n, n % 2 ? HOST_MAX : 10);
		seen_add(s, &A, &X, &h, S, 0);
		assert_true(seen_agrees(s, &A, &X, &h, 0));
	}
	seen_count(s, &c);
	assert_int_equal(c.entries + c.evicted, 1000);
	seen_free(s);
}

static void test_no_client_pushes_out_another(void **state)
{
	struct seen *s = seen_new(256, 0, false);
	struct address victim = address(1), greedy = address(2);
	struct host mine = host("mine.example");
	seen_add(s, &victim, &Y, &mine, 3600 * S, 0);
	for (unsigned n = 0; n < 5000; n++) {
		struct host h = host_number(n, 12);
		struct address at = address(n);
		seen_add(s, &greedy, &at, &h, 3600 * S, 0);
	}
	struct host out;
	assert_true(seen_agrees(s, &victim, &Y, &mine, 0));
	assert_int_equal(seen_names(s, &victim, &Y, 0, &out, 1), 1);
	seen_free(s);
}

/* Twenty addresses of one host, and of as many hosts: who has less keeps what it has. */
static struct host_key one_host(void *ctx, const struct address *client)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	return address_equal(client, &B) ? host_key_address(client) : host_key_mac(mac);
}

static void fill_from_many(struct seen *s)
{
	struct host mine = host("mine.example"), out;
	seen_add(s, &B, &Y, &mine, 3600 * S, 0);
	for (unsigned n = 0; n < 5000; n++) {
		struct host h = host_number(n, 12);
		struct address from = address(n % 20 + 1000), at = address(n);
		seen_add(s, &from, &at, &h, 3600 * S, 0);
	}
	assert_true(seen_agrees(s, &A, &Y, &mine, 0)); /* as everyone was told */
	assert_int_equal(seen_names(s, &B, &Y, 0, &out, 1), 1);
}

static void test_no_host_pushes_out_another(void **state)
{
	struct seen *s = seen_new(256, 0, false);
	seen_hosts(s, one_host, NULL);
	fill_from_many(s);
	seen_free(s);
}

/* It asks over one IP version and connects over the other. */
static void test_a_host_of_two_addresses(void **state)
{
	struct seen *s = seen_new(256, 0, false);
	struct host h = host("www.example.com"), out[4];
	struct address four = address(7);
	seen_hosts(s, one_host, NULL);
	seen_add(s, &four, &X, &h, S, 0);
	assert_true(seen_names(s, &A, &X, 0, out, 4) >= 1);
	assert_string_equal(out[0].text, "www.example.com");
	assert_int_equal(seen_names(s, &B, &X, 0, out, 4), 0); /* another host */
	assert_int_equal(seen_names(s, &A, &X, 2 * S, out, 4), 0);
	seen_free(s);
}

static void test_nor_do_many_hosts(void **state)
{
	struct seen *s = seen_new(256, 0, false);
	fill_from_many(s);
	seen_free(s);
}

static void test_what_is_no_longer_good_goes_first(void **state)
{
	struct seen *s = seen_new(16, 0, true);
	struct host old = host("old.example");
	seen_add(s, &B, &Y, &old, S, 0);
	for (unsigned n = 0; n < 16; n++) {
		struct host h = host_number(n, 12);
		seen_add(s, &A, &X, &h, 3600 * S, 2 * S);
	}
	struct host first = host_number(0, 12);
	assert_true(seen_agrees(s, &A, &X, &first, 2 * S));
	seen_free(s);
}

static void test_nat64(void **state)
{
	struct seen *s = seen_new(64, 0, false);
	struct host h = host("www.example.com"), asked = host("ipv4only.arpa"), out[2];
	struct address four, well_known, own, other, arpa;
	assert_true(address_parse("203.0.113.10", &four));
	assert_true(address_parse("64:ff9b::cb00:710a", &well_known));
	assert_true(address_parse("2001:db8:64:cb00:71:a00::", &own)); /* a /48 */
	assert_true(address_parse("2001:db8:65:cb00:71:a00::", &other));
	assert_true(address_parse("2001:db8:64:c000:0:aa00::", &arpa));
	seen_add(s, &A, &four, &h, S, 0);
	assert_true(seen_agrees(s, &A, &well_known, &h, 0));
	assert_int_equal(seen_names(s, &A, &well_known, 0, out, 2), 1);
	assert_false(seen_agrees(s, &A, &own, &h, 0));
	struct host before = host("before.example"), after = host("after.example");
	seen_add(s, &A, &own, &before, S, 0);
	seen_add(s, &A, &arpa, &asked, S, 0);
	seen_add(s, &A, &own, &after, S, 0);
	assert_true(seen_agrees(s, &A, &own, &h, 0));
	assert_false(seen_agrees(s, &A, &other, &h, 0));
	assert_true(seen_agrees(s, &A, &own, &before, 0)); /* told before the prefix was known */
	assert_true(seen_agrees(s, &A, &four, &after, 0));
	assert_int_equal(seen_names(s, &A, &own, 0, out, 2), 2);
	seen_free(s);
}

static void test_used_entries_outlive_unused(void **state)
{
	struct seen *s = seen_new(16, 0, true);
	struct host used = host("used.example"), unused = host("unused.example");
	seen_add(s, &A, &X, &used, 3600 * S, 0);
	seen_add(s, &A, &X, &unused, 3600 * S, 0);
	for (unsigned n = 0; n < 100; n++) {
		struct host h = host_number(n, 12);
		assert_true(seen_agrees(s, &A, &X, &used, 0));
		seen_add(s, &A, &Y, &h, 3600 * S, 0);
	}
	assert_false(seen_agrees(s, &A, &X, &unused, 0));
	seen_free(s);
}

static void test_public_names(void **state)
{
	struct seen *s = seen_new(64, 0, false);
	struct host outer = host("cloudflare-ech.com"), other = host("www.example.com");
	seen_add_ech(s, &A, &outer, 77, 10 * S, 0);
	assert_true(seen_public_name(s, &A, &outer, 77, S));
	assert_false(seen_public_name(s, &A, &outer, 78, S));
	assert_false(seen_public_name(s, &A, &outer, 0, S));
	assert_false(seen_public_name(s, &A, &other, 77, S));
	assert_false(seen_public_name(s, &B, &outer, 77, S)); /* no other client's records */
	assert_false(seen_public_name(s, &A, &outer, 77, 11 * S));
	seen_free(s);
}

static int by_order(const void *a, const void *b)
{
	const struct seen_entry *x = a, *y = b;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void test_state_goes_round(void **state)
{
	struct seen *s = seen_new(64, 10 * S, false), *t = seen_new(64, 10 * S, false);
	struct host a = host("a.example"), b = host("b.example"), c = host("c.example"), out[4];
	static struct seen_entry kept[64];
	seen_add(s, &A, &X, &a, S, 0);
	seen_add(s, &A, &X, &b, 2 * S, 0);
	seen_add(s, &B, &Y, &c, 3 * S, 0);
	seen_add(s, &A, &X, &a, S, 0);
	size_t n = 0;
	for (uint32_t slot = 0; seen_each(s, &slot, &kept[n]); n++)
		assert_true(n < 63);
	assert_int_equal(n, 6);
	qsort(kept, n, sizeof kept[0], by_order);
	for (size_t i = 0; i < n; i++)
		seen_restore(t, &kept[i]);
	assert_int_equal(seen_names(t, &A, &X, 0, out, 4), 2);
	assert_string_equal(out[0].text, "a.example");
	assert_string_equal(out[1].text, "b.example");
	assert_true(seen_agrees(t, &B, &Y, &c, 13 * S));
	assert_false(seen_agrees(t, &B, &Y, &c, 14 * S));
	seen_free(s);
	seen_free(t);
}

static void test_an_empty_name_is_nothing(void **state)
{
	struct seen *s = seen_new(0, 0, false);
	struct seen_counters c;
	seen_add(s, &A, &X, &(struct host){0}, S, 0);
	seen_count(s, &c);
	assert_int_equal(c.entries, 0);
	seen_free(s);
}

/* The naive twin: one array, newest first. */

#define TWIN     48
#define EVERYONE 99

struct twin_entry {
	unsigned client, address, host, holder;
	int64_t good;
	uint64_t order;
	bool used;
};

struct twin {
	struct twin_entry list[TWIN];
	unsigned count;
	uint64_t order;
	int64_t grace;
	unsigned size[4];  /* log2 of what a client brought in, + 1; 0: nothing */
	uint64_t sized[4]; /* when that changed last */
	uint64_t resized;
};

static int twin_find(const struct twin *t, unsigned client, unsigned address, unsigned host)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->list[i].client == client && t->list[i].address == address &&
		    t->list[i].host == host)
			return (int)i;
	return -1;
}

static void twin_to_front(struct twin *t, unsigned i)
{
	struct twin_entry e = t->list[i];
	memmove(t->list + 1, t->list, i * sizeof e);
	e.used = false;
	t->list[0] = e;
}

static void twin_resize(struct twin *t, unsigned holder)
{
	unsigned count = 0, size = 0;
	for (unsigned i = 0; i < t->count; i++)
		count += t->list[i].holder == holder;
	for (; count; count /= 2)
		size++;
	if (t->size[holder] != size)
		t->sized[holder] = ++t->resized;
	t->size[holder] = size;
}

static unsigned twin_largest(const struct twin *t)
{
	unsigned largest = 0;
	for (unsigned i = 1; i < 4; i++)
		if (t->size[i] > t->size[largest] ||
		    (t->size[i] == t->size[largest] && t->sized[i] > t->sized[largest]))
			largest = i;
	return largest;
}

static void twin_evict(struct twin *t, int64_t now)
{
	unsigned oldest = t->count - 1, holder = t->list[oldest].holder;
	if (t->list[oldest].good >= now) {
		holder = twin_largest(t);
		for (int chances = 0;; chances++) {
			for (oldest = t->count - 1; t->list[oldest].holder != holder;)
				oldest--;
			if (chances == 8 || !t->list[oldest].used)
				break;
			twin_to_front(t, oldest);
		}
	}
	memmove(t->list + oldest, t->list + oldest + 1,
		(t->count - oldest - 1) * sizeof t->list[0]);
	t->count--;
	twin_resize(t, holder);
}

/* Of the names that its client was told for its address. */
static bool twin_is_newest(const struct twin *t, int i)
{
	const struct twin_entry *e = &t->list[i];
	for (unsigned k = 0; k < t->count; k++)
		if (t->list[k].client == e->client && t->list[k].address == e->address &&
		    t->list[k].order > e->order)
			return false;
	return true;
}

static void twin_add(struct twin *t, unsigned client, unsigned holder, unsigned address,
		     unsigned host, int64_t good, int64_t now)
{
	int i = twin_find(t, client, address, host);
	if (i < 0) {
		if (t->count == TWIN)
			twin_evict(t, now);
		i = (int)t->count++;
		t->list[i] = (struct twin_entry){client, address, host, holder, good, 0, false};
		twin_resize(t, holder);
	}
	if (t->list[i].good < good)
		t->list[i].good = good;
	if (t->list[i].order && t->order - t->list[i].order < TWIN / 16 && twin_is_newest(t, i))
		return;
	t->list[i].order = ++t->order;
	twin_to_front(t, (unsigned)i);
}

static void twin_refresh(struct twin *t, int i, int64_t good)
{
	if (i < 0)
		return;
	t->list[i].used = true;
	if (t->list[i].good < good)
		t->list[i].good = good;
}

static unsigned twin_names(struct twin *t, unsigned client, unsigned address, int64_t now,
			   unsigned *out, unsigned max)
{
	unsigned n = 0;
	for (uint64_t before = UINT64_MAX; n < max;) {
		struct twin_entry *next = NULL;
		for (unsigned i = 0; i < t->count; i++) {
			struct twin_entry *e = &t->list[i];
			if (e->client == client && e->address == address && e->good >= now &&
			    e->order < before && (!next || e->order > next->order))
				next = e;
		}
		if (!next)
			break;
		next->used = true;
		before = next->order;
		out[n++] = next->host;
	}
	return n;
}

static void compare_names(struct seen *s, struct twin *t, unsigned client, unsigned at, int64_t now)
{
	struct address from = address(client), to = address(100 + at);
	struct host out[5];
	unsigned want[5], n = twin_names(t, client, at, now, want, 5);
	assert_int_equal(seen_names(s, &from, &to, now, out, 5), n);
	for (unsigned i = 0; i < n; i++)
		assert_string_equal(out[i].text, host_number(want[i], 12).text);
}

static void test_like_the_naive_twin(void **state)
{
	int64_t grace = 7 * S, now = 0;
	struct seen *s = seen_new(TWIN, grace, false);
	struct twin t = {.grace = grace};
	unsigned random = 12345;
	for (unsigned step = 0; step < 200000; step++) {
		random = random * 1103515245 + 12345;
		unsigned client = random >> 8 & 3, at = random >> 10 & 3, name = random >> 12 & 7;
		unsigned verb = random >> 16 & 15, ttl = random >> 20 & 31;
		struct address from = address(client), to = address(100 + at);
		struct host h = host_number(name, 12);
		int i = twin_find(&t, client, at, name);
		if (verb < 8) {
			seen_add(s, &from, &to, &h, ttl * S, now);
			twin_add(&t, client, client, at, name, now + ttl * S + grace, now);
			twin_add(&t, EVERYONE, client, at, name, now + ttl * S + grace, now);
		} else if (verb < 11) {
			if (i < 0 || t.list[i].good < now)
				i = twin_find(&t, EVERYONE, at, name);
			bool want = i >= 0 && t.list[i].good >= now;
			assert_int_equal(seen_agrees(s, &from, &to, &h, now), want);
			if (want)
				t.list[i].used = true;
		} else if (verb < 13) {
			compare_names(s, &t, client, at, now);
		} else if (verb == 13) {
			seen_refresh(s, &from, &to, &h, now);
			twin_refresh(&t, i, now + grace);
			twin_refresh(&t, twin_find(&t, EVERYONE, at, name), now + grace);
		} else {
			now += (ttl & 1) * S;
		}
	}
	struct seen_counters c;
	seen_count(s, &c);
	assert_int_equal(c.entries, t.count);
	assert_true(c.evicted > 1000);
	seen_free(s);
}

/* Readers beside a writer: what they are told must always be whole and of the right pair. */

static struct seen *shared;
static atomic_bool over;
static atomic_ulong wrong, reads;

static void *reader(void *arg)
{
	unsigned n = 0;
	struct host out[4];
	while (!atomic_load(&over)) {
		struct address at = address(n++ % 64);
		struct host h = host_number(n % 512, 5 + n % 200);
		size_t got = seen_names(shared, &A, &at, 0, out, 4);
		for (size_t i = 0; i < got; i++) {
			unsigned number = 0;
			sscanf(out[i].text, "n%u.", &number);
			struct host want = host_number(number, 5 + number % 200);
			if (number % 64 != (n - 1) % 64 || !host_equal(&out[i], &want))
				atomic_fetch_add(&wrong, 1);
		}
		seen_refresh(shared, &A, &at, &h, 1);
		seen_agrees(shared, &A, &at, &h, 0);
		atomic_fetch_add(&reads, 1);
	}
	return NULL;
}

static void test_readers_beside_a_writer(void **state)
{
	pthread_t threads[2];
	shared = seen_new(128, 0, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, NULL), 0);
	for (unsigned n = 0; n < 60000 || atomic_load(&reads) < 2000; n++) {
		unsigned number = n * 7919 % 512;
		struct address at = address(number % 64);
		struct host h = host_number(number, 5 + number % 200);
		seen_add(shared, &A, &at, &h, S, 0);
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	seen_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees_until_ttl_and_grace),
		cmocka_unit_test(test_a_shorter_ttl_takes_nothing_back),
		cmocka_unit_test(test_any_client),
		cmocka_unit_test(test_names_newest_first),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_hundreds_of_addresses_and_names),
		cmocka_unit_test(test_every_length_is_kept_exactly),
		cmocka_unit_test(test_long_names_push_out_but_never_break),
		cmocka_unit_test(test_no_client_pushes_out_another),
		cmocka_unit_test(test_no_host_pushes_out_another),
		cmocka_unit_test(test_a_host_of_two_addresses),
		cmocka_unit_test(test_nor_do_many_hosts),
		cmocka_unit_test(test_what_is_no_longer_good_goes_first),
		cmocka_unit_test(test_nat64),
		cmocka_unit_test(test_used_entries_outlive_unused),
		cmocka_unit_test(test_public_names),
		cmocka_unit_test(test_state_goes_round),
		cmocka_unit_test(test_an_empty_name_is_nothing),
		cmocka_unit_test(test_like_the_naive_twin),
		cmocka_unit_test(test_readers_beside_a_writer),
	};
	return cmocka_run_group_tests_name("seen", tests, NULL, NULL);
}
