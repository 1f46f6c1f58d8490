#include "unit.h"
#include "base/clock.h"
#include "portal/deadline.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEVER INT64_C(1000000000000000000) /* longer than any test, and no overflow */

static const struct address somebody = {.bytes = {[15] = 1}};

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
	struct watched *first = deadline_begin(d, a[0], &somebody),
		       *second = deadline_begin(d, b[0], &somebody);
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
	struct watched *w = deadline_begin(d, a[0], &somebody);
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
	struct watched *w = deadline_begin(d, a[0], &somebody);
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
			w[i] = deadline_begin(d, a[i][0], &somebody);
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

/* ---- room ---- */

struct peer {
	struct watched *w;
	int fd[2];
};

static struct address address_of(const char *text, unsigned last)
{
	struct address a;
	assert_true(address_parse(text, &a));
	a.bytes[14] = (uint8_t)(last >> 8);
	a.bytes[15] = (uint8_t)last;
	return a;
}

/* Begins one more where there is room for it. */
static bool begin(struct deadline *d, struct peer *p, const struct address *a, unsigned max)
{
	if (!deadline_room(d, a, max))
		return false;
	pair(p->fd);
	p->w = deadline_begin(d, p->fd[0], a);
	return true;
}

static void end_all(struct deadline *d, struct peer *p, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (p[i].w) {
			deadline_end(d, p[i].w);
			close_pair(p[i].fd);
		}
	deadline_free(d);
}

#define MAX 32

/* One host fills all with many addresses of its /64, some with several connections: who comes from
 * elsewhere has room, and so has who is in the same /64. */
static void one_host_s_many_addresses_keep_nobody_out(void **state)
{
	for (unsigned each = 1; each <= 4; each++) {
		struct deadline *d = deadline_new(NEVER);
		struct peer p[MAX + 3] = {0};
		for (unsigned i = 0; i < MAX; i++) {
			struct address a = address_of("fd00::", 256 + i / each);
			assert_true(begin(d, &p[i], &a, MAX));
		}
		struct address four = address_of("10.0.0.7", 7), six = address_of("fd00::", 7);
		assert_true(begin(d, &p[MAX], &four, MAX));
		assert_true(is_shut(p[0].fd[1])); /* the oldest */
		assert_false(is_shut(p[each].fd[1]));
		assert_true(begin(d, &p[MAX + 1], &six, MAX));
		assert_true(begin(d, &p[MAX + 2], &four, MAX));
		for (unsigned i = MAX; i < MAX + 3; i++)
			assert_false(is_shut(p[i].fd[1]));
		end_all(d, p, MAX + 3);
	}
}

/* Where all have as much as who comes, one of theirs would not be fairer. */
static void who_has_as_much_waits(void **state)
{
	struct deadline *d = deadline_new(NEVER);
	struct peer p[MAX + 2] = {0};
	for (unsigned i = 0; i < MAX; i++) {
		struct address a = address_of("10.0.0.0", i / 2);
		assert_true(begin(d, &p[i], &a, MAX));
	}
	struct address third = address_of("10.0.0.0", 0), fresh = address_of("10.0.0.0", 99);
	assert_false(begin(d, &p[MAX], &third, MAX));
	assert_true(begin(d, &p[MAX], &fresh, MAX));
	assert_false(begin(d, &p[MAX + 1], &fresh, MAX)); /* 2 of 2 */
	/* what has ended, or was shut down, takes no place */
	deadline_end(d, p[5].w);
	close_pair(p[5].fd);
	p[5].w = NULL;
	assert_true(begin(d, &p[MAX + 1], &fresh, MAX));
	end_all(d, p, MAX + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_host_s_many_addresses_keep_nobody_out),
		cmocka_unit_test(who_has_as_much_waits),
		cmocka_unit_test(what_is_late_is_shut_down_once),
		cmocka_unit_test(what_has_time_left_stays),
		cmocka_unit_test(who_waits_for_us_is_not_late),
		cmocka_unit_test(what_has_ended_is_not_touched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
