#include "base/clock.h"
#include "config/load.h"
#include "config/value.h"

#include <string.h>

static void put_words(const struct option *o, struct buf *b)
{
	for (const struct word *w = o->words; w->text; w++)
		buf_printf(b, "%s\"%s\"", w == o->words ? "" : w[1].text ? ", " : " or ", w->text);
}

static const char *const ref_names[] = {"tier", "site", "schedule"};

static const char *fixed_text(enum option_type type)
{
	switch (type) {
	case OPTION_MASK: return "a mask of at least 7 bits in a row, such as 0x7f000000";
	case OPTION_INTERFACES: return "a list of interfaces, such as [ \"lan0\" ]";
	case OPTION_NETWORK: return "a network such as \"10.9.0.0/16\" or \"fd00:9::/32\"";
	case OPTION_NETWORKS: return "a list of networks, such as [ \"10.0.0.0/8\", \"fd00::/8\" ]";
	case OPTION_ADDRESS: return "an address such as \"10.9.0.7\" or \"fd00:9::7\"";
	case OPTION_MAC: return "a MAC address such as \"02:00:5e:10:00:07\"";
	case OPTION_USER: return "a user name of 1 to 63 bytes without control characters";
	case OPTION_ENDPOINT:
		return "an address and a port, such as \"10.0.0.1:80\" or \"[fd00::1]:80\"";
	case OPTION_ENDPOINTS:
		return "an address and a port, such as \"10.0.0.1:80\", or one of each IP version: "
		       "[ \"10.0.0.1:80\", \"[fd00::1]:80\" ]";
	case OPTION_PORT: return "a port such as \"tcp/443\" or \"udp/443\"";
	case OPTION_PORTS:
		return "a list of ports, such as [ \"tcp/443\", \"udp/8000-8100\", \"tcp/*\" ]";
	case OPTION_DAYS: return "days such as \"mon-fri\", \"mon,wed,fri\" or \"all\"";
	case OPTION_HOURS:
		return "hours such as \"08:00-18:00\", \"22:00-06:00\" or "
		       "\"08:00-12:00,13:00-18:00\", of at most 8 ranges";
	case OPTION_DATES:
		return "a list of at most 10000 dates, such as "
		       "[ \"2026-12-24\", \"2026-12-28..2027-01-03\" ]";
	case OPTION_CALENDAR: return "a file such as \"holidays.ics\"";
	case OPTION_EXCEPT:
		return "a list of schedules and at most 10000 dates, such as "
		       "[ \"holidays\", \"2026-12-24\", \"2026-12-28..2027-01-03\" ]";
	case OPTION_ZONE: return "a time zone such as \"Europe/Sofia\"";
	case OPTION_DATE: return "a date such as \"2027-06-30\"";
	case OPTION_QUOTA:
		return "minutes or bytes a day or a week, such as \"90 min/day\", \"2 GiB/week\" "
		       "or "
		       "\"2 h/day from 04:00 Europe/Sofia\"";
	case OPTION_WEEKTIME:
		return "a time of the week such as \"mon 10:00\", or of a date such as "
		       "\"2026-12-24 10:00\"";
	case OPTION_DESTINATION: return "a host name or an address";
	case OPTION_LISTS: return "a list of files, such as [ \"social.sites\" ]";
	case OPTION_FILES: return "a list of files, such as [ \"policy.conf\" ]";
	case OPTION_HOSTS:
		return "a list of hosts, such as [ \"example.org\", \"=a.example.org\", "
		       "\"!b.example.org\", \"192.0.2.0/24\" ]";
	default: return NULL;
	}
}

static void put_duration(const struct option *o, struct buf *b)
{
	buf_text(b, "a duration such as \"90s\", \"30m\", \"8h\" or \"2d\", from ");
	duration_format(o->min, b);
	buf_text(b, " to ");
	duration_format(o->max, b);
}

void option_accepts(const struct option *o, struct buf *b)
{
	const char *fixed = fixed_text(o->type);
	const char *ref = ref_names[o->ref];
	if (fixed)
		buf_text(b, fixed);
	else if (o->type == OPTION_WORD)
		put_words(o, b);
	else if (o->type == OPTION_WORDS)
		buf_text(b, "a list of "), put_words(o, b);
	else if (o->type == OPTION_NUMBER)
		buf_printf(b, "a number from %lld to %lld", o->min, o->max);
	else if (o->type == OPTION_DURATION)
		put_duration(o, b);
	else if (o->type == OPTION_PATH)
		buf_printf(b, "a path that begins with /, of at most %lld bytes", o->max);
	else if (o->type == OPTION_TEXT)
		buf_printf(b, "a text of 1 to %lld bytes on one line", o->max);
	else if (o->type == OPTION_NAME)
		buf_printf(b, "a name of 1 to %lld letters, digits, \"-\", \"_\" and \".\"",
			   o->max);
	else if (o->type == OPTION_REF)
		buf_printf(b, "the name of a %s", ref);
	else if (o->type == OPTION_REFS)
		buf_printf(b, "a list of %ss, such as [ \"a\", \"b\" ]%s", ref,
			   o->star ? ", or [ \"*\" ] for all" : "");
	else if (o->type == OPTION_GROUP)
		buf_text(b, "options in { }");
	else
		buf_printf(b, "a list in ( ), each %s in { }", o->table->row);
}

/* Optimal string alignment: insertions, deletions, changes and swaps of neighbours. */
static size_t distance(const char *a, const char *b)
{
	enum { LONGEST = 48 };
	size_t n = strlen(a), m = strlen(b), rows[3][LONGEST + 1];
	if (n > LONGEST || m > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    second[j - 2] + 1 < best)
				best = second[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[n % 3][m];
}

const char *nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t len = strlen(word), best = len < 4 ? 2 : len < 8 ? 3 : 4;
	const char *found = NULL;
	for (size_t i = 0; i < count; i++) {
		size_t d = distance(word, candidates[i]);
		if (d < best) {
			best = d;
			found = candidates[i];
		}
	}
	return found;
}

#define SUGGEST_ALL 12 /* as many are named where none is near */

void suggest(const char *word, const char *const *candidates, size_t count, const char *what,
	     struct buf *b)
{
	const char *near = nearest(word, candidates, count);
	if (near)
		buf_printf(b, "did you mean \"%s\"?", near);
	else if (count == 0)
		buf_printf(b, "no %s are given", what);
	else if (count > SUGGEST_ALL)
		buf_printf(b, "%zu %s are known", count, what);
	else
		buf_printf(b, "%s known: ", what);
	for (size_t i = 0; !near && count <= SUGGEST_ALL && i < count; i++)
		buf_printf(b, "%s%s", i ? ", " : "", candidates[i]);
}
