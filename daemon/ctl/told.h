/* told: what the portal and the probe have told the daemon of themselves, for status and doctor.
 * `status` is the daemon's answer of that name. */
#pragma once
#include "base/buf.h"
#include <jansson.h>
#include <stdbool.h>

#define TOLD_SILENT_S  30  /* a portal that runs tells every 5 s */
#define PROBE_SILENT_S 300 /* a probe, each minute */

/* UNKNOWN: the daemon has not heard of one since its own start. SILENT: it ended without a word, or
 * hangs. */
enum portal_state { PORTAL_UNKNOWN, PORTAL_RUNS, PORTAL_STOPPED, PORTAL_SILENT };
enum portal_state told_portal(const json_t *status);
void told_portal_words(const json_t *status, struct buf *b);
/* Its last error and when; nothing where there was none. */
void told_portal_error(const json_t *status, struct buf *b);

/* All tiers that are probed, in a line; false where none is. */
bool told_probe_words(const json_t *status, struct buf *b);
/* Whether one is, and none was of late. */
bool told_probe_silent(const json_t *status);
/* What is wrong with a tier of "probe"; false where nothing is. */
bool told_probe_bad(const json_t *tier, struct buf *b);

/* Whether what a tier is denied went through. */
bool told_leak(const json_t *status);

/* All that is wrong, each with "; " behind it. */
void told_trouble(const json_t *status, struct buf *b);
