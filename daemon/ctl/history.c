/* tiergatectl history and rollback: the policies that were in force, as the daemon keeps them. */
#include "ctl/ctl.h"

#include "base/file.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (64U << 20)

struct kept {
	unsigned long number;
	char loaded[40], policy[24], by[80];
};

static bool folder_of(char out[static PATH_MAX])
{
	struct errors errors = {0};
	const char *path = ctl.config ? ctl.config : CTL_CONFIG;
	struct config *c = config_load(path, CONFIG_FOR_CHECK, &errors);
	bool absent = !c && ctl.config && !file_can_be_read(path);
	/* one that is bad now is what a history is for */
	snprintf(out, PATH_MAX, "%s/history", c ? c->state_dir : "/var/lib/tiergate");
	if (absent)
		errors_print(&errors, stderr);
	else if (!c)
		fprintf(stderr,
			"tiergatectl: %s is bad now (see tiergated check), so its state_dir is not "
			"known; this is of %s\n",
			path, out);
	config_free(c);
	errors_deinit(&errors);
	if (absent)
		return false;
	DIR *d = opendir(out);
	if (!d)
		fprintf(stderr,
			"tiergatectl: %s: %m (a history begins with the first reload that "
			"changes something, or with tiergated run --last-good)\n",
			out);
	else
		closedir(d);
	return d != NULL;
}

static bool read_head(const char *folder, unsigned long n, struct kept *out)
{
	char path[PATH_MAX + 32];
	unsigned long said;
	snprintf(path, sizeof path, "%s/%06lu.conf", folder, n);
	FILE *f = fopen(path, "re");
	bool good = f && fscanf(f, "# history %lu\n# loaded %39s\n# policy %23s\n# by %79[^\n]",
				&said, out->loaded, out->policy, out->by) == 4;
	if (f)
		fclose(f);
	out->number = n;
	return good;
}

static int by_number(const void *a, const void *b)
{
	const unsigned long *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* The numbers in the folder, in order; the caller frees them. */
static unsigned long *list(const char *folder, size_t *count)
{
	unsigned long *numbers = NULL;
	DIR *d = opendir(folder);
	struct dirent *e;
	*count = 0;
	while (d && (e = readdir(d))) {
		char *end;
		unsigned long n = strtoul(e->d_name, &end, 10);
		if (!n || strcmp(end, ".conf") != 0)
			continue;
		numbers = realloc(numbers, (*count + 1) * sizeof *numbers);
		if (!numbers)
			abort();
		numbers[(*count)++] = n;
	}
	if (d)
		closedir(d);
	if (numbers)
		qsort(numbers, *count, sizeof *numbers, by_number);
	return numbers;
}

static int show_all(const char *folder)
{
	size_t count;
	unsigned long *numbers = list(folder, &count);
	struct kept k;
	char when[32];
	if (!ctl.json)
		printf("%6s  %-16s  %-16s  %s\n", "N", "LOADED", "POLICY", "BY");
	for (size_t i = 0; i < count; i++) {
		if (!read_head(folder, numbers[i], &k))
			continue;
		if (ctl.json) {
			json_t *j =
				json_pack("{s:I, s:s, s:s, s:s}", "number", (json_int_t)k.number,
					  "loaded", k.loaded, "policy", k.policy, "by", k.by);
			ctl_put_json(j);
			json_decref(j);
			continue;
		}
		printf("%6lu  %-16s  %-16s  ", k.number, ctl_time(k.loaded, when), k.policy);
		ctl_put(stdout, k.by);
		putchar('\n');
	}
	free(numbers);
	return EXIT_DONE;
}

/* The path of a number's file; false after saying that there is none. */
static bool path_of(const char *folder, const char *word, char out[static PATH_MAX + 32])
{
	char *end;
	unsigned long n = strtoul(word, &end, 10);
	struct kept k;
	if (!*word || *end || !read_head(folder, n, &k)) {
		fprintf(stderr,
			"tiergatectl: there is no policy %s in %s; tiergatectl history says which "
			"there are\n",
			word, folder);
		return false;
	}
	snprintf(out, PATH_MAX + 32, "%s/%06lu.conf", folder, n);
	return true;
}

static int put_file(const char *path)
{
	char *text;
	size_t len;
	int e = file_read(path, TEXT_MAX, &text, &len);
	if (e < 0) {
		fprintf(stderr, "tiergatectl: %s: %s\n", path, strerror(-e));
		return EXIT_CANNOT;
	}
	fwrite(text, 1, len, stdout);
	free(text);
	return EXIT_DONE;
}

int ctl_history(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	const char *words[2];
	char folder[PATH_MAX], path[PATH_MAX + 32];
	size_t count;
	if (!ctl_words(argc, argv, none, words, 2, &count) || ctl.help || count == 1 ||
	    (count && strcmp(words[0], "show") != 0))
		return ctl_usage("history [show N] [--config FILE] [--json]", NULL);
	if (!folder_of(folder))
		return EXIT_CANNOT;
	if (!count)
		return show_all(folder);
	return path_of(folder, words[1], path) ? put_file(path) : EXIT_NO;
}

/* ---- rollback ---- */

static bool replace(const char *path, const char *text)
{
	struct file_new f;
	int e = file_new_open(&f, path, 0644, (gid_t)-1);
	if (e == 0) {
		fputs(text, f.to);
		e = file_new_commit(&f);
	}
	if (e < 0)
		fprintf(stderr, "tiergatectl: %s: %s\n", path, strerror(-e));
	return e == 0;
}

/* The old text comes back where the daemon does not take the new one. */
static int put_in_force(const char *config, const char *old, const char *before)
{
	int status;
	json_t *result = ctl_ask("reload", NULL, &status);
	if (result && ctl.json) {
		json_object_set_new(result, "before", json_string(before));
		ctl_put_json(result);
	} else if (result) {
		printf("in force; what %s was is in %s\n", config, before);
	}
	if (!result && status == EXIT_CANNOT)
		fprintf(stderr, "tiergatectl: %s is written; it counts from the daemon's start\n",
			config);
	else if (!result && replace(config, old))
		fprintf(stderr, "tiergatectl: refused; %s is as it was\n", config);
	json_decref(result);
	return status;
}

static int roll_back(const char *config, const char *kept)
{
	char before[PATH_MAX], *old = NULL, *text = NULL;
	size_t len;
	struct policy p;
	struct errors errors = {0};
	bool good = policy_load_and_expect(kept, CONFIG_FOR_CHECK, &p, &errors);
	policy_free(&p);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	if (!good)
		return EXIT_NO;
	snprintf(before, sizeof before, "%s.before-rollback", config);
	int e = file_read(config, TEXT_MAX, &old, &len);
	if (e == 0)
		e = file_read(kept, TEXT_MAX, &text, &len);
	if (e < 0)
		fprintf(stderr, "tiergatectl: %s: %s\n", old ? kept : config, strerror(-e));
	int status = EXIT_CANNOT;
	if (e == 0 && replace(before, old) && replace(config, text))
		status = put_in_force(config, old, before);
	free(old);
	free(text);
	return status;
}

int ctl_rollback(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	const char *words[1];
	char folder[PATH_MAX], path[PATH_MAX + 32];
	size_t count;
	if (!ctl_words(argc, argv, none, words, 1, &count) || ctl.help || count != 1)
		return ctl_usage("rollback N [--config FILE] [--json]", NULL);
	if (!folder_of(folder))
		return EXIT_CANNOT;
	if (!path_of(folder, words[0], path))
		return EXIT_NO;
	return roll_back(ctl.config ? ctl.config : CTL_CONFIG, path);
}
