/* kept: the lists that were last in force, in a folder of the state, for a start with one that has
 * a fault. A copy has its list's time of change: who writes it tells by that whether it is still
 * the same. */
#pragma once
#include "lists/list.h"

/* The last good list of a name (site_list.file) into a list without entries; false where there is
 * none. */
bool kept_load(const char *state_dir, const char *name, struct site_list *list);

/* Where the list came from a file that has changed since; 0 or -errno. The folder is made. */
int kept_save(const char *state_dir, const struct site_list *list);
