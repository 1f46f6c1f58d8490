#include "ctl/ctl.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 10 };

static const char *const titles[COLUMNS] = {"USER",   "TIER",          "ADDRESS", "SINCE",
					    "UNTIL",  "BYTES",         "FLOWS",   "HOST",
					    "SOURCE", "LEFT OF QUOTAS"};

static const char *count(const json_t *row, const char *key, char space[static 32])
{
	snprintf(space, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(row, key)));
	return space;
}

/* Characters of UTF-8, each as wide as one column: near enough for names. */
static int width_of(const char *text)
{
	int n = 0;
	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

/* By name, where one was looked up, else by MAC address, where that is known. */
static const char *host_of(const json_t *row)
{
	const char *name = ctl_text(row, "host"), *mac = ctl_text(row, "mac");
	return name[0] ? name : mac[0] ? mac : "-";
}

/* The name that the resolver has for the session's first address that has one. */
static void look_up(json_t *row)
{
	char name[NI_MAXHOST];
	size_t i;
	json_t *one;
	json_array_foreach(json_object_get(row, "addresses"), i, one)
	{
		struct addrinfo *a, hints = {.ai_flags = AI_NUMERICHOST};
		if (getaddrinfo(json_string_value(one), NULL, &hints, &a) != 0)
			continue;
		int e = getnameinfo(a->ai_addr, a->ai_addrlen, name, sizeof name, NULL, 0,
				    NI_NAMEREQD);
		freeaddrinfo(a);
		if (e != 0)
			continue;
		json_object_set_new(row, "host", json_string(name));
		return;
	}
}

/* "video 35 min of 90 min until 2026-11-29 00:00; ...", the caller's. */
static char *left_of(const json_t *row)
{
	char *text = NULL, space[32];
	size_t size, i, k;
	json_t *q, *site;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	json_array_foreach(json_object_get(row, "quotas"), i, q)
	{
		fputs(i ? "; " : "", f);
		json_array_foreach(json_object_get(q, "sites"), k, site)
			fprintf(f, "%s%s", k ? ", " : "", json_string_value(site));
		if (json_object_get(q, "more_sites"))
			fputs(" ...", f);
		fprintf(f, " %s of %s until %s", ctl_text(q, "left_text"),
			ctl_text(q, "amount_text"), ctl_time(ctl_text(q, "until"), space));
	}
	fclose(f);
	return text;
}

/* The address is the session's i-th; all else is written beside the first only. */
static const char *cell(const json_t *row, int column, size_t i, char space[static 32])
{
	if (column == 2)
		return json_string_value(json_array_get(json_object_get(row, "addresses"), i));
	if (i > 0)
		return "";
	switch (column) {
	case 0: return ctl_text(row, "user");
	case 1: return ctl_text(row, "tier");
	case 3: return ctl_time(ctl_text(row, "since"), space);
	case 4:
		return json_object_get(row, "until") ? ctl_time(ctl_text(row, "until"), space)
						     : "-";
	case 5: return count(row, "bytes", space);
	case 6: return count(row, "flows", space);
	case 7: return host_of(row);
	case 8: return ctl_text(row, "source");
	}
	return ctl_text(row, "left");
}

/* How many columns: the last is for those who have quotas. */
static int columns_of(const json_t *rows)
{
	size_t r;
	json_t *row;
	bool any = false;
	json_array_foreach(rows, r, row)
	{
		char *left = json_object_get(row, "quotas") ? left_of(row) : NULL;
		any |= left != NULL;
		ctl_set(row, "left", left);
		free(left);
	}
	return any ? COLUMNS : COLUMNS - 1;
}

static void table(const json_t *rows)
{
	int width[COLUMNS], columns = columns_of(rows);
	char space[32];
	size_t r;
	json_t *row;
	for (int c = 0; c < columns; c++)
		width[c] = (int)strlen(titles[c]);
	json_array_foreach(rows, r, row)
	{
		size_t addresses = json_array_size(json_object_get(row, "addresses"));
		for (size_t i = 0; i < addresses; i++)
			for (int c = 0; c < columns; c++) {
				int len = width_of(cell(row, c, i, space));
				width[c] = len > width[c] ? len : width[c];
			}
	}
	for (int c = 0; c < columns; c++)
		printf("%-*s%s", c < columns - 1 ? width[c] : 0, titles[c],
		       c < columns - 1 ? "  " : "\n");
	json_array_foreach(rows, r, row)
	{
		size_t addresses = json_array_size(json_object_get(row, "addresses"));
		for (size_t i = 0; i < addresses; i++)
			for (int c = 0; c < columns; c++) {
				const char *text = cell(row, c, i, space);
				ctl_put(stdout, text);
				printf("%*s", c < columns - 1 ? width[c] - width_of(text) + 2 : 0,
				       "");
				if (c == columns - 1)
					putchar('\n');
			}
	}
}

/* Takes rows until the answer ends; its exit status. */
static int take_rows(struct call *c, json_t *rows, bool names, const char *user)
{
	for (;;) {
		json_t *answer = ctl_receive(c), *row = json_object_get(answer, "result");
		int status = EXIT_CANNOT;
		if (answer && json_is_true(json_object_get(answer, "more"))) {
			if (names)
				look_up(row);
			if (ctl.json)
				ctl_put_json(row);
			else
				json_array_append(rows, row);
			json_decref(answer);
			continue;
		}
		if (answer)
			status = json_is_true(json_object_get(answer, "ok")) ? EXIT_DONE
									     : ctl_refused(answer);
		if (user && ctl_text(row, "meant")[0])
			ctl_not_signed_in(user, row, "");
		json_decref(answer);
		return status;
	}
}

int ctl_sessions(int argc, char **argv)
{
	const char *user = NULL, *tier = NULL, *address = NULL, *segment = NULL;
	bool names = false;
	const struct ctl_option options[] = {
		{"user", &user, NULL},       {"tier", &tier, NULL},   {"address", &address, NULL},
		{"segment", &segment, NULL}, {"names", NULL, &names}, {0}};
	if (!ctl_options(argc, argv, options, NULL) || ctl.help)
		return ctl_usage("sessions [--user U] [--tier T] [--address A] [--segment N] "
				 "[--names] [--json]",
				 NULL);
	json_t *filter = json_object(), *rows = json_array();
	ctl_set(filter, "user", user);
	ctl_set(filter, "tier", tier);
	ctl_set(filter, "address", address);
	ctl_set(filter, "segment", segment);
	struct call *c = ctl_connect();
	int status = EXIT_CANNOT;
	if (!c)
		json_decref(filter);
	else if (ctl_send(c, "sessions", filter))
		status = take_rows(c, rows, names, user);
	if (status == EXIT_DONE && !ctl.json)
		table(rows);
	json_decref(rows);
	call_close(c);
	return status;
}
