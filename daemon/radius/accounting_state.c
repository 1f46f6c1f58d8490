/* What the sessions of accounting.c leave to the next process. The store has all of them as of the
 * last save, the journal each ending since; a record of either is a whole entry, and a later one
 * takes the place of an earlier. Times are kept as of CLOCK_BOOTTIME, which all processes of a boot
 * share: after another boot they are moved so that none is ahead of now, and what is remembered is
 * so for longer, never for shorter. */
#include "radius/accounting_table.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memstream.h"
#include "state/encode.h"
#include "state/store.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <unistd.h>

#define KIND        "radius"
#define VERSION     1
#define SUM         8           /* bytes of a journal record's checksum */
#define RECORD_MAX  1024        /* bytes */
#define JOURNAL_DUE (1 << 20)   /* bytes after which a save is due */
#define JOURNAL_MAX (16u << 20) /* and beyond which nothing is written */

enum { OPEN = 1, LOST = 2, REVIVES = 4, HAS_MAC = 8 };

/* ---- a record ---- */

/* clock_now less CLOCK_BOOTTIME: the same as long as the process lives. */
static int64_t offset(void)
{
	static int64_t kept;
	struct clock_mark mark;
	if (!kept) {
		clock_mark(&mark);
		kept = mark.offset;
	}
	return kept;
}

static void put_time(FILE *f, int64_t time)
{
	put_u64(f, (uint64_t)(time - offset()));
}

static void put_moment(FILE *f, const struct accounting_moment *m)
{
	put_u64(f, (uint64_t)m->said);
	put_time(f, m->heard);
}

static void put_entry(FILE *f, const struct accounting *a, uint32_t i, int64_t now)
{
	const struct entry *e = &a->entries[i];
	put_time(f, now);
	fwrite(e->nas, sizeof e->nas, 1, f);
	fwrite(e->behind, sizeof e->behind, 1, f);
	fwrite(e->session, sizeof e->session, 1, f);
	put_text(f, e->user);
	put_text(f, e->tier);
	fwrite(e->mac, sizeof e->mac, 1, f);
	put_u8(f, (e->state == ENTRY_OPEN ? OPEN : 0u) | (e->lost ? LOST : 0u) |
			  (e->revives ? REVIVES : 0u) | (e->has_mac ? HAS_MAC : 0u));
	put_moment(f, &e->started);
	put_moment(f, &e->last);
	put_u32(f, e->session_time);
	put_time(f, a->deadline[i]);
	put_u8(f, e->addresses);
	for (unsigned k = 0; k < e->addresses; k++)
		put_address(f, &e->at[k].address);
}

struct record {
	int64_t written, deadline;
	struct entry entry;
	struct address address[RADIUS_ADDRESSES];
	unsigned addresses;
};

static int64_t take_time(struct cursor *c)
{
	return clock_add((int64_t)cursor_u64(c), offset());
}

static void take_moment(struct cursor *c, struct accounting_moment *m)
{
	m->said = (int64_t)cursor_u64(c);
	m->heard = take_time(c);
}

static bool take_entry(struct cursor *c, struct record *r)
{
	struct entry *e = &r->entry;
	memset(r, 0, sizeof *r);
	r->written = take_time(c);
	cursor_copy(c, e->nas, sizeof e->nas);
	cursor_copy(c, e->behind, sizeof e->behind);
	cursor_copy(c, e->session, sizeof e->session);
	take_text(c, e->user, sizeof e->user);
	take_text(c, e->tier, sizeof e->tier);
	cursor_copy(c, e->mac, sizeof e->mac);
	unsigned flags = cursor_u8(c);
	e->state = flags & OPEN ? ENTRY_OPEN : ENTRY_ENDED;
	e->lost = flags & LOST;
	e->revives = flags & REVIVES;
	e->has_mac = flags & HAS_MAC;
	take_moment(c, &e->started);
	take_moment(c, &e->last);
	e->session_time = cursor_u32(c);
	r->deadline = take_time(c);
	r->addresses = cursor_u8(c);
	if (r->addresses > RADIUS_ADDRESSES)
		return false;
	for (unsigned k = 0; k < r->addresses; k++)
		take_address(c, &r->address[k]);
	return !c->bad;
}

/* ---- reading ---- */

/* By how much the times of a boot that is over are moved: none may lie ahead of now. */
static int64_t shift_of(int64_t latest, int64_t now)
{
	return latest > now ? now - latest : 0;
}

