/* The input is a file of changes that somebody has looked at (try --allowed). What is read is no
 * more than its lines, of a change that there is, and of text; written as lines it reads the same,
 * and each of them fits the group that it names whole. */
#include "ctl/try_allowed.c" /* a part of a command: no library has it */

#include <stdint.h>
#include <unistd.h>

static char path[] = "/tmp/tiergate-fuzz-XXXXXX";

static void require(bool holds)
{
	if (!holds)
		abort();
}

const char *ctl_text(const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));
	return text ? text : "";
}

static void remove_file(void)
{
	unlink(path);
}

static json_t *read_from(const void *bytes, size_t len)
{
	FILE *f = fopen(path, "w");
	require(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
	return try_allowed_read(path);
}

static int change_of(const json_t *one)
{
	for (int c = TRY_GAINS; c < TRY_CHANGES; c++)
		if (strcmp(ctl_text(one, "change"), try_change_text((enum try_change)c)) == 0)
			return c;
	abort();
}

static bool copy(char *to, size_t size, const char *text)
{
	return (size_t)snprintf(to, size, "%s", text) < size;
}

static void fits(json_t *allowed, const json_t *one)
{
	struct try_group g = {.change = (enum try_change)change_of(one)};
	g.is_site = json_object_get(one, "site");
	bool whole = copy(g.tier, sizeof g.tier, ctl_text(one, "tier"));
	whole &= copy(g.user, sizeof g.user, ctl_text(one, "user"));
	whole &= copy(g.to, sizeof g.to, ctl_text(one, g.is_site ? "site" : "host"));
	if (whole && !(g.is_site && json_object_get(one, "host"))) /* no group has both */
		require(try_allowed_has(allowed, &g));
}

static void once_more(json_t *list)
{
	char *text = NULL;
	size_t i, len = 0;
	json_t *one;
	FILE *f = open_memstream(&text, &len);
	require(f);
	json_array_foreach(list, i, one)
	{
		const json_t *of = json_object_get(one, "of");
		require(json_dumpf(of, f, JSON_COMPACT) == 0 && fputc('\n', f) == '\n');
		fits(list, of);
	}
	require(fclose(f) == 0);
	json_t *again = read_from(text, len);
	require(json_array_size(list) == json_array_size(again));
	json_array_foreach(again, i, one)
	{
		const json_t *was = json_object_get(json_array_get(list, i), "of");
		require(json_equal(was, json_object_get(one, "of")));
		require(json_integer_value(json_object_get(one, "line")) == (json_int_t)i + 1);
	}
	json_decref(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t i, lines = 1;
	json_t *one, *member;
	const char *key;
	if (strstr(path, "XXXXXX")) {
		require(close(mkstemp(path)) == 0);
		atexit(remove_file);
		stderr = fopen("/dev/null", "w"); /* it says what is wrong of each line */
	}
	for (size_t n = 0; n < size; n++)
		lines += data[n] == '\n';
	json_t *list = read_from(data, size);
	require(json_array_size(list) <= lines);
	json_array_foreach(list, i, one)
		json_object_foreach(json_object_get(one, "of"), key, member)
			require(json_is_string(member));
	if (list)
		once_more(list);
	json_decref(list);
	return 0;
}
