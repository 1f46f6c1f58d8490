/* bench_session [SESSIONS]: memory of a full session table and ns per look-up, present and absent,
 * random order, one thread. Prints, never fails by time. */
#include "base/clock.h"
#include "identity/session.h"

#include <stdio.h>
#include <stdlib.h>

static struct address addr(uint32_t n)
{
	n *= 2654435761u; /* spread over 10/8 as no network does: the worst case for caches */
	return address_from4(
		(uint8_t[]){(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n});
}

static long rss_kb(void)
{
	long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%ld %ld", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * 4;
}

static double lookups(struct sessions *s, uint32_t first, uint32_t count, unsigned *found)
{
	enum { LOOKUPS = 4000000 };
	struct session out;
	uint32_t n = 12345;
	int64_t start = clock_now();
	*found = 0;
	for (int i = 0; i < LOOKUPS; i++) {
		n = n * 1664525 + 1013904223;
		struct address a = addr(first + (uint32_t)((uint64_t)n * count >> 32));
		*found += session_at(s, &a, start, &out);
	}
	return (double)(clock_now() - start) / LOOKUPS;
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	long before = rss_kb();
	struct sessions *s = sessions_new(count);
	struct session what = {.source = "login"};
	int64_t start = clock_now();
	unsigned found, refused = 0;
	for (uint32_t i = 0; s && i < count; i++) {
		struct address a = addr(i);
		snprintf(what.user, sizeof what.user, "user%u", i);
		snprintf(what.tier, sizeof what.tier, "staff");
		refused += session_open(s, &a, &what, start) != 0;
	}
	if (!s || refused) {
		fprintf(stderr, "bench_session: %u of %u refused\n", refused, count);
		return 1;
	}
	printf("sessions %u  open %.0f ns each  memory %.0f MB (%.0f bytes each)\n", count,
	       (double)(clock_now() - start) / count, (double)(rss_kb() - before) / 1024,
	       (double)(rss_kb() - before) * 1024 / count);
	double hit = lookups(s, 0, count, &found);
	printf("look-up present %.0f ns (%u found)\n", hit, found);
	double hot = lookups(s, 0, count < 1000 ? count : 1000, &found);
	printf("look-up present %.0f ns among 1000 (%u found)\n", hot, found);
	double miss = lookups(s, count, count, &found);
	printf("look-up absent  %.0f ns (%u found)\n", miss, found);
	int64_t next, swept = clock_now();
	sessions_expire(s, swept, &next);
	printf("expiry sweep    %.1f ms\n", (double)(clock_now() - swept) / 1e6);
	sessions_free(s);
	return 0;
}
