/* suggest: from denials that were observed, the allow lines that they would need. Constant memory.
 */
#pragma once
#include "policy/load.h"
#include <jansson.h>

struct suggest;

struct suggest_counts {
	uint64_t records, denied; /* records; flows that were denied, or would have been */
	uint64_t grouped;         /* of these: what the rows would allow */
	uint64_t allowed_now;     /* the policy of today allows them */
	uint64_t deny_line;       /* a deny line is in the way */
	uint64_t otherwise;       /* no further line helps: evidence, a malformed hello ... */
	uint64_t nobody;          /* nobody was signed in, or the tier is no longer there */
	uint64_t beyond;          /* more hosts, tiers and ports than are told apart */
	uint64_t lost;            /* records that the log says were lost */
};

/* Lists at hand are the caller's, as the policy is: file is their path. */
struct suggest *suggest_new(const struct policy *p, const struct site_list *lists, size_t count);
void suggest_free(struct suggest *s);

/* wanted: a denial of it is asked about; what goes with what is learned of all. */
void suggest_record(struct suggest *s, const struct decision *d, bool wanted);

/* An object a line, most flows first: tier, site (its name), is ("site" of the policy, "list",
 * "domain", "name", "address"), from (the list's path or the entry; none for a site), ports (none:
 * the default ones), flows, users, more_users, hosts, evidence, first, last, learned (entries that
 * always came with it), with (what it always comes with, which is not in question). The caller's.
 */
json_t *suggest_rows(struct suggest *s);
const struct suggest_counts *suggest_counted(const struct suggest *s);
