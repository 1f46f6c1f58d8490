/* watch: decisions on their way from the sink's thread to those who watch, and the recent denials
 * that the portal shows to the person denied. */
#pragma once
#include "base/decision.h"
#include "base/ring.h"
#include <jansson.h>
#include <stdatomic.h>
#include <systemd/sd-event.h>

struct client;
struct control;

/* A client's view of the stream; all members empty: everything. */
struct watch {
	bool on, text, colour;
	json_int_t id;
	uint64_t lost, ring_lost_seen;
	char user[USER_MAX], tier[TIER_MAX], action[8], name[HOST_MAX + 1];
	bool has_address;
	struct address address;
};

struct watching {
	struct ring *ring;
	int event_fd;
	sd_event_source *io;
	_Atomic bool woken;
	_Atomic unsigned watchers;
	struct decision *denials; /* the newest overwrites the oldest */
	uint64_t denied;          /* since the start: denials[(denied - 1) % CONTROL_DENIALS] */
};

int watching_init(struct control *c);
void watching_deinit(struct control *c);

/* Whether a decision passes a client's filters. */
bool watch_wants(const struct watch *w, const struct decision *d);

/* The newest denials of any of these addresses as records, newest first. */
json_t *watching_denials(const struct control *c, const struct address *a, size_t count,
			 size_t max);
