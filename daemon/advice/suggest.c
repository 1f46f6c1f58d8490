#include "advice/suggest.h"

#include "advice/known.h"
#include "advice/learn.h"
#include "base/array.h"
#include "base/clock.h"
#include "config/value.h"
#include "policy/decide.h"

#include <ctype.h>
#include <libpsl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS 4096
#define SLOTS  65536 /* of nodes, and of groups; a power of two */
#define PORTS  16
#define USERS  8
#define HOSTS  4

/* What a host is of, whoever asks for it. */
struct node {
	const struct config_site *site; /* of the policy */
	const struct site_list *list;
	const char *is;
	char *name; /* the list's path, the entry, or the site's name */
	char site_name[SITE_MAX];
};

struct group {
	uint32_t node;
	char tier[TIER_MAX];
	uint64_t flows, evidence[EVIDENCE_COUNT];
	int64_t first, last;
	struct config_port ports[PORTS];
	size_t port_count;
	char *users[USERS], *hosts[HOSTS];
	bool more_users, more_hosts;
	bool merged; /* it is told with what it always comes with */
	json_t *learned;
};

struct suggest {
	const struct policy *p;
	const psl_ctx_t *suffixes;
	struct known *known;
	struct learn *learn;
	struct node *nodes;
	size_t node_count;
	struct group *groups;
	size_t group_count;
	uint32_t *node_slots, *group_slots; /* number + 1; 0: free */
	struct suggest_counts counts;
};

static uint32_t hash_text(uint32_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return (h ^ 0xff) * 16777619u;
}

struct suggest *suggest_new(const struct policy *p, const struct site_list *lists, size_t count)
{
	struct suggest *s = must(calloc(1, sizeof *s));
	s->p = p;
	s->suffixes = psl_builtin();
	s->known = known_new(p->config, lists, count);
	s->learn = learn_new();
	s->nodes = must(calloc(LEARN_NODES, sizeof *s->nodes));
	s->groups = must(calloc(GROUPS, sizeof *s->groups));
	s->node_slots = must(calloc(SLOTS, sizeof *s->node_slots));
	s->group_slots = must(calloc(SLOTS, sizeof *s->group_slots));
	return s;
}

void suggest_free(struct suggest *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->node_count; i++)
		free(s->nodes[i].name);
	for (size_t i = 0; i < s->group_count; i++) {
		for (size_t k = 0; k < USERS; k++)
			free(s->groups[i].users[k]);
		for (size_t k = 0; k < HOSTS; k++)
			free(s->groups[i].hosts[k]);
		json_decref(s->groups[i].learned);
	}
	known_free(s->known);
	learn_free(s->learn);
	free(s->nodes);
	free(s->groups);
	free(s->node_slots);
	free(s->group_slots);
	free(s);
}

/* ---- nodes ---- */

/* What a record's destination is of; its name is the caller's buffer. */
static struct node node_of(const struct suggest *s, const struct decision *d, char *text)
{
	struct node n = {.is = "address", .name = text};
	if (!d->host.len) {
		address_format(&d->server, text);
	} else if (known_host(s->known, &d->host, &n.site, &n.list)) {
		n.is = n.list ? "list" : "site";
		n.name = n.list ? n.list->file : n.site->name;
	} else {
		const char *domain = psl_registrable_domain(s->suffixes, d->host.text);
		n.is = domain ? "domain" : "name";
		sprintf(text, "%s%s", domain ? "" : "=", domain ? domain : d->host.text);
	}
	return n;
}

static uint32_t node_number(struct suggest *s, const struct decision *d)
{
	char text[HOST_MAX + ADDRESS_TEXT];
	struct node n = node_of(s, d, text);
	uint32_t *slot;
	for (uint32_t h = hash_text(hash_text(2166136261u, n.is), n.name);; h++) {
		slot = &s->node_slots[h % SLOTS];
		if (!*slot)
			break;
		const struct node *have = &s->nodes[*slot - 1];
		if (strcmp(have->is, n.is) == 0 && strcmp(have->name, n.name) == 0)
			return *slot - 1;
	}
	if (s->node_count == LEARN_NODES)
		return LEARN_NONE;
	n.name = must(strdup(n.name));
	s->nodes[s->node_count++] = n;
	*slot = (uint32_t)s->node_count;
	return *slot - 1;
}

/* ---- groups ---- */

static struct group *group_of(struct suggest *s, uint32_t node, const char *tier)
{
	uint32_t *slot;
	for (uint32_t h = hash_text(node * 2654435761u, tier);; h++) {
		slot = &s->group_slots[h % SLOTS];
		if (!*slot)
			break;
		struct group *have = &s->groups[*slot - 1];
		if (have->node == node && strcmp(have->tier, tier) == 0)
			return have;
	}
	if (s->group_count == GROUPS)
		return NULL;
	struct group *g = &s->groups[s->group_count++];
	*slot = (uint32_t)s->group_count;
	g->node = node;
	strcpy(g->tier, tier);
	return g;
}

