/* attached: whether an address is on a link of this machine, or behind a router. */
#pragma once
#include "base/address.h"

/* By the networks of the machine's own addresses, as the kernel has them now. */
bool attached(const struct address *a);
