/* Loading, removing and checking the rules, with tools of the test's own: which program is run with
 * which text in which order, what is said, when the epoch moves, and what is left as it was. */
#include "no_memory.h"
#include "no_memory.h"
#include "unit.h"
#include "source/conntrack.h"
#include "wiring/links.h"
#include "wiring/loaded.h"
#include "wiring/tool.h"
#include "wiring/wiring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

/* ---- what happens, a line each ---- */

static char happened[64 * 1024];

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t at = strlen(happened);
	va_list more;
	va_start(more, format);
	vsnprintf(happened + at, sizeof happened - at, format, more);
	va_end(more);
}

static void did(const char *want)
{
	if (strcmp(happened, want) != 0)
		fail_msg("did\n%sand not\n%s", happened, want);
	happened[0] = '\0';
}

/* ---- tools ---- */

static const char *fails;      /* words of a command that fails */
static int fails_with;         /* its exit status */
static char input[256 * 1024]; /* of the last one that had any */

bool tool_run(struct tool *t, const char *const argv[], const char *in, bool scratch)
{
	char command[256] = "";
	for (const char *const *a = argv; *a; a++)
		snprintf(command + strlen(command), sizeof command - strlen(command), "%s%s",
			 a == argv ? "" : " ", *a);
	note("%s%s\n", scratch ? "scratch: " : "", command);
	if (in)
		snprintf(input, sizeof input, "%s", in);
	bool bad = fails && strstr(command, fails);
	*t = (struct tool){bad ? fails_with : 0, strdup("the listing\n"),
			   strdup(bad ? "it is broken\nand more\n" : "")};
	return !bad || fails_with >= 0;
}

void tool_deinit(struct tool *t)
{
	free(t->out);
	free(t->err);
	*t = (struct tool){0};
}

/* ---- what is loaded ---- */

static struct loaded there; /* the kernel's */
static bool unreadable, misordered;

bool loaded_read(struct loaded *l, struct errors *errors)
{
	*l = there;
	if (unreadable)
		errors_add(errors, NULL, 0, "nothing can be listed");
	return !unreadable;
}

void loaded_deinit(struct loaded *l)
{
}

char *loaded_replace(const struct loaded *l, int family, const char *text)
{
	char *whole;
	note("replace %d%s\n", family, *text ? "" : " by nothing");
	assert_true(asprintf(&whole, "%s# replaced\n", text) > 0);
	return whole;
}

void loaded_tidy(const struct loaded *l, int family)
{
	note("tidy %d\n", family);
}

static bool differs;

void loaded_compare(const struct loaded *l, int family, const char *expected, struct errors *errors)
{
	note("compare %d with %s", family, expected);
	if (differs)
		errors_add(errors, NULL, 0, "a line is missing");
}

void loaded_check_order(const struct loaded *l, struct errors *errors)
{
	note("order\n");
	if (misordered)
		errors_add(errors, NULL, 0, "out of order");
}

bool links_skips(const char *name)
{
	return strcmp(name, "ppp7") != 0;
}

bool links_check(const struct strings *inside, struct errors *faults)
{
	if (fails)
		errors_add(faults, NULL, 0, "no such interface");
	return true;
}

static int swept = 3;

int conntrack_sweep(uint32_t mask, unsigned epoch)
{
	note("sweep %x %u\n", mask, epoch);
	return swept;
}

/* ---- /proc ---- */

static char acct_file[2], liberal = '0';
#define accounting acct_file[0]
static bool no_six, acct_is_kept;

FILE *fopen(const char *path, const char *mode)
{
	bool is_acct = strstr(path, "nf_conntrack_acct");
	if (!is_acct && !strstr(path, "be_liberal")) {
		int fd = (int)syscall(SYS_open, path, mode[0] == 'r' ? O_RDONLY : O_RDWR, 0);
		return fd < 0 ? NULL : fdopen(fd, mode);
	}
	if (mode[0] == 'r')
		return fmemopen(is_acct ? &accounting : &liberal, 1, "r");
	note("write acct\n");
	errno = EROFS;
	return acct_is_kept ? NULL : fmemopen(acct_file, 2, "w");
}

