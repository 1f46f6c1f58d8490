/* value: the text forms of values: durations, ports, days, hours, dates. False where the text is
 * not exactly one; `out` is then untouched. */
#pragma once
#include "base/address.h"
#include "base/buf.h"
#include "config/config.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

bool duration_parse(const char *text, int64_t *out);        /* "90s", "8h": ns */
bool port_parse(const char *text, struct config_port *out); /* "tcp/443", "udp/8000-8100" */
bool days_parse(const char *text, uint8_t *out);            /* "mon-fri", "sat,sun", "all" */
/* "08:00-12:00,13:00-18:00" */
bool hours_parse(const char *text, struct config_hours out[static HOURS_MAX], uint8_t *count);
bool date_parse(const char *text, int64_t *out); /* "2027-06-30": its first ns, UTC */
bool weektime_parse(const char *text, unsigned *day, unsigned *minute); /* "mon 10:00" */
/* "2026-12-24 10:00": days since 1970, and a minute of the day */
bool datetime_parse(const char *text, int64_t *day, unsigned *minute);
/* "2026-12-24", "2026-12-28..2027-01-03" (days, the last one included), or, then *timed,
 * "2026-12-24T10:00:00Z..2026-12-24T12:00:00Z" (seconds); years 2000 to 2099 */
bool dates_parse(const char *text, struct span *out, bool *timed);
bool mac_parse(const char *text, uint8_t out[static 6]); /* "02:00:5e:10:00:07", of one machine */

/* "90 min/day", "2 GiB/week from mon 04:00 Europe/Sofia together": NULL, or what is wrong with it.
 * Whether the machine has the zone is not looked at. */
const char *quota_parse(const char *text, struct config_quota *out);

void mac_format(const uint8_t mac[static 6], struct buf *b);
void duration_format(int64_t ns, struct buf *b);
void port_format(const struct config_port *p, struct buf *b);
void days_format(uint8_t days, struct buf *b);
void hours_format(const struct config_hours *h, size_t count, struct buf *b);
void dates_format(const struct span *s, bool timed, struct buf *b);
void date_format(int64_t ns, struct buf *b);
void quota_format(const struct config_quota *q, struct buf *b);       /* parses again to the same */
void quota_amount_format(bool bytes, uint64_t amount, struct buf *b); /* "90 min", "2 GiB" */
