#include "policy/who.h"

#include "policy/quota.h"

/* What is known of an address's host. */
struct sender {
	const uint8_t *mac; /* NULL: none that counts */
	uint8_t told[6];
};

static void look(const struct onlink *onlink, const struct address *a, const uint8_t *frame,
		 bool narrow, struct sender *from, struct who_at *out)
{
	from->mac = frame;
	out->unconfirmed = out->another = false;
	if (!onlink)
		return;
	switch (onlink_at(onlink, a, from->told)) {
	case ONLINK_HERE:
		from->mac = from->told;
		out->another = narrow && frame && memcmp(frame, from->told, sizeof from->told) != 0;
		break;
	case ONLINK_UNCONFIRMED: out->unconfirmed = true; break;
	case ONLINK_ELSEWHERE: from->mac = NULL; break;
	}
}

/* A session that has a host is that host's alone; frame is the router's where it is elsewhere. */
static bool is_of(const struct session *s, const struct sender *from, const uint8_t *frame)
{
	const uint8_t *mac = from->mac ? from->mac : frame;
	return !s->has_mac || !mac || memcmp(s->mac, mac, sizeof s->mac) == 0;
}

static bool find_session(struct sessions *sessions, const struct address *a,
			 const struct sender *from, int64_t now, struct session *s)
{
	return sessions && (session_at(sessions, a, now, s) ||
			    (from->mac && session_of_host(sessions, a, from->mac, now, s)));
}

static bool signed_in(const struct who_from *from, const struct address *a, const uint8_t *frame,
		      bool narrow, int64_t now, struct sender *sender, struct who_at *out)
{
	look(from->onlink, a, frame, narrow, sender, out);
	out->signed_in = find_session(from->sessions, a, sender, now, &out->session) &&
			 !out->another && is_of(&out->session, sender, frame);
	return out->signed_in;
}

bool who_signed_in(const struct who_from *from, const struct address *a, const uint8_t *frame,
		   bool narrow, int64_t now, struct who_at *out)
{
	struct sender sender;
	return signed_in(from, a, frame, narrow, now, &sender, out);
}

static void text_copy(char *to, size_t room, const char *from)
{
	memcpy(to, from, strnlen(from, room - 1));
}

static void set(struct who *who, const char *user, const char *tier)
{
	memset(who, 0, sizeof *who);
	text_copy(who->user, sizeof who->user, user);
	text_copy(who->tier, sizeof who->tier, tier ? tier : "");
}

/* Who has a tier by the network alone has a quota as a host: which one is waited for, too. */
void who_at(const struct who_from *from, const struct address *a, const uint8_t *frame, bool narrow,
	    int64_t now, struct who_at *out)
{
	struct sender sender;
	const char *user, *nobody;
	if (signed_in(from, a, frame, narrow, now, &sender, out)) {
		memcpy(out->who.user, out->session.user, sizeof out->who.user);
		memcpy(out->who.tier, out->session.tier, sizeof out->who.tier);
		return;
	}
	const uint8_t *mac = out->another ? NULL : sender.mac;
	const char *tier = snapshot_static(from->snapshot, a, mac, &user);
	bool other = tier != snapshot_static(from->snapshot, a, NULL, &nobody);
	out->unconfirmed &= other || (!user[0] && snapshot_has_quotas(from->snapshot));
	set(&out->who, user, tier);
}

bool who_is_another(const struct onlink *onlink, const struct address *a, const uint8_t *frame)
{
	struct sender from;
	struct who_at out;
	look(onlink, a, frame, true, &from, &out);
	return out.another;
}
