/* privilege: what the process may do after its start. */
#pragma once
#include "base/error.h"
#include <stdbool.h>

/* Leaves CAP_NET_ADMIN in the sets of this thread and of those that it starts, and nothing else; so
 * it is called before any thread runs. False with a sentence in errors. */
bool privilege_keep_net_admin(struct errors *errors);

/* Whether this process has CAP_NET_ADMIN: where it has, EPERM of a netlink socket means that
 * another program has what was asked for. */
bool privilege_net_admin(void);
