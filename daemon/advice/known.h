/* known: which site of a policy, or which list at hand, a host is of, by their own entries: what
 * they only share with others does not count. */
#pragma once
#include "config/config.h"

struct known;

/* Both are the caller's and stay. Sites that keep somebody out (of a deny line, or an `except`) are
 * left out. */
struct known *known_new(const struct config *c, const struct site_list *lists, size_t count);
void known_free(struct known *k);

/* The list that holds a host, else the site; false where there is none. A list that a site of the
 * policy is made of alone is that site. */
bool known_host(const struct known *k, const struct host *host, const struct config_site **site,
		const struct site_list **list);
