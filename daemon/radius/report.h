/* radius_report: what an accounting packet says of a session: who reports, whose it is, its tier.
 */
#pragma once
#include "radius/accounting.h"
#include "radius/settings.h"

/* r: genuine, of a client that the configuration has at `row`, come from `from`. wall, now:
 * by clock_wall and clock_now. */
void radius_report(const struct radius_settings *c, const struct radius_client *row,
		   const struct radius_request *r, const struct address *from, int64_t wall,
		   int64_t now, struct accounting_report *out);

/* ns that a session lasts without a report. interim: what the packet said, s; 0: nothing. */
int64_t radius_lasts(const struct radius_settings *c, uint32_t interim);
