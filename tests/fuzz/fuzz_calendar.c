/* A calendar: what it gives can be written and read again, whether it is all good or not. */
#include "config/calendar.h"

#include "base/array.h"
#include "config/value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void ignore(void *ctx, int line, const char *what)
{
	(void)ctx;
	if (line < 0 || !what[0])
		abort();
}

static void check(struct span *s, size_t count, bool timed)
{
	count = spans_join(s, count);
	for (size_t i = 0; i < count; i++) {
		char text[64] = "";
		struct buf b = BUF_OF(text);
		struct span again;
		bool as_time;
		dates_format(&s[i], timed, &b);
		if (!dates_parse(text, &again, &as_time) || as_time != timed ||
		    again.from != s[i].from || again.to != s[i].to)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zone *zone;
	struct config_dates d = {0};
	int64_t last;
	if (!zone)
		zone = must(zone_new("Europe/Sofia"));
	const struct calendar_reader r = {
		.zone = zone, .until = INT64_C(1893456000), .complain = ignore};
	char *text = must(malloc(size + 1));
	memcpy(text, data, size);
	text[size] = '\0';
	bool good = calendar_parse(text, size, &r, &d, &last);
	if (good && last == INT64_MIN && d.days + d.times)
		abort();
	check(d.day, d.days, false);
	check(d.time, d.times, true);
	free(d.day);
	free(d.time);
	free(text);
	return 0;
}
