/* radius_server: receives accounting packets on the main loop and answers them (RFC 2866). Clients
 * are told by their address and prove themselves by their secret; what cannot be taken now is not
 * answered, so that the client sends it again. */
#pragma once
#include "base/error.h"
#include "portal/accounting.h"
#include "portal/portal_config.h"
#include <systemd/sd-event.h>

struct radius_server;

/* Listens; NULL with a sentence in errors. The configuration must outlive it. */
struct radius_server *radius_server_new(const struct portal_config *c, sd_event *event,
					struct errors *errors);
void radius_server_free(struct radius_server *s);

struct radius_counters {
	uint64_t packets, answered, repeated;
	uint64_t unknown_client, malformed, forged, lacking; /* dropped without an answer */
	uint64_t prefix_alone; /* a prefix makes no session's address: reported, not used */
	uint64_t result[ACCOUNTING_COUNT];
};
void radius_server_count(const struct radius_server *s, struct radius_counters *out);
