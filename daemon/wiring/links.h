/* links: whether packets can arrive by the interfaces that `inside` names. The rules match an
 * interface's own name: a typo, another name of it (altname) or the port of a bridge never match,
 * and the network behind it would be open. */
#pragma once
#include "base/error.h"
#include "config/config.h"
#include <stdbool.h>

/* Adds a sentence for each name by which nothing can arrive now. False where the kernel could not
 * be asked, which is an error too. Needs no right. */
bool links_check(const struct strings *inside, struct errors *faults)
	__attribute__((warn_unused_result));

/* Whether it is an interface now, by its own name, and no bridge's port: what a bridge's port takes
 * in leaves a flowtable only when it ends. */
bool links_skips(const char *name);
