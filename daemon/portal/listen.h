/* listen: the sockets that the portal's pages are asked for at. */
#pragma once
#include "base/address.h"
#include "base/error.h"

/* The socket of a port that the service manager has opened, else one of our own; -errno with a
 * sentence in errors. */
int listen_at(const struct endpoint *at, struct errors *errors);
