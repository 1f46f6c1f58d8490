/* What people and the machine do: each event of a script, on the daemon and in the test's own book.
 */
#include "base/clock.h"
#include "school.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG "tiergate.conf"
#define LIST   "video.sites"

static void sign_out(unsigned host)
{
	school.seat[host].live = false;
}

/* ---- sessions ---- */

static unsigned seats_taken(bool *unsure)
{
	unsigned n = 0;
	for (unsigned i = 0; i < HOSTS; i++) {
		n += school.seat[i].live;
		*unsure |= seat_may_idle(i);
	}
	return n;
}

static bool blocked(unsigned user)
{
	for (unsigned i = 0; i < LOCKS; i++) {
		const struct lock *l = &school.lock[i];
		if (l->of == LOCK_USER && l->whom == user && !l->only && lock_holds(l, sim_wall()))
			return true;
	}
	return false;
}

static void take_seat(const struct event *e, int tier)
{
	struct seat *s = &school.seat[e->b];
	int64_t absolute = school.policy.absolute[tier] * NS_PER_S, want = e->c * NS_PER_S;
	if (absolute && (!want || absolute < want))
		want = absolute;
	school.seated = sim_ticks();
	*s = (struct seat){
		.live = true,
		.user = e->a,
		.tier = tier,
		.since = school.elapsed,
		.until = want ? school.elapsed + want : 0,
		.idle = school.policy.idle[tier] * NS_PER_S,
		.sure = school.elapsed,
		.saved = school.elapsed,
		.sure_tick = sim_ticks(),
		.last = school.elapsed,
	};
}

/* The daemon's clock is that of the turn in which it answers, some steps of a millisecond later. */
static void login(const struct event *e)
{
	char request[256], at[16], code[32], lasts[32] = "";
	bool unsure = false, there = school.seat[e->b].live;
	unsigned taken = seats_taken(&unsure);
	int tier = user_tier((unsigned)e->a);
	bool shut = blocked((unsigned)e->a);
	host_address((unsigned)e->b, at);
	if (e->c)
		snprintf(lasts, sizeof lasts, ",\"for\":\"%ds\"", e->c);
	snprintf(request, sizeof request,
		 "\"command\":\"login\",\"address\":\"%s\",\"user\":\"u%d\",\"tier\":\"%s\","
		 "\"source\":\"%s\"%s",
		 at, e->a, tier_name((unsigned)tier), e->b % 2 ? "radius" : "portal", lasts);
	int answer = daemon_ask(request, code);
	bool full = taken >= 16 && !there;
	if (answer == 1)
		take_seat(e, tier);
	if (answer == 1 && shut)
		broken("u%d has signed in, and is blocked", e->a);
	if (answer == 0 && strcmp(code, "blocked") != 0 && strcmp(code, "full") != 0)
		broken("u%d can't sign in: %s", e->a, code);
	if (answer == 0 && strcmp(code, "full") == 0 && !full && !unsure)
		broken("u%d can't sign in: the table is full, of %u", e->a, taken);
	if (answer == 0 && strcmp(code, "blocked") == 0 && !shut)
		broken("u%d can't sign in: blocked, and is not", e->a);
	if (answer == 0 && !strcmp(code, "full") && there) {
		sign_out((unsigned)e->b);
		school.seated = sim_ticks();
	}
	school_changed("login");
}

static bool meant(const struct event *e, unsigned host)
{
	const struct seat *s = &school.seat[host];
	switch (e->kind) {
	case EVENT_LOGOUT: return s->user == e->a;
	case EVENT_LOGOUT_HOST: return (int)host == e->b;
	case EVENT_LOGOUT_TIER: return s->tier == e->a;
	default: return (int)(host % ROOMS) == e->a;
	}
}

static void logout(const struct event *e)
{
	char request[256], text[64], at[16], code[32];
	host_address((unsigned)e->b, at);
	switch (e->kind) {
	case EVENT_LOGOUT: snprintf(text, sizeof text, "\"user\":\"u%d\"", e->a); break;
	case EVENT_LOGOUT_HOST: snprintf(text, sizeof text, "\"address\":\"%s\"", at); break;
	case EVENT_LOGOUT_TIER:
		snprintf(text, sizeof text, "\"tier\":\"%s\"", tier_name((unsigned)e->a));
		break;
	default: snprintf(text, sizeof text, "\"segment\":\"10.20.%d.0/24\"", e->a);
	}
	snprintf(request, sizeof request, "\"command\":\"logout\",%s", text);
	if (daemon_ask(request, code) != 1)
		return;
	for (unsigned i = 0; i < HOSTS; i++)
		if (school.seat[i].live && meant(e, i))
			sign_out(i);
	school_changed("logout");
}

