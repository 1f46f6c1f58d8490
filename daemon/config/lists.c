#include "config/load.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

#define LIST_ERRORS 20 /* said of one list */

struct reading {
	struct loader *l;
	struct config_list *list;
	int line;
	unsigned errors;
};

void list_add(struct config_list *list, const struct site_entry *e)
{
	list->item = array_grow(list->item, &list->count, sizeof *e);
	list->item[list->count - 1] = *e;
}

static void wrong(struct reading *r, const char *word, const char *what)
{
	if (++r->errors > LIST_ERRORS)
		return;
	complain(r->l, r->list->file, r->line,
		 "\"%.80s\" %s; write example.org, =example.org, !example.org or 192.0.2.0/24",
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
		if (destination_parse(name, &e.host))
			list_add(r->list, &e);
		else
			wrong(r, name, "is no host name");
	}
}

static void read_line(struct reading *r, char *text)
{
	char *rest, *comment = strchr(text, '#');
	if (comment)
		*comment = '\0';
	text[strcspn(text, "\r")] = '\0';
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
		wrong(r, word, "is neither a host nor a network");
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
	if (r->errors > LIST_ERRORS)
		complain(r->l, r->list->file, 0, "%u more lines are wrong; mend the first %d",
			 r->errors - LIST_ERRORS, LIST_ERRORS);
}

void list_read(struct loader *l, const char *path, int line, struct config_list *list)
{
	size_t len;
	const char *name = named_file(l, path, line);
	if (!name)
		return;
	char *text = config_text(l, name, line, &len);
	if (!text)
		return;
	struct reading r = {.l = l, .list = list};
	list->file = must(strdup(name));
	if (strlen(text) != len)
		complain(l, name, 0, "holds a zero byte; write a text file");
	bool marked = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
	read_lines(&r, text + (marked ? 3 : 0));
	free(text);
}
