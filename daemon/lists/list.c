#include "lists/list.h"

#include "base/array.h"
#include "base/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIST_ERRORS 20 /* said of one list */

struct reading {
	const struct list_reader *reader;
	struct site_list *list;
	struct list_shape *shape;
	int line;
	bool good;
};

enum { ROOM_FIRST = 512, ROOM_MAX = 1 << 16 };

struct list_room {
	struct list_room *before;
	uint32_t size, used;
	char bytes[];
};

static void *room_take(struct site_list *list, size_t size)
{
	struct list_room *r = list->room;
	size = (size + 3) & ~3ul;
	if (!r || r->size - r->used < size) {
		uint32_t room = r && r->size < ROOM_MAX ? r->size * 2 : r ? ROOM_MAX : ROOM_FIRST;
		struct list_room *more = must(malloc(sizeof *more + room));
		*more = (struct list_room){.before = r, .size = room};
		list->room = r = more;
	}
	r->used += (uint32_t)size;
	return r->bytes + r->used - size;
}

void list_add(struct site_list *list, const struct site_entry *e)
{
	struct site_entry *mine = room_take(list, entry_size(e));
	memcpy(mine, e, entry_size(e));
	list->item = array_grow(list->item, &list->count, sizeof(struct site_entry *));
	list->item[list->count - 1] = mine;
}

void list_clear(struct site_list *list)
{
	for (struct list_room *r = list->room, *before; r; r = before) {
		before = r->before;
		free(r);
	}
	free(list->item);
	list->room = NULL;
	list->item = NULL;
	list->count = 0;
}

static void complain(struct reading *r, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void complain(struct reading *r, int line, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	r->good = false;
	r->reader->complain(r->reader->ctx, line, text);
}

static void wrong(struct reading *r, const char *word, const char *what)
{
	if (++r->shape->wrong > LIST_ERRORS)
		return;
	complain(r, r->line,
		 "\"%.80s\" %s; write example.org, =example.org, !example.org, ~example.org or "
		 "192.0.2.0/24",
		 word, what);
}

/* What every hosts file says of the machine itself. */
static bool is_local(const char *name)
{
	static const char *const local[] = {
		"localhost",     "localhost.localdomain", "local",        "broadcasthost",
		"ip6-localhost", "ip6-loopback",          "ip6-localnet", "ip6-mcastprefix",
		"ip6-allnodes",  "ip6-allrouters",        "ip6-allhosts", "0.0.0.0",
	};
	for (size_t i = 0; i < sizeof local / sizeof *local; i++)
		if (strcasecmp(name, local[i]) == 0)
			return true;
	return false;
}

static bool is_address(const char *word)
{
	char text[ADDRESS_TEXT];
	struct address a;
	snprintf(text, sizeof text, "%.*s", (int)strcspn(word, "%"), word); /* fe80::1%lo0 */
	return address_parse(text, &a);
}

/* The names of a hosts-file line: each alone, as there. */
static void read_hosts_line(struct reading *r, char *name, char **rest)
{
	for (; name; name = strtok_r(NULL, " \t", rest)) {
		struct site_entry e = {.kind = SITE_EXACT, .line = r->line};
		if (is_local(name))
			continue;
		if (host_parse(name, &e.host))
			list_add(r->list, &e);
		else
			wrong(r, name, "is no host name");
	}
}

/* Where a comment begins: a # at the line's start or after white space, so that none cuts a name.
 */
static char *comment_of(char *text)
{
	for (char *p = text; (p = strchr(p, '#')); p++)
		if (p == text || p[-1] == ' ' || p[-1] == '\t')
			return p;
	return NULL;
}

static void read_line(struct reading *r, char *text)
{
	char *rest, *comment = comment_of(text);
	if (comment)
		*comment = '\0';
	r->shape->comments += comment != NULL;
	char *word = strtok_r(text, " \t", &rest);
	char *second = word ? strtok_r(NULL, " \t", &rest) : NULL;
	struct site_entry e = {.line = r->line};
	if (!word)
		return;
	if (second && is_address(word))
		read_hosts_line(r, second, &rest);
	else if (second)
		wrong(r, second, "follows another entry");
	else if (entry_parse(word, &e))
		list_add(r->list, &e);
	else
		wrong(r, word,
		      address_is_mapped(word) ? "is IPv4 in the form of IPv6"
					      : "is neither a host nor a network");
}

static void read_lines(struct reading *r, char *text)
{
	while (text) {
		char *line = text;
		text = strchr(text, '\n');
		if (text)
			*text++ = '\0';
		r->line++;
		read_line(r, line);
	}
	if (r->shape->wrong > LIST_ERRORS)
		complain(r, 0, "%u more lines are wrong; mend the first %d",
			 r->shape->wrong - LIST_ERRORS, LIST_ERRORS);
}

/* One label that is no common suffix: "Forbidden" is a name, too, of all below a top-level domain.
 */
static bool is_word(const struct site_entry *e)
{
	static const char *const suffixes[] = {"com", "net", "org", "info", "biz",  "edu",
					       "gov", "mil", "int", "arpa", "local"};
	const char *text = e->host.text;
	if (e->kind != SITE_TREE || strchr(text, '.') || strlen(text) == 2 ||
	    strncmp(text, "xn--", 4) == 0)
		return false;
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (strcmp(text, suffixes[i]) == 0)
			return false;
	return true;
}

/* The answer of a web server, named once instead of by each of its lines. */
static bool is_page(struct reading *r, const char *text)
{
	const char *start = text + strspn(text, " \t\n");
	if (*start != '<')
		return false;
	complain(r, 0,
		 "is a page, not a list: it begins with \"%.*s\"; write one example.org a line",
		 (int)(strcspn(start, "\n") > 40 ? 40 : strcspn(start, "\n")), start);
	return true;
}

static void count_words(const struct site_list *list, struct list_shape *shape)
{
	for (size_t i = list->count; i-- > 0;)
		if (is_word(list->item[i]))
			shape->words++, shape->first_word = i;
}

bool list_parse(char *text, size_t len, struct site_list *list, const struct list_reader *reader,
		struct list_shape *shape)
{
	struct reading r = {.reader = reader, .list = list, .shape = shape, .good = true};
	*shape = (struct list_shape){0};
	if (strlen(text) != len)
		complain(&r, 0, "holds a zero byte; write a text file");
	if (!is_page(&r, text))
		read_lines(&r, text);
	count_words(list, shape);
	return r.good;
}
