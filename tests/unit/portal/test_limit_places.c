/* Where counts of guesses are kept, and for how long: from within, as nobody can choose a place. */
#include "unit.h"

#undef fail /* of cmocka */
#include "portal/limit.c"

#define S  NS_PER_S
#define T0 (1000000 * S)

static struct address at(uint32_t n)
{
	const uint8_t bytes[4] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	return address_from4(bytes);
}

/* The next address of 10.0.0.0/8 from *n on whose count has its place in a bucket. */
static struct address of_bucket(struct limit *l, uint32_t bucket, uint32_t *n)
{
	static struct limit empty;
	memcpy(empty.salt, l->salt, sizeof empty.salt);
	for (;;) {
		struct address a = at((*n)++);
		struct count *c = count_of(&empty, BY_ADDRESS, &a, "", T0);
		uint32_t found = c->bucket;
		assert_int_equal((c - empty.counts) / WAYS, found);
		memset(c, 0, sizeof *c);
		if (found == bucket)
			return a;
	}
}

static uint32_t failures_of(struct limit *l, const struct address *a)
{
	const struct count *c = count_of(l, BY_ADDRESS, a, "", 0);
	return c ? c->failures : 0;
}

/* Who fails takes the place of who failed longest ago, and of nobody in a place beside. */
static void the_oldest_of_a_bucket_goes_and_nobody_beside(void **state)
{
	static const uint32_t buckets[] = {0, 7, BUCKETS - 2};
	for (size_t b = 0; b < 3; b++) {
		struct limit *l = limit_new();
		struct address in[WAYS + 1];
		uint32_t n = 0, after = 0;
		struct address beside = of_bucket(l, buckets[b] + 1, &after);
		assert_int_equal(limit_begin(l, &beside, "", T0 - 1), 0);
		for (int i = 0; i <= WAYS; i++) {
			in[i] = of_bucket(l, buckets[b], &n);
			assert_int_equal(limit_begin(l, &in[i], "", T0 + (i == 3 ? -2 : i)), 0);
		}
		assert_int_equal(failures_of(l, &beside), 1);
		for (int i = 0; i <= WAYS; i++)
			assert_int_equal(failures_of(l, &in[i]), i != 3);
		limit_free(l);
	}
}

/* What one attempt counts at may have its places in one bucket, which is empty or full. */
static void an_attempt_counts_at_each_of_its_places(void **state)
{
	struct limit *l = limit_new();
	struct address six;
	char user[16];
	struct count *by_user, *by_address, *net;
	assert_true(address_parse("2001:db8::1", &six));
	for (int full = 0; full < 2; full++)
		for (int with_net = 0; with_net < 2; with_net++) {
			int i = 0;
			memset(l->counts, 0, sizeof l->counts);
			do {
				snprintf(user, sizeof user, "u%d", i++);
				by_user = count_of(l, BY_USER, &six, user, T0);
				by_address = count_of(l, BY_ADDRESS, &six, "", T0);
				net = count_of(l, BY_NETWORK, &six, user, T0);
			} while ((with_net ? net : by_address)->bucket != by_user->bucket);
			uint32_t bucket = by_user->bucket;
			memset(l->counts, 0, sizeof l->counts);
			for (uint32_t w = 0, n = 0; full && w < WAYS; w++) {
				struct address other = of_bucket(l, bucket, &n);
				count_of(l, BY_ADDRESS, &other, "", T0 - 5);
			}
			assert_int_equal(limit_begin(l, &six, user, T0), 0);
			assert_int_equal(failures_of(l, &six), 1);
			by_user = count_of(l, BY_USER, &six, user, 0);
			assert_non_null(by_user);
			assert_int_equal(by_user->failures, 1);
			net = count_of(l, BY_NETWORK, &six, user, 0);
			assert_non_null(net);
			assert_int_equal(net->failures, 1);
		}
	limit_free(l);
}

static void a_wait_doubles_to_its_end(void **state)
{
	static const struct {
		uint32_t failures, unpunished;
		int64_t first, wait;
	} of[] = {{0, 2, 1, 0},
		  {2, 2, 1, 0},
		  {3, 2, 1, 1},
		  {4, 2, 1, 2},
		  {5, 2, 1, 4},
		  {10, 2, 1, 128},
		  {11, 2, 1, 256},
		  {12, 2, 1, 300},
		  {18, 2, 1, 300},
		  {19, 2, 1, 300},
		  {UINT32_MAX, 2, 1, 300},
		  {1, 0, 30, 30},
		  {2, 0, 30, 60},
		  {5, 0, 30, 300},
		  {1, 0, 300, 300},
		  {1, 0, 299, 299}};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		assert_int_equal(wait_after(of[i].failures, of[i].unpunished, of[i].first),
				 of[i].wait * S);
	assert_int_equal(wait_after(16, 0, 0), 0); /* the last that is doubled */
	assert_int_equal(wait_after(17, 0, 0), LIMIT_LONGEST * S);
}

