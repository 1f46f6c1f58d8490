#include "unit.h"
#include "base/clock.h"
#include "portal/deadline.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEVER INT64_C(1000000000000000000) /* longer than any test, and no overflow */

static void pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
}

static bool is_shut(int fd)
{
	char c;
	return recv(fd, &c, 1, 0) == 0;
}

static void close_pair(const int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

static void what_is_late_is_shut_down_once(void **state)
{
	struct deadline *d = deadline_new(-1); /* everything is late at once */
	int a[2], b[2];
	pair(a);
	pair(b);
	struct watched *first = deadline_begin(d, a[0]), *second = deadline_begin(d, b[0]);
	assert_int_equal(deadline_sweep(d), 2);
	assert_true(is_shut(a[1]) && is_shut(b[1]));
	assert_int_equal(deadline_sweep(d), 0);
	deadline_end(d, first);
	deadline_end(d, second);
	deadline_free(d);
	close_pair(a);
	close_pair(b);
}

static void what_has_time_left_stays(void **state)
{
	struct deadline *d = deadline_new(NEVER);
	int a[2];
	pair(a);
	struct watched *w = deadline_begin(d, a[0]);
	assert_int_equal(deadline_sweep(d), 0);
	deadline_restart(d, w);
	assert_int_equal(deadline_sweep(d), 0);
	assert_false(is_shut(a[1]));
	deadline_free(d); /* with what is still watched */
	close_pair(a);
}

static void who_waits_for_us_is_not_late(void **state)
{
	struct deadline *d = deadline_new(-1);
	int a[2];
	pair(a);
	struct watched *w = deadline_begin(d, a[0]);
	deadline_pause(d, w);
	assert_int_equal(deadline_sweep(d), 0);
	assert_false(is_shut(a[1]));
	deadline_restart(d, w);
	assert_int_equal(deadline_sweep(d), 1);
	assert_true(is_shut(a[1]));
	deadline_free(d);
	close_pair(a);
}

/* From the front, the middle and the back of the list: the others are still watched. */
static void what_has_ended_is_not_touched(void **state)
{
	for (int gone = 0; gone < 3; gone++) {
		struct deadline *d = deadline_new(-1);
		int a[3][2];
		struct watched *w[3];
		for (int i = 0; i < 3; i++) {
			pair(a[i]);
			w[i] = deadline_begin(d, a[i][0]);
		}
		deadline_end(d, w[gone]);
		assert_int_equal(deadline_sweep(d), 2);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(is_shut(a[i][1]), i != gone);
			close_pair(a[i]);
		}
		deadline_free(d);
	}
	deadline_end(NULL, NULL); /* a connection for which there was no memory */
	deadline_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_late_is_shut_down_once),
		cmocka_unit_test(what_has_time_left_stays),
		cmocka_unit_test(who_waits_for_us_is_not_late),
		cmocka_unit_test(what_has_ended_is_not_touched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
