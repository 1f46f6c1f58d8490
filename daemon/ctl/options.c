#include "ctl/ctl.h"

#include "config/suggest.h"

#include <stdio.h>
#include <string.h>

struct ctl_common ctl;

static const struct ctl_option common[] = {
	{"socket", &ctl.socket, NULL}, {"config", &ctl.config, NULL},   {"json", NULL, &ctl.json},
	{"help", NULL, &ctl.help},     {"version", NULL, &ctl.version}, {0},
};

static const struct ctl_option *find(const struct ctl_option *list, const char *name, size_t len)
{
	for (; list->name; list++)
		if (strlen(list->name) == len && strncmp(list->name, name, len) == 0)
			return list;
	return NULL;
}

/* value: it is one, and takes none. */
static void say_unknown(const struct ctl_option *options, const char *name, size_t len, bool value)
{
	enum { NAMES = 32 };
	const char *names[NAMES], *near = NULL;
	char word[64];
	size_t count = 0;
	snprintf(word, sizeof word, "%.*s", (int)len, name);
	for (; options->name && count < NAMES; options++)
		names[count++] = options->name;
	for (size_t i = 0; common[i].name && count < NAMES; i++)
		names[count++] = common[i].name;
	if (!value)
		near = nearest(word, names, count);
	fprintf(stderr, "tiergatectl: there is no option --%s%s%s%s%s\n", word,
		value ? " with a value" : "", near ? "; did you mean --" : "", near ? near : "",
		near ? "?" : "");
}

/* "--name=value", "--name value" or "--name"; moves *i past what it took. */
static bool take(const struct ctl_option *options, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct ctl_option *o = find(options, name, len);
	if (!o)
		o = find(common, name, len);
	if (!o || (o->flag && equals)) {
		say_unknown(options, name, len, o);
		return false;
	}
	if (o->flag) {
		*o->flag = true;
	} else if (equals) {
		*o->text = equals + 1;
	} else if (*i + 1 < argc) {
		*o->text = argv[++*i];
	} else {
		fprintf(stderr, "tiergatectl: --%s wants a value\n", o->name);
		return false;
	}
	++*i;
	return true;
}

bool ctl_options(int argc, char **argv, const struct ctl_option *options, int *next)
{
	int i = 1;
	while (i < argc) {
		if (strcmp(argv[i], "-h") == 0) {
			ctl.help = true;
			i++;
		} else if (strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
			if (!take(options, argc, argv, &i))
				return false;
		} else if (next) {
			break;
		} else {
			fprintf(stderr, "tiergatectl: %s is no option\n", argv[i]);
			return false;
		}
	}
	if (next)
		*next = i;
	return true;
}

bool ctl_words(int argc, char **argv, const struct ctl_option *options, const char **words,
	       size_t max, size_t *count)
{
	int next;
	for (*count = 0; ctl_options(argc, argv, options, &next); ++*count) {
		if (next == argc)
			return true;
		if (*count == max) {
			fprintf(stderr, "tiergatectl: %s is too much\n", argv[next]);
			return false;
		}
		words[*count] = argv[next];
		argc -= next;
		argv += next;
	}
	return false;
}

int ctl_usage(const char *usage, const char *wrong)
{
	if (ctl.help) {
		printf("usage: tiergatectl %s\n", usage);
		return EXIT_DONE;
	}
	if (wrong)
		fprintf(stderr, "tiergatectl: %s\n", wrong);
	fprintf(stderr, "usage: tiergatectl %s\n", usage);
	return EXIT_USAGE;
}
