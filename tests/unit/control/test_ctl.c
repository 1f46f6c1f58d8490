/* tiergatectl as people run it, against a control socket with a gateway that is none behind it. */
#include "base/clock.h"
#include "config/config.h"
#include "control/client.h"
#include "decision/record.h"
#include "unit.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char policy[] =
	"tiers = ( { name = \"guest\"; }, { name = \"press\"; }, { name = \"pupil\"; } );\n"
	"sites = ( { name = \"social\"; hosts = [ \"youtube.com\" ]; }, { name = \"video\"; hosts "
	"= [ \"video.example\" ]; } );\n"
	"allow = ( { tiers = [ \"press\" ]; sites = [ \"social\" ]; owner = "
	"\"comms\"; note = \"for news\"; },\n"
	"{ tiers = [ \"pupil\" ]; sites = [ \"video\" ]; quota = \"90 min/day\"; } );\n";

static char dir[64], program[512];
static pid_t daemon_pid;

static struct snapshot *snapshot;
static struct control *control;
static char reload_flag[96];

/* ---- the daemon's half, in a process of its own ---- */

/* What a screen is made of; the first look and the one half a second later are alike. */
static void fake_screen(json_t *out)
{
	static unsigned looks;
	looks++;
	if (looks > 13)
		json_object_set_new(out, "last_good", json_string("the last good policy, 3"));
	if (looks > 1)
		json_object_set_new(out, "portal",
				    json_pack("{s:s, s:s, s:i, s:i, s:s, s:s, s:i}", "url",
					      "https://gate", "since", "2026-11-24T10:00:00Z",
					      "signed_in_today", 12, "failed_today", 3, "error",
					      "no\033 disk", "error_at", "2026-11-24T11:00:00Z",
					      "age", looks > 15 ? 31 : 30));
	if (looks > 13)
		json_object_set_new(
			out, "probe",
			json_pack("[{s:s, s:s, s:s, s:i}, {s:s, s:s, s:s, s:s, s:s, s:i}]", "tier",
				  "guest", "allowed", "ok", "denied", "none", "age", 9, "tier",
				  "press", "allowed", "ok", "denied", "wrong", "denied_name",
				  "bad.example", "why", "its hello came out", "age", 7));
	json_object_set_new(out, "version", json_string("9.9"));
	json_object_set_new(out, "wiring", json_string("in place"));
	json_object_set_new(out, "bounds", json_pack("{s:i}", "queue_length", 512));
	json_object_set_new(out, "queues",
			    json_pack("[{s:i, s:i, s:i, s:i, s:i}, {s:i, s:i}]", "queue", 0,
				      "packets", looks * 30, "waiting", 1, "held", 4, "full",
				      looks > 5 ? 5 : 0, "queue", 1, "packets", 0));
	if (looks <= 5)
		return;
	json_object_set_new(out, "reload_refused", json_string("a.conf:3: \033[31m"));
	json_object_set_new(out, "lists_with_faults", json_integer(7));
	json_object_set_new(
		out, "log",
		json_pack("{s:i, s:i, s:i}", "lost_ring", 9, "lost_write", 2, "failing", 1));
}

static void fake_status(void *ctx, json_t *out)
{
	json_object_set_new(out, "mode", json_string("enforce"));
	json_object_set_new(out, "workers", json_pack("[{si},{si}]", "queue", 0, "queue", 1));
	json_object_set_new(out, "tiers_observed", json_pack("[ss]", "pupils", "guests"));
	fake_screen(out);
}

static void fake_metrics(void *ctx, json_t *out)
{
	json_array_append_new(out,
			      json_pack("{s:s, s:s, s:s, s:[{s:{s:s, s:s}, s:i}, {s:{}, s:f}]}",
					"name", "tiergate_odd_total", "type", "counter", "help",
					"a \\ and\na line", "samples", "labels", "queue", "0",
					"name", "a\"b\\c\nd", "value", 7, "labels", "value", 1e15));
}

static const struct snapshot *fake_snapshot(void *ctx)
{
	return snapshot;
}

static void fake_changed(void *ctx, const struct address *opened)
{
}

static bool fake_reload(void *ctx, const char *by)
{
	struct errors errors = {0};
	if (access(reload_flag, F_OK) == 0) {
		errors_add(&errors, "policy.conf", 3, "first");
		errors_add(&errors, "policy.conf", 9, "second");
	}
	control_reloaded(control, &errors);
	errors_deinit(&errors);
	return false;
}

