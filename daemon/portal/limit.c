#include "portal/limit.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "base/memstream.h"
#include "state/store.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define KIND    "limit"
#define VERSION 1
#define WAYS    16
#define BUCKETS 1024 /* of each a key has WAYS places; what failed longest ago goes */

enum kind { BY_ADDRESS, BY_USER, KNOWN, BY_NETWORK };

struct count {
	uint8_t key[16];
	uint32_t failures, bucket;
	int64_t last, next; /* ns; last 0: free */
};

struct limit {
	pthread_mutex_t lock;
	bool changed;
	uint8_t salt[16]; /* nobody can choose keys that fall together */
	struct count counts[BUCKETS * WAYS];
};

struct limit *limit_new(void)
{
	struct limit *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	if (getrandom(l->salt, sizeof l->salt, 0) != sizeof l->salt)
		abort();
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void limit_free(struct limit *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static struct address network_of(const struct address *a)
{
	struct address n = *a;
	if (!address_is4(a))
		memset(n.bytes + 8, 0, 8);
	return n;
}

/* The count of a key. Where there is none, a place is taken for it when `make` says so. */
/* Made at now, where that is not 0: its place is taken at once, as an attempt counts at several. */
static struct count *count_of(struct limit *l, enum kind kind, const struct address *a,
			      const char *user, int64_t now)
{
	struct sha256_ctx ctx;
	uint8_t key[SHA256_DIGEST_SIZE], tag = (uint8_t)kind;
	struct address o = kind == BY_NETWORK ? network_of(a) : *a;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof l->salt, l->salt);
	sha256_update(&ctx, 1, &tag);
	if (kind != BY_USER)
		sha256_update(&ctx, sizeof o.bytes, o.bytes);
	if (kind != BY_ADDRESS)
		sha256_update(&ctx, strlen(user), (const uint8_t *)user);
	sha256_digest(&ctx, sizeof key, key);
	uint32_t place = (uint32_t)(key[16] << 8 | key[17]) % BUCKETS;
	struct count *bucket = &l->counts[(size_t)place * WAYS];
	struct count *oldest = bucket;
	for (size_t i = 0; i < WAYS; i++) {
		if (bucket[i].last && memcmp(bucket[i].key, key, sizeof bucket[i].key) == 0)
			return &bucket[i];
		if (bucket[i].last < oldest->last)
			oldest = &bucket[i];
	}
	if (!now)
		return NULL;
	memset(oldest, 0, sizeof *oldest);
	memcpy(oldest->key, key, sizeof oldest->key);
	oldest->bucket = place;
	oldest->last = now;
	return oldest;
}

static struct count *fresh(struct count *c, int64_t now)
{
	if (c->last && now - c->last > LIMIT_FORGET * NS_PER_S)
		c->failures = 0;
	return c;
}

/* Doubles with each failure beyond the free ones. */
static int64_t wait_after(uint32_t failures, uint32_t unpunished, int64_t first)
{
	if (failures <= unpunished)
		return 0;
	uint32_t doubled = failures - unpunished - 1;
	int64_t wait = doubled < 16 ? first << doubled : LIMIT_LONGEST;
	return (wait < LIMIT_LONGEST ? wait : LIMIT_LONGEST) * NS_PER_S;
}

/* A host can take any address of its IPv6 /64, and so can its neighbours: for all of it, a user is
 * guessed at as from one address. Other users there do not wait for that, and nor does this one
 * where they have come from before. NULL: it does not count. */
static struct count *network(struct limit *l, const struct address *a, const char *user,
			     int64_t now)
{
	if (address_is4(a) || !user[0] || count_of(l, KNOWN, a, user, 0))
		return NULL;
	return fresh(count_of(l, BY_NETWORK, a, user, now), now);
}

static void fail(struct count *c, int64_t now)
{
	c->failures++;
	c->last = now;
	c->next = now + wait_after(c->failures, LIMIT_FREE - 1, 1);
}

static int64_t begin(struct limit *l, const struct address *a, const char *user, int64_t now)
{
	struct count *address = fresh(count_of(l, BY_ADDRESS, a, "", now), now);
	if (address->failures && now < address->next)
		return address->next - now;
	struct count *by_user = user[0] ? fresh(count_of(l, BY_USER, a, user, now), now) : NULL;
	bool guessed = by_user && by_user->failures >= LIMIT_USER;
	bool stranger = guessed && !count_of(l, KNOWN, a, user, 0);
	struct count *net = network(l, a, user, now);
	if (net && net->failures && now < net->next)
		return net->next - now;
	fail(address, now);
	if (stranger)
		address->next = now + wait_after(address->failures, 0, LIMIT_STRANGER);
	if (net)
		fail(net, now);
	if (by_user)
		fail(by_user, now);
	return 0;
}

int64_t limit_begin(struct limit *l, const struct address *a, const char *user, int64_t now)
{
	pthread_mutex_lock(&l->lock);
	int64_t wait = begin(l, a, user, now);
	l->changed = true;
	pthread_mutex_unlock(&l->lock);
	return wait;
}

static void take_back(struct count *c)
{
	if (!c || c->failures == 0)
		return;
	c->failures--;
	c->next = 0;
}

static void settle(struct limit *l, const struct address *a, const char *user, int64_t now,
		   bool good)
{
	pthread_mutex_lock(&l->lock);
	/* Earlier failures stay: else a right password of one's own would buy guesses at others'.
	 */
	take_back(count_of(l, BY_ADDRESS, a, "", 0));
	if (user[0]) {
		take_back(count_of(l, BY_USER, a, user, 0));
		take_back(count_of(l, BY_NETWORK, a, user, 0));
	}
	l->changed = true;
	if (good && user[0])
		count_of(l, KNOWN, a, user, now)->last = now;
	pthread_mutex_unlock(&l->lock);
}

void limit_good(struct limit *l, const struct address *a, const char *user, int64_t now)
{
	settle(l, a, user, now, true);
}

void limit_void(struct limit *l, const struct address *a, const char *user, int64_t now)
{
	settle(l, a, user, now, false);
}

/* ---- what outlives the process ---- */

int limit_save(struct limit *l, struct store *s)
{
	char *bytes = NULL;
	size_t len = 0;
	struct clock_mark mark;
	pthread_mutex_lock(&l->lock);
	bool changed = l->changed;
	FILE *f = changed ? memstream_open(&bytes, &len) : NULL;
	clock_mark(&mark);
	if (f) {
		fwrite(&mark, sizeof mark, 1, f);
		fwrite(l->salt, sizeof l->salt, 1, f);
	}
	for (size_t i = 0; f && i < BUCKETS * WAYS; i++)
		if (l->counts[i].last)
			fwrite(&l->counts[i], sizeof l->counts[i], 1, f);
	if (f && fclose(f) == 0)
		l->changed = false;
	pthread_mutex_unlock(&l->lock);
	if (!changed)
		return 0;
	int e = bytes ? s->ops->save(s, KIND, VERSION, bytes, len) : -ENOMEM;
	free(bytes);
	return e;
}

void limit_load(struct limit *l, struct store *s)
{
	size_t len = 0, used[BUCKETS] = {0};
	char *bytes = s->ops->load(s, KIND, VERSION, &len);
	struct cursor cursor = cursor_of(bytes ? bytes : "", bytes ? len : 0);
	struct clock_mark then, here;
	struct count one;
	clock_mark(&here);
	cursor_copy(&cursor, &then, sizeof then);
	cursor_copy(&cursor, l->salt, cursor_left(&cursor) >= sizeof l->salt ? sizeof l->salt : 0);
	int64_t shift = cursor.bad ? 0 : clock_shift(&then, &here);
	while (cursor_left(&cursor) >= sizeof one && cursor_copy(&cursor, &one, sizeof one)) {
		size_t bucket = one.bucket % BUCKETS;
		one.last = clock_add(one.last, shift);
		one.next = one.next ? clock_add(one.next, shift) : 0;
		if (used[bucket] == WAYS || one.last <= 0)
			continue;
		/* Whatever the file says, nobody waits longer than the longest. */
		if (one.last > here.now)
			one.last = here.now;
		if (one.next > one.last + LIMIT_LONGEST * NS_PER_S)
			one.next = one.last + LIMIT_LONGEST * NS_PER_S;
		l->counts[bucket * WAYS + used[bucket]++] = one;
	}
	free(bytes);
}
