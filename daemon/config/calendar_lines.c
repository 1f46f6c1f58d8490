/* The lines of a calendar (RFC 5545 3.1), unfolded in place, and of its components what is used. */
#include "config/calendar_inner.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct lines {
	struct ics *c;
	char *pos, *end;
	int next; /* number of the line at pos */
	enum component stack[CALENDAR_DEPTH];
	int began[CALENDAR_DEPTH];
	const char *name[CALENDAR_DEPTH];
	size_t depth, components;
	bool calendar; /* one was there */
};

/* The next line, NUL-terminated, and its number; NULL: no more. */
static char *next_line(struct lines *l, int *line)
{
	char *start = l->pos, *to = start;
	if (l->pos >= l->end)
		return NULL;
	*line = l->next;
	for (;;) {
		char *stop = memchr(l->pos, '\n', (size_t)(l->end - l->pos));
		size_t len = (size_t)((stop ? stop : l->end) - l->pos);
		memmove(to, l->pos, len);
		to += len - (len && l->pos[len - 1] == '\r');
		l->pos += len + (stop != NULL);
		l->next++;
		if (l->pos >= l->end || (*l->pos != ' ' && *l->pos != '\t'))
			break;
		l->pos++;
	}
	*to = '\0';
	return start;
}

/* A property's value, behind its parameters, of which TZID and RANGE are kept. NULL where
 * the line is none. */
static char *take_params(char *text, struct prop *p, bool *later_too)
{
	char next = *text;
	*text = '\0';
	while (next == ';') {
		char *name = ++text, *value = NULL;
		bool quoted = false;
		for (; *text && (quoted || (*text != ';' && *text != ':')); text++) {
			if (*text == '=' && !value)
				value = text + 1;
			quoted ^= *text == '"';
		}
		next = *text;
		if (!next || !value)
			return NULL;
		*text = '\0';
		value[-1] = '\0';
		if (*value == '"') {
			value++;
			value[strcspn(value, "\"")] = '\0';
		}
		if (strcasecmp(name, "TZID") == 0)
			p->tzid = value;
		*later_too |= strcasecmp(name, "RANGE") == 0;
	}
	return next == ':' ? text + 1 : NULL;
}

static enum component component_of(const char *name, enum component parent, size_t depth)
{
	if (depth == 0)
		return strcasecmp(name, "VCALENDAR") == 0 ? CALENDAR : OTHER;
	if (parent == CALENDAR && strcasecmp(name, "VEVENT") == 0)
		return EVENT;
	if (parent == CALENDAR && strcasecmp(name, "VTIMEZONE") == 0)
		return TIMEZONE;
	if (parent == TIMEZONE &&
	    (strcasecmp(name, "STANDARD") == 0 || strcasecmp(name, "DAYLIGHT") == 0))
		return OBSERVANCE;
	return OTHER;
}

static void add_event(struct events *to, int line)
{
	to->item = array_grow(to->item, &to->count, sizeof *to->item);
	to->item[to->count - 1].line = line;
}

static bool begin(struct lines *l, const char *name, int line)
{
	struct ics *c = l->c;
	if (l->depth == CALENDAR_DEPTH) {
		ics_complain(c, line, "BEGIN:%.30s is the %dth within another; at most %d", name,
			     CALENDAR_DEPTH + 1, CALENDAR_DEPTH);
		return false;
	}
	if (++l->components > CALENDAR_COMPONENTS) {
		ics_complain(c, line,
			     "holds more than %d events and zones; leave past ones out of the file",
			     CALENDAR_COMPONENTS);
		return false;
	}
	enum component k = component_of(name, l->depth ? l->stack[l->depth - 1] : OTHER, l->depth);
	l->calendar |= k == CALENDAR;
	if (l->depth == 0 && k != CALENDAR) {
		ics_complain(c, line, "BEGIN:%.30s where BEGIN:VCALENDAR is wanted", name);
		return false;
	}
	if (k == EVENT)
		add_event(&c->events, line);
	if (k == TIMEZONE) {
		if (c->zone_count == CALENDAR_ZONES) {
			ics_complain(c, line, "holds more than %d time zones", CALENDAR_ZONES);
			return false;
		}
		c->zones = array_grow(c->zones, &c->zone_count, sizeof *c->zones);
		c->zones[c->zone_count - 1].line = line;
	}
	if (k == OBSERVANCE)
		add_event(&c->zones[c->zone_count - 1].observances, line);
	l->stack[l->depth] = k;
	l->name[l->depth] = name;
	l->began[l->depth++] = line;
	return true;
}

