/* tiergated run | check | replay */
#include "base/exit.h"
#include "base/log.h"
#include "base/version.h"
#include "gateway/gateway.h"
#include "policy/load.h"
#include "gateway/replay.h"
#include "source/reply.h"
#include "wiring/wiring.h"

#include "base/clock.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_DEFAULT "/etc/tiergate/tiergate.conf"
#define MANY           4096 /* repeated options of one command line */

static const char usage_text[] =
	"usage: tiergated run    [--config FILE] [--foreground] [--last-good FOLDER]\n"
	"       tiergated check  [--config FILE] [--print]\n"
	"       tiergated replay [--config FILE] --read IN.pcap [--write OUT.pcap]\n"
	"                        [--session ADDRESS=USER:TIER]... [--inside NETWORK]... [--stats]\n"
	"       tiergated sockets\n"
	"       tiergated --version\n"
	"\n"
	"  run     decide the kernel's packets until ended\n"
	"  check   say all that is wrong with a configuration, or print it\n"
	"  replay  decide a capture's packets and write the records to standard output\n"
	"  sockets give the service manager what only root may open, for run\n"
	"\n"
	"FILE is " CONFIG_DEFAULT " unless given. tiergated(8) says more.\n";

static int usage(FILE *to)
{
	fputs(usage_text, to);
	return to == stdout ? EXIT_DONE : EXIT_USAGE;
}

static void warn(const struct config *c)
{
	struct errors warnings = {0};
	config_warn(c, clock_now(), &warnings);
	config_old_lists(c, clock_wall(), &warnings);
	wiring_interfaces(c, &warnings);
	for (size_t i = 0; i < c->notes.count; i++)
		fprintf(stderr, "warning: %s\n", c->notes.lines[i]);
	wiring_warn_of_ways(c, &warnings);
	wiring_warn_of_resolvers(c, &warnings);
	for (size_t i = 0; i < warnings.count; i++)
		fprintf(stderr, "warning: %s\n", warnings.lines[i]);
	errors_deinit(&warnings);
}

static int check(const char *path, bool print)
{
	struct errors errors = {0};
	struct policy p = {0};
	bool good = policy_load_and_expect(path, CONFIG_FOR_CHECK, &p, &errors);
	errors_print(&errors, stderr);
	if (good)
		warn(p.config);
	if (good && print) {
		config_print(p.config, stdout);
	} else if (good) {
		printf("%s: good; policy %s\n", path, snapshot_digest(p.snapshot));
		config_count(p.config, stdout);
	}
	policy_free(&p);
	errors_deinit(&errors);
	return good ? EXIT_DONE : EXIT_NO;
}

static int hand_over_sockets(void)
{
	struct errors errors = {0};
	bool done = reply_hand_over(&errors);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	return done ? EXIT_DONE : EXIT_CANNOT;
}

struct arguments {
	const char *config;
	const char *last_good;
	bool foreground, print, help;
	struct replay_options replay;
	const char *sessions[MANY], *inside[MANY];
};

/* False where the command line is wrong (getopt has said how). */
static bool parse(int argc, char **argv, const char *allowed, struct arguments *a)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"foreground", no_argument, NULL, 'f'},
		{"print", no_argument, NULL, 'p'},
		{"read", required_argument, NULL, 'r'},
		{"write", required_argument, NULL, 'w'},
		{"session", required_argument, NULL, 's'},
		{"inside", required_argument, NULL, 'i'},
		{"stats", no_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"last-good", required_argument, NULL, 'l'},
		{0},
	};
	int c;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == '?' || (c != 'h' && !strchr(allowed, c)))
			return false;
		switch (c) {
		case 'c': a->config = optarg; break;
		case 'f': a->foreground = true; break;
		case 'p': a->print = true; break;
		case 'r': a->replay.read = optarg; break;
		case 'w': a->replay.write = optarg; break;
		case 't': a->replay.stats = true; break;
		case 'l': a->last_good = optarg; break;
		case 'h': a->help = true; break;
		case 's':
			if (a->replay.session_count == MANY)
				return false;
			a->sessions[a->replay.session_count++] = optarg;
			break;
		case 'i':
			if (a->replay.inside_count == MANY)
				return false;
			a->inside[a->replay.inside_count++] = optarg;
			break;
		}
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	static struct arguments a = {.config = CONFIG_DEFAULT};
	const char *verb = argc > 1 ? argv[1] : "";
	if (!strcmp(verb, "--help") || !strcmp(verb, "-h"))
		return usage(stdout);
	if (!strcmp(verb, "--version")) {
		version_print("tiergated");
		return EXIT_DONE;
	}
	const char *allowed = !strcmp(verb, "run")       ? "cfl"
			      : !strcmp(verb, "check")   ? "cp"
			      : !strcmp(verb, "replay")  ? "crwsit"
			      : !strcmp(verb, "sockets") ? ""
							 : NULL;
	if (!allowed && *verb)
		fprintf(stderr, "tiergated: there is no command %s\n", verb);
	if (!allowed || !parse(argc - 1, argv + 1, allowed, &a))
		return usage(stderr);
	if (a.help)
		return usage(stdout);
	if (!strcmp(verb, "check"))
		return check(a.config, a.print);
	if (!strcmp(verb, "sockets"))
		return hand_over_sockets();
	if (!strcmp(verb, "run"))
		return gateway_run(&(struct gateway_options){a.config, a.foreground, a.last_good});
	if (!a.replay.read)
		return usage(stderr);
	a.replay.config = a.config;
	a.replay.sessions = a.sessions;
	a.replay.inside = a.inside;
	return replay_run(&a.replay);
}
