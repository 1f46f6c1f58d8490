/* Vouchers in the place of user and password. A code is used up here, before its session opens, so
 * that no crash lets it be used twice; credential_undo gives it back where the session did not
 * open. */
#include "portal/credential.h"

#include "identity/vouchers.h"

#include <stdio.h>

static enum credential_result check(const struct credential_request *r, struct credential_answer *a,
				    struct errors *errors)
{
	struct voucher v;
	switch (voucher_take(r->config->vouchers_file, r->password, &v, errors)) {
	case VOUCHER_OK: break;
	case VOUCHER_WRONG: return CREDENTIAL_WRONG;
	case VOUCHER_ERROR: return CREDENTIAL_ERROR;
	}
	voucher_user(&v, a->user);
	a->voucher = v;
	snprintf(a->tier, sizeof a->tier, "%s", v.tier);
	a->lasts = v.lasts;
	a->source = "voucher";
	return CREDENTIAL_OK;
}

void credential_undo(const struct portal_config *c, const struct credential_answer *a,
		     struct errors *errors)
{
	if (a->voucher.hash[0] && voucher_give_back(c->vouchers_file, &a->voucher, errors) < 0)
		errors_add(errors, NULL, 0, "%s is lost", a->user);
}

const struct credential_backend credential_vouchers = {"vouchers", CREDENTIALS_VOUCHERS, true,
						       check};
