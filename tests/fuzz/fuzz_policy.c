/* The input is a configuration and, behind a line "%%", a list of sites that it may name as "201".
 * What compiles, compiles to the same digest again; what does not,
 * says why. The bytes lie in memory files, which the loader reads as /proc/self/fd/N. */
#include "base/clock.h"
#include "policy/load.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* libconfig 1.5 loses the last string of a text that does not parse. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

enum { MAIN = 200, LIST = 201 };

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void put(int fd, const void *bytes, size_t len)
{
	require(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, len, 0) == (ssize_t)len);
}

static void prepare(void)
{
	for (int at = MAIN; at <= LIST; at++) {
		int fd = memfd_create("fuzz_policy", MFD_CLOEXEC);
		require(fd >= 0 && dup2(fd, at) == at);
		close(fd);
	}
	dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 0); /* a list that names "0" must not wait */
}

static bool load(struct policy *p)
{
	struct errors errors = {0};
	*p = (struct policy){0};
	bool good = policy_load("/proc/self/fd/200", CONFIG_FOR_CHECK, p, &errors);
	require(good == !errors.count);
	errors_deinit(&errors);
	return good;
}

static void ask(const struct policy *p)
{
	struct errors errors = {0};
	int64_t now = 1782129600 * NS_PER_S;
	require(snapshot_expect(p->snapshot, &errors, now) <= errors.count);
	int64_t edge = snapshot_next_edge(p->snapshot, now);
	require(edge == 0 || edge > now);
	for (size_t i = 0; i < p->config->tier_count; i++)
		require(snapshot_has_tier(p->snapshot, p->config->tiers[i].name));
	errors_deinit(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool prepared;
	const uint8_t *cut = size ? memmem(data, size, "\n%%\n", 4) : NULL;
	size_t len = cut ? (size_t)(cut - data) : size;
	struct policy one, two;
	if (!prepared)
		prepare();
	prepared = true;
	put(MAIN, data, len);
	put(LIST, cut ? (const void *)(cut + 4) : "", cut ? size - len - 4 : 0);
	if (load(&one)) {
		require(load(&two));
		require(strcmp(snapshot_digest(one.snapshot), snapshot_digest(two.snapshot)) == 0);
		ask(&one);
		policy_free(&two);
	}
	policy_free(&one);
	return 0;
}
