/* portal: what the parts of tiergate-portal share. The main thread runs the sd-event loop (signals,
 * timers, RADIUS); the pages are served by libmicrohttpd's threads. */
#pragma once
#include "portal/portal_config.h"
#include <systemd/sd-event.h>

struct portal {
	struct portal_config *config; /* fixed while the process lives, but for a reload of files */
	sd_event *event;
	struct server *server;
	struct radius_server *radius; /* or NULL: not asked for */
};
