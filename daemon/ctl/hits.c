/* What a daemon has counted of its policy's lines and entries, asked a portion at a time. */
#include "ctl/hits.h"

#include "base/array.h"
#include "base/clock.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t number(const json_t *row, size_t i)
{
	return json_integer_value(json_array_get(row, i));
}

static void take_hits(const json_t *rows, struct hits *h)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		const char *key = json_string_value(json_array_get(row, 0));
		h->item = array_grow(h->item, &h->count, sizeof *h->item);
		h->item[h->count - 1] = (struct hit){
			.key = key ? strtoull(key, NULL, 16) : 0,
			.count = (uint64_t)number(row, 1),
			.since = (uint32_t)number(row, 2),
			.last = (uint32_t)number(row, 3),
		};
	}
}

static void take_time(const json_t *result, const char *key, int64_t *out)
{
	*out = json_integer_value(json_object_get(result, key)) * NS_PER_S;
}

/* One portion; its policy must be the one of those before. False: begin again, or it failed. */
static json_t *portion(struct call *c, size_t from, const char *policy)
{
	json_t *answer = NULL, *result = NULL;
	if (call_send(c, "hits", json_pack("{sI}", "from", (json_int_t)from)))
		answer = call_receive(c);
	if (json_is_true(json_object_get(answer, "ok")))
		result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	if (result && from && strcmp(ctl_text(result, "policy"), policy) != 0) {
		json_decref(result);
		return NULL;
	}
	return result;
}

static bool take_all(struct call *c, struct ctl_hits *out)
{
	json_t *result;
	const json_t *next = NULL;
	size_t from = 0;
	while ((result = portion(c, from, out->policy))) {
		take_hits(json_object_get(result, "hits"), &out->hits);
		snprintf(out->policy, sizeof out->policy, "%s", ctl_text(result, "policy"));
		take_time(result, "since", &out->hits.since);
		take_time(result, "lost_from", &out->hits.lost_from);
		take_time(result, "lost_to", &out->hits.lost_to);
		out->not_counted = json_integer_value(json_object_get(result, "not_counted"));
		next = json_object_get(result, "next");
		size_t to = (size_t)json_integer_value(next);
		json_decref(result);
		if (to <= from)
			return true;
		from = to;
	}
	return false;
}

bool ctl_hits(struct ctl_hits *out)
{
	char path[CTL_SOCKET_MAX];
	*out = (struct ctl_hits){0};
	if (!ctl_socket(path))
		return false;
	struct call *c = call_open(path, 10);
	int error = errno;
	bool good = c && take_all(c, out) && out->hits.since;
	if (!c)
		fprintf(stderr,
			"tiergatectl: the daemon does not answer at %s (%s): by the records\n",
			path, strerror(error));
	else if (!good)
		fprintf(stderr, "tiergatectl: the daemon at %s gave no counters: by the records\n",
			path);
	call_close(c);
	if (good)
		hits_sort(&out->hits);
	else
		hits_free(&out->hits);
	return good;
}
