#include "policy.h"

#include "base/clock.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tiers[TIERS] = {"guest", "pupil", "teacher", "club"};
static const char *const sites[SITES] = {"lib", "video", "games", "news", "exam"};
static const char *const zones[ZONES] = {"UTC", "Europe/Sofia", "America/New_York"};

const char *tier_name(unsigned tier)
{
	return tiers[tier];
}

const char *site_name(unsigned site)
{
	return sites[site];
}

void host_name(unsigned name, char out[static 40])
{
	snprintf(out, 40, "w%u.%s.example", name % NAMES_EACH, sites[name / NAMES_EACH]);
}

/* ---- time ---- */

/* The proleptic Gregorian calendar, days since 1970. */
static int64_t day_of(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t year_of(int64_t day)
{
	int64_t year = 1970 + day / 366;
	while (day_of(year + 1, 1, 1) <= day)
		year++;
	return year;
}

static int weekday(int64_t day) /* 0: Monday */
{
	return (int)((day + 3) % 7);
}

/* The n-th Sunday of a month, from 1; its last one: n = 0. */
static int64_t sunday(int64_t year, int month, int n)
{
	int64_t first = day_of(year, month, 1);
	int64_t day = first + 6 - weekday(first);
	if (n)
		return day + 7 * (n - 1);
	int64_t next = month == 12 ? day_of(year + 1, 1, 1) : day_of(year, month + 1, 1);
	while (day + 7 < next)
		day += 7;
	return day;
}

int64_t school_zone_offset(enum school_zone z, int64_t second)
{
	int64_t year = year_of(second / 86400), from, to;
	switch (z) {
	case ZONE_SOFIA: /* the European Union's rule: at 01:00 UTC */
		from = sunday(year, 3, 0) * 86400 + 3600;
		to = sunday(year, 10, 0) * 86400 + 3600;
		return second >= from && second < to ? 3 * 3600 : 2 * 3600;
	case ZONE_NEW_YORK: /* at 02:00 of its own clock */
		from = sunday(year, 3, 2) * 86400 + 7 * 3600;
		to = sunday(year, 11, 1) * 86400 + 6 * 3600;
		return second >= from && second < to ? -4 * 3600 : -5 * 3600;
	default: return 0;
	}
}

bool schedule_holds(const struct school_schedule *s, int64_t wall)
{
	int64_t second = wall / NS_PER_S, local = second + school_zone_offset(s->zone, second);
	int64_t day = local / 86400;
	int minute = (int)(local % 86400 / 60);
	bool today = s->days >> weekday(day) & 1, yesterday = s->days >> weekday(day - 1) & 1;
	if (day == s->except)
		return false;
	for (unsigned i = 0; i < s->count; i++) {
		int from = s->range[i].from, to = s->range[i].to;
		if (from < to ? today && minute >= from && minute < to
			      : (today && minute >= from) || (yesterday && minute < to))
			return true;
	}
	return false;
}

/* ---- making ---- */

struct dice {
	uint64_t seed, what, thrown;
};

static unsigned throw(struct dice * d, unsigned sides)
{
	return (unsigned)(sim_number(d->seed, d->what, d->thrown++) % sides);
}

static void make_schedule(struct school_schedule *s, struct dice *d, int64_t since, unsigned kind)
{
	static const unsigned days[] = {0x1f, 0x7f, 0x60, 0x15};
	*s = (struct school_schedule){.days = days[throw(d, 4)],
				      .zone = (enum school_zone) throw(d, ZONES),
				      .except = throw(d, 3) ? -1 : since + throw(d, 7)};
	if (kind == 0) { /* lessons, with breaks */
		int at = 420 + (int) throw(d, 24) * 5;
		for (s->count = 0; s->count < RANGES; s->count++) {
			int to = at + 45 + (int) throw(d, 24) * 5;
			s->range[s->count].from = at;
			s->range[s->count].to = to;
			at = to + 5 + (int) throw(d, 12) * 5;
		}
	} else if (kind == 1) { /* the night */
		s->count = 1;
		s->range[0].from = 1200 + (int) throw(d, 40) * 5;
		s->range[0].to = 60 + (int) throw(d, 70) * 5;
	} else if (kind == 2) { /* what a change of the clock skips, or says twice */
		s->count = 1;
		s->range[0].from = 30 + (int) throw(d, 8) * 15;
		s->range[0].to = s->range[0].from + 15 + (int) throw(d, 10) * 15;
	} else {
		s->count = 1;
		s->range[0].from = (int) throw(d, 12) * 60;
		s->range[0].to = 720 + (int) throw(d, 13) * 60;
	}
}

/* The tiers that a line holds for: an allow line for those, too, that include its own. */
static unsigned tiers_of(const struct school_line *l)
{
	unsigned tiers = l->tiers;
	if (!l->deny && tiers & 1)
		tiers |= 2 | 4;
	if (!l->deny && tiers & 2)
		tiers |= 4;
	return tiers;
}

/* A line that says again what another says, and a deny line that covers an allow line whole, are
 * errors of the configuration. */
static bool refused_beside(const struct school_line *l, const struct school_line *other)
{
	if (l->deny == other->deny)
		return tiers_of(l) == tiers_of(other) && l->sites == other->sites &&
		       l->when == other->when;
	return l->when < 0 && !(tiers_of(other) & ~l->tiers) && !(other->sites & ~l->sites);
}

static void add_line(struct school_policy *p, struct dice *d, bool deny)
{
	struct school_line l = {
		.deny = deny,
		.tiers = 1 + throw(d, (1 << TIERS) - 1),
		.sites = 1 + throw(d, (1 << SITES) - 1),
		.when = (int) throw(d, SCHEDULES + 2) - 2 < 0 ? -1 : (int) throw(d, SCHEDULES),
	};
	for (unsigned i = 0; i < p->lines; i++)
		if (refused_beside(&l, &p->line[i]))
			return;
	p->line[p->lines++] = l;
}

void policy_make(struct school_policy *p, uint64_t seed, unsigned version, unsigned list,
		 int64_t since)
{
	static const int64_t idle[] = {0, 0, 600, 3600}, absolute[] = {0, 0, 7200, 36000};
	struct dice d = {seed, 0x9011c1, (uint64_t)version << 32};
	memset(p, 0, sizeof *p);
	p->version = version;
	p->list = list;
	p->listed = (unsigned)(sim_number(seed, 0x115715, list) % (1 << NAMES_EACH));
	for (unsigned i = 0; i < TIERS; i++) {
		p->idle[i] = idle[throw(&d, 4)];
		p->absolute[i] = absolute[throw(&d, 4)];
	}
	for (unsigned i = 0; i < SCHEDULES; i++)
		make_schedule(&p->schedule[i], &d, since, i);
	for (unsigned i = 4 + throw(&d, 4); i; i--)
		add_line(p, &d, false);
	for (unsigned i = throw(&d, 4); i; i--)
		add_line(p, &d, true);
}

/* ---- writing ---- */

static void write_names(FILE *to, const char *key, unsigned bits, const char *const *names,
			unsigned n)
{
	const char *comma = "";
	fprintf(to, "%s = [ ", key);
	for (unsigned i = 0; i < n; i++) {
		if (!(bits >> i & 1))
			continue;
		fprintf(to, "%s\"%s\"", comma, names[i]);
		comma = ", ";
	}
	fprintf(to, " ]; ");
}

static void write_date(FILE *to, int64_t day)
{
	int64_t year = year_of(day), month = 1;
	while (month < 12 && day_of(year, (int)month + 1, 1) <= day)
		month++;
	fprintf(to, " except = [ \"%04d-%02d-%02d\" ];", (int)year, (int)month,
		(int)(day - day_of(year, (int)month, 1)) + 1);
}

static void write_schedule(FILE *to, const struct school_schedule *s, unsigned i)
{
	static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	const char *comma = "";
	fprintf(to, "%s{ name = \"s%u\"; zone = \"%s\"; days = \"", i ? ",\n  " : "", i,
		zones[s->zone]);
	for (unsigned d = 0; d < 7; d++)
		if (s->days >> d & 1) {
			fprintf(to, "%s%s", comma, names[d]);
			comma = ",";
		}
	fprintf(to, "\"; hours = \"");
	for (unsigned r = 0; r < s->count; r++)
		fprintf(to, "%s%02d:%02d-%02d:%02d", r ? "," : "", s->range[r].from / 60,
			s->range[r].from % 60, s->range[r].to / 60, s->range[r].to % 60);
	fprintf(to, "\";");
	if (s->except >= 0)
		write_date(to, s->except);
	fprintf(to, " }");
}

static void write_tiers(FILE *to, const struct school_policy *p)
{
	static const char *const includes[TIERS] = {"", "includes = [ \"guest\" ]; ",
						    "includes = [ \"guest\", \"pupil\" ]; ", ""};
	fprintf(to, "tiers = ( ");
	for (unsigned i = 0; i < TIERS; i++) {
		fprintf(to, "%s{ name = \"%s\"; %s", i ? ",\n  " : "", tiers[i], includes[i]);
		if (p->idle[i])
			fprintf(to, "idle = \"%ds\"; ", (int)p->idle[i]);
		if (p->absolute[i])
			fprintf(to, "absolute = \"%ds\"; ", (int)p->absolute[i]);
		fprintf(to, "}");
	}
	fprintf(to, " );\n");
}

static void write_sites(FILE *to)
{
	char name[40];
	fprintf(to, "sites = ( ");
	for (unsigned i = 0; i < SITES; i++) {
		fprintf(to, "%s{ name = \"%s\"; ", i ? ",\n  " : "", sites[i]);
		if (i == LISTED_SITE)
			fprintf(to, "lists = [ \"%s.sites\" ]; }", sites[i]);
		for (unsigned n = 0; n < NAMES_EACH && i != LISTED_SITE; n++) {
			host_name(i * NAMES_EACH + n, name);
			fprintf(to, "%s\"%s\"%s", n ? ", " : "hosts = [ ", name,
				n + 1 == NAMES_EACH ? " ]; }" : "");
		}
	}
	fprintf(to, " );\n");
}

static void write_lines(FILE *to, const struct school_policy *p, bool deny)
{
	const char *comma = "";
	fprintf(to, "%s = ( ", deny ? "deny" : "allow");
	for (unsigned i = 0; i < p->lines; i++) {
		const struct school_line *l = &p->line[i];
		if (l->deny != deny)
			continue;
		fprintf(to, "%s{ ", comma);
		write_names(to, "tiers", l->tiers, tiers, TIERS);
		write_names(to, "sites", l->sites, sites, SITES);
		if (l->when >= 0)
			fprintf(to, "when = \"s%d\"; ", l->when);
		fprintf(to, "}");
		comma = ",\n  ";
	}
	fprintf(to, " );\n");
}

void policy_write(const struct school_policy *p, const char *path)
{
	FILE *to = fopen(path, "w");
	if (!to)
		abort();
	fprintf(to, "inside = [ \"lan0\" ]; internal = [ \"10.0.0.0/8\" ]; resolvers = [ "
		    "\"10.0.0.53\" ];\n"
		    "log_file = \"/proc/self/cwd/decisions.jsonl\"; state_dir = "
		    "\"/proc/self/cwd/state\";\n"
		    "runtime_dir = \"/proc/self/cwd/run\"; control_socket = "
		    "\"/proc/self/cwd/control.sock\";\n"
		    "host_change = \"ignore\"; queues = 2;\n"
		    "bounds = { flows = 1024; sessions = 16; names = 1024; streams = 64; log_ring "
		    "= 256; };\n"
		    "segments = ( { network = \"10.20.0.0/24\"; tier = \"guest\"; },\n"
		    "  { network = \"10.20.1.0/24\"; tier = \"pupil\"; } );\n"
		    "hosts = ( { address = \"10.20.2.40\"; user = \"printer\"; tier = \"club\"; } "
		    ");\n");
	write_tiers(to, p);
	fprintf(to, "schedules = ( ");
	for (unsigned i = 0; i < SCHEDULES; i++)
		write_schedule(to, &p->schedule[i], i);
	fprintf(to, " );\n");
	write_sites(to);
	write_lines(to, p, false);
	write_lines(to, p, true);
	if (fclose(to) != 0)
		abort();
}

void policy_write_list(const struct school_policy *p, const char *path)
{
	char name[40];
	FILE *to = fopen(path, "w");
	if (!to)
		abort();
	fprintf(to, "# version %u\nfiller.example\n", p->list);
	for (unsigned n = 0; n < NAMES_EACH; n++)
		if (p->listed >> n & 1) {
			host_name(LISTED_SITE * NAMES_EACH + n, name);
			fprintf(to, "%s\n", name);
		}
	if (fclose(to) != 0)
		abort();
}

/* ---- asking ---- */

bool lock_holds(const struct lock *l, int64_t wall)
{
	return l->id && wall < l->until;
}

static bool site_has(const struct school_policy *p, unsigned name)
{
	return name / NAMES_EACH != LISTED_SITE || (p->listed >> name % NAMES_EACH & 1);
}

static bool locked(const struct school_policy *p, const struct lock *l, const struct asker *who,
		   unsigned name, int64_t wall)
{
	bool meant = l->of == LOCK_ROOM   ? l->whom == who->room
		     : l->of == LOCK_TIER ? (int)l->whom == who->tier
					  : (int)l->whom == who->user;
	bool open = site_has(p, name) && (l->only >> name / NAMES_EACH & 1);
	return lock_holds(l, wall) && meant && !open;
}

static bool line_matches(const struct school_policy *p, const struct school_line *l, int tier,
			 unsigned name, int64_t wall)
{
	static const unsigned lends[TIERS] = {1, 1 | 2, 1 | 2 | 4, 8}; /* whose lines a tier has */
	unsigned as = l->deny ? 1u << tier : lends[tier];
	return l->tiers & as && (l->sites >> name / NAMES_EACH & 1) && site_has(p, name) &&
	       (l->when < 0 || schedule_holds(&p->schedule[l->when], wall));
}

bool policy_allows(const struct school_policy *p, const struct lock locks[static LOCKS],
		   const struct asker *who, unsigned name, int64_t wall)
{
	bool allowed = false;
	if (who->tier < 0)
		return false;
	for (unsigned i = 0; i < LOCKS; i++)
		if (locked(p, &locks[i], who, name, wall))
			return false;
	for (unsigned i = 0; i < p->lines; i++) {
		if (!line_matches(p, &p->line[i], who->tier, name, wall))
			continue;
		if (p->line[i].deny)
			return false;
		allowed = true;
	}
	return allowed;
}
