#include "config/schema.h"

#include <stdlib.h>

static void strings_free(struct strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->item[i]);
	free(s->item);
}

static void lines_free(struct config_line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		strings_free(&lines[i].tiers);
		strings_free(&lines[i].sites);
		free(lines[i].ports);
		free(lines[i].when);
		free(lines[i].owner);
		free(lines[i].note);
	}
	free(lines);
}

static void sites_free(struct config_site *sites, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < sites[i].count; j++) {
			free(sites[i].list[j].file);
			free(sites[i].list[j].item);
		}
		free(sites[i].list);
		free(sites[i].name);
	}
	free(sites);
}

static void tables_free(struct config *c)
{
	for (size_t i = 0; i < c->tier_count; i++) {
		free(c->tiers[i].name);
		strings_free(&c->tiers[i].includes);
	}
	free(c->tiers);
	for (size_t i = 0; i < c->segment_count; i++)
		free(c->segments[i].tier);
	free(c->segments);
	for (size_t i = 0; i < c->host_count; i++) {
		free(c->hosts[i].user);
		free(c->hosts[i].tier);
	}
	free(c->hosts);
	for (size_t i = 0; i < c->schedule_count; i++) {
		free(c->schedules[i].name);
		free(c->schedules[i].zone);
	}
	free(c->schedules);
	sites_free(c->sites, c->site_count);
	lines_free(c->allow, c->allow_count);
	lines_free(c->deny, c->deny_count);
	for (size_t i = 0; i < c->expect_count; i++) {
		free(c->expects[i].tier);
		free(c->expects[i].to);
		free(c->expects[i].at);
	}
	free(c->expects);
}

void config_free(struct config *c)
{
	if (!c)
		return;
	tables_free(c);
	strings_free(&c->inside);
	free(c->internal.item);
	free(c->resolvers.item);
	free(c->log_file);
	free(c->pseudonym_key_file);
	free(c->users_file);
	free(c->control_socket);
	free(c->dnstap_socket);
	free(c->state_dir);
	free(c->runtime_dir);
	strings_free(&c->files);
	errors_deinit(&c->notes);
	free(c->path);
	free(c->folder);
	free(c);
}

void config_free_table(const struct table *t, void *row)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option *o = &t->options[i];
		void *member = option_member(o, row);
		switch (o->type) {
		case OPTION_PATH:
		case OPTION_TEXT:
		case OPTION_NAME:
		case OPTION_REF: free(*(char **)member); break;
		case OPTION_NETWORKS: free(((struct networks *)member)->item); break;
		case OPTION_TABLE:
			for (size_t k = 0; k < *(size_t *)option_second(o, row); k++)
				config_free_table(o->table, *(char **)member + k * o->table->size);
			free(*(char **)member);
			break;
		default: break;
		}
	}
}
