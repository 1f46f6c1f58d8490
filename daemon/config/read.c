#include "config/load.h"
#include "config/value.h"
#include "base/clock.h"
#include "base/host.h"
#include "base/zone.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is being read: for messages. */
struct reading {
	struct loader *l;
	const struct option *o;
	const config_setting_t *s;
};

static int line_of(const config_setting_t *s)
{
	return (int)config_setting_source_line(s);
}

static void put_value(const config_setting_t *s, struct buf *b)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING: buf_printf(b, "\"%.60s\"", config_setting_get_string(s)); break;
	case CONFIG_TYPE_INT:
		if (config_setting_get_format(s) == CONFIG_FORMAT_HEX) {
			buf_printf(b, "0x%08x", (unsigned)config_setting_get_int(s));
			break;
		} /* fall through */
	case CONFIG_TYPE_INT64: buf_printf(b, "%lld", config_setting_get_int64(s)); break;
	case CONFIG_TYPE_FLOAT: buf_printf(b, "%g", config_setting_get_float(s)); break;
	case CONFIG_TYPE_BOOL: buf_text(b, config_setting_get_bool(s) ? "true" : "false"); break;
	case CONFIG_TYPE_ARRAY: buf_text(b, "[ ]"); break;
	case CONFIG_TYPE_GROUP: buf_text(b, "{ }"); break;
	default: buf_text(b, "( )"); break;
	}
}

/* "file:line: NAME = VALUE WHAT; write ACCEPTED"; s may be an item of the option's list. */
static void wrong(const struct reading *r, const config_setting_t *s, const char *what)
{
	char value[128], accepts[512];
	struct buf v = BUF_OF(value), a = BUF_OF(accepts);
	const char *text = config_setting_get_string(s);
	if (text && address_is_mapped(text))
		what = "is IPv4 in the form of IPv6";
	buf_reset(&v);
	put_value(s, &v);
	option_accepts(r->o, &a);
	complain(r->l, r->l->file, line_of(s), "%s%s%s %s; write %s", r->o->name,
		 s == r->s ? " = " : ": ", value, what, accepts);
}

/* The text of a setting; NULL (and an error) where it is none. */
static const char *text_of(const struct reading *r, const config_setting_t *s)
{
	if (config_setting_type(s) == CONFIG_TYPE_STRING)
		return config_setting_get_string(s);
	wrong(r, s, "has the wrong type");
	return NULL;
}

static bool is_list(const struct reading *r)
{
	if (config_setting_is_array(r->s) || config_setting_is_list(r->s))
		return true;
	wrong(r, r->s, "is no list");
	return false;
}

static bool is_first(const config_setting_t *list, const char *text, int index)
{
	for (int i = 0; i < index; i++) {
		const char *other = config_setting_get_string_elem(list, i);
		if (other && strcmp(other, text) == 0)
			return false;
	}
	return true;
}

/* Item i of a list of strings; NULL (and an error) where it is none or came before. */
static const char *item_of(const struct reading *r, int i)
{
	const config_setting_t *s = config_setting_get_elem(r->s, (unsigned)i);
	const char *text = text_of(r, s);
	if (!text || r->o->type == OPTION_HOSTS || is_first(r->s, text, i))
		return text;
	wrong(r, s, "is written twice");
	return NULL;
}

static void store_text(const struct reading *r, void *row, const char *text)
{
	char **member = option_member(r->o, row);
	free(*member);
	*member = must(strdup(text));
}

static void store_int(const struct reading *r, void *row, long long value)
{
	void *member = option_member(r->o, row);
	switch (r->o->size) {
	case 1: *(uint8_t *)member = (uint8_t)value; break;
	case 4: *(uint32_t *)member = (uint32_t)value; break;
	default: *(int64_t *)member = value; break;
	}
}

/* The value of a word; false (and an error) where it is none of the option's. */
static bool word_of(const struct reading *r, const config_setting_t *s, const char *text, int *out)
{
	const char *words[16], *near;
	char what[80] = "is not known";
	size_t count = 0;
	for (const struct word *w = r->o->words; w->text; w++) {
		if (strcmp(w->text, text) == 0) {
			*out = w->value;
			return true;
		}
		words[count++] = w->text;
	}
	if ((near = nearest(text, words, count)))
		snprintf(what, sizeof what, "is not known (did you mean \"%s\"?)", near);
	wrong(r, s, what);
	return false;
}

