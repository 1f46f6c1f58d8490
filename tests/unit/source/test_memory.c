/* Where there is no memory: what cannot be opened is said, or is not there, and nothing stays. */
#include "no_memory.h"
#include "netlink_kernel.h"
#include "source/conntrack.h"
#include "source/copies.h"
#include "source/meter.h"
#include "source/nfqueue.h"
#include "source/racer.h"
#include "source/tally.h"
#include "unit.h"

/* Opens something of its own, and closes it. False: it could not be opened; errors says why, where
 * it has any. */
static bool open_nfqueue(struct errors *errors)
{
	const struct nfqueue_options o = {.mark_mask = 0xff, .kept = -1};
	struct source *s = nfqueue_open(&o, errors);
	if (s)
		s->ops->free(s);
	return s;
}

static bool open_copies(struct errors *errors)
{
	const struct copies_options o = {.kept = -1};
	struct copies *c = copies_open(&o, errors);
	copies_close(c);
	return c;
}

static bool open_conntrack(struct errors *errors)
{
	const struct conntrack_options o = {.mark_mask = 0xff, .kept = -1};
	struct conntrack *c = conntrack_open(&o, errors);
	conntrack_close(c);
	return c;
}

static bool open_tally(struct errors *errors)
{
	const struct tally_options o = {.mark_mask = 0xff};
	struct tally *t = tally_open(&o, errors);
	tally_close(t);
	return t;
}

static bool open_meter(struct errors *errors)
{
	const struct meter_options o = {.flows = 16};
	struct meter *m = meter_open(&o, errors);
	meter_close(m);
	return m;
}

static bool open_racers(struct errors *errors)
{
	struct racers *r = racers_open();
	racers_close(r);
	return r;
}

static bool open_asker(struct errors *errors)
{
	struct conntrack_asker *a = conntrack_asker_open();
	if (a)
		conntrack_asker_close(a);
	return a;
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < 64; fd++)
		n += kernel_is_open(fd);
	return n;
}

static void what_cannot_be_opened_is_not_there_and_leaves_nothing(void **state)
{
	bool (*const openers[])(struct errors *) = {open_nfqueue, open_copies, open_conntrack,
						    open_tally,   open_meter,  open_racers,
						    open_asker};
	for (size_t i = 0; NO_MEMORY && i < sizeof openers / sizeof *openers; i++) {
		bool failed = true, opened = false;
		unsigned before = open_descriptors();
		for (long n = 0; failed; n++) {
			struct errors errors = {0};
			kernel_reset();
			no_memory_at(n);
			opened = openers[i](&errors);
			failed = no_memory_failed;
			no_memory_end();
			assert_true(n > 0 || !opened);
			assert_true(opened || failed);
			assert_int_equal(open_descriptors(), before);
			errors_deinit(&errors);
		}
		assert_true(opened);
	}
	kernel_reset();
}

/* Without its table or its socket there would be quotas that nobody counts. */
static void a_meter_is_whole_or_not_there(void **state)
{
	bool failed = NO_MEMORY;
	struct errors errors = {0};
	for (long n = 0; failed; n++) {
		kernel_reset();
		no_memory_at(n);
		bool opened = open_meter(&errors);
		failed = no_memory_failed;
		no_memory_end();
		assert_true(opened != failed);
	}
	kernel.cannot_bind = EPERM;
	assert_false(open_meter(&errors));
	kernel.cannot_open = EMFILE;
	assert_false(open_meter(&errors));
	errors_deinit(&errors);
	kernel_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_opened_is_not_there_and_leaves_nothing),
		cmocka_unit_test(a_meter_is_whole_or_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
