/* Every key of the schema is either applied by a reload or refused by name: made from the schema.
 */
#include "unit.h"

#include "base/clock.h"
#include "config/files.h"
#include "config/schema.h"
#include "config/value.h"
#include "policy/snapshot.h"
#include "wiring/wiring.h"

#include <glob.h>

#define BASE "inside = [ \"lan0\" ]; mode = \"enforce\"; portal = \"10.0.0.1:80\"; "

/* A value that the option takes and that is not its default. */
static void other_value(const struct option *o, struct buf *b)
{
	switch (o->type) {
	case OPTION_WORD: {
		const struct word *w = o->words;
		while (o->fallback && strstr(o->fallback, w->text))
			w++;
		buf_printf(b, "\"%s\"", w->text);
		break;
	}
	case OPTION_NUMBER: buf_printf(b, "%lld", o->min + 3); break;
	case OPTION_MASK: buf_text(b, "0x0000ff00"); break;
	case OPTION_DURATION:
		buf_char(b, '"');
		duration_format(o->min, b);
		buf_char(b, '"');
		break;
	case OPTION_PATH:
	case OPTION_TEXT: buf_text(b, "\"/other\""); break;
	case OPTION_INTERFACES: buf_text(b, "[ \"wlan0\" ]"); break;
	case OPTION_NETWORKS: buf_text(b, "[ \"192.0.2.0/24\" ]"); break;
	case OPTION_ENDPOINTS: buf_text(b, "\"10.0.0.2:8080\""); break;
	default: fail_msg("%s: a type without another value", o->name);
	}
}

/* The base with one option changed. */
static struct config *load_with(const struct option *o, bool bound)
{
	char text[1024] = "", *was, *end;
	struct buf b = BUF_OF(text);
	buf_text(&b, BASE);
	if (o && (was = strstr(text, o->name)) && (was == text || was[-1] == ' ')) {
		end = strchr(was, ';') + 1;
		memset(was, ' ', (size_t)(end - was));
	}
	if (bound)
		buf_text(&b, "bounds = { ");
	if (o) {
		buf_printf(&b, "%s = ", o->name);
		other_value(o, &b);
		buf_char(&b, ';');
	}
	if (bound)
		buf_text(&b, " };");
	files_write("main.conf", text);
	return files_load_for("main.conf", CONFIG_FOR_RUN);
}

static void gather(void *ctx, const char *name)
{
	struct buf *b = ctx;
	buf_printf(b, "%s ", name);
}

static char *rules_of(const struct config *c)
{
	char *text;
	size_t len;
	struct errors errors = {0};
	FILE *f = open_memstream(&text, &len);
	assert_true(wiring_text(c, WIRING_NFT, 0, f, &errors));
	fclose(f);
	errors_deinit(&errors);
	return text;
}

/* What is read of the policy in force, by option. */
static const struct {
	const char *option;
	size_t offset, size;
} settings[] = {
#define SETTING(option, member)                                                                    \
	{                                                                                          \
		option, offsetof(struct settings, member), sizeof(((struct settings *)0)->member)  \
	}
	SETTING("mode", mode),     SETTING("audit", audit),     SETTING("held", held_until),
	SETTING("http", http),     SETTING("on_deny", on_deny), SETTING("mismatch", mismatch),
	SETTING("portal", portal),
};

static bool in_settings(const struct option *o, const struct snapshot *a, const struct snapshot *b)
{
	const char *x = (const char *)snapshot_settings(a), *y = (const char *)snapshot_settings(b);
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		if (strcmp(settings[i].option, o->name) == 0)
			return memcmp(x + settings[i].offset, y + settings[i].offset,
				      settings[i].size) != 0;
	return false;
}

/* What others do with a configuration that a reload has put in force, and where. */
static bool is_taken(const struct option *o)
{
	static const struct {
		const char *option, *file, *text;
	} taken[] = {
		{"when_full", "daemon/gateway/reload.c", "g->latest->when_full == CONFIG_OPEN"},
		{"when_flushed", "daemon/wiring/watch.c", "w->config->when_flushed"},
		{"host_change", "daemon/gateway/people.c", "c->host_change"},
		/* read by who checks a password, whenever that is */
		{"users_file", "daemon/ctl/people.c", "c->users_file"},
	};
	static char text[1 << 16];
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
		if (strcmp(taken[i].option, o->name) != 0)
			continue;
		FILE *f = fopen(taken[i].file, "r");
		assert_non_null(f);
		text[fread(text, 1, sizeof text - 1, f)] = '\0';
		fclose(f);
		return strstr(text, taken[i].text);
	}
	return false;
}

