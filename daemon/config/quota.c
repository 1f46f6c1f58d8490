/* quota: "90 min/day", "2 GiB/week from mon 04:00 Europe/Sofia together". */
#include "config/value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 96
#define WORDS   6

static const struct {
	const char *text;
	uint64_t worth; /* bytes; of time: minutes */
	bool bytes;
} units[] = {{"TiB", UINT64_C(1) << 40, true},
	     {"GiB", UINT64_C(1) << 30, true},
	     {"MiB", UINT64_C(1) << 20, true},
	     {"KiB", UINT64_C(1) << 10, true},
	     {"TB", UINT64_C(1000000000000), true},
	     {"GB", UINT64_C(1000000000), true},
	     {"MB", UINT64_C(1000000), true},
	     {"kB", UINT64_C(1000), true},
	     {"h", 60, false},
	     {"min", 1, false}};
#define UNITS (sizeof units / sizeof *units)

#define AMOUNT_MAX (UINT64_C(1) << 50) /* of bytes */

static const struct {
	const char *words; /* with a space before and behind each */
	const char *error;
} not_units[] = {
	{" m mn mins minute minutes Min M ", "has minutes that are not written \"min\""},
	{" H hr hrs hour hours Hour Hours ", "has hours that are not written \"h\""},
	{" s sec secs second seconds ", "is in seconds; the smallest unit of time is min"},
	{" d day days w week weeks ", "is in days; the largest unit of time is h"},
	{" k K kb KB Kb kib Kib KIB m mb Mb mB mib Mib MIB g G gb Gb gB gib Gib GIB t T tb Tb tB "
	 "tib "
	 "Tib TIB ",
	 "has bytes that are not written kB, MB, GB, TB, KiB, MiB, GiB or TiB"},
	{" B b byte bytes Byte Bytes ", "is in single bytes; the smallest unit of these is kB"},
};

/* What is wrong with what stands between a number and its slash, and is no unit. */
static const char *no_unit(const char *unit, size_t len)
{
	char word[16];
	if (*unit == '.' || *unit == ',')
		return "is of a number that is not whole; write 1.5 h as 90 min, 1.5 GB as 1500 MB";
	if (len == 0)
		return "has no unit (min, h, kB, MB, GB, TB, KiB, MiB, GiB, TiB)";
	if (strcspn(unit, "0123456789") < (unit[len] ? len : strcspn(unit, " ")))
		return "is of two numbers; write one in the smaller unit, 1h30 as 90 min";
	if (memchr(unit, ' ', len))
		return "has no \"/day\" or \"/week\" right behind its unit";
	snprintf(word, sizeof word, " %.*s ", (int)len, unit);
	for (size_t i = 0; i < sizeof not_units / sizeof *not_units; i++)
		if (len < sizeof word - 2 && strstr(not_units[i].words, word))
			return not_units[i].error;
	return "has no such unit (min, h, kB, MB, GB, TB, KiB, MiB, GiB, TiB)";
}

static const char *set_amount(struct config_quota *q, unsigned long long n, uint64_t worth)
{
	if (n == 0)
		return "allows nothing at all; where nothing is allowed, leave the line out";
	if (n > AMOUNT_MAX / worth)
		return q->bytes ? "is more than 1024 TiB" : "is more than there is of it";
	q->amount = n * worth;
	return NULL;
}

/* "90", "min", "day"; or "90min", "day": what is wrong, or NULL. *rest: behind the period. */
static const char *take_amount(const char *text, struct config_quota *q, const char **rest)
{
	char *end;
	if (*text == '-' && isdigit((unsigned char)text[1]))
		return "is less than nothing";
	if (!isdigit((unsigned char)*text))
		return "does not begin with a number";
	unsigned long long n = strtoull(text, &end, 10);
	end += *end == ' ';
	size_t len = strcspn(end, "/");
	*rest = end + len;
	for (size_t i = 0; i < UNITS; i++) {
		if (strlen(units[i].text) != len || strncmp(units[i].text, end, len) != 0)
			continue;
		q->bytes = units[i].bytes;
		return set_amount(q, n, units[i].worth);
	}
	return no_unit(end, len);
}

static const char *take_period(const char *text, struct config_quota *q)
{
	q->week = strcmp(text, "/week") == 0;
	if (!q->week && strcmp(text, "/day") != 0)
		return "is neither for a day nor for a week";
	return !q->bytes && q->amount > (q->week ? 7 * 1440 : 1440) ? "is more than there is of it"
								    : NULL;
}

/* Where it begins anew: "04:00", of a week "mon 04:00" as well. */
static bool take_from(char *const *word, size_t count, size_t *at, struct config_quota *q)
{
	char text[16];
	unsigned day = 0, minute;
	bool has_day = *at < count && isalpha((unsigned char)*word[*at]);
	if (*at + has_day >= count || (has_day && !q->week))
		return false;
	snprintf(text, sizeof text, "%.8s %.6s", has_day ? word[*at] : "mon", word[*at + has_day]);
	if (!weektime_parse(text, &day, &minute))
		return false;
	q->day = (uint8_t)day;
	q->minute = (uint16_t)minute;
	*at += has_day + 1u;
	return true;
}

/* What follows the period, word by word. */
static const char *take_rest(char *const *word, size_t count, struct config_quota *q)
{
	size_t at = 0;
	if (at < count && strcmp(word[at], "from") == 0) {
		at++;
		if (!take_from(word, count, &at, q))
			return q->week ? "begins at no such time" : "begins at no such time of day";
	}
	if (at < count && strcmp(word[at], "together") != 0) {
		if (strlen(word[at]) >= sizeof q->zone)
			return "names no time zone";
		strcpy(q->zone, word[at++]);
	}
	if (at < count && strcmp(word[at], "together") == 0) {
		q->together = true;
		at++;
	}
	return at < count ? "has more behind it" : NULL;
}

const char *quota_parse(const char *text, struct config_quota *out)
{
	struct config_quota q = {0};
	char copy[LONGEST], *word[WORDS], *save = NULL;
	const char *rest, *error = take_amount(text, &q, &rest);
	size_t count = 0;
	if (error)
		return error;
	if (strlen(rest) >= sizeof copy)
		return "is too long";
	strcpy(copy, rest);
	char *period = strtok_r(copy, " ", &save);
	for (char *w; count < WORDS && (w = strtok_r(NULL, " ", &save));)
		word[count++] = w;
	error = take_period(period ? period : "", &q);
	if (!error)
		error = take_rest(word, count, &q);
	if (!error)
		*out = q;
	return error;
}

void quota_amount_format(bool bytes, uint64_t amount, struct buf *b)
{
	size_t best = UNITS;
	for (size_t i = 0; i < UNITS; i++)
		if (units[i].bytes == bytes && amount % units[i].worth == 0 &&
		    (best == UNITS || units[i].worth > units[best].worth))
			best = i;
	if (best == UNITS)
		buf_printf(b, "%llu B", (unsigned long long)amount);
	else
		buf_printf(b, "%llu %s", (unsigned long long)(amount / units[best].worth),
			   units[best].text);
}

void quota_format(const struct config_quota *q, struct buf *b)
{
	quota_amount_format(q->bytes, q->amount, b);
	buf_text(b, q->week ? "/week" : "/day");
	if (q->day || q->minute) {
		buf_text(b, " from ");
		if (q->week)
			buf_printf(b, "%s ", day_name[q->day]);
		buf_printf(b, "%02u:%02u", q->minute / 60u, q->minute % 60u);
	}
	if (q->zone[0])
		buf_printf(b, " %s", q->zone);
	if (q->together)
		buf_text(b, " together");
}
