/* The listings of nft and iptables, as the tools give them: what of them is ours, what takes it
 * away, and which of our tables are hollow. The tools are the test's. */
#include "no_memory.h"
#include "unit.h"
#include "wiring/loaded.h"
#include "wiring/tool.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "TIERGATE-51-0123abcdffff0000"

/* ---- the tools, and nf_tables ---- */

static struct answer {
	const char *command;
	int status; /* -1: it could not be run */
	const char *out, *err;
} answers[8];
static char ran[4096];

bool tool_run(struct tool *t, const char *const argv[], const char *input, bool scratch)
{
	char command[256] = "";
	for (const char *const *a = argv; *a; a++)
		snprintf(command + strlen(command), sizeof command - strlen(command), "%s%s",
			 a == argv ? "" : " ", *a);
	snprintf(ran + strlen(ran), sizeof ran - strlen(ran), "%s\n", command);
	assert_false(scratch);
	assert_null(input);
	*t = (struct tool){.status = 127};
	for (const struct answer *one = answers; one->command; one++)
		if (strcmp(one->command, command) == 0) {
			*t = (struct tool){one->status, strdup(one->out), strdup(one->err)};
			return one->status >= 0;
		}
	t->out = strdup("");
	t->err = strdup("");
	return true;
}

void tool_deinit(struct tool *t)
{
	free(t->out);
	free(t->err);
	*t = (struct tool){0};
}

static struct ruleset nft;
static int nft_error;

int ruleset_read(struct ruleset *r)
{
	*r = nft;
	return nft_error;
}

void ruleset_deinit(struct ruleset *r)
{
	*r = (struct ruleset){0};
}

/* ---- set up ---- */

static struct loaded l;
static struct errors errors;

static int begin(void **state)
{
	memset(answers, 0, sizeof answers);
	memset(&nft, 0, sizeof nft);
	nft_error = 0;
	ran[0] = '\0';
	return 0;
}

static int end(void **state)
{
	loaded_deinit(&l);
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	return 0;
}

#define NFT "nft -s list table inet tiergate"
#define ABSENT                                                                                     \
	{                                                                                          \
		NFT, 1, "", "Error: No such file or directory\n"                                   \
	}
#define LISTING "table inet tiergate {\n\tchain from_inside {\n\t}\n\tchain " NAME " {\n\t}\n}\n"

static void listings(const struct answer *a, size_t count)
{
	memcpy(answers, a, count * sizeof *a);
}

#define LISTINGS(...)                                                                              \
	do {                                                                                       \
		static const struct answer list_[] = {__VA_ARGS__};                                \
		listings(list_, sizeof list_ / sizeof *list_);                                     \
	} while (0)

static void says(const char *sentence)
{
	assert_false(loaded_read(&l, &errors));
	assert_int_equal(errors.count, 1);
	if (!strstr(errors.lines[0], sentence))
		fail_msg("said %s, not %s", errors.lines[0], sentence);
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	memset(answers, 0, sizeof answers);
	assert_null(l.table);
}

/* ---- reading ---- */

static void whose_rules_are_there_is_told_by_the_listings(void **state)
{
	LISTINGS({NFT, 0, LISTING, ""},
		 {"iptables-save", 0, "*filter\n:FORWARD ACCEPT [0:0]\n", ""},
		 {"ip6tables-save", 0, "", ""});
	assert_true(loaded_read(&l, &errors));
	assert_string_equal(ran, NFT "\niptables-save\nip6tables-save\n");
	assert_true(l.nft && !l.iptables && l.named);
	assert_int_equal(l.name.epoch, 5);
	assert_string_equal(l.table, LISTING);
	loaded_deinit(&l);
	LISTINGS(ABSENT, {"iptables-save", 0, "*mangle\n:" NAME " - [0:0]\n", ""},
		 {"ip6tables-save", 0, "*mangle\n", ""});
	assert_true(loaded_read(&l, &errors));
	assert_true(!l.nft && l.iptables && l.named);
	loaded_deinit(&l);
	/* of IPv6 alone: ours, but without a name */
	LISTINGS(ABSENT, {"iptables-save", 0, "", ""},
		 {"ip6tables-save", 0, "*mangle\n-A INPUT -j TIERGATE-DENIED\n", ""});
	assert_true(loaded_read(&l, &errors));
	assert_true(!l.nft && l.iptables && !l.named);
	loaded_deinit(&l);
	/* nothing at all */
	LISTINGS(ABSENT, {"iptables-save", 0, "", ""}, {"ip6tables-save", 0, "", ""});
	assert_true(loaded_read(&l, &errors));
	assert_true(!l.nft && !l.iptables && !l.named);
	assert_int_equal(errors.count, 0);
}

