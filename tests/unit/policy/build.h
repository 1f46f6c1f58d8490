/* build: struct config by hand, from a few words a line. For tests and benches of policy/. */
#pragma once
#include "config/config.h"
#include "base/clock.h"
#include "policy/snapshot.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROW(array, count)                                                                         \
	(array = reallocarray(array, (count) + 1, sizeof *(array)), &(array)[(count)++])

static inline struct strings build_words(const char *text)
{
	struct strings s = {0};
	char *copy = strdup(text ? text : ""), *save = NULL;
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		*GROW(s.item, s.count) = strdup(w);
	free(copy);
	return s;
}

static inline void build_words_free(struct strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->item[i]);
	free(s->item);
}

static inline struct host build_host(const char *text)
{
	struct host h = {.len = (uint8_t)strlen(text)};
	strcpy(h.text, text);
	return h;
}

static inline struct address build_address(const char *text)
{
	struct address a = {0};
	if (!address_parse(text, &a))
		abort();
	return a;
}

static inline void build_tier(struct config *c, const char *name, const char *includes,
			      enum config_evidence evidence, enum config_mismatch mismatch)
{
	*GROW(c->tiers, c->tier_count) = (struct config_tier){
		.place = {"t.conf", 1},
		.name = strdup(name),
		.includes = build_words(includes),
		.evidence = evidence,
		.mismatch = mismatch,
	};
}

static inline struct site_entry build_entry(const char *word)
{
	struct site_entry e = {.kind = SITE_TREE, .shared = *word == '~'};
	word += e.shared;
	if (network_parse(word, &e.network)) {
		e.kind = SITE_NETWORK;
		return e;
	}
	if (*word == '=' || *word == '!')
		e.kind = *word++ == '=' ? SITE_EXACT : SITE_NOT_TREE;
	e.host = build_host(word);
	return e;
}

/* Entries as a .sites list has them; '|' begins another list of the same site. */
static inline void build_site(struct config *c, const char *name, const char *entries)
{
	struct config_site *s = GROW(c->sites, c->site_count);
	struct strings words = build_words(entries);
	*s = (struct config_site){.place = {"t.conf", 2}, .name = strdup(name)};
	*GROW(s->list, s->count) = (struct site_list){.file = strdup("t.sites")};
	for (size_t i = 0; i < words.count; i++) {
		if (strcmp(words.item[i], "|") == 0) {
			*GROW(s->list, s->count) = (struct site_list){.file = strdup("u.sites")};
			continue;
		}
		struct site_entry e = build_entry(words.item[i]);
		list_add(&s->list[s->count - 1], &e);
	}
	build_words_free(&words);
}

static inline void build_schedule(struct config *c, const char *name, unsigned days, unsigned from,
				  unsigned to, const char *zone)
{
	*GROW(c->schedules, c->schedule_count) = (struct config_schedule){
		.place = {"t.conf", 3},
		.name = strdup(name),
		.days = (uint8_t)days,
		.hours_count = 1,
		.hours = {{(uint16_t)from, (uint16_t)to}},
		.zone = strdup(zone),
	};
}

static inline struct config_port build_port(const char *word)
{
	unsigned first = 0, last = 0;
	char transport[8];
	int n = sscanf(word, "%7[a-z]/%u-%u", transport, &first, &last);
	return (struct config_port){strcmp(transport, "udp") ? IPPROTO_TCP : IPPROTO_UDP,
				    (uint16_t)first, (uint16_t)(n == 3 ? last : first)};
}

/* Lines get line numbers 101.. (allow) and 201.. (deny); the caller may change what it returns. */
static inline struct config_line *build_line(struct config *c, bool deny, const char *tiers,
					     const char *sites, const char *ports)
{
	struct config_line *l =
		deny ? GROW(c->deny, c->deny_count) : GROW(c->allow, c->allow_count);
	struct strings words = build_words(ports);
	*l = (struct config_line){
		.place = {"t.conf", deny ? 200 + (int)c->deny_count : 100 + (int)c->allow_count},
		.tiers = build_words(tiers),
		.sites = build_words(sites),
	};
	for (size_t i = 0; i < words.count; i++)
		*GROW(l->ports, l->port_count) = build_port(words.item[i]);
	build_words_free(&words);
	return l;
}

