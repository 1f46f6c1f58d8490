/* radius_server: receives accounting packets on the main loop and answers them (RFC 2866, 5997).
 * Clients are told by their address and prove themselves by their secret; what cannot be taken now
 * is not answered, so that the client sends it again. */
#pragma once
#include "base/error.h"
#include "base/metric.h"
#include "radius/accounting.h"
#include "radius/settings.h"
#include <systemd/sd-event.h>

struct radius_server;

/* Listens; NULL with a sentence in errors. The settings, and socket, the daemon's control socket,
 * must outlive it; folder is where its state is kept. */
struct radius_server *radius_server_new(const struct radius_settings *c, const char *socket,
					const char *folder, sd_event *event, struct errors *errors);
/* Clients, tiers and times are those of other settings from here on, sessions stay; where it
 * listens, and how much it holds, stay too. False where memory ran out: nothing is changed. */
bool radius_server_reload(struct radius_server *s, const struct radius_settings *c,
			  const char *socket);
void radius_server_free(struct radius_server *s);

struct radius_counters {
	uint64_t packets, answered, repeated;
	uint64_t unknown_client, malformed, forged, lacking; /* dropped without an answer */
	uint64_t status;                                     /* Status-Server, answered or not */
	uint64_t prefix_alone; /* a prefix makes no session's address: reported, not used */
	uint64_t bad_attributes, left_out; /* attributes passed over; addresses beyond the bound */
	uint64_t result[ACCOUNTING_COUNT];
};
/* Of all but the results, which have their texts. */
extern const struct metrics radius_metrics;
