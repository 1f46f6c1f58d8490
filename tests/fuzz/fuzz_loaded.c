/* The input is what nft, iptables-save and ip6tables-save say, and a listing to hold against it.
 * What would be restored in its place touches nothing of others: it takes away chains of ours, and
 * jumps that were listed, and brings the lines that are to come; nothing of ours is left but those.
 * A listing is no other than itself, and one that differs by a line of ours is told. */
#include "base/cursor.h"
#include "wiring/loaded.h"
#include "wiring/tool.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

enum { NFT_THERE = 1, NFT_FAILS = 2, FOUR_FAILS = 4, SIX_FAILS = 8, AWAY = 16 };
enum { LINE = 1023 }; /* bytes of a line that are looked at */

static const char ours[] = "*mangle\n:TIERGATE-INSIDE - [0:0]\n-A TIERGATE-INSIDE -j DROP\n"
			   "-A FORWARD -j TIERGATE-INSIDE\nCOMMIT\n*raw\n:TIERGATE-OWN - [0:0]\n"
			   "COMMIT\n";

static struct {
	uint8_t flags;
	char *table, *save[2], *expected;
} said;

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the tools ---- */

bool tool_run(struct tool *t, const char *const argv[], const char *input, bool scratch)
{
	bool nft = strcmp(argv[0], "nft") == 0, six = argv[0][2] == '6';
	bool table = nft && strcmp(argv[1], "-s") == 0;
	*t = (struct tool){0};
	if (said.flags & AWAY)
		return false;
	if (nft && strcmp(argv[1], "delete") == 0)
		require(strncmp(argv[3], "ip", 2) == 0 && argv[4] && !argv[5]);
	t->out = strdup(nft ? said.table : said.save[six]);
	t->err = strdup(nft && !(said.flags & NFT_FAILS) ? "Error: No such file or directory\n"
							 : said.expected);
	if (table)
		t->status = said.flags & NFT_THERE ? 0 : 1;
	else if (!nft)
		t->status = said.flags & (six ? SIX_FAILS : FOUR_FAILS) ? 3 : 0;
	require(t->out && t->err);
	return true;
}

void tool_deinit(struct tool *t)
{
	free(t->out);
	free(t->err);
	*t = (struct tool){0};
}

/* The kernel's own list is fuzz_ruleset's. */
struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	errno = EPROTONOSUPPORT;
	return NULL;
}

/* ---- lines ---- */

struct line {
	const char *text;
	size_t len;
};

static bool next(const char **at, struct line *l)
{
	l->text = *at;
	l->len = strcspn(*at, "\n");
	*at += l->len + ((*at)[l->len] == '\n');
	l->len = l->len < LINE ? l->len : LINE;
	return l->text != *at;
}

static bool begins(const struct line *l, const char *with)
{
	size_t len = strlen(with);
	return l->len >= len && memcmp(l->text, with, len) == 0;
}

