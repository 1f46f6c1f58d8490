#include "wiring/loaded.h"

#include "base/log.h"
#include "base/memstream.h"
#include "wiring/tool.h"

#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 1024, SHOWN = 8 };

/* One line of a listing after the other, without its newline. */
static bool next_line(const char **at, char out[static LINE_MAX_LEN])
{
	if (!**at)
		return false;
	size_t len = strcspn(*at, "\n");
	size_t copied = len < LINE_MAX_LEN - 1 ? len : LINE_MAX_LEN - 1;
	memcpy(out, *at, copied);
	out[copied] = '\0';
	*at += len + ((*at)[len] == '\n');
	return true;
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* A rule of a chain that is not ours, which leads to one that is. */
static bool is_jump(const char *line)
{
	return starts(line, "-A ") && !starts(line, "-A " RULES_PREFIX) &&
	       (strstr(line, " -j " RULES_PREFIX) || strstr(line, " -g " RULES_PREFIX));
}

static bool is_made(const char *line)
{
	return starts(line, ":" RULES_MADE " ");
}

static bool is_ours(const char *line)
{
	return starts(line, ":" RULES_PREFIX) || starts(line, "-A " RULES_PREFIX) || is_jump(line);
}

/* --- reading ------------------------------------------------------------------------------- */

static char *list(const char *const argv[], int *status, char **err)
{
	struct tool t;
	char *out = NULL;
	if (tool_run(&t, argv, NULL, false)) {
		*status = t.status;
		out = t.out;
		t.out = NULL;
		*err = t.err;
		t.err = NULL;
	}
	tool_deinit(&t);
	return out;
}

static void find_name(struct loaded *l, const char *text)
{
	char line[LINE_MAX_LEN], word[64];
	while (!l->named && next_line(&text, line))
		if (sscanf(line, ":%63s", word) == 1 || sscanf(line, " chain %63s", word) == 1)
			l->named = rules_name_parse(word, &l->name);
}

/* Keeps the last that says anything; err is taken over. */
static void complain(char **complaint, char *err)
{
	if (err && *err) {
		free(*complaint);
		*complaint = err;
	} else {
		free(err);
	}
}

static bool read_nft(struct loaded *l, char **complaint)
{
	int status = 127;
	char *err = NULL;
	const char *const argv[] = {"nft", "-s", "list", "table", "inet", RULES_TABLE, NULL};
	l->table = list(argv, &status, &err);
	l->nft = l->table && status == 0;
	bool ok = l->nft || (err && strstr(err, "No such file or directory"));
	if (ok)
		free(err);
	else
		complain(complaint, err);
	return ok;
}

static bool read_iptables(struct loaded *l, int i, char **complaint)
{
	int status = 127;
	char *err = NULL, line[LINE_MAX_LEN];
	const char *const argv[] = {i ? "ip6tables-save" : "iptables-save", NULL};
	l->save[i] = list(argv, &status, &err);
	if (!l->save[i] || status != 0) {
		complain(complaint, err);
		free(l->save[i]);
		l->save[i] = strdup("");
		return false;
	}
	free(err);
	for (const char *at = l->save[i]; next_line(&at, line);)
		l->iptables |= is_ours(line);
	return true;
}

/* What iptables-save kept quiet about. A kernel without nf_tables has nothing to be quiet about. */
static void read_set(struct loaded *l)
{
	if (ruleset_read(&l->set) < 0)
		ruleset_deinit(&l->set);
	for (int i = 0; i < 2; i++) {
		char line[LINE_MAX_LEN];
		size_t listed = 0, there = 0;
		for (const char *at = l->save[i]; next_line(&at, line);)
			listed += starts(line, ":" RULES_PREFIX);
		for (size_t n = 0; n < l->set.chains; n++)
			there += l->set.chain[n].ours &&
				 l->set.chain[n].family == (i ? NFPROTO_IPV6 : NFPROTO_IPV4);
		l->unlisted[i] = there > listed;
	}
	l->iptables |= l->set.iptables;
	if (!l->named && l->set.named) {
		l->named = true;
		l->name = l->set.name;
	}
}

bool loaded_read(struct loaded *l, struct errors *errors)
{
	char *complaint = NULL;
	*l = (struct loaded){0};
	bool nft = read_nft(l, &complaint), four = read_iptables(l, 0, &complaint);
	read_iptables(l, 1, &complaint);
	bool ok = (nft || four) && l->table && l->save[0] && l->save[1];
	if (ok) {
		find_name(l, l->table);
		find_name(l, l->save[0]);
		read_set(l);
	} else {
		const char *why = complaint ? complaint : "nft and iptables don't run";
		errors_add(errors, NULL, 0, "the kernel's rules can't be read: %.*s",
			   (int)strcspn(why, "\n"), why);
		loaded_deinit(l);
	}
	free(complaint);
	return ok;
}

void loaded_deinit(struct loaded *l)
{
	free(l->table);
	free(l->save[0]);
	free(l->save[1]);
	ruleset_deinit(&l->set);
	*l = (struct loaded){0};
}

/* --- replacing ----------------------------------------------------------------------------- */

/* The lines that take ours away from one table, but for the word that we made it where new rules
 * come. Chains are emptied before any is deleted, since they lead to one another. */
static void remove_from(FILE *to, const char *save, const char *table, bool replaced)
{
	char line[LINE_MAX_LEN];
	for (int pass = 0; pass < 3; pass++) {
		char current[32] = "";
		for (const char *at = save; next_line(&at, line);) {
			char *space = strchr(line, ' ');
			if (line[0] == '*')
				snprintf(current, sizeof current, "%.31s", line + 1);
			if (strcmp(current, table) != 0)
				continue;
			if (pass == 0 && is_jump(line))
				fprintf(to, "-D%s\n", line + 2);
			if (pass > 0 && starts(line, ":" RULES_PREFIX) && space &&
			    !(replaced && is_made(line)))
				fprintf(to, "-%c %.*s\n", pass == 1 ? 'F' : 'X',
					(int)(space - line - 1), line + 1);
		}
	}
}

static bool has_table(const char *text, const char *table)
{
	char line[LINE_MAX_LEN];
	while (next_line(&text, line))
		if (line[0] == '*' && strcmp(line + 1, table) == 0)
			return true;
	return false;
}

/* Tables that the new text does not have. */
static void remove_rest(FILE *to, const char *save, const char *text)
{
	char line[LINE_MAX_LEN], table[32] = "";
	bool open = false;
	for (const char *at = save; next_line(&at, line);) {
		if (line[0] == '*') {
			snprintf(table, sizeof table, "%.31s", line + 1);
			open = has_table(text, table);
		}
		if (open || !is_ours(line))
			continue;
		fprintf(to, "*%s\n", table);
		remove_from(to, save, table, *text);
		fputs("COMMIT\n", to);
		open = true;
	}
}

char *loaded_replace(const struct loaded *l, int family, const char *text)
{
	const char *save = l->save[family == 6];
	char line[LINE_MAX_LEN], *whole = NULL;
	size_t len = 0;
	FILE *to = memstream_open(&whole, &len);
	if (!to)
		return NULL;
	for (const char *at = text; next_line(&at, line);) {
		fprintf(to, "%s\n", line);
		if (line[0] == '*')
			remove_from(to, save, line + 1, true);
	}
	remove_rest(to, save, text);
	return fclose(to) == 0 ? whole : NULL;
}

/* nft's listing of a table: no more than base chains of iptables' own names, without a rule. */
static bool is_hollow(const char *listing)
{
	char line[LINE_MAX_LEN], name[32];
	while (next_line(&listing, line)) {
		bool chain = sscanf(line, "\tchain %31s {", name) == 1 &&
			     strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(name);
		bool type = starts(line, "\t\ttype ") && strstr(line, "policy accept;");
		if (*line && !starts(line, "table ") && !chain && !type &&
		    strcmp(line, "\t}") != 0 && strcmp(line, "}") != 0)
			return false;
	}
	return true;
}

void loaded_tidy(const struct loaded *l, int family)
{
	uint8_t nf = family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	const char *name = family == 6 ? "ip6" : "ip";
	for (size_t i = 0; i < l->set.chains; i++) {
		const struct ruleset_chain *c = &l->set.chain[i];
		struct tool now, gone;
		if (c->family != nf || strcmp(c->name, RULES_MADE) != 0)
			continue;
		const char *const list[] = {"nft", "list", "table", name, c->table, NULL};
		const char *const drop[] = {"nft", "delete", "table", name, c->table, NULL};
		if (tool_run(&now, list, NULL, false) && now.status == 0 && is_hollow(now.out)) {
			if (!tool_run(&gone, drop, NULL, false))
				log_warn("%s %s is left, empty: nft could not be run", name,
					 c->table);
			tool_deinit(&gone);
		}
		tool_deinit(&now);
	}
}

/* --- comparing ----------------------------------------------------------------------------- */

/* Where the lines from this one on stand: the table of iptables, the chain of nft. */
static void see_place(const char *line, char place[static 32])
{
	if (line[0] == '*')
		snprintf(place, 32, "%.31s", line + 1);
	else
		sscanf(line, "\tchain %31s", place);
}

/* Which interfaces a flowtable has is another namespace's matter in what is expected. */
static bool is_devices(const char *line)
{
	return strncmp(line + strspn(line, "\t "), "devices = ", 10) == 0;
}

/* Whether a listing has the line at that place. */
static bool has_line(const char *listing, const char *where, const char *wanted)
{
	char line[LINE_MAX_LEN], place[32] = "";
	while (next_line(&listing, line)) {
		see_place(line, place);
		if (strcmp(place, where) == 0 && strcmp(line, wanted) == 0)
			return true;
	}
	return false;
}

/* Lines of one listing that the other has not. */
static void differences(const char *one, const char *other, bool nft, const char *what,
			struct errors *errors)
{
	char line[LINE_MAX_LEN], place[32] = "";
	unsigned shown = 0;
	while (next_line(&one, line)) {
		see_place(line, place);
		if ((!nft && !is_ours(line)) || is_made(line) || is_devices(line) ||
		    has_line(other, place, line))
			continue;
		const char *text = line + strspn(line, "\t ");
		if (shown++ < SHOWN)
			errors_add(errors, NULL, 0, "%s: %s%s%s", what, place, *place ? ": " : "",
				   text);
	}
	if (shown > SHOWN)
		errors_add(errors, NULL, 0, "%s: %u more rules", what, shown - SHOWN);
}

/* Our lines in the order of the listing; they must be the same text. */
static char *only_ours(const char *listing, bool nft)
{
	char line[LINE_MAX_LEN], *text = NULL;
	size_t len = 0;
	FILE *f = memstream_open(&text, &len);
	if (!f)
		return NULL;
	while (next_line(&listing, line))
		if (nft ? !is_devices(line) : is_ours(line) && !is_made(line))
			fprintf(f, "%s\n", line);
	return fclose(f) == 0 ? text : NULL;
}

void loaded_compare(const struct loaded *l, int family, const char *expected, struct errors *errors)
{
	const char *have = l->nft ? l->table : l->save[family == 6];
	size_t before = errors->count;
	differences(expected, have, l->nft, "missing from the kernel", errors);
	differences(have, expected, l->nft, "not ours, but among our rules", errors);
	char *ours = only_ours(have, l->nft), *theirs = only_ours(expected, l->nft);
	if (errors->count == before && ours && theirs && strcmp(ours, theirs) != 0)
		errors_add(errors, NULL, 0, "our rules are not in their order");
	free(ours);
	free(theirs);
}

/* --- order --------------------------------------------------------------------------------- */

static void check_family(const char *save, const char *tool, struct errors *errors)
{
	char line[LINE_MAX_LEN], table[32] = "", chain[32] = "", last[64] = "";
	bool other = false, ours = false;
	for (const char *at = save; next_line(&at, line);) {
		char where[64], name[32];
		if (line[0] == '*')
			snprintf(table, sizeof table, "%.31s", line + 1);
		if (sscanf(line, "-A %31s", name) != 1 || starts(name, RULES_PREFIX))
			continue;
		snprintf(where, sizeof where, "%s %s", table, name);
		if (strcmp(where, last) != 0)
			other = ours = false;
		snprintf(last, sizeof last, "%s", where);
		snprintf(chain, sizeof chain, "%s", name);
		bool first = rules_jump_first(table, chain);
		if (first && other && is_jump(line))
			errors_add(errors, NULL, 0,
				   "%s: in table %s a rule stands before ours in %s; ours must be "
				   "first",
				   tool, table, chain);
		if (!first && ours && !is_jump(line))
			errors_add(errors, NULL, 0,
				   "%s: in table %s a rule stands after ours in %s; ours must be "
				   "last",
				   tool, table, chain);
		ours |= is_jump(line);
		other |= !is_jump(line);
	}
}

void loaded_check_order(const struct loaded *l, struct errors *errors)
{
	if (!l->iptables)
		return;
	check_family(l->save[0], "iptables", errors);
	check_family(l->save[1], "ip6tables", errors);
}
