/* probe: hosts that devices ask over plain HTTP whether a network lets them through. */
#pragma once
#include "base/decision.h"

/* Whether the shipped list (rules/captive-checks.sites, as it was when this was built) has a host.
 */
bool probe_asks(const struct host *h);
