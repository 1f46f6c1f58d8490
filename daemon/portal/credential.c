#include "portal/credential.h"

#include "identity/users.h"

#include <string.h>

/* In the order in which they are asked. */
static const struct credential_backend *const backends[] = {
	&credential_users,
	&credential_pam,
	&credential_vouchers,
};

static enum credential_result users(const struct credential_request *r, struct credential_answer *a,
				    struct errors *errors)
{
	switch (users_check(r->config->users_file, r->user, r->password, a->tier, errors)) {
	case USERS_OK: break;
	case USERS_WRONG: return CREDENTIAL_WRONG;
	case USERS_LOCKED: return CREDENTIAL_LOCKED;
	case USERS_ERROR: return CREDENTIAL_ERROR;
	}
	snprintf(a->user, sizeof a->user, "%s", r->user);
	a->source = "portal";
	return CREDENTIAL_OK;
}

const struct credential_backend credential_users = {"users", CREDENTIALS_USERS, false, users};

enum credential_result credential_check(const struct credential_request *r,
					struct credential_answer *a, struct errors *errors)
{
	enum credential_result result = CREDENTIAL_WRONG;
	for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
		if (!(r->config->credentials & backends[i]->bit) || backends[i]->codes != !r->user)
			continue;
		memset(a, 0, sizeof *a);
		enum credential_result one = backends[i]->check(r, a, errors);
		if (one == CREDENTIAL_OK || one == CREDENTIAL_LOCKED)
			return one;
		/* Another backend may know the user, but "wrong" would be a lie. */
		if (one == CREDENTIAL_ERROR)
			result = one;
	}
	return result;
}
