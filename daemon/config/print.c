#include "config/schema.h"
#include "config/value.h"
#include "base/clock.h"
#include "base/memstream.h"

#include <stdlib.h>
#include <string.h>

static void put_text(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

/* A list's brackets: long ones have an item on each line. */
static void put_item(FILE *to, size_t i, size_t count, const char *text)
{
	fputs(i ? "," : "[", to);
	fputs(count > 6 ? "\n\t\t" : " ", to);
	put_text(to, text);
}

static void put_strings(FILE *to, const struct strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		put_item(to, i, s->count, s->item[i]);
	fputs(s->count ? " ]" : "[ ]", to);
}

static void put_networks(FILE *to, const struct networks *n)
{
	for (size_t i = 0; i < n->count; i++) {
		char text[64] = "";
		struct buf b = BUF_OF(text);
		network_format(&n->item[i], &b);
		put_item(to, i, n->count, text);
	}
	fputs(n->count ? " ]" : "[ ]", to);
}

static void put_ports(FILE *to, const struct config_port *ports, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[64] = "";
		struct buf b = BUF_OF(text);
		port_format(&ports[i], &b);
		put_item(to, i, count, text);
	}
	fputs(" ]", to);
}

static void put_hosts(FILE *to, const struct site_list *lists, size_t list_count)
{
	size_t total = 0, n = 0;
	for (size_t i = 0; i < list_count; i++)
		total += lists[i].count;
	for (size_t i = 0; i < list_count; i++)
		for (size_t j = 0; j < lists[i].count; j++) {
			char text[HOST_MAX + 4] = "";
			struct buf b = BUF_OF(text);
			entry_format(lists[i].item[j], &b);
			put_item(to, n++, total, text);
		}
	fputs(n ? " ]" : "[ ]", to);
}

/* Names, if any, then the dates. */
static void put_dates(FILE *to, const struct strings *names, const struct config_dates *d)
{
	size_t count = (names ? names->count : 0) + d->days + d->times, n = 0;
	char text[64] = "";
	for (size_t i = 0; names && i < names->count; i++)
		put_item(to, n++, count, names->item[i]);
	for (size_t i = 0; i < d->days + d->times; i++) {
		struct buf b = BUF_OF(text);
		bool timed = i >= d->days;
		dates_format(timed ? &d->time[i - d->days] : &d->day[i], timed, &b);
		put_item(to, n++, count, text);
	}
	fputs(count ? " ]" : "[ ]", to);
}

static size_t endpoints_count(const struct endpoint *e)
{
	return !!e[0].port + !!e[1].port;
}

/* One alone as a text, which needs no list. */
static void put_endpoints(FILE *to, const struct endpoint *e)
{
	for (size_t i = 0, n = 0; i < 2; i++) {
		char text[64] = "";
		struct buf b = BUF_OF(text);
		if (!e[i].port)
			continue;
		endpoint_format(&e[i], &b);
		if (endpoints_count(e) == 1)
			put_text(to, text);
		else
			put_item(to, n++, 2, text);
	}
	fputs(endpoints_count(e) > 1 ? " ]" : "", to);
}

static const char *word_text(const struct option *o, int value)
{
	for (const struct word *w = o->words; w->text; w++)
		if (w->value == value)
			return w->text;
	return NULL;
}

/* The text of a value that is one; false where it is not set. */
static bool format_one(const struct option *o, const void *row, struct buf *b)
{
	const void *member = option_member(o, row);
	char address[ADDRESS_TEXT];
	const struct address *a = member;
	switch (o->type) {
	case OPTION_DURATION:
		duration_format(*(const int64_t *)member, b);
		return o->fallback || *(const int64_t *)member;
	case OPTION_NETWORK: network_format(member, b); break;
	case OPTION_PORT: port_format(member, b); break;
	case OPTION_DAYS: days_format(*(const uint8_t *)member, b); break;
	case OPTION_HOURS: hours_format(member, *(const uint8_t *)option_second(o, row), b); break;
	case OPTION_DATE:
		if (*(const int64_t *)member)
			date_format(*(const int64_t *)member - 86400 * NS_PER_S, b);
		break;
	case OPTION_QUOTA:
		if (((const struct config_quota *)member)->amount)
			quota_format(member, b);
		break;
	case OPTION_ADDRESS:
		if (*(const bool *)option_second(o, row))
			buf_text(b, address_format(a, address));
		break;
	case OPTION_MAC:
		if (*(const bool *)option_second(o, row))
			mac_format(member, b);
		break;
	case OPTION_ENDPOINT:
		if (((const struct endpoint *)member)->port)
			endpoint_format(member, b);
		break;
	default: return false;
	}
	return b->len > 0;
}

