#include "wiring/wiring.h"

#include "base/memstream.h"

#include "source/conntrack.h"
#include "source/nfqueue.h"
#include "wiring/links.h"
#include "wiring/loaded.h"
#include "wiring/rules.h"
#include "wiring/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DOWN_NOTE    "/wiring-down" /* in the runtime folder */
#define RUNNING_NOTE "/running"

static const char acct_path[] = "/proc/sys/net/netfilter/nf_conntrack_acct";
static const char liberal_path[] = "/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal";

const char *wiring_backend_name(enum wiring_backend b)
{
	static const char *const names[] = {"none", "nft", "iptables"};
	return names[b];
}

static bool ip6_here(void)
{
	return access("/proc/net/if_inet6", F_OK) == 0;
}

/* --- text ---------------------------------------------------------------------------------- */

static char *text_of(const struct rules *r, enum wiring_backend b, int family)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = memstream_open(&text, &len);
	if (!f)
		return NULL;
	if (b == WIRING_NFT)
		rules_nft(r, f);
	else
		rules_iptables(r, family, f);
	return fclose(f) == 0 ? text : NULL;
}

/* The digest is over the rules as they were at epoch 0 and without a name. */
static bool digest_of(const struct config *c, enum wiring_backend b, char out[static 9],
		      struct errors *errors)
{
	struct rules r;
	char *text = NULL;
	size_t len = 0;
	if (!rules_init(&r, c, 0, errors))
		return false;
	FILE *f = memstream_open(&text, &len);
	if (!f)
		return false;
	if (b == WIRING_NFT) {
		rules_nft(&r, f);
	} else {
		rules_iptables(&r, 4, f);
		rules_iptables(&r, 6, f);
	}
	if (fclose(f) != 0)
		return false;
	rules_digest(text, len, out);
	free(text);
	return true;
}

bool wiring_text(const struct config *c, enum wiring_backend b, unsigned epoch, FILE *to,
		 struct errors *errors)
{
	struct rules r;
	struct rules_name name = {.epoch = epoch, .policy = "00000000"};
	if (!rules_init(&r, c, epoch, errors) || !digest_of(c, b, name.rules, errors))
		return false;
	rules_name_format(&name, r.name);
	if (b == WIRING_NFT) {
		fputs("# nft -f\n", to);
		rules_nft(&r, to);
		return true;
	}
	fputs("# iptables-restore --noflush\n", to);
	rules_iptables(&r, 4, to);
	fputs("# ip6tables-restore --noflush\n", to);
	rules_iptables(&r, 6, to);
	return true;
}

/* --- loading ------------------------------------------------------------------------------- */

static void say_tool(struct errors *errors, const char *what, const struct tool *t)
{
	const char *text = t->err ? t->err : "";
	int len = (int)strcspn(text, "\n");
	if (t->status == 127)
		errors_add(errors, NULL, 0, "%s is not installed", what);
	else
		errors_add(errors, NULL, 0, "%s: %.*s", what, len, text);
}

static bool run_with(const char *const argv[], const char *input, struct errors *errors)
{
	struct tool t = {0};
	bool ok = tool_run(&t, argv, input, false) && t.status == 0;
	if (!ok)
		say_tool(errors, argv[0], &t);
	tool_deinit(&t);
	return ok;
}

/* In a network namespace of its own: a trial registers the chains' hooks and takes them back, and
 * with each hook that goes the kernel drops all packets that wait in queues of the namespace. */
static bool nft_takes(const char *text)
{
	const char *const trial[] = {"nft", "-c", "-f", "-", NULL};
	struct tool t = {0};
	bool takes = tool_run(&t, trial, text, true) && t.status == 0;
	tool_deinit(&t);
	return takes;
}

enum wiring_backend wiring_probe(const struct config *c, struct errors *errors)
{
	struct rules r;
	if (!rules_init(&r, c, 0, errors))
		return WIRING_NONE;
	r.devices = NULL; /* those of the trial's own namespace */
	char *text = text_of(&r, WIRING_NFT, 0);
	bool nft = text && nft_takes(text);
	free(text);
	return nft ? WIRING_NFT : WIRING_IPTABLES;
}

/* The kernel takes no flowtable of an interface that is not there. */
static bool load_nft(struct rules r, struct errors *errors)
{
	const struct strings *all = &r.config->flowtable;
	struct strings here = {.item = calloc(all->count + 1, sizeof *here.item)};
	for (size_t i = 0; here.item && i < all->count; i++)
		if (links_skips(all->item[i]))
			here.item[here.count++] = all->item[i];
	r.devices = &here;
	char *text = here.item ? text_of(&r, WIRING_NFT, 0) : NULL;
	bool ok = text && run_with((const char *[]){"nft", "-f", "-", NULL}, text, errors);
	free(text);
	free(here.item);
	return ok;
}

