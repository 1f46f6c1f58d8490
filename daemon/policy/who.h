/* who: who is at an address: one answer for packets, questions and pages.
 *
 * Whoever is signed in there, else the host of the configuration, else the segment's tier. On a
 * segment of ours the neighbour table's word decides whose host that is; the MAC address in a
 * frame, which its sender chose, can only narrow it. */
#pragma once
#include "identity/onlink.h"
#include "identity/session.h"
#include "policy/snapshot.h"

struct who_from {
	const struct snapshot *snapshot;
	struct sessions *sessions;   /* NULL: nobody is signed in anywhere */
	const struct onlink *onlink; /* NULL: a capture, whose frames are believed */
};

/* Zeros behind the text, so that alike is alike byte for byte. */
struct who {
	char user[USER_MAX], tier[TIER_MAX];
};

struct who_at {
	struct who who; /* no user, no tier: nobody */
	bool signed_in;
	bool unconfirmed;       /* told by a frame alone, for the segment has not told yet */
	bool another;           /* the frame is not of the host that is at the address */
	struct session session; /* where signed_in */
};

/* frame: the sender's MAC address; NULL: none. narrow: a frame of another host makes it nobody's;
 * else the frame counts only where the segment has not told. now: of clock_now. Any thread that may
 * read the snapshot; no lock, no allocation. */
void who_at(const struct who_from *from, const struct address *a, const uint8_t *frame, bool narrow,
	    int64_t now, struct who_at *out);

/* Whether somebody is signed in there; the rest of out as well, but who. */
bool who_signed_in(const struct who_from *from, const struct address *a, const uint8_t *frame,
		   bool narrow, int64_t now, struct who_at *out);

/* A frame of another host than the one that is at the address. */
bool who_is_another(const struct onlink *onlink, const struct address *a, const uint8_t *frame);
