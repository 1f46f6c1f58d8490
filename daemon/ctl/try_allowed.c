#include "ctl/ctl.h"
#include "ctl/try.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const members[] = {"change", "tier",      "user",    "site",
				      "host",   "quota_was", "quota_is"};
#define MEMBERS (sizeof members / sizeof *members)

json_t *try_group_key(const struct try_group *g)
{
	json_t *j = json_pack("{ssssssss}", "change", try_change_text(g->change), "tier", g->tier,
			      "user", g->user, g->is_site ? "site" : "host", g->to);
	if (g->change == TRY_QUOTA) {
		json_object_set_new(j, "quota_was", json_string(g->was_quota));
		json_object_set_new(j, "quota_is", json_string(g->is_quota));
	}
	return j;
}

/* The members of a line that count; NULL where it names no change. */
static json_t *allowed_of(const char *line)
{
	json_t *j = json_loads(line, 0, NULL), *out = json_object();
	const char *change = ctl_text(j, "change");
	bool good = false;
	for (int c = TRY_GAINS; c < TRY_CHANGES; c++)
		good |= strcmp(change, try_change_text(c)) == 0;
	for (size_t i = 0; i < MEMBERS; i++) {
		json_t *member = json_object_get(j, members[i]);
		good &= !member || json_is_string(member);
		if (member)
			json_object_set(out, members[i], member);
	}
	json_decref(j);
	if (good)
		return out;
	json_decref(out);
	return NULL;
}

/* Blank, a comment, or the summary that ends what try --json prints. */
static bool is_nothing(const char *line)
{
	size_t start = strspn(line, " \t\r\n");
	if (!line[start] || line[start] == '#')
		return true;
	json_t *j = json_loads(line, 0, NULL);
	bool summary = json_object_get(j, "records") && !json_object_get(j, "change");
	json_decref(j);
	return summary;
}

json_t *try_allowed_read(const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	bool good = f;
	json_t *list = json_array();
	for (unsigned n = 1; f && getline(&line, &room, f) > 0; n++) {
		json_t *one = is_nothing(line) ? NULL : allowed_of(line);
		if (one) {
			json_array_append_new(
				list, json_pack("{so sI}", "of", one, "line", (json_int_t)n));
		} else if (!is_nothing(line)) {
			good = false;
			fprintf(stderr,
				"%s:%u: no change; one such as {\"change\": \"gains\", \"tier\": "
				"\"press\", \"site\": \"social\"} would be accepted\n",
				path, n);
		}
	}
	free(line);
	if (!f || ferror(f)) {
		good = false;
		fprintf(stderr,
			"tiergatectl: %s can't be read: %s; --allow-change names what try --json "
			"printed\n",
			path, strerror(errno));
	}
	if (f)
		fclose(f);
	if (good)
		return list;
	json_decref(list);
	return NULL;
}

bool try_allowed_has(json_t *allowed, const struct try_group *g)
{
	json_t *key = try_group_key(g), *one, *member;
	const char *name;
	size_t i;
	bool has = false;
	json_array_foreach(allowed, i, one)
	{
		bool fits = true;
		json_object_foreach(json_object_get(one, "of"), name, member) fits &=
			json_equal(member, json_object_get(key, name));
		if (fits)
			json_object_set_new(one, "fits", json_true());
		has |= fits;
	}
	json_decref(key);
	return has;
}
