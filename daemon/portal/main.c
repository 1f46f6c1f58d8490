/* tiergate-portal: signs people in over HTTPS. */
#include "base/clock.h"
#include "base/exit.h"
#include "base/log.h"
#include "base/version.h"
#include "portal/asked.h"
#include "portal/assets.h"
#include "portal/checker.h"
#include "portal/confine.h"
#include "portal/cookie.h"
#include "portal/limit.h"
#include "portal/portal.h"
#include "radius/server.h"
#include "portal/readable.h"
#include "portal/server.h"
#include "portal/tls.h"
#include "state/store.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>

#define CONFIG_DEFAULT "/etc/tiergate/portal.conf"
#define SAVE_USEC      2000000
#define TELL_USEC      5000000
#define DAY_USEC       UINT64_C(86400000000)
#define USER           "tiergate-portal"

static const char usage_text[] = "usage: tiergate-portal [--config FILE] [--check | --reload PID]\n"
				 "       tiergate-portal --version\n"
				 "FILE is " CONFIG_DEFAULT " unless given.\n";

struct arguments {
	const char *config;
	long reload; /* a process, or 0 */
	bool check, help, version;
};

static bool parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
		{"reload", required_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},      {0}};
	int c;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'c': a->config = optarg; break;
		case 'k': a->check = true; break;
		case 'r':
			a->reload = strtol(optarg, NULL, 10);
			if (a->reload <= 1)
				return false;
			break;
		case 'h': a->help = true; break;
		case 'v': a->version = true; break;
		default: return false;
		}
	}
	return optind == argc;
}

/* At the start, after each reload, and daily: a certificate that ends is seen before it does. */
static void look(struct portal *p)
{
	struct errors warnings = {0};
	const struct portal_config *c = p->config;
	tls_look(c->certificate, portal_authority(c), clock_wall(), &warnings);
	if ((c->credentials & CREDENTIALS_USERS) && access(c->users_file, R_OK) != 0)
		errors_add(&warnings, c->users_file, 0,
			   "the users file cannot be read: %s; nobody can sign in by it",
			   strerror(errno));
	for (size_t i = 0; i < warnings.count; i++)
		log_warn("%s", warnings.lines[i]);
	errors_deinit(&warnings);
}

static void tell(struct portal *p, const char *stopped)
{
	const struct portal_config *c = p->config;
	tally_tell(&p->tally, c->control_socket, c->url, stopped, clock_wall());
}

/* For status. */
static void take_errors(struct portal *p, const char *what, const struct errors *errors)
{
	char text[512];
	snprintf(text, sizeof text, "%s: %s", what, errors->count ? errors->lines[0] : "no memory");
	tally_error(&p->tally, clock_wall(), text);
	tell(p, NULL);
}

