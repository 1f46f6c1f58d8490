#include "advice/people.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS (4 * PEOPLE_MAX) /* a power of two */

struct person {
	char name[USER_MAX];
	uint64_t records;
};

struct people {
	struct person item[PEOPLE_MAX];
	uint32_t slot[SLOTS]; /* number + 1; 0: free */
	size_t count;
};

struct people *people_new(void)
{
	return must(calloc(1, sizeof(struct people)));
}

void people_free(struct people *p)
{
	free(p);
}

static uint32_t hash_of(const char *text)
{
	uint32_t h = 2166136261u;
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return h;
}

void people_count(struct people *p, const char *user)
{
	uint32_t *slot;
	for (uint32_t h = hash_of(user);; h++) {
		slot = &p->slot[h % SLOTS];
		if (!*slot || strcmp(p->item[*slot - 1].name, user) == 0)
			break;
	}
	if (!*slot && p->count == PEOPLE_MAX)
		return;
	if (!*slot) {
		memcpy(p->item[p->count].name, user, strnlen(user, USER_MAX - 1));
		*slot = (uint32_t)++p->count;
	}
	p->item[*slot - 1].records++;
}

const char *people_at(const struct people *p, size_t i, uint64_t *records)
{
	if (i >= p->count)
		return NULL;
	*records = p->item[i].records;
	return p->item[i].name;
}
