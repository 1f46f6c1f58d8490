#include "config/load.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void load_text(struct loader *l, char *text, size_t len, bool is_main);

static int line_of(const config_setting_t *s)
{
	return (int)config_setting_source_line(s);
}

static void unknown_key(struct loader *l, const struct table *t, const config_setting_t *s,
			bool is_main)
{
	const char *known[64], *name = config_setting_name(s);
	char text[1024];
	struct buf b = BUF_OF(text);
	size_t count = 0;
	const struct option *o = table_find(t, name);
	if (o) {
		complain(l, l->file, line_of(s), "%s in a policy file; write it in the main file",
			 name);
		return;
	}
	for (size_t i = 0; i < t->count && count < 64; i++)
		if (is_main || option_is_policy(&t->options[i]))
			known[count++] = t->options[i].name;
	suggest(name, known, count, "keys", &b);
	complain(l, l->file, line_of(s), "unknown key \"%.60s\" in %s; %s", name, t->row, text);
}

static void missing_key(struct loader *l, const struct table *t, const struct option *o,
			const config_setting_t *group)
{
	char text[256];
	struct buf b = BUF_OF(text);
	option_accepts(o, &b);
	complain(l, l->file, line_of(group), "%s without %s; write %s = %s", t->row, o->name,
		 o->name, text);
}

static void load_table(struct loader *l, const struct option *o, const config_setting_t *s,
		       void *row);

/* Options of one group, in the table's order. */
static void load_group(struct loader *l, const struct table *t, const config_setting_t *group,
		       void *row)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option *o = &t->options[i];
		config_setting_t *s = config_setting_get_member(group, o->name);
		if (s && o->type == OPTION_TABLE)
			load_table(l, o, s, row);
		else if (s)
			option_read(l, o, s, row);
		else if (o->required)
			missing_key(l, t, o, group);
		else if (o->fallback)
			option_read_default(l, o, row);
	}
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		if (!table_find(t, config_setting_name(s)))
			unknown_key(l, t, s, true);
	}
}

static void wrong_shape(struct loader *l, const struct option *o, const config_setting_t *s)
{
	char text[128];
	struct buf b = BUF_OF(text);
	option_accepts(o, &b);
	complain(l, l->file, line_of(s), "%s has the wrong type; write %s", o->name, text);
}

static void load_table(struct loader *l, const struct option *o, const config_setting_t *s,
		       void *into)
{
	char **rows = option_member(o, into);
	size_t *count = option_second(o, into);
	if (!config_setting_is_list(s) && !config_setting_is_array(s)) {
		wrong_shape(l, o, s);
		return;
	}
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *group = config_setting_get_elem(s, (unsigned)i);
		if (!config_setting_is_group(group)) {
			wrong_shape(l, o, group);
			continue;
		}
		*rows = array_grow(*rows, count, o->table->size);
		char *row = *rows + (*count - 1) * o->table->size;
		*(struct place *)row =
			(struct place){into == l->c ? l->file : NULL, line_of(group)};
		load_group(l, o->table, group, row);
	}
}

static bool seen_before(struct loader *l, const char *name)
{
	struct stat st;
	char *path = config_path(l, name);
	bool known = stat(path, &st) == 0, seen = false;
	free(path);
	for (size_t i = 0; known && i < l->seen_count; i++)
		seen |= l->seen[i].device == st.st_dev && l->seen[i].inode == st.st_ino;
	if (known && !seen) {
		l->seen = array_grow(l->seen, &l->seen_count, sizeof *l->seen);
		l->seen[l->seen_count - 1] = (struct seen_file){st.st_dev, st.st_ino};
	}
	return seen;
}

static void load_policy_file(struct loader *l, const config_setting_t *s)
{
	size_t len;
	const char *path = config_setting_get_string(s), *naming = l->file;
	const char *name = path ? named_file(l, path, line_of(s)) : NULL;
	if (!path) {
		complain(l, l->file, line_of(s),
			 "policy holds something else than a text; write [ \"policy.conf\" ]");
		return;
	}
	if (!name)
		return;
	if (seen_before(l, name)) {
		complain(l, l->file, line_of(s), "%s is named twice; name each file once", name);
		return;
	}
	char *text = config_text(l, name, line_of(s), &len);
	l->incomplete |= !text;
	if (!text)
		return;
	l->file = name;
	load_text(l, text, len, false);
	l->file = naming;
	free(text);
}

static void load_policy(struct loader *l, const struct option *o, const config_setting_t *s)
{
	if (!config_setting_is_array(s) && !config_setting_is_list(s)) {
		wrong_shape(l, o, s);
		return;
	}
	for (int i = 0; i < config_setting_length(s); i++)
		load_policy_file(l, config_setting_get_elem(s, (unsigned)i));
}

static void load_main_option(struct loader *l, size_t index, const config_setting_t *s)
{
	const struct option *o = &schema_main.options[index];
	config_t empty;
	if (s)
		l->lines[index] = line_of(s);
	if (o->type != OPTION_GROUP) {
		if (s)
			option_read(l, o, s, l->c);
		else if (o->fallback)
			option_read_default(l, o, l->c);
		return;
	}
	if (s && !config_setting_is_group(s))
		wrong_shape(l, o, s);
	config_init(&empty);
	load_group(l, o->table, s && config_setting_is_group(s) ? s : config_root_setting(&empty),
		   l->c);
	config_destroy(&empty);
}