/* The text, and in each table that it will make a chain that says so. The caller frees it. */
static char *with_marks(const char *text, const struct loaded *l, int family)
{
	uint8_t nf = family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	char *whole = NULL, table[32];
	size_t len = 0;
	FILE *to = memstream_open(&whole, &len);
	for (size_t n; to && *text; text += n) {
		n = strcspn(text, "\n");
		n += text[n] == '\n';
		fwrite(text, 1, n, to);
		if (sscanf(text, "*%31s", table) == 1 &&
		    (!ruleset_has_table(&l->set, nf, table) ||
		     ruleset_chain(&l->set, nf, table, RULES_MADE)))
			fputs(":" RULES_MADE " - [0:0]\n", to);
	}
	return to && fclose(to) == 0 ? whole : NULL;
}

static bool run_nft(const char *script, struct errors *errors)
{
	return !*script || run_with((const char *[]){"nft", "-f", "-", NULL}, script, errors);
}

static bool wake(const struct loaded *l, struct errors *errors)
{
	char *script = NULL;
	size_t len = 0;
	FILE *to = memstream_open(&script, &len);
	if (!to)
		return false;
	ruleset_wake(&l->set, to);
	bool ok = fclose(to) == 0 && run_nft(script, errors);
	free(script);
	return ok;
}

/* Takes away what was there, by nft: but for chains that `text` has filled anew. */
static bool remove_old(const struct loaded *l, int family, const char *text, struct errors *errors)
{
	char *script = NULL;
	size_t len = 0;
	FILE *to = memstream_open(&script, &len);
	if (!to)
		return false;
	ruleset_removal(&l->set, family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4, text, to);
	bool ok = fclose(to) == 0 && run_nft(script, errors);
	free(script);
	return ok;
}

/* What is there of ours goes and what is new comes in one transaction a table. Where iptables
 * can't list what is there, the new comes first: for a moment rules of both are met. */
static bool load_family(const struct rules *r, const struct loaded *l, int family,
			struct errors *errors)
{
	const char *tool = family == 4 ? "iptables-restore" : "ip6tables-restore";
	bool unlisted = l->unlisted[family == 6];
	char *plain = r ? text_of(r, WIRING_IPTABLES, family) : strdup("");
	char *text = plain ? with_marks(plain, l, family) : NULL;
	char *whole = unlisted ? text : text ? loaded_replace(l, family, text) : NULL;
	bool ok = whole &&
		  (!*whole || run_with((const char *[]){tool, "--noflush", NULL}, whole, errors)) &&
		  (!unlisted || remove_old(l, family, text, errors));
	if (whole != text)
		free(whole);
	free(text);
	free(plain);
	return ok;
}

static bool load_iptables(const struct rules *r, const struct loaded *l, struct errors *errors)
{
	return load_family(r, l, 4, errors) && (!ip6_here() || load_family(r, l, 6, errors)) &&
	       (!r || wake(l, errors));
}

static bool remove_iptables(const struct loaded *l, struct errors *errors)
{
	if (!load_iptables(NULL, l, errors))
		return false;
	loaded_tidy(l, 4);
	loaded_tidy(l, 6);
	return true;
}

static bool remove_nft(struct errors *errors)
{
	return run_with((const char *[]){"nft", "delete", "table", "inet", RULES_TABLE, NULL}, NULL,
			errors);
}

/* --- nf_conntrack_acct --------------------------------------------------------------------- */

static bool is_on(const char *path)
{
	FILE *f = fopen(path, "re");
	int c = f ? fgetc(f) : '0';
	if (f)
		fclose(f);
	return c == '1';
}

/* An entry counts as answered by a SYN-ACK whose numbers conntrack has checked. */
bool wiring_settings(char out[static 256])
{
	if (is_on(liberal_path))
		snprintf(out, 256,
			 "nf_conntrack_tcp_be_liberal is on: conntrack takes answers that no "
			 "server gave; `sysctl net.netfilter.nf_conntrack_tcp_be_liberal=0`");
	else if (!is_on(acct_path))
		snprintf(out, 256,
			 "nf_conntrack_acct is off: no bytes are counted, for quotas neither; "
			 "`sysctl net.netfilter.nf_conntrack_acct=1`, and flows that are open then "
			 "stay uncounted");
	else
		return true;
	return false;
}

