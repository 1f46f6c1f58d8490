/* stream: the first bytes of one direction, joined by offset: TCP segments by sequence number,
 * others by offsets of their own. Bounded; buffers come from a worker's pool. */
#pragma once
#include "base/cursor.h"
#include <stddef.h>
#include <stdint.h>

/* Bytes from the start that can be joined: a message of 64 KiB in records of 84 bytes or more, with
 * what may stand before it. */
#define STREAM_MAX (65536 + 4096)

struct stream;
struct stream_pool;

/* count streams of STREAM_MAX bytes, reserved now (pages are touched on use). */
struct stream_pool *stream_pool_new(size_t count);
void stream_pool_free(struct stream_pool *p);
struct stream *stream_get(struct stream_pool *p); /* empty; NULL where all are in use */
void stream_put(struct stream_pool *p, struct stream *s);

/* Keeps a stream only to compare with it what comes again: where no other is free the one that was
 * kept first is taken by stream_get, and *owner (where the caller keeps its pointer) becomes NULL.
 * Keeping it once more makes it the last. */
void stream_keep(struct stream_pool *p, struct stream *s, struct stream **owner);
/* It joins again: nobody takes it. */
void stream_use(struct stream_pool *p, struct stream *s);
bool stream_is_kept(const struct stream *s);

enum stream_add {
	STREAM_OK,
	STREAM_CONFLICT, /* an overlap with other bytes than those that are there: none was added */
	STREAM_FULL,     /* past STREAM_MAX (what fits was added), or more holes than are kept */
};

/* Adds bytes at an offset; any order, repeats and overlaps of the same bytes are fine. */
enum stream_add stream_add(struct stream *s, uint64_t offset, const void *bytes, size_t len);

/* Whether all of len bytes at an offset are there. */
bool stream_has(const struct stream *s, uint64_t offset, size_t len);

/* The bytes from offset 0 up to the first hole. Valid until the next add or put. */
struct cursor stream_head(const struct stream *s);

/* The offset after the last byte that is there, holes or not. */
uint64_t stream_end(const struct stream *s);

/* Forgets the first count bytes: what follows them, holes and all, begins at offset 0. */
void stream_forget(struct stream *s, uint64_t count);
