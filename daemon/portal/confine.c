/* What the running portal may open: the folders of all that its configuration names, so that a
 * certificate may be renewed and a file replaced. Modules of PAM open what they like of the
 * system's own, may run a program, and leave files of theirs in the folders for that. */
#include "portal/confine.h"

#include "base/sandbox.h"

#include <errno.h>

static void allow_pam(void)
{
	static const char *const run[] = {"/usr",  "/lib", "/lib64", "/bin",
					  "/sbin", "/opt", "/etc"};
	static const char *const read[] = {"/run", "/var/lib", "/var/cache"};
	static const char *const write[] = {"/tmp", "/var/tmp", "/run/faillock"};
	for (size_t i = 0; i < sizeof run / sizeof *run; i++)
		sandbox_allow(run[i], SANDBOX_EXECUTE);
	for (size_t i = 0; i < sizeof read / sizeof *read; i++)
		sandbox_allow(read[i], SANDBOX_READ);
	for (size_t i = 0; i < sizeof write / sizeof *write; i++)
		sandbox_allow(write[i], SANDBOX_WRITE);
}

bool portal_confine(const struct portal *p, struct errors *errors)
{
	const struct portal_config *c = p->config;
	bool pam = c->credentials & CREDENTIALS_PAM;
	sandbox_allow_system();
	sandbox_allow("/etc/gnutls", SANDBOX_READ);
	sandbox_allow("/etc/crypto-policies", SANDBOX_READ);
	sandbox_allow_around(p->config_file, SANDBOX_READ);
	sandbox_allow_around(c->certificate, SANDBOX_READ);
	sandbox_allow_around(c->key, SANDBOX_READ);
	sandbox_allow_around(c->users_file, SANDBOX_READ);
	if (c->metrics.port)
		sandbox_allow_around(c->metrics_token, SANDBOX_READ);
	sandbox_allow(c->texts, SANDBOX_READ);
	if (c->logo)
		sandbox_allow_around(c->logo, SANDBOX_READ);
	sandbox_allow(c->state_dir, SANDBOX_WRITE);
	if (c->credentials & CREDENTIALS_VOUCHERS)
		sandbox_allow_around(c->vouchers_file, SANDBOX_WRITE);
	if (pam)
		allow_pam();
	return sandbox_on(pam ? SANDBOX_PORTAL_PAM : SANDBOX_PORTAL, errors);
}

static void look(const char *path, enum sandbox_use use, struct errors *errors)
{
	if (path && sandbox_shuts(path, use))
		errors_add(errors, path, 0,
			   "it lies where the portal %s since its start, as nothing named it then; "
			   "systemctl restart tiergate-portal",
			   use == SANDBOX_WRITE ? "may write nothing" : "may open nothing");
}

bool portal_outside(const struct portal *p, const struct portal_config *c, struct errors *errors)
{
	size_t had = errors->count;
	if ((c->credentials & CREDENTIALS_PAM) && !p->began_with_pam)
		errors_add(errors, NULL, 0,
			   "credentials: the portal began without \"pam\", and gave up what its "
			   "modules need; systemctl restart tiergate-portal");
	look(c->certificate, SANDBOX_READ, errors);
	look(c->key, SANDBOX_READ, errors);
	look(c->texts, SANDBOX_READ, errors);
	look(c->logo, SANDBOX_READ, errors);
	if (c->metrics.port)
		look(c->metrics_token, SANDBOX_READ, errors);
	if (c->credentials & CREDENTIALS_USERS)
		look(c->users_file, SANDBOX_READ, errors);
	if (c->credentials & CREDENTIALS_VOUCHERS)
		look(c->vouchers_file, SANDBOX_WRITE, errors);
	return errors->count > had;
}
