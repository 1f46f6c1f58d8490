#include "ctl/ctl.h"

#include "advice/explain.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WEEK (7 * 86400 * NS_PER_S)

struct records *ctl_records(const char *const *files, size_t count, const struct config *c)
{
	struct errors errors = {0};
	struct records *records = NULL;
	if (count)
		records = records_open(files, count, &errors);
	else if (c->log == CONFIG_LOG_FILE)
		records = records_open_log(c->log_file, &errors);
	else
		errors_add(&errors, NULL, 0,
			   "tiergatectl: the log is no file; name records with --against, of the "
			   "journal those that journalctl -u tiergated -o cat "
			   "--output-fields=TIERGATE_RECORD prints");
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	return records;
}

#define READ_LIST(X)                                                                               \
	X(strange, "lines are of another version or program")                                      \
	X(damaged, "lines can't be read")                                                          \
	X(torn, "last lines have no end")                                                          \
	X(gone, "files went while the others were read: rotated? ask again")                       \
	X(cut, "files are cut short or damaged: what was before that is read")

void ctl_records_words(const struct records_count *r, json_t *to)
{
#define X(member, words) json_object_set_new(to, #member, json_integer((json_int_t)r->member));
	READ_LIST(X)
#undef X
	ctl_set(to, "first_bad", r->first[0] ? r->first : NULL);
	ctl_set(to, "cut_after", r->cut_after[0] ? r->cut_after : NULL);
}

void ctl_records_places(const struct records_count *r, const char *before)
{
	const char *colon = strrchr(r->cut_after, ':');
	if (colon) {
		printf("%sthe first that is cut is ", before);
		ctl_put(stdout, r->cut_after);
		puts(strcmp(colon, ":0") == 0 ? ", from its start" : ", its last whole line");
	}
	if (r->first[0]) {
		printf("%sthe first line that is none is ", before);
		ctl_put(stdout, r->first);
		putchar('\n');
	}
}

void ctl_records_say(const struct records_count *r)
{
#define X(member, words)                                                                           \
	if (r->member)                                                                             \
		printf("# %" PRIu64 " " words "\n", r->member);
	READ_LIST(X)
#undef X
	ctl_records_places(r, "# ");
}

bool ctl_against(int argc, char **argv, const struct ctl_option *options, struct ctl_against *out)
{
	struct ctl_option all[8] = {{"against", &out->file[0], NULL}};
	const char *since = NULL, *words[CTL_FILES - 1];
	size_t n = 1, count;
	for (all[n++] = (struct ctl_option){"since", &since, NULL}; options->name; options++)
		all[n++] = *options;
	out->since = INT64_MIN;
	if (!ctl_words(argc, argv, all, words, CTL_FILES - 1, &count) || ctl.help)
		return false;
	if (count && !out->file[0]) {
		fprintf(stderr, "tiergatectl: %s is no option; --against names records\n",
			words[0]);
		return false;
	}
	for (size_t i = 0; i < count; i++)
		out->file[i + 1] = words[i];
	out->count = out->file[0] ? count + 1 : 0;
	/* of a day of the week the last one is meant */
	if (!since || when_parse(since, clock_wall() - WEEK, &out->since))
		return true;
	fputs("tiergatectl: --since wants a time: \"mon 10:00\" (the last one), \"2026-11-24 "
	      "10:00\" or RFC 3339\n",
	      stderr);
	return false;
}
