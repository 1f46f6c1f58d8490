#include "ctl/probe.h"

#include "ctl/ctl.h"

#include <string.h>

#define NOWHERE   "denied.tiergate-probe.invalid" /* on no list */
#define TRIES_MAX 40                              /* names that are asked about */

struct search {
	const char *tier, *action; /* "allow" or "deny" */
	char *out;                 /* HOST_MAX + 1 */
	unsigned tries;
	bool away, observed;
};

/* Takes a name that the policy in force answers as wanted, with the evidence that a hello alone
 * gives. */
static bool try_name(struct search *s, const char *name)
{
	int status;
	if (*s->out || s->away || s->tries++ >= TRIES_MAX)
		return true;
	json_t *why = ctl_ask("why",
			      json_pack("{s:s, s:s, s:s, s:s}", "tier", s->tier, "to", name, "port",
					"tcp/443", "evidence", "sni"),
			      &status);
	s->away = !why && status == EXIT_CANNOT;
	s->observed |= strcmp(ctl_text(why, "mode"), "observe") == 0;
	if (why && strcmp(ctl_text(why, "action"), s->action) == 0)
		strcpy(s->out, name);
	json_decref(why);
	return *s->out;
}

static bool is_name(const char *text)
{
	struct site_entry e;
	return entry_parse(text, &e) && (e.kind == SITE_TREE || e.kind == SITE_EXACT) &&
	       e.host.len == strlen(text) && memcmp(e.host.text, text, e.host.len) == 0;
}

static void try_expects(struct search *s, const struct config *c)
{
	bool allow = strcmp(s->action, "allow") == 0;
	for (size_t i = 0; i < c->expect_count; i++) {
		const struct config_expect *e = &c->expects[i];
		if (e->tier && strcmp(e->tier, s->tier) == 0 && is_name(e->to) &&
		    (e->outcome == ACTION_ALLOW) == allow)
			try_name(s, e->to);
	}
}

static void try_site(struct search *s, const struct config_site *site)
{
	char name[HOST_MAX + 1];
	unsigned tried = 0;
	for (size_t l = 0; l < site->count; l++)
		for (size_t i = 0; i < site->list[l].count && tried < 3; i++) {
			const struct site_entry *e = site->list[l].item[i];
			if (e->shared || (e->kind != SITE_TREE && e->kind != SITE_EXACT))
				continue;
			memcpy(name, e->host.text, e->host.len);
			name[e->host.len] = '\0';
			tried++;
			try_name(s, name);
		}
}

static bool has(const struct strings *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->item[i], text) == 0 || strcmp(list->item[i], "*") == 0)
			return true;
	return false;
}

/* The sites of the tier's own lines, then those of all: it may include other tiers. */
static void try_lines(struct search *s, const struct config *c, const struct config_line *lines,
		      size_t count)
{
	for (int own = 1; own >= 0; own--)
		for (size_t l = 0; l < count; l++)
			for (size_t i = 0; i < c->site_count && !*s->out; i++)
				if (has(&lines[l].tiers, s->tier) == own &&
				    has(&lines[l].sites, c->sites[i].name))
					try_site(s, &c->sites[i]);
}

bool probe_names(const struct config *c, const char *tier, struct probe_names *out)
{
	*out = (struct probe_names){0};
	struct search allowed = {.tier = tier, .action = "allow", .out = out->allowed},
		      denied = {.tier = tier, .action = "deny", .out = out->denied};
	try_expects(&allowed, c);
	try_lines(&allowed, c, c->allow, c->allow_count);
	try_expects(&denied, c);
	try_lines(&denied, c, c->deny, c->deny_count);
	denied.tries = 0;
	try_name(&denied, NOWHERE);
	out->observed = denied.observed;
	return !allowed.away && !denied.away;
}