static bool set_acct(bool on, struct errors *errors)
{
	if (is_on(acct_path) == on)
		return true;
	FILE *f = fopen(acct_path, "we");
	bool ok = f && fputc(on ? '1' : '0', f) != EOF;
	if (f && fclose(f) != 0)
		ok = false;
	if (!ok)
		errors_add(errors, NULL, 0, "%s: %s", acct_path, strerror(errno));
	return ok;
}

/* --- files of the runtime folder ----------------------------------------------------------- */

/* Where the daemon looks, too; of a configuration that can't be read the usual place. */
static bool runtime_path(const struct config *c, const char *name, char out[static PATH_MAX])
{
	return snprintf(out, PATH_MAX, "%s%s", c ? c->runtime_dir : "/run/tiergate", name) <
	       PATH_MAX;
}

int wiring_running(const struct config *c)
{
	char path[PATH_MAX];
	if (!runtime_path(c, RUNNING_NOTE, path))
		return -ENAMETOOLONG;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	int error = -errno;
	if (fd >= 0)
		close(fd);
	return error;
}

/* A queue that is bound says nothing: the service manager keeps its socket over a restart. */
static bool daemon_runs(const struct config *c)
{
	char path[PATH_MAX];
	if (!runtime_path(c, RUNNING_NOTE, path))
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool runs = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	if (fd >= 0)
		close(fd);
	return runs;
}

/* --- up and down --------------------------------------------------------------------------- */

/* A new epoch's number may have been used 8 epochs ago, and marks of other rules may mean anything
 * by these: such marks go first. */
static bool choose_epoch(const struct config *c, const struct loaded *l, struct rules_name *name,
			 struct errors *errors)
{
	bool rules_same = l->named && strcmp(l->name.rules, name->rules) == 0;
	bool policy_same = l->named && strcmp(l->name.policy, name->policy) == 0;
	name->epoch = l->named ? l->name.epoch : 0;
	name->acct = l->named ? l->name.acct : is_on(acct_path);
	if ((rules_same && policy_same) || daemon_runs(c))
		return true;
	if (l->named)
		name->epoch = (name->epoch + 1) % MARK_EPOCHS;
	int swept = conntrack_sweep(c->mark_mask, rules_same ? name->epoch : CONNTRACK_EVERY_EPOCH);
	if (swept < 0)
		errors_add(errors, NULL, 0, "old marks can't be cleared: %s", strerror(-swept));
	return swept >= 0;
}

static bool load(const struct config *c, enum wiring_backend b, const struct loaded *l,
		 const struct rules_name *name, struct errors *errors)
{
	struct rules r;
	if (!rules_init(&r, c, name->epoch, errors))
		return false;
	rules_name_format(name, r.name);
	if (b == WIRING_NFT)
		return load_nft(r, errors) && (!l->iptables || remove_iptables(l, errors));
	return load_iptables(&r, l, errors) && (!l->nft || remove_nft(errors));
}

static bool same(const struct config *c, enum wiring_backend b, const struct loaded *l,
		 const struct rules_name *name)
{
	struct errors ignored = {0};
	bool it = l->named && l->nft == (b == WIRING_NFT) &&
		  l->iptables == (b == WIRING_IPTABLES) &&
		  strcmp(l->name.rules, name->rules) == 0 &&
		  strcmp(l->name.policy, name->policy) == 0 && wiring_check(c, &ignored);
	errors_deinit(&ignored);
	return it;
}

static bool up(const struct config *c, enum wiring_backend b, const struct loaded *l,
	       const char *policy, struct errors *errors)
{
	struct rules_name name = {0};
	rules_digest(policy, strlen(policy), name.policy);
	if (!digest_of(c, b, name.rules, errors))
		return false;
	if (same(c, b, l, &name))
		return true;
	return choose_epoch(c, l, &name, errors) && load(c, b, l, &name, errors) &&
	       set_acct(true, errors);
}

int wiring_lock(const struct config *c, bool wait)
{
	char path[PATH_MAX];
	if (!runtime_path(c, "", path))
		return -ENAMETOOLONG;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) == 0)
		return fd;
	int error = -errno;
	if (fd >= 0)
		close(fd);
	return error;
}

bool wiring_is_down(const struct config *c)
{
	char path[PATH_MAX];
	return runtime_path(c, DOWN_NOTE, path) && access(path, F_OK) == 0;
}

/* Whoever watches the rules must not put back what was meant to go. */
static void note_down(const struct config *c, bool down)
{
	char path[PATH_MAX];
	if (!runtime_path(c, DOWN_NOTE, path))
		return;
	int fd = down ? open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644) : -1;
	if (fd >= 0)
		close(fd);
	if (!down)
		unlink(path);
}

