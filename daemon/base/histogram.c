#include "base/histogram.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)

const struct histogram_bound histogram_bounds[HISTOGRAM_BUCKETS - 1] = {
	{10 * US, "1e-05"},    {25 * US, "2.5e-05"}, {50 * US, "5e-05"}, {100 * US, "0.0001"},
	{250 * US, "0.00025"}, {500 * US, "0.0005"}, {1 * MS, "0.001"},  {2500 * US, "0.0025"},
	{5 * MS, "0.005"},     {10 * MS, "0.01"},    {25 * MS, "0.025"}, {50 * MS, "0.05"},
	{100 * MS, "0.1"},     {250 * MS, "0.25"},   {500 * MS, "0.5"},  {1000 * MS, "1"},
	{2500 * MS, "2.5"},    {5000 * MS, "5"},
};

static void add(uint64_t *to, uint64_t n)
{
	__atomic_store_n(to, *to + n, __ATOMIC_RELAXED);
}

void histogram_add(struct histogram *h, int64_t ns, uint64_t count)
{
	int i = 0;
	if (ns < 0)
		ns = 0;
	while (i < HISTOGRAM_BUCKETS - 1 && ns > histogram_bounds[i].ns)
		i++;
	add(&h->bucket[i], count);
	add(&h->sum, (uint64_t)ns * count);
}

void histogram_join(struct histogram *to, const struct histogram *more)
{
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->bucket[i] += more->bucket[i];
	to->sum += more->sum;
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t all = 0;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		all += h->bucket[i];
	return all;
}

int64_t histogram_within(const struct histogram *h, double part)
{
	uint64_t all = histogram_count(h), so_far = 0;
	for (int i = 0; all && i < HISTOGRAM_BUCKETS - 1; i++) {
		so_far += h->bucket[i];
		if ((double)so_far >= part * (double)all)
			return histogram_bounds[i].ns;
	}
	return all ? INT64_MAX : 0;
}
