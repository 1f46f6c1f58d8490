/* The daemon as the school sees it: how it begins and ends, what it answers, what it writes, and
 * what its tables hold. */
#include "base/clock.h"
#include "config/config.h"
#include "gateway/inner.h"
#include "policy/load.h"
#include "school.h"
#include "worker/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONFIG "/proc/self/cwd/tiergate.conf"
#define LOG    "decisions.jsonl"
#define SOCKET "control.sock"
#define LONGEST                                                                                    \
	(40 * NS_PER_S) /* that a packet may wait: fifteen times hello_timeout, and more           \
			 */

static void run(void)
{
	const struct gateway_options o = {
		.config = CONFIG,
		.last_good = school_last_good() ? "/proc/self/cwd/state" : NULL,
	};
	int status = gateway_run(&o);
	if (status != 0)
		broken("the daemon ended with status %d", status);
}

/* As the unit does before each start; with a bad configuration the rules stay as they are. */
static void load_rules(void)
{
	struct errors errors = {0};
	struct policy p;
	if (policy_load(CONFIG, CONFIG_FOR_START, &p, &errors))
		kernel_wiring_up(snapshot_digest(p.snapshot));
	else if (!school_last_good())
		broken("the configuration can't be read: %s", errors.lines[0]);
	policy_free(&p);
	errors_deinit(&errors);
}

void daemon_start(void)
{
	load_rules();
	sim_process(run);
	school.up = true;
	for (int i = 0; i < 3; i++)
		school_step(NS_PER_MS);
	if (!sim_runs())
		broken("the daemon does not start");
	connect_up();
	school.seated = 0;
	school_changed("the daemon has begun");
}

void daemon_stop(bool killed)
{
	school.up = false;
	school.down_since = school.elapsed;
	if (killed) {
		school_killed();
		sim_kill();
	}
	sim_signal(SIGTERM);
	for (int i = 0; sim_runs(); i++) {
		if (i == 1000)
			broken("the daemon does not end");
		school_step(NS_PER_MS);
	}
	kernel_queues_closed();
	log_follow();
}

/* ---- the control socket ---- */

static int dial(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = SOCKET};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	close(fd);
	return -1;
}

static int read_answer(const char *text, char code[static 32])
{
	const char *at = strstr(text, "\"code\":\"");
	*code = '\0';
	if (strstr(text, "\"ok\":true"))
		return 1;
	if (at)
		snprintf(code, 32, "%.*s", (int)strcspn(at + 8, "\""), at + 8);
	return 0;
}

int daemon_ask(const char *request, char code[static 32])
{
	char text[65536];
	size_t len = 0;
	int fd = dial();
	*code = '\0';
	if (fd < 0)
		return -1;
	int n = snprintf(text, sizeof text, "{\"v\":1,\"id\":1,%s}\n", request);
	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		broken("the control socket takes no request");
	for (int i = 0; i < 100 && !memchr(text, '\n', len); i++) {
		school_step(NS_PER_MS);
		ssize_t got = recv(fd, text + len, sizeof text - 1 - len, MSG_DONTWAIT);
		len += got > 0 ? (size_t)got : 0;
		text[len] = '\0';
	}
	close(fd);
	if (!memchr(text, '\n', len))
		broken("the daemon does not answer %s", request);
	int answer = read_answer(text, code);
	say("asked %s: %s%s", request, answer ? "ok" : "refused: ", code);
	return answer;
}

/* ---- the log ---- */

static bool member(const char *line, const char *key, char *out, size_t room)
{
	char quoted[64];
	snprintf(quoted, sizeof quoted, "\"%s\":", key);
	const char *at = strstr(line, quoted);
	if (!at)
		return false;
	at += strlen(quoted);
	bool text = *at == '"';
	snprintf(out, room, "%.*s", (int)strcspn(at + text, text ? "\"" : ",}"), at + text);
	return true;
}

static void take_record(const char *line)
{
	char action[16], port[16], time[40];
	size_t len = strlen(line);
	school.records++;
	say("record %s", line);
	if (line[0] != '{' || line[len - 1] != '}' || !member(line, "event.action", action, 16) ||
	    !member(line, "@timestamp", time, sizeof time))
		broken("the log has a line that is no record: %s", line);
	if (strcmp(action, "lost") == 0)
		broken("the log has lost records: %s", line);
	if (!member(line, "source.port", port, sizeof port))
		return;
	unsigned i = (unsigned)atoi(port) - FIRST_PORT;
	if (i >= school.connections)
		return;
	struct connection *c = &school.connection[i];
	c->allows += strcmp(action, "allow") == 0;
	c->denies += strcmp(action, "deny") == 0;
	c->ends_said += strcmp(action, "end") == 0;
}

static void read_lines(int fd)
{
	static char text[1 << 20];
	static size_t len;
	ssize_t n;
	while ((n = read(fd, text + len, sizeof text - 1 - len)) > 0) {
		char *end, *at = text;
		len += (size_t)n;
		text[len] = '\0';
		for (; (end = strchr(at, '\n')); at = end + 1) {
			*end = '\0';
			take_record(at);
		}
		len -= (size_t)(at - text);
		memmove(text, at, len);
	}
	if (len)
		broken("the log ends in the middle of a line");
}

