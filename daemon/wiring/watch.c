#include "wiring/watch.h"

#include "base/log.h"
#include "base/netlink.h"
#include "wiring/links.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS  INT64_C(1000000)
#define NS_PER_S   (1000 * NS_PER_MS)
#define QUIET      (60 * NS_PER_S) /* so long without a loss, and the next one is a first one */
#define STEPS      8               /* of a firewall's restart, at most */
#define STEP_PAUSE (500 * NS_PER_MS)
#define PAUSE_MAX  (8 * NS_PER_S)
#define LINKS_EACH (30 * NS_PER_S) /* should a notice be lost */
#define FRESH_WAIT (300 * NS_PER_MS)

enum { RULES, LINKS, ASKED, SOURCES, COST = 20 /* rest so many times what a look took */ };

struct watch {
	const struct config *config;
	pthread_mutex_t using;        /* the configuration: a look has it */
	struct mnl_socket *socket[2]; /* RULES, LINKS */
	int asked;                    /* eventfd: look, or stop */
	pthread_t thread;
	bool running;
	_Atomic bool stop;

	/* the thread's alone */
	struct rules_name name; /* of the rules when they were last good */
	enum wiring_backend backend;
	uint64_t print;
	bool known, printed; /* name and backend, print */
	unsigned times;      /* put back in a row */
	int64_t last_back, next_look, next_links;
	int64_t due;    /* what waits for a pause to be put back; 0: nothing does */
	bool seen_loss; /* said and counted */
	bool seen_setting;
	uint64_t last[RULESET_COUNTS], before[RULESET_COUNTS];

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t looked;
	uint64_t looks;
	bool busy;
	struct watch_state state;
};

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* A firewall that starts anew takes rules away in several steps, and an administrator may have it
 * do so several times: that is no fight, and each pause is one in which traffic passes undecided.
 */
int64_t watch_pause(unsigned times)
{
	if (times < STEPS)
		return times ? STEP_PAUSE : 0;
	int64_t pause = NS_PER_S << (times - STEPS < 3 ? times - STEPS : 3);
	return pause < PAUSE_MAX ? pause : PAUSE_MAX;
}

/* --- the rules ----------------------------------------------------------------------------- */

static bool same_name(const struct rules_name *a, const struct rules_name *b)
{
	return a->epoch == b->epoch && a->acct == b->acct && strcmp(a->rules, b->rules) == 0 &&
	       strcmp(a->policy, b->policy) == 0;
}

static void know(struct watch *w, const struct ruleset *r)
{
	w->known = true;
	w->name = r->name;
	w->backend = r->nft ? WIRING_NFT : WIRING_IPTABLES;
}

/* The first good look at rules of a name tells what they are: that their number is right was looked
 * at, and later a change of any is seen. Rules of this configuration that are not whole at the
 * first look, as another firewall began between `wiring up` and the daemon, are known by their
 * name. */
static enum wiring_state judge(struct watch *w, const struct ruleset *r,
			       uint64_t counts[static RULESET_COUNTS], char text[static 256])
{
	enum wiring_state state = wiring_judge(w->config, r, counts, text);
	if (state == WIRING_DAMAGED && r->named && !w->known)
		know(w, r);
	if (state != WIRING_GOOD)
		return state;
	if (w->printed && same_name(&w->name, &r->name) && w->print != r->print) {
		snprintf(text, 256, "a rule of ours was changed");
		return WIRING_DAMAGED;
	}
	know(w, r);
	w->printed = true;
	w->print = r->print;
	return WIRING_GOOD;
}

/* New rules count from nothing. */
static void take_counts(struct watch *w, const uint64_t counts[static RULESET_COUNTS],
			struct watch_state *to)
{
	for (int i = 0; i < RULESET_COUNTS; i++) {
		if (counts[i] < w->last[i])
			w->before[i] += w->last[i];
		w->last[i] = counts[i];
		to->counters.counts[i] = w->before[i] + counts[i];
	}
}

static enum wiring_state look_once(struct watch *w, struct watch_state *to)
{
	struct ruleset r;
	uint64_t counts[RULESET_COUNTS];
	int error = ruleset_read(&r);
	enum wiring_state state = WIRING_OTHER;
	if (error) {
		snprintf(to->rules, sizeof to->rules, "the kernel's rules can't be read: %s",
			 strerror(-error));
	} else {
		state = judge(w, &r, counts, to->rules);
		if (state == WIRING_GOOD || state == WIRING_DAMAGED)
			take_counts(w, counts, to);
	}
	ruleset_deinit(&r);
	to->rules_good = state == WIRING_GOOD;
	return state;
}

static void say_loss(struct watch *w, struct watch_state *to)
{
	if (w->seen_loss)
		return;
	w->seen_loss = true;
	to->counters.lost++;
	log_error("the kernel's rules are not what they were: %s; traffic may pass undecided",
		  to->rules);
}

