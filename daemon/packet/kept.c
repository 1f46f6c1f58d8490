#include "packet/kept.h"

#include "base/hash.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { RINGS = 16, DIGEST_WORDS = 64 };
#define KEPT_FEW                                                                                   \
	2048 /* bytes: what most say first; close together, so that few pages are touched */

/* Before its bytes each piece has a head. */
struct piece {
	uint64_t offset;
	uint32_t len;
};

struct keeper {
	struct kept_flow *owner; /* NULL: free */
	uint8_t *room;           /* pieces, oldest first: KEPT_FEW bytes, or KEPT_MAX */
	bool many;               /* it is the larger one */
	uint32_t used, last;     /* last: where the newest piece's head stands */
	uint64_t gone;           /* pieces before this offset went for want of room */
};

struct kept {
	struct hash_key key;
	uint32_t ring_size, next[RINGS]; /* next: who goes next */
	struct keeper *keeper;
	uint8_t *few, *many; /* of each keeper, in their order */
	uint32_t count;
};

/* Touched on use, by small pages. NULL where memory ran out. */
static uint8_t *rooms(uint32_t count, size_t size)
{
	void *p = mmap(NULL, count * size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

struct kept *kept_new(uint32_t count)
{
	struct kept *k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	k->ring_size = (count + RINGS - 1) / RINGS;
	count = k->ring_size * RINGS;
	k->count = count;
	k->keeper = calloc(count, sizeof *k->keeper);
	k->few = rooms(count, KEPT_FEW);
	k->many = rooms(count, KEPT_MAX);
	if (k->few && k->many && k->keeper && hash_key_random(&k->key))
		return k;
	kept_free(k);
	return NULL;
}

void kept_free(struct kept *k)
{
	if (!k)
		return;
	if (k->few)
		munmap(k->few, (size_t)k->count * KEPT_FEW);
	if (k->many)
		munmap(k->many, (size_t)k->count * KEPT_MAX);
	free(k->keeper);
	free(k);
}

static struct piece piece_at(const struct keeper *r, uint32_t at)
{
	struct piece p;
	memcpy(&p, r->room + at, sizeof p);
	return p;
}

/* A chain of SipHash over portions: equal only for equal bytes and lengths. */
static uint64_t digest(const struct kept *k, const uint8_t *bytes, size_t len)
{
	uint64_t words[DIGEST_WORDS + 1] = {len};
	while (len) {
		size_t n = len < DIGEST_WORDS * 8 ? len : DIGEST_WORDS * 8;
		words[(n + 7) / 8] = 0;
		memcpy(words + 1, bytes, n);
		words[0] = hash_words13(&k->key, words, 1 + (n + 7) / 8);
		bytes += n;
		len -= n;
	}
	return words[0];
}

static void drive_out(const struct kept *k, struct keeper *r)
{
	struct kept_flow *f = r->owner;
	if (!f)
		return;
	struct piece first = piece_at(r, 0);
	if (r->used && first.offset == 0) {
		f->whole = first.len;
		f->digest = digest(k, r->room + sizeof first, first.len);
	}
	f->keeper = NULL;
	r->owner = NULL;
}

static struct keeper *take(struct kept *k, struct kept_flow *f, const struct address *client)
{
	uint64_t host[2] = {0};
	memcpy(host, client->bytes, address_is4(client) ? 16 : 8); /* of IPv6 the /64 */
	uint32_t ring = hash_words(k->key.k, host, 2, 0) % RINGS;
	struct keeper *r = &k->keeper[ring * k->ring_size + k->next[ring]];
	k->next[ring] = (k->next[ring] + 1) % k->ring_size;
	drive_out(k, r);
	*r = (struct keeper){.owner = f, .room = k->few + (size_t)(r - k->keeper) * KEPT_FEW};
	f->keeper = r;
	f->whole = 0;
	return r;
}

/* Where `need` bytes more do not fit into the smaller room, the larger one is taken. */
static void make_larger(const struct kept *k, struct keeper *r, size_t need)
{
	if (r->many || r->used + need <= KEPT_FEW)
		return;
	uint8_t *many = k->many + (size_t)(r - k->keeper) * KEPT_MAX;
	memcpy(many, r->room, r->used);
	r->room = many;
	r->many = true;
}

/* The oldest pieces go until `need` bytes fit. */
static void make_room(struct keeper *r, uint32_t need)
{
	uint32_t at = 0;
	while (at < r->used && r->used - at + need > KEPT_MAX) {
		struct piece p = piece_at(r, at);
		r->gone = p.offset + p.len;
		at += sizeof p + p.len;
	}
	memmove(r->room, r->room + at, r->used - at);
	r->used -= at;
	r->last = r->last >= at ? r->last - at : 0;
}

/* Adjoining pieces become one. */
static bool extend(struct keeper *r, uint64_t offset, struct cursor bytes)
{
	struct piece p = r->used ? piece_at(r, r->last) : (struct piece){0};
	size_t n = cursor_left(&bytes);
	if (!r->used || p.offset + p.len != offset || r->used + n > KEPT_MAX)
		return false;
	memcpy(r->room + r->used, bytes.pos, n);
	r->used += (uint32_t)n;
	p.len += (uint32_t)n;
	memcpy(r->room + r->last, &p, sizeof p);
	return true;
}

void kept_add(struct kept *k, struct kept_flow *f, const struct address *client, uint64_t offset,
	      struct cursor bytes)
{
	size_t n = cursor_left(&bytes);
	uint64_t end = f->end;
	if (n == 0)
		return;
	f->end = offset + n;
	bool resumes = !f->keeper && end; /* what it kept before is gone */
	struct keeper *r = f->keeper ? f->keeper : take(k, f, client);
	if (resumes)
		r->gone = end;
	make_larger(k, r, n + sizeof(struct piece));
	if (extend(r, offset, bytes))
		return;
	if (n + sizeof(struct piece) > KEPT_MAX) {
		r->gone = f->end;
		return;
	}
	make_room(r, (uint32_t)(n + sizeof(struct piece)));
	struct piece p = {offset, (uint32_t)n};
	r->last = r->used;
	memcpy(r->room + r->used, &p, sizeof p);
	memcpy(r->room + r->used + sizeof p, bytes.pos, n);
	r->used += (uint32_t)(sizeof p + n);
}

static enum kept_check check_gone(const struct kept *k, const struct kept_flow *f, uint64_t offset,
				  struct cursor bytes)
{
	if (offset >= f->end)
		return KEPT_SAME;
	if (!f->whole || offset != 0 || cursor_left(&bytes) < f->whole || f->whole != f->end)
		return KEPT_GONE;
	return digest(k, bytes.pos, f->whole) == f->digest ? KEPT_SAME : KEPT_DIFFERENT;
}

/* Where a piece and a segment lie over each other, they have the same bytes. */
static bool agrees(const struct piece *p, const uint8_t *kept, uint64_t offset, struct cursor bytes)
{
	uint64_t end = offset + cursor_left(&bytes);
	uint64_t from = p->offset > offset ? p->offset : offset;
	uint64_t to = p->offset + p->len < end ? p->offset + p->len : end;
	return from >= to ||
	       memcmp(kept + (from - p->offset), bytes.pos + (from - offset), to - from) == 0;
}

enum kept_check kept_check(const struct kept *k, const struct kept_flow *f, uint64_t offset,
			   struct cursor bytes)
{
	const struct keeper *r = f->keeper;
	if (!r)
		return check_gone(k, f, offset, bytes);
	if (offset < r->gone)
		return KEPT_GONE;
	for (uint32_t at = 0; at < r->used;) {
		struct piece p = piece_at(r, at);
		if (!agrees(&p, r->room + at + sizeof p, offset, bytes))
			return KEPT_DIFFERENT;
		at += (uint32_t)sizeof p + p.len;
	}
	return KEPT_SAME;
}

void kept_drop(struct kept_flow *f)
{
	if (f->keeper)
		f->keeper->owner = NULL;
	*f = (struct kept_flow){0};
}