static void read_word(const struct reading *r, void *row, const char *text)
{
	int value;
	if (word_of(r, r->s, text, &value))
		store_int(r, row, value);
}

static void read_words(const struct reading *r, void *row)
{
	int bits = 0, value;
	for (int i = 0; i < config_setting_length(r->s); i++) {
		const char *text = item_of(r, i);
		if (text && word_of(r, config_setting_get_elem(r->s, (unsigned)i), text, &value))
			bits |= value;
	}
	store_int(r, row, bits);
}

static void read_number(const struct reading *r, void *row)
{
	int type = config_setting_type(r->s);
	long long value = config_setting_get_int64(r->s);
	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
		wrong(r, r->s, "has the wrong type");
	else if (value < r->o->min || value > r->o->max)
		wrong(r, r->s, "is out of range");
	else
		store_int(r, row, value);
}

static void read_mask(const struct reading *r, void *row)
{
	long long value = config_setting_get_int64(r->s);
	if (config_setting_get_format(r->s) == CONFIG_FORMAT_HEX)
		value = (uint32_t)value; /* libconfig keeps hex numbers in an int */
	if (!config_setting_is_number(r->s) || value < 0 || value > UINT32_MAX) {
		wrong(r, r->s, "is no mask");
		return;
	}
	uint32_t mask = (uint32_t)value, low = mask ? mask >> __builtin_ctz(mask) : 0;
	if ((low & (low + 1)) != 0 || __builtin_popcount(mask) < 7)
		wrong(r, r->s, "is no such mask");
	else
		store_int(r, row, mask);
}