static void a_line_is_ours_by_its_chain_or_where_it_leads(void **state)
{
	static const struct {
		const char *line;
		bool ours;
	} of[] = {{":TIERGATE-X - [0:0]", true},
		  {"-A TIERGATE-X -j DROP", true},
		  {"-A FORWARD -j TIERGATE-X", true},
		  {"-A PREROUTING -i lan0 -g TIERGATE-X", true},
		  {"-A FORWARD -m comment --comment TIERGATE-X -j DROP", false},
		  {"-A FORWARD -j OTHER-TIERGATE-X", false},
		  {"-I FORWARD -j TIERGATE-X", false},
		  {":FORWARD ACCEPT [0:0]", false},
		  {"# TIERGATE-X", false}};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		memset(answers, 0, sizeof answers);
		answers[0] = (struct answer)ABSENT;
		answers[1] = (struct answer){"iptables-save", 0, of[i].line, ""};
		answers[2] = (struct answer){"ip6tables-save", 0, "", ""};
		assert_true(loaded_read(&l, &errors));
		if (l.iptables != of[i].ours)
			fail_msg("%s", of[i].line);
		loaded_deinit(&l);
	}
}

/* One of the tools is enough, and what none says is an error with their own words. */
static void one_tool_is_enough(void **state)
{
	LISTINGS({NFT, 0, LISTING, ""});
	assert_true(loaded_read(&l, &errors)); /* no iptables */
	assert_string_equal(l.save[0], "");
	loaded_deinit(&l);
	memset(answers, 0, sizeof answers);
	LISTINGS({"iptables-save", 0, "*filter\n", ""});
	assert_true(loaded_read(&l, &errors)); /* no nft */
	assert_string_equal(l.save[0], "*filter\n");
	assert_string_equal(l.save[1], "");
	assert_false(l.nft);
	loaded_deinit(&l);
	memset(answers, 0, sizeof answers);
	says("the kernel's rules can't be read: nft and iptables don't run");
	LISTINGS({NFT, 1, "", "Operation not permitted\nand more\n"});
	says("the kernel's rules can't be read: Operation not permitted");
	LISTINGS({NFT, 1, "", "x"}, {"ip6tables-save", 4, "", "Permission denied\nmore"});
	says("the kernel's rules can't be read: Permission denied");
	LISTINGS({NFT, -1, "", ""}, {"iptables-save", -1, "", ""}, {"ip6tables-save", -1, "", ""});
	says("the kernel's rules can't be read: nft and iptables don't run");
}

/* iptables gives up a table in which nft has put what it does not know: nf_tables knows more. */
static void what_a_listing_lacks_is_told(void **state)
{
	static struct ruleset_chain chains[] = {
		{.family = NFPROTO_IPV4, .table = "mangle", .name = "TIERGATE-A", .ours = true},
		{.family = NFPROTO_IPV4, .table = "mangle", .name = "TIERGATE-B", .ours = true},
		{.family = NFPROTO_IPV4, .table = "mangle", .name = "PREROUTING"},
		{.family = NFPROTO_IPV6, .table = "mangle", .name = "TIERGATE-A", .ours = true},
	};
	for (size_t count = 0; count <= 4; count++) {
		memset(answers, 0, sizeof answers);
		LISTINGS(ABSENT,
			 {"iptables-save", 0,
			  "*mangle\n:PREROUTING ACCEPT [0:0]\n:TIERGATE-A - "
			  "[0:0]\n-A TIERGATE-A -j DROP\n",
			  ""},
			 {"ip6tables-save", 0, "", ""});
		nft = (struct ruleset){.chain = chains, .chains = count};
		assert_true(loaded_read(&l, &errors));
		assert_int_equal(l.unlisted[0], count >= 2);
		assert_int_equal(l.unlisted[1], count >= 4);
		loaded_deinit(&l);
	}
	memset(answers, 0, sizeof answers);
	LISTINGS(ABSENT, {"iptables-save", 0, "", ""}, {"ip6tables-save", 0, "", ""});
	nft = (struct ruleset){.iptables = true, .named = true, .name = {.epoch = 3}};
	assert_true(loaded_read(&l, &errors));
	assert_true(l.iptables && l.named);
	assert_int_equal(l.name.epoch, 3);
	loaded_deinit(&l);
	nft_error = -EPERM; /* what was read is not whole */
	assert_true(loaded_read(&l, &errors));
	assert_false(l.iptables || l.named);
	nft_error = 0;
	loaded_deinit(&l);
	LISTINGS({NFT, 0, LISTING, ""}, {"iptables-save", 0, "", ""},
		 {"ip6tables-save", 0, "", ""});
	assert_true(loaded_read(&l, &errors));
	assert_int_equal(l.name.epoch, 5); /* the listing's own name counts first */
}

