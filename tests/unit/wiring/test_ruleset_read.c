/* nf_tables as the kernel tells it, read by netlink: what is ours, what it counted, whether it
 * stands where it must, and a number that changes with all that matters and with nothing else. */
#include "no_memory.h"
#include "netlink_kernel.h"
#include "unit.h"
#include "wiring/ruleset.h"

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

struct table {
	uint8_t family;
	const char *name;
	uint32_t flags;
};

struct chain {
	uint8_t family;
	const char *table, *name;
	uint32_t policy; /* 0: none */
};

/* An expression: its name, and some bytes of its data, or a chain that it leads to. */
struct rule {
	uint8_t family;
	const char *table, *chain;
	uint64_t handle, packets; /* packets: of a counter; UINT64_MAX: it has none */
	const char *expression, *data, *to;
};

struct element {
	const char *set, *data;
};

/* ---- the kernel's ---- */

static struct {
	uint32_t generation, moves; /* moves: so many times it is another one at the end */
	struct table tables[8];
	struct chain chains[16];
	struct rule rules[32];
	const char *sets[4];
	uint32_t set_flags[4];
	struct element elements[8];
	int error; /* of each dump of rules */
	bool wide; /* a dump of rules is not narrowed to a chain */
} nft;

struct message {
	char bytes[4096];
	struct nlmsghdr *m;
};

static void begin_message(struct message *out, uint16_t type, uint8_t family, uint32_t sequence)
{
	memset(out->bytes, 0, sizeof out->bytes);
	out->m = mnl_nlmsg_put_header(out->bytes);
	out->m->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	out->m->nlmsg_seq = sequence;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(out->m, sizeof *g);
	g->nfgen_family = family;
}

static void put(int fd, const struct message *out)
{
	kernel_put(fd, out->bytes, out->m->nlmsg_len);
}

static void tell_tables(int fd, uint32_t sequence)
{
	struct message o;
	for (const struct table *t = nft.tables; t->name; t++) {
		begin_message(&o, NFT_MSG_NEWTABLE, t->family, sequence);
		mnl_attr_put_strz(o.m, NFTA_TABLE_NAME, t->name);
		mnl_attr_put_u32(o.m, NFTA_TABLE_FLAGS, htonl(t->flags));
		put(fd, &o);
	}
}

static void tell_chains(int fd, uint32_t sequence)
{
	struct message o;
	for (const struct chain *c = nft.chains; c->name; c++) {
		begin_message(&o, NFT_MSG_NEWCHAIN, c->family, sequence);
		mnl_attr_put_strz(o.m, NFTA_CHAIN_TABLE, c->table);
		mnl_attr_put_strz(o.m, NFTA_CHAIN_NAME, c->name);
		if (c->policy)
			mnl_attr_put_u32(o.m, NFTA_CHAIN_POLICY, htonl(c->policy));
		put(fd, &o);
	}
}

static void put_expression(struct nlmsghdr *m, const char *name, const struct rule *r)
{
	struct nlattr *e = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
	mnl_attr_put_strz(m, NFTA_EXPR_NAME, name);
	struct nlattr *d = mnl_attr_nest_start(m, NFTA_EXPR_DATA);
	if (strcmp(name, "counter") == 0) {
		mnl_attr_put_u64(m, NFTA_COUNTER_BYTES, htobe64(99));
		mnl_attr_put_u64(m, NFTA_COUNTER_PACKETS, htobe64(r->packets));
	} else if (r->to) {
		struct nlattr *i = mnl_attr_nest_start(m, NFTA_IMMEDIATE_DATA);
		struct nlattr *v = mnl_attr_nest_start(m, NFTA_DATA_VERDICT);
		mnl_attr_put_strz(m, NFTA_VERDICT_CHAIN, r->to);
		mnl_attr_nest_end(m, v);
		mnl_attr_nest_end(m, i);
	} else {
		mnl_attr_put_strz(m, 1, r->data ? r->data : "");
	}
	mnl_attr_nest_end(m, d);
	mnl_attr_nest_end(m, e);
}