static int tick(sd_event_source *timer, uint64_t usec, void *ctx)
{
	struct decision d = {.time = NS_PER_S,
			     .action = ACTION_DENY,
			     .reason = REASON_NO_LINE,
			     .transport = IPPROTO_TCP,
			     .client = address_from4((uint8_t[]){10, 0, 0, 7}),
			     .server_port = 443,
			     .user = "bob",
			     .tier = "guest",
			     .host = {11, "youtube.com"}};
	control_decided(control, &d);
	sd_event_source_set_time_relative(timer, 10000);
	return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static struct lockdowns lockdowns;

static void fake_acted(void *ctx, const struct decision *d)
{
}

static const struct lockdowns *fake_lockdowns(void *ctx)
{
	return &lockdowns;
}

static void fake_hits(void *ctx, size_t from, size_t max, json_t *out)
{
	json_object_set_new(out, "hits", json_array());
}

static int fake_ended(void *ctx)
{
	return 0;
}

static uint64_t fake_used(void *ctx, const struct quota *q, const struct quota_who *who)
{
	return 55;
}

static int fake_lock(void *ctx, const struct lockdowns *l)
{
	lockdowns = *l;
	return 0;
}

static void serve(const char *conf, const char *path, int ready)
{
	static const struct control_ops ops = {
		fake_status,    fake_metrics, fake_snapshot, fake_changed, fake_reload, fake_acted,
		fake_lockdowns, fake_lock,    fake_hits,     fake_ended,   fake_used};
	struct errors errors = {0};
	sd_event *event;
	sd_event_source *timer;
	struct config *c = config_load(conf, CONFIG_FOR_CHECK, &errors);
	if (!c || !(snapshot = snapshot_compile(c, &errors)) || sd_event_new(&event) < 0)
		_exit(1);
	struct control_options o = {
		.ops = &ops, .event = event, .sessions = sessions_new(16), .socket = path};
	control = control_new(&o, &errors);
	sd_event_add_time_relative(event, &timer, CLOCK_MONOTONIC, 0, 0, tick, NULL);
	if (!control || write(ready, "x", 1) != 1)
		_exit(1);
	sd_event_loop(event);
	_exit(0);
}

static const char *in_dir(const char *name)
{
	static char path[4][96];
	static unsigned next;
	char *p = path[next++ % 4];
	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

static int start(void **state)
{
	const char *build = getenv("TIERGATE_BUILD");
	char conf[96], c;
	int ready[2];
	snprintf(dir, sizeof dir, "/tmp/tiergate-ctl-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(program, sizeof program, "%s/tiergatectl", build ? build : "build");
	snprintf(conf, sizeof conf, "%s", in_dir("conf"));
	snprintf(reload_flag, sizeof reload_flag, "%s", in_dir("bad"));
	FILE *f = fopen(conf, "w");
	fprintf(f, "%susers_file = \"%s\";\n", policy, in_dir("users"));
	fclose(f);
	assert_int_equal(pipe(ready), 0);
	daemon_pid = fork();
	if (daemon_pid == 0)
		serve(conf, in_dir("socket"), ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return access(program, X_OK);
}

static int stop(void **state)
{
	static const char *const names[] = {"conf", "users", "socket", "bad", "new"};
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(in_dir(names[i]));
	return rmdir(dir);
}

/* ---- the operator's half ---- */

static char output[16384];

/* Runs tiergatectl with the socket, typing a line; what it says is in `output`; the exit status. */
static int run(const char *typed, const char *arguments)
{
	char command[1024];
	snprintf(command, sizeof command, "(echo %s | %s --socket %s %s) 2>&1", typed, program,
		 in_dir("socket"), arguments);
	FILE *f = popen(command, "r");
	size_t n = fread(output, 1, sizeof output - 1, f);
	output[n] = '\0';
	return WEXITSTATUS(pclose(f));
}

static void type(const char *typed, const char *arguments, int status, const char *said)
{
	int got = run(typed, arguments);
	if (got != status || !strstr(output, said))
		fail_msg("tiergatectl %s: status %d, not %d, or lacks \"%s\":\n%s", arguments, got,
			 status, said, output);
}

static void want(const char *arguments, int status, const char *said)
{
	type("", arguments, status, said);
}

static void says_how_it_is_called(void **state)
{
	want("", 2, "usage: tiergatectl");
	want("--help", 0, "wiring");
	want("dance", 2, "tiergatectl: there is no command dance\n`tiergatectl --help` names them");
	want("statsu", 2, "there is no command statsu; did you mean status?\n");
	want("reprot --day", 2, "there is no command reprot; did you mean report?\n");
	want("status --al", 2,
	     "there is no option --al; did you mean --all?\nusage: tiergatectl status");
	want("watch --tiers x", 2, "there is no option --tiers; did you mean --tier?\n");
	want("sessions --jsno", 2, "there is no option --jsno; did you mean --json?\n");
	want("wiring upp", 2, "wiring has no upp\nusage: ");
	want("status --nonsense", 2, "there is no option --nonsense");
	want("status extra", 2, "extra is no option");
	want("login --user", 2, "--user wants a value");
	want("login --user anna", 2, "usage: tiergatectl login");
	want("logout", 2, "usage: tiergatectl logout");
	want("logout --user a --address 10.0.0.1", 2, "usage");
	want("why --tier press", 2, "usage: tiergatectl why");
	want("why --tier press --user anna --to a.org", 2, "usage");
	want("status --json=1", 2, "--json with a value");
	want("passwd --user anna --lock --remove", 2, "do not go together");
	want("history show", 2, "usage: tiergatectl history");
	want("history list 3", 2, "usage: tiergatectl history");
	want("rollback", 2, "usage: tiergatectl rollback");
	want("watch --help", 0, "usage: tiergatectl watch");
}

static void shows_the_status(void **state)
{
	want("status --all", 0,
	     "mode: enforce\nworkers:\n  -:\n    queue: 0\n  -:\n    queue: 1\n");
	want("--json status", 0, "{\"mode\":\"enforce\",\"workers\":[");
	want("status --json", 0, "{\"mode\":\"enforce\"");
}

/* Each look finds 30 packets more, and something else that is wrong. */
static void shows_a_screen(void **state)
{
	want("status", 0, "tiergate  9.9: ok\n");
	assert_non_null(strstr(output, "portal    https://gate since"));
	want("status", 0,
	     "NOT OK: the last reload was refused: a.conf:3: ?[31m; 7 lists have faults; the log "
	     "takes "
	     "no records: is the disk full?; 5 times a queue was full since the start; 11 records "
	     "were lost\n");
	want("status", 0, "mode      enforce (observe for pupils, guests); runs since ");
	want("status", 0, "now       60 packets a second came up, 0 flows allowed, 0 denied\n");
	want("status", 0,
	     "queues    0: 1 of 512 waiting, 4 held, 5 found it full\n          1: 0 of 512 "
	     "waiting, "
	     "0 held, 0 found it full\nlog       0 records written, 11 lost\n");
	assert_true(strlen(output) < 24 * 80);
	want("status", 1,
	     "NOT OK: probe: tier press reaches bad.example, which it is denied: its hello came "
	     "out; "
	     "in force is the last good policy, 3; the last reload");
	assert_non_null(strstr(output, "portal    https://gate since 2026-11-24 "));
	assert_non_null(strstr(output, "; today 12 signed in, 3 failed\n"));
	assert_non_null(strstr(output, "          last error, 2026-11-24 "));
	assert_non_null(strstr(output,
			       ": no? disk\nprobe     2 tiers tried, 1 wrong, the last time 9 s "
			       "ago\n"));
	want("status", 1,
	     "; the portal has said nothing for 31 s: systemctl status tiergate-portal; ");
	assert_non_null(strstr(output, "portal    NOT RUNNING: it has said nothing for 31 s\n"));
}

static void shows_metrics_as_prometheus_reads_them(void **state)
{
	static const char text[] =
		"# HELP tiergate_odd_total a \\\\ and\\na line\n# TYPE tiergate_odd_total counter\n"
		"tiergate_odd_total{queue=\"0\",name=\"a\\\"b\\\\c\\nd\"} 7\n"
		"tiergate_odd_total 1000000000000000\n";
	want("metrics", 0, text);
	want("metrics --json", 0, "{\"families\":[");
	type("'GET /metrics HTTP/1.1\\r\\nHost: a\\r\\n\\r'", "metrics --http", 0, text);
	assert_non_null(
		strstr(output, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
	type("'POST / HTTP/1.1\\r\\n\\r'", "metrics --http", 0, "405 Method Not Allowed");
	assert_null(strstr(output, "tiergate_odd"));
	type("GET / HTTP/1.1", "metrics --http", 0,
	     "405 Method Not Allowed"); /* no end of its head */
	type("'GET / HTTP/1.1\\r\\n\\r'", "metrics --http --socket /nowhere", 3,
	     "503 Service Unavailable");
}

/* By the users file of the configuration, which a command is given to find it. */
static void users(const char *typed, const char *arguments, int status, const char *said)
{
	char with_config[512];
	snprintf(with_config, sizeof with_config, "%s --config %s", arguments, in_dir("conf"));
	type(typed, with_config, status, said);
}

static void signs_in_and_out(void **state)
{
	users("", "passwd --user anna --tier press", 1, "no password was given");
	users("secret", "passwd --user anna", 1, "a new user needs --tier");
	users("secret", "passwd --user anna --tier press", 0, "");
	assert_string_equal(output, "");
	users("wrong", "login --user anna --address 10.0.0.1", 1,
	      "the user or the password is wrong");
	users("secret", "login --user nobody --address 10.0.0.1", 1,
	      "the user or the password is wrong");
	want("sessions --json", 0, "");
	assert_string_equal(output, "");
	users("", "login --user anna --address 10.0.0", 2, "--address wants an address");
	users("", "login --user anna --address 10.0.0.1 --for 8", 2, "--for wants a duration");
	users("secret", "login --user anna --address 10.0.0.1 --for 8h", 0,
	      "anna (press) is signed in at 10.0.0.1 until 20");
	want("sessions", 0, "USER  TIER   ADDRESS   SINCE");
	assert_non_null(strstr(output, "\nanna  press  10.0.0.1  20"));
	want("sessions --json", 0, "\"addresses\":[\"10.0.0.1\"]");
	want("sessions --address 10.0.0", 2, "address must be an IPv4 or IPv6 address");
	want("sessions --user bob --json", 0, "");
	assert_string_equal(output, "");
	want("why --user anna --to www.youtube.com", 0, "allow  allow-line");
	want("why --address 10.0.0.1 --to www.youtube.com", 0, "who:      anna (press)");
	users("secret", "login --user anna --address 10.0.0.2 --for 8h", 0, "");
	want("denials --user anna", 0, "nothing was denied there of late\nnothing was denied");
	want("reach --user anna", 0, "anna, tier press, until 20");
	users("secret", "passwd --user carl --tier pupil", 0, "");
	users("secret", "login --user carl --address 10.0.0.3 --for 8h", 0, "");
	want("sessions", 0, "  SOURCE  LEFT OF QUOTAS\n");
	assert_non_null(strstr(output, "  login   video 35 min of 90 min until 20"));
	want("sessions --user anna", 0, "  SOURCE\n");
	want("sessions --user carl --json", 0,
	     "\"quotas\":[{\"rule\":\"conf:4\",\"of\":\"user carl\",");
	assert_non_null(strstr(output, "\"left\":35,\"amount\":90,"));
	want("reach --user carl", 0,
	     "  now    video  conf:4\n           35 min of 90 min left for user carl until 20");
	want("logout --user carl", 0, "1 session ended");
	want("reach --user bob", 1, "bob is not signed in; ask by --address");
	want("denials --user bob --address 10.0.0.1", 2, "denials --address A | --user U");
	want("denials --user anna --socket /x", 3, "");
	want("logout --address 10.0.0.2", 0, "1 session ended");
	users("", "passwd --user anna --tier guest --keep", 0, "");
	users("secret", "login --user anna --address 10.0.0.1", 0, "anna (guest)");
	users("", "passwd --user anna --lock", 0, "");
	users("secret", "login --user anna --address 10.0.0.1", 1, "the user is locked");
	want("logout --user bob", 1, "bob is not signed in");
	want("logout --user ana", 1, "ana is not signed in (did you mean anna?)\n");
	want("reach --user ana", 1, "ana is not signed in (did you mean anna?); ask by --address");
	want("denials --user ana", 1, "ana is not signed in (did you mean anna?); ask by");
	want("sessions --user ana --json", 0, "ana is not signed in (did you mean anna?)\n");
	want("why --user ana --to video.example", 2,
	     "user ana is not signed in; did you mean anna, or ask by tier");
	want("block ana --for 1h", 0,
	     "nobody of that name is signed in; did you mean anna? Then unblock, and block that "
	     "one\n");
	want("unblock ana", 0, "1 lockdown ended");
	want("block zzzzzzzz --for 1h", 0, "user zzzzzzzz");
	assert_null(strstr(output, "did you mean"));
	want("unblock zzzzzzzz", 0, "");
	want("block anna --for 1h", 0, "user anna");
	assert_null(strstr(output, "did you mean"));
	want("unblock anna", 0, "");
	want("logout --segment 10.9.0.0/16", 1, "nobody is signed in there");
	want("logout --tier pres", 1, "the policy has no tier \"pres\"; did you mean \"press\"?");
	want("watch --tier gest", 1, "the policy has no tier \"gest\"; did you mean \"guest\"?");
	want("sessions --tier gest", 1, "the policy has no tier \"gest\"; did you mean \"guest\"?");
	want("lockdown --tier pres --only social --for 1h", 1,
	     "the policy has no tier \"pres\"; did you mean \"press\"?");
	want("lockdown --tier press --only socal --for 1h", 1,
	     "no site \"socal\"; did you mean \"social\"?");
	want("logout --tier zzzzzzzz", 1, "the policy has no tier \"zzzzzzzz\"\n");
	want("sessions --segment 10.9.0.0/16 --json", 0, "");
	assert_string_equal(output, "");
	want("sessions --segment 10.0.0.0/16 --json", 0, "\"user\":\"anna\"");
	want("logout --segment room", 2, "segment is no network");
	want("logout --all --tier press", 2, "usage: tiergatectl logout");
	want("logout --segment 10.0.0.0/16 --tier guest", 0, "1 session ended");
	want("logout --all", 1, "nobody is signed in there");
	users("secret", "login --user ana --address 10.0.0.1", 1, "did you mean anna, of ");
	users("", "passwd --user anaa --lock", 1, "did you mean anna, of ");
	users("", "passwd --user anna --remove", 0, "");
	users("", "passwd --user anna --unlock", 1, "there is no user anna");
}

/* What an exam or an incident takes, in words and as JSON. */
static void shuts_and_opens_again(void **state)
{
	want("lockdown list", 0, "");
	assert_string_equal(output, "");
	want("lockdown list --json", 0, "");
	assert_string_equal(output, "");
	want("lockdown --tier press --only social,video --until 2099-01-02T10:00:00Z", 0,
	     "1  tier press: only social, video, until 2099-01-02 ");
	assert_non_null(strstr(output, ", by "));
	want("lockdown --segment 10.1.2.0/24 --until 2099-01-02T10:00:00Z --json", 0,
	     "{\"lockdown\":2,\"whom\":\"segment 10.1.2.0/24\",\"by\":\"");
	assert_non_null(strstr(output, "\",\"only\":[],\"since\":\""));
	assert_non_null(strstr(output, "\"until\":\"2099-01-02T10:00:00.000000Z\"}\n"));
	want("block dora", 0, "3  user dora: only nothing outside, until it is ended, by ");
	want("block emil --json", 0, "{\"lockdown\":4,\"whom\":\"user emil\",\"by\":\"");
	assert_null(strstr(output, "until"));
	want("lockdown list", 0, "1  tier press: only social, video, until 2099-01-02 ");
	assert_non_null(
		strstr(output, "\n3  user dora: only nothing outside, until it is ended, "));
	want("lockdown list --json", 0, "{\"lockdown\":1,\"whom\":\"tier press\",\"by\":\"");
	assert_non_null(strstr(output, "\"only\":[\"social\",\"video\"],\"since\":\""));
	want("lockdown end 1", 0, "1 lockdown ended\n");
	want("lockdown end 2 --json", 0, "{\"ended\":1}\n");
	want("unblock dora --json", 0, "{\"ended\":1}\n");
	want("unblock emil", 0, "1 lockdown ended\n");
	want("unblock emil", 1, "tiergatectl: that user is not blocked\n");
	want("unblock emil --json", 1, "{\"ended\":0}\n");
	want("lockdown end 1", 1, "there is no such lockdown; tiergatectl lockdown list\n");
	want("lockdown end first", 2, "a lockdown is a number; tiergatectl lockdown list\n");
	want("lockdown --tier press --for 0h", 2, "--for wants a duration, such as 2h");
	want("lockdown --tier press --until 2001-01-01T00:00:00Z", 2, "until a time to come");
	want("lockdown --segment room --for 1h", 2, "segment is no network");
	want("lockdown list --json", 0, "");
	assert_string_equal(output, "");
	want("logout --all --json", 1, "{\"ended\":0}\n");
	want("logout --user dora --json", 1, "{\"ended\":0}\n");
}

static void tells_why(void **state)
{
	char line[256];
	want("why --tier press --to www.youtube.com", 0,
	     "rule:     conf:3\n  owner:    comms\n  note:     for news\n");
	want("why --tier guest --to www.youtube.com", 1,
	     "nearest:  conf:3, owner comms\n    note    for news\n    but ");
	want("why --tier kings --to www.youtube.com", 2, "there is no tier kings\n");
	want("why --tier gest --to www.youtube.com", 2,
	     "there is no tier gest; did you mean \"guest\"?\n");
	want("why --tier press --to www.youtube.com --evidence snii", 2,
	     "snii is no evidence; did you mean \"sni\"?\n");
	want("why --tier press --to www.youtube.com --json", 0, "{\"action\":\"allow\"");
	/* the same from a file, without the daemon */
	snprintf(line, sizeof line, "why --tier press --to www.youtube.com --config %s --socket /x",
		 in_dir("conf"));
	want(line, 0, "rule:     conf:3");
	want("why --tier press --to www.youtube.com --config /nowhere", 3,
	     "/nowhere: can't be read: No such file or directory; name a file that can");
}

/* A policy file of the folder, with something replaced. */
static const char *variant(const char *name, const char *old, const char *new)
{
	FILE *f = fopen(in_dir(name), "w");
	const char *at = strstr(policy, old);
	fprintf(f, "%.*s%s%s", (int)(at - policy), policy, new, at + strlen(old));
	fclose(f);
	return in_dir(name);
}

static void differ(const char *more, const char *other, int status, const char *said)
{
	char line[256];
	snprintf(line, sizeof line, "diff %s %s %s", in_dir("conf"), other, more);
	want(line, status, said);
}

static void compares(void **state)
{
	differ("", variant("new", "comms", "press office"), 0, "");
	assert_string_equal(output, "");
	differ("", variant("new", "\"youtube.com\"", "\"youtube.com\", \"!ads.youtube.com\""), 1,
	       "- press may no longer reach ads.youtube.com\n"
	       "    at all addresses but 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fd00::/8\n"
	       "    by tcp/80, tcp/443, udp/443; known by name, name+address\n"
	       "    it was allow-line, conf:3; it is no-line; site social\n");
	differ("--json", variant("new", "youtube.com", "*.youtube.com\", \"=a.youtube.com"), 0, "");
	differ("--json", variant("new", "[ \"press\" ]", "[ \"*\" ]"), 1,
	       "{\"change\":\"gains\",\"tiers\":[\"guest\",\"pupil\"],\"names\":[\"youtube.com\"],"
	       "\"addresses_but\":[\"10.0.0.0/8\",");
	differ("", variant("new", "tiers", "mode = \"observe\"; tiers"), 1,
	       "~ mode: was mode = \"enforce\"; and is mode = \"observe\";\n");
	differ("", variant("new", "tiers", "tyres"), 3, "new:1");
	differ("", variant("new", "owner", "quota = \"90 min/fortnight\"; owner"), 3, "new:3: ");
	differ("", "third", 3, "third: ");
	differ("third", in_dir("conf"), 2, "third is too much");
	differ("", "", 2, "usage: tiergatectl diff OLD.conf NEW.conf");
	unlink(in_dir("new"));
}

#define REACH                                                                                      \
	"~ press may under another quota reach youtube.com\n"                                      \
	"    at all addresses but 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fd00::/8\n"           \
	"    by tcp/80, tcp/443, udp/443; known by name, name+address\n"
#define DECIDED "    it was allow-line, conf:3; it is allow-line, new:3; site social\n"

/* A quota alone: added, changed, taken away, in other words the same. */
static void compares_quotas(void **state)
{
	char line[256];
	const char *day = strdup(variant("day", "owner", "quota = \"90 min/day\"; owner"));
	differ("", day, 1,
	       REACH "    the quota was none\n    the quota is 90 min/day, press at social\n"
		     "    it was allow-line, conf:3; it is allow-line, day:3; site social\n");
	snprintf(line, sizeof line, "diff %s %s", day, in_dir("conf"));
	want(line, 1,
	     REACH "    the quota was 90 min/day, press at social\n    the quota is none\n");
	variant("new", "owner", "quota = \"1 h/week from mon 04:00 together\"; owner");
	snprintf(line, sizeof line, "diff %s %s", day, in_dir("new"));
	want(line, 1,
	     "    the quota was 90 min/day, press at social\n"
	     "    the quota is 1 h/week from mon 04:00 together, press at social\n"
	     "    it was allow-line, day:3; it is allow-line, new:3; site social\n");
	snprintf(line, sizeof line, "diff --json %s %s", day, in_dir("new"));
	want(line, 1, "{\"change\":\"quota\",\"tiers\":[\"press\"],");
	assert_non_null(strstr(output,
			       "\"was\":{\"reasons\":[\"allow-line\"],\"rules\":[\"day:3\"],"
			       "\"quotas\":[\"90 min/day, press at social\"]},"));
	/* what is newly allowed comes with its quota; who shares one is part of it */
	variant("new", "tiers = [ \"press\" ]", "quota = \"90 min/day\"; tiers = [ \"*\" ]");
	differ("", in_dir("new"), 1, "    the quota is 90 min/day, * at social\n");
	snprintf(line, sizeof line, "diff %s %s", day, in_dir("new"));
	want(line, 1,
	     "    the quota was 90 min/day, press at social\n"
	     "    the quota is 90 min/day, * at social\n");
	variant("new", "[ \"press\" ]; sites = [ \"social\" ]",
		"[ \"press\" ]; sites = [ \"social\" ]; ports = [ \"udp/443\", \"tcp/443\", "
		"\"tcp/80\" ]; quota = \"1 h/day\"");
	snprintf(line, sizeof line, "diff %s %s", in_dir("new"), in_dir("new"));
	want(line, 0, "");
	unlink(in_dir("new"));
	unlink(day);
	free((char *)day);
}

static void reloads(void **state)
{
	want("reload", 0, "the configuration is loaded");
	fclose(fopen(reload_flag, "w"));
	want("reload", 1, "policy.conf:3: first\npolicy.conf:9: second\n");
	unlink(reload_flag);
	want("--config /tmp/other.conf reload", 2, "the daemon loads the file that it was started");
}

/* ---- rollback ---- */

static void put_text(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void first_line_is(const char *name, const char *want)
{
	char line[128] = "";
	FILE *f = fopen(in_dir(name), "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof line, f));
	fclose(f);
	assert_string_equal(line, want);
}

static void rolls_back(void **state)
{
	static const char *const names[] = {"history/000003.conf", "now", "now.before-rollback"};
	char text[512], line[256], said[256];
	assert_int_equal(mkdir(in_dir("history"), 0700), 0);
	snprintf(text, sizeof text, "# now\nstate_dir = \"%s\";\n", dir);
	put_text("now", text);
	put_text(names[0], "# history 3\n# loaded 2026-11-24T10:00:00.000000Z\n# policy "
			   "0123456789abcdef\n# by the start\n");
	snprintf(line, sizeof line, "rollback 3 --config %s", in_dir("now"));
	/* refused: the file is as it was, and as JSON nothing is printed but why */
	fclose(fopen(reload_flag, "w"));
	snprintf(said, sizeof said,
		 "policy.conf:3: first\npolicy.conf:9: second\ntiergatectl: 2 errors; the old "
		 "policy stays in force\ntiergatectl: refused; %s is as it was\n",
		 in_dir("now"));
	want(line, 1, said);
	first_line_is("now", "# now\n");
	strcat(line, " --json");
	want(line, 1, said);
	assert_null(strchr(output, '{'));
	first_line_is("now", "# now\n");
	unlink(reload_flag);
	snprintf(said, sizeof said, "\"before\":\"%s\"}\n", in_dir("now.before-rollback"));
	want(line, 0, said);
	assert_int_equal(output[0], '{');
	assert_ptr_equal(strchr(output, '\n'), output + strlen(output) - 1);
	first_line_is("now", "# history 3\n");
	first_line_is("now.before-rollback", "# now\n");
	put_text("now", text);
	*strstr(line, " --json") = '\0';
	snprintf(said, sizeof said, "in force; what %s was is in %s\n", in_dir("now"),
		 in_dir("now.before-rollback"));
	want(line, 0, said);
	assert_string_equal(output, said);
	first_line_is("now", "# history 3\n");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(unlink(in_dir(names[i])), 0);
	assert_int_equal(rmdir(in_dir("history")), 0);
}

static void watches(void **state)
{
	want("watch --name youtube.com | head -2", 0, "bob(guest)  youtube.com/");
	assert_null(strchr(output, '\033')); /* no colour but at a terminal */
	want("watch --json --user bob | head -1", 0, "{\"@timestamp\":");
	/* a tier that there is none of is refused; a user may sign in yet */
	want("watch --tier gest", 1, "the policy has no tier \"gest\"; did you mean \"guest\"?\n");
	want("watch --action denied", 2, "action is not allow, deny or end");
	want("watch --address 10.0.0", 2, "address must be an IPv4 or IPv6 address");
}

static void says_that_there_is_no_daemon(void **state)
{
	want("--socket /nowhere/socket status", 3, "the daemon does not answer at /nowhere/socket");
	want("--socket /nowhere/socket sessions", 3, "does not answer");
	want("--socket /nowhere/socket watch", 3, "does not answer");
	want("--socket /nowhere/socket reload", 3, "does not answer");
	want("--socket /nowhere/socket logout --user anna", 3, "does not answer");
}

/* ---- the man pages ---- */

static char *man_page(const char *name)
{
	static char text[64 * 1024];
	char path[128];
	snprintf(path, sizeof path, "packaging/man/%s", name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void has(const char *man, const char *before, const char *word)
{
	char item[64];
	snprintf(item, sizeof item, "%s%s", before, word);
	if (!strstr(man, item))
		fail_msg("the man page lacks %s", word);
}

static void man_pages_have_every_command(void **state)
{
	unsigned commands = 0;
	const char *man = man_page("tiergate-control.7");
	for (size_t i = 0; command_name(i); i++)
		has(man, ".It Ic ", command_name(i));
	assert_int_equal(run("", "--help"), 0);
	man = man_page("tiergatectl.8");
	for (char *line = strtok(output, "\n"); line; line = strtok(NULL, "\n")) {
		char name[16];
		if (sscanf(line, "  %15s ", name) != 1 || line[0] != ' ')
			continue;
		has(man, ".It Ic ", name);
		commands++;
	}
	assert_int_equal(commands, 32);
}

static void a_tier_that_the_policy_lacks_is_refused(void **state)
{
	char line[256];
	snprintf(line, sizeof line, "--config %s passwd --user dan --tier boss", in_dir("conf"));
	type("secret", line, 1, "no tier boss (tiers known: guest, press, pupil); write");
	snprintf(line, sizeof line, "--config %s passwd --user dan --tier gest", in_dir("conf"));
	type("secret", line, 1, "no tier gest (did you mean \"guest\"?); write");
	snprintf(line, sizeof line, "--config %s vouchers --tier boss --for 1h --vouchers %s",
		 in_dir("conf"), in_dir("vouchers"));
	want(line, 1, "no tier boss");
	assert_int_equal(access(in_dir("vouchers"), F_OK), -1);
	/* without a configuration the daemon is asked */
	snprintf(line, sizeof line, "vouchers --tier boss --for 1h --vouchers %s",
		 in_dir("vouchers"));
	want(line, 1, "no tier boss");
	snprintf(line, sizeof line, "vouchers --tier guest --for 1h --vouchers %s",
		 in_dir("vouchers"));
	want(line, 0, "-");
	assert_null(strstr(output, "no record"));
	snprintf(line, sizeof line,
		 "vouchers --tier guest --for 1h --vouchers %s --config %s --socket /nowhere",
		 in_dir("vouchers"), in_dir("conf"));
	want(line, 0, "tiergatectl: the vouchers are made, and no record says by whom\n");
	assert_int_equal(unlink(in_dir("vouchers")), 0);
}

static void why_takes_a_url_and_who_is_not_signed_in(void **state)
{
	char line[256];
	want("why --tier press --to https://www.youtube.com/watch?v=x", 0, "allow");
	want("why --tier press --to http://user@www.youtube.com:81/", 1, "deny");
	want("--json why --tier press --to HTTP://youtube.com/", 0, "allow");
	want("why --tier press --to https://[2001:db8::1]:8443/x", 1, "deny");
	want("why --tier press --to youtube.com:443", 0, "allow");
	want("why --tier press --to youtube.com:81", 1, "deny");
	want("why --tier press --to wss://youtube.com", 0, "allow");
	want("why --tier press --to ftp://youtube.com/", 2, "neither an address nor a host name");
	want("why --tier press --to ftp://youtube.com:443/", 0, "allow");
	want("why --tier press --to https://youtube.com:99999/", 2, "neither an address");
	want("why --tier press --to https://youtube.com:/", 2, "neither an address");
	want("why --tier press --to youtube.com:https", 2, "neither an address");
	want("why --tier press --to 2001:db8::1", 1, "deny");
	want("why --tier press --to [2001:db8::1]:443", 1, "deny");
	want("why --tier press --to youtube.com --at '2026-02-29 10:00'", 2, "is no time");
	want("why --tier press --to youtube.com --at 2026-11-24T10:00", 0,
	     "when:     2026-11-24 10:00 (");
	want("why --user eve --to youtube.com", 2, "not signed in");
	snprintf(line, sizeof line, "--config %s passwd --user eve --tier press", in_dir("conf"));
	type("secret", line, 0, "");
	snprintf(line, sizeof line, "--config %s why --user eve --to youtube.com", in_dir("conf"));
	want(line, 0, "not signed in; the tier is that of the users file");
	snprintf(line, sizeof line, "--config %s passwd --user eve --remove", in_dir("conf"));
	want(line, 0, "");
}

static void denials_and_reach_are_told(void **state)
{
	want("denials", 2, "denials --address");
	want("denials --address nowhere", 2, "must be an IPv4 or IPv6 address");
	want("denials --address 10.0.0.99", 0, "nothing was denied");
	for (int i = 0; i < 100; i++) { /* the daemon denies ten times a second */
		run("", "denials --address 10.0.0.7");
		if (strstr(output, "youtube.com"))
			break;
	}
	want("denials --address 10.0.0.7", 0, "bob  youtube.com tcp/443  ");
	want("--json denials --address 10.0.0.7", 0, "\"event.action\":\"deny\"");
	want("reach", 2, "reach --address");
	want("reach --address 10.0.0.98", 0, "no tier: internal hosts only");
}

/* The daemon denies all the time; how much of it comes in a second is not asked. */
static void tops(void **state)
{
	want("top --json", 2, "usage: tiergatectl top [--once]");
	want("--socket /nowhere/socket top --once", 3, "the daemon does not answer at /nowhere");
	for (int i = 0; i < 20; i++) {
		run("", "top --once");
		if (strstr(output, "youtube.com  no-line"))
			break;
	}
	want("top", 0, "tiergate  9.9: NOT OK: probe: tier press reaches bad.example, which it is");
	assert_non_null(strstr(output, "\nmode      enforce, policy"));
	assert_non_null(strstr(output, "\nbob  guest "));
	assert_non_null(strstr(output, "\nyoutube.com  no-line "));
	assert_null(strchr(output, '\033'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tier_that_the_policy_lacks_is_refused),
		cmocka_unit_test(why_takes_a_url_and_who_is_not_signed_in),
		cmocka_unit_test(denials_and_reach_are_told),
		cmocka_unit_test(says_how_it_is_called),
		cmocka_unit_test(shows_the_status),
		cmocka_unit_test(shows_a_screen),
		cmocka_unit_test(shows_metrics_as_prometheus_reads_them),
		cmocka_unit_test(shuts_and_opens_again),
		cmocka_unit_test(signs_in_and_out),
		cmocka_unit_test(tells_why),
		cmocka_unit_test(compares),
		cmocka_unit_test(compares_quotas),
		cmocka_unit_test(reloads),
		cmocka_unit_test(rolls_back),
		cmocka_unit_test(watches),
		cmocka_unit_test(says_that_there_is_no_daemon),
		cmocka_unit_test(man_pages_have_every_command),
		cmocka_unit_test(tops),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
