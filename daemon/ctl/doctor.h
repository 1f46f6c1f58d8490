/* doctor: what its parts share. Each part adds findings, and changes nothing. */
#pragma once
#include "base/error.h"
#include "config/config.h"
#include <jansson.h>
#include <stdbool.h>

enum finding { GOOD, LOOK, BAD };

struct doctor {
	json_t *findings;
	unsigned bad, looks;
};

/* what: one or two words; format: what was found and, but for GOOD, what to do. */
void doctor_find(struct doctor *d, enum finding f, const char *what, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A finding for each line, which are taken; true where there was one. */
bool doctor_find_all(struct doctor *d, enum finding f, const char *what, struct errors *lines);

/* The machine: forwarding, conntrack, the clock; of a configuration (NULL: none that is good) NAT,
 * and whether the daemon's user can write its log and state. */
void doctor_machine(struct doctor *d, const struct config *c);

/* Lists that are older than their site wants them. */
void doctor_lists(struct doctor *d, const struct config *c);

/* The portal and the probe, by what they have told the daemon; c: NULL, or the configuration. */
void doctor_told(struct doctor *d, const json_t *status, const struct config *c);

/* The portal's certificate, key and texts, where portal.conf stands beside the configuration. */
void doctor_portal(struct doctor *d, const char *config);