static void tell_rules(int fd, const struct nlmsghdr *question)
{
	struct message o;
	struct nlattr *a;
	const char *table = "", *chain = "";
	uint8_t family = ((struct nfgenmsg *)mnl_nlmsg_get_payload(question))->nfgen_family;
	mnl_attr_for_each(a, question, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_RULE_TABLE)
			table = mnl_attr_get_str(a);
		if (mnl_attr_get_type(a) == NFTA_RULE_CHAIN)
			chain = mnl_attr_get_str(a);
	}
	for (const struct rule *r = nft.rules; r->chain; r++) {
		if (r->family != family || strcmp(r->table, table) != 0 ||
		    (!nft.wide && strcmp(r->chain, chain) != 0))
			continue;
		begin_message(&o, NFT_MSG_NEWRULE, r->family, question->nlmsg_seq);
		mnl_attr_put_strz(o.m, NFTA_RULE_CHAIN, r->chain);
		mnl_attr_put_u64(o.m, NFTA_RULE_HANDLE, htobe64(r->handle));
		struct nlattr *list = mnl_attr_nest_start(o.m, NFTA_RULE_EXPRESSIONS);
		if (r->packets != UINT64_MAX)
			put_expression(o.m, "counter", r);
		if (r->expression || r->to)
			put_expression(o.m, r->to ? "immediate" : r->expression, r);
		mnl_attr_nest_end(o.m, list);
		put(fd, &o);
	}
}

static void tell_sets(int fd, uint32_t sequence)
{
	struct message o;
	for (int i = 0; nft.sets[i]; i++) {
		begin_message(&o, NFT_MSG_NEWSET, NFPROTO_INET, sequence);
		mnl_attr_put_strz(o.m, NFTA_SET_TABLE, RULES_TABLE);
		mnl_attr_put_strz(o.m, NFTA_SET_NAME, nft.sets[i]);
		mnl_attr_put_u32(o.m, NFTA_SET_FLAGS, htonl(nft.set_flags[i]));
		put(fd, &o);
	}
	begin_message(&o, NFT_MSG_NEWSET, NFPROTO_INET, sequence); /* another table's */
	mnl_attr_put_strz(o.m, NFTA_SET_TABLE, "other");
	mnl_attr_put_strz(o.m, NFTA_SET_NAME, "others");
	put(fd, &o);
}

