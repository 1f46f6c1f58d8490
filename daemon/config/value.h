/* value: the text forms of values: durations, ports, days, hours, dates. False where the text is
 * not exactly one; `out` is then untouched. */
#pragma once
#include "base/address.h"
#include "base/buf.h"
#include "config/config.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

bool duration_parse(const char *text, int64_t *out);              /* "90s", "8h": ns */
bool port_parse(const char *text, struct config_port *out);       /* "tcp/443", "udp/8000-8100" */
bool days_parse(const char *text, uint8_t *out);                  /* "mon-fri", "sat,sun", "all" */
bool hours_parse(const char *text, uint16_t *from, uint16_t *to); /* "08:00-18:00" */
bool date_parse(const char *text, int64_t *out); /* "2027-06-30": its first ns, UTC */
bool weektime_parse(const char *text, unsigned *day, unsigned *minute); /* "mon 10:00" */
bool mac_parse(const char *text, uint8_t out[static 6]); /* "02:00:5e:10:00:07", of one machine */

void mac_format(const uint8_t mac[static 6], struct buf *b);
void duration_format(int64_t ns, struct buf *b);
void port_format(const struct config_port *p, struct buf *b);
void days_format(uint8_t days, struct buf *b);
void hours_format(uint16_t from, uint16_t to, struct buf *b);
void date_format(int64_t ns, struct buf *b);