/* ---- lockdowns ---- */

/* What is over may hold again, where the clock is set back. */
static struct lock *free_lock(void)
{
	for (unsigned i = 0; i < LOCKS; i++)
		if (!lock_holds(&school.lock[i], sim_wall() - 86400 * NS_PER_S))
			return &school.lock[i];
	return NULL;
}

static void lockdown(const struct event *e)
{
	char request[512], whom[64], only[128] = "", lasts[32] = "", code[32];
	static unsigned id; /* as the daemon counts them */
	struct lock *l = free_lock();
	if (!l)
		return;
	unsigned of = (unsigned)e->a / 100, who = (unsigned)e->a % 100;
	if (of == LOCK_ROOM)
		snprintf(whom, sizeof whom, "\"segment\":\"10.20.%u.0/24\"", who);
	else if (of == LOCK_TIER)
		snprintf(whom, sizeof whom, "\"tier\":\"%s\"", tier_name(who));
	else
		snprintf(whom, sizeof whom, "\"user\":\"u%u\"", who);
	for (unsigned i = 0; i < SITES; i++)
		if (e->b >> i & 1)
			snprintf(only + strlen(only), sizeof only - strlen(only), "%s\"%s\"",
				 *only ? "," : "", site_name(i));
	if (e->c)
		snprintf(lasts, sizeof lasts, ",\"for\":\"%ds\"", e->c);
	snprintf(request, sizeof request, "\"command\":\"lockdown\",%s,\"only\":[%s]%s", whom, only,
		 lasts);
	int64_t asked = sim_wall();
	if (daemon_ask(request, code) != 1)
		return;
	*l = (struct lock){
		.id = ++id,
		.of = of,
		.whom = who,
		.only = (unsigned)e->b,
		.until = e->c ? asked + e->c * NS_PER_S + NS_PER_MS : INT64_MAX,
	};
	school_changed("lockdown");
}

/* The which-th of those that hold; NULL: none does. */
static struct lock *held_lock(unsigned which)
{
	struct lock *held[LOCKS];
	unsigned n = 0;
	for (unsigned i = 0; i < LOCKS; i++)
		if (lock_holds(&school.lock[i], sim_wall()))
			held[n++] = &school.lock[i];
	return n ? held[which % n] : NULL;
}

static void lockdown_end(const struct event *e)
{
	char request[128], code[32];
	struct lock *l = held_lock((unsigned)e->a);
	if (!l)
		return;
	snprintf(request, sizeof request, "\"command\":\"lockdown-end\",\"lockdown\":%u", l->id);
	if (daemon_ask(request, code) != 1)
		return;
	l->id = 0;
	school_changed("a lockdown is ended");
}

static void unblock(const struct event *e)
{
	char request[128], code[32];
	snprintf(request, sizeof request, "\"command\":\"lockdown-end\",\"user\":\"u%d\"", e->a);
	if (daemon_ask(request, code) != 1)
		return;
	for (unsigned i = 0; i < LOCKS; i++) {
		struct lock *l = &school.lock[i];
		if (l->of == LOCK_USER && (int)l->whom == e->a && !l->only &&
		    lock_holds(l, sim_wall()))
			l->id = 0;
	}
	school_changed("unblock");
}

/* ---- policies ---- */

static struct school_policy on_disk(void)
{
	struct school_policy p;
	policy_make(&p, school.seed, school.version, school.list, school.first_day);
	return p;
}

static void in_force(void)
{
	school.policy = on_disk();
	school_changed("policy");
}

static void reload(bool good)
{
	char code[32];
	int answer = daemon_ask("\"command\":\"reload\"", code);
	if (answer == 1 && !good)
		broken("a configuration with a fault was taken");
	if (answer == 0 && good)
		broken("a good configuration was refused");
	if (answer == 1)
		in_force();
}

static void write_all(void)
{
	struct school_policy p = on_disk();
	policy_write(&p, CONFIG);
	policy_write_list(&p, LIST);
}

static void spoil(const char *path, int kind)
{
	static const char *const faults[] = {
		"tiers = ( { name = \"guest\" ",
		"inside = [ \"lan0\" ]; tears = ( );\n",
		"<html><body>404 Not Found</body></html>\n",
		"",
	};
	FILE *to = fopen(path, "w");
	if (!to || fputs(faults[(unsigned)kind % 4], to) < 0 || fclose(to) != 0)
		abort();
}

static void spoil_list(int kind)
{
	if (kind % 3 == 0)
		unlink(LIST);
	else
		spoil(LIST, 2);
}

static void hangup(void)
{
	if (!school.up)
		return;
	sim_signal(SIGHUP);
	for (int i = 0; i < 5; i++)
		school_step(NS_PER_MS);
	in_force();
}