int access(const char *path, int mode)
{
	if (strcmp(path, "/proc/net/if_inet6") == 0)
		return no_six ? -1 : 0;
	return (int)syscall(SYS_access, path, mode);
}

/* ---- set up ---- */

static char *lan[] = {(char *)"lan0"};
static struct network nets[2];
static struct config config;
static struct errors errors;

static int begin(void **state)
{
	happened[0] = input[0] = '\0';
	fails = NULL;
	fails_with = 1;
	there = (struct loaded){.table = (char *)"", .save = {(char *)"", (char *)""}};
	unreadable = misordered = differs = no_six = acct_is_kept = false;
	accounting = '1';
	liberal = '0';
	swept = 3;
	network_parse("10.0.0.0/8", &nets[0]);
	snprintf(dir, sizeof dir, "/tmp/tiergate-wiring-XXXXXX");
	config = (struct config){.path = (char *)"c",
				 .inside = {lan, 1},
				 .internal = {nets, 1},
				 .queues = 1,
				 .queue_first = 4,
				 .mark_mask = 0xff00,
				 .runtime_dir = mkdtemp(dir)};
	return 0;
}

static int end(void **state)
{
	char path[128];
	snprintf(path, sizeof path, "%s/wiring-down", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/running", dir);
	unlink(path);
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	return rmdir(dir);
}

/* The name under which rules are loaded, from the text that was. */
static struct rules_name loaded_name(void)
{
	struct rules_name name = {0};
	for (const char *at = input; (at = strstr(at, "TIERGATE-")); at++) {
		char word[64];
		snprintf(word, sizeof word, "%.28s", at);
		if (rules_name_parse(word, &name))
			return name;
	}
	fail_msg("no name in %s", input);
	return name;
}

/* The rules of a backend as they were just loaded are the kernel's from here on. */
static void be_loaded(enum wiring_backend b, const char *policy)
{
	there = (struct loaded){.table = (char *)"", .save = {(char *)"", (char *)""}};
	assert_true(wiring_up(&config, b, policy, &errors));
	there.nft = b == WIRING_NFT;
	there.iptables = there.set.iptables = b == WIRING_IPTABLES;
	there.set.nft = there.nft;
	there.named = there.set.named = true;
	there.name = there.set.name = loaded_name();
	happened[0] = input[0] = '\0';
}

static void says(const char *sentence)
{
	if (errors.count != 1 || !strstr(errors.lines[0], sentence))
		fail_msg("%zu: %s", errors.count, errors.count ? errors.lines[0] : "");
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
}

/* ---- which backend ---- */

static void nft_is_taken_where_it_takes_the_rules(void **state)
{
	assert_int_equal(wiring_probe(&config, &errors), WIRING_NFT);
	did("scratch: nft -c -f -\n"); /* a trial in our own namespace would drop what waits */
	assert_non_null(strstr(input, "table inet tiergate"));
	fails = "nft";
	assert_int_equal(wiring_probe(&config, &errors), WIRING_IPTABLES);
	config.mark_mask = 0;
	assert_int_equal(wiring_probe(&config, &errors), WIRING_NONE);
	says("mark_mask");
	assert_string_equal(wiring_backend_name(WIRING_NONE), "none");
	assert_string_equal(wiring_backend_name(WIRING_NFT), "nft");
	assert_string_equal(wiring_backend_name(WIRING_IPTABLES), "iptables");
}

/* ---- up ---- */

static void rules_are_loaded_in_one_transaction(void **state)
{
	assert_true(wiring_up(&config, WIRING_NFT, "policy", &errors));
	did("sweep ff00 16\nnft -f -\n");
	struct rules_name name = loaded_name();
	assert_int_equal(name.epoch, 0);
	assert_true(name.acct);
	assert_true(wiring_up(&config, WIRING_NONE, "policy", &errors));
	did("scratch: nft -c -f -\nsweep ff00 16\nnft -f -\n");
	assert_true(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	did("sweep ff00 16\nreplace 4\niptables-restore --noflush\nreplace 6\n"
	    "ip6tables-restore --noflush\n");
	assert_non_null(strstr(input, "# replaced\n"));
	no_six = true;
	assert_true(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	did("sweep ff00 16\nreplace 4\niptables-restore --noflush\n");
}

/* A table that was there before stays somebody else's; one that we make says so. */
/* Whichever allocation fails: what is half written is not given to the kernel. */
static void without_memory_nothing_is_loaded(void **state)
{
	static char whole[sizeof input];
	bool failed = NO_MEMORY, up = true;
	assert_true(wiring_up(&config, WIRING_NFT, "policy", &errors));
	strcpy(whole, input);
	for (long n = 0; failed; n++) {
		happened[0] = input[0] = '\0';
		no_memory_at(n);
		up = wiring_up(&config, WIRING_NFT, "policy", &errors);
		failed = no_memory_failed;
		no_memory_end();
		char *acct = strstr(input, "TIERGATE-0"); /* may not have been to be had */
		if (acct)
			acct[10] = '1';
		if (strstr(happened, "nft -f") ? strcmp(input, whole) != 0 : up)
			fail_msg("allocation %ld: %s%s", n, happened, input);
	}
	assert_true(up);
}

static void tables_that_we_make_are_marked(void **state)
{
	there.set.tables[0] = 1 << 2; /* filter, of IPv4 */
	no_six = true;
	assert_true(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	const char *filter = strstr(input, "*filter\n"), *mangle = strstr(input, "*mangle\n");
	assert_non_null(filter);
	assert_non_null(mangle);
	assert_memory_not_equal(filter + 8, ":TIERGATE-MADE", 14);
	assert_memory_equal(mangle + 8, ":TIERGATE-MADE - [0:0]\n", 23);
	struct ruleset_chain made = {
		.family = NFPROTO_IPV4, .table = "filter", .name = RULES_MADE, .ours = true};
	there.set.chain = &made;
	there.set.chains = 1;
	assert_true(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	filter = strstr(input, "*filter\n");
	assert_memory_equal(filter + 8, ":TIERGATE-MADE - [0:0]\n", 23);
	there.set.asleep[0] = 1 << 2; /* and is switched on again */
	happened[0] = '\0';
	assert_true(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	did("sweep ff00 16\nreplace 4\niptables-restore --noflush\nnft -f -\n");
	assert_string_equal(input, "add table ip filter\n");
}

static void the_same_again_changes_nothing(void **state)
{
	static const enum wiring_backend both[] = {WIRING_NFT, WIRING_IPTABLES};
	for (int i = 0; i < 2; i++) {
		there.named = false;
		be_loaded(both[i], "policy");
		assert_true(wiring_up(&config, both[i], "policy", &errors));
		assert_null(strstr(happened, "sweep"));
		assert_null(strstr(happened, "\nnft -f -"));
		assert_null(strstr(happened, "replace"));
		assert_int_equal(errors.count, 0);
		/* but where a line of them is missing they are loaded, in the epoch that they had
		 */
		differs = true;
		happened[0] = '\0';
		assert_true(wiring_up(&config, both[i], "policy", &errors));
		assert_null(strstr(happened, "sweep"));
		assert_non_null(strstr(happened, i ? "\nreplace 4\n" : "\nnft -f -\n"));
		assert_int_equal(loaded_name().epoch, there.name.epoch);
		differs = false;
	}
}

/* Another policy moves the epoch, whose old marks go; other rules clear the marks of every epoch.
 */
static void the_epoch_moves_where_marks_would_mean_something_else(void **state)
{
	be_loaded(WIRING_NFT, "policy");
	assert_true(wiring_up(&config, WIRING_NFT, "another", &errors));
	did("sweep ff00 1\nnft -f -\n");
	assert_int_equal(loaded_name().epoch, 1);
	there.name.epoch = 7;
	assert_true(wiring_up(&config, WIRING_NFT, "another", &errors));
	did("sweep ff00 0\nnft -f -\n");
	assert_int_equal(loaded_name().epoch, 0);
	config.queue_first = 9;
	assert_true(wiring_up(&config, WIRING_NFT, "policy", &errors));
	did("sweep ff00 16\nnft -f -\n");
	swept = -EPERM;
	assert_false(wiring_up(&config, WIRING_NFT, "policy", &errors));
	did("sweep ff00 16\n");
	says("old marks can't be cleared: Operation not permitted");
}

/* A daemon decides its flows again by itself: no mark moves while one runs. */
static void while_a_daemon_runs_the_epoch_stays(void **state)
{
	be_loaded(WIRING_NFT, "policy");
	there.name.epoch = 5;
	int running = wiring_running(&config);
	assert_true(running >= 0);
	assert_int_equal(wiring_running(&config), -EWOULDBLOCK);
	config.queue_first = 9;
	assert_true(wiring_up(&config, WIRING_NFT, "another", &errors));
	did("nft -f -\n");
	assert_int_equal(loaded_name().epoch, 5);
	close(running);
	assert_true(wiring_up(&config, WIRING_NFT, "another", &errors));
	did("sweep ff00 16\nnft -f -\n");
	running = wiring_running(&config);
	assert_true(running >= 0);
	close(running);
}

/* New rules are there before the other backend's go. */
static void the_other_backends_rules_go_behind_the_new(void **state)
{
	be_loaded(WIRING_IPTABLES, "policy");
	assert_true(wiring_up(&config, WIRING_NFT, "policy", &errors));
	did("sweep ff00 16\nnft -f -\nreplace 4 by nothing\niptables-restore --noflush\n"
	    "replace 6 by nothing\nip6tables-restore --noflush\ntidy 4\ntidy 6\n");
	be_loaded(WIRING_NFT, "policy");
	assert_true(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	did("sweep ff00 16\nreplace 4\niptables-restore --noflush\nreplace 6\n"
	    "ip6tables-restore --noflush\nnft delete table inet tiergate\n");
	fails = "restore"; /* what fails first leaves the old in place */
	assert_false(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	did("sweep ff00 16\nreplace 4\niptables-restore --noflush\n");
	says("iptables-restore: it is broken");
}

static void a_tool_that_fails_or_is_not_there_is_said(void **state)
{
	fails = "nft -f";
	assert_false(wiring_up(&config, WIRING_NFT, "policy", &errors));
	says("nft: it is broken");
	assert_false(wiring_is_down(&config));
	fails_with = 127;
	assert_false(wiring_up(&config, WIRING_NFT, "policy", &errors));
	says("nft is not installed");
	fails_with = -1; /* no process */
	assert_false(wiring_up(&config, WIRING_NFT, "policy", &errors));
	says("nft: it is broken");
	unreadable = true;
	assert_false(wiring_up(&config, WIRING_NFT, "policy", &errors));
	says("nothing can be listed");
	config.inside.count = 0;
	unreadable = false;
	assert_false(wiring_up(&config, WIRING_NONE, "policy", &errors));
	says("names no interface");
	assert_false(wiring_up(&config, WIRING_NFT, "policy", &errors));
	says("names no interface");
}

/* Where iptables can't list what is there the new comes first, and nft takes the old away. */
static void what_cannot_be_listed_is_taken_away_by_nft(void **state)
{
	struct ruleset_chain old = {
		.family = NFPROTO_IPV4, .table = "mangle", .name = "TIERGATE-OLD", .ours = true};
	be_loaded(WIRING_IPTABLES, "another");
	there.unlisted[0] = true;
	there.set.chain = &old;
	there.set.chains = 1;
	assert_true(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	did("sweep ff00 1\niptables-restore --noflush\nnft -f -\nreplace 6\n"
	    "ip6tables-restore --noflush\n");
	there.unlisted[0] = false;
	there.unlisted[1] = true;
	old.family = NFPROTO_IPV6;
	assert_true(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	did("sweep ff00 1\nreplace 4\niptables-restore --noflush\nip6tables-restore --noflush\n"
	    "nft -f -\n");
	assert_string_equal(input, "flush chain ip6 mangle TIERGATE-OLD\n"
				   "delete chain ip6 mangle TIERGATE-OLD\n");
	fails = "nft";
	assert_false(wiring_up(&config, WIRING_IPTABLES, "policy", &errors));
	says("nft: it is broken");
}

/* ---- nf_conntrack_acct ---- */

static void bytes_are_counted_while_the_rules_are_there(void **state)
{
	accounting = '0';
	assert_true(wiring_up(&config, WIRING_NFT, "policy", &errors));
	did("sweep ff00 16\nnft -f -\nwrite acct\n");
	assert_int_equal(accounting, '1');
	assert_false(loaded_name().acct); /* what it was before */
	there = (struct loaded){.nft = true, .named = true, .name = loaded_name()};
	config.queue_first = 9; /* and stays so, however often rules are replaced */
	assert_true(wiring_up(&config, WIRING_NFT, "policy", &errors));
	assert_false(loaded_name().acct);
	happened[0] = '\0';
	assert_true(wiring_down(&config, &errors));
	did("nft delete table inet tiergate\nwrite acct\nsweep ff00 16\n");
	assert_int_equal(accounting, '0');
	acct_is_kept = true;
	there = (struct loaded){0};
	assert_false(wiring_up(&config, WIRING_NFT, "policy", &errors));
	says("nf_conntrack_acct: Read-only file system");
}

/* ---- down ---- */

static void down_takes_away_what_is_there(void **state)
{
	char path[128];
	struct stat st;
	mode_t mask = umask(022);
	umask(mask);
	assert_true(wiring_down(&config, &errors)); /* nothing */
	did("");
	assert_true(wiring_is_down(&config));
	snprintf(path, sizeof path, "%s/wiring-down", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & ~(mode_t)S_IFMT, 0644 & ~mask); /* the daemon sees it, too */
	be_loaded(WIRING_IPTABLES, "policy");
	assert_false(wiring_is_down(&config));
	assert_true(wiring_down(&config, &errors));
	did("replace 4 by nothing\niptables-restore --noflush\nreplace 6 by nothing\n"
	    "ip6tables-restore --noflush\ntidy 4\ntidy 6\nsweep ff00 16\n");
	assert_int_equal(accounting, '1'); /* it was on before */
	there.nft = true;                  /* both */
	assert_true(wiring_down(&config, &errors));
	assert_non_null(strstr(happened, "nft delete table inet tiergate\nreplace 4 by nothing\n"));
	happened[0] = '\0';
	assert_int_equal(errors.count, 0);
}

static void what_of_a_removal_fails_is_said_and_the_rest_done(void **state)
{
	be_loaded(WIRING_IPTABLES, "policy");
	there.nft = true;
	there.name.acct = false;
	fails = "nft delete";
	assert_false(wiring_down(&config, &errors));
	assert_non_null(strstr(happened, "tidy 6\nwrite acct\nsweep ff00 16\n"));
	says("nft: it is broken");
	fails = "ip6tables";
	happened[0] = '\0';
	assert_false(wiring_down(&config, &errors));
	assert_null(strstr(happened, "tidy"));
	assert_non_null(strstr(happened, "sweep ff00 16\n"));
	says("ip6tables-restore: it is broken");
	fails = NULL;
	swept = -EPERM;
	assert_false(wiring_down(&config, &errors));
	says("marks of flows can't be cleared");
	swept = 0;
	unreadable = true;
	assert_false(wiring_down(&config, &errors));
	says("nothing can be listed");
}

static void one_at_a_time_works_on_the_rules(void **state)
{
	int first = wiring_lock(&config, false);
	assert_true(first >= 0);
	assert_int_equal(wiring_lock(&config, false), -EWOULDBLOCK);
	close(first);
	first = wiring_lock(&config, true);
	assert_true(first >= 0);
	close(first);
	config.runtime_dir = (char *)"/nonexistent";
	assert_int_equal(wiring_lock(&config, false), -ENOENT);
	assert_int_equal(wiring_running(&config), -ENOENT);
	assert_true(wiring_up(&config, WIRING_NFT, "policy", &errors)); /* no daemon, no lock */
	static char longest[8192];
	memset(longest, 'a', sizeof longest - 1);
	config.runtime_dir = longest;
	assert_int_equal(wiring_lock(&config, false), -ENAMETOOLONG);
	assert_int_equal(wiring_running(&config), -ENAMETOOLONG);
	assert_false(wiring_is_down(&config));
	config.runtime_dir = dir;
}

/* ---- restore and epoch ---- */

static void rules_are_put_back_under_the_name_that_they_had(void **state)
{
	struct rules_name name = {
		.epoch = 6, .acct = false, .rules = "0123abcd", .policy = "ffff0000"};
	assert_true(wiring_restore(&config, WIRING_NFT, &name, &errors));
	did("nft -f -\n");
	struct rules_name got = loaded_name();
	assert_int_equal(got.epoch, 6);
	assert_string_equal(got.policy, "ffff0000");
	unreadable = true;
	assert_false(wiring_restore(&config, WIRING_NFT, &name, &errors));
	says("nothing can be listed");
}

static void the_epoch_is_that_of_the_rules(void **state)
{
	unsigned epoch = 9;
	assert_false(wiring_epoch(&config, &epoch));
	be_loaded(WIRING_NFT, "policy");
	there.name.epoch = 4;
	assert_true(wiring_epoch(&config, &epoch));
	assert_int_equal(epoch, 4);
	unreadable = true;
	assert_false(wiring_epoch(&config, &epoch));
}

/* ---- check ---- */

static void check_compares_line_by_line_in_a_scratch_namespace(void **state)
{
	be_loaded(WIRING_NFT, "policy");
	assert_true(wiring_check(&config, &errors));
	did("scratch: sh -c nft -f - && nft -s list table inet tiergate\n"
	    "compare 4 with the listing\norder\n");
	be_loaded(WIRING_IPTABLES, "policy");
	assert_true(wiring_check(&config, &errors));
	did("scratch: sh -c iptables-restore --noflush && iptables-save\n"
	    "compare 4 with the listing\n"
	    "scratch: sh -c ip6tables-restore --noflush && ip6tables-save\n"
	    "compare 6 with the listing\norder\n");
	no_six = true;
	assert_true(wiring_check(&config, &errors));
	did("scratch: sh -c iptables-restore --noflush && iptables-save\n"
	    "compare 4 with the listing\norder\n");
	fails = "sh"; /* without a namespace the digest has to do */
	assert_true(wiring_check(&config, &errors));
	did("scratch: sh -c iptables-restore --noflush && iptables-save\norder\n");
	assert_int_equal(errors.count, 0);
}

static void what_check_finds_is_said(void **state)
{
	assert_false(wiring_check(&config, &errors));
	says("no rules of tiergate are in the kernel");
	assert_false(wiring_loaded(&config, &errors));
	says("no rules of tiergate are in the kernel");
	be_loaded(WIRING_NFT, "policy");
	assert_true(wiring_loaded(&config, &errors));
	differs = true;
	assert_false(wiring_check(&config, &errors));
	says("a line is missing");
	differs = false;
	misordered = true;
	assert_false(wiring_check(&config, &errors));
	says("out of order");
	misordered = false;
	there.set.dormant = true;
	assert_false(wiring_check(&config, &errors));
	says("switched off (dormant)");
	there.set.dormant = false;
	accounting = '0';
	assert_false(wiring_check(&config, &errors));
	says("nf_conntrack_acct is off");
	accounting = '1';
	liberal = '1';
	assert_false(wiring_check(&config, &errors));
	says("nf_conntrack_tcp_be_liberal is on");
	liberal = '0';
	assert_true(wiring_check(&config, &errors));
	config.queue_first = 9;
	assert_false(wiring_check(&config, &errors));
	says("those of another configuration");
	assert_false(wiring_loaded(&config, &errors));
	says("those of another configuration");
	there.iptables = true;
	assert_false(wiring_check(&config, &errors));
	says("rules of both nft and iptables");
	unreadable = true;
	assert_false(wiring_check(&config, &errors));
	says("nothing can be listed");
	assert_false(wiring_loaded(&config, &errors));
	says("nothing can be listed");
}

/* What iptables can't list is compared by what nf_tables has. */
static void what_cannot_be_listed_is_compared_by_the_set(void **state)
{
	be_loaded(WIRING_IPTABLES, "policy");
	there.unlisted[1] = true;
	assert_false(wiring_check(&config, &errors));
	assert_null(strstr(happened, "compare 6"));
	assert_true(errors.count > 0);
	for (size_t i = 0; i < errors.count; i++)
		assert_non_null(strstr(errors.lines[i], "ip6 "));
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	there.unlisted[0] = true;
	there.unlisted[1] = false;
	there.set.misplaced = true;
	misordered = true; /* which listings can't tell then */
	happened[0] = '\0';
	assert_false(wiring_check(&config, &errors));
	assert_null(strstr(happened, "order"));
	assert_non_null(
		strstr(errors.lines[errors.count - 1], "rules of others stand before ours"));
	for (size_t i = 0; i + 1 < errors.count; i++)
		assert_non_null(strstr(errors.lines[i], "ip "));
}

static void interfaces_are_asked_for(void **state)
{
	assert_true(wiring_interfaces(&config, &errors));
	fails = "x";
	assert_false(wiring_interfaces(&config, &errors));
	says("no such interface");
}

/* ---- who watches ---- */

static void the_watchers_look_is_one_sentence(void **state)
{
	uint64_t counts[RULESET_COUNTS];
	char text[256];
	struct ruleset none = {0};
	memset(counts, 7, sizeof counts);
	assert_int_equal(wiring_judge(&config, &none, counts, text), WIRING_GONE);
	assert_non_null(strstr(text, "no rules of tiergate are in the kernel"));
	assert_int_equal(counts[0], 0);
	be_loaded(WIRING_NFT, "policy");
	struct ruleset one = there.set;
	one.named = false;
	assert_int_equal(wiring_judge(&config, &one, counts, text), WIRING_DAMAGED);
	assert_non_null(strstr(text, "the chain that names the rules is gone"));
	one = there.set;
	one.iptables = true;
	assert_int_equal(wiring_judge(&config, &one, counts, text), WIRING_OTHER);
	assert_non_null(strstr(text, "rules of both nft and iptables"));
	one = there.set; /* named, and without a rule */
	assert_int_equal(wiring_judge(&config, &one, counts, text), WIRING_DAMAGED);
	assert_non_null(strstr(text, "inet tiergate, chain "));
	assert_non_null(strstr(text, ": 0 rules of ours where "));
	config.queue_first = 9;
	assert_int_equal(wiring_judge(&config, &one, counts, text), WIRING_OTHER);
	assert_non_null(strstr(text, "those of another configuration"));
	config.inside.count = 0;
	assert_int_equal(wiring_judge(&config, &one, counts, text), WIRING_OTHER);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(nft_is_taken_where_it_takes_the_rules),
		WITH(rules_are_loaded_in_one_transaction),
		WITH(without_memory_nothing_is_loaded),
		WITH(tables_that_we_make_are_marked),
		WITH(the_same_again_changes_nothing),
		WITH(the_epoch_moves_where_marks_would_mean_something_else),
		WITH(while_a_daemon_runs_the_epoch_stays),
		WITH(the_other_backends_rules_go_behind_the_new),
		WITH(a_tool_that_fails_or_is_not_there_is_said),
		WITH(what_cannot_be_listed_is_taken_away_by_nft),
		WITH(bytes_are_counted_while_the_rules_are_there),
		WITH(down_takes_away_what_is_there),
		WITH(what_of_a_removal_fails_is_said_and_the_rest_done),
		WITH(one_at_a_time_works_on_the_rules),
		WITH(rules_are_put_back_under_the_name_that_they_had),
		WITH(the_epoch_is_that_of_the_rules),
		WITH(check_compares_line_by_line_in_a_scratch_namespace),
		WITH(what_check_finds_is_said),
		WITH(what_cannot_be_listed_is_compared_by_the_set),
		WITH(interfaces_are_asked_for),
		WITH(the_watchers_look_is_one_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