static bool contains(const struct line *l, const char *what)
{
	return memmem(l->text, l->len, what, strlen(what)) != NULL;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* 31 bytes of a name count: no table's is as long. */
static bool same_table(const struct line *a, const struct line *b)
{
	size_t x = a->len < 32 ? a->len : 32, y = b->len < 32 ? b->len : 32;
	return x == y && memcmp(a->text, b->text, x) == 0;
}

static bool lists(const char *text, const struct line *wanted)
{
	struct line l;
	while (next(&text, &l))
		if (same(&l, wanted))
			return true;
	return false;
}

static bool leads_to_ours(const struct line *l)
{
	return begins(l, "-A ") && !begins(l, "-A TIERGATE-") &&
	       (contains(l, " -j TIERGATE-") || contains(l, " -g TIERGATE-"));
}

static bool counts(const struct line *l, bool nft)
{
	if (begins(l, ":TIERGATE-MADE "))
		return false;
	return nft || begins(l, ":TIERGATE-") || begins(l, "-A TIERGATE-") || leads_to_ours(l);
}

/* ---- replacing ---- */

/* A line that takes something away from a table names what was listed in it. */
static bool takes(const char *save, const struct line *table, const struct line *l)
{
	struct line was, at = {"*", 1}; /* as a table without a name */
	bool rule = begins(l, "-D ");
	while (next(&save, &was)) {
		if (begins(&was, "*"))
			at = was;
		if (!same_table(&at, table))
			continue;
		if (rule && leads_to_ours(&was) && was.len == l->len &&
		    memcmp(was.text + 2, l->text + 2, l->len - 2) == 0)
			return true;
		if (!rule && begins(&was, ":TIERGATE-") && was.len > l->len - 2 &&
		    was.text[l->len - 2] == ' ' &&
		    memcmp(was.text + 1, l->text + 3, l->len - 3) == 0)
			return true;
	}
	return false;
}

static void is_of_ours(const char *restore, const char *save, const char *text)
{
	struct line l, table = {"", 0};
	while (next(&restore, &l)) {
		if (begins(&l, "*"))
			table = l;
		if (lists(text, &l) || begins(&l, "*") || begins(&l, "COMMIT"))
			continue;
		require(begins(&l, "-D ") || begins(&l, "-F ") || begins(&l, "-X "));
		require(takes(save, &table, &l));
		if (*text) /* what says that we made a table stays with new rules in it */
			require(l.len != 16 || memcmp(l.text + 2, " TIERGATE-MADE", 14) != 0);
	}
}

/* Whether the line stands in that table of a restore file. */
static bool has_in(const char *restore, const struct line *table, const char *head,
		   const struct line *what)
{
	struct line l, at = {"", 0};
	for (; next(&restore, &l);) {
		if (begins(&l, "*"))
			at = l;
		if (same(&at, table) && begins(&l, head) && l.len == what->len + strlen(head) &&
		    memcmp(l.text + strlen(head), what->text, what->len) == 0)
			return true;
	}
	return false;
}

static void all_goes(const char *restore, const char *save, bool replaced)
{
	struct line l, table = {"", 0};
	while (next(&save, &l)) {
		if (begins(&l, "*") && l.len <= 32)
			table = l;
		if (begins(&l, "*") && l.len > 32)
			return; /* no table has such a name */
		if (!table.len)
			continue;
		const char *space = memchr(l.text, ' ', l.len);
		struct line rest = {l.text + 2, l.len - 2};
		if (leads_to_ours(&l))
			require(has_in(restore, &table, "-D", &rest));
		if (!begins(&l, ":TIERGATE-") || !space ||
		    (replaced && begins(&l, ":TIERGATE-MADE ")))
			continue;
		struct line name = {l.text + 1, (size_t)(space - l.text) - 1};
		require(has_in(restore, &table, "-F ", &name) &&
			has_in(restore, &table, "-X ", &name));
	}
}

static void replace(const struct loaded *l, int family, const char *text)
{
	char *restore = loaded_replace(l, family, text);
	require(restore);
	is_of_ours(restore, l->save[family == 6], text);
	all_goes(restore, l->save[family == 6], *text);
	free(restore);
}

/* ---- comparing ---- */

/* Whether both list the same lines that count, in one order. */
static bool agree(const char *a, const char *b, bool nft)
{
	struct line x, y;
	bool more_x, more_y;
	do {
		while ((more_x = next(&a, &x)) && !counts(&x, nft))
			;
		while ((more_y = next(&b, &y)) && !counts(&y, nft))
			;
	} while (more_x && more_y && same(&x, &y));
	return !more_x && !more_y;
}

/* That we made a table is no difference. */
static void compare_without_made(const struct loaded *l, int family, const char *have)
{
	struct errors none = {0};
	struct line one;
	char *text = calloc(1, strlen(have) + 2), *end = text;
	require(text);
	while (next(&have, &one))
		if (!begins(&one, ":TIERGATE-MADE "))
			end += sprintf(end, "%.*s\n", (int)one.len, one.text);
	loaded_compare(l, family, text, &none);
	require(none.count == 0);
	free(text);
}

static void compare(const struct loaded *l, int family)
{
	const char *have = l->nft ? l->table : l->save[family == 6];
	struct errors none = {0}, some = {0};
	loaded_compare(l, family, have, &none);
	require(none.count == 0);
	if (!l->nft)
		compare_without_made(l, family, have);
	loaded_compare(l, family, said.expected, &some);
	if (!agree(have, said.expected, l->nft))
		require(some.count > 0);
	errors_deinit(&some);
}

/* ---- */

static char *text_of(struct cursor *in)
{
	size_t left = cursor_left(in);
	const uint8_t *end = left ? memchr(in->pos, 0, left) : NULL;
	struct cursor part = cursor_sub(in, end ? (size_t)(end - in->pos) : left);
	cursor_skip(in, end ? 1 : 0);
	char *text = strndup((const char *)part.pos, cursor_left(&part));
	require(text);
	return text;
}

static void look(struct loaded *l)
{
	struct ruleset_chain made[] = {{NFPROTO_IPV4, "mangle", RULES_MADE, true, 0, 0},
				       {NFPROTO_IPV6, "raw", RULES_MADE, true, 0, 0}};
	struct errors order = {0};
	for (int family = 4; family <= 6; family += 2) {
		replace(l, family, "");
		replace(l, family, ours);
		compare(l, family);
		struct ruleset was = l->set;
		l->set = (struct ruleset){.chain = made, .chains = 2};
		loaded_tidy(l, family);
		l->set = was;
	}
	loaded_check_order(l, &order);
	errors_deinit(&order);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);
	struct errors errors = {0};
	struct loaded l;
	said.flags = cursor_left(&in) ? cursor_u8(&in) : 0;
	said.table = text_of(&in);
	said.save[0] = text_of(&in);
	said.save[1] = text_of(&in);
	said.expected = text_of(&in);
	bool ok = loaded_read(&l, &errors);
	require(ok == (errors.count == 0));
	if (ok)
		look(&l);
	loaded_deinit(&l);
	errors_deinit(&errors);
	free(said.table);
	free(said.save[0]);
	free(said.save[1]);
	free(said.expected);
	return 0;
}