static void rotate(void)
{
	static unsigned n;
	char to[32];
	snprintf(to, sizeof to, "decisions.%u", n++);
	if (rename("decisions.jsonl", to) < 0)
		broken("there is no log to rotate");
	school.rotated = true;
	sim_signal(SIGUSR1);
	school_step(NS_PER_MS);
	school_step(NS_PER_MS);
	if (school.up && access("decisions.jsonl", F_OK) < 0)
		broken("the log was rotated and no new one was begun");
}

/* ---- the machine ---- */

static void wait_down(int seconds)
{
	school_wait(school.elapsed + seconds * NS_PER_S);
}

/* In the very moment of a kill. */
static void sign_somebody_out(void)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		const struct event e = {.kind = EVENT_LOGOUT, .a = school.seat[i].user};
		if (!school.seat[i].live)
			continue;
		logout(&e);
		return;
	}
}

/* Sessions are saved with the next tick: one that began since, or ended by its time or by idling,
 * is as it was before. Who was signed out is so on disk when the answer comes. */
static void kill_daemon(void)
{
	while (sim_ticks() - school.seated < 2)
		school_step(NS_PER_S);
	sign_somebody_out();
	connect_doubted();
	daemon_stop(true);
}

/* What a start finds: a list with a fault, for which it takes the last good one; another policy; a
 * configuration with a fault, for which it takes the policy that was in force. */
static bool change_files(const struct event *e)
{
	if (e->kind != EVENT_RESTART)
		return false;
	if (e->a == 1)
		spoil_list(e->c);
	if (e->a == 2) {
		school.version += 1000;
		write_all();
		school.policy = on_disk();
	}
	if (e->a == 3 && school_last_good())
		spoil(CONFIG, e->c % 2);
	return e->a % 2;
}

static void restart(const struct event *e)
{
	if (e->kind == EVENT_KILL)
		kill_daemon();
	else
		daemon_stop(false);
	wait_down(e->c);
	bool spoilt = change_files(e);
	daemon_start();
	if (spoilt)
		write_all();
}

static void reboot(const struct event *e)
{
	if (e->a)
		kill_daemon();
	else
		daemon_stop(false);
	wait_down(e->c);
	kernel_reboot();
	sim_reboot();
	static unsigned boots;
	FILE *to = fopen("boot_id", "w");
	if (!to || fprintf(to, "%08u-0000-4000-8000-000000000000\n", ++boots) < 0 ||
	    fclose(to) != 0)
		abort();
	connect_lost();
	daemon_start();
}

void act(const struct event *e)
{
	fputs("* ", school.log);
	event_print(e, school.log);
	if (e->kind != EVENT_CONNECT && e->kind != EVENT_PROBE && e->kind != EVENT_ROTATE)
		school_changed("what somebody does"); /* until the book has it, nothing is judged */
	switch (e->kind) {
	case EVENT_LOGIN: login(e); break;
	case EVENT_LOGOUT:
	case EVENT_LOGOUT_HOST:
	case EVENT_LOGOUT_TIER:
	case EVENT_LOGOUT_ROOM: logout(e); break;
	case EVENT_CONNECT:
		connect_begin((unsigned)e->b, (unsigned)e->a, e->c * NS_PER_S, (uint64_t)e->at);
		break;
	case EVENT_FLOOD: connect_flood((unsigned)e->b, (unsigned)e->a, (unsigned)e->c); break;
	case EVENT_PROBE: connect_probe((unsigned)e->b, (unsigned)e->a); break;
	case EVENT_LOCKDOWN: lockdown(e); break;
	case EVENT_LOCKDOWN_END: lockdown_end(e); break;
	case EVENT_UNBLOCK: unblock(e); break;
	case EVENT_POLICY:
		school.version = (unsigned)e->a;
		write_all();
		reload(true);
		break;
	case EVENT_LIST:
		school.list = (unsigned)e->a;
		write_all();
		reload(true);
		break;
	case EVENT_BAD_POLICY:
		spoil(CONFIG, e->a % 2);
		reload(false);
		write_all();
		break;
	case EVENT_BAD_LIST:
		spoil_list(e->a);
		reload(false);
		write_all();
		break;
	case EVENT_RELOAD: hangup(); break;
	case EVENT_ROTATE: rotate(); break;
	case EVENT_RESTART:
	case EVENT_KILL: restart(e); break;
	case EVENT_REBOOT: reboot(e); break;
	case EVENT_SET_CLOCK:
		sim_set_wall(e->c * NS_PER_S);
		school_changed("the clock is set");
		break;
	case EVENT_SUSPEND: school_step(e->c * NS_PER_S); break;
	default: break;
	}
}