/* The file's own tables come before those of the files that it names. */
static void load_root(struct loader *l, const config_setting_t *root, bool is_main)
{
	for (size_t i = 0; i < schema_main.count; i++) {
		const struct option *o = &schema_main.options[i];
		config_setting_t *s = config_setting_get_member(root, o->name);
		if (o->type == OPTION_TABLE && s)
			load_table(l, o, s, l->c);
		else if (!option_is_policy(o) && is_main)
			load_main_option(l, i, s);
	}
	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
		const struct option *o = table_find(&schema_main, config_setting_name(s));
		if (!o || (!is_main && !option_is_policy(o)))
			unknown_key(l, &schema_main, s, is_main);
		else if (o->type == OPTION_FILES)
			load_policy(l, o, s);
	}
}

/* libconfig 1.5 notes an item's line after it has looked at the token behind it, which may be on
 * the next line: the scanner's lines are right. */
static void correct_lines(config_setting_t *s, const int *lines, size_t count, size_t *next)
{
	if (config_setting_is_aggregate(s)) {
		for (int i = 0; i < config_setting_length(s); i++)
			correct_lines(config_setting_get_elem(s, (unsigned)i), lines, count, next);
		return;
	}
	if (*next >= count)
		return;
	if (!config_setting_name(s))
		s->line = (unsigned)lines[*next];
	(*next)++;
}

static void syntax_error(struct loader *l, const config_t *parsed, const char *all)
{
	const char *text = config_error_text(parsed), *accepted;
	l->incomplete = true;
	if (strstr(text, "duplicate") && complain_twice(l, all))
		return;
	if (strstr(text, "duplicate"))
		accepted = "a key twice in one place; join the two";
	else if (strstr(text, "mismatched"))
		accepted = "[ ] holds values of different types; write texts in quotes";
	else
		accepted = "syntax error here or just before; write key = \"text\"; key = number; "
			   "key = [ \"a\", \"b\" ]; key = ( { ... }, { ... } );";
	complain(l, l->file, config_error_line(parsed), "%s", accepted);
}

/* False, and the error is said, where the text is none of libconfig's. `parsed` is made either way.
 */
static bool parse_text(struct loader *l, char *text, size_t len, config_t *parsed)
{
	int *lines = NULL;
	size_t count = 0, next = 0;
	config_init(parsed);
	bool good = scan_text(l, text, len, &lines, &count);
	if (!good) {
		l->incomplete = true;
	} else if (config_read_string(parsed, text) == CONFIG_TRUE) {
		correct_lines(config_root_setting(parsed), lines, count, &next);
	} else {
		syntax_error(l, parsed, text);
		good = false;
	}
	free(lines);
	return good;
}

static void load_text(struct loader *l, char *text, size_t len, bool is_main)
{
	config_t parsed;
	if (parse_text(l, text, len, &parsed))
		load_root(l, config_root_setting(&parsed), is_main);
	config_destroy(&parsed);
}

static void loader_deinit(struct loader *l)
{
	for (size_t i = 0; i < REF_COUNT; i++) {
		free(l->given[i].item);
		free(l->used[i].item);
	}
	for (size_t i = 0; i < l->complaint_count; i++)
		free(l->complaints[i].text);
	free(l->complaints);
	free(l->seen);
	free(l->lines);
}

static struct config *config_new(const char *path)
{
	struct config *c = must(calloc(1, sizeof *c));
	char *copy = must(strdup(path)), *base = must(strdup(path));
	c->path = must(strdup(path));
	c->folder = must(strdup(dirname(copy)));
	strings_add(&c->files, basename(base));
	free(copy);
	free(base);
	return c;
}

struct config *config_load(const char *path, enum config_use use, struct errors *errors)
{
	struct config *c = config_new(path);
	struct loader l = {.c = c, .use = use, .file = c->files.item[0]};
	size_t len;
	l.lines = must(calloc(schema_main.count, sizeof *l.lines));
	char *text = config_text(&l, l.file, 0, &len);
	if (text) {
		seen_before(&l, l.file);
		load_text(&l, text, len, true);
		config_check(&l, use);
	}
	free(text);
	bool good = l.complaint_count == 0;
	complaints_pass(&l, errors);
	loader_deinit(&l);
	if (good)
		return c;
	config_free(c);
	return NULL;
}

bool config_load_table(const char *path, const struct table *t, void *row, struct errors *errors)
{
	struct config *c = config_new(path); /* of no use but to name the file */
	struct loader l = {.c = c, .file = c->files.item[0]};
	config_t parsed;
	size_t len;
	char *text = config_text(&l, l.file, 0, &len);
	if (text) {
		if (parse_text(&l, text, len, &parsed))
			load_group(&l, t, config_root_setting(&parsed), row);
		config_destroy(&parsed);
	}
	free(text);
	bool good = l.complaint_count == 0;
	complaints_pass(&l, errors);
	loader_deinit(&l);
	config_free(c);
	return good;
}
