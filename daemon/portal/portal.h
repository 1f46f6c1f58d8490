/* portal: what the parts of tiergate-portal share. The main thread runs the sd-event loop (signals,
 * timers, RADIUS); pages are made on libmicrohttpd's threads, passwords checked on the checkers'.
 */
#pragma once
#include "portal/portal_config.h"
#include "portal/tally.h"
#include <pthread.h>
#include <systemd/sd-event.h>

struct portal {
	const char *config_file;
	sd_event *event;
	struct server *server;
	struct deadline *deadline;    /* the server's: of slow connections */
	struct radius_server *radius; /* or NULL: not asked for */
	struct checkers *checkers;
	struct cookies *cookies;
	struct limit *limit;
	struct store *store; /* or NULL: cookies end with the process */
	struct tally tally;
	bool began_with_pam; /* what its modules need was not given up */

	/* What a reload replaces. A page is made under the read lock; a request holds the
	 * configuration that it began with. The main thread, which alone writes, needs no lock. */
	pthread_rwlock_t lock;
	struct portal_config *config;
	struct assets *assets;
};

/* Holds the configuration in force until portal_config_free. Any thread. */
struct portal_config *portal_config_now(struct portal *p);

/* Reads portal.conf, certificate, texts and logo again: all of it is good and in force from here
 * on, or nothing is changed. Connections, sessions and cookies stay. (reload.c) */
bool portal_reload(struct portal *p, struct errors *errors);