/* The file that is written to, and the one before it once a new one is there. */
void log_follow(void)
{
	static int fd = -1;
	static uint64_t written;
	struct stat now, then;
	struct sink_counters c = {0};
	const struct gateway *g = school.up ? kernel_gateway() : NULL;
	if (g)
		sink_count(g->sink, &c);
	if (g && c.written == written && fd >= 0 && !school.rotated)
		return;
	written = c.written;
	school.rotated = false;
	if (fd >= 0)
		read_lines(fd);
	if (stat(LOG, &now) < 0 || (fd >= 0 && fstat(fd, &then) == 0 && now.st_ino == then.st_ino))
		return;
	if (fd >= 0)
		close(fd);
	fd = open(LOG, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		read_lines(fd);
}

/* ---- its tables ---- */

/* As host_address has it; -1: no host's. */
static int host_of(const struct address *a)
{
	const uint8_t *b = a->bytes + 12;
	int host = b[3] - 10;
	bool ours = address_is4(a) && b[0] == 10 && b[1] == 20 && host >= 0 && host < HOSTS;
	return ours && b[2] == host % ROOMS ? host : -1;
}

static bool must_idle(const struct seat *s)
{
	return s->idle && school.elapsed >= s->last + s->idle + 90 * NS_PER_S;
}

static void check_session(const struct session_view *v, bool seen[static HOSTS])
{
	char user[16];
	int host = v->address_count ? host_of(&v->address[0]) : -1;
	if (host < 0 || v->address_count != 1)
		broken("there is a session of %s that nobody opened", v->session.user);
	const struct seat *s = &school.seat[host];
	seen[host] = true;
	snprintf(user, sizeof user, "u%d", s->user);
	if (!s->live || must_idle(s))
		broken("the session of %s at host %d goes on; it has ended", v->session.user, host);
	if (strcmp(user, v->session.user) != 0 ||
	    strcmp(tier_name((unsigned)s->tier), v->session.tier) != 0)
		broken("the session at host %d is of %s, %s; it should be of %s, %s", host,
		       v->session.user, v->session.tier, user, tier_name((unsigned)s->tier));
}

static void check_sessions(struct gateway *g)
{
	struct session_view v;
	uint32_t slot = 0;
	bool seen[HOSTS] = {0};
	while (session_each(g->sessions, &slot, &v))
		check_session(&v, seen);
	for (unsigned i = 0; i < HOSTS; i++) {
		struct seat *s = &school.seat[i];
		if (!s->live || seen[i])
			continue;
		if (!seat_may_idle(i))
			broken("the session of u%d at host %u is gone before its end", s->user, i);
		s->live = false;
		school.seated = sim_ticks();
		school_changed("a session has idled");
	}
}

static void check_locks(const struct gateway *g)
{
	unsigned there = 0, meant = 0;
	for (unsigned i = 0; i < g->lockdowns.count; i++)
		there += lockdown_holds(&g->lockdowns.item[i], sim_wall());
	for (unsigned i = 0; i < LOCKS; i++)
		meant += lock_holds(&school.lock[i], sim_wall());
	if (there != meant)
		broken("%u lockdowns hold, it should be %u", there, meant);
}

static void check_bounds(const struct gateway *g)
{
	struct seen_counters names;
	const struct config *c = g->config;
	seen_count(g->seen, &names);
	if (sessions_count(g->sessions) > c->sessions)
		broken("%u sessions, past the bound of %u", sessions_count(g->sessions),
		       c->sessions);
	if (names.entries > c->names)
		broken("%lu names, past the bound of %u", names.entries, c->names);
	for (unsigned i = 0; i < g->lane_count; i++) {
		const struct worker *w = g->lanes[i].worker;
		if (flow_count(w->flows) > c->flows)
			broken("%u flows, past the bound of %u", flow_count(w->flows), c->flows);
		if (held_count(w->held) > c->held)
			broken("%u packets held, past the bound of %u", held_count(w->held),
			       c->held);
	}
}

static bool knows(const struct flow_key *key)
{
	const struct gateway *g = kernel_gateway();
	bool known = false;
	for (unsigned i = 0; i < g->lane_count; i++)
		known |= flow_known(g->lanes[i].worker->flows, key);
	return known;
}

/* After a flood tables stay full: each new flow takes the place of one that the kernel carries,
 * which is denied as forgotten, should it have to be asked about again. */
static void doubt_forgotten(const struct gateway *g)
{
	bool full = false;
	for (unsigned i = 0; i < g->lane_count; i++)
		full |= flow_count(g->lanes[i].worker->flows) >= g->config->flows / 10 * 9;
	if (full)
		connect_forgotten(knows);
}

void daemon_check(void)
{
	struct kernel_counters k;
	struct gateway *g = kernel_gateway();
	if (!school.up || !g || sim_ticks() == 0)
		return;
	if (!sim_runs())
		broken("the daemon has ended by itself");
	kernel_count(&k);
	if (k.twice)
		broken("a packet got two verdicts");
	if (k.oldest && sim_boottime() - k.oldest > LONGEST)
		broken("a packet has waited for its verdict for %lld s",
		       (long long)((sim_boottime() - k.oldest) / NS_PER_S));
	check_bounds(g);
	doubt_forgotten(g);
	if (!school_calm())
		return;
	check_sessions(g);
	check_locks(g);
}
