#include "config/value.h"
#include "base/clock.h"
#include "base/zone.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *text;
	int64_t ns;
} units[] = {{"d", DAY_S *NS_PER_S},
	     {"h", 3600 * NS_PER_S},
	     {"m", 60 * NS_PER_S},
	     {"s", NS_PER_S},
	     {"ms", NS_PER_MS}};
#define UNITS (sizeof units / sizeof *units)

/* Decimal digits and nothing else, up to max; moves *text past them. */
static bool take_number(const char **text, unsigned long max, unsigned long *out)
{
	unsigned long value = 0;
	const char *p = *text;
	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++) {
		value = value * 10 + (unsigned long)(*p - '0');
		if (value > max)
			return false;
	}
	*text = p;
	*out = value;
	return true;
}

static bool take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

bool duration_parse(const char *text, int64_t *out)
{
	unsigned long n;
	if (!take_number(&text, 1000000000, &n))
		return false;
	for (size_t i = 0; i < UNITS; i++) {
		if (strcmp(text, units[i].text) != 0)
			continue;
		return !__builtin_mul_overflow((int64_t)n, units[i].ns, out);
	}
	return false;
}

void mac_format(const uint8_t mac[static 6], struct buf *b)
{
	for (int i = 0; i < 6; i++)
		buf_printf(b, i ? ":%02x" : "%02x", mac[i]);
}

void duration_format(int64_t ns, struct buf *b)
{
	size_t i = 0;
	if (ns == 0) {
		buf_text(b, "0s");
		return;
	}
	while (i < UNITS - 1 && ns % units[i].ns != 0)
		i++;
	buf_printf(b, "%lld%s", (long long)(ns / units[i].ns), units[i].text);
}

bool port_parse(const char *text, struct config_port *out)
{
	struct config_port p;
	unsigned long first, last;
	if (strncmp(text, "tcp/", 4) == 0)
		p.transport = IPPROTO_TCP;
	else if (strncmp(text, "udp/", 4) == 0)
		p.transport = IPPROTO_UDP;
	else
		return false;
	text += 4;
	if (strcmp(text, "*") == 0) {
		*out = (struct config_port){p.transport, 0, 65535};
		return true;
	}
	if (!take_number(&text, 65535, &first))
		return false;
	last = first;
	if (take_char(&text, '-') && !take_number(&text, 65535, &last))
		return false;
	if (*text || first == 0 || last < first)
		return false;
	*out = (struct config_port){p.transport, (uint16_t)first, (uint16_t)last};
	return true;
}

void port_format(const struct config_port *p, struct buf *b)
{
	buf_text(b, p->transport == IPPROTO_TCP ? "tcp/" : "udp/");
	if (p->first == 0 && p->last == 65535)
		buf_char(b, '*');
	else if (p->first == p->last)
		buf_printf(b, "%u", p->first);
	else
		buf_printf(b, "%u-%u", p->first, p->last);
}

/* As people write lists: spaces may follow. */
static bool take_comma(const char **text)
{
	if (!take_char(text, ','))
		return false;
	*text += strspn(*text, " ");
	return true;
}

static bool take_day(const char **text, unsigned *day)
{
	for (unsigned i = 0; i < 7; i++) {
		if (strncasecmp(*text, day_name[i], 3) != 0)
			continue;
		*text += 3;
		*day = i;
		return true;
	}
	return false;
}

bool days_parse(const char *text, uint8_t *out)
{
	uint8_t days = 0;
	if (strcmp(text, "all") == 0) {
		*out = 0x7f;
		return true;
	}
	do {
		unsigned first, last;
		if (!take_day(&text, &first))
			return false;
		last = first;
		if (take_char(&text, '-') && !take_day(&text, &last))
			return false;
		for (unsigned day = first;; day = (day + 1) % 7) {
			days |= (uint8_t)(1 << day);
			if (day == last)
				break;
		}
	} while (take_comma(&text));
	if (*text)
		return false;
	*out = days;
	return true;
}

void hours_format(const struct config_hours *h, size_t count, struct buf *b)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(b, "%s%02u:%02u-%02u:%02u", i ? "," : "", h[i].from / 60u,
			   h[i].from % 60u, h[i].to / 60u, h[i].to % 60u);
}

void days_format(uint8_t days, struct buf *b)
{
	bool comma = false;
	if (days == 0x7f) {
		buf_text(b, "all");
		return;
	}
	for (unsigned i = 0; i < 7; i++) {
		if (!(days & 1 << i))
			continue;
		buf_printf(b, "%s%s", comma ? "," : "", day_name[i]);
		comma = true;
	}
}

static bool take_clock(const char **text, unsigned *minute)
{
	const char *start = *text;
	unsigned long hours, minutes;
	if (!take_number(text, 24, &hours) || !take_char(text, ':') ||
	    !take_number(text, 59, &minutes))
		return false;
	*minute = (unsigned)(hours * 60 + minutes);
	return *text - start == 5 && *minute <= 1440;
}

