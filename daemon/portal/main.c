/* tiergate-portal: signs people in over HTTPS. */
#include "portal/portal.h"

#include "base/log.h"
#include "portal/radius_server.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define CONFIG_DEFAULT "/etc/tiergate/portal.conf"

enum { EXIT_DONE, EXIT_NO, EXIT_USAGE, EXIT_CANNOT };

static const char usage_text[] = "usage: tiergate-portal [--config FILE] [--check]\n"
				 "FILE is " CONFIG_DEFAULT " unless given.\n";

struct arguments {
	const char *config;
	bool check, help;
};

static bool parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"check", no_argument, NULL, 'k'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c': a->config = optarg; break;
		case 'k': a->check = true; break;
		case 'h': a->help = true; break;
		default: return false;
		}
	}
	return optind == argc;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *info, void *ctx)
{
	return 0;
}

/* Signals are blocked before any thread begins, so that only the loop takes them. */
static int signals_init(struct portal *p)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	int e = sd_event_add_signal(p->event, NULL, SIGTERM, NULL, NULL);
	if (e >= 0)
		e = sd_event_add_signal(p->event, NULL, SIGINT, NULL, NULL);
	if (e >= 0)
		e = sd_event_add_signal(p->event, NULL, SIGHUP, on_hangup, p);
	return e;
}

static int run(struct portal *p, struct errors *errors)
{
	int e = sd_event_default(&p->event);
	if (e >= 0)
		e = signals_init(p);
	if (e < 0) {
		errors_add(errors, NULL, 0, "the event loop cannot be made: %s", strerror(-e));
		return EXIT_CANNOT;
	}
	if (p->config->radius_port && !(p->radius = radius_server_new(p->config, p->event, errors)))
		return EXIT_CANNOT;
	sd_event_set_watchdog(p->event, 1);
	sd_notify(0, "READY=1");
	return sd_event_loop(p->event) < 0 ? EXIT_CANNOT : EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct arguments a = {.config = CONFIG_DEFAULT};
	struct errors errors = {0};
	struct portal p = {0};
	if (!parse(argc, argv, &a) || a.help) {
		fputs(usage_text, a.help ? stdout : stderr);
		return a.help ? EXIT_DONE : EXIT_USAGE;
	}
	p.config = portal_config_load(a.config, &errors);
	int status = p.config ? EXIT_DONE : EXIT_NO;
	if (p.config && a.check)
		printf("%s: good\n", a.config);
	else if (p.config)
		status = run(&p, &errors);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	radius_server_free(p.radius);
	sd_event_unref(p.event);
	portal_config_free(p.config);
	return status;
}
