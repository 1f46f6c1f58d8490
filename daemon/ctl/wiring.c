/* tiergatectl wiring: the kernel's rules, without a daemon. */
#include "ctl/wiring.h"

#include "base/file.h"
#include "config/config.h"
#include "policy/snapshot.h"
#include "wiring/fallback.h"
#include "wiring/wiring.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

enum { DONE, NO, USAGE, CANNOT };

static const char usage[] =
	"usage: tiergatectl wiring up|down|check|print [--config FILE] [--backend nft|iptables]\n";

struct request {
	const char *config;
	enum wiring_backend backend; /* WIRING_NONE: what the kernel has */
	bool help;
};

static int say(struct errors *errors, int status)
{
	errors_print(errors, stderr);
	errors_deinit(errors);
	return status;
}

static int up(const struct config *c, const struct request *r, struct errors *errors)
{
	struct snapshot *s = snapshot_compile(c, errors);
	if (!s)
		return NO;
	bool ok = wiring_up(c, r->backend, snapshot_digest(s), errors);
	snapshot_free(s);
	return ok ? DONE : CANNOT;
}

static int down(const struct config *c, const struct request *r, struct errors *errors)
{
	return wiring_down(c, errors) ? DONE : CANNOT;
}

static int check(const struct config *c, const struct request *r, struct errors *errors)
{
	struct errors warnings = {0};
	wiring_warn(c, &warnings);
	for (size_t i = 0; i < warnings.count; i++)
		fprintf(stderr, "warning: %s\n", warnings.lines[i]);
	errors_deinit(&warnings);
	/* ambient, as nft and iptables inherit it */
	if (geteuid() != 0 &&
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_ADMIN, 0, 0) != 1) {
		errors_add(errors, NULL, 0,
			   "the kernel shows its rules to root alone; run it as root");
		return CANNOT;
	}
	bool rules = wiring_check(c, errors), interfaces = wiring_interfaces(c, errors);
	if (!rules || !interfaces)
		return NO;
	puts("the kernel's rules are those of the configuration");
	return DONE;
}

static int print(const struct config *c, const struct request *r, struct errors *errors)
{
	enum wiring_backend b = r->backend ? r->backend : wiring_probe(c, errors);
	unsigned epoch = 0;
	if (b == WIRING_NONE || !wiring_text(c, b, epoch, stdout, errors))
		return NO;
	return DONE;
}

static const struct {
	const char *name;
	int (*run)(const struct config *, const struct request *, struct errors *);
} verbs[] = {{"up", up}, {"down", down}, {"check", check}, {"print", print}};

static bool parse(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"backend", required_argument, NULL, 'b'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int o;
	optind = 1;
	while ((o = getopt_long(argc, argv, "c:b:h", options, NULL)) != -1) {
		if (o == 'c')
			r->config = optarg;
		else if (o == 'b' && strcmp(optarg, "nft") == 0)
			r->backend = WIRING_NFT;
		else if (o == 'b' && strcmp(optarg, "iptables") == 0)
			r->backend = WIRING_IPTABLES;
		else if (o == 'h')
			r->help = true;
		else
			return false;
	}
	return r->help || optind == argc - 1;
}

/* At a boot, where no rules are there yet, a configuration with an error must not leave the network
 * open: the last good one's rules are loaded. No, all the same. */
static int up_by_fallback(const struct request *r, struct errors *errors)
{
	unsigned epoch;
	struct config *c = fallback_load(FALLBACK_FILE, errors);
	if (c && !wiring_epoch(c, &epoch) && up(c, r, errors) == DONE)
		errors_add(
			errors, NULL, 0,
			"the rules of the last good configuration are loaded instead: until this "
			"one is mended nothing new gets out that needs a decision%s",
			c->when_down == CONFIG_OPEN ? ", unless when_down = \"open\" lets it" : "");
	config_free(c);
	return NO;
}

static void keep_fallback(const struct config *c)
{
	int e = fallback_save(FALLBACK_FILE, c);
	if (e < 0 && e != -ENOENT && e != -EACCES)
		fprintf(stderr, "warning: %s: the settings can't be kept for a next boot: %s\n",
			FALLBACK_FILE, strerror(-e));
}

int ctl_wiring(int argc, char **argv)
{
	struct request r = {.config = "/etc/tiergate/tiergate.conf"};
	struct errors errors = {0};
	size_t i = 0, count = sizeof verbs / sizeof *verbs;
	bool ok = parse(argc, argv, &r);
	if (r.help) {
		fputs(usage, stdout);
		return DONE;
	}
	while (ok && i < count && strcmp(argv[optind], verbs[i].name) != 0)
		i++;
	if (!ok || i == count) {
		if (ok)
			fprintf(stderr, "tiergatectl: wiring has no %s\n", argv[optind]);
		fputs(usage, stderr);
		return USAGE;
	}
	/* as at a start: no list of sites may keep the rules away */
	struct config *c = config_load(r.config, CONFIG_FOR_START, &errors);
	if (!c && verbs[i].run == up)
		return say(&errors, up_by_fallback(&r, &errors));
	if (!c && verbs[i].run != down)
		return say(&errors, file_can_be_read(r.config) ? NO : CANNOT);
	int status = verbs[i].run(c, &r, &errors); /* a broken file must not keep the rules up */
	if (verbs[i].run == up && status == DONE)
		keep_fallback(c);
	config_free(c);
	return say(&errors, status);
}