/* ---- replacing ---- */

static void replaced_by(const char *save, const char *text, const char *want)
{
	struct loaded one = {.save = {(char *)save, (char *)""}};
	char *whole = loaded_replace(&one, 4, text);
	if (strcmp(whole, want) != 0)
		fail_msg("is\n%sand was to be\n%s", whole, want);
	free(whole);
}

/* In one transaction a table, jumps first, chains emptied before any is deleted. */
static void what_is_ours_goes_and_the_new_comes(void **state)
{
	static const char save[] =
		"*mangle\n:PREROUTING ACCEPT [0:0]\n:TIERGATE-A - [0:0]\n:TIERGATE-B - [0:0]\n"
		":TIERGATE-MADE - [0:0]\n-A PREROUTING -j OTHER\n-A PREROUTING -j TIERGATE-A\n"
		"-A TIERGATE-A -g TIERGATE-B\nCOMMIT\n*nat\n:OTHER - [0:0]\nCOMMIT\n"
		"*raw\n-A OUTPUT -j TIERGATE-C\n:TIERGATE-C - [0:0]\n:TIERGATE-MADE - [0:0]\n";
	replaced_by(save, "*mangle\n:TIERGATE-A - [0:0]\n-A PREROUTING -j TIERGATE-A\nCOMMIT\n",
		    "*mangle\n-D PREROUTING -j TIERGATE-A\n-F TIERGATE-A\n-F TIERGATE-B\n"
		    "-X TIERGATE-A\n-X TIERGATE-B\n:TIERGATE-A - [0:0]\n"
		    "-A PREROUTING -j TIERGATE-A\nCOMMIT\n"
		    "*raw\n-D OUTPUT -j TIERGATE-C\n-F TIERGATE-C\n-X TIERGATE-C\nCOMMIT\n");
	replaced_by(save, "",
		    "*mangle\n-D PREROUTING -j TIERGATE-A\n-F TIERGATE-A\n-F TIERGATE-B\n"
		    "-F TIERGATE-MADE\n-X TIERGATE-A\n-X TIERGATE-B\n-X TIERGATE-MADE\nCOMMIT\n"
		    "*raw\n-D OUTPUT -j TIERGATE-C\n-F TIERGATE-C\n-F TIERGATE-MADE\n"
		    "-X TIERGATE-C\n-X TIERGATE-MADE\nCOMMIT\n");
	replaced_by("*nat\n:OTHER - [0:0]\n", "", "");
	replaced_by("", "*nat\nCOMMIT\n", "*nat\nCOMMIT\n");
}

/* ---- tidying ---- */

static void tidies(const char *listing, int status, const char *want)
{
	static struct ruleset_chain chains[] = {
		{.family = NFPROTO_IPV4, .table = "raw", .name = RULES_MADE},
		{.family = NFPROTO_IPV4, .table = "nat", .name = "TIERGATE-X"},
		{.family = NFPROTO_IPV6, .table = "mangle", .name = RULES_MADE},
	};
	struct loaded one = {.set = {.chain = chains, .chains = 3}};
	memset(answers, 0, sizeof answers);
	answers[0] = (struct answer){"nft list table ip raw", status, listing, ""};
	answers[1] = (struct answer){"nft list table ip6 mangle", status, listing, ""};
	ran[0] = '\0';
	loaded_tidy(&one, 4);
	if (strcmp(ran, want) != 0)
		fail_msg("ran\n%sand not\n%s", ran, want);
}

#define BASE                                                                                       \
	"\tchain PREROUTING {\n\t\ttype filter hook prerouting priority raw; policy "              \
	"accept;\n\t}\n"