static void restore(struct accounting *a, const struct record *r, int64_t shift)
{
	uint32_t i = entry_find(a, r->entry.nas, r->entry.session);
	if (i == ACCOUNTING_NONE && (i = entry_new(a)) == ACCOUNTING_NONE)
		return;
	struct entry *e = &a->entries[i];
	if (e->state == ENTRY_FREE)
		entry_key(a, i, r->entry.nas, r->entry.behind, r->entry.session);
	entry_addresses_clear(a, i);
	memcpy(e->user, r->entry.user, sizeof e->user);
	memcpy(e->tier, r->entry.tier, sizeof e->tier);
	memcpy(e->mac, r->entry.mac, sizeof e->mac);
	e->has_mac = r->entry.has_mac;
	e->lost = r->entry.lost;
	e->revives = r->entry.revives;
	e->started = r->entry.started;
	e->last = r->entry.last;
	e->started.heard = clock_add(e->started.heard, shift);
	e->last.heard = clock_add(e->last.heard, shift);
	e->session_time = r->entry.session_time;
	e->unproven = r->entry.state == ENTRY_OPEN;
	entry_state_set(a, i, r->entry.state, clock_add(r->deadline, shift));
	for (unsigned k = 0; k < r->addresses; k++) {
		uint32_t other = entry_find_address(a, &r->address[k]);
		if (other != ACCOUNTING_NONE)
			entry_address_drop(a, other, &r->address[k]);
		entry_address_add(a, i, &r->address[k]);
	}
}

/* The next good record of a journal; false at its end, or where it is torn. */
static bool next_record(struct cursor *c, struct record *out)
{
	uint8_t sum[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;
	size_t len = cursor_u16(c);
	struct cursor body = cursor_sub(c, len);
	const uint8_t *kept = cursor_bytes(c, SUM);
	if (c->bad)
		return false;
	sha256_init(&ctx);
	sha256_update(&ctx, len, body.pos);
	sha256_digest(&ctx, sizeof sum, sum);
	return memcmp(sum, kept, SUM) == 0 && take_entry(&body, out);
}

static int64_t latest_of(struct cursor store, struct cursor journal)
{
	struct record r;
	int64_t latest = INT64_MIN;
	while (cursor_left(&store) && take_entry(&store, &r))
		latest = r.written > latest ? r.written : latest;
	while (cursor_left(&journal) && next_record(&journal, &r))
		latest = r.written > latest ? r.written : latest;
	return latest;
}

static void open_journal(struct accounting *a, const char *path)
{
	a->journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
			  0600);
	if (a->journal < 0)
		log_warn("%s: what ends cannot be kept at once: %s", path, strerror(errno));
}

void accounting_load(struct accounting *a, struct store *from, const char *path, int64_t now)
{
	size_t len = 0, journal_len = 0;
	char *bytes = from->ops->load(from, KIND, VERSION, &len), *tail = NULL;
	len = bytes ? len : 0;
	if (file_read(path, JOURNAL_MAX + RECORD_MAX, &tail, &journal_len) < 0)
		journal_len = 0;
	struct cursor store = cursor_of(bytes ? bytes : "", len);
	struct cursor journal = cursor_of(tail ? tail : "", journal_len);
	int64_t shift = shift_of(latest_of(store, journal), now);
	struct record r;
	while (cursor_left(&store) && take_entry(&store, &r))
		restore(a, &r, shift);
	while (cursor_left(&journal) && next_record(&journal, &r))
		restore(a, &r, shift);
	if (cursor_left(&journal) || journal.bad)
		log_warn("%s: its end is torn", path);
	free(bytes);
	free(tail);
	open_journal(a, path);
	a->journal_len = journal_len;
	a->changed = true; /* with the times of this boot, and an empty journal */
}

/* ---- writing ---- */

void entry_note(struct accounting *a, uint32_t i, int64_t now)
{
	uint8_t record[RECORD_MAX], sum[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;
	a->changed = true;
	if (a->journal < 0 || a->journal_len > JOURNAL_MAX)
		return;
	FILE *f = fmemopen(record + 2, sizeof record - 2 - SUM, "w");
	if (!f)
		return;
	put_entry(f, a, i, now);
	long len = ftell(f);
	if (fclose(f) != 0 || len <= 0)
		return;
	record[0] = (uint8_t)(len >> 8);
	record[1] = (uint8_t)len;
	sha256_init(&ctx);
	sha256_update(&ctx, (size_t)len, record + 2);
	sha256_digest(&ctx, sizeof sum, sum);
	memcpy(record + 2 + len, sum, SUM);
	size_t size = 2 + (size_t)len + SUM;
	if (write(a->journal, record, size) == (ssize_t)size)
		a->journal_len += size;
	else
		LOG_LIMITED(log_warn, now, "an ending of RADIUS cannot be kept: %s",
			    strerror(errno));
}

bool accounting_save_due(const struct accounting *a)
{
	return a->journal_len >= JOURNAL_DUE;
}

int accounting_save(struct accounting *a, struct store *to, int64_t now)
{
	char *bytes = NULL;
	size_t len = 0;
	if (!a->changed)
		return 0;
	FILE *f = memstream_open(&bytes, &len);
	if (!f)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->used_to; i++)
		if (a->entries[i].state != ENTRY_FREE && !a->entries[i].adopted)
			put_entry(f, a, i, now);
	int e = fclose(f) == 0 && bytes ? to->ops->save(to, KIND, VERSION, bytes, len) : -ENOMEM;
	free(bytes);
	if (e < 0)
		return e;
	a->changed = false;
	if (a->journal >= 0 && ftruncate(a->journal, 0) == 0)
		a->journal_len = 0;
	return 0;
}
