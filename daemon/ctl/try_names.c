#include "ctl/ctl.h"
#include "ctl/strangers.h"
#include "ctl/try.h"

#include "advice/meant.h"
#include "identity/users.h"

#include <stdio.h>
#include <string.h>

/* Of a tier or a site, by either policy. */
static void check_name(const char *kind, const char *name, name_fn *name_of,
		       const struct policy policy[2], const char *where)
{
	char meant[96] = "";
	struct buf b = BUF_OF(meant);
	if (!name[0] || meant_is_name(policy[0].snapshot, name_of, name) ||
	    meant_is_name(policy[1].snapshot, name_of, name))
		return;
	meant_name(policy[1].snapshot, name_of, name, &b);
	if (!meant[0])
		meant_name(policy[0].snapshot, name_of, name, &b);
	fprintf(stderr, "%s: warning: neither policy has a %s \"", where, kind);
	ctl_put(stderr, name);
	fprintf(stderr, "\"%s\n", meant);
}

static bool has_host_user(const struct config *c, const char *user)
{
	for (size_t i = 0; i < c->host_count; i++)
		if (c->hosts[i].user && strcmp(c->hosts[i].user, user) == 0)
			return true;
	return false;
}

/* Where names are hidden, or the users file can't be read, nobody is a stranger. */
static bool is_stranger(const char *user, const struct config *c)
{
	struct people *one = people_new();
	uint64_t users, records;
	people_count(one, user);
	strangers_users(one, c, &users, &records);
	people_free(one);
	return users > 0;
}

static bool has_records(const char *user, const struct people *p)
{
	uint64_t records;
	const char *name;
	for (size_t i = 0; (name = people_at(p, i, &records)); i++)
		if (strcmp(name, user) == 0)
			return true;
	return false;
}

static void check_user(const char *user, const struct policy policy[2], const struct people *p,
		       const char *where)
{
	char meant[USER_MAX];
	if (!user[0] || has_records(user, p) || has_host_user(policy[1].config, user) ||
	    !is_stranger(user, policy[0].config))
		return;
	fprintf(stderr, "%s: warning: no record and no users file has a user \"", where);
	ctl_put(stderr, user);
	fputc('"', stderr);
	if (users_meant(policy[0].config->users_file, user, meant))
		fprintf(stderr, "; did you mean \"%s\"?", meant);
	fputc('\n', stderr);
}

void try_allowed_warn(const char *path, const json_t *allowed, const struct policy policy[2],
		      const struct people *p)
{
	size_t i;
	json_t *one;
	json_array_foreach(allowed, i, one)
	{
		const json_t *of = json_object_get(one, "of");
		char where[256];
		if (json_object_get(one, "fits"))
			continue; /* so it names what there is */
		snprintf(where, sizeof where, "%.200s:%lld", path,
			 (long long)json_integer_value(json_object_get(one, "line")));
		check_name("tier", ctl_text(of, "tier"), snapshot_tier_name, policy, where);
		check_name("site", ctl_text(of, "site"), snapshot_site_name, policy, where);
		check_user(ctl_text(of, "user"), policy, p, where);
	}
}
