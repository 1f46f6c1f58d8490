#include "ctl/ctl.h"
#include "ctl/try.h"

#include "base/array.h"
#include "gateway/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool try_is_capture(const char *path)
{
	static const unsigned char magic[][4] = {{0xd4, 0xc3, 0xb2, 0xa1},
						 {0xa1, 0xb2, 0xc3, 0xd4},
						 {0x4d, 0x3c, 0xb2, 0xa1},
						 {0xa1, 0xb2, 0x3c, 0x4d},
						 {0x0a, 0x0d, 0x0d, 0x0a}};
	unsigned char first[4];
	struct stat st;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) /* what can't be read twice */
		return false;
	FILE *f = fopen(path, "re");
	bool is = false;
	if (f && fread(first, 1, 4, f) == 4)
		for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
			is |= memcmp(first, magic[i], 4) == 0;
	if (f)
		fclose(f);
	return is;
}

struct played {
	struct decision *item;
	size_t count;
};

static void take(void *ctx, const struct decision *d)
{
	struct played *p = ctx;
	if (d->kind != DECISION_DECIDED)
		return;
	p->item = array_grow(p->item, &p->count, sizeof *p->item);
	p->item[p->count - 1] = *d;
	p->item[p->count - 1].count = p->count; /* which says nothing of a first decision */
}

static int by_flow(const struct decision *x, const struct decision *y)
{
	int order = memcmp(&x->client, &y->client, sizeof x->client);
	order = order ? order : memcmp(&x->server, &y->server, sizeof x->server);
	order = order ? order : x->transport - y->transport;
	order = order ? order : x->client_port - y->client_port;
	return order ? order : x->server_port - y->server_port;
}

static int by_flow_and_order(const void *a, const void *b)
{
	const struct decision *x = a, *y = b;
	int order = by_flow(x, y);
	return order ? order : (x->count > y->count) - (x->count < y->count);
}

static bool play(const char *config, const char *capture, struct played *p)
{
	const struct replay_options o = {
		.config = config, .read = capture, .record = take, .ctx = p};
	if (replay_run(&o) != EXIT_DONE)
		return false;
	if (p->count)
		qsort(p->item, p->count, sizeof *p->item, by_flow_and_order);
	return true;
}

/* The first decision of a flow of one with the first of the same flow of the other, and so on: a
 * flow may come again. One that has no other is left. */
static void pair(struct trial *t, const struct played *old, const struct played *new)
{
	for (size_t i = 0, k = 0; i < old->count && k < new->count;) {
		int order = by_flow(&old->item[i], &new->item[k]);
		if (order == 0)
			try_pair(t, &old->item[i], &new->item[k]);
		i += order <= 0;
		k += order >= 0;
	}
}

bool try_capture(struct trial *t, const char *capture, const char *old, const char *new)
{
	struct played played[2] = {{0}};
	bool good = play(old, capture, &played[0]) && play(new, capture, &played[1]);
	if (good)
		pair(t, &played[0], &played[1]);
	free(played[0].item);
	free(played[1].item);
	return good;
}
