/* What is made of PAM's answers, whatever it says: libpam and the system's users and groups are the
 * test's own here (test_pam has the real library). */
#include "no_memory.h"
#include "unit.h"

#include "portal/pam.c"

#include <stdio.h>

static struct {
	int start, authenticate, account, item; /* what each says */
	const char *name;                       /* of the user, as modules have it; NULL: none */
	int items[4];                           /* set: kinds */
	unsigned item_count, ends, flags[2];
	char host[ADDRESS_TEXT];
	struct pam_conv conversation;
	bool asked_account;
} pam;

int pam_start(const char *service, const char *user, const struct pam_conv *conversation,
	      pam_handle_t **handle)
{
	assert_string_equal(service, "tiergate-test");
	pam.conversation = *conversation;
	*handle = (pam_handle_t *)&pam;
	return pam.start;
}

int pam_end(pam_handle_t *handle, int status)
{
	pam.ends++;
	return PAM_SUCCESS;
}

int pam_set_item(pam_handle_t *handle, int type, const void *item)
{
	pam.items[pam.item_count++ % 4] = type;
	if (type == PAM_RHOST)
		snprintf(pam.host, sizeof pam.host, "%s", (const char *)item);
	return PAM_SUCCESS;
}

int pam_get_item(const pam_handle_t *handle, int type, const void **item)
{
	assert_int_equal(type, PAM_USER);
	*item = pam.name;
	return pam.item;
}

int pam_authenticate(pam_handle_t *handle, int flags)
{
	pam.flags[0] = (unsigned)flags;
	return pam.authenticate;
}

int pam_acct_mgmt(pam_handle_t *handle, int flags)
{
	pam.flags[1] = (unsigned)flags;
	pam.asked_account = true;
	return pam.account;
}

const char *pam_strerror(pam_handle_t *handle, int status)
{
	return "strange";
}

/* ---- the system's users and groups ---- */

static int groups_of_user; /* how many */
static bool user_there;
static char *system_name; /* of the account; NULL: as it was asked for */

int getpwnam_r(const char *name, struct passwd *p, char *bytes, size_t size, struct passwd **found)
{
	p->pw_gid = 100;
	p->pw_name = system_name ? system_name : (char *)name;
	*found = user_there ? p : NULL;
	return 0;
}

/* 1000, 1001, ...; more than fit is an error, as in glibc. */
int getgrouplist(const char *user, gid_t group, gid_t *groups, int *count)
{
	assert_int_equal(group, 100);
	for (int i = 0; i < groups_of_user && i < *count; i++)
		groups[i] = 1000 + (gid_t)i;
	int room = *count;
	*count = groups_of_user;
	return groups_of_user <= room ? groups_of_user : -1;
}

int getgrnam_r(const char *name, struct group *g, char *bytes, size_t size, struct group **found)
{
	g->gr_gid = (gid_t)strtoul(name + 1, NULL, 10);
	*found = name[0] == 'g' ? g : NULL;
	return 0;
}

/* ---- the tests ---- */

static struct config_tier_of tiers[] = {{.value = "nowhere", .tier = "kings"},
					{.value = "g1002", .tier = "staff"},
					{.value = "g1000", .tier = "press"}};
static struct portal_config config = {
	.pam_service = "tiergate-test", .pam_tiers = tiers, .pam_tier_count = 3};
static struct errors errors;

static int begin(void **state)
{
	memset(&pam, 0, sizeof pam);
	pam.name = "ann";
	user_there = true;
	system_name = NULL;
	groups_of_user = 2;
	config.pam_default_tier = NULL;
	return 0;
}

static int end(void **state)
{
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	return 0;
}

static enum credential_result try(const char *user, struct credential_answer *a)
{
	struct credential_request r = {.config = &config, .user = user, .password = "secret"};
	address_parse("10.0.0.7", &r.client);
	memset(a, 0, sizeof *a);
	return credential_pam.check(&r, a, &errors);
}

