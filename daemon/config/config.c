#include "config/schema.h"

#include <stdlib.h>

static void strings_free(struct strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->item[i]);
	free(s->item);
}

/* `lists` and `hosts` of a site fill one member: whoever comes first frees it. */
static void lists_free(struct site_list **lists, size_t *count)
{
	for (size_t i = 0; i < *count; i++) {
		free((*lists)[i].file);
		list_clear(&(*lists)[i]);
	}
	free(*lists);
	*lists = NULL;
	*count = 0;
}

static void dates_free(struct config_dates *d)
{
	free(d->day);
	free(d->time);
	*d = (struct config_dates){0};
}

static void rows_free(const struct option *o, char *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		config_free_table(o->table, rows + i * o->table->size);
	free(rows);
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
		case OPTION_REF:
		case OPTION_USER:
		case OPTION_ZONE:
		case OPTION_WEEKTIME:
		case OPTION_DESTINATION:
		case OPTION_CALENDAR:
		case OPTION_PORTS: free(*(void **)member); break;
		case OPTION_NETWORKS: free(((struct networks *)member)->item); break;
		case OPTION_REFS:
		case OPTION_INTERFACES:
		case OPTION_FILES: strings_free(member); break;
		case OPTION_DATES: dates_free(member); break;
		case OPTION_EXCEPT:
			strings_free(member);
			dates_free(option_second(o, row));
			break;
		case OPTION_LISTS:
		case OPTION_HOSTS: lists_free(member, option_second(o, row)); break;
		case OPTION_GROUP: config_free_table(o->table, row); break;
		case OPTION_TABLE:
			rows_free(o, *(char **)member, *(size_t *)option_second(o, row));
			break;
		default: break;
		}
	}
}

void config_free(struct config *c)
{
	if (!c)
		return;
	config_free_table(&schema_main, c);
	errors_deinit(&c->notes);
	free(c->path);
	free(c->folder);
	free(c);
}