static void tell_elements(int fd, const struct nlmsghdr *question)
{
	struct message o;
	struct nlattr *a;
	const char *set = "";
	mnl_attr_for_each(a, question, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(a) ==
								    NFTA_SET_ELEM_LIST_SET) set =
		mnl_attr_get_str(a);
	kernel_log("elements of %s\n", set);
	begin_message(&o, NFT_MSG_NEWSETELEM, NFPROTO_INET, question->nlmsg_seq);
	struct nlattr *list = mnl_attr_nest_start(o.m, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (const struct element *e = nft.elements; e->set; e++)
		if (strcmp(e->set, set) == 0)
			mnl_attr_put_strz(o.m, NFTA_LIST_ELEM, e->data);
	mnl_attr_nest_end(o.m, list);
	put(fd, &o);
}

static void tell_generation(int fd, uint32_t sequence)
{
	struct message o;
	static unsigned asked;
	if (asked++ % 2 && nft.moves) {
		nft.moves--;
		nft.generation++;
	}
	begin_message(&o, NFT_MSG_NEWGEN, 0, sequence);
	mnl_attr_put_u32(o.m, NFTA_GEN_ID, htonl(nft.generation));
	put(fd, &o);
	kernel_put_error(fd, sequence, 0);
}

static bool answer(int fd, const struct nlmsghdr *m)
{
	switch (m->nlmsg_type & 0xff) {
	case NFT_MSG_GETGEN: tell_generation(fd, m->nlmsg_seq); return true;
	case NFT_MSG_GETTABLE: tell_tables(fd, m->nlmsg_seq); break;
	case NFT_MSG_GETCHAIN: tell_chains(fd, m->nlmsg_seq); break;
	case NFT_MSG_GETRULE:
		if (nft.error) {
			kernel_put_error(fd, m->nlmsg_seq, nft.error);
			return true;
		}
		tell_rules(fd, m);
		break;
	case NFT_MSG_GETSET: tell_sets(fd, m->nlmsg_seq); break;
	case NFT_MSG_GETSETELEM: tell_elements(fd, m); break;
	default: fail_msg("asked for %x", m->nlmsg_type);
	}
	assert_true(m->nlmsg_flags & NLM_F_DUMP);
	kernel_put_done(fd, m->nlmsg_seq);
	return true;
}

/* ---- set up ---- */

#define NAME "TIERGATE-51-0123abcdffff0000"
#define NONE UINT64_MAX

static struct ruleset r;

static void add_rule(struct rule one)
{
	struct rule *at = nft.rules;
	while (at->chain)
		at++;
	*at = one;
}

static int begin(void **state)
{
	kernel_reset();
	kernel.on = answer;
	memset(&nft, 0, sizeof nft);
	nft.generation = 77;
	return 0;
}

static int end(void **state)
{
	ruleset_deinit(&r);
	kernel_reset();
	return 0;
}

static void be_nft(void)
{
	nft.tables[0] = (struct table){NFPROTO_INET, RULES_TABLE, 0};
	nft.tables[1] = (struct table){NFPROTO_INET, "other", NFT_TABLE_F_DORMANT};
	nft.chains[0] = (struct chain){NFPROTO_INET, RULES_TABLE, "from_inside", 0};
	nft.chains[1] = (struct chain){NFPROTO_INET, RULES_TABLE, NAME, 0};
	nft.chains[2] = (struct chain){NFPROTO_INET, "other", "from_inside", 0};
	add_rule((struct rule){NFPROTO_INET, RULES_TABLE, "from_inside", 5, 7, "cmp", "a", NULL});
	add_rule(
		(struct rule){NFPROTO_INET, RULES_TABLE, "from_inside", 6, NONE, "cmp", "b", NULL});
	add_rule((struct rule){NFPROTO_INET, "other", "from_inside", 9, 9, "cmp", "c", NULL});
	nft.sets[0] = "inside";
	nft.sets[1] = "filled by packets";
	nft.set_flags[1] = NFT_SET_TIMEOUT;
	nft.sets[2] = "evaluated";
	nft.set_flags[2] = NFT_SET_EVAL;
	nft.elements[0] = (struct element){"inside", "10.0.0.0/8"};
	nft.elements[1] = (struct element){"filled by packets", "x"};
}

/* iptables-nft's: a jump of ours in a chain that is built in, among others' rules. */
static void be_iptables(void)
{
	nft.tables[0] = (struct table){NFPROTO_IPV4, "filter", 0};
	nft.tables[1] = (struct table){NFPROTO_IPV6, "mangle", 0};
	nft.tables[2] = (struct table){NFPROTO_IPV4, "somebodys", 0};
	nft.chains[0] = (struct chain){NFPROTO_IPV4, "filter", "FORWARD", NF_ACCEPT};
	nft.chains[1] = (struct chain){NFPROTO_IPV4, "filter", "TIERGATE-DENIED", 0};
	nft.chains[2] = (struct chain){NFPROTO_IPV4, "filter", "DOCKER-USER", 0};
	nft.chains[3] = (struct chain){NFPROTO_IPV6, "mangle", NAME, 0};
	nft.chains[4] = (struct chain){NFPROTO_IPV6, "mangle", RULES_MADE, 0};
	nft.chains[5] = (struct chain){NFPROTO_IPV4, "somebodys", "TIERGATE-X", 0};
	add_rule((struct rule){NFPROTO_IPV4, "filter", "FORWARD", 3, NONE, NULL, NULL,
			       "TIERGATE-FORWARD"});
	add_rule((struct rule){NFPROTO_IPV4, "filter", "FORWARD", 4, 8, NULL, NULL, "DOCKER-USER"});
	add_rule((struct rule){NFPROTO_IPV4, "filter", "TIERGATE-DENIED", 5, 9, "cmp", "a", NULL});
}

static uint64_t print_now(void)
{
	assert_int_equal(ruleset_read(&r), 0);
	uint64_t print = r.print;
	ruleset_deinit(&r);
	return print;
}

/* ---- the tests ---- */

static void what_is_ours_is_read(void **state)
{
	be_nft();
	assert_int_equal(ruleset_read(&r), 0);
	assert_int_equal(r.generation, 77);
	assert_true(r.nft && !r.iptables && r.named && !r.dormant && !r.misplaced);
	assert_int_equal(r.name.epoch, 5);
	assert_string_equal(r.name.policy, "ffff0000");
	assert_int_equal(r.chains, 2);
	const struct ruleset_chain *c = ruleset_chain(&r, NFPROTO_INET, RULES_TABLE, "from_inside");
	assert_non_null(c);
	assert_int_equal(c->rules, 2);
	assert_int_equal(r.rule[c->first].handle, 5);
	assert_int_equal(r.rule[c->first].packets, 7);
	assert_int_equal(r.rule[c->first + 1].handle, 6);
	assert_int_equal(r.rule[c->first + 1].packets, 0);
	assert_null(ruleset_chain(&r, NFPROTO_IPV4, RULES_TABLE, "from_inside"));
	assert_null(ruleset_chain(&r, NFPROTO_INET, "other", "from_inside"));
	assert_null(ruleset_chain(&r, NFPROTO_INET, RULES_TABLE, "from_insid"));
	assert_non_null(strstr(kernel.log, "elements of inside\n"));
	assert_null(strstr(kernel.log, "elements of filled"));
	assert_null(strstr(kernel.log, "elements of evaluated"));
	assert_null(strstr(kernel.log, "elements of others"));
	assert_false(kernel_is_open(kernel.last));
}

static void iptables_rules_are_told_from_others(void **state)
{
	be_iptables();
	assert_int_equal(ruleset_read(&r), 0);
	assert_true(!r.nft && r.iptables && r.named && !r.misplaced);
	assert_null(strstr(kernel.log, "elements"));
	assert_int_equal(r.chains, 4);
	const struct ruleset_chain *c = ruleset_chain(&r, NFPROTO_IPV4, "filter", "FORWARD");
	assert_non_null(c);
	assert_false(c->ours);
	assert_int_equal(c->rules, 1); /* our jump alone */
	assert_int_equal(r.rule[c->first].handle, 3);
	c = ruleset_chain(&r, NFPROTO_IPV4, "filter", "TIERGATE-DENIED");
	assert_true(c->ours);
	assert_int_equal(r.rule[c->first].packets, 9);
	assert_true(ruleset_has_table(&r, NFPROTO_IPV4, "filter"));
	assert_true(ruleset_has_table(&r, NFPROTO_IPV6, "mangle"));
	assert_false(ruleset_has_table(&r, NFPROTO_IPV6, "filter"));
	assert_false(ruleset_has_table(&r, NFPROTO_IPV4, "mangle"));
	assert_false(ruleset_has_table(&r, NFPROTO_IPV4, "raw"));
	assert_false(ruleset_has_table(&r, NFPROTO_IPV4, "somebodys"));
}

/* Ours are the first of a chain, but in mangle PREROUTING, where they are the last. */
static void rules_stand_where_they_must(void **state)
{
	static const struct {
		const char *table, *chain;
		const char *to[3]; /* where its rules lead, in order; "x": others' */
		bool misplaced;
	} of[] = {
		{"filter", "FORWARD", {"TIERGATE-A", "x"}, false},
		{"filter", "FORWARD", {"TIERGATE-A", "TIERGATE-B", "x"}, false},
		{"filter", "FORWARD", {"x", "TIERGATE-A"}, true},
		{"filter", "FORWARD", {"TIERGATE-A", "x", "TIERGATE-B"}, true},
		{"filter", "FORWARD", {"x", "x"}, false},
		{"mangle", "PREROUTING", {"x", "TIERGATE-A"}, false},
		{"mangle", "PREROUTING", {"x", "TIERGATE-A", "TIERGATE-B"}, false},
		{"mangle", "PREROUTING", {"TIERGATE-A", "x"}, true},
		{"mangle", "PREROUTING", {"x", "TIERGATE-A", "x"}, true},
		{"mangle", "POSTROUTING", {"x", "TIERGATE-A"}, true},
		{"nat", "PREROUTING", {"x", "TIERGATE-A"}, true},
	};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		memset(nft.rules, 0, sizeof nft.rules);
		nft.chains[0] = (struct chain){NFPROTO_IPV4, of[i].table, of[i].chain, 0};
		nft.chains[1] = (struct chain){NFPROTO_IPV4, of[i].table, "TIERGATE-A", 0};
		for (int n = 0; n < 3 && of[i].to[n]; n++)
			add_rule((struct rule){NFPROTO_IPV4, of[i].table, of[i].chain, 1, NONE,
					       NULL, NULL, of[i].to[n]});
		/* in a chain of our own there may be anything in any order */
		add_rule((struct rule){NFPROTO_IPV4, of[i].table, "TIERGATE-A", 1, NONE, "cmp", "x",
				       NULL});
		add_rule((struct rule){NFPROTO_IPV4, of[i].table, "TIERGATE-A", 1, NONE, NULL, NULL,
				       "TIERGATE-B"});
		assert_int_equal(ruleset_read(&r), 0);
		if (r.misplaced != of[i].misplaced)
			fail_msg("case %zu", i);
		ruleset_deinit(&r);
	}
}

