/* What the running portal may open: nothing but the folders of what its configuration names, and
 * of the system what PAM's modules need where there is PAM. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define sandbox_allow        allows
#define sandbox_allow_around allows_around
#define sandbox_allow_system allows_system
#define sandbox_on           shuts
#define sandbox_shuts        is_shut
#include "portal/confine.c"

static char allowed[4096];
static enum sandbox_program as;
static const char *shut_path;
static enum sandbox_use shut_use;

static void note(const char *how, const char *path, enum sandbox_use use)
{
	size_t len = strlen(allowed);
	snprintf(allowed + len, sizeof allowed - len, "%s%s %c\n", how, path,
		 use == SANDBOX_READ      ? 'r'
		 : use == SANDBOX_WRITE   ? 'w'
		 : use == SANDBOX_EXECUTE ? 'x'
					  : '?');
}

void allows(const char *path, enum sandbox_use use)
{
	note("", path, use);
}

void allows_around(const char *path, enum sandbox_use use)
{
	note("around ", path, use);
}

void allows_system(void)
{
	note("the ", "system", SANDBOX_READ);
}

bool shuts(enum sandbox_program program, struct errors *errors)
{
	as = program;
	return true;
}

bool is_shut(const char *path, enum sandbox_use use)
{
	return shut_path && strcmp(path, shut_path) == 0 && use == shut_use;
}

static struct portal_config config(unsigned credentials)
{
	return (struct portal_config){.certificate = (char *)"/c/crt",
				      .key = (char *)"/k/key",
				      .users_file = (char *)"/u/users",
				      .vouchers_file = (char *)"/v/vouchers",
				      .texts = (char *)"/t",
				      .logo = (char *)"/l/logo.png",
				      .metrics_token = (char *)"/m/token",
				      .state_dir = (char *)"/s",
				      .credentials = credentials};
}

static void confined(struct portal_config *c)
{
	struct errors errors = {0};
	struct portal p = {.config = c, .config_file = "/e/portal.conf"};
	allowed[0] = '\0';
	assert_true(portal_confine(&p, &errors));
}

static void what_is_named_is_all_that_is_open(void **state)
{
	struct portal_config c = config(CREDENTIALS_USERS);
	confined(&c);
	assert_string_equal(allowed, "the system r\n/etc/gnutls r\n/etc/crypto-policies r\n"
				     "around /e/portal.conf r\naround /c/crt r\n"
				     "around /k/key r\naround /u/users r\n/t r\n"
				     "around /l/logo.png r\n/s w\n");
	assert_int_equal(as, SANDBOX_PORTAL);
	c = config(CREDENTIALS_VOUCHERS);
	c.metrics.port = 9100;
	c.logo = NULL;
	confined(&c);
	assert_non_null(strstr(allowed, "around /v/vouchers w\n"));
	assert_non_null(strstr(allowed, "around /m/token r\n"));
	assert_null(strstr(allowed, "logo"));
	assert_null(strstr(allowed, " x\n")); /* it runs nothing */
}

/* Modules run a program, read the system's own files, and leave some. */
static void pam_has_what_its_modules_need(void **state)
{
	static const char *const need[] = {"\n/usr x\n",         "\n/lib x\n",  "\n/lib64 x\n",
					   "\n/bin x\n",         "\n/sbin x\n", "\n/opt x\n",
					   "\n/etc x\n",         "\n/run r\n",  "\n/var/lib r\n",
					   "\n/var/cache r\n",   "\n/tmp w\n",  "\n/var/tmp w\n",
					   "\n/run/faillock w\n"};
	struct portal_config c = config(CREDENTIALS_PAM);
	confined(&c);
	for (size_t i = 0; i < sizeof need / sizeof *need; i++)
		if (!strstr(allowed, need[i]))
			fail_msg("%s is not allowed", need[i]);
	assert_int_equal(as, SANDBOX_PORTAL_PAM);
}

/* ---- a reload that names something else ---- */

static bool outside(const struct portal_config *c, bool began_with_pam, const char *path,
		    enum sandbox_use use, const char *want)
{
	struct errors errors = {0};
	struct portal p = {.began_with_pam = began_with_pam};
	shut_path = path;
	shut_use = use;
	errors_add(&errors, NULL, 0, "what was wrong before");
	bool is = portal_outside(&p, c, &errors);
	assert_int_equal(errors.count, 1 + is);
	if (is)
		assert_non_null(strstr(errors.lines[1], want));
	errors_deinit(&errors);
	return is;
}

static void what_lies_outside_is_refused_and_said(void **state)
{
	struct portal_config c = config(CREDENTIALS_USERS | CREDENTIALS_VOUCHERS);
	assert_false(outside(&c, false, NULL, SANDBOX_READ, ""));
	assert_true(outside(&c, false, "/c/crt", SANDBOX_READ, "/c/crt: it lies where"));
	assert_true(outside(&c, false, "/k/key", SANDBOX_READ, "may open nothing"));
	assert_true(outside(&c, false, "/t", SANDBOX_READ, "systemctl restart tiergate-portal"));
	assert_true(outside(&c, false, "/l/logo.png", SANDBOX_READ, "may open nothing"));
	assert_true(outside(&c, false, "/u/users", SANDBOX_READ, "may open nothing"));
	assert_true(outside(&c, false, "/v/vouchers", SANDBOX_WRITE, "may write nothing"));
	assert_false(outside(&c, false, "/m/token", SANDBOX_READ, "")); /* no port, no token */
	c.metrics.port = 9100;
	assert_true(outside(&c, false, "/m/token", SANDBOX_READ, "may open nothing"));
	c.logo = NULL;
	assert_false(outside(&c, false, "/l/logo.png", SANDBOX_READ, ""));
	c.credentials = CREDENTIALS_PAM; /* which reads neither file */
	assert_false(outside(&c, true, "/u/users", SANDBOX_READ, ""));
	assert_false(outside(&c, true, "/v/vouchers", SANDBOX_WRITE, ""));
}

/* What was given up at the start does not come back. */
static void pam_can_not_come_by_a_reload(void **state)
{
	struct portal_config c = config(CREDENTIALS_PAM);
	assert_true(outside(&c, false, NULL, SANDBOX_READ, "began without \"pam\""));
	assert_false(outside(&c, true, NULL, SANDBOX_READ, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_named_is_all_that_is_open),
		cmocka_unit_test(pam_has_what_its_modules_need),
		cmocka_unit_test(what_lies_outside_is_refused_and_said),
		cmocka_unit_test(pam_can_not_come_by_a_reload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
