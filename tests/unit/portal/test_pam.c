/* PAM as it is, with a service of the test's own: libpam-wrapper leads libpam to it, and its
 * pam_matrix knows the passwords. */
#include "unit.h"
#include "portal/credential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "/usr/lib/" TRIPLET "/libpam_wrapper.so"
#define MATRIX  "/usr/lib/" TRIPLET "/pam_wrapper/pam_matrix.so"
#ifdef __aarch64__
#define TRIPLET "aarch64-linux-gnu"
#else
#define TRIPLET "x86_64-linux-gnu"
#endif

static char folder[64];
static struct errors errors;

static void put(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
}

static enum credential_result ask(struct portal_config *c, const char *user, const char *password,
				  struct credential_answer *a)
{
	struct credential_request r = {.config = c, .user = user, .password = password};
	memset(a, 0, sizeof *a);
	return credential_pam.check(&r, a, &errors);
}

static struct config_tier_of tiers[] = {{.value = "no-such-group", .tier = "kings"},
					{.value = "root", .tier = "staff"}};
static struct portal_config config = {
	.pam_service = "tiergate-test", .pam_tiers = tiers, .pam_tier_count = 2};

static void the_right_password_and_group(void **state)
{
	struct credential_answer a;
	assert_int_equal(ask(&config, "root", "secret", &a), CREDENTIAL_OK);
	assert_string_equal(a.user, "root");
	assert_string_equal(a.tier, "staff");
	assert_string_equal(a.source, "pam");
	assert_int_equal(errors.count, 0);
}

static void a_wrong_password_and_no_user_are_one(void **state)
{
	struct credential_answer a;
	assert_int_equal(ask(&config, "root", "Secret", &a), CREDENTIAL_WRONG);
	assert_int_equal(ask(&config, "root", "", &a), CREDENTIAL_WRONG);
	assert_int_equal(ask(&config, "nobody-here", "secret", &a), CREDENTIAL_WRONG);
	assert_int_equal(ask(&config, "../root", "secret", &a), CREDENTIAL_WRONG);
}

static void no_group_is_the_default_or_not_let_in(void **state)
{
	struct credential_answer a;
	assert_int_equal(ask(&config, "stranger", "other", &a), CREDENTIAL_LOCKED);
	config.pam_default_tier = "guest";
	assert_int_equal(ask(&config, "stranger", "other", &a), CREDENTIAL_OK);
	assert_string_equal(a.tier, "guest");
	config.pam_default_tier = NULL;
}

static void the_account_may_be_closed(void **state)
{
	struct credential_answer a;
	config.pam_service = "tiergate-closed";
	assert_int_equal(ask(&config, "root", "secret", &a), CREDENTIAL_LOCKED);
	assert_int_equal(ask(&config, "root", "wrong", &a), CREDENTIAL_WRONG);
	config.pam_service = "tiergate-test";
}

static void a_broken_service_is_an_error(void **state)
{
	struct credential_answer a;
	config.pam_service = "tiergate-broken";
	assert_int_equal(ask(&config, "root", "secret", &a), CREDENTIAL_ERROR);
	assert_int_equal(errors.count, 1);
	config.pam_service = "tiergate-test";
}

static void services(void)
{
	char text[512];
	put("passwords", "root:secret:tiergate-test\nstranger:other:tiergate-test\n"
			 "root:secret:tiergate-closed\n../root:secret:tiergate-test\n");
	snprintf(text, sizeof text,
		 "auth required " MATRIX " passdb=%s/passwords\naccount required " MATRIX
		 " passdb=%s/passwords\n",
		 folder, folder);
	put("tiergate-test", text);
	snprintf(text, sizeof text,
		 "auth required " MATRIX " passdb=%s/passwords\naccount required pam_deny.so\n",
		 folder);
	put("tiergate-closed", text);
	put("other", "auth required pam_deny.so\naccount required pam_deny.so\n"
		     "password required pam_deny.so\nsession required pam_deny.so\n");
	put("tiergate-broken",
	    "auth required /nonexistent/module.so\naccount required pam_deny.so\n");
}

/* The wrapper reads the services before main: begins again with it. False where that can't be. */
static bool wrapped(char **argv)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return false; /* their libraries want to be the first */
#endif
	if (access(LIBRARY, R_OK) != 0 || access(MATRIX, R_OK) != 0)
		return false;
	if (getenv("PAM_WRAPPER"))
		return true;
	strcpy(folder, "/tmp/tiergate-pam-XXXXXX");
	if (!mkdtemp(folder))
		return false;
	services();
	setenv("LD_PRELOAD", LIBRARY, 1);
	setenv("PAM_WRAPPER", "1", 1);
	setenv("PAM_WRAPPER_SERVICE_DIR", folder, 1);
	execv(argv[0], argv);
	return false;
}

static int set_up(void **state)
{
	snprintf(folder, sizeof folder, "%s", getenv("PAM_WRAPPER_SERVICE_DIR"));
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"passwords", "tiergate-test", "tiergate-closed",
					    "tiergate-broken", "other"};
	char path[128];
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	errors_deinit(&errors);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_password_and_group),
		cmocka_unit_test(a_wrong_password_and_no_user_are_one),
		cmocka_unit_test(no_group_is_the_default_or_not_let_in),
		cmocka_unit_test(the_account_may_be_closed),
		cmocka_unit_test(a_broken_service_is_an_error),
	};
	if (!wrapped(argv)) {
		puts("1..0 # SKIP needs libpam-wrapper, and no sanitizer");
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
