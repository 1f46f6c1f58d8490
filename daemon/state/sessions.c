#include "state/encode.h"
#include "state/state.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

#define KIND    "sessions"
#define VERSION 3

static void put_session(FILE *to, const struct session_view *v)
{
	const struct session *s = &v->session;
	put_text(to, s->user);
	put_text(to, s->tier);
	put_text(to, s->source);
	put_u64(to, (uint64_t)s->since);
	put_u64(to, (uint64_t)s->until);
	put_u64(to, (uint64_t)s->idle);
	put_u64(to, (uint64_t)s->last_seen);
	put_u8(to, s->has_mac + s->mac_told);
	fwrite(s->mac, sizeof s->mac, 1, to);
	put_u8(to, v->address_count);
	for (unsigned i = 0; i < v->address_count; i++)
		put_address(to, &v->address[i]);
}

static void take_session(struct cursor *c, struct session_view *v)
{
	struct session *s = &v->session;
	memset(v, 0, sizeof *v);
	take_text(c, s->user, sizeof s->user);
	take_text(c, s->tier, sizeof s->tier);
	take_text(c, s->source, sizeof s->source);
	s->since = (int64_t)cursor_u64(c);
	s->until = (int64_t)cursor_u64(c);
	s->idle = (int64_t)cursor_u64(c);
	s->last_seen = (int64_t)cursor_u64(c);
	uint8_t mac = cursor_u8(c); /* 2: told */
	s->has_mac = mac == 1 || mac == 2;
	s->mac_told = mac == 2;
	cursor_copy(c, s->mac, sizeof s->mac);
	v->address_count = cursor_u8(c);
	if (v->address_count == 0 || v->address_count > SESSION_ADDRESSES)
		cursor_skip(c, cursor_left(c) + 1);
	for (unsigned i = 0; !c->bad && i < v->address_count; i++)
		take_address(c, &v->address[i]);
}

int state_save_sessions(struct store *to, struct sessions *s)
{
	struct session_view v;
	struct blob b;
	uint32_t slot = 0;
	if (!blob_open(&b))
		return -ENOMEM;
	while (session_each(s, &slot, &v))
		put_session(b.to, &v);
	return blob_save(&b, to, KIND, VERSION);
}

/* To the times of this process. */
static void move(struct session *s, int64_t shift)
{
	s->since = clock_add(s->since, shift);
	s->last_seen = clock_add(s->last_seen, shift);
	if (s->until)
		s->until = clock_add(s->until, shift);
}

/* False where it has ended, or where the table has no room. */
static bool restore(struct sessions *s, const struct session_view *v, int64_t now)
{
	struct session opened;
	if (session_open(s, &v->address[0], &v->session, v->session.last_seen) < 0)
		return false;
	if (!session_at(s, &v->address[0], now, &opened)) {
		session_close_address(s, &v->address[0]);
		return false;
	}
	for (unsigned i = 1; i < v->address_count; i++)
		if (session_add_address(s, opened.id, &v->address[i]) < 0)
			log_warn("an address of %s does not fit the session table", opened.user);
	return true;
}

unsigned state_load_sessions(struct store *from, struct sessions *s, int64_t now)
{
	struct session_view v;
	struct cursor c;
	int64_t shift;
	unsigned count = 0, left_out = 0;
	char *bytes = blob_load(from, KIND, VERSION, &c, &shift);
	while (cursor_left(&c)) {
		take_session(&c, &v);
		if (c.bad)
			break;
		move(&v.session, shift);
		if (restore(s, &v, now))
			count++;
		else
			left_out++;
	}
	if (c.bad)
		log_warn("the state of sessions ends in the middle of one");
	if (left_out)
		log_info("%u sessions have ended meanwhile or do not fit", left_out);
	free(bytes);
	return count;
}
