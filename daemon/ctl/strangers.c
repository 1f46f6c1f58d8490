/* strangers: records that this policy and its users file know nothing of: of an earlier policy, or
 * of another host. */
#include "ctl/strangers.h"

#include "ctl/ctl.h"

#include "base/array.h"
#include "base/file.h"
#include "identity/users.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct names {
	char (*item)[USER_MAX];
	size_t count;
};

static void add(struct names *n, const char *name)
{
	n->item = array_grow(n->item, &n->count, sizeof *n->item);
	memcpy(n->item[n->count - 1], name, strnlen(name, USER_MAX - 1)); /* zeros are behind */
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool read_names(const char *path, struct names *n)
{
	struct users_line user;
	char *text;
	size_t len;
	if (file_read(path, USERS_FILE_MAX, &text, &len) < 0)
		return false;
	for (char *line = text, *end; line < text + len; line = end + 1) {
		end = memchr(line, '\n', (size_t)(text + len - line));
		end = end ? end : text + len;
		if (users_parse(line, (size_t)(end - line), &user) == PARSE_OK)
			add(n, user.name);
	}
	free(text);
	return true;
}

bool strangers_users(const struct people *p, const struct config *c, uint64_t *users,
		     uint64_t *records)
{
	struct names known = {0};
	const char *name;
	uint64_t of;
	*users = *records = 0;
	if (c->pseudonym_key_file || !read_names(c->users_file, &known))
		return false;
	for (size_t i = 0; i < c->host_count; i++)
		if (c->hosts[i].user)
			add(&known, c->hosts[i].user);
	if (known.count)
		qsort(known.item, known.count, sizeof *known.item, by_name);
	for (size_t i = 0; (name = people_at(p, i, &of)); i++) {
		bool voucher = strncmp(name, "voucher-", 8) == 0; /* of no file */
		if (voucher || (known.count && bsearch(name, known.item, known.count,
						       sizeof *known.item, by_name)))
			continue;
		++*users;
		*records += of;
	}
	free(known.item);
	return true;
}

void strangers_begin(struct strangers *s, const struct policy *p)
{
	*s = (struct strangers){.policy = p, .people = people_new()};
}

void strangers_record(struct strangers *s, const struct decision *d)
{
	const struct snapshot *of = s->policy->snapshot;
	if (d->kind != DECISION_DECIDED && d->kind != DECISION_REPEATED)
		return;
	s->other_policy += strcmp(d->policy, snapshot_digest(of)) != 0;
	s->unknown_tier += d->tier[0] && !snapshot_has_tier(of, d->tier);
	if (d->user[0])
		people_count(s->people, d->user);
}

#define STRANGER_LIST(X)                                                                           \
	X(other_policy, "records are of another policy: an earlier one, or another host's")        \
	X(unknown_tier, "records are of a tier that the policy lacks")                             \
	X(unknown_users, "users are in no users file now")                                         \
	X(of_unknown_users, "records are theirs")

void strangers_end(struct strangers *s, json_t *to)
{
	uint64_t unknown_users, of_unknown_users;
	strangers_users(s->people, s->policy->config, &unknown_users, &of_unknown_users);
	const uint64_t other_policy = s->other_policy, unknown_tier = s->unknown_tier;
#define X(member, words)                                                                           \
	if (to)                                                                                    \
		json_object_set_new(to, #member, json_integer((json_int_t)member));                \
	else if (member)                                                                           \
		printf("# %" PRIu64 " " words "\n", member);
	STRANGER_LIST(X)
#undef X
	people_free(s->people);
	s->people = NULL;
}