/* It is in the snapshot that a reload puts in force, or in the rules that it asks for, or it is
 * taken from the configuration. */
static bool is_applied(const struct option *o, const struct config *before, const struct config *c)
{
	struct errors errors = {0};
	struct snapshot *s = snapshot_compile(c, &errors), *t = snapshot_compile(before, &errors);
	assert_non_null(s);
	char *was = rules_of(before), *now = rules_of(c);
	bool digest = strcmp(snapshot_digest(s), snapshot_digest(t)) != 0;
	assert_int_equal(digest, o->in_digest);
	bool applied = in_settings(o, s, t) || digest || strcmp(was, now) != 0 || is_taken(o);
	snapshot_free(s);
	snapshot_free(t);
	free(was);
	free(now);
	return applied;
}

static void check_option(const struct option *o, bool bound)
{
	char names[256] = "", want[64] = "";
	struct buf b = BUF_OF(names);
	struct config *before = load_with(NULL, false), *c = load_with(o, bound);
	assert_non_null(c);
	if (option_same(o, before, c))
		fail_msg("%s did not change", o->name);
	table_fixed(&schema_main, before, c, gather, &b);
	if (o->at_start)
		snprintf(want, sizeof want, "%s ", o->name);
	if (o->at_start && strcmp(o->name, "queue_length") == 0)
		strcat(want, "held held_per_client "); /* which follow from it */
	if (o->at_start && strcmp(o->name, "held") == 0)
		strcat(want, "held_per_client ");
	assert_string_equal(names, want);
	assert_true(is_applied(o, before, c) || o->at_start);
	config_free(before);
	config_free(c);
}

static void every_key_is_applied_or_refused(void **state)
{
	for (size_t i = 0; i < schema_main.count; i++) {
		const struct option *o = &schema_main.options[i];
		if (o->type == OPTION_GROUP)
			for (size_t k = 0; k < o->table->count; k++)
				check_option(&o->table->options[k], true);
		else if (!option_is_policy(o))
			check_option(o, false);
	}
}

/* The member of struct config is not always called as its option. */
static const struct option *option_of(const char *member)
{
	static const struct {
		const char *member, *option;
	} other[] = {{"dns_any_client", "dns_scope"}, {"pseudonym_key_file", "pseudonym_key"}};
	for (size_t i = 0; i < sizeof other / sizeof *other; i++)
		if (strcmp(other[i].member, member) == 0)
			member = other[i].option;
	/* `held` of the bounds fills the member of that name */
	const struct option *o = table_find(table_find(&schema_main, "bounds")->table, member);
	return o ? o : table_find(&schema_main, member);
}

static void check_source(const char *path)
{
	char line[512], member[64];
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		for (char *p = line; (p = strstr(p, "config->")); p++) {
			bool start = p > line && (p[-1] == '>' || p[-1] == '.');
			if (!start || sscanf(p, "config->%63[a-z_]", member) != 1)
				continue;
			const struct option *o = option_of(member);
			/* put into the queues at the start, and again by each reload */
			if (!o || (!o->at_start && strcmp(member, "when_full") != 0))
				fail_msg("%s reads %s of the start's configuration: read the "
					 "snapshot's settings, or make the option at_start",
					 path, member);
		}
	fclose(f);
}

/* What runs reads of the start's configuration only what no reload changes. */
static void the_start_holds_what_is_fixed(void **state)
{
	glob_t found = {0};
	assert_int_equal(glob("daemon/gateway/*.c", 0, NULL, &found), 0);
	assert_int_equal(glob("daemon/worker/*.c", GLOB_APPEND, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_source(found.gl_pathv[i]);
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_applied_or_refused),
		cmocka_unit_test(the_start_holds_what_is_fixed),
	};
	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