static void put_back(struct watch *w, struct watch_state *to, int64_t now)
{
	struct errors errors = {0};
	int64_t pause = now - w->last_back > QUIET ? 0 : watch_pause(w->times);
	if (now < w->last_back + pause) {
		w->due = w->last_back + pause;
		return;
	}
	w->times = now - w->last_back > QUIET ? 1 : w->times + 1;
	w->last_back = now;
	bool ok = wiring_restore(w->config, w->backend, &w->name, &errors);
	if (ok) {
		w->printed = false; /* the new ones tell what they are */
		ok = look_once(w, to) == WIRING_GOOD;
	}
	if (ok) {
		to->counters.put_back++;
		w->seen_loss = false;
		log_warn("the kernel's rules were put back");
	} else {
		log_error("the kernel's rules could not be put back: %s; systemctl restart "
			  "tiergate-wiring, then tiergated",
			  errors.count ? errors.lines[0] : to->rules);
	}
	if (w->times > 1)
		log_warn("put back %u times now, each within a minute of the last: another program "
			 "takes them away; the next time after %.1f s",
			 w->times, (double)watch_pause(w->times) / (double)NS_PER_S);
	errors_deinit(&errors);
}

/* A command of ours that is at work is let finish. */
static void look_at_rules(struct watch *w, struct watch_state *to, int64_t now)
{
	int lock = wiring_lock(w->config, false);
	w->due = 0;
	if (lock == -EWOULDBLOCK)
		return;
	enum wiring_state state = look_once(w, to);
	bool loss = w->known && (state == WIRING_GONE || state == WIRING_DAMAGED);
	if (loss && wiring_is_down(w->config)) {
		snprintf(to->rules, sizeof to->rules,
			 "taken away by `tiergatectl wiring down`; `tiergatectl wiring up` loads "
			 "them again");
	} else if (loss) {
		say_loss(w, to);
		if (w->config->when_flushed == CONFIG_RESTORE)
			put_back(w, to, now);
	} else if (w->seen_loss && to->rules_good) {
		w->seen_loss = false;
		log_info("the kernel's rules are those of the configuration again");
	}
	if (lock >= 0)
		close(lock);
}

/* What the kernel is set to is another program's, or an administrator's: it is said, and not set
 * back, for which a daemon has no right in its sandbox. */
static void look_at_settings(struct watch *w, struct watch_state *to)
{
	char fault[sizeof to->rules];
	bool good = wiring_settings(fault);
	if (!good && !w->seen_setting)
		log_error("%s", fault);
	if (good && w->seen_setting)
		log_info("conntrack is set as the rules need it again");
	w->seen_setting = !good;
	if (!good && to->rules_good) {
		snprintf(to->rules, sizeof to->rules, "%s", fault);
		to->rules_good = false;
	}
}

/* --- the interfaces ------------------------------------------------------------------------ */

static void look_at_links(struct watch *w, struct watch_state *to)
{
	struct errors faults = {0};
	char before[sizeof to->interfaces];
	bool good = links_check(&w->config->inside, &faults) && !faults.count;
	strcpy(before, to->interfaces);
	snprintf(to->interfaces, sizeof to->interfaces, "%s", good ? "" : faults.lines[0]);
	if (good && !to->interfaces_good)
		log_info("inside: packets can arrive by every interface now");
	for (size_t i = 0; !good && strcmp(before, to->interfaces) != 0 && i < faults.count; i++)
		log_error("%s", faults.lines[i]);
	to->interfaces_good = good;
	errors_deinit(&faults);
}

/* --- the thread ---------------------------------------------------------------------------- */

