/* kept: the bytes of a TCP flow that were judged and passed, until its server has answered. What a
 * client sends in their place has to be the same: the server may never have got the first of them
 * (RFC 9293 3.4: what it has not acknowledged, it takes from whoever repeats it).
 *
 * A flow keeps pieces of its stream by offset. Places between them are free: nobody judged what
 * stands there. Bounded and a worker's own: the oldest keeper of a ring goes first, and a host has
 * one ring of sixteen, so that no host can drive out what all others keep. Of a flow that went, a
 * digest of its first piece stays: repeated whole, it passes. */
#pragma once
#include "base/address.h"
#include "base/cursor.h"

struct kept;
struct keeper;

/* A flow's own part; all zero at first. */
struct kept_flow {
	struct keeper *keeper; /* NULL: nothing is kept, or it is gone */
	uint64_t end;          /* the offset after the last piece */
	uint64_t digest; /* where it is gone: of the first piece, `whole` bytes from offset 0; */
	uint32_t whole;  /* 0: there was none such */
};

/* count flows can keep at once; NULL where memory ran out. */
struct kept *kept_new(uint32_t count);
void kept_free(struct kept *k);

/* Keeps bytes of a flow, which begin at an offset at or after its last piece's end. Where one
 * flow's pieces fill their room (KEPT_MAX) its oldest go. */
#define KEPT_MAX (65536 + 4096)
void kept_add(struct kept *k, struct kept_flow *f, const struct address *client, uint64_t offset,
	      struct cursor bytes);

enum kept_check {
	KEPT_SAME,      /* as far as anything is kept there */
	KEPT_DIFFERENT, /* a byte that was judged has another value now */
	KEPT_GONE,      /* what was judged there is not known any more */
};

/* Compares a segment's bytes with what is kept in their places. */
enum kept_check kept_check(const struct kept *k, const struct kept_flow *f, uint64_t offset,
			   struct cursor bytes);

/* The flow keeps nothing any more. */
void kept_drop(struct kept_flow *f);
