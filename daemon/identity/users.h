/* users: the users file, `name:tier:yescrypt-hash` a line (crypt(5)). Read and written by
 * tiergatectl and the portal only; the packet process never sees a password.
 *
 * A hash that begins with `!` is locked; empty lines and lines that begin with `#` are kept as they
 * are. A file that others than its owner and group can read or write is refused. */
#pragma once
#include "base/cursor.h"
#include "base/decision.h"
#include "base/error.h"

#define USERS_FILE_MAX (64 * 1024 * 1024)
#define PASSWORD_MAX   256 /* bytes; longer ones are wrong */
#define HASH_MAX       384 /* CRYPT_OUTPUT_SIZE of crypt.h */

enum users_check { USERS_OK, USERS_WRONG, USERS_LOCKED, USERS_ERROR };

/* Checks a password in constant time (an unknown user costs the same); tier is filled on USERS_OK.
 * USERS_LOCKED is told only to who knows the password. Malformed lines add to errors and are passed
 * over. */
enum users_check users_check(const char *file, const char *user, const char *password,
			     char tier[static TIER_MAX], struct errors *errors);

/* Writes a user (new, or with a new password or tier; NULL keeps what is there), atomically; 0 or
 * -errno: -EINVAL a bad name, tier or password, -ENOENT a new user without tier or password. */
int users_write(const char *file, const char *user, const char *tier, const char *password,
		struct errors *errors);

/* Locks (or unlocks) a user, who keeps tier and password; removes one. 0 or -errno, -ENOENT. */
/* The tier that the file gives a user; false where it knows none, or cannot be read. */
bool users_tier(const char *file, const char *user, char tier[static TIER_MAX]);
int users_lock(const char *file, const char *user, bool locked, struct errors *errors);
int users_remove(const char *file, const char *user, struct errors *errors);

/* The nearest name of the file; false where none is near, or it has the user, or can't be read. */
bool users_meant(const char *file, const char *user, char out[static USER_MAX]);

/* Tier names as the configuration has them: letters, digits, _ and -. User names are those of
 * user_name_valid without a colon, and no '#' first. */
bool tier_name_valid(const char *name);

struct users_line {
	char name[USER_MAX];
	char tier[TIER_MAX];
	char hash[HASH_MAX];
	bool locked;
};

/* One line without its newline. PARSE_ABSENT: empty or a comment. */
enum parse users_parse(const char *line, size_t len, struct users_line *out);
