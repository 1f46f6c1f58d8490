#include "state/encode.h"
#include "state/state.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

#define KIND    "ended"
#define VERSION 2 /* 1: without who is there now */

int state_save_ended(struct store *to, const struct state_end *list, size_t count, int64_t now)
{
	struct blob b;
	if (!blob_open(&b))
		return -ENOMEM;
	put_u64(b.to, (uint64_t)now);
	for (size_t i = 0; i < count; i++) {
		put_address(b.to, &list[i].at);
		put_u64(b.to, (uint64_t)list[i].since);
	}
	return blob_save(&b, to, KIND, VERSION);
}

unsigned state_load_ended(struct store *from, struct sessions *s, int64_t now)
{
	struct cursor c;
	struct session there;
	struct address a;
	int64_t shift, ended;
	unsigned count = 0;
	uint32_t version = from->ops->version(from, KIND) == 1 ? 1 : VERSION;
	char *bytes = blob_load(from, KIND, version, &c, &shift);
	ended = bytes ? clock_add((int64_t)cursor_u64(&c), shift) : 0;
	while (cursor_left(&c)) {
		take_address(&c, &a);
		int64_t after = version == 1 ? 0 : (int64_t)cursor_u64(&c);
		if (!c.bad && session_at(s, &a, now, &there) && there.since <= ended &&
		    (!after || there.since != clock_add(after, shift)))
			count += session_drop_address(s, &a);
	}
	if (c.bad)
		log_error("the state of sessions that were ended can't be read: who was signed out "
			  "in the last second before the end may be signed in again; tiergatectl "
			  "sessions");
	free(bytes);
	return count;
}
