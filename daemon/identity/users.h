/* users: the users file, `name:tier:yescrypt-hash` a line (crypt(5)). Read and written by
 * tiergatectl and the portal only; the packet process never sees a password. */
#pragma once
#include "base/decision.h"
#include "base/error.h"

enum users_check { USERS_OK, USERS_WRONG, USERS_LOCKED, USERS_ERROR };

/* Checks a password in constant time (an unknown user costs the same); tier is filled on USERS_OK.
 */
enum users_check users_check(const char *file, const char *user, const char *password,
			     char tier[static TIER_MAX], struct errors *errors);

/* Writes a user (new, or with a new password or tier; tier NULL keeps it), atomically; 0 or -errno.
 */
int users_write(const char *file, const char *user, const char *tier, const char *password,
		struct errors *errors);