static bool take_port(struct group *g, uint8_t transport, uint16_t port)
{
	for (size_t i = 0; i < g->port_count; i++)
		if (g->ports[i].transport == transport && g->ports[i].first == port)
			return true;
	if (g->port_count == PORTS)
		return false;
	g->ports[g->port_count++] = (struct config_port){transport, port, port};
	return true;
}

/* Keeps the first texts; *more says that there were others. */
static void take_text(char **texts, size_t room, const char *text, bool *more)
{
	size_t i = 0;
	while (i < room && texts[i] && strcmp(texts[i], text) != 0)
		i++;
	if (i == room)
		*more = true;
	else if (!texts[i])
		texts[i] = must(strdup(text));
}

static void count_denial(struct suggest *s, const struct decision *d, uint32_t node, uint64_t flows)
{
	bool port = d->transport == IPPROTO_TCP || d->transport == IPPROTO_UDP;
	struct group *g = node != LEARN_NONE && port ? group_of(s, node, d->tier) : NULL;
	if (!g || !take_port(g, d->transport, d->server_port)) {
		s->counts.beyond += flows;
		return;
	}
	if (!g->flows || d->time < g->first)
		g->first = d->time;
	if (!g->flows || d->time > g->last)
		g->last = d->time;
	g->flows += flows;
	g->evidence[d->host.len ? d->evidence : EVIDENCE_ADDRESS] += flows;
	if (d->user[0])
		take_text(g->users, USERS, d->user, &g->more_users);
	if (d->host.len)
		take_text(g->hosts, HOSTS, d->host.text, &g->more_hosts);
	s->counts.grouped += flows;
}

/* What the policy of today says of the flow, were its name known as well as can be. */
static struct outcome today(const struct suggest *s, const struct decision *d)
{
	const struct facts f = {.client = d->client,
				.server = d->server,
				.port = d->server_port,
				.transport = d->transport,
				.tier = d->tier,
				.host = d->host.len ? &d->host : NULL,
				.evidence = d->host.len ? EVIDENCE_SNI_DNS : EVIDENCE_ADDRESS};
	return decide(s->p->snapshot, &f, d->time);
}

static void denied(struct suggest *s, const struct decision *d, uint32_t node)
{
	uint64_t flows = d->kind == DECISION_REPEATED ? d->count : 1;
	enum reason was = d->observed ? d->would : d->reason;
	s->counts.denied += flows;
	if (!snapshot_has_tier(s->p->snapshot, d->tier)) {
		s->counts.nobody += flows;
		return;
	}
	struct outcome o = today(s, d);
	if (was != REASON_NO_LINE && was != REASON_DENY_LINE)
		s->counts.otherwise += flows;
	else if (o.action == ACTION_ALLOW)
		s->counts.allowed_now += flows;
	else if (o.reason == REASON_DENY_LINE)
		s->counts.deny_line += flows;
	else if (o.reason != REASON_NO_LINE && o.reason != REASON_NO_NAME)
		s->counts.otherwise += flows;
	else
		count_denial(s, d, node, flows);
}

void suggest_record(struct suggest *s, const struct decision *d, bool wanted)
{
	s->counts.records++;
	if (d->kind == DECISION_LOST)
		s->counts.lost += d->count;
	if (d->kind != DECISION_DECIDED && d->kind != DECISION_REPEATED)
		return;
	uint32_t node = node_number(s, d);
	if (node != LEARN_NONE && d->host.len && d->kind == DECISION_DECIDED)
		learn_seen(s->learn, &d->client, node, d->time);
	if (wanted && (d->observed ? d->would_deny : d->action == ACTION_DENY))
		denied(s, d, node);
}

/* ---- rows ---- */

/* What a node always comes with, at the end of the chain; itself where there is nothing. Only what
 * no list and no site tells of is learned. */
static uint32_t root_of(const struct suggest *s, uint32_t node)
{
	for (;;) {
		const char *is = s->nodes[node].is;
		uint32_t with = strcmp(is, "domain") == 0 || strcmp(is, "name") == 0
					? learn_companion(s->learn, node)
					: LEARN_NONE;
		if (with == LEARN_NONE)
			return node;
		node = with;
	}
}

static const struct group *find_group(const struct suggest *s, uint32_t node, const char *tier)
{
	for (size_t i = 0; i < s->group_count; i++)
		if (s->groups[i].node == node && strcmp(s->groups[i].tier, tier) == 0)
			return &s->groups[i];
	return NULL;
}

static void merge(struct suggest *s, struct group *to, struct group *from)
{
	size_t ports = to->port_count;
	for (size_t i = 0; i < from->port_count; i++)
		if (!take_port(to, from->ports[i].transport, from->ports[i].first)) {
			to->port_count = ports;
			return;
		}
	to->flows += from->flows;
	to->first = from->first < to->first ? from->first : to->first;
	to->last = from->last > to->last ? from->last : to->last;
	for (size_t i = 0; i < EVIDENCE_COUNT; i++)
		to->evidence[i] += from->evidence[i];
	for (size_t i = 0; i < USERS && from->users[i]; i++)
		take_text(to->users, USERS, from->users[i], &to->more_users);
	to->more_users |= from->more_users;
	if (!to->learned)
		to->learned = json_array();
	json_array_append_new(to->learned, json_string(s->nodes[from->node].name));
	from->merged = true;
}

