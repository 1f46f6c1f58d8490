/* RADIUS as a whole, behind the authenticators: packets of attributes, one after another, from
 * three clients, with time going on, the daemon coming and going, and the portal ending. The daemon
 * is a list of addresses; after each packet no address is of two sessions, what is open is there
 * for a reason, and a Stop that was taken has ended what it names. */
#include "radius/accounting.h"
#include "radius/report.h"
#include "base/clock.h"
#include "state/store.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 64

static struct {
	struct address address;
	unsigned session;
} at[ROOM];
static unsigned count, serial;
static bool away;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static int find(const struct address *a)
{
	for (unsigned i = 0; i < count; i++)
		if (address_equal(&at[i].address, a))
			return (int)i;
	return -1;
}

static enum accounting_result drop(void *ctx, const struct address *a)
{
	int i = find(a);
	if (!away && i >= 0)
		at[i] = at[--count];
	return away ? ACCOUNTING_AWAY : ACCOUNTING_DONE;
}

static enum accounting_result close_all(void *ctx, const struct address *a)
{
	int i = find(a);
	unsigned session = i >= 0 ? at[i].session : 0, kept = 0;
	if (away)
		return ACCOUNTING_AWAY;
	for (unsigned k = 0; k < count; k++)
		if (at[k].session != session)
			at[kept++] = at[k];
	count = kept;
	return ACCOUNTING_DONE;
}

static enum accounting_result put(const struct address *a, unsigned session)
{
	if (count == ROOM)
		return ACCOUNTING_FULL;
	at[count].address = *a;
	at[count++].session = session;
	return ACCOUNTING_DONE;
}

static enum accounting_result open_one(void *ctx, const struct address *a, const char *user,
				       const char *tier, const uint8_t mac[6])
{
	require(user[0] && tier[0]);
	if (away)
		return ACCOUNTING_AWAY;
	if (strcmp(tier, "gone") == 0)
		return ACCOUNTING_NO_TIER;
	close_all(NULL, a);
	return put(a, ++serial);
}

static enum accounting_result add(void *ctx, const struct address *with, const struct address *a)
{
	int i = find(with);
	if (away)
		return ACCOUNTING_AWAY;
	if (i < 0)
		return ACCOUNTING_ENDED;
	unsigned session = at[i].session;
	if (find(a) >= 0 && at[find(a)].session == session)
		return ACCOUNTING_DONE;
	close_all(NULL, a);
	return put(a, session);
}

static const struct accounting_ops ops = {open_one, add, drop, close_all};

/* A store in memory. */
static char *kept;
static size_t kept_len;

static int keep(struct store *s, const char *kind, uint32_t version, const void *bytes, size_t len)
{
	free(kept);
	kept = malloc(len + 1);
	memcpy(kept, bytes, len);
	kept_len = len;
	return 0;
}

static char *give(struct store *s, const char *kind, uint32_t version, size_t *len)
{
	char *copy = kept ? malloc(kept_len + 1) : NULL;
	if (copy)
		memcpy(copy, kept, kept_len);
	*len = copy ? kept_len : 0;
	return copy;
}

static const struct store_ops store_ops = {.save = keep, .load = give};
static struct store store = {&store_ops};

static void one_packet(struct accounting *a, const struct radius_settings *c, struct cursor *in,
		       uint8_t which, int64_t now)
{
	static const struct radius_attribute tier = {.type = 25};
	uint8_t bytes[20 + 255] = {RADIUS_ACCOUNTING_REQUEST};
	struct radius_client row = {.network.bits = which & 1,
				    .clock = (enum radius_clock)(which >> 2 & 1)};
	struct address from = {.bytes = {[15] = which & 3}};
	struct radius_request r;
	struct accounting_report report;
	size_t len = cursor_u8(in);
	len = len < cursor_left(in) ? len : cursor_left(in);
	cursor_copy(in, bytes + 20, len);
	bytes[2] = (uint8_t)((20 + len) >> 8);
	bytes[3] = (uint8_t)(20 + len);
	if (radius_parse(bytes, 20 + len, &tier, &r) != PARSE_OK)
		return;
	radius_report(c, &row, &r, &from, 1800000000 * NS_PER_S + now, now, &report);
	enum accounting_result did = accounting_take(a, &report, now);
	if (report.status == RADIUS_STOP && did == ACCOUNTING_DONE) {
		/* the same report again is of what has ended, and what it names is not open */
		unsigned before = count;
		accounting_take(a, &report, now);
		require(count <= before);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);
	struct radius_settings c = {.interim = 60 * NS_PER_S, .missed = 3};
	struct accounting *a = accounting_new(16, 300 * NS_PER_S, &ops, NULL);
	int64_t now = 1000 * NS_PER_S;
	count = serial = 0;
	away = false;
	while (cursor_left(&in)) {
		uint8_t step = cursor_u8(&in);
		away = step == 0xfe ? !away : away;
		now += step & 0x10 ? (step & 0xe0) * NS_PER_S : 0;
		if (step == 0xff) {
			struct accounting_report none = {.lasts = NS_PER_S};
			require(accounting_save(a, &store, now) == 0);
			accounting_free(a);
			a = accounting_new(16, 300 * NS_PER_S, &ops, NULL);
			accounting_load(a, &store, "/dev/null", now);
			accounting_adopt(a, &none, now);
		} else {
			one_packet(a, &c, &in, step, now);
		}
		accounting_sweep(a, now);
		for (unsigned i = 0; i < count; i++)
			require(find(&at[i].address) == (int)i);
		struct accounting_counters counters;
		accounting_count(a, &counters);
		require(counters.open + counters.ended <= 16);
		require(!count || counters.open || away);
	}
	away = false;
	accounting_sweep(a, INT64_MAX / 2);
	require(count == 0 || kept); /* all that was opened ends */
	accounting_free(a);
	free(kept);
	kept = NULL;
	return 0;
}
