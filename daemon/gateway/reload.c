/* A reload: the configuration is loaded, compiled and tried on a thread of its own, however long it
 * takes, while the main thread serves; that one swaps the policy when it is good. */
#include "gateway/inner.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/schema.h"
#include "source/nfqueue.h"
#include "wiring/wiring.h"

#include <inttypes.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <urcu.h>

#define NICE 10 /* packets come before a reload */

static void refuse_fixed(void *ctx, const char *name)
{
	errors_add(ctx, NULL, 0,
		   "%s: a running tiergated can't change it; systemctl restart tiergated", name);
}

void reload_taken(const struct config *c)
{
	struct errors errors = {0};
	for (size_t i = 0; i < c->notes.count; i++)
		log_warn("%s", c->notes.lines[i]);
	if (!config_keep(c, &errors))
		for (size_t i = 0; i < errors.count; i++)
			log_warn("%s", errors.lines[i]);
	errors_deinit(&errors);
}

/* All that takes long; of the gateway only what never changes is looked at. */
static void *reload_run(void *ctx)
{
	struct gateway *g = ctx;
	struct reload *r = &g->reload;
	const struct config *c;
	pthread_setname_np(pthread_self(), "reload");
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	policy_load_and_expect(g->o.config, CONFIG_FOR_RUN, &r->policy, &r->errors);
	c = r->policy.config;
	if (c)
		table_fixed(&schema_main, g->config, c, refuse_fixed, &r->errors);
	if (!r->errors.count && !wiring_loaded(c, &r->errors))
		errors_add(&r->errors, NULL, 0, "tiergatectl wiring up, then reload again");
	if (!r->errors.count) {
		hits_count(g, &r->policy);
		reload_taken(c);
		history_changed(g->latest ? g->latest : g->config, snapshot_digest(g->snapshot), c,
				snapshot_digest(r->policy.snapshot), r->by);
	}
	eventfd_write(r->done_fd, 1);
	return NULL;
}

static void reload_start(struct gateway *g)
{
	struct reload *r = &g->reload;
	int e = pthread_create(&r->thread, NULL, reload_run, g);
	r->running = e == 0;
	r->again = false;
	if (e == 0)
		return;
	errors_add(&r->errors, NULL, 0, "a thread could not be started: %s", strerror(e));
	eventfd_write(r->done_fd, 1);
}

/* sd_notify(3): what RELOADING=1 has to carry. */
static uint64_t monotonic_usec(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

bool reload_begin(void *ctx, const char *by)
{
	struct gateway *g = ctx;
	struct reload *r = &g->reload;
	if (r->running) { /* it may have read files that are no longer the same */
		snprintf(r->next, sizeof r->next, "%s", by);
		r->again = true;
		return true;
	}
	snprintf(r->by, sizeof r->by, "%s", by);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_usec());
	reload_start(g);
	return false;
}

static void reload_forget(struct reload *r)
{
	policy_free(&r->policy);
	errors_deinit(&r->errors);
	r->errors = (struct errors){0};
}

static void put_in_force(struct gateway *g)
{
	if (!lockdowns_over(g, g->reload.policy.snapshot)) {
		sd_event_exit(g->event, 1);
		return;
	}
	quotas_over(g, g->reload.policy.snapshot);
	struct snapshot *old = rcu_xchg_pointer(&g->snapshot, g->reload.policy.snapshot);
	synchronize_rcu();
	hits_fold(&g->hits);
	hits_in_force(g);
	snapshot_free(old);
	watch_config(g->watch, g->reload.policy.config);
	config_free(g->latest);
	g->latest = g->reload.policy.config;
	g->reload.policy = (struct policy){0};
	identity_reload(g, g->latest);
	for (unsigned i = 0; i < g->config->queues; i++)
		nfqueue_fail_open(g->lanes[i].source, g->latest->when_full == CONFIG_OPEN);
	g->loaded = clock_wall();
	g->last_good[0] = '\0';
	log_info("policy %s is in force", snapshot_digest(g->snapshot));
}

static void refuse(struct gateway *g)
{
	const struct errors *e = &g->reload.errors;
	for (size_t i = 0; i < e->count; i++)
		log_error("%s", e->lines[i]);
	log_error("reload refused, policy %s stays in force", snapshot_digest(g->snapshot));
	snprintf(g->refused, sizeof g->refused, "%s", e->lines[0]);
}

/* Each one ends and is answered, however often another is asked for meanwhile: else whoever sends
 * a signal every moment would hold up all reloads. Not RELOADING again: the service manager begins
 * none of its own meanwhile. */
static void follow(struct gateway *g)
{
	memcpy(g->reload.by, g->reload.next, sizeof g->reload.by);
	reload_start(g);
}

int reload_done(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	struct gateway *g = ctx;
	struct reload *r = &g->reload;
	eventfd_t count;
	eventfd_read(fd, &count);
	if (r->running)
		pthread_join(r->thread, NULL);
	r->running = false;
	g->refused[0] = '\0';
	if (r->errors.count)
		refuse(g);
	else
		put_in_force(g);
	gateway_act(g, r->by, g->refused[0] ? "reload-refused" : "reload", g->refused);
	sd_notifyf(0, "READY=1\nSTATUS=policy %s%s", snapshot_digest(g->snapshot),
		   g->refused[0] ? "; the last reload was refused" : "");
	control_reloaded(g->control, &r->errors);
	reload_forget(r);
	if (r->again)
		follow(g);
	return 0;
}

void reload_end(struct gateway *g)
{
	if (g->reload.running) { /* and may hang in a file that is no file, or on a dead disk */
		pthread_cancel(g->reload.thread);
		pthread_join(g->reload.thread, NULL);
	}
	g->reload.running = false;
	reload_forget(&g->reload);
}
