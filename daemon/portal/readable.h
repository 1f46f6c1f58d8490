/* readable: whether the portal's user can read what the configuration names; for who checks it as
 * another user, such as root. */
#pragma once
#include "base/error.h"
#include "portal/portal_config.h"

/* Adds each file that cannot be read (or written, where the portal writes it). As root it asks for
 * the user, where there is one; as another user for itself. */
void readable_check(const struct portal_config *c, const char *user, struct errors *errors);
