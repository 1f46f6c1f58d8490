/* The checkers, with requests of the test's own: request_resume here takes the place of the
 * server's. */
#include "unit.h"
#include "base/clock.h"
#include "identity/vouchers.h"
#include "portal/checker.h"
#include "portal/limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], users[96], vouchers[96], code[VOUCHER_CODE];
static struct portal_config config = {.credentials = CREDENTIALS_USERS | CREDENTIALS_VOUCHERS,
				      .control_socket = "/nonexistent/control.sock",
				      .users_file = users,
				      .vouchers_file = vouchers,
				      .session = 3600 * NS_PER_S};
static struct portal portal = {.config = &config};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static unsigned resumed;

void request_resume(struct request *r)
{
	pthread_mutex_lock(&lock);
	assert_true(r->sign_in->done);
	resumed++;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

static void wait_for(unsigned count)
{
	pthread_mutex_lock(&lock);
	while (resumed < count)
		pthread_cond_wait(&more, &lock);
	pthread_mutex_unlock(&lock);
}

static struct request *ask(const char *user, const char *secret)
{
	struct request *r = calloc(1, sizeof *r);
	assert_true(r && (r->sign_in = calloc(1, sizeof *r->sign_in)));
	r->portal = &portal;
	r->config = &config;
	r->gate = gate_of(&config);
	r->now = clock_now();
	assert_true(address_parse("10.0.1.7", &r->peer));
	strcpy(r->sign_in->user, user);
	strcpy(r->sign_in->secret, secret);
	return r;
}

static void forget(struct request *r)
{
	gate_close(&r->gate);
	free(r->sign_in);
	free(r);
}

static void tell(void *ctx, const char *text)
{
	strcpy(code, text);
}

static int set_up(void **state)
{
	struct errors errors = {0};
	strcpy(folder, "/tmp/tiergate-checker-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(users, sizeof users, "%s/users", folder);
	snprintf(vouchers, sizeof vouchers, "%s/vouchers", folder);
	portal.cookies = cookies_new();
	portal.limit = limit_new();
	resumed = 0;
	return users_write(users, "ann", "staff", "secret", &errors) +
	       vouchers_make(vouchers, 1, "guest", 60 * NS_PER_S, tell, NULL, &errors);
}

static int tear_down(void **state)
{
	cookies_free(portal.cookies);
	limit_free(portal.limit);
	unlink(users);
	unlink(vouchers);
	return rmdir(folder);
}

static void each_is_answered_and_its_secret_wiped(void **state)
{
	static const struct sign_in none;
	struct checkers *c = checkers_new(&portal, 2);
	struct request *r[] = {ask("ann", "secret"), ask("ann", "wrong"), ask("bob", "secret"),
			       ask("", "AAAA-AAAA-AAAA-AAAA")};
	for (int i = 0; i < 4; i++)
		assert_true(checkers_add(c, r[i]));
	wait_for(4);
	assert_int_equal(r[0]->sign_in->result, CREDENTIAL_OK);
	assert_string_equal(r[0]->sign_in->answer.tier, "staff");
	assert_false(r[0]->sign_in->opened); /* there is no daemon */
	assert_true(r[0]->gate.away);
	for (int i = 1; i < 4; i++)
		assert_int_equal(r[i]->sign_in->result, CREDENTIAL_WRONG);
	for (int i = 0; i < 4; i++) {
		assert_memory_equal(r[i]->sign_in->secret, none.secret, sizeof none.secret);
		assert_false(r[i]->sign_in->busy);
		forget(r[i]);
	}
	checkers_stop(c);
	checkers_free(c);
}

static void a_voucher_without_a_session_is_good_again(void **state)
{
	struct checkers *c = checkers_new(&portal, 1);
	for (unsigned i = 1; i <= 3; i++) {
		struct request *r = ask("", code);
		assert_true(checkers_add(c, r));
		wait_for(i);
		assert_int_equal(r->sign_in->result, CREDENTIAL_OK);
		assert_false(r->sign_in->opened);
		forget(r);
	}
	checkers_stop(c);
	checkers_free(c);
}

/* Without a thread nothing is taken from the queue, as where each hangs in a PAM module. */
static void who_waits_too_long_is_told_to_come_again(void **state)
{
	struct checkers *c = checkers_new(&portal, 0);
	struct request *r[3];
	int64_t start = clock_now();
	for (int i = 0; i < 3; i++) {
		r[i] = ask("ann", "secret");
		r[i]->now = start + i;
		assert_int_equal(limit_begin(portal.limit, &r[i]->peer, "ann", r[i]->now), 0);
		assert_true(checkers_add(c, r[i]));
	}
	assert_int_equal(checkers_late(c, start + CHECK_WAIT_NS - 1), 0);
	assert_int_equal(resumed, 0);
	assert_int_equal(checkers_late(c, start + CHECK_WAIT_NS + 1), 2);
	assert_int_equal(resumed, 2);
	assert_true(r[0]->sign_in->busy && r[1]->sign_in->busy && !r[2]->sign_in->busy);
	assert_int_equal(r[0]->sign_in->secret[0], '\0');
	checkers_stop(c);
	assert_true(r[2]->sign_in->busy);
	assert_int_equal(resumed, 3);
	/* and it was no guess */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(limit_begin(portal.limit, &r[i]->peer, "ann", start + i), 0);
		forget(r[i]);
	}
	checkers_free(c);
}

/* Without a thread nothing is ever taken from the queue. */
static void what_does_not_fit_is_refused_and_what_waits_is_given_back(void **state)
{
	struct checkers *c = checkers_new(&portal, 0);
	struct request *r[CHECKS_WAITING], *one_more = ask("ann", "secret");
	for (int i = 0; i < CHECKS_WAITING; i++) {
		r[i] = ask("ann", "secret");
		assert_true(checkers_add(c, r[i]));
	}
	assert_false(checkers_add(c, one_more));
	assert_int_equal(resumed, 0);
	checkers_stop(c);
	assert_int_equal(resumed, CHECKS_WAITING);
	assert_false(checkers_add(c, one_more));
	for (int i = 0; i < CHECKS_WAITING; i++) {
		assert_true(r[i]->sign_in->busy);
		forget(r[i]);
	}
	forget(one_more);
	checkers_free(c);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(each_is_answered_and_its_secret_wiped),
		WITH(a_voucher_without_a_session_is_good_again),
		WITH(what_does_not_fit_is_refused_and_what_waits_is_given_back),
		WITH(who_waits_too_long_is_told_to_come_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
