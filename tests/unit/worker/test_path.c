/* What the packet path asks of the system once it is warm: nothing. Every kind of packet, in
 * bursts, by the lanes of the bench. */
#include "../../bench/play.h"
#include "unit.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define OUR_OWN 0 /* a sanitizer allocates, and calls the system */
#else
#define OUR_OWN 1

static bool counting;
static unsigned long taken;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
	taken += counting;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	taken += counting;
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	taken += counting;
	return __libc_realloc(old, size);
}
#endif

static struct lane *lane;

static void play_all(void)
{
	int64_t ns[KIND_COUNT];
	for (unsigned s = 0; s < SCRIPTS; s++)
		play(lane, &scripts[s], ns);
}

static int warm_up(void **state)
{
	world.sizes = (struct sizes){.names = 500, .users = 100, .flows = 8192, .seen = 4096};
	batch = 512;
	lanes_untimed = true;
	rcu_register_thread();
	world_make();
	lane = lane_new(&world, 0, 1);
	fill(lane, 4096);
	play_all();
	play_all();
	return 0;
}

static int cool_down(void **state)
{
	lane_free(lane);
	world_free(&world);
	initials_free();
	rcu_unregister_thread();
	return 0;
}

static void nothing_is_allocated(void **state)
{
#if OUR_OWN
	counting = true;
	play_all();
	counting = false;
	assert_int_equal(taken, 0);
#else
	skip();
#endif
}

/* The kernel ends who calls it for anything but read, write and its own end. A lock that is free
 * needs no call; one that is waited for would. */
static void the_system_is_not_called(void **state)
{
#if OUR_OWN
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		play_all();
		syscall(SYS_exit, 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
#else
	skip();
#endif
}

/* Whatever is in one burst with it, and however many. */
static void bursts_have_any_size(void **state)
{
	static const unsigned sizes[] = {1, 2, 3, 4, 5, 63, 64};
	unsigned whole = batch;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		batch = sizes[i];
		play_all();
	}
	batch = whole;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_allocated),
		cmocka_unit_test(the_system_is_not_called),
		cmocka_unit_test(bursts_have_any_size),
	};
	return cmocka_run_group_tests(tests, warm_up, cool_down);
}
