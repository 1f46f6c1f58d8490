/* quota_words: a line's quota as an auditor reads it, for whom and where it counts. Two lines whose
 * words are alike count alike. */
#include "policy/compiled.h"

#include "config/value.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In whatever order they are written. */
static bool put_set(FILE *f, const char *before, const struct strings *s)
{
	char **sorted = calloc(s->count + 1, sizeof *sorted);
	if (!sorted)
		return false;
	for (size_t i = 0; i < s->count; i++)
		sorted[i] = s->item[i];
	qsort(sorted, s->count, sizeof *sorted, by_text);
	for (size_t i = 0; i < s->count; i++)
		fprintf(f, "%s%s", i ? ", " : before, sorted[i]);
	free(sorted);
	return true;
}

static int by_port(const void *a, const void *b)
{
	const struct config_port *x = a, *y = b;
	if (x->transport != y->transport)
		return x->transport - y->transport;
	return x->first != y->first ? x->first - y->first : x->last - y->last;
}

/* What a line without `ports` is for. */
static bool usual(const struct config_port *p, size_t count)
{
	return count == 3 && p[0].transport == IPPROTO_TCP && p[0].first == 80 && p[0].last == 80 &&
	       p[1].transport == IPPROTO_TCP && p[1].first == 443 && p[1].last == 443 &&
	       p[2].transport == IPPROTO_UDP && p[2].first == 443 && p[2].last == 443;
}

struct config_port *line_ports_sorted(const struct config_line *l)
{
	struct config_port *p = calloc(l->port_count + 1, sizeof *p);
	for (size_t i = 0; p && i < l->port_count; i++)
		p[i] = l->ports[i];
	if (p)
		qsort(p, l->port_count, sizeof *p, by_port);
	return p;
}

static bool put_ports(FILE *f, const struct config_line *l)
{
	struct config_port *p = line_ports_sorted(l);
	if (!p)
		return false;
	for (size_t i = 0; i < l->port_count && !usual(p, l->port_count); i++) {
		char text[48] = "";
		struct buf b = BUF_OF(text);
		port_format(&p[i], &b);
		fprintf(f, ", %s", text);
	}
	free(p);
	return true;
}

char *quota_words(const struct config_line *l)
{
	char *text = NULL, quota[160] = "";
	size_t size;
	struct buf b = BUF_OF(quota);
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	quota_format(&l->quota, &b);
	fputs(quota, f);
	bool good = put_set(f, ", ", &l->tiers) && put_set(f, " at ", &l->sites) &&
		    put_set(f, " but not ", &l->except) && put_ports(f, l);
	if (l->when)
		fprintf(f, ", when %s", l->when);
	good &= !ferror(f);
	if (fclose(f) == 0 && good)
		return text;
	free(text);
	return NULL;
}