/* Two chains at once: one's others are none of the next one's. */
static void each_chain_has_an_order_of_its_own(void **state)
{
	nft.chains[0] = (struct chain){NFPROTO_IPV4, "filter", "INPUT", 0};
	nft.chains[1] = (struct chain){NFPROTO_IPV4, "filter", "FORWARD", 0};
	add_rule((struct rule){NFPROTO_IPV4, "filter", "INPUT", 1, NONE, NULL, NULL, "x"});
	add_rule((struct rule){NFPROTO_IPV4, "filter", "FORWARD", 1, NONE, NULL, NULL,
			       "TIERGATE-A"});
	assert_int_equal(ruleset_read(&r), 0);
	assert_false(r.misplaced);
	nft.wide = true; /* a kernel that tells the whole table's rules each time */
	ruleset_deinit(&r);
	assert_int_equal(ruleset_read(&r), 0);
	assert_false(r.misplaced);
	assert_int_equal(r.rules, 1);
}

static void a_table_that_is_switched_off_is_seen(void **state)
{
	be_iptables();
	nft.tables[0].flags = NFT_TABLE_F_DORMANT;
	assert_int_equal(ruleset_read(&r), 0);
	assert_true(r.dormant);
	assert_int_equal(r.asleep[0], r.tables[0]);
	assert_int_equal(r.asleep[1], 0);
	ruleset_deinit(&r);
	nft.tables[0].flags = NFT_TABLE_F_DORMANT << 1;
	assert_int_equal(ruleset_read(&r), 0);
	assert_false(r.dormant);
	ruleset_deinit(&r);
	nft.tables[0] = (struct table){NFPROTO_IPV4, "nat", NFT_TABLE_F_DORMANT}; /* others' */
	assert_int_equal(ruleset_read(&r), 0);
	assert_false(r.dormant);
	ruleset_deinit(&r);
	memset(&nft, 0, sizeof nft);
	be_nft();
	nft.tables[0].flags = NFT_TABLE_F_DORMANT;
	assert_int_equal(ruleset_read(&r), 0);
	assert_true(r.dormant);
	assert_int_equal(r.asleep[0] + r.asleep[1], 0);
}