static int on_tell(sd_event_source *source, uint64_t now, void *ctx)
{
	tell(ctx, NULL);
	sd_event_source_set_time(source, now + TELL_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *info, void *ctx)
{
	struct errors errors = {0};
	sd_notify(0, "RELOADING=1");
	struct portal *p = ctx;
	bool done = portal_reload(p, &errors);
	asked_answer(p->config->state_dir, done, &errors);
	errors_print(&errors, stderr);
	if (!done)
		take_errors(ctx, "the last reload was refused", &errors);
	errors_deinit(&errors);
	if (done) {
		log_info("configuration, certificate and texts are read again");
		look(ctx);
	}
	if (!done)
		log_error("nothing is changed");
	else
		tell(ctx, NULL);
	sd_notify(0, "READY=1");
	return 0;
}

static int on_day(sd_event_source *source, uint64_t now, void *ctx)
{
	look(ctx);
	sd_event_source_set_time(source, now + DAY_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void save(struct portal *p)
{
	int e = p->store ? cookies_save(p->cookies, p->store) : 0;
	int guesses = p->store ? limit_save(p->limit, p->store) : 0;
	if (e < 0 || guesses < 0)
		log_warn("%s: %s cannot be saved: %s", p->config->state_dir,
			 e < 0 ? "cookies" : "counts of guesses", strerror(e < 0 ? -e : -guesses));
}

static int on_save(sd_event_source *source, uint64_t now, void *ctx)
{
	save(ctx);
	sd_event_source_set_time(source, now + SAVE_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
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

/* What pages need; then the pages. */
static bool start(struct portal *p, struct errors *errors)
{
	const struct portal_config *c = p->config;
	p->assets = assets_load(c, errors);
	bool tls = tls_load(c->certificate, c->key, errors);
	p->cookies = cookies_new();
	p->limit = limit_new();
	if (!p->assets || !tls || !p->cookies || !p->limit)
		return false;
	p->store = store_folder_new(c->state_dir);
	if (p->store) {
		cookies_load(p->cookies, p->store, clock_now());
		limit_load(p->limit, p->store);
	}
	if (c->radius.listen.port &&
	    !(p->radius = radius_server_new(&c->radius, c->control_socket, c->state_dir, p->event,
					    errors)))
		return false;
	p->began_with_pam = c->credentials & CREDENTIALS_PAM;
	if (!portal_confine(p, errors))
		return false;
	p->checkers = checkers_new(p, c->checkers);
	p->server = p->checkers ? server_new(p, errors) : NULL;
	return p->server;
}

static void stop(struct portal *p)
{
	if (p->checkers)
		checkers_stop(p->checkers);
	server_free(p->server);
	checkers_free(p->checkers);
	if (p->cookies && p->limit)
		save(p);
	if (p->store)
		p->store->ops->free(p->store);
	radius_server_free(p->radius);
	cookies_free(p->cookies);
	limit_free(p->limit);
	assets_free(p->assets);
	tls_unload();
}

static int run(struct portal *p, struct errors *errors)
{
	int e = sd_event_default(&p->event);
	if (e >= 0)
		e = signals_init(p);
	if (e >= 0)
		e = sd_event_add_time_relative(p->event, NULL, CLOCK_MONOTONIC, SAVE_USEC, 0,
					       on_save, p);
	if (e >= 0)
		e = sd_event_add_time_relative(p->event, NULL, CLOCK_BOOTTIME, DAY_USEC, 60000000,
					       on_day, p);
	if (e >= 0)
		e = sd_event_add_time_relative(p->event, NULL, CLOCK_MONOTONIC, TELL_USEC, 0,
					       on_tell, p);
	if (e < 0) {
		errors_add(errors, NULL, 0, "the event loop cannot be made: %s", strerror(-e));
		return EXIT_CANNOT;
	}
	int status = EXIT_CANNOT;
	if (start(p, errors)) {
		sd_event_set_watchdog(p->event, 1);
		sd_notify(0, "READY=1");
		log_info("signing people in at %s", p->config->url);
		look(p);
		tell(p, NULL);
		status = sd_event_loop(p->event) < 0 ? EXIT_CANNOT : EXIT_DONE;
		sd_notify(0, "STOPPING=1");
		tell(p, status == EXIT_DONE ? "it was stopped" : "its event loop failed");
	}
	stop(p);
	return status;
}

/* All that a start would find wrong, but for what is running already. */
static bool check_files(const struct portal_config *c, struct errors *errors)
{
	size_t before = errors->count;
	struct assets *assets = assets_load(c, errors);
	struct errors warnings = {0};
	tls_load(c->certificate, c->key, errors);
	readable_check(c, USER, errors);
	tls_look(c->certificate, portal_authority(c), clock_wall(), &warnings);
	for (size_t i = 0; i < warnings.count; i++)
		fprintf(stderr, "warning: %s\n", warnings.lines[i]);
	errors_deinit(&warnings);
	assets_free(assets);
	tls_unload();
	return assets && errors->count == before;
}

int main(int argc, char **argv)
{
	struct arguments a = {.config = CONFIG_DEFAULT};
	struct errors errors = {0};
	struct portal p = {.lock = PTHREAD_RWLOCK_INITIALIZER,
			   .tally = {.lock = PTHREAD_MUTEX_INITIALIZER, .since = clock_wall()}};
	if (!parse(argc, argv, &a) || a.help) {
		fputs(usage_text, a.help ? stdout : stderr);
		return a.help ? EXIT_DONE : EXIT_USAGE;
	}
	if (a.version) {
		version_print("tiergate-portal");
		return EXIT_DONE;
	}
	p.config_file = a.config;
	p.config = portal_config_load(a.config, &errors);
	int status = p.config ? EXIT_DONE : EXIT_NO;
	if (p.config && a.check && check_files(p.config, &errors))
		printf("%s: good\n", a.config);
	else if (p.config && a.check)
		status = EXIT_NO;
	else if (p.config && a.reload)
		status = asked_reload(p.config->state_dir, a.reload, &errors) ? EXIT_DONE : EXIT_NO;
	else if (p.config)
		status = run(&p, &errors);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	sd_event_unref(p.event);
	portal_config_free(p.config);
	return status;
}
