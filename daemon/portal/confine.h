/* confine: the portal opens only what its configuration names, and makes only the system calls that
 * it needs (base/sandbox.h). */
#pragma once
#include "portal/portal.h"

/* By the configuration in force; before any thread runs. False with a sentence in errors. */
bool portal_confine(const struct portal *p, struct errors *errors)
	__attribute__((warn_unused_result));

/* Whether a configuration wants what is shut: each thing is then in errors. */
bool portal_outside(const struct portal *p, const struct portal_config *c, struct errors *errors)
	__attribute__((warn_unused_result));
