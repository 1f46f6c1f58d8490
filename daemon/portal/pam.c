/* PAM checks a password, and whether the account may sign in now; the group says the tier. So LDAP,
 * Active Directory (SSSD) and Kerberos need no code here. On a checker's thread: a module may take
 * its time. */
#include "portal/credential.h"

#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS_MAX 1024

/* ---- the conversation ---- */

static void answers_free(struct pam_response *r, int count)
{
	for (int i = 0; i < count; i++)
		if (r[i].resp) {
			explicit_bzero(r[i].resp, strlen(r[i].resp));
			free(r[i].resp);
		}
	free(r);
}

/* What is asked without echo is the password; what is asked with echo (a name again, a second
 * factor) has no answer on the page. What a module tells is not passed on: it may tell whether a
 * user exists. */
static int converse(int count, const struct pam_message **messages, struct pam_response **out,
		    void *password)
{
	if (count <= 0 || count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	struct pam_response *r = calloc((size_t)count, sizeof *r);
	if (!r)
		return PAM_BUF_ERR;
	for (int i = 0; i < count; i++) {
		int style = messages[i]->msg_style;
		if (style == PAM_PROMPT_ECHO_OFF)
			r[i].resp = strdup(password);
		else if (style == PAM_PROMPT_ECHO_ON)
			r[i].resp = strdup("");
		else
			continue;
		if (!r[i].resp) {
			answers_free(r, count);
			return PAM_BUF_ERR;
		}
	}
	*out = r;
	return PAM_SUCCESS;
}

/* The portal has its own growing delay, which holds up no thread. */
static void no_delay(int status, unsigned usec, void *ctx)
{
}

/* ---- who may ---- */

static enum credential_result result_of(int status)
{
	switch (status) {
	case PAM_SUCCESS: return CREDENTIAL_OK;
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_CRED_INSUFFICIENT:
	case PAM_MAXTRIES: return CREDENTIAL_WRONG;
	default: return CREDENTIAL_ERROR;
	}
}

/* Asked only once the password was right: what is wrong with the account may then be told. */
static enum credential_result account_of(int status)
{
	switch (status) {
	case PAM_SUCCESS: return CREDENTIAL_OK;
	case PAM_ACCT_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD: /* to be changed where that is possible */
	case PAM_PERM_DENIED:
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN: return CREDENTIAL_LOCKED;
	default: return CREDENTIAL_ERROR;
	}
}

/* The user as the modules know it: a module may have mapped the name. */
static bool final_name(pam_handle_t *pam, char out[static USER_MAX])
{
	const void *name = NULL;
	if (pam_get_item(pam, PAM_USER, &name) != PAM_SUCCESS || !name || strlen(name) >= USER_MAX)
		return false;
	strcpy(out, name);
	return user_name_valid(out);
}

static enum credential_result ask(const struct credential_request *r, char user[static USER_MAX],
				  struct errors *errors)
{
	struct pam_conv conversation = {converse, (void *)r->password};
	const union {
		void (*function)(int, unsigned, void *);
		const void *item;
	} delay = {no_delay};
	char from[ADDRESS_TEXT];
	pam_handle_t *pam = NULL;
	if (strchr(r->user, '/')) /* modules make names of files of it */
		return CREDENTIAL_WRONG;
	int status = pam_start(r->config->pam_service, r->user, &conversation, &pam);
	if (status != PAM_SUCCESS) {
		errors_add(errors, NULL, 0, "PAM cannot be asked (service %s)",
			   r->config->pam_service);
		return CREDENTIAL_ERROR;
	}
	pam_set_item(pam, PAM_FAIL_DELAY, delay.item);
	pam_set_item(pam, PAM_RHOST, address_format(&r->client, from));
	status = pam_authenticate(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	enum credential_result result = result_of(status);
	if (result == CREDENTIAL_OK) {
		status = pam_acct_mgmt(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
		result = account_of(status);
	}
	if (result == CREDENTIAL_OK && !final_name(pam, user))
		result = CREDENTIAL_ERROR;
	if (result == CREDENTIAL_ERROR)
		errors_add(errors, NULL, 0, "PAM (service %s): %s", r->config->pam_service,
			   pam_strerror(pam, status));
	pam_end(pam, status);
	return result;
}

/* ---- which tier ---- */

static bool in_group(const char *group, const gid_t *groups, int count)
{
	char bytes[16384];
	struct group g, *found = NULL;
	if (getgrnam_r(group, &g, bytes, sizeof bytes, &found) != 0 || !found)
		return false;
	for (int i = 0; i < count; i++)
		if (groups[i] == g.gr_gid)
			return true;
	return false;
}

/* Also gives the user the name that the system has for the account: a directory that does not tell
 * Ann from ann, or knows an alias, would give one person as many sessions, blocks and quotas as
 * there are ways to write the name. */
static const char *tier_of(const struct portal_config *c, char user[static USER_MAX])
{
	char bytes[4096];
	struct passwd p, *found = NULL;
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;
	/* A user that PAM knows and NSS does not is in no group. */
	bool known = getpwnam_r(user, &p, bytes, sizeof bytes, &found) == 0 && found;
	if (known && user_name_valid(p.pw_name))
		strcpy(user, p.pw_name); /* a valid one fits */
	if (known && getgrouplist(user, p.pw_gid, groups, &count) >= 0)
		for (size_t i = 0; i < c->pam_tier_count; i++)
			if (in_group(c->pam_tiers[i].value, groups, count))
				return c->pam_tiers[i].tier;
	return c->pam_default_tier;
}

static enum credential_result check(const struct credential_request *r, struct credential_answer *a,
				    struct errors *errors)
{
	enum credential_result result = ask(r, a->user, errors);
	if (result != CREDENTIAL_OK)
		return result;
	const char *tier = tier_of(r->config, a->user);
	if (!tier)
		return CREDENTIAL_LOCKED; /* known, and in no group that is let in */
	snprintf(a->tier, sizeof a->tier, "%s", tier);
	a->source = "pam";
	return CREDENTIAL_OK;
}

const struct credential_backend credential_pam = {"pam", CREDENTIALS_PAM, false, check};
