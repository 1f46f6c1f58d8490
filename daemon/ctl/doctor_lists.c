/* The lists' part of doctor. */
#include "ctl/doctor.h"

#include "base/clock.h"

#define DAY (24 * 3600 * NS_PER_S)

void doctor_lists(struct doctor *d, const struct config *c)
{
	const struct site_list *oldest = NULL;
	struct errors old = {0};
	size_t count = 0;
	int64_t now = clock_wall();
	for (size_t s = 0; s < c->site_count; s++)
		for (size_t i = 0; i < c->sites[s].count; i++) {
			const struct site_list *l = &c->sites[s].list[i];
			if (!l->changed) /* written in place */
				continue;
			count++;
			if (!oldest || l->changed < oldest->changed)
				oldest = l;
		}
	config_old_lists(c, now, &old);
	if (!doctor_find_all(d, BAD, "lists", &old) && oldest)
		doctor_find(d, GOOD, "lists", "%zu files; the oldest, %s, is %lld days old", count,
			    oldest->file, (long long)((now - oldest->changed) / DAY));
}