static void modules_are_told_what_they_need(void **state)
{
	struct credential_answer a;
	assert_int_equal(try("ann", &a), CREDENTIAL_OK);
	assert_string_equal(a.user, "ann");
	assert_string_equal(a.tier, "press");
	assert_string_equal(a.source, "pam");
	assert_int_equal(pam.item_count, 2);
	assert_int_equal(pam.items[0], PAM_FAIL_DELAY);
	assert_int_equal(pam.items[1], PAM_RHOST);
	assert_string_equal(pam.host, "10.0.0.7");
	assert_int_equal(pam.flags[0], PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	assert_int_equal(pam.flags[1], PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	assert_int_equal(pam.ends, 1);
	assert_int_equal(errors.count, 0);
}

/* Whether a user is there, is told by no difference. */
static void each_answer_to_a_password_has_its_meaning(void **state)
{
	struct credential_answer a;
	for (int i = PAM_SUCCESS; i < _PAM_RETURN_VALUES; i++) {
		pam.authenticate = i;
		pam.asked_account = false;
		size_t before = errors.count;
		enum credential_result r = try("ann", &a);
		bool wrong = i == PAM_AUTH_ERR || i == PAM_USER_UNKNOWN ||
			     i == PAM_CRED_INSUFFICIENT || i == PAM_MAXTRIES;
		assert_int_equal(r, i == PAM_SUCCESS ? CREDENTIAL_OK
				    : wrong          ? CREDENTIAL_WRONG
						     : CREDENTIAL_ERROR);
		assert_int_equal(errors.count - before, r == CREDENTIAL_ERROR);
		assert_int_equal(pam.asked_account, i == PAM_SUCCESS);
	}
	assert_non_null(strstr(errors.lines[0], "PAM (service tiergate-test): strange"));
}

static void each_answer_to_an_account_has_its_meaning(void **state)
{
	struct credential_answer a;
	for (int i = PAM_SUCCESS; i < _PAM_RETURN_VALUES; i++) {
		pam.account = i;
		bool locked = i == PAM_ACCT_EXPIRED || i == PAM_NEW_AUTHTOK_REQD ||
			      i == PAM_PERM_DENIED || i == PAM_AUTH_ERR || i == PAM_USER_UNKNOWN;
		assert_int_equal(try("ann", &a), i == PAM_SUCCESS ? CREDENTIAL_OK
						 : locked         ? CREDENTIAL_LOCKED
								  : CREDENTIAL_ERROR);
	}
}

/* However it was written, an account is one user. */
static void the_name_is_the_accounts(void **state)
{
	struct credential_answer a;
	system_name = "ann";
	pam.name = "ANN";
	assert_int_equal(try("ANN", &a), CREDENTIAL_OK);
	assert_string_equal(a.user, "ann");
	assert_string_equal(a.tier, "press");
	system_name = "no\nname";
	assert_int_equal(try("ANN", &a), CREDENTIAL_OK);
	assert_string_equal(a.user, "ANN");
	system_name = "ann";
	user_there = false;
	config.pam_default_tier = "guest";
	assert_int_equal(try("ANN", &a), CREDENTIAL_OK);
	assert_string_equal(a.user, "ANN");
}

static void the_name_that_counts_is_the_modules(void **state)
{
	static char longest[USER_MAX], longer[USER_MAX + 1];
	struct credential_answer a;
	pam.name = "ann.of.ad";
	assert_int_equal(try("ANN", &a), CREDENTIAL_OK);
	assert_string_equal(a.user, "ann.of.ad");
	memset(longest, 'a', USER_MAX - 1);
	memset(longer, 'a', USER_MAX);
	pam.name = longest;
	assert_int_equal(try("ann", &a), CREDENTIAL_OK);
	assert_string_equal(a.user, longest);
	static const char *const bad[] = {NULL, longer, "", "no\nname"};
	for (size_t i = 0; i < 4; i++) {
		pam.name = bad[i];
		assert_int_equal(try("ann", &a), CREDENTIAL_ERROR);
	}
	pam.name = "ann";
	pam.item = PAM_BAD_ITEM;
	assert_int_equal(try("ann", &a), CREDENTIAL_ERROR);
}

static void a_service_that_is_not_there_is_an_error(void **state)
{
	struct credential_answer a;
	pam.start = PAM_ABORT;
	assert_int_equal(try("ann", &a), CREDENTIAL_ERROR);
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "PAM cannot be asked (service tiergate-test)"));
	assert_int_equal(try("../ann", &a), CREDENTIAL_WRONG); /* is not asked at all */
	assert_int_equal(errors.count, 1);
}