static bool end(struct lines *l, const char *name, int line)
{
	if (l->depth && strcasecmp(l->name[l->depth - 1], name) == 0) {
		l->depth--;
		return true;
	}
	ics_complain(l->c, line, "END:%.30s ends nothing that is open; fetch the file again", name);
	return false;
}

static void add_prop(struct props *to, const struct prop *p)
{
	to->item = array_grow(to->item, &to->count, sizeof *to->item);
	to->item[to->count - 1] = *p;
}

/* One of which there may be one. */
static void set_prop(struct ics *c, struct prop *to, const struct prop *p, const char *name)
{
	if (to->value)
		ics_complain(c, p->line, "%s is there twice in one event", name);
	else
		*to = *p;
}

static void event_prop(struct ics *c, struct event *e, const char *name, const struct prop *p,
		       bool later_too)
{
	const struct {
		const char *name;
		struct prop *one;
		struct props *many;
	} known[] = {{"DTSTART", &e->start, NULL},     {"DTEND", &e->end, NULL},
		     {"DURATION", &e->duration, NULL}, {"RECURRENCE-ID", &e->recurrence, NULL},
		     {"TZOFFSETFROM", &e->from, NULL}, {"TZOFFSETTO", &e->to, NULL},
		     {"RRULE", NULL, &e->rules},       {"RDATE", NULL, &e->dates},
		     {"EXDATE", NULL, &e->without}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcasecmp(name, known[i].name) != 0)
			continue;
		if (known[i].one)
			set_prop(c, known[i].one, p, known[i].name);
		else
			add_prop(known[i].many, p);
	}
	if (strcasecmp(name, "UID") == 0)
		e->uid = p->value;
	if (strcasecmp(name, "STATUS") == 0)
		e->cancelled = strcasecmp(p->value, "CANCELLED") == 0;
	if (strcasecmp(name, "EXRULE") == 0)
		ics_complain(c, p->line, "EXRULE is not understood; write EXDATE");
	e->later_too |= later_too && strcasecmp(name, "RECURRENCE-ID") == 0;
}

static bool property(struct lines *l, char *text, int line)
{
	struct ics *c = l->c;
	struct prop p = {.line = line};
	bool later_too = false;
	size_t len = strcspn(text, ";:");
	char *value = len ? take_params(text + len, &p, &later_too) : NULL;
	if (!value) {
		ics_complain(c, line, "\"%.30s\" is no line of a calendar; fetch the file again",
			     text);
		return false;
	}
	for (size_t n = strlen(value); n && (value[n - 1] == ' ' || value[n - 1] == '\t');)
		value[--n] = '\0';
	p.value = value;
	if (strcasecmp(text, "BEGIN") == 0)
		return begin(l, value, line);
	if (strcasecmp(text, "END") == 0)
		return end(l, value, line);
	enum component in = l->depth ? l->stack[l->depth - 1] : OTHER;
	if (in == EVENT)
		event_prop(c, &c->events.item[c->events.count - 1], text, &p, later_too);
	if (in == OBSERVANCE) {
		struct events *o = &c->zones[c->zone_count - 1].observances;
		event_prop(c, &o->item[o->count - 1], text, &p, later_too);
	}
	if (in == TIMEZONE && strcasecmp(text, "TZID") == 0)
		c->zones[c->zone_count - 1].tzid = value;
	return true;
}

bool ics_read(struct ics *c, char *text, size_t len)
{
	struct lines l = {.c = c, .pos = text, .end = text + len, .next = 1};
	char *line;
	int number = 0;
	if (len > CALENDAR_BYTES || memchr(text, '\0', len)) {
		ics_complain(c, 0,
			     len > CALENDAR_BYTES
				     ? "is longer than 4 MiB; leave past events out of it"
				     : "holds a zero byte, so it is no calendar");
		return false;
	}
	while ((line = next_line(&l, &number))) {
		if (!l.depth && !line[strspn(line, " \t")])
			continue;
		if (!l.depth && strncasecmp(line, "BEGIN:", 6) != 0) {
			ics_complain(
				c, number,
				"\"%.30s\" where BEGIN:VCALENDAR is wanted; it may be the page "
				"of an error: fetch the file again",
				line);
			return false;
		}
		if (*line && !property(&l, line, number))
			return false;
	}
	if (l.depth)
		ics_complain(c, l.began[l.depth - 1],
			     "BEGIN:%.30s without its END; the file was cut: fetch it again",
			     l.name[l.depth - 1]);
	else if (!l.calendar)
		ics_complain(c, 0, "is empty; a calendar begins with BEGIN:VCALENDAR");
	return !l.depth && l.calendar;
}
