#include "state/encode.h"
#include "state/state.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

#define KIND    "lockdowns"
#define VERSION 1

static void put_lockdown(FILE *to, const struct lockdown *l)
{
	put_u32(to, l->id);
	put_u8(to, l->of);
	put_address(to, &l->segment.base);
	put_u8(to, l->segment.bits);
	put_text(to, l->whom);
	put_u64(to, (uint64_t)l->since);
	put_u64(to, (uint64_t)l->until);
	put_text(to, l->by);
	put_u8(to, l->site_count);
	for (unsigned i = 0; i < l->site_count; i++)
		put_text(to, l->site[i]);
}

static void take_lockdown(struct cursor *c, struct lockdown *l)
{
	memset(l, 0, sizeof *l);
	l->id = cursor_u32(c);
	unsigned of = cursor_u8(c);
	take_address(c, &l->segment.base);
	l->segment.bits = cursor_u8(c);
	take_text(c, l->whom, sizeof l->whom);
	l->since = (int64_t)cursor_u64(c);
	l->until = (int64_t)cursor_u64(c);
	take_text(c, l->by, sizeof l->by);
	l->site_count = cursor_u8(c);
	if (of > LOCKDOWN_USER || l->segment.bits > 128 || l->site_count > LOCKDOWN_SITES)
		cursor_skip(c, cursor_left(c) + 1);
	l->of = of;
	for (unsigned i = 0; !c->bad && i < l->site_count; i++)
		take_text(c, l->site[i], sizeof l->site[i]);
}

int state_save_lockdowns(struct store *to, const struct lockdowns *l)
{
	struct blob b;
	if (!blob_open(&b))
		return -ENOMEM;
	put_u32(b.to, l->last);
	for (unsigned i = 0; i < l->count; i++)
		put_lockdown(b.to, &l->item[i]);
	return blob_save(&b, to, KIND, VERSION);
}

unsigned state_load_lockdowns(struct store *from, struct lockdowns *l, bool *lost)
{
	struct cursor c;
	int64_t shift; /* of another clock than theirs */
	char *bytes = blob_load(from, KIND, VERSION, &c, &shift);
	*l = (struct lockdowns){.generation = 1};
	if (bytes)
		l->last = cursor_u32(&c);
	while (cursor_left(&c) && l->count < LOCKDOWNS_MAX) {
		take_lockdown(&c, &l->item[l->count]);
		if (c.bad)
			break;
		l->count++;
	}
	*lost = c.bad || cursor_left(&c);
	if (*lost)
		log_error("the state of lockdowns can't be read: what was shut may be open; "
			  "tiergatectl lockdown list says what is left");
	free(bytes);
	return l->count;
}