/* The wait after each failure of one address, to the second. */
static void each_failure_costs_its_wait(void **state)
{
	static const int64_t waits[] = {0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
	struct limit *l = limit_new();
	struct address a = at(1);
	int64_t now = T0;
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
		assert_int_equal(limit_begin(l, &a, "", now), 0);
		assert_int_equal(limit_begin(l, &a, "", now) == 0, false || waits[i] == 0);
		if (waits[i])
			assert_int_equal(limit_begin(l, &a, "", now), waits[i] * S);
		else /* the failure of the line before is taken back */
			limit_void(l, &a, "", now);
		now += waits[i] * S;
	}
	limit_free(l);
}

static void a_count_is_forgotten_to_the_nanosecond(void **state)
{
	struct count c = {.failures = 5, .last = T0};
	assert_int_equal(fresh(&c, T0 + LIMIT_FORGET * S)->failures, 5);
	assert_int_equal(fresh(&c, T0 + LIMIT_FORGET * S + 1)->failures, 0);
	c = (struct count){.failures = 5};
	assert_int_equal(fresh(&c, T0)->failures, 5); /* it has no last one */
}

/* Nine failures as a user leave a stranger as he is; after ten he waits from his first on. */
static void a_stranger_waits_from_the_tenth_failure_on(void **state)
{
	for (uint32_t failures = LIMIT_USER - 1; failures <= LIMIT_USER; failures++) {
		struct limit *l = limit_new();
		struct address stranger = at(1000);
		for (uint32_t i = 0; i < failures; i++) {
			struct address a = at(i);
			assert_int_equal(limit_begin(l, &a, "ann", T0), 0);
		}
		assert_int_equal(limit_begin(l, &stranger, "ann", T0), 0);
		assert_int_equal(limit_begin(l, &stranger, "ann", T0),
				 failures == LIMIT_USER ? LIMIT_STRANGER * S : 0);
		limit_free(l);
	}
}

/* A right password takes its own attempt back everywhere it counted, and no other. */
static void what_was_right_did_not_fail(void **state)
{
	struct limit *l = limit_new();
	struct address six;
	assert_true(address_parse("2001:db8::1", &six));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(limit_begin(l, &six, "ann", T0), 0);
		assert_int_equal(count_of(l, BY_ADDRESS, &six, "", 0)->failures, i + 1);
		assert_int_equal(count_of(l, BY_USER, &six, "ann", 0)->failures, i + 1);
		assert_int_equal(count_of(l, BY_NETWORK, &six, "ann", 0)->failures, i + 1);
	}
	limit_void(l, &six, "ann", T0);
	assert_int_equal(count_of(l, BY_ADDRESS, &six, "", 0)->failures, 1);
	assert_int_equal(count_of(l, BY_USER, &six, "ann", 0)->failures, 1);
	assert_int_equal(count_of(l, BY_NETWORK, &six, "ann", 0)->failures, 1);
	assert_null(count_of(l, KNOWN, &six, "ann", 0)); /* it could not be checked */
	for (int i = 0; i < 3; i++)
		limit_good(l, &six, "ann", T0 + 5);
	assert_int_equal(count_of(l, BY_USER, &six, "ann", 0)->failures, 0);
	assert_int_equal(count_of(l, KNOWN, &six, "ann", 0)->last, T0 + 5);
	assert_int_equal(count_of(l, BY_ADDRESS, &six, "", 0)->next, 0);
	limit_begin(l, &six, "", T0); /* a voucher is no user */
	limit_good(l, &six, "", T0);
	assert_null(count_of(l, BY_USER, &six, "", 0));
	assert_null(count_of(l, KNOWN, &six, "", 0));
	assert_null(count_of(l, BY_NETWORK, &six, "", 0));
	limit_free(l);
}

/* An IPv4 address is a network of its own; an IPv6 one has 64 bits of it. */
static void a_network_has_its_bits(void **state)
{
	struct address a, b, n;
	assert_true(address_parse("2001:db8:1:2:ffff::1", &a));
	assert_true(address_parse("2001:db8:1:2::", &b));
	n = network_of(&a);
	assert_true(address_equal(&n, &b));
	a = at(5);
	n = network_of(&a);
	assert_true(address_equal(&n, &a));
}

/* ---- a file ---- */

static struct {
	char bytes[64 * 1024];
	size_t len;
	uint32_t version;
	unsigned saves;
} file;

static int on_save(struct store *s, const char *kind, uint32_t version, const void *bytes,
		   size_t len)
{
	assert_string_equal(kind, "limit");
	assert_true(len <= sizeof file.bytes);
	memcpy(file.bytes, bytes, len);
	file.len = len;
	file.version = version;
	file.saves++;
	return 0;
}