static bool take_hours(const char **text, struct config_hours *out)
{
	unsigned first, last;
	if (!take_clock(text, &first) || !take_char(text, '-') || !take_clock(text, &last) ||
	    first == last || first == 1440 || last == 0)
		return false;
	*out = (struct config_hours){(uint16_t)first, (uint16_t)last};
	return true;
}

bool hours_parse(const char *text, struct config_hours out[static HOURS_MAX], uint8_t *count)
{
	struct config_hours read[HOURS_MAX];
	uint8_t n = 0;
	do {
		if (n == HOURS_MAX || !take_hours(&text, &read[n]))
			return false;
		n++;
	} while (take_comma(&text));
	if (*text)
		return false;
	memcpy(out, read, n * sizeof *read);
	*count = n;
	return true;
}

bool date_parse(const char *text, int64_t *out)
{
	unsigned long year, month, day;
	const char *p = text;
	if (strlen(text) != 10 || !take_number(&p, 2261, &year) || !take_char(&p, '-') ||
	    !take_number(&p, 12, &month) || !take_char(&p, '-') || !take_number(&p, 31, &day))
		return false;
	struct tm tm = {.tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day};
	struct tm same = tm;
	time_t at = timegm(&tm);
	if (*p || year < 2000 || tm.tm_mon != same.tm_mon || tm.tm_mday != same.tm_mday)
		return false;
	*out = (int64_t)at * NS_PER_S;
	return true;
}

void date_format(int64_t ns, struct buf *b)
{
	struct tm tm;
	time_t at = (time_t)(ns / NS_PER_S);
	gmtime_r(&at, &tm);
	buf_printf(b, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

/* "2026-12-24", which "\0" or `after` must follow: days since 1970. No zone is known past 2099. */
static bool take_day_number(const char **text, const char *after, int64_t *day)
{
	char date[11] = "";
	int64_t ns;
	strncpy(date, *text, 10);
	if (strncmp(*text + strlen(date), after, strlen(after)) != 0 || !date_parse(date, &ns) ||
	    strcmp(date, "2100") > 0)
		return false;
	*text += 10 + strlen(after);
	*day = ns / NS_PER_S / DAY_S;
	return true;
}

/* "2026-12-24T10:00:00Z": seconds since 1970. */
static bool take_instant(const char **text, int64_t *out)
{
	unsigned minute;
	unsigned long second;
	int64_t day;
	if (!take_day_number(text, "T", &day) || !take_clock(text, &minute) || minute == 1440 ||
	    !take_char(text, ':') || !take_number(text, 59, &second) || !take_char(text, 'Z'))
		return false;
	*out = day * DAY_S + minute * 60 + (int64_t)second;
	return true;
}

bool dates_parse(const char *text, struct span *out, bool *timed)
{
	const char *p = text;
	struct span s;
	if (take_instant(&p, &s.from)) {
		if (strncmp(p, "..", 2) != 0 || (p += 2, !take_instant(&p, &s.to)) || *p ||
		    s.from >= s.to)
			return false;
		*timed = true;
		*out = s;
		return true;
	}
	p = text;
	bool range = strlen(text) == 22;
	if (!take_day_number(&p, range ? ".." : "", &s.from) ||
	    (range && !take_day_number(&p, "", &s.to)) || *p || (range && s.to < s.from))
		return false;
	s.to = (range ? s.to : s.from) + 1;
	*timed = false;
	*out = s;
	return true;
}

static void instant_format(int64_t seconds, struct buf *b)
{
	struct tm tm;
	time_t at = (time_t)seconds;
	gmtime_r(&at, &tm);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void dates_format(const struct span *s, bool timed, struct buf *b)
{
	void (*const format)(int64_t, struct buf *) = timed ? instant_format : day_format;
	format(s->from, b);
	if (!timed && s->to == s->from + 1)
		return;
	buf_text(b, "..");
	format(timed ? s->to : s->to - 1, b);
}

bool datetime_parse(const char *text, int64_t *day, unsigned *minute)
{
	int64_t d;
	unsigned m;
	if (!take_day_number(&text, " ", &d) || !take_clock(&text, &m) || *text || m == 1440)
		return false;
	*day = d;
	*minute = m;
	return true;
}

bool weektime_parse(const char *text, unsigned *day, unsigned *minute)
{
	unsigned d, m;
	if (!take_day(&text, &d) || !take_char(&text, ' ') || !take_clock(&text, &m) || *text ||
	    m == 1440)
		return false;
	*day = d;
	*minute = m;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Six pairs of digits with ':' or '-' between; not all zero, and no group's. */
bool mac_parse(const char *text, uint8_t out[static 6])
{
	static const uint8_t none[6];
	uint8_t mac[6];
	for (int i = 0; i < 6; i++) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0 || (i < 5 && text[2] != ':' && text[2] != '-'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
		text += i < 5 ? 3 : 2;
	}
	if (*text || mac[0] & 1 || memcmp(mac, none, sizeof mac) == 0)
		return false;
	memcpy(out, mac, sizeof mac);
	return true;
}
