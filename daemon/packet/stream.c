#include "packet/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXTENTS_MAX 64

/* Bytes from..to are there. */
struct extent {
	uint32_t from, to;
};

struct stream {
	uint8_t *data;
	struct stream **owner;          /* while it is kept */
	struct stream *earlier, *later; /* of those that are kept */
	uint32_t count;
	struct extent extent[EXTENTS_MAX]; /* sorted; between two there is always a hole */
};

struct stream_pool {
	uint8_t *data;
	size_t size, unused; /* unused: streams on the stack of free ones */
	struct stream *stream;
	struct stream **free;
	struct stream kept; /* the ring of those that are kept: kept.later is the oldest */
};

struct stream_pool *stream_pool_new(size_t count)
{
	struct stream_pool *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->size = count * STREAM_MAX;
	p->stream = calloc(count, sizeof *p->stream);
	p->free = calloc(count, sizeof(struct stream *));
	p->data = mmap(NULL, p->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->data == MAP_FAILED || !p->stream || !p->free) {
		stream_pool_free(p);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		p->stream[i].data = p->data + i * STREAM_MAX;
		p->free[count - 1 - i] = &p->stream[i];
	}
	p->unused = count;
	p->kept.earlier = p->kept.later = &p->kept;
	return p;
}

void stream_pool_free(struct stream_pool *p)
{
	if (!p)
		return;
	if (p->data != MAP_FAILED)
		munmap(p->data, p->size);
	free(p->stream);
	free(p->free);
	free(p);
}

bool stream_is_kept(const struct stream *s)
{
	return s->owner != NULL;
}

void stream_use(struct stream_pool *p, struct stream *s)
{
	if (!s->owner)
		return;
	s->owner = NULL;
	s->earlier->later = s->later;
	s->later->earlier = s->earlier;
}

void stream_keep(struct stream_pool *p, struct stream *s, struct stream **owner)
{
	stream_use(p, s);
	s->owner = owner;
	s->earlier = p->kept.earlier;
	s->later = &p->kept;
	s->earlier->later = s->later->earlier = s;
}

static struct stream *take_oldest(struct stream_pool *p)
{
	struct stream *s = p->kept.later;
	if (s == &p->kept)
		return NULL;
	*s->owner = NULL;
	stream_use(p, s);
	return s;
}

struct stream *stream_get(struct stream_pool *p)
{
	struct stream *s = p->unused ? p->free[--p->unused] : take_oldest(p);
	if (s)
		s->count = 0;
	return s;
}

void stream_put(struct stream_pool *p, struct stream *s)
{
	stream_use(p, s);
	p->free[p->unused++] = s;
}

/* The first extent that touches or follows an offset. */
static uint32_t find(const struct stream *s, uint32_t from)
{
	uint32_t i = 0;
	while (i < s->count && s->extent[i].to < from)
		i++;
	return i;
}

static bool agrees(const struct stream *s, uint32_t first, struct extent new, const uint8_t *bytes)
{
	for (uint32_t i = first; i < s->count && s->extent[i].from < new.to; i++) {
		struct extent old = s->extent[i];
		uint32_t from = old.from > new.from ? old.from : new.from;
		uint32_t to = old.to < new.to ? old.to : new.to;
		if (from < to && memcmp(s->data + from, bytes + (from - new.from), to - from) != 0)
			return false;
	}
	return true;
}

/* Puts a new extent in the place of those that it touches. */
static bool insert(struct stream *s, uint32_t first, struct extent new)
{
	uint32_t last = first;
	for (; last < s->count && s->extent[last].from <= new.to; last++) {
		if (s->extent[last].from < new.from)
			new.from = s->extent[last].from;
		if (s->extent[last].to > new.to)
			new.to = s->extent[last].to;
	}
	if (last == first && s->count == EXTENTS_MAX)
		return false;
	memmove(&s->extent[first + 1], &s->extent[last], (s->count - last) * sizeof s->extent[0]);
	s->extent[first] = new;
	s->count += first + 1 - last;
	return true;
}

enum stream_add stream_add(struct stream *s, uint64_t offset, const void *bytes, size_t len)
{
	if (len == 0)
		return STREAM_OK;
	if (offset >= STREAM_MAX)
		return STREAM_FULL;
	size_t fits = len < STREAM_MAX - offset ? len : STREAM_MAX - (size_t)offset;
	struct extent new = {(uint32_t)offset, (uint32_t)(offset + fits)};
	uint32_t first = find(s, new.from);
	if (!agrees(s, first, new, bytes))
		return STREAM_CONFLICT;
	if (!insert(s, first, new))
		return STREAM_FULL;
	memcpy(s->data + new.from, bytes, fits);
	return fits < len ? STREAM_FULL : STREAM_OK;
}

bool stream_has(const struct stream *s, uint64_t offset, size_t len)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->extent[i].from <= offset && offset + len <= s->extent[i].to)
			return true;
	return false;
}

struct cursor stream_head(const struct stream *s)
{
	return cursor_of(s->data, s->count && s->extent[0].from == 0 ? s->extent[0].to : 0);
}

uint64_t stream_end(const struct stream *s)
{
	return s->count ? s->extent[s->count - 1].to : 0;
}

void stream_forget(struct stream *s, uint64_t count)
{
	uint32_t gone = count < STREAM_MAX ? (uint32_t)count : STREAM_MAX, kept = 0;
	for (uint32_t i = 0; i < s->count; i++) {
		struct extent e = s->extent[i];
		if (e.to <= gone)
			continue;
		uint32_t from = e.from > gone ? e.from : gone;
		memmove(s->data + (from - gone), s->data + from, e.to - from);
		s->extent[kept++] = (struct extent){from - gone, e.to - gone};
	}
	s->count = kept;
}
