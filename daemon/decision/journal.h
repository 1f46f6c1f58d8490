/* journal: one decision as an entry of the systemd journal (tiergate-records(5) lists the fields).
 */
#pragma once
#include "base/decision.h"
#include <stddef.h>

/* json is the record and its newline. 0 or -errno; may wait for journald. */
int journal_send(const struct decision *d, const char *json, size_t len);
