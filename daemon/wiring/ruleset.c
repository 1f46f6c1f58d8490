#include "wiring/ruleset.h"

#include "base/netlink.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 1024, TRIES = 4, MANY = 1 << 20 };
#define HASH_BASIS UINT64_C(14695981039346656037)

static uint64_t hash(uint64_t h, const void *bytes, size_t len)
{
	for (const uint8_t *p = bytes; len--; p++)
		h = (h ^ *p) * UINT64_C(1099511628211);
	return h;
}

/* --- netlink ------------------------------------------------------------------------------- */

struct walk {
	struct ruleset *set;
	struct mnl_socket *socket;
	mnl_cb_t each;
	struct ruleset_chain *chain; /* the one whose rules come */
	uint64_t chain_print;
	unsigned others, jumps; /* in it, so far */
	const char *wanted;     /* a table's sets */
	char sets[64][64];
	size_t set_count;
	int error;
};

static void on_message(void *ctx, const struct netlink_message *m)
{
	struct walk *w = ctx;
	if (!w->error && cursor_left(&m->body) >= sizeof(struct nfgenmsg))
		w->each((const struct nlmsghdr *)(m->body.pos - sizeof(struct nlmsghdr)), w);
}

/* Asks for a dump (or one answer); names go into the attributes 1 and 2, as all of these have. */
static int ask(struct walk *w, uint16_t type, uint8_t family, const char *one, const char *two,
	       mnl_cb_t each)
{
	char bytes[MESSAGE_MAX];
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	bool dump = type != NFT_MSG_GETGEN;
	m->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	m->nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
	m->nlmsg_seq = 1;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(m, sizeof *g);
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	if (one)
		mnl_attr_put_strz(m, 1, one);
	if (two)
		mnl_attr_put_strz(m, 2, two);
	if (mnl_socket_sendto(w->socket, m, m->nlmsg_len) < 0)
		return -errno;
	w->each = each;
	int error = netlink_dump(mnl_socket_get_fd(w->socket), 1, on_message, w);
	return error ? error : w->error;
}

static const struct nlattr *attr_of(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *a;
	if (nest)
		mnl_attr_for_each_nested(a, nest)
		{
			if (mnl_attr_get_type(a) == type)
				return a;
		}
	return NULL;
}