static void merge_all(struct suggest *s)
{
	for (size_t i = 0; i < s->group_count; i++) {
		struct group *g = &s->groups[i];
		uint32_t root = root_of(s, g->node);
		struct group *to =
			root != g->node ? (struct group *)find_group(s, root, g->tier) : NULL;
		if (to)
			merge(s, to, g);
	}
}

static bool name_taken(const struct suggest *s, const char *name)
{
	for (size_t i = 0; i < s->p->config->site_count; i++)
		if (strcmp(s->p->config->sites[i].name, name) == 0)
			return true;
	for (size_t i = 0; i < s->node_count; i++)
		if (strcmp(s->nodes[i].site_name, name) == 0)
			return true;
	return false;
}

/* A name that no site has, of the list's file or of the entry; with room for "-learned". */
static const char *site_name(struct suggest *s, struct node *n)
{
	char base[SITE_MAX - 14], name[SITE_MAX];
	const char *slash = n->list ? strrchr(n->name, '/') : NULL;
	if (n->site)
		return n->site->name;
	if (n->site_name[0])
		return n->site_name;
	snprintf(base, sizeof base, "%s", slash ? slash + 1 : n->name + (n->name[0] == '='));
	if (n->list && strstr(base, ".sites"))
		*strstr(base, ".sites") = '\0';
	for (char *c = base; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '.' && *c != '_')
			*c = '-';
	snprintf(name, sizeof name, "%s", base);
	for (unsigned i = 2; name_taken(s, name); i++)
		snprintf(name, sizeof name, "%s-%u", base, i);
	return strcpy(n->site_name, name);
}

static void set_time(json_t *j, const char *key, int64_t time)
{
	char text[40] = "";
	struct buf b = BUF_OF(text);
	clock_format(&b, time);
	json_object_set_new(j, key, json_string(text));
}

static void set_texts(json_t *j, const char *key, char *const *texts, size_t room)
{
	json_t *list = json_array();
	for (size_t i = 0; i < room && texts[i]; i++)
		json_array_append_new(list, json_string(texts[i]));
	json_object_set_new(j, key, list);
}

/* Not where the default ports are more: they are what is meant by a site. */
static void set_ports(json_t *j, const struct group *g)
{
	json_t *list = json_array();
	bool other = false;
	for (size_t i = 0; i < g->port_count; i++) {
		char text[24] = "";
		struct buf b = BUF_OF(text);
		port_format(&g->ports[i], &b);
		json_array_append_new(list, json_string(text));
		other |= strcmp(text, "tcp/80") != 0 && strcmp(text, "tcp/443") != 0 &&
			 strcmp(text, "udp/443") != 0;
	}
	if (other)
		json_object_set_new(j, "ports", list);
	else
		json_decref(list);
}

static void set_evidence(json_t *j, const struct group *g)
{
	json_t *e = json_object();
	for (size_t i = EVIDENCE_COUNT; i-- > 0;)
		if (g->evidence[i])
			json_object_set_new(e, evidence_text((enum evidence)i),
					    json_integer((json_int_t)g->evidence[i]));
	json_object_set_new(j, "evidence", e);
}

static json_t *row_of(struct suggest *s, const struct group *g)
{
	struct node *n = &s->nodes[g->node];
	uint32_t root = root_of(s, g->node);
	json_t *j = json_pack("{ssssss}", "tier", g->tier, "site", site_name(s, n), "is", n->is);
	if (!n->site)
		json_object_set_new(j, "from", json_string(n->name));
	set_ports(j, g);
	json_object_set_new(j, "flows", json_integer((json_int_t)g->flows));
	set_texts(j, "users", g->users, USERS);
	json_object_set_new(j, "more_users", json_boolean(g->more_users));
	set_texts(j, "hosts", g->hosts, HOSTS);
	json_object_set_new(j, "more_hosts", json_boolean(g->more_hosts));
	set_evidence(j, g);
	set_time(j, "first", g->first);
	set_time(j, "last", g->last);
	if (g->learned)
		json_object_set(j, "learned", g->learned);
	if (root != g->node)
		json_object_set_new(j, "with", json_string(s->nodes[root].name));
	return j;
}

static int by_weight(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	if (x->flows != y->flows)
		return x->flows > y->flows ? -1 : 1;
	return x->node != y->node ? (x->node > y->node ? 1 : -1) : strcmp(x->tier, y->tier);
}

json_t *suggest_rows(struct suggest *s)
{
	json_t *rows = json_array();
	merge_all(s);
	qsort(s->groups, s->group_count, sizeof *s->groups, by_weight);
	for (size_t i = 0; i < s->group_count; i++)
		if (!s->groups[i].merged)
			json_array_append_new(rows, row_of(s, &s->groups[i]));
	return rows;
}

const struct suggest_counts *suggest_counted(const struct suggest *s)
{
	return &s->counts;
}
