/* probe: what tells the packets of `tiergatectl probe` from people's. The addresses are of the
 * networks that are kept for measuring (RFC 2544, RFC 5180): nobody's own. */
#pragma once
#include "base/decision.h"
#include <string.h>

#define PROBE_INSIDE  "tgprobe"     /* its client's link, which `inside` may name while none runs */
#define PROBE_OUTSIDE "tgprobe-out" /* its server's */
#define PROBE_USER    "tiergate-probe"
#define PROBE_CLIENT4 "198.18.255.2"
#define PROBE_CLIENT6 "2001:2:0:ff10::2"

/* Whether a record is of a probe: what people did is told without these. */
static inline bool decision_is_probe(const struct decision *d)
{
	struct address four, six;
	return strcmp(d->user, PROBE_USER) == 0 && address_parse(PROBE_CLIENT4, &four) &&
	       address_parse(PROBE_CLIENT6, &six) &&
	       (address_equal(&d->client, &four) || address_equal(&d->client, &six));
}
