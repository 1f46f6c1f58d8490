#include "base/clock.h"
#include "config/load.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LIST_ERRORS 20 /* said of one list */

struct reading {
	struct loader *l;
	struct config_list *list;
	int line;
	unsigned errors, comments;
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
		if (destination_parse(name, &e.host))
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
	r->comments += comment != NULL;
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
	if (r->errors > LIST_ERRORS)
		complain(r->l, r->list->file, 0, "%u more lines are wrong; mend the first %d",
			 r->errors - LIST_ERRORS, LIST_ERRORS);
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

/* What a failed download leaves is good in form: nothing, or a word of an error page. Said, and a
 * fault where the last good list held more; who means it writes a comment into the file. */
static void check_content(struct reading *r)
{
	struct config_list *list = r->list, kept = {0};
	size_t words = 0, first = 0;
	for (size_t i = list->count; i-- > 0;)
		if (is_word(&list->item[i]))
			words++, first = i;
	if (list->count == 0)
		errors_add(&r->l->c->notes, list->file, 0,
			   "holds no entry: what it is named for matches nothing");
	else if (words)
		errors_add(
			&r->l->c->notes, list->file, list->item[first].line,
			"\"%s\" is a top-level domain, and all below it; or the page of an error",
			list->item[first].host.text);
	if (list->count > words || r->comments || r->l->use < CONFIG_FOR_RUN ||
	    !list_kept(r->l, list->file, &kept))
		return;
	if (kept.count > list->count)
		complain(r->l, list->file, 0,
			 "holds %zu entries and had %zu when it was last in force; fetch it again, "
			 "or "
			 "write a comment into it where that is meant",
			 list->count, kept.count);
	free(kept.item);
}

/* The answer of a web server, named once instead of by each of its lines. */
static bool is_page(struct reading *r, const char *text)
{
	const char *start = text + strspn(text, " \t\n");
	if (*start != '<')
		return false;
	complain(r->l, r->list->file, 0,
		 "is a page, not a list: it begins with \"%.*s\"; write one example.org a line",
		 (int)(strcspn(start, "\n") > 40 ? 40 : strcspn(start, "\n")), start);
	return true;
}

void list_parse(struct loader *l, char *text, size_t len, struct config_list *list)
{
	struct reading r = {.l = l, .list = list};
	size_t before = l->complaint_count;
	if (strlen(text) != len)
		complain(l, list->file, 0, "holds a zero byte; write a text file");
	if (!is_page(&r, text))
		read_lines(&r, text);
	if (l->complaint_count == before)
		check_content(&r);
}

/* A start with a list that has a fault: the last good one, else what is good of it. */
static void pardon(struct loader *l, size_t before, struct config_list *list)
{
	struct config_list kept = {0};
	bool there = list_kept(l, list->file, &kept);
	complaints_pardon(l, before);
	l->c->faults++;
	if (!there) {
		errors_add(&l->c->notes, list->file, 0,
			   "has a fault and no good copy is kept: its other %zu entries count",
			   list->count);
		return;
	}
	errors_add(&l->c->notes, list->file, 0,
		   "has a fault: the last good one, of %zu entries, is in force instead",
		   kept.count);
	free(list->item);
	list->item = kept.item;
	list->count = kept.count;
	list->kept = true;
}

void list_read(struct loader *l, const char *path, int line, struct config_list *list)
{
	struct stat st;
	size_t len, before = l->complaint_count;
	const char *name = named_file(l, path, line);
	if (!name)
		return;
	list->file = must(strdup(name));
	char *where = config_path(l, name);
	if (stat(where, &st) == 0)
		list->changed = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	free(where);
	char *text = config_text(l, name, line, &len);
	if (text)
		list_parse(l, text, len, list);
	free(text);
	if (l->use == CONFIG_FOR_START && l->complaint_count > before)
		pardon(l, before, list);
}
