/* credential: whether somebody is who they say, asked of the backends that portal.conf names.
 *
 * A backend runs on a checker's thread, never on one that serves pages: it may take its time (a
 * hash, a directory server), and several run at once. It writes no credential anywhere. */
#pragma once
#include "identity/vouchers.h"
#include "portal/portal_config.h"

enum credential_result {
	CREDENTIAL_OK,
	CREDENTIAL_WRONG,  /* no such user or not the password: never told apart */
	CREDENTIAL_LOCKED, /* right, and not let in; told only to who knows the password */
	CREDENTIAL_ERROR,  /* cannot be checked now */
};

struct credential_request {
	const struct portal_config *config;
	const char *user;     /* user_name_valid; NULL: the secret is a voucher's code */
	const char *password; /* or code: 1 to PASSWORD_MAX bytes, any but NUL */
	struct address client;
	int64_t now;
};

struct credential_answer { /* filled on CREDENTIAL_OK */
	char user[USER_MAX];
	char tier[TIER_MAX];
	int64_t lasts;          /* ns at most; 0: as portal.conf and the tier say */
	const char *source;     /* of the session: "portal", "pam", "voucher"; a literal */
	struct voucher voucher; /* that was used up */
};

struct credential_backend {
	const char *name;
	uint32_t bit; /* CREDENTIALS_... */
	bool codes;   /* takes vouchers' codes, no users */
	/* What cannot be done is a line of errors (CREDENTIAL_ERROR); the caller logs it. */
	enum credential_result (*check)(const struct credential_request *r,
					struct credential_answer *a, struct errors *errors);
};

extern const struct credential_backend credential_users;    /* credential.c: the users file */
extern const struct credential_backend credential_pam;      /* pam.c */
extern const struct credential_backend credential_vouchers; /* voucher.c */

/* Asks one backend after another until one does not say CREDENTIAL_WRONG. */
enum credential_result credential_check(const struct credential_request *r,
					struct credential_answer *a, struct errors *errors);

/* Of an OK whose session was certainly not opened: a voucher that it used up is good again. */
void credential_undo(const struct portal_config *c, const struct credential_answer *a,
		     struct errors *errors);
