/* A calendar of a schedule: its file, and what a start makes of one that has a fault. */
#include "base/clock.h"
#include "config/calendar.h"
#include "config/load.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define AHEAD 5 /* years in which a recurrence without an end is followed */

/* The end of a year from now, or from when the file was changed: a clock that is behind, as of a
 * machine without a battery, makes no year end early. In seconds. */
static int64_t horizon(const char *path)
{
	struct stat st;
	struct tm tm;
	time_t now = (time_t)(clock_wall() / NS_PER_S);
	if (stat(path, &st) == 0 && st.st_mtim.tv_sec > now)
		now = st.st_mtim.tv_sec;
	gmtime_r(&now, &tm);
	tm = (struct tm){.tm_year = tm.tm_year + AHEAD + 1, .tm_mday = 1};
	return timegm(&tm);
}

struct hearer {
	struct loader *l;
	const char *file;
};

static void hear(void *ctx, int line, const char *what)
{
	const struct hearer *h = ctx;
	complain(h->l, h->file, line, "%s", what);
}

static void parse(struct loader *l, const char *name, char *text, size_t len,
		  struct config_schedule *s)
{
	struct hearer h = {l, name};
	struct zone *zone = zone_new(s->zone ? s->zone : "UTC");
	char *path = config_path(l, name);
	const struct calendar_reader r = {
		.zone = zone, .until = horizon(path), .complain = hear, .ctx = &h};
	int64_t last;
	free(path);
	if (zone && calendar_parse(text, len, &r, &s->dates, &last)) {
		bool never = last == INT64_MIN;
		s->calendar_over = last == INT64_MAX ? last : never ? 0 : last * NS_PER_S;
		if (never)
			errors_add(&l->c->notes, name, 0,
				   "holds no event: schedule \"%s\" has no date of it", s->name);
	}
	zone_free(zone);
}

/* A start with a calendar that has a fault: what is good of it. */
static void pardon(struct loader *l, size_t before, const char *name,
		   const struct config_schedule *s)
{
	complaints_pardon(l, before);
	l->c->faults++;
	errors_add(&l->c->notes, name, 0,
		   "has a fault: schedule \"%s\" goes by the events of it that are good", s->name);
}

void calendar_read(struct loader *l, const char *path, int line, struct config_schedule *s)
{
	size_t len, before = l->complaint_count;
	const char *name = named_file(l, path, line);
	if (!name)
		return;
	s->dated = true;
	s->calendar = must(strdup(name));
	s->calendar_over = INT64_MAX;
	char *text = config_text_of(l, name, line, CALENDAR_BYTES, &len);
	if (text)
		parse(l, name, text, len, s);
	free(text);
	if (l->use == CONFIG_FOR_START && l->complaint_count > before)
		pardon(l, before, name, s);
}
