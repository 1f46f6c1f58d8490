/* probe: a client and a server of our own on both sides of the gateway, each in a network namespace
 * that goes with this process. What the client says to the server crosses the kernel's rules, the
 * queue and the daemon as a person's packets do; whether it comes out is seen at the server. */
#pragma once
#include "base/probe.h"
#include "config/config.h"
#include <stdbool.h>

struct probe_family {
	bool on;          /* the gateway forwards it */
	const char *name; /* "IPv4" */
	const char *client, *server;
	int listener; /* in the server's namespace, port 443 */
};

struct probe_rig {
	struct probe_family family[2];
	int server_ns; /* keeps it, where the listeners don't; the process is in the client's */
};

/* Makes both namespaces and their links, and goes into the client's; gives up what it has no use
 * for after that. False with sentences in errors. */
bool probe_rig_make(struct probe_rig *rig, const struct config *c, struct errors *errors);

/* The same in two steps for a service that has no right at all. First as root in the service's own
 * network, which becomes the client's, beside that of process 1, which is the gateway's: the
 * listeners are handed to the service manager. */
bool probe_rig_hand_over(const struct config *c, struct errors *errors);
/* Then in the service: takes them. False where none were handed over. */
bool probe_rig_take(struct probe_rig *rig);

/* Whether a TLS hello for `name` reaches the server. *why: what was seen at the client, in words.
 * At most a few seconds. */
enum crossed { CROSSED_NO, CROSSED_YES, CROSSED_UNKNOWN };
enum crossed probe_cross(const struct probe_family *f, const char *name, const char **why);

/* Names to try for a tier, by what the policy in force answers: of its `expect` lines first, then
 * of the sites of its lines; "" where there is none, and *why says so. False where the daemon can't
 * be asked. */
struct probe_names {
	char allowed[HOST_MAX + 1], denied[HOST_MAX + 1];
	bool observed; /* nothing is denied to it */
};
bool probe_names(const struct config *c, const char *tier, struct probe_names *out);