/* A change of any rule, chain or element is another number; counters and handles are none. */
static void the_print_changes_with_what_matters_alone(void **state)
{
	be_nft();
	uint64_t print = print_now();
	assert_int_equal(print_now(), print);
	nft.rules[0].packets = 8;
	nft.rules[1].handle = 66;
	nft.rules[2].data = "others'";
	nft.elements[1].data = "y";
	nft.chains[2].policy = NF_ACCEPT;
	assert_int_equal(print_now(), print);
	nft.rules[0].data = "z";
	assert_int_not_equal(print_now(), print);
	nft.rules[0].data = "a";
	nft.rules[0].expression = "bitwise";
	assert_int_not_equal(print_now(), print);
	nft.rules[0].expression = "last"; /* what remembers changes by itself */
	uint64_t remembers = print_now();
	nft.rules[0].data = "q";
	assert_int_equal(print_now(), remembers);
	nft.rules[0].expression = "cmp";
	nft.rules[0].data = "a";
	assert_int_equal(print_now(), print);
	struct rule first = nft.rules[0];
	nft.rules[0] = nft.rules[1]; /* the same in another order */
	nft.rules[1] = first;
	assert_int_not_equal(print_now(), print);
	nft.rules[1] = nft.rules[0];
	nft.rules[0] = first;
	assert_int_equal(print_now(), print);
	nft.chains[0].policy = NF_ACCEPT;
	assert_int_not_equal(print_now(), print);
	nft.chains[0].policy = 0;
	nft.elements[0].data = "10.0.0.0/9";
	assert_int_not_equal(print_now(), print);
	nft.elements[0].data = "10.0.0.0/8";
	nft.elements[1] = (struct element){"inside", "10.0.0.0/9"};
	assert_int_not_equal(print_now(), print);
	nft.elements[1] = (struct element){0};
	assert_int_equal(print_now(), print);
	nft.sets[0] = "another"; /* an element in another set */
	nft.elements[0].set = "another";
	assert_int_not_equal(print_now(), print);
}