static char *on_load(struct store *s, const char *kind, uint32_t version, size_t *len)
{
	assert_string_equal(kind, "limit");
	char *bytes = file.len && version == file.version ? malloc(file.len) : NULL;
	if (bytes)
		memcpy(bytes, file.bytes, file.len);
	*len = bytes ? file.len : 12345; /* of no use */
	return bytes;
}

static const struct store_ops ops = {.save = on_save, .load = on_load};
static struct store store = {&ops};

#define HEAD (sizeof(struct clock_mark) + 16)

static void what_changed_is_saved_once(void **state)
{
	struct limit *l = limit_new();
	struct address a = at(1);
	file.saves = 0;
	assert_int_equal(limit_save(l, &store), 0);
	assert_int_equal(file.saves, 0);
	limit_begin(l, &a, "", T0);
	assert_int_equal(limit_save(l, &store), 0);
	assert_int_equal(limit_save(l, &store), 0);
	assert_int_equal(file.saves, 1);
	assert_int_equal(file.len, HEAD + sizeof(struct count));
	limit_void(l, &a, "", T0);
	assert_int_equal(limit_save(l, &store), 0);
	assert_int_equal(file.saves, 2);
	limit_free(l);
}

/* A file of another program's, or one that is cut, is read as far as it goes and not beyond. */
static void a_file_is_not_believed(void **state)
{
	struct limit *l = limit_new(), *after;
	int64_t now = clock_now();
	struct address a = at(1);
	for (int i = 0; i < LIMIT_FREE; i++)
		limit_begin(l, &a, "", now);
	assert_int_equal(limit_save(l, &store), 0);
	struct count one;
	memcpy(&one, file.bytes + HEAD, sizeof one);
	for (size_t cut = 0; cut < file.len; cut++) {
		size_t whole = file.len;
		file.len = cut;
		after = limit_new();
		limit_load(after, &store);
		assert_int_equal(failures_of(after, &a), 0);
		file.len = whole;
		limit_free(after);
	}
	/* more of a bucket than it has places, and of a bucket that is not there */
	file.len = HEAD;
	for (uint32_t i = 0; i < WAYS + 3; i++, file.len += sizeof one) {
		struct count c = one;
		c.bucket = 5 + (i % 2 ? BUCKETS : 0);
		c.key[0] = (uint8_t)i;
		memcpy(file.bytes + file.len, &c, sizeof c);
	}
	after = limit_new();
	limit_load(after, &store);
	for (size_t i = 0; i < BUCKETS * WAYS; i++)
		assert_int_equal(after->counts[i].last != 0, i / WAYS == 5);
	for (size_t i = 0; i < WAYS; i++)
		assert_int_equal(after->counts[5 * WAYS + i].key[0], i);
	limit_free(after);
	limit_free(l);
}

/* A wait goes on over a restart, and a count that waits for nothing does not begin to. */
static void times_are_shifted_and_no_time_is_none(void **state)
{
	struct limit *l = limit_new(), *after = limit_new();
	int64_t now = clock_now();
	struct address a = at(1), b = at(2);
	for (int i = 0; i < LIMIT_FREE; i++)
		limit_begin(l, &a, "", now);
	limit_begin(l, &b, "", now);
	limit_void(l, &b, "", now);
	assert_int_equal(limit_save(l, &store), 0);
	struct clock_mark then;
	memcpy(&then, file.bytes, sizeof then);
	then.offset += 50 * S; /* that process's clock was ahead of this one's */
	memcpy(file.bytes, &then, sizeof then);
	limit_load(after, &store);
	const struct count *c = count_of(after, BY_ADDRESS, &a, "", 0);
	assert_non_null(c);
	assert_in_range(c->last, now - 50 * S - NS_PER_MS, now - 50 * S + NS_PER_MS);
	assert_int_equal(c->next - c->last, S);
	assert_int_equal(count_of(after, BY_ADDRESS, &b, "", 0)->next, 0);
	assert_memory_equal(after->salt, l->salt, sizeof l->salt);
	limit_free(l);
	limit_free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_of_a_bucket_goes_and_nobody_beside),
		cmocka_unit_test(an_attempt_counts_at_each_of_its_places),
		cmocka_unit_test(a_wait_doubles_to_its_end),
		cmocka_unit_test(each_failure_costs_its_wait),
		cmocka_unit_test(a_count_is_forgotten_to_the_nanosecond),
		cmocka_unit_test(a_stranger_waits_from_the_tenth_failure_on),
		cmocka_unit_test(what_was_right_did_not_fail),
		cmocka_unit_test(a_network_has_its_bits),
		cmocka_unit_test(what_changed_is_saved_once),
		cmocka_unit_test(a_file_is_not_believed),
		cmocka_unit_test(times_are_shifted_and_no_time_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
