/* store: where state that outlives the process is kept: a few named blobs, each read and written as
 * a whole. One in a folder is here; one shared by several gateways can take its place.
 *
 * A file is magic, kind, version, the bytes and a SHA-256 over all before it. One that is cut,
 * changed, of another kind or version counts as empty, and that is logged. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define STATE_KIND_MAX 16
#define STATE_MAX      (1024 * 1024 * 1024) /* bytes of one blob */

struct store;

struct store_ops {
	/* Keeps bytes under a kind (and for nobody else to see half of it); 0 or -errno. */
	int (*save)(struct store *s, const char *kind, uint32_t version, const void *bytes,
		    size_t len);
	/* What was last kept (the caller's, free); NULL where there is nothing good: *len is 0 then
	 * where nothing was kept, 1 where what was kept can't be used. */
	char *(*load)(struct store *s, const char *kind, uint32_t version, size_t *len);
	/* Of which version what was last kept says it is; 0: it says none. Whoever has read an
	 * older one asks before it loads. */
	uint32_t (*version)(struct store *s, const char *kind);
	void (*free)(struct store *s);
};

struct store {
	const struct store_ops *ops;
};

/* Files KIND.state in a folder that exists; NULL where memory ran out. */
struct store *store_folder_new(const char *folder);