static void the_print_of_iptables_is_of_what_is_ours(void **state)
{
	be_iptables();
	uint64_t print = print_now();
	nft.rules[1].to = "ANOTHER";
	nft.chains[0].policy = NF_STOLEN;
	nft.chains[4].name = "x"; /* the chain that says who made the table */
	assert_int_equal(print_now(), print);
	nft.rules[0].to = "TIERGATE-OTHER";
	assert_int_not_equal(print_now(), print);
	nft.rules[0].to = "TIERGATE-FORWARD";
	assert_int_equal(print_now(), print);
	nft.rules[2].table = "mangle"; /* the same chain and rule in another table */
	nft.chains[1].table = "mangle";
	assert_int_not_equal(print_now(), print);
	nft.rules[2].table = nft.chains[1].table = "filter";
	nft.rules[2].family = nft.chains[1].family = NFPROTO_IPV6;
	assert_int_not_equal(print_now(), print);
}

/* Read again where it changed meanwhile, a few times; then it is told. */
static void a_set_that_changes_meanwhile_is_read_again(void **state)
{
	be_nft();
	nft.moves = 3;
	assert_int_equal(ruleset_read(&r), 0);
	assert_int_equal(kernel.socket, 4); /* each time on a socket of its own */
	assert_int_equal(r.chains, 2);
	ruleset_deinit(&r);
	nft.moves = 4;
	assert_int_equal(ruleset_read(&r), -EINTR);
	assert_int_equal(kernel.socket, 8);
	nft.moves = 0;
	nft.error = ENOENT; /* a chain that went meanwhile */
	assert_int_equal(ruleset_read(&r), -ENOENT);
	assert_int_equal(kernel.socket, 12);
	nft.error = EPERM;
	assert_int_equal(ruleset_read(&r), -EPERM);
	assert_int_equal(kernel.socket, 13);
	assert_false(kernel_is_open(kernel.last));
}

static void what_cannot_be_asked_is_told(void **state)
{
	uint32_t generation = 0;
	assert_int_equal(ruleset_generation(&generation), 0);
	assert_int_equal(generation, 77);
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_send = EPERM;
	assert_int_equal(ruleset_generation(&generation), -EPERM);
	kernel.cannot_send = EPERM;
	assert_int_equal(ruleset_read(&r), -EPERM);
	kernel.cannot_bind = ENOMEM;
	assert_true(ruleset_read(&r) < 0);
	assert_true(ruleset_generation(&generation) < 0);
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_bind = 0;
	kernel.cannot_open = EMFILE;
	assert_int_equal(ruleset_read(&r), -EMFILE);
	assert_int_equal(ruleset_generation(&generation), -EMFILE);
}

static void without_memory_it_is_not_whole(void **state)
{
	bool failed = NO_MEMORY;
	be_nft();
	for (long n = 0; failed; n++) {
		no_memory_at(n);
		int error = ruleset_read(&r);
		failed = no_memory_failed;
		no_memory_end();
		assert_true(!failed || error < 0 || r.chains == 2);
		ruleset_deinit(&r);
	}
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(what_is_ours_is_read),
		WITH(iptables_rules_are_told_from_others),
		WITH(rules_stand_where_they_must),
		WITH(each_chain_has_an_order_of_its_own),
		WITH(a_table_that_is_switched_off_is_seen),
		WITH(the_print_changes_with_what_matters_alone),
		WITH(the_print_of_iptables_is_of_what_is_ours),
		WITH(a_set_that_changes_meanwhile_is_read_again),
		WITH(what_cannot_be_asked_is_told),
		WITH(without_memory_it_is_not_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
