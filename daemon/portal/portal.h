/* portal: what the parts of tiergate-portal share. The main thread runs the sd-event loop (signals,
 * timers, RADIUS); pages are made on libmicrohttpd's threads, passwords checked on the checkers'.
 */
#pragma once
#include "portal/portal_config.h"
#include <pthread.h>
#include <systemd/sd-event.h>

struct portal {
	struct portal_config *config; /* fixed while the process lives */
	sd_event *event;
	struct server *server;
	struct radius_server *radius; /* or NULL: not asked for */
	struct checkers *checkers;
	struct cookies *cookies;
	struct limit *limit;
	struct store *store; /* or NULL: cookies end with the process */

	/* What a reload replaces; a page is made under the read lock. */
	pthread_rwlock_t assets_lock;
	struct assets *assets;
};