static void the_first_group_of_the_list_says_the_tier(void **state)
{
	struct credential_answer a;
	groups_of_user = 3;
	assert_int_equal(try("ann", &a), CREDENTIAL_OK);
	assert_string_equal(a.tier, "staff"); /* of both, the first */
	groups_of_user = 0;
	assert_int_equal(try("ann", &a), CREDENTIAL_LOCKED);
	groups_of_user = 1;
	assert_int_equal(try("ann", &a), CREDENTIAL_OK);
	assert_string_equal(a.tier, "press");
	user_there = false; /* PAM knows it, the system does not */
	assert_int_equal(try("ann", &a), CREDENTIAL_LOCKED);
	config.pam_default_tier = "guest";
	assert_int_equal(try("ann", &a), CREDENTIAL_OK);
	assert_string_equal(a.tier, "guest");
	user_there = true;
	groups_of_user = GROUPS_MAX + 1; /* cannot be read whole */
	assert_int_equal(try("ann", &a), CREDENTIAL_OK);
	assert_string_equal(a.tier, "guest");
	groups_of_user = GROUPS_MAX;
	assert_int_equal(try("ann", &a), CREDENTIAL_OK);
	assert_string_equal(a.tier, "staff");
}

/* ---- the conversation ---- */

static const struct pam_message hidden = {PAM_PROMPT_ECHO_OFF, "Password: "},
				shown = {PAM_PROMPT_ECHO_ON, "login: "},
				info = {PAM_TEXT_INFO, "hello"}, error = {PAM_ERROR_MSG, "no"};

static void the_password_answers_what_is_asked_without_echo_alone(void **state)
{
	const struct pam_message *messages[] = {&hidden, &shown, &info, &error, &hidden};
	struct pam_response *r = NULL;
	assert_int_equal(converse(5, messages, &r, "secret"), PAM_SUCCESS);
	assert_string_equal(r[0].resp, "secret");
	assert_string_equal(r[1].resp, "");
	assert_null(r[2].resp);
	assert_null(r[3].resp);
	assert_string_equal(r[4].resp, "secret");
	answers_free(r, 5);
}

static void a_conversation_has_its_bounds(void **state)
{
	const struct pam_message *messages[PAM_MAX_NUM_MSG + 1];
	struct pam_response *r = NULL;
	for (size_t i = 0; i <= PAM_MAX_NUM_MSG; i++)
		messages[i] = &hidden;
	assert_int_equal(converse(0, messages, &r, "x"), PAM_CONV_ERR);
	assert_int_equal(converse(-1, messages, &r, "x"), PAM_CONV_ERR);
	assert_int_equal(converse(PAM_MAX_NUM_MSG + 1, messages, &r, "x"), PAM_CONV_ERR);
	assert_null(r);
	assert_int_equal(converse(PAM_MAX_NUM_MSG, messages, &r, "x"), PAM_SUCCESS);
	answers_free(r, PAM_MAX_NUM_MSG);
	for (long n = 0; NO_MEMORY && n < 4; n++) {
		no_memory_at(n);
		r = NULL;
		assert_int_equal(converse(3, messages, &r, "x"), PAM_BUF_ERR);
		no_memory_end();
		assert_null(r);
	}
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(modules_are_told_what_they_need),
		WITH(each_answer_to_a_password_has_its_meaning),
		WITH(each_answer_to_an_account_has_its_meaning),
		WITH(the_name_that_counts_is_the_modules),
		WITH(the_name_is_the_accounts),
		WITH(a_service_that_is_not_there_is_an_error),
		WITH(the_first_group_of_the_list_says_the_tier),
		WITH(the_password_answers_what_is_asked_without_echo_alone),
		WITH(a_conversation_has_its_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
