#include "school.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct school school;

void say(const char *format, ...)
{
	va_list args;
	fprintf(school.log, "%lld.%03d ", (long long)(school.elapsed / NS_PER_S),
		(int)(school.elapsed / NS_PER_MS % 1000));
	va_start(args, format);
	vfprintf(school.log, format, args);
	va_end(args);
	fputc('\n', school.log);
}

void broken(const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	say("BROKEN: %s", text);
	fflush(school.log);
	if (write(school.answer_fd, text, strlen(text)) < 0)
		perror("answer");
	_exit(1);
}

void school_begin(uint64_t seed, FILE *log)
{
	int fd = school.answer_fd;
	memset(&school, 0, sizeof school);
	school.seed = seed;
	school.log = log;
	school.answer_fd = fd;
	school.first_day = script_begins(seed) / NS_PER_S / 86400;
	policy_make(&school.policy, seed, 0, 0, school.first_day);
}

void host_address(unsigned host, char out[static 16])
{
	snprintf(out, 16, "10.20.%u.%u", host % ROOMS, 10 + host);
}

bool school_last_good(void)
{
	return school.seed % 2;
}

int user_tier(unsigned user)
{
	return (int)(sim_number(school.seed, 0x75e2, user) % TIERS);
}

/* Who is at a host: signed in, else a machine of the configuration, else its room's. */
int seat_tier(unsigned host, int *user)
{
	const struct seat *s = &school.seat[host];
	*user = s->live ? s->user : -1;
	if (s->live)
		return s->tier;
	if (host == STATIC_HOST)
		return 3;
	return host % ROOMS < 2 ? (int)(host % ROOMS) : -1;
}

/* Traffic is taken down once a second: a session may idle so much earlier (session_touch). */
bool seat_may_idle(unsigned host)
{
	const struct seat *s = &school.seat[host];
	return s->live && s->idle && school.elapsed + NS_PER_S >= s->sure + s->idle;
}

#define SAVED 61 /* ticks after which traffic is in the state file: it is saved every minute */

static int64_t saved(const struct seat *s)
{
	return sim_ticks() - s->sure_tick >= SAVED ? s->sure : s->saved;
}

void seat_seen(unsigned host)
{
	struct seat *s = &school.seat[host];
	if (!s->live || seat_may_idle(host))
		return;
	s->saved = saved(s);
	s->sure = school.elapsed;
	s->sure_tick = sim_ticks();
}

void school_killed(void)
{
	for (unsigned i = 0; i < HOSTS; i++)
		school.seat[i].sure = saved(&school.seat[i]);
}

bool school_open(unsigned host, unsigned name)
{
	struct asker who = {.room = host % ROOMS};
	who.tier = seat_tier(host, &who.user);
	return policy_allows(&school.policy, school.lock, &who, name, sim_wall());
}

/* ---- what changes ---- */

void school_changed(const char *what)
{
	say("changed: %s", what);
	school.changed = sim_ticks();
	school.changes++;
	connect_changed();
}

bool school_calm(void)
{
	return school.up && sim_ticks() - school.changed >= CALM;
}

static uint64_t edges(void)
{
	uint64_t bits = 0;
	for (unsigned i = 0; i < SCHEDULES; i++)
		bits |= (uint64_t)schedule_holds(&school.policy.schedule[i], sim_wall()) << i;
	for (unsigned i = 0; i < LOCKS; i++)
		bits |= (uint64_t)lock_holds(&school.lock[i], sim_wall()) << (SCHEDULES + i);
	return bits;
}

/* Sessions end by their times, schedules and lockdowns by the wall clock. A session that idles ends
 * by traffic that the daemon may have seen or not: from when on it may have, daemon.c looks. */
static void sense(void)
{
	uint64_t now = edges();
	for (unsigned i = 0; i < HOSTS; i++) {
		struct seat *s = &school.seat[i];
		if (!s->live || !s->until || school.elapsed < s->until)
			continue;
		s->live = false;
		school.seated = sim_ticks();
		school_changed("a session is over");
	}
	if (now == school.edges)
		return;
	school.edges = now;
	school_changed("a schedule or a lockdown has an edge");
}

/* ---- time ---- */

void school_step(int64_t ns)
{
	sim_step(ns);
	school.elapsed += ns;
	kernel_tick();
	sense();
	log_follow();
	daemon_check();
}

#define TICKS  10
#define STRIDE (20 * NS_PER_S)

void school_wait(int64_t until)
{
	for (int i = 0; school.elapsed < until; i++) {
		int64_t left = until - school.elapsed, step = i < TICKS ? NS_PER_S : STRIDE;
		school_step(left < step ? left : step);
	}
}
