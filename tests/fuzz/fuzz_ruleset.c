/* The input is what nf_tables says when it is asked for its rules: to each question a few messages,
 * with a body of any bytes, or a datagram that is no message at all. What is read is consistent,
 * and the commands that would take ours away name chains of ours alone, a line each. */
#include "../unit/netlink_kernel.h"

#include "wiring/ruleset.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

enum { MESSAGES = 24, RAW = 0x80 };

static struct cursor in;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static uint16_t type_of(uint16_t question)
{
	switch (question & 0xff) {
	case NFT_MSG_GETCHAIN: return NFT_MSG_NEWCHAIN;
	case NFT_MSG_GETTABLE: return NFT_MSG_NEWTABLE;
	case NFT_MSG_GETRULE: return NFT_MSG_NEWRULE;
	case NFT_MSG_GETSET: return NFT_MSG_NEWSET;
	case NFT_MSG_GETSETELEM: return NFT_MSG_NEWSETELEM;
	default: return NFT_MSG_NEWGEN;
	}
}

static void put_message(int fd, const struct nlmsghdr *asked, bool raw)
{
	uint8_t bytes[sizeof(struct nlmsghdr) + 256];
	uint8_t len = cursor_u8(&in);
	struct cursor body =
		cursor_sub(&in, len < cursor_left(&in) ? len : (uint8_t)cursor_left(&in));
	size_t size = cursor_left(&body);
	struct nlmsghdr h = {
		.nlmsg_len = (uint32_t)(sizeof h + size),
		.nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type_of(asked->nlmsg_type)),
		.nlmsg_flags = NLM_F_MULTI,
		.nlmsg_seq = asked->nlmsg_seq,
	};
	memcpy(bytes, &h, sizeof h);
	if (size)
		cursor_copy(&body, bytes + sizeof h, size);
	if (raw)
		kernel_put(fd, bytes + sizeof h, size);
	else
		kernel_put(fd, bytes, sizeof h + size);
}

static bool on_question(int fd, const struct nlmsghdr *asked)
{
	uint8_t how = cursor_left(&in) ? cursor_u8(&in) : 0;
	for (unsigned i = 0; i < how % MESSAGES && cursor_left(&in); i++)
		put_message(fd, asked, how & RAW);
	kernel_put_done(fd, asked->nlmsg_seq);
	return true;
}

/* ---- what was read ---- */

static bool is_ours(const struct ruleset_chain *c)
{
	static const char word[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	return c->family == NFPROTO_INET ||
	       (strncmp(c->name, "TIERGATE-", 9) == 0 && !c->name[strspn(c->name, word)]);
}

static void check(const struct ruleset *r)
{
	size_t rules = 0;
	for (size_t i = 0; i < r->chains; i++) {
		const struct ruleset_chain *c = &r->chain[i];
		require(memchr(c->name, 0, sizeof c->name) && memchr(c->table, 0, sizeof c->table));
		require(c->ours == is_ours(c));
		require(c->first + c->rules <= r->rules);
		require(ruleset_chain(r, c->family, c->table, c->name));
		rules += c->rules;
	}
	require(rules == r->rules);
}

/* Each line has its words, and chains that go are ours. */
static void check_removal(char *text, const struct ruleset *r)
{
	for (char *line; (line = strsep(&text, "\n")) && *line;) {
		char family[8], table[32], name[32], more;
		unsigned long handle;
		if (strcmp(line, "delete table inet tiergate") == 0) {
			require(r->nft);
			continue;
		}
		if (sscanf(line, "delete rule %7s %31s %31s handle %lu%c", family, table, name,
			   &handle, &more) == 4) {
			require(strncmp(name, "TIERGATE-", 9) != 0);
			continue;
		}
		require(sscanf(line, "%*[a-z] chain %7s %31s %31s %c", family, table, name,
			       &more) == 3);
		require(strncmp(line, "flush ", 6) == 0 || strncmp(line, "delete ", 7) == 0);
		require(strncmp(name, "TIERGATE-", 9) == 0);
	}
}

static void use(const struct ruleset *r)
{
	static const uint8_t families[] = {NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6};
	static const char text[] = "*mangle\n:TIERGATE-INSIDE - [0:0]\n"
				   "-A TIERGATE-INSIDE -m rpfilter --invert -j DROP\nCOMMIT\n";
	for (size_t i = 0; i < 3; i++) {
		struct errors faults = {0};
		uint64_t counts[RULESET_COUNTS] = {0};
		char *out = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&out, &len);
		ruleset_compare(r, families[i], text, &faults, counts);
		errors_deinit(&faults);
		ruleset_removal(r, families[i], NULL, f);
		fclose(f);
		check_removal(out, r);
		free(out);
		f = open_memstream(&out, &len);
		ruleset_wake(r, f);
		ruleset_removal(r, families[i], text, f);
		fclose(f);
		require(families[i] == NFPROTO_INET ||
			!strstr(out, "delete chain ip mangle TIERGATE-INSIDE\n"));
		free(out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ruleset r;
	kernel_reset();
	kernel.on = on_question;
	in = cursor_of(data, size);
	int error = ruleset_read(&r);
	if (!error) {
		check(&r);
		use(&r);
	}
	ruleset_deinit(&r);
	kernel_reset();
	return 0;
}