static void read_duration(const struct reading *r, void *row, const char *text)
{
	int64_t ns;
	if (!duration_parse(text, &ns))
		wrong(r, r->s, "is no duration");
	else if (ns < r->o->min || ns > r->o->max)
		wrong(r, r->s, "is out of range");
	else
		store_int(r, row, ns);
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static void read_path(const struct reading *r, void *row, const char *text)
{
	if (text[0] != '/' || !is_plain(text) || strlen(text) > (size_t)r->o->max)
		wrong(r, r->s, "is no such path");
	else
		store_text(r, row, text);
}

static void read_text(const struct reading *r, void *row, const char *text)
{
	if (!*text || !is_plain(text) || strlen(text) > (size_t)r->o->max)
		wrong(r, r->s, "is no such text");
	else
		store_text(r, row, text);
}

static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

static void read_name(const struct reading *r, void *row, const char *text)
{
	if (!*text || text[strspn(text, name_bytes)] || strlen(text) > (size_t)r->o->max) {
		wrong(r, r->s, "is no such name");
		return;
	}
	store_text(r, row, text);
	names_add(&r->l->given[r->o->ref], *(char **)option_member(r->o, row), r->l->file,
		  line_of(r->s));
}

static void read_ref(const struct reading *r, void *row, const char *text)
{
	store_text(r, row, text);
	names_add(&r->l->used[r->o->ref], *(char **)option_member(r->o, row), r->l->file,
		  line_of(r->s));
}

static void read_refs(const struct reading *r, void *row)
{
	struct strings *out = option_member(r->o, row);
	int count = config_setting_length(r->s);
	if (count == 0 && r->o->required)
		wrong(r, r->s, "names none");
	for (int i = 0; i < count; i++) {
		const config_setting_t *s = config_setting_get_elem(r->s, (unsigned)i);
		const char *text = item_of(r, i);
		if (!text)
			continue;
		bool star = strcmp(text, "*") == 0;
		if (star && (!r->o->star || count > 1)) {
			wrong(r, s, r->o->star ? "stands with others" : "is not taken here");
			continue;
		}
		strings_add(out, text);
		if (!star)
			names_add(&r->l->used[r->o->ref], out->item[out->count - 1], r->l->file,
				  line_of(s));
	}
}

static void read_interfaces(const struct reading *r, void *row)
{
	for (int i = 0; i < config_setting_length(r->s); i++) {
		const char *text = item_of(r, i);
		if (!text)
			continue;
		bool bad = !*text || strlen(text) > 15 || strpbrk(text, "/:*+\" \t\r\n\\'") ||
			   !is_plain(text) || text[0] == '-' || text[0] == '.';
		if (bad)
			wrong(r, config_setting_get_elem(r->s, (unsigned)i),
			      "is no interface name");
		else
			strings_add(option_member(r->o, row), text);
	}
}

static bool read_one_network(const struct reading *r, const config_setting_t *s, const char *text,
			     struct network *out)
{
	struct network n;
	char start[ADDRESS_TEXT];
	if (network_parse(text, &n)) {
		*out = n;
		return true;
	}
	const char *slash = strchr(text, '/');
	snprintf(start, sizeof start, "%.*s", slash ? (int)(slash - text) : 0, text);
	bool address = slash && slash[1] && !slash[1 + strspn(slash + 1, "0123456789")] &&
		       address_parse(start, &n.base);
	wrong(r, s,
	      address ? "has bits beyond its length, or too great a length" : "is no network");
	return false;
}

static void read_networks(const struct reading *r, void *row)
{
	struct networks *out = option_member(r->o, row);
	for (int i = 0; i < config_setting_length(r->s); i++) {
		struct network n;
		const char *text = item_of(r, i);
		if (!text ||
		    !read_one_network(r, config_setting_get_elem(r->s, (unsigned)i), text, &n))
			continue;
		out->item = array_grow(out->item, &out->count, sizeof n);
		out->item[out->count - 1] = n;
	}
}

static void read_ports(const struct reading *r, void *row)
{
	struct config_port **out = option_member(r->o, row);
	size_t *count = option_second(r->o, row);
	if (config_setting_length(r->s) == 0)
		wrong(r, r->s, "names none");
	for (int i = 0; i < config_setting_length(r->s); i++) {
		struct config_port p;
		const char *text = item_of(r, i);
		if (!text)
			continue;
		if (!port_parse(text, &p)) {
			wrong(r, config_setting_get_elem(r->s, (unsigned)i), "is no port");
			continue;
		}
		*out = array_grow(*out, count, sizeof p);
		(*out)[*count - 1] = p;
	}
}

static void read_port(const struct reading *r, void *row, const char *text)
{
	struct config_port p;
	if (port_parse(text, &p) && p.first == p.last)
		*(struct config_port *)option_member(r->o, row) = p;
	else
		wrong(r, r->s, "is no single port");
}

/* A name that is none of a file outside of the machine's time zone database. */
static bool zone_exists(const char *name)
{
	return strlen(name) < ZONE_MAX && zone_known(name) &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_/")];
}

static void read_zone(const struct reading *r, void *row, const char *text)
{
	if (zone_exists(text))
		store_text(r, row, text);
	else
		wrong(r, r->s, "is not in the time zone database (package tzdata)");
}

static void read_address(const struct reading *r, void *row, const char *text)
{
	*(bool *)option_second(r->o, row) = true; /* it is there, be it good or not */
	if (!address_parse(text, option_member(r->o, row)))
		wrong(r, r->s, "is no address");
}

static void read_mac(const struct reading *r, void *row, const char *text)
{
	*(bool *)option_second(r->o, row) = true;
	if (!mac_parse(text, option_member(r->o, row)))
		wrong(r, r->s, "is no machine's MAC address");
}

static void read_user(const struct reading *r, void *row, const char *text)
{
	if (!user_name_valid(text))
		wrong(r, r->s, "is no user name");
	else
		store_text(r, row, text);
}

static void read_destination(const struct reading *r, void *row, const char *text)
{
	struct address a;
	struct host h;
	char written[ADDRESS_TEXT];
	if (address_parse(text, &a))
		store_text(r, row, address_format(&a, written));
	else if (host_parse(text, &h))
		store_text(r, row, h.text);
	else
		wrong(r, r->s, "is neither");
}

static void read_hours_days(const struct reading *r, void *row, const char *text)
{
	bool good = r->o->type == OPTION_DAYS
			    ? days_parse(text, option_member(r->o, row))
			    : hours_parse(text, option_member(r->o, row), option_second(r->o, row));
	if (!good)
		wrong(r, r->s, "can't be read");
}

static void read_date(const struct reading *r, void *row, const char *text)
{
	int64_t start;
	if (date_parse(text, &start))
		store_int(r, row, start + 86400 * NS_PER_S);
	else
		wrong(r, r->s, "is no date");
}

static void dates_add(struct config_dates *d, const struct span *s, bool timed)
{
	struct span **list = timed ? &d->time : &d->day;
	size_t *count = timed ? &d->times : &d->days;
	*list = array_grow(*list, count, sizeof *s);
	(*list)[*count - 1] = *s;
}

/* Joined, and no more than there may be. */
static void dates_seal(const struct reading *r, struct config_dates *d)
{
	d->days = spans_join(d->day, d->days);
	d->times = spans_join(d->time, d->times);
	if (d->days + d->times > DATES_MAX && r->o->max)
		wrong(r, r->s, "holds more");
	else if (d->days + d->times > DATES_MAX)
		complain(r->l, r->l->file, line_of(r->s),
			 "calendar: %zu dates and times; write at most %d, or hours of the week",
			 d->days + d->times, DATES_MAX);
}

static void read_dates(const struct reading *r, void *row)
{
	struct config_dates *out = option_member(r->o, row);
	struct span s;
	bool timed;
	*(bool *)option_second(r->o, row) = true;
	for (int i = 0; i < config_setting_length(r->s); i++) {
		const char *text = item_of(r, i);
		if (text && dates_parse(text, &s, &timed))
			dates_add(out, &s, timed);
		else if (text)
			wrong(r, config_setting_get_elem(r->s, (unsigned)i),
			      "is neither a date nor a range of dates");
	}
	dates_seal(r, out);
}

/* Of a schedule's row alone; its zone and its dates come before in the table. */
static void read_calendar(const struct reading *r, void *row, const char *text)
{
	struct config_schedule *s = row;
	calendar_read(r->l, text, line_of(r->s), s);
	dates_seal(r, &s->dates);
}

/* Dates, and what reads as none is a schedule's name. */
static void read_except(const struct reading *r, void *row)
{
	struct strings *names = option_member(r->o, row);
	struct config_dates *dates = option_second(r->o, row);
	struct span s;
	bool timed;
	for (int i = 0; i < config_setting_length(r->s); i++) {
		const config_setting_t *item = config_setting_get_elem(r->s, (unsigned)i);
		const char *text = item_of(r, i);
		if (text && dates_parse(text, &s, &timed)) {
			dates_add(dates, &s, timed);
		} else if (text) {
			strings_add(names, text);
			names_add(&r->l->used[r->o->ref], names->item[names->count - 1], r->l->file,
				  line_of(item));
		}
	}
	dates_seal(r, dates);
}

static void read_quota(const struct reading *r, void *row, const char *text)
{
	struct config_quota q;
	const char *error = quota_parse(text, &q);
	if (!error && q.zone[0] && !zone_exists(q.zone))
		error = "names a zone that is not in the time zone database (package tzdata)";
	if (!error)
		*(struct config_quota *)option_member(r->o, row) = q;
	else
		wrong(r, r->s, error);
}

static void read_weektime(const struct reading *r, void *row, const char *text)
{
	unsigned day, minute;
	int64_t date;
	if (weektime_parse(text, &day, &minute) || datetime_parse(text, &date, &minute))
		store_text(r, row, text);
	else
		wrong(r, r->s, "can't be read");
}

static void read_endpoint(const struct reading *r, void *row, const char *text)
{
	if (!endpoint_parse(text, option_member(r->o, row)))
		wrong(r, r->s, "can't be read");
}

static void read_endpoints(const struct reading *r, void *row)
{
	struct endpoint *out = option_member(r->o, row), e;
	bool list = config_setting_is_array(r->s) || config_setting_is_list(r->s);
	int count = list ? config_setting_length(r->s) : 1;
	for (int i = 0; i < count; i++) {
		const config_setting_t *s =
			list ? config_setting_get_elem(r->s, (unsigned)i) : r->s;
		const char *text = list ? item_of(r, i) : text_of(r, s);
		if (!text)
			continue;
		if (!endpoint_parse(text, &e))
			wrong(r, s, "can't be read");
		else if (out[!address_is4(&e.address)].port)
			wrong(r, s, "is the second of its IP version");
		else
			out[!address_is4(&e.address)] = e;
	}
}

static struct site_list *new_list(const struct reading *r, void *row)
{
	struct site_list **lists = option_member(r->o, row);
	size_t *count = option_second(r->o, row);
	*lists = array_grow(*lists, count, sizeof **lists);
	return &(*lists)[*count - 1];
}

static void read_lists(const struct reading *r, void *row)
{
	for (int i = 0; i < config_setting_length(r->s); i++) {
		const char *text = item_of(r, i);
		int line = line_of(config_setting_get_elem(r->s, (unsigned)i));
		if (text)
			list_read(r->l, text, line, new_list(r, row));
	}
}

static void read_hosts(const struct reading *r, void *row)
{
	struct site_list *list = new_list(r, row);
	list->file = must(strdup(r->l->file));
	for (int i = 0; i < config_setting_length(r->s); i++) {
		const config_setting_t *s = config_setting_get_elem(r->s, (unsigned)i);
		struct site_entry e = {.line = line_of(s)};
		const char *text = item_of(r, i);
		if (text && entry_parse(text, &e))
			list_add(list, &e);
		else if (text)
			wrong(r, s, "is neither a host nor a network");
	}
}

typedef void read_text_fn(const struct reading *r, void *row, const char *text);
typedef void read_list_fn(const struct reading *r, void *row);

static void read_network(const struct reading *r, void *row, const char *text)
{
	read_one_network(r, r->s, text, option_member(r->o, row));
}

static read_text_fn *const text_readers[] = {
	[OPTION_WORD] = read_word,
	[OPTION_DURATION] = read_duration,
	[OPTION_PATH] = read_path,
	[OPTION_TEXT] = read_text,
	[OPTION_NAME] = read_name,
	[OPTION_REF] = read_ref,
	[OPTION_NETWORK] = read_network,
	[OPTION_ADDRESS] = read_address,
	[OPTION_MAC] = read_mac,
	[OPTION_USER] = read_user,
	[OPTION_ENDPOINT] = read_endpoint,
	[OPTION_PORT] = read_port,
	[OPTION_DAYS] = read_hours_days,
	[OPTION_HOURS] = read_hours_days,
	[OPTION_ZONE] = read_zone,
	[OPTION_DATE] = read_date,
	[OPTION_QUOTA] = read_quota,
	[OPTION_WEEKTIME] = read_weektime,
	[OPTION_DESTINATION] = read_destination,
	[OPTION_CALENDAR] = read_calendar,
	[OPTION_TABLE] = NULL,
};

static read_list_fn *const list_readers[] = {
	[OPTION_WORDS] = read_words,           [OPTION_REFS] = read_refs,
	[OPTION_INTERFACES] = read_interfaces, [OPTION_NETWORKS] = read_networks,
	[OPTION_PORTS] = read_ports,           [OPTION_LISTS] = read_lists,
	[OPTION_HOSTS] = read_hosts,           [OPTION_DATES] = read_dates,
	[OPTION_EXCEPT] = read_except,         [OPTION_TABLE] = NULL,
};

void option_read(struct loader *l, const struct option *o, const config_setting_t *s, void *row)
{
	struct reading r = {l, o, s};
	if (text_readers[o->type]) {
		const char *text = text_of(&r, s);
		if (text)
			text_readers[o->type](&r, row, text);
	} else if (list_readers[o->type]) {
		if (is_list(&r))
			list_readers[o->type](&r, row);
	} else if (o->type == OPTION_MASK) {
		read_mask(&r, row);
	} else if (o->type == OPTION_NUMBER) {
		read_number(&r, row);
	} else if (o->type == OPTION_ENDPOINTS) {
		read_endpoints(&r, row);
	}
}

void option_read_default(struct loader *l, const struct option *o, void *row)
{
	config_t parsed;
	char text[256];
	config_init(&parsed);
	snprintf(text, sizeof text, "%s = %s;", o->name, o->fallback);
	if (config_read_string(&parsed, text) != CONFIG_TRUE)
		abort(); /* a literal of schema.c that is wrong */
	option_read(l, o, config_setting_get_elem(config_root_setting(&parsed), 0), row);
	config_destroy(&parsed);
}