static const struct nlattr *part_of(const struct nlmsghdr *m, uint16_t type)
{
	const struct nlattr *a;
	mnl_attr_for_each(a, m, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

/* "" where it is not there or no text. */
static const char *text_of(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(a) : "";
}

static uint64_t number_of(const struct nlattr *a)
{
	uint64_t value = 0;
	if (a && mnl_attr_get_payload_len(a) == sizeof value)
		memcpy(&value, mnl_attr_get_payload(a), sizeof value);
	return be64toh(value);
}

static uint32_t word_of(const struct nlattr *a)
{
	return a && mnl_attr_get_payload_len(a) == 4 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static uint8_t family_of(const struct nlmsghdr *m)
{
	return ((const struct nfgenmsg *)mnl_nlmsg_get_payload(m))->nfgen_family;
}

static bool make_room(void **array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	if (count < *room)
		return true;
	void *bigger = more > MANY ? NULL : reallocarray(*array, more, size);
	if (!bigger)
		return false;
	*array = bigger;
	*room = more;
	return true;
}

/* --- chains -------------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const list[])
{
	while (*list && strcmp(*list, word) != 0)
		list++;
	return *list;
}

static const char *const of_iptables[] = {"raw", "nat", "filter", "mangle", NULL};

static unsigned table_index(const char *table)
{
	unsigned i = 0;
	while (of_iptables[i] && strcmp(of_iptables[i], table) != 0)
		i++;
	return i;
}

static bool is_table(uint8_t family, const char *table)
{
	if (family == NFPROTO_INET)
		return strcmp(table, RULES_TABLE) == 0;
	return (family == NFPROTO_IPV4 || family == NFPROTO_IPV6) && is_one_of(table, of_iptables);
}

/* The kernel takes any bytes for a name; ours are words, and none else gets into commands. */
static bool is_ours(uint8_t family, const char *chain)
{
	static const char word[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	return family == NFPROTO_INET || (strncmp(chain, RULES_PREFIX, strlen(RULES_PREFIX)) == 0 &&
					  !chain[strspn(chain, word)]);
}

static int on_chain(const struct nlmsghdr *m, void *data)
{
	static const char *const built_in[] = {"PREROUTING", "INPUT",       "FORWARD",
					       "OUTPUT",     "POSTROUTING", NULL};
	static const uint16_t kept[] = {NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE};
	struct walk *w = data;
	struct ruleset *r = w->set;
	const char *table = text_of(part_of(m, NFTA_CHAIN_TABLE));
	const char *name = text_of(part_of(m, NFTA_CHAIN_NAME));
	uint8_t family = family_of(m);
	bool ours = is_ours(family, name);
	if (!is_table(family, table) || (!ours && !is_one_of(name, built_in)) ||
	    strlen(name) >= sizeof r->chain->name)
		return MNL_CB_OK;
	if (!make_room((void **)&r->chain, r->chains, &r->chain_room, sizeof *r->chain)) {
		w->error = -ENOMEM;
		return MNL_CB_STOP;
	}
	struct ruleset_chain *c = &r->chain[r->chains++];
	*c = (struct ruleset_chain){.family = family, .ours = ours};
	snprintf(c->table, sizeof c->table, "%.31s", table);
	snprintf(c->name, sizeof c->name, "%.31s", name);
	uint64_t print = hash(HASH_BASIS, c->name, strlen(c->name));
	for (size_t i = 0; ours && i < sizeof kept / sizeof *kept; i++) {
		const struct nlattr *a = part_of(m, kept[i]);
		if (a)
			print = hash(print, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
	}
	r->print += ours && strcmp(name, RULES_MADE) != 0 ? print : 0;
	r->nft |= family == NFPROTO_INET;
	r->iptables |= ours && family != NFPROTO_INET;
	r->named |= ours && rules_name_parse(name, &r->name);
	return MNL_CB_OK;
}

const struct ruleset_chain *ruleset_chain(const struct ruleset *r, uint8_t family,
					  const char *table, const char *name)
{
	for (size_t i = 0; i < r->chains; i++)
		if (r->chain[i].family == family && strcmp(r->chain[i].table, table) == 0 &&
		    strcmp(r->chain[i].name, name) == 0)
			return &r->chain[i];
	return NULL;
}

/* --- rules --------------------------------------------------------------------------------- */

struct seen_rule {
	uint64_t print, packets;
	const char *to; /* a chain, or "" */
};

/* What counts, or remembers, changes by itself. */
static void take_expression(const struct nlattr *e, struct seen_rule *out)
{
	static const char *const moving[] = {"counter", "last", "quota", "connlimit", NULL};
	const char *name = text_of(attr_of(e, NFTA_EXPR_NAME));
	const struct nlattr *data = attr_of(e, NFTA_EXPR_DATA);
	out->print = hash(out->print, name, strlen(name));
	if (strcmp(name, "counter") == 0)
		out->packets = number_of(attr_of(data, NFTA_COUNTER_PACKETS));
	if (strcmp(name, "immediate") == 0)
		out->to = text_of(
			attr_of(attr_of(attr_of(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT),
				NFTA_VERDICT_CHAIN));
	if (data && !is_one_of(name, moving))
		out->print = hash(out->print, mnl_attr_get_payload(data),
				  mnl_attr_get_payload_len(data));
}

static int on_rule(const struct nlmsghdr *m, void *data)
{
	struct walk *w = data;
	struct ruleset *r = w->set;
	struct seen_rule one = {.print = HASH_BASIS, .to = ""};
	const struct nlattr *e, *list = part_of(m, NFTA_RULE_EXPRESSIONS);
	if (strcmp(text_of(part_of(m, NFTA_RULE_CHAIN)), w->chain->name) != 0)
		return MNL_CB_OK; /* a kernel that does not narrow a dump */
	if (list)
		mnl_attr_for_each_nested(e, list) take_expression(e, &one);
	bool jump = !w->chain->ours && is_ours(NFPROTO_IPV4, one.to);
	bool first = rules_jump_first(w->chain->table, w->chain->name);
	if (!w->chain->ours) {
		r->misplaced |= (jump && first && w->others) || (!jump && !first && w->jumps);
		w->others += !jump;
		w->jumps += jump;
	}
	if (!w->chain->ours && !jump)
		return MNL_CB_OK;
	if (!make_room((void **)&r->rule, r->rules, &r->rule_room, sizeof *r->rule)) {
		w->error = -ENOMEM;
		return MNL_CB_STOP;
	}
	r->rule[r->rules++] =
		(struct ruleset_rule){number_of(part_of(m, NFTA_RULE_HANDLE)), one.packets};
	w->chain->rules++;
	w->chain_print = hash(w->chain_print, &one.print, sizeof one.print);
	return MNL_CB_OK;
}

static int read_rules(struct walk *w)
{
	int error = 0;
	for (size_t i = 0; i < w->set->chains && !error; i++) {
		struct ruleset_chain *c = w->chain = &w->set->chain[i];
		w->others = w->jumps = 0;
		w->chain_print = hash(HASH_BASIS, c->name, strlen(c->name));
		w->chain_print = hash(w->chain_print, c->table, strlen(c->table));
		w->chain_print = hash(w->chain_print, &c->family, 1);
		c->first = (unsigned)w->set->rules;
		error = ask(w, NFT_MSG_GETRULE, c->family, c->table, c->name, on_rule);
		if (c->rules)
			w->set->print += w->chain_print;
	}
	return error;
}

/* --- tables, sets, the generation ---------------------------------------------------------- */

static int on_table(const struct nlmsghdr *m, void *data)
{
	struct walk *w = data;
	const char *name = text_of(part_of(m, NFTA_TABLE_NAME));
	uint8_t family = family_of(m);
	bool ours = false;
	if (family != NFPROTO_INET && is_table(family, name))
		w->set->tables[family == NFPROTO_IPV6] |= 1U << table_index(name);
	for (size_t i = 0; i < w->set->chains; i++)
		ours |= w->set->chain[i].ours && w->set->chain[i].family == family &&
			strcmp(w->set->chain[i].table, name) == 0;
	bool off = ours && (word_of(part_of(m, NFTA_TABLE_FLAGS)) & NFT_TABLE_F_DORMANT);
	w->set->dormant |= off;
	if (off && family != NFPROTO_INET)
		w->set->asleep[family == NFPROTO_IPV6] |= 1U << table_index(name);
	return MNL_CB_OK;
}

/* Sets that packets fill are left out. */
static int on_set(const struct nlmsghdr *m, void *data)
{
	struct walk *w = data;
	uint32_t flags = word_of(part_of(m, NFTA_SET_FLAGS));
	const char *name = text_of(part_of(m, NFTA_SET_NAME));
	if (strcmp(text_of(part_of(m, NFTA_SET_TABLE)), RULES_TABLE) != 0 ||
	    flags & (NFT_SET_TIMEOUT | NFT_SET_EVAL) || strlen(name) >= sizeof w->sets[0] ||
	    w->set_count == sizeof w->sets / sizeof *w->sets)
		return MNL_CB_OK;
	strcpy(w->sets[w->set_count++], name);
	return MNL_CB_OK;
}

static int on_element(const struct nlmsghdr *m, void *data)
{
	struct walk *w = data;
	const struct nlattr *e, *list = part_of(m, NFTA_SET_ELEM_LIST_ELEMENTS);
	if (list)
		mnl_attr_for_each_nested(e, list) w->set->print +=
			hash(w->chain_print, mnl_attr_get_payload(e), mnl_attr_get_payload_len(e));
	return MNL_CB_OK;
}

static int read_sets(struct walk *w)
{
	int error = ask(w, NFT_MSG_GETSET, NFPROTO_INET, RULES_TABLE, NULL, on_set);
	for (size_t i = 0; i < w->set_count && !error; i++) {
		w->chain_print = hash(HASH_BASIS, w->sets[i], strlen(w->sets[i]));
		error = ask(w, NFT_MSG_GETSETELEM, NFPROTO_INET, RULES_TABLE, w->sets[i],
			    on_element);
	}
	return error;
}

static int on_generation(const struct nlmsghdr *m, void *data)
{
	struct walk *w = data;
	w->set->generation = word_of(part_of(m, NFTA_GEN_ID));
	return MNL_CB_OK;
}

static int read_once(struct mnl_socket *s, struct ruleset *r)
{
	struct walk w = {.set = r, .socket = s};
	int error = ask(&w, NFT_MSG_GETGEN, 0, NULL, NULL, on_generation);
	uint32_t before = r->generation;
	if (!error)
		error = ask(&w, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, NULL, NULL, on_chain);
	if (!error)
		error = ask(&w, NFT_MSG_GETTABLE, NFPROTO_UNSPEC, NULL, NULL, on_table);
	if (!error)
		error = read_rules(&w);
	if (!error && r->nft)
		error = read_sets(&w);
	if (!error)
		error = ask(&w, NFT_MSG_GETGEN, 0, NULL, NULL, on_generation);
	return error ? error : before != r->generation ? -EINTR : 0;
}

int ruleset_read(struct ruleset *r)
{
	int error = -EINTR;
	*r = (struct ruleset){0};
	for (int i = 0; i < TRIES && (error == -EINTR || error == -ENOENT); i++) {
		struct mnl_socket *s = netlink_open(
			NETLINK_NETFILTER, 0); /* what is left of a broken dump goes with it */
		if (!s)
			return -errno;
		ruleset_deinit(r);
		error = read_once(s, r);
		mnl_socket_close(s);
	}
	return error;
}

int ruleset_generation(uint32_t *generation)
{
	struct ruleset r = {0};
	struct walk w = {.set = &r, .socket = netlink_open(NETLINK_NETFILTER, 0)};
	if (!w.socket)
		return -errno;
	int error = ask(&w, NFT_MSG_GETGEN, 0, NULL, NULL, on_generation);
	mnl_socket_close(w.socket);
	*generation = r.generation;
	return error;
}

void ruleset_deinit(struct ruleset *r)
{
	free(r->chain);
	free(r->rule);
	*r = (struct ruleset){0};
}

/* --- the text ------------------------------------------------------------------------------ */

/* One rule of the text: the chain that it stands in, and what it counts. */
struct line {
	uint8_t family;
	char table[32], chain[32];
	const char *text;
	size_t len;
};

/* Where a chain's rules of ours start, as the text goes on. */
static bool next_rule(const char **at, struct line *l)
{
	char word[32];
	for (const char *line = *at; *line; line = *at) {
		l->text = line;
		l->len = strcspn(line, "\n");
		*at = line + l->len + (line[l->len] == '\n');
		if (line[0] == '*')
			snprintf(l->table, sizeof l->table, "%.*s", (int)l->len - 1, line + 1);
		else if (sscanf(line, "\tchain %31s {", word) == 1)
			snprintf(l->chain, sizeof l->chain, "%s", word);
		else if (sscanf(line, "-A %31s", word) == 1 || sscanf(line, "-I %31s", word) == 1)
			return snprintf(l->chain, sizeof l->chain, "%s", word) > 0;
		else if (strncmp(line, "\t}", 2) == 0)
			l->chain[0] = '\0';
		else if (strncmp(line, "\t\t", 2) == 0 && l->chain[0] &&
			 strncmp(line, "\t\ttype ", 7) != 0)
			return true;
	}
	return false;
}

static bool has(const struct line *l, const char *words)
{
	return memmem(l->text, l->len, words, strlen(words)) != NULL;
}

static enum ruleset_count counts_what(const struct line *l)
{
	bool nft = l->family == NFPROTO_INET;
	if (strcmp(l->chain, nft ? "sent" : RULES_PREFIX "SENT") == 0)
		return has(l, nft ? "counter " : "SENT -j ") ? RULESET_UNDECIDED : RULESET_COUNTS;
	if (strcmp(l->chain, nft ? "forward" : RULES_PREFIX "UNOPENED") == 0)
		return has(l, nft ? "ct state new" : "UNOPENED -j DROP") ? RULESET_UNOPENED
									 : RULESET_COUNTS;
	if (strcmp(l->chain, RULES_PREFIX "UNSEEN") == 0)
		return has(l, "UNSEEN -j DROP") ? RULESET_UNSEEN : RULESET_COUNTS;
	bool inside = strcmp(l->chain, nft ? "from_inside" : RULES_PREFIX "INSIDE") == 0;
	bool answers = strcmp(l->chain, nft ? "answers" : RULES_PREFIX "ANSWERS") == 0;
	if (!answers && has(l, nft ? "oif missing" : "rpfilter --invert"))
		return RULESET_REVERSE;
	if (!inside)
		return RULESET_COUNTS;
	if (has(l, nft ? "ct state invalid counter" : "--ctstate INVALID -j "))
		return RULESET_INVALID;
	if (has(l, nft ? "untracked counter" : "--ctstate UNTRACKED -j MARK"))
		return RULESET_UNTRACKED;
	return RULESET_COUNTS;
}

static void tell_count(const struct ruleset_chain *c, const struct line *l, unsigned wanted,
		       struct errors *faults)
{
	unsigned there = c ? c->rules : 0;
	if (faults && there != wanted)
		errors_add(faults, NULL, 0, "%s %s, chain %s: %u rules of ours where %u belong",
			   l->family == NFPROTO_INET   ? "inet"
			   : l->family == NFPROTO_IPV4 ? "ip"
						       : "ip6",
			   l->table, l->chain, there, wanted);
}

void ruleset_compare(const struct ruleset *r, uint8_t family, const char *text,
		     struct errors *faults, uint64_t counts[static RULESET_COUNTS])
{
	struct line l = {.family = family};
	/* how many rules of each chain there were so far */
	struct {
		struct line line;
		unsigned rules;
	} tally[64];
	size_t n = 0;
	if (family == NFPROTO_INET)
		strcpy(l.table, RULES_TABLE);
	while (next_rule(&text, &l)) {
		size_t i = 0;
		while (i < n && (strcmp(tally[i].line.chain, l.chain) != 0 ||
				 strcmp(tally[i].line.table, l.table) != 0))
			i++;
		if (i == sizeof tally / sizeof *tally)
			continue;
		if (i == n)
			tally[n++].rules = 0;
		const struct ruleset_chain *c = ruleset_chain(r, family, l.table, l.chain);
		enum ruleset_count what = counts_what(&l);
		tally[i].line = l;
		if (what < RULESET_COUNTS && c && tally[i].rules < c->rules)
			counts[what] += r->rule[c->first + tally[i].rules].packets;
		tally[i].rules++;
	}
	for (size_t i = 0; i < n; i++)
		tell_count(ruleset_chain(r, family, tally[i].line.table, tally[i].line.chain),
			   &tally[i].line, tally[i].rules, faults);
}

bool ruleset_has_table(const struct ruleset *r, uint8_t family, const char *table)
{
	return r->tables[family == NFPROTO_IPV6] >> table_index(table) & 1;
}

/* --- removal ------------------------------------------------------------------------------- */

void ruleset_wake(const struct ruleset *r, FILE *to)
{
	for (size_t i = 0; i < r->chains; i++) {
		const struct ruleset_chain *c = &r->chain[i];
		bool six = c->family == NFPROTO_IPV6;
		if (c->family != NFPROTO_INET && strcmp(c->name, RULES_MADE) == 0 &&
		    r->asleep[six] >> table_index(c->table) & 1)
			fprintf(to, "add table %s %s\n", six ? "ip6" : "ip", c->table);
	}
}

/* Whether a restore file makes the chain. */
static bool makes(const char *text, const struct ruleset_chain *c)
{
	char table[32] = "", word[32];
	for (; text && *text; text += strcspn(text, "\n"), text += *text == '\n')
		if (*text == '*')
			sscanf(text, "*%31s", table);
		else if (sscanf(text, ":%31s", word) == 1 && strcmp(word, c->name) == 0 &&
			 strcmp(table, c->table) == 0)
			return true;
	return false;
}

void ruleset_removal(const struct ruleset *r, uint8_t family, const char *text, FILE *to)
{
	static const char *const steps[] = {"flush", "delete"};
	const char *name = family == NFPROTO_IPV4 ? "ip" : "ip6";
	if (family == NFPROTO_INET) {
		if (r->nft)
			fputs("delete table inet " RULES_TABLE "\n", to);
		return;
	}
	for (size_t i = 0; i < r->chains; i++) {
		const struct ruleset_chain *c = &r->chain[i];
		for (unsigned n = 0; n < c->rules && !c->ours && c->family == family; n++)
			fprintf(to, "delete rule %s %s %s handle %lu\n", name, c->table, c->name,
				r->rule[c->first + n].handle);
	}
	for (int step = 0; step < 2; step++)
		for (size_t i = 0; i < r->chains; i++) {
			const struct ruleset_chain *c = &r->chain[i];
			if (c->ours && c->family == family && !makes(text, c))
				fprintf(to, "%s chain %s %s %s\n", steps[step], name, c->table,
					c->name);
		}
}
