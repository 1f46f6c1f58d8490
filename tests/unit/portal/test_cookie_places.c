/* Where cookies are kept, from within: each place of the table, and each byte of what is saved. */
#include "unit.h"

#include "portal/cookie.c"

#define S  NS_PER_S
#define T0 (1000 * S)

static struct cookies *c;

static int begin(void **state)
{
	c = cookies_new();
	return c ? 0 : -1;
}

static int end(void **state)
{
	cookies_free(c);
	return 0;
}

/* A hash of a bucket. */
static void hash_in(uint8_t hash[SHA256_DIGEST_SIZE], size_t bucket, uint8_t last)
{
	memset(hash, 0, SHA256_DIGEST_SIZE);
	hash[0] = (uint8_t)(bucket >> 8);
	hash[1] = (uint8_t)bucket;
	hash[SHA256_DIGEST_SIZE - 1] = last;
}

static struct slot *take(size_t bucket, uint8_t last, int64_t until)
{
	uint8_t hash[SHA256_DIGEST_SIZE];
	hash_in(hash, bucket, last);
	struct slot *s = place_for(c, hash);
	memcpy(s->hash, hash, sizeof hash);
	s->cookie.until = until;
	return s;
}

/* Each hash has its bucket; what ends first goes from it, and nobody beside. */
static void what_ends_first_goes_and_nobody_beside(void **state)
{
	static const size_t buckets[] = {0, 1, 17, BUCKETS - 2, BUCKETS - 1};
	uint8_t hash[SHA256_DIGEST_SIZE];
	for (size_t b = 0; b < 5; b++) {
		size_t bucket = buckets[b];
		memset(c->slots, 0, sizeof c->slots);
		hash_in(hash, bucket, 0);
		assert_ptr_equal(bucket_of(c, hash), &c->slots[bucket * WAYS]);
		if (bucket + 1 < BUCKETS)
			take(bucket + 1, 99, 1);
		for (uint8_t i = 0; i < WAYS; i++) /* the fourth ends first */
			assert_ptr_equal(take(bucket, i, i == 3 ? 50 : 100 + i),
					 &c->slots[bucket * WAYS + i]);
		assert_ptr_equal(take(bucket, 40, 200), &c->slots[bucket * WAYS + 3]);
		assert_ptr_equal(take(bucket, 41, 200), &c->slots[bucket * WAYS]);
		assert_ptr_equal(take(bucket, 40, 200), &c->slots[bucket * WAYS + 3]);
		for (uint8_t i = 0; i < WAYS; i++) {
			hash_in(hash, bucket, i);
			assert_int_equal(find(c, hash) != NULL, i != 3 && i != 0);
		}
		hash_in(hash, bucket + 1, 99);
		assert_int_equal(find(c, hash) != NULL, bucket + 1 < BUCKETS);
	}
}

/* ---- a file ---- */

static char *file;
static size_t file_len;
static uint32_t file_version;
static unsigned saves;

static int on_save(struct store *s, const char *kind, uint32_t version, const void *bytes,
		   size_t len)
{
	assert_string_equal(kind, "cookies");
	free(file);
	file = malloc(len);
	memcpy(file, bytes, len);
	file_len = len;
	file_version = version;
	saves++;
	return 0;
}

static char *on_load(struct store *s, const char *kind, uint32_t version, size_t *len)
{
	assert_string_equal(kind, "cookies");
	char *bytes = file && version == file_version ? malloc(file_len + 1) : NULL;
	if (bytes)
		memcpy(bytes, file, file_len);
	*len = bytes ? file_len : 12345; /* of no use */
	return bytes;
}

static const struct store_ops ops = {.save = on_save, .load = on_load};
static struct store store = {&ops};

static void each_place_is_saved_and_comes_back(void **state)
{
	int64_t now = clock_now();
	for (size_t i = 0; i < BUCKETS; i++)
		for (uint8_t n = 0; n < WAYS; n++)
			take(i, n, now + 3600 * S + n);
	c->changed = true;
	assert_int_equal(cookies_save(c, &store), 0);
	assert_int_equal(file_len, sizeof(struct clock_mark) + COOKIES_MAX * sizeof(struct slot));
	struct cookies *after = cookies_new();
	cookies_load(after, &store, now);
	for (size_t i = 0; i < COOKIES_MAX; i++)
		assert_memory_equal(after->slots[i].hash, c->slots[i].hash, SHA256_DIGEST_SIZE);
	cookies_free(after);
	memset(c->slots, 0, sizeof c->slots);
	c->changed = true;
	assert_int_equal(cookies_save(c, &store), 0);
	assert_int_equal(file_len, sizeof(struct clock_mark)); /* free places are left out */
}

/* What changes is saved once: a new cookie, one that goes; and one that is not there changes none.
 */
static void what_changed_is_saved_once(void **state)
{
	struct token t = token_new(), other = token_new();
	const struct cookie what = {.user = "ann", .until = clock_now() + 3600 * S};
	saves = 0;
	assert_int_equal(cookies_save(c, &store), 0);
	cookies_drop(c, &other);
	assert_int_equal(cookies_save(c, &store), 0);
	assert_int_equal(saves, 0);
	cookies_put(c, &t, &what, clock_now());
	assert_int_equal(cookies_save(c, &store), 0);
	assert_int_equal(cookies_save(c, &store), 0);
	assert_int_equal(saves, 1);
	cookies_drop(c, &t);
	assert_int_equal(cookies_save(c, &store), 0);
	assert_int_equal(saves, 2);
	struct cookie ended = what;
	ended.until = T0;
	cookies_put(c, &t, &ended, T0); /* it has ended already */
	assert_int_equal(cookies_save(c, &store), 0);
	assert_int_equal(saves, 2);
}

/* A file that is cut is read as far as it goes; what has ended meanwhile is left out. */
static void a_file_is_not_believed(void **state)
{
	int64_t now = clock_now();
	take(5, 1, now + 100 * S);
	take(6, 1, now + 200 * S);
	c->changed = true;
	assert_int_equal(cookies_save(c, &store), 0);
	size_t whole = file_len;
	for (size_t cut = 0; cut <= whole; cut++) {
		size_t count = 0,
		       want = cut < sizeof(struct clock_mark)
				      ? 0
				      : (cut - sizeof(struct clock_mark)) / sizeof(struct slot);
		struct cookies *after = cookies_new();
		file_len = cut;
		cookies_load(after, &store, now);
		for (size_t i = 0; i < COOKIES_MAX; i++)
			count += after->slots[i].cookie.until != 0;
		assert_int_equal(count, want);
		cookies_free(after);
		cut += cut < whole - 1 ? 30 : 0;
	}
	file_len = whole;
	struct clock_mark then;
	memcpy(&then, file, sizeof then);
	then.offset += 150 * S; /* that process's clock was ahead of this one's */
	memcpy(file, &then, sizeof then);
	struct cookies *after = cookies_new();
	cookies_load(after, &store, now);
	assert_int_equal(after->slots[5 * WAYS].cookie.until, 0);
	assert_in_range(after->slots[6 * WAYS].cookie.until, now + 50 * S - NS_PER_MS,
			now + 50 * S + NS_PER_MS);
	cookies_free(after);
	file_version++;
	after = cookies_new();
	cookies_load(after, &store, now); /* nothing good is there */
	assert_int_equal(after->slots[6 * WAYS].cookie.until, 0);
	cookies_free(after);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(what_ends_first_goes_and_nobody_beside),
		WITH(each_place_is_saved_and_comes_back),
		WITH(what_changed_is_saved_once),
		WITH(a_file_is_not_believed),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(file);
	return failed;
}