#define ALLOW false
#define DENY  true

static inline struct config_expect *build_expect(struct config *c, const char *tier, const char *to,
						 const char *at, enum action outcome)
{
	struct config_expect *e = GROW(c->expects, c->expect_count);
	*e = (struct config_expect){
		.place = {"t.conf", 300 + (int)c->expect_count},
		.tier = tier ? strdup(tier) : NULL,
		.to = strdup(to),
		.port = {IPPROTO_TCP, 443, 443},
		.evidence = EVIDENCE_COUNT,
		.at = at ? strdup(at) : NULL,
		.outcome = outcome,
	};
	return e;
}

static inline void build_network(struct networks *n, const char *text)
{
	if (!network_parse(text, GROW(n->item, n->count)))
		abort();
}

static inline void build_segment(struct config *c, const char *network, const char *tier)
{
	struct config_segment *s = GROW(c->segments, c->segment_count);
	*s = (struct config_segment){.place = {"t.conf", 4}, .tier = strdup(tier)};
	if (!network_parse(network, &s->network))
		abort();
}

static inline struct config_host *build_fixed(struct config *c, const char *user, const char *tier)
{
	struct config_host *h = GROW(c->hosts, c->host_count);
	*h = (struct config_host){
		.place = {"t.conf", 5}, .user = strdup(user), .tier = strdup(tier)};
	return h;
}

static inline void build_line_free(struct config_line *l)
{
	build_words_free(&l->tiers);
	build_words_free(&l->sites);
	build_words_free(&l->except);
	free(l->ports);
	free(l->when);
	free(l->owner);
	free(l->note);
}

static inline void build_free(struct config *c)
{
	for (size_t i = 0; i < c->tier_count; i++) {
		free(c->tiers[i].name);
		build_words_free(&c->tiers[i].includes);
	}
	for (size_t i = 0; i < c->site_count; i++) {
		free(c->sites[i].name);
		for (size_t l = 0; l < c->sites[i].count; l++) {
			free(c->sites[i].list[l].file);
			list_clear(&c->sites[i].list[l]);
		}
		free(c->sites[i].list);
	}
	for (size_t i = 0; i < c->schedule_count; i++) {
		free(c->schedules[i].name);
		free(c->schedules[i].zone);
		free(c->schedules[i].not_within);
		build_words_free(&c->schedules[i].except);
		free(c->schedules[i].dates.day);
		free(c->schedules[i].dates.time);
		free(c->schedules[i].except_dates.day);
		free(c->schedules[i].except_dates.time);
	}
	for (size_t i = 0; i < c->segment_count; i++)
		free(c->segments[i].tier);
	for (size_t i = 0; i < c->host_count; i++) {
		free(c->hosts[i].user);
		free(c->hosts[i].tier);
	}
	for (size_t i = 0; i < c->allow_count; i++)
		build_line_free(&c->allow[i]);
	for (size_t i = 0; i < c->deny_count; i++)
		build_line_free(&c->deny[i]);
	for (size_t i = 0; i < c->expect_count; i++) {
		free(c->expects[i].tier);
		free(c->expects[i].to);
		free(c->expects[i].at);
	}
	free(c->tiers);
	free(c->sites);
	free(c->schedules);
	free(c->segments);
	free(c->hosts);
	free(c->allow);
	free(c->deny);
	free(c->expects);
	free(c->internal.item);
	free(c->resolvers.item);
	*c = (struct config){0};
}

/* Compiles and frees the config; prints the errors and stops where there are any. */
static inline struct snapshot *build_snapshot(struct config *c)
{
	struct errors errors = {0};
	struct snapshot *s = snapshot_compile(c, &errors);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	build_free(c);
	if (!s)
		abort();
	return s;
}