/* What the notices say is looked up: that there were some is enough. */
static bool drain(int fd)
{
	char bytes[8192];
	bool some = false;
	ssize_t n;
	while ((n = netlink_receive(fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0 ||
	       errno == ENOBUFS || errno == EMSGSIZE)
		some |= n != 0;
	return some;
}

static void look(struct watch *w, bool links)
{
	int64_t began = now_ns();
	pthread_mutex_lock(&w->lock);
	struct watch_state state = w->state;
	w->busy = true;
	pthread_mutex_unlock(&w->lock);
	pthread_mutex_lock(&w->using);
	look_at_rules(w, &state, began);
	look_at_settings(w, &state);
	if (links || began >= w->next_links) {
		look_at_links(w, &state);
		w->next_links = began + LINKS_EACH;
	}
	pthread_mutex_unlock(&w->using);
	pthread_mutex_lock(&w->lock);
	w->state = state;
	w->state.looked = true;
	w->busy = false;
	w->looks++;
	pthread_cond_broadcast(&w->looked);
	pthread_mutex_unlock(&w->lock);
	int64_t end = now_ns();
	w->next_look = end + COST * (end - began);
}

/* Rests between two looks, so that a program that changes sets all day does not keep us busy. */
static void rest(const struct watch *w)
{
	int64_t left = w->next_look - now_ns();
	struct timespec t = {.tv_nsec = left < NS_PER_S ? left : NS_PER_S - 1};
	if (left > 0)
		nanosleep(&t, NULL);
}

/* Until the next look of its own accord; ms. */
static int left_to_look(const struct watch *w)
{
	int64_t now = now_ns(), left = (w->next_look - now) / NS_PER_MS;
	int64_t wanted = w->due ? (w->due - now) / NS_PER_MS + 1 : 1000;
	if (wanted > 1000)
		wanted = 1000;
	return (int)(left > wanted ? left : wanted > 0 ? wanted : 0);
}

static void *run(void *arg)
{
	struct watch *w = arg;
	bool links = true;
	pthread_setname_np(pthread_self(), "wiring");
	look(w, true);
	while (!w->stop) {
		struct pollfd p[SOURCES] = {
			[RULES] = {mnl_socket_get_fd(w->socket[RULES]), POLLIN, 0},
			[LINKS] = {mnl_socket_get_fd(w->socket[LINKS]), POLLIN, 0},
			[ASKED] = {w->asked, POLLIN, 0},
		};
		eventfd_t count;
		poll(p, SOURCES, left_to_look(w));
		if (p[ASKED].revents)
			eventfd_read(w->asked, &count);
		else if (p[RULES].revents || p[LINKS].revents)
			rest(w);
		drain(p[RULES].fd);
		links = drain(p[LINKS].fd);
		if (!w->stop)
			look(w, links);
	}
	return NULL;
}

/* --- lifecycle ----------------------------------------------------------------------------- */

static struct mnl_socket *listen_to(int bus, int group)
{
	struct mnl_socket *s = netlink_open(bus, 0);
	if (s && mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
		int error = errno;
		mnl_socket_close(s);
		errno = error;
		return NULL;
	}
	return s;
}

struct watch *watch_new(const struct config *c, struct errors *errors)
{
	struct watch *w = calloc(1, sizeof *w);
	if (w) {
		w->config = c;
		w->last_back = -QUIET - 1;
		w->state =
			(struct watch_state){.rules = "not looked at yet", .interfaces_good = true};
		pthread_mutex_init(&w->using, NULL);
		pthread_mutex_init(&w->lock, NULL);
		pthread_cond_init(&w->looked, NULL);
		w->asked = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		w->socket[RULES] = listen_to(NETLINK_NETFILTER, NFNLGRP_NFTABLES);
		w->socket[LINKS] = listen_to(NETLINK_ROUTE, RTNLGRP_LINK);
	}
	if (w && w->asked >= 0 && w->socket[RULES] && w->socket[LINKS])
		return w;
	errors_add(errors, NULL, 0, "the kernel's rules can't be watched: %s", strerror(errno));
	watch_free(w);
	return NULL;
}

int watch_start(struct watch *w)
{
	int error = pthread_create(&w->thread, NULL, run, w);
	w->running = error == 0;
	return -error;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	w->stop = true;
	if (w->running) {
		eventfd_write(w->asked, 1);
		pthread_join(w->thread, NULL);
	}
	for (int i = 0; i < 2; i++)
		if (w->socket[i])
			mnl_socket_close(w->socket[i]);
	if (w->asked >= 0)
		close(w->asked);
	free(w);
}

void watch_config(struct watch *w, const struct config *c)
{
	pthread_mutex_lock(&w->using);
	w->config = c;
	w->next_links = 0;
	pthread_mutex_unlock(&w->using);
	eventfd_write(w->asked, 1);
}

void watch_get(struct watch *w, bool fresh, struct watch_state *out)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += FRESH_WAIT;
	until.tv_sec += until.tv_nsec / NS_PER_S;
	until.tv_nsec %= NS_PER_S;
	pthread_mutex_lock(&w->lock);
	uint64_t wanted = w->looks + 1 + w->busy; /* one that has begun may have seen less */
	if (fresh)
		eventfd_write(w->asked, 1);
	for (int r = 0; fresh && r == 0 && w->looks < wanted;)
		r = pthread_cond_timedwait(&w->looked, &w->lock, &until);
	*out = w->state;
	pthread_mutex_unlock(&w->lock);
}

static const struct metric rows[] = {
	METRIC(watch_counters, lost, COUNTER, "times",
	       "times that the rules were found missing or changed"),
	METRIC(watch_counters, put_back, COUNTER, "times", "times that they were put back"),
	METRIC_AS("undecided", watch_counters, counts[RULESET_UNDECIDED], COUNTER, "packets",
		  "packets met without a verdict after the queues"),
	METRIC_AS("reverse_path", watch_counters, counts[RULESET_REVERSE], COUNTER, "packets",
		  "packets from inside dropped, as no route leads back"),
	METRIC_AS("invalid", watch_counters, counts[RULESET_INVALID], COUNTER, "packets",
		  "packets from inside dropped, being of no connection"),
	METRIC_AS("unopened", watch_counters, counts[RULESET_UNOPENED], COUNTER, "packets",
		  "packets from outside dropped: TCP that no SYN opened"),
	METRIC_AS("untracked", watch_counters, counts[RULESET_UNTRACKED], COUNTER, "packets",
		  "packets from inside dropped, as the kernel does not track them"),
	METRIC_AS("unseen", watch_counters, counts[RULESET_UNSEEN], COUNTER, "packets",
		  "packets from inside dropped, as another program's rules kept them from ours"),
};
METRICS(watch_metrics, "rules", watch_counters, rows);