/* The text of a value; NULL where it is not set or no single text. */
static const char *one_text(const struct option *o, const void *row, struct buf *b)
{
	switch (o->type) {
	case OPTION_WORD: return word_text(o, option_word(o, row));
	case OPTION_PATH:
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_REF:
	case OPTION_USER:
	case OPTION_ZONE:
	case OPTION_WEEKTIME:
	case OPTION_DESTINATION: return *(char *const *)option_member(o, row);
	default: return format_one(o, row, b) ? b->data : NULL;
	}
}

static void put_many(FILE *to, const struct option *o, const void *row)
{
	const void *member = option_member(o, row);
	switch (o->type) {
	case OPTION_NUMBER: fprintf(to, "%u", *(const uint32_t *)member); break;
	case OPTION_MASK: fprintf(to, "0x%08x", *(const uint32_t *)member); break;
	case OPTION_NETWORKS: put_networks(to, member); break;
	case OPTION_ENDPOINTS: put_endpoints(to, member); break;
	case OPTION_PORTS:
		put_ports(to, *(struct config_port *const *)member,
			  *(const size_t *)option_second(o, row));
		break;
	case OPTION_HOSTS:
		put_hosts(to, *(struct site_list *const *)member,
			  *(const size_t *)option_second(o, row));
		break;
	case OPTION_DATES: put_dates(to, NULL, member); break;
	case OPTION_EXCEPT: put_dates(to, member, option_second(o, row)); break;
	default: put_strings(to, member); break;
	}
}

static bool is_set(const struct option *o, const void *row)
{
	switch (o->type) {
	case OPTION_NUMBER:
	case OPTION_MASK:
	case OPTION_INTERFACES:
	case OPTION_NETWORKS:
	case OPTION_PORTS:
	case OPTION_HOSTS: return true;
	case OPTION_ENDPOINTS: return endpoints_count(option_member(o, row)) > 0;
	case OPTION_DATES: return *(const bool *)option_second(o, row);
	case OPTION_EXCEPT: {
		const struct config_dates *d = option_second(o, row);
		return ((const struct strings *)option_member(o, row))->count + d->days + d->times;
	}
	case OPTION_REFS: return ((const struct strings *)option_member(o, row))->count > 0;
	default: return false;
	}
}

static void put_option(FILE *to, const struct option *o, const void *row, const char *after)
{
	char text[128] = "";
	struct buf b = BUF_OF(text);
	const char *one = one_text(o, row, &b);
	if (!one && !is_set(o, row))
		return;
	fprintf(to, "%s = ", o->name);
	if (one)
		put_text(to, one);
	else
		put_many(to, o, row);
	fprintf(to, ";%s", after);
}

char *option_text(const struct option *o, const void *row)
{
	char *text = NULL;
	size_t len;
	FILE *to = memstream_open(&text, &len);
	if (!to)
		abort();
	put_option(to, o, row, "");
	if (fclose(to) != 0)
		abort();
	return text;
}

bool option_same(const struct option *o, const void *a, const void *b)
{
	char *x = option_text(o, a), *y = option_text(o, b);
	bool same = strcmp(x, y) == 0;
	free(x);
	free(y);
	return same;
}

void table_fixed(const struct table *t, const void *a, const void *b,
		 void (*say)(void *ctx, const char *name), void *ctx)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option *o = &t->options[i];
		if (o->type == OPTION_GROUP)
			table_fixed(o->table, a, b, say, ctx);
		else if (o->at_start && !option_same(o, a, b))
			say(ctx, o->name);
	}
}

static void put_group(FILE *to, const struct option *group, const void *row)
{
	fprintf(to, "%s = {\n", group->name);
	for (size_t i = 0; i < group->table->count; i++) {
		fputc('\t', to);
		put_option(to, &group->table->options[i], row, "\n");
	}
	fputs("};\n", to);
}

static void put_table(FILE *to, const struct option *o, const struct config *c)
{
	const char *rows = *(char *const *)option_member(o, c);
	size_t count = *(const size_t *)option_second(o, c);
	fprintf(to, "%s = (", o->name);
	for (size_t i = 0; i < count; i++) {
		fputs(i ? ",\n\t{ " : "\n\t{ ", to);
		for (size_t j = 0; j < o->table->count; j++)
			put_option(to, &o->table->options[j], rows + i * o->table->size, " ");
		fputc('}', to);
	}
	fputs(count ? "\n);\n" : " );\n", to);
}

void config_print(const struct config *c, FILE *to)
{
	for (size_t i = 0; i < schema_main.count; i++) {
		const struct option *o = &schema_main.options[i];
		if (o->type == OPTION_TABLE)
			put_table(to, o, c);
		else if (o->type == OPTION_GROUP)
			put_group(to, o, c);
		else
			put_option(to, o, c, "\n");
	}
}