/* Only what we made, and only where it holds nothing now. */
static void a_hollow_table_of_ours_goes(void **state)
{
	static const char drop[] = "nft list table ip raw\nnft delete table ip raw\n",
			  keep[] = "nft list table ip raw\n";
	tidies("table ip raw {\n" BASE "}\n", 0, drop);
	tidies("table ip raw {\n}\n", 0, drop);
	tidies("table ip raw {\n" BASE "}\n", 1, keep);
	tidies("table ip raw {\n" BASE "}\n", -1, keep);
	tidies("table ip raw {\n\tchain PREROUTING {\n\t\ttype filter hook prerouting priority "
	       "raw; policy drop;\n\t}\n}\n",
	       0, keep);
	tidies("table ip raw {\n\tchain PREROUTING {\n\t\ttype filter hook prerouting priority "
	       "raw; policy accept;\n\t\tcounter\n\t}\n}\n",
	       0, keep);
	tidies("table ip raw {\n\tchain somebodys {\n\t}\n}\n", 0, keep);
	tidies("table ip raw {\n\tset s {\n\t}\n}\n", 0, keep);
	struct loaded six = {.set = {.chain = (struct ruleset_chain[]){{.family = NFPROTO_IPV6,
									.table = "mangle",
									.name = RULES_MADE}},
				     .chains = 1}};
	answers[1] = (struct answer){"nft list table ip6 mangle", 0, "", ""};
	ran[0] = '\0';
	loaded_tidy(&six, 6);
	assert_string_equal(ran, "nft list table ip6 mangle\nnft delete table ip6 mangle\n");
}

/* ---- comparing ---- */

static void compared(const char *have, const char *expected, size_t count, const char *first)
{
	struct loaded one = {.iptables = true, .save = {(char *)"", (char *)have}};
	loaded_compare(&one, 6, expected, &errors);
	if (errors.count != count || (first && strcmp(errors.lines[0], first) != 0))
		fail_msg("%zu: %s", errors.count, errors.count ? errors.lines[0] : "");
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
}

static void the_same_rules_in_another_order_are_others(void **state)
{
	static const char a[] = "*mangle\n-A TIERGATE-A -j X\n-A TIERGATE-A -j Y\n",
			  b[] = "*mangle\n-A TIERGATE-A -j Y\n-A TIERGATE-A -j X\n",
			  c[] = "*mangle\n:TIERGATE-MADE - [0:0]\n-A INPUT -j OTHER\n"
				"-A TIERGATE-A -j X\n-A TIERGATE-A -j Y\n",
			  d[] = "*nat\n-A TIERGATE-A -j X\n-A TIERGATE-A -j Y\n";
	compared(a, a, 0, NULL);
	compared(a, c, 0, NULL); /* others', and the word that we made the table */
	compared(c, a, 0, NULL);
	compared(a, b, 1, "our rules are not in their order");
	compared(a, d, 4, "missing from the kernel: nat: -A TIERGATE-A -j X");
	compared(a, "*mangle\n-A TIERGATE-A -j X\n", 1,
		 "not ours, but among our rules: mangle: -A TIERGATE-A -j Y");
}

static void many_differences_are_summed_up(void **state)
{
	char many[4096] = "*mangle\n";
	for (int i = 0; i < 11; i++) {
		snprintf(many + strlen(many), sizeof many - strlen(many), "-A TIERGATE-A -j N%d\n",
			 i);
		compared("", many, i < 8 ? (size_t)i + 1 : 9,
			 "missing from the kernel: mangle: -A TIERGATE-A -j N0");
	}
	struct loaded one = {.save = {(char *)"", (char *)""}};
	loaded_compare(&one, 6, many, &errors);
	assert_string_equal(errors.lines[8], "missing from the kernel: 3 more rules");
}

/* A line that is longer than any of ours is cut, and the next one is whole. */
static void a_long_line_is_cut_and_the_next_is_whole(void **state)
{
	static char save[4096];
	snprintf(save, sizeof save,
		 "*mangle\n-A TIERGATE-A -m comment --comment %02000d -j X\n"
		 "-A TIERGATE-A -j Y\n",
		 0);
	compared(save, save, 0, NULL);
	char shorter[1100];
	snprintf(shorter, sizeof shorter, "*mangle\n%.1000s\n-A TIERGATE-A -j Y\n", save + 8);
	compared(save, shorter, 2, NULL);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(whose_rules_are_there_is_told_by_the_listings),
		WITH(a_line_is_ours_by_its_chain_or_where_it_leads),
		WITH(one_tool_is_enough),
		WITH(what_a_listing_lacks_is_told),
		WITH(what_is_ours_goes_and_the_new_comes),
		WITH(a_hollow_table_of_ours_goes),
		WITH(the_same_rules_in_another_order_are_others),
		WITH(many_differences_are_summed_up),
		WITH(a_long_line_is_cut_and_the_next_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