bool wiring_up(const struct config *c, enum wiring_backend b, const char *policy,
	       struct errors *errors)
{
	struct loaded l;
	int lock = wiring_lock(c, true);
	if (b == WIRING_NONE)
		b = wiring_probe(c, errors);
	bool ok = b != WIRING_NONE && loaded_read(&l, errors);
	if (ok) {
		ok = up(c, b, &l, policy, errors);
		loaded_deinit(&l);
	}
	if (ok)
		note_down(c, false);
	if (lock >= 0)
		close(lock);
	return ok;
}

bool wiring_restore(const struct config *c, enum wiring_backend b, const struct rules_name *name,
		    struct errors *errors)
{
	struct loaded l;
	if (!loaded_read(&l, errors))
		return false;
	bool ok = load(c, b, &l, name, errors);
	loaded_deinit(&l);
	return ok;
}

static bool take_down(const struct config *c, struct loaded *l, struct errors *errors)
{
	bool ok = true;
	if (l->nft)
		ok = remove_nft(errors);
	if (l->iptables)
		ok = remove_iptables(l, errors) && ok;
	if (l->named && !l->name.acct)
		ok = set_acct(false, errors) && ok;
	if (c && l->named && conntrack_sweep(c->mark_mask, CONNTRACK_EVERY_EPOCH) < 0) {
		errors_add(errors, NULL, 0, "marks of flows can't be cleared");
		ok = false;
	}
	return ok;
}

bool wiring_down(const struct config *c, struct errors *errors)
{
	struct loaded l;
	int lock = wiring_lock(c, true);
	bool ok = loaded_read(&l, errors);
	if (ok) {
		note_down(c, true);
		ok = take_down(c, &l, errors);
		loaded_deinit(&l);
	}
	if (lock >= 0)
		close(lock);
	return ok;
}

/* --- check --------------------------------------------------------------------------------- */

bool wiring_epoch(const struct config *c, unsigned *epoch)
{
	struct loaded l;
	struct errors ignored = {0};
	bool ok = loaded_read(&l, &ignored);
	errors_deinit(&ignored);
	if (!ok)
		return false;
	ok = l.named;
	*epoch = l.name.epoch;
	loaded_deinit(&l);
	return ok;
}

/* The expected listing: the same rules, loaded and listed by the same tools, in a scratch
 * namespace. Where none can be made the digest has to do. */
static void compare(const struct rules *r, const struct loaded *l, int family,
		    struct errors *errors)
{
	static const char *const commands[] = {
		("nft -f - && nft -s list table inet " RULES_TABLE),
		"iptables-restore --noflush && iptables-save",
		"ip6tables-restore --noflush && ip6tables-save",
	};
	const char *command = commands[l->nft ? 0 : family == 4 ? 1 : 2];
	struct tool t = {0};
	char *text = text_of(r, l->nft ? WIRING_NFT : WIRING_IPTABLES, family);
	if (text && (l->nft || !l->unlisted[family == 6]) &&
	    tool_run(&t, (const char *[]){"sh", "-c", command, NULL}, text, true) && t.status == 0)
		loaded_compare(l, family, t.out, errors);
	tool_deinit(&t);
	free(text);
}

static bool check_digest(const struct config *c, const struct loaded *l, struct errors *errors)
{
	char digest[9];
	if (!l->named) {
		errors_add(errors, NULL, 0,
			   "no rules of tiergate are in the kernel; `tiergatectl wiring up` loads "
			   "them");
		return false;
	}
	if (!digest_of(c, l->nft ? WIRING_NFT : WIRING_IPTABLES, digest, errors))
		return false;
	if (strcmp(digest, l->name.rules) == 0)
		return true;
	errors_add(errors, NULL, 0,
		   "the rules in the kernel are those of another configuration; `tiergatectl "
		   "wiring up` loads these");
	return false;
}

/* What the listings don't tell. */
static void check_set(const struct rules *r, const struct loaded *l, struct errors *errors)
{
	uint64_t counts[RULESET_COUNTS] = {0};
	for (int family = 4; !l->nft && l->set.iptables && family <= (ip6_here() ? 6 : 4);
	     family += 2) {
		char *text = text_of(r, WIRING_IPTABLES, family);
		if (text && l->unlisted[family == 6])
			ruleset_compare(&l->set, family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4, text,
					errors, counts);
		free(text);
	}
	if (l->set.dormant)
		errors_add(errors, NULL, 0, "a table with our rules is switched off (dormant)");
	if ((l->unlisted[0] || l->unlisted[1]) && l->set.misplaced)
		errors_add(errors, NULL, 0,
			   "rules of others stand before ours where these must be first, or after "
			   "ours in mangle PREROUTING, where these must be last");
	else
		loaded_check_order(l, errors);
}

static void check_whole(const struct config *c, const struct loaded *l, struct errors *errors)
{
	struct rules r;
	if (!check_digest(c, l, errors) || !rules_init(&r, c, l->name.epoch, errors))
		return;
	rules_name_format(&l->name, r.name);
	r.devices = NULL; /* loaded_compare leaves them out */
	compare(&r, l, 4, errors);
	if (!l->nft && ip6_here())
		compare(&r, l, 6, errors);
	check_set(&r, l, errors);
	char setting[256];
	if (!wiring_settings(setting))
		errors_add(errors, NULL, 0, "%s", setting);
}

bool wiring_loaded(const struct config *c, struct errors *errors)
{
	struct loaded l;
	if (!loaded_read(&l, errors))
		return false;
	bool ok = check_digest(c, &l, errors);
	loaded_deinit(&l);
	return ok;
}

bool wiring_check(const struct config *c, struct errors *errors)
{
	struct loaded l;
	size_t before = errors->count;
	if (!loaded_read(&l, errors))
		return false;
	if (l.nft && l.iptables)
		errors_add(errors, NULL, 0,
			   "rules of both nft and iptables are in the kernel; `tiergatectl wiring "
			   "up` leaves those of one");
	else
		check_whole(c, &l, errors);
	loaded_deinit(&l);
	return errors->count == before;
}

bool wiring_interfaces(const struct config *c, struct errors *errors)
{
	size_t before = errors->count;
	return links_check(&c->inside, errors) && errors->count == before;
}

/* --- the look of who watches --------------------------------------------------------------- */

static enum wiring_state judge_name(const struct config *c, const struct ruleset *r,
				    char out[static 256])
{
	struct errors ignored = {0};
	char digest[9] = "";
	const char *text = NULL;
	enum wiring_state state = WIRING_OTHER;
	if (!r->nft && !r->iptables) {
		text = "no rules of tiergate are in the kernel; `tiergatectl wiring up` loads them";
		state = WIRING_GONE;
	} else if (!r->named) {
		text = "the chain that names the rules is gone from the kernel";
		state = WIRING_DAMAGED;
	} else if (r->nft && r->iptables) {
		text = "rules of both nft and iptables are in the kernel; `tiergatectl wiring up` "
		       "leaves those of one";
	} else if (!digest_of(c, r->nft ? WIRING_NFT : WIRING_IPTABLES, digest, &ignored) ||
		   strcmp(digest, r->name.rules) != 0) {
		text = "the rules in the kernel are those of another configuration; `tiergatectl "
		       "wiring up` loads these";
	}
	errors_deinit(&ignored);
	snprintf(out, 256, "%s", text ? text : "in place");
	return text ? state : WIRING_GOOD;
}

static void compare_set(const struct config *c, const struct ruleset *s, struct errors *faults,
			uint64_t counts[static RULESET_COUNTS])
{
	struct rules r;
	if (!rules_init(&r, c, s->name.epoch, faults))
		return;
	rules_name_format(&s->name, r.name);
	for (int family = 4; family <= (s->nft || !ip6_here() ? 4 : 6); family += 2) {
		char *text = text_of(&r, s->nft ? WIRING_NFT : WIRING_IPTABLES, family);
		if (text)
			ruleset_compare(s,
					s->nft        ? NFPROTO_INET
					: family == 4 ? NFPROTO_IPV4
						      : NFPROTO_IPV6,
					text, faults, counts);
		free(text);
	}
	if (s->dormant)
		errors_add(faults, NULL, 0, "a table with our rules is switched off (dormant)");
	if (s->misplaced)
		errors_add(faults, NULL, 0,
			   "rules of others stand before ours where these must be first, or after "
			   "ours in mangle PREROUTING, where these must be last");
}

enum wiring_state wiring_judge(const struct config *c, const struct ruleset *r,
			       uint64_t counts[static RULESET_COUNTS], char out[static 256])
{
	struct errors faults = {0};
	enum wiring_state state = judge_name(c, r, out);
	memset(counts, 0, sizeof *counts * RULESET_COUNTS);
	if (state == WIRING_GOOD) {
		compare_set(c, r, &faults, counts);
		if (faults.count) {
			state = WIRING_DAMAGED;
			snprintf(out, 256, "%s", faults.lines[0]);
		}
	}
	errors_deinit(&faults);
	return state;
}
