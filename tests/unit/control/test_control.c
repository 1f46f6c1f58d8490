#include "base/clock.h"
#include "config/config.h"
#include "control/call.h"
#include "control/client.h"
#include "decision/record.h"
#include "unit.h"

#include <errno.h>
#include <sys/wait.h>
#include <grp.h>
#include <pwd.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static const char policy[] = "tiers = ( { name = \"guest\"; },\n"
			     "  { name = \"press\"; idle = \"1h\"; absolute = \"10h\"; } );\n"
			     "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"
			     "sites = ( { name = \"social\"; hosts = [ \"youtube.com\" ]; } );\n"
			     "allow = ( { tiers = [ \"press\" ]; sites = [ \"social\" ]; } );\n";

static struct fixture {
	char dir[64], file[96], socket[96];
	sd_event *event;
	struct sessions *sessions;
	struct snapshot *snapshot;
	struct control *control;
	struct errors errors;
	unsigned changed;
	bool reload_fails, reload_runs;
	struct lockdowns lockdowns;
	int lock_fails;
	struct decision act; /* the last */
	unsigned acts;
	unsigned ended; /* times */
	int ended_fails;
	char whose[80]; /* what is used was asked for last */
	uint64_t used;
} f;

static void fake_status(void *ctx, json_t *out)
{
	json_object_set_new(out, "mode", json_string("enforce"));
}

static const struct snapshot *fake_snapshot(void *ctx)
{
	return f.snapshot;
}

static void fake_changed(void *ctx, const struct address *opened)
{
	f.changed++;
}

static bool fake_reload(void *ctx, const char *by)
{
	struct errors errors = {0};
	if (f.reload_runs)
		return true;
	if (f.reload_fails) {
		errors_add(&errors, "policy.conf", 3, "wrong");
		errors_add(&errors, "policy.conf", 9, "wrong too");
	}
	control_reloaded(f.control, &errors);
	errors_deinit(&errors);
	return false;
}

static void fake_acted(void *ctx, const struct decision *d)
{
	f.act = *d;
	f.acts++;
}

static const struct lockdowns *fake_lockdowns(void *ctx)
{
	return &f.lockdowns;
}

static void fake_hits(void *ctx, size_t from, size_t max, json_t *out)
{
	json_object_set_new(out, "hits", json_array());
	json_object_set_new(out, "next", json_integer((json_int_t)(from + max)));
	if (from == 7) /* more than an answer may have */
		for (int i = 0; i < 40000; i++)
			json_array_append_new(json_object_get(out, "hits"), json_integer(1234567));
}

static int fake_ended(void *ctx)
{
	f.ended++;
	return f.ended_fails;
}

static uint64_t fake_used(void *ctx, const struct quota *q, const struct quota_who *who)
{
	char text[80] = "";
	struct buf b = BUF_OF(text);
	quota_who_format(who, &b);
	snprintf(f.whose, sizeof f.whose, "%s", text);
	return q->bytes ? 1234567 : f.used;
}

static int fake_lock(void *ctx, const struct lockdowns *l)
{
	f.lockdowns = *l;
	return f.lock_fails;
}

static const struct control_ops ops = {fake_status, NULL,       fake_snapshot,  fake_changed,
				       fake_reload, fake_acted, fake_lockdowns, fake_lock,
				       fake_hits,   fake_ended, fake_used};

/* Another policy from now on. */
static void put_policy(const char *text)
{
	FILE *out = fopen(f.file, "w");
	fputs(text, out);
	fclose(out);
	struct config *c = config_load(f.file, CONFIG_FOR_CHECK, &f.errors);
	errors_print(&f.errors, stderr);
	assert_non_null(c);
	snapshot_free(f.snapshot);
	f.snapshot = snapshot_compile(c, &f.errors);
	errors_print(&f.errors, stderr);
	assert_non_null(f.snapshot);
	config_free(c);
}

static int set_up_with(const uint8_t *pseudonym, bool listening)
{
	memset(&f, 0, sizeof f);
	snprintf(f.dir, sizeof f.dir, "/tmp/tiergate-control-XXXXXX");
	snprintf(f.file, sizeof f.file, "%s/conf", mkdtemp(f.dir));
	snprintf(f.socket, sizeof f.socket, "%s/socket", f.dir);
	put_policy(policy);
	f.sessions = sessions_new(1000);
	assert_true(sd_event_new(&f.event) >= 0);
	struct control_options o = {.ops = &ops,
				    .event = f.event,
				    .sessions = f.sessions,
				    .pseudonym = pseudonym,
				    .socket = listening ? f.socket : NULL};
	f.control = control_new(&o, &f.errors);
	assert_non_null(f.control);
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(NULL, false);
}

static int tear_down(void **state)
{
	control_free(f.control);
	sd_event_unref(f.event);
	sessions_free(f.sessions);
	snapshot_free(f.snapshot);
	errors_deinit(&f.errors);
	unlink(f.file);
	return rmdir(f.dir); /* the socket must be gone */
}

/* ---- a client ---- */

struct peer {
	int fd;
	char text[CONTROL_OUT_MAX * 2];
	size_t len;
};

static int connect_as(enum control_right right)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(control_adopt(f.control, pair[1], right), 0);
	return pair[0];
}

static void turn(void)
{
	while (sd_event_run(f.event, 0) > 0)
		;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn();
}

/* Everything that has come, NUL-terminated; *end says whether the other side has closed. */
static const char *hear(int fd, bool *end)
{
	static char text[2 * CONTROL_OUT_MAX];
	size_t len = 0;
	ssize_t n;
	turn();
	while ((n = recv(fd, text + len, sizeof text - 1 - len, MSG_DONTWAIT)) > 0) {
		len += (size_t)n;
		turn();
	}
	text[len] = '\0';
	if (end)
		*end = n == 0;
	return text;
}

static json_t *ask(int fd, const char *request)
{
	char line[CONTROL_LINE_MAX];
	snprintf(line, sizeof line, "%s\n", request);
	say(fd, line);
	const char *text = hear(fd, NULL);
	assert_non_null(strchr(text, '\n'));
	assert_string_equal(strchr(text, '\n'), "\n"); /* one line */
	json_t *j = json_loads(text, 0, NULL);
	assert_non_null(j);
	return j;
}

/* Asks, and wants failure with this code. */
static void refused(int fd, const char *request, const char *code)
{
	json_t *j = ask(fd, request);
	assert_true(json_is_false(json_object_get(j, "ok")));
	assert_string_equal(json_string_value(json_object_get(j, "code")), code);
	assert_true(strlen(json_string_value(json_object_get(j, "error"))) > 5);
	json_decref(j);
}

/* Asks, wants success, returns the result (the caller's). */
static json_t *granted(int fd, const char *request)
{
	json_t *j = ask(fd, request);
	if (!json_is_true(json_object_get(j, "ok")))
		fail_msg("%s: %s", request, json_string_value(json_object_get(j, "error")));
	json_t *result = json_incref(json_object_get(j, "result"));
	json_decref(j);
	return result;
}

static void done(int fd, const char *request)
{
	json_decref(granted(fd, request));
}

static const char *member(const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));
	return text ? text : "";
}

#define ID "{\"id\":1,\"v\":1,"
#define LOGIN                                                                                      \
	ID "\"command\":\"login\",\"address\":\"10.0.0.1\",\"user\":\"anna\",\"tier\":\"press\""

/* ---- tests ---- */

static void answers_with_the_id(void **state)
{
	int fd = connect_as(CONTROL_READ);
	say(fd, "{\"id\":77,\"v\":1,\"command\":\"ping\"}\n");
	assert_string_equal(hear(fd, NULL), "{\"id\":77,\"ok\":true,\"result\":{}}\n");
	json_t *s = granted(fd, ID "\"command\":\"status\"}");
	assert_string_equal(member(s, "mode"), "enforce");
	json_decref(s);
	close(fd);
}

static void refuses_bad_requests(void **state)
{
	int fd = connect_as(CONTROL_MANAGE);
	refused(fd, "", "bad-request");
	refused(fd, "hello", "bad-request");
	refused(fd, "[1]", "bad-request");
	refused(fd, "{\"id\":1,\"id\":2,\"v\":1,\"command\":\"ping\"}", "bad-request");
	refused(fd, "{\"v\":1,\"command\":\"ping\"}", "bad-request");
	refused(fd, "{\"id\":\"x\",\"v\":1,\"command\":\"ping\"}", "bad-request");
	refused(fd, "{\"id\":1,\"command\":\"ping\"}", "version");
	refused(fd, "{\"id\":1,\"v\":2,\"command\":\"ping\"}", "version");
	refused(fd, ID "\"command\":7}", "bad-request");
	refused(fd, ID "\"command\":\"dance\"}", "unknown-command");
	done(fd, ID "\"command\":\"ping\"}"); /* and goes on */
	struct control_counters c;
	control_count(f.control, &c);
	assert_int_equal(c.requests, 11);
	assert_int_equal(c.bad_requests, 10);
	close(fd);
}

static void takes_requests_in_any_pieces(void **state)
{
	const char *two = ID "\"command\":\"ping\"}\n" ID "\"command\":\"ping\"}\n" ID;
	int fd = connect_as(CONTROL_READ);
	for (const char *p = two; *p; p++)
		say(fd, (char[]){*p, '\0'});
	const char *answer = "{\"id\":1,\"ok\":true,\"result\":{}}\n";
	char twice[128];
	snprintf(twice, sizeof twice, "%s%s", answer, answer);
	assert_string_equal(hear(fd, NULL), twice);
	say(fd, "\"command\":\"ping\"}\n" ID "\"command\":\"ping\"}\n"); /* both at once */
	assert_string_equal(hear(fd, NULL), twice);
	close(fd);
}

static void a_line_has_a_bound(void **state)
{
	char line[CONTROL_LINE_MAX + 2];
	bool end;
	int fd = connect_as(CONTROL_MANAGE);
	memset(line, ' ', sizeof line);
	memcpy(line, ID "\"command\":\"ping\"}", strlen(ID "\"command\":\"ping\"}"));
	line[CONTROL_LINE_MAX - 1] = '\n'; /* just fits */
	line[CONTROL_LINE_MAX] = '\0';
	say(fd, line);
	assert_non_null(strstr(hear(fd, &end), "\"ok\":true"));
	assert_false(end);
	line[CONTROL_LINE_MAX - 1] = ' ';
	say(fd, line);
	assert_non_null(strstr(hear(fd, &end), "too long"));
	assert_true(end);
	close(fd);
}

static void readers_only_read(void **state)
{
	int fd = connect_as(CONTROL_READ);
	refused(fd, LOGIN "}", "denied");
	refused(fd, ID "\"command\":\"logout\",\"user\":\"anna\"}", "denied");
	refused(fd, ID "\"command\":\"reload\"}", "denied");
	refused(fd, ID "\"command\":\"drop\",\"address\":\"10.0.0.1\"}", "denied");
	refused(fd, ID "\"command\":\"add\",\"session\":1,\"address\":\"10.0.0.1\"}", "denied");
	assert_int_equal(sessions_count(f.sessions), 0);
	close(fd);
}

#define TELL ID "\"command\":\"tell\","

/* A member of the only sample, or of that with the label; -1: there is none. */
static double metric(const json_t *result, const char *name, const char *label)
{
	size_t i, n;
	json_t *family, *s;
	json_array_foreach(json_object_get(result, "families"), i, family)
	{
		if (strcmp(member(family, "name"), name) != 0)
			continue;
		json_array_foreach(json_object_get(family, "samples"), n, s)
		{
			const char *key;
			json_t *value;
			bool this = !label;
			json_object_foreach(json_object_get(s, "labels"), key, value) this =
				this || strcmp(json_string_value(value), label) == 0;
			if (this)
				return json_number_value(json_object_get(s, "value"));
		}
	}
	return -1;
}

static void keeps_what_the_portal_tells(void **state)
{
	int fd = connect_as(CONTROL_MANAGE), reader = connect_as(CONTROL_READ);
	refused(reader, TELL "\"portal\":{}}", "denied");
	refused(fd, TELL "\"portal\":7}", "bad-request");
	refused(fd, TELL "\"portal\":{\"signed_in\":\"7\"}}", "bad-request");
	refused(fd, TELL "\"portal\":{\"signed_in\":-1}}", "bad-request");
	refused(fd, TELL "\"portal\":{\"error\":7}}", "bad-request");
	refused(fd, TELL "\"portal\":{},\"probe\":{}}", "bad-request");
	refused(fd, TELL "\"else\":{}}", "bad-request");
	json_t *s = granted(reader, ID "\"command\":\"status\"}");
	assert_null(json_object_get(s, "portal"));
	assert_null(json_object_get(s, "probe"));
	json_decref(s);
	json_t *m = granted(reader, ID "\"command\":\"metrics\"}");
	assert_int_equal(json_array_size(json_object_get(m, "families")), 0);
	json_decref(m);
	done(fd,
	     TELL "\"portal\":{\"url\":\"https://a\",\"signed_in\":7,\"failed\":2,\"odd\":[]}}");
	s = granted(reader, ID "\"command\":\"status\"}");
	json_t *p = json_object_get(s, "portal");
	assert_string_equal(member(p, "url"), "https://a");
	assert_true(json_integer_value(json_object_get(p, "age")) >= 0);
	assert_null(json_object_get(p, "odd"));
	json_decref(s);
	m = granted(reader, ID "\"command\":\"metrics\"}");
	assert_true(metric(m, "tiergate_portal_up", NULL) == 1);
	assert_true(metric(m, "tiergate_portal_sign_ins_total", "ok") == 7);
	assert_true(metric(m, "tiergate_portal_sign_ins_total", "failed") == 2);
	json_decref(m);
	f.control->told.portal.at -= TOLD_SILENCE + NS_PER_S;
	m = granted(reader, ID "\"command\":\"metrics\"}");
	assert_true(metric(m, "tiergate_portal_up", NULL) == 0);
	json_decref(m);
	done(fd, TELL "\"portal\":{\"url\":\"https://a\",\"signed_in\":0}}"); /* nobody yet */
	done(fd, TELL "\"portal\":{\"url\":\"https://a\",\"stopped\":\"by hand\"}}");
	m = granted(reader, ID "\"command\":\"metrics\"}");
	assert_true(metric(m, "tiergate_portal_up", NULL) == 0);
	json_decref(m);
	close(fd);
	close(reader);
}

/* A snapshot of a policy (the caller's). */
static struct snapshot *policy_of(const char *text)
{
	FILE *out = fopen(f.file, "w");
	fputs(text, out);
	fclose(out);
	struct config *c = config_load(f.file, CONFIG_FOR_CHECK, &f.errors);
	assert_non_null(c);
	struct snapshot *s = snapshot_compile(c, &f.errors);
	assert_non_null(s);
	config_free(c);
	return s;
}

static char *many_tiers(int count)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	for (int i = 0; i < count; i++)
		fprintf(out, "%s { name = \"t%d\"; }", i ? "," : "tiers = (", i);
	fputs(" );\n", out);
	fclose(out);
	return text;
}

#define PROBE TELL "\"probe\":{\"tier\":\"press\",\"allowed\":\"ok\",\"denied\":"

static void keeps_what_a_probe_tells(void **state)
{
	int fd = connect_as(CONTROL_MANAGE);
	char line[160];
	refused(fd, PROBE "\"\"}}", "bad-request");
	refused(fd, PROBE "\"fine\"}}", "bad-request");
	refused(fd, TELL "\"probe\":{\"allowed\":\"ok\",\"denied\":\"ok\"}}", "not-found");
	done(fd, PROBE "\"wrong\",\"why\":\"its hello came out\"}}");
	done(fd, PROBE "\"ok\"}}");
	json_t *one = granted(fd, ID "\"command\":\"metrics\"}"); /* of a single tier, too */
	assert_true(metric(one, "tiergate_probe_denied", "press") == 1);
	json_decref(one);
	done(fd, TELL "\"probe\":{\"tier\":\"guest\",\"allowed\":\"none\",\"denied\":\"wrong\"}}");
	json_t *s = granted(fd, ID "\"command\":\"status\"}");
	assert_int_equal(json_array_size(json_object_get(s, "probe")), 2);
	assert_string_equal(member(json_array_get(json_object_get(s, "probe"), 0), "why"), "");
	json_decref(s);
	json_t *m = granted(fd, ID "\"command\":\"metrics\"}");
	assert_true(metric(m, "tiergate_probe_allowed", "press") == 1);
	assert_true(metric(m, "tiergate_probe_denied", "press") == 1);
	assert_true(metric(m, "tiergate_probe_allowed", "guest") == -1);
	assert_true(metric(m, "tiergate_probe_denied", "guest") == 0);
	assert_true(metric(m, "tiergate_probe_time_seconds", "guest") > 1.7e9);
	json_decref(m);
	struct snapshot *before = f.snapshot; /* another policy, without guest */
	f.snapshot = policy_of("tiers = ( { name = \"press\"; }, { name = \"t7\"; } );\n");
	refused(fd, TELL "\"probe\":{\"tier\":\"guest\",\"allowed\":\"ok\",\"denied\":\"ok\"}}",
		"not-found");
	done(fd, TELL "\"probe\":{\"tier\":\"t7\",\"allowed\":\"ok\",\"denied\":\"ok\"}}");
	m = granted(fd, ID "\"command\":\"metrics\"}");
	assert_true(metric(m, "tiergate_probe_denied", "press") == 1);
	assert_true(metric(m, "tiergate_probe_denied", "guest") == -1);
	assert_true(metric(m, "tiergate_probe_denied", "t7") == 1);
	json_decref(m);
	snapshot_free(f.snapshot);
	char *q = many_tiers(TOLD_TIERS + 1);
	f.snapshot = policy_of(q);
	free(q);
	for (int i = 0; i <= TOLD_TIERS; i++) {
		snprintf(line, sizeof line,
			 TELL "\"probe\":{\"tier\":\"t%d\",\"allowed\":\"ok\",\"denied\":\"ok\"}}",
			 i);
		if (i < TOLD_TIERS)
			done(fd, line);
		else
			refused(fd, line, "full");
	}
	snapshot_free(f.snapshot);
	f.snapshot = before;
	close(fd);
}

#define LOCKDOWN ID "\"command\":\"lockdown\""

static void shuts_for_a_while(void **state)
{
	int fd = connect_as(CONTROL_MANAGE), reader = connect_as(CONTROL_READ);
	refused(reader, LOCKDOWN ",\"tier\":\"press\"}", "denied");
	refused(reader, ID "\"command\":\"lockdown-end\",\"lockdown\":1}", "denied");
	refused(fd, LOCKDOWN "}", "bad-request");
	refused(fd, LOCKDOWN ",\"tier\":\"press\",\"user\":\"ann\"}", "bad-request");
	refused(fd, LOCKDOWN ",\"tier\":\"gone\"}", "not-found");
	refused(fd, LOCKDOWN ",\"segment\":\"10.0.0.1.9\"}", "bad-request");
	refused(fd, LOCKDOWN ",\"user\":\"-x\"}", "bad-request");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"only\":\"social\"}", "bad-request");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"only\":[\"gone\"]}", "not-found");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"only\":[7]}", "not-found");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"for\":\"soon\"}", "bad-request");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"for\":7}", "bad-request");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"for\":\"0s\"}", "bad-request");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"for\":\"1h\",\"until\":4102444800}",
		"bad-request");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"until\":9223372037}", "bad-request");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"until\":7}", "bad-request");
	refused(fd, LOCKDOWN ",\"user\":\"ann\",\"until\":\"noon\"}", "bad-request");
	assert_int_equal(f.lockdowns.count, 0);
	json_t *made = granted(fd, LOCKDOWN ",\"segment\":\"10.9.0.0/16\",\"only\":[\"social\"],"
					    "\"for\":\"2h\"}");
	assert_string_equal(member(made, "whom"), "segment 10.9.0.0/16");
	assert_null(json_object_get(made, "unkept"));
	const struct lockdown *l = &f.lockdowns.item[0];
	assert_int_equal(f.lockdowns.count, 1);
	assert_int_equal(l->until - l->since, 7200 * NS_PER_S);
	assert_string_equal(l->site[0], "social");
	assert_string_not_equal(l->by, "");
	assert_int_equal(f.acts, 1);
	assert_int_equal(f.act.kind, DECISION_ACT);
	assert_string_equal(f.act.act, "lockdown");
	assert_string_equal(f.act.by, l->by);
	assert_string_equal(f.act.policy, snapshot_digest(f.snapshot));
	assert_non_null(strstr(f.act.detail, "segment 10.9.0.0/16, 1, only social, until 2"));
	assert_null(json_object_get(made, "elsewhere"));
	json_decref(made);
	done(fd, ID
	     "\"command\":\"login\",\"address\":\"10.9.0.7\",\"user\":\"bea\",\"tier\":\"press\"}");
	done(fd, ID "\"command\":\"add\",\"with\":\"10.9.0.7\",\"address\":\"fd00::7\"}");
	done(fd, ID
	     "\"command\":\"login\",\"address\":\"fd00::8\",\"user\":\"cyd\",\"tier\":\"press\"}");
	made = granted(fd, LOCKDOWN ",\"segment\":\"10.9.0.0/16\"}");
	assert_int_equal(json_integer_value(json_object_get(made, "elsewhere")), 1);
	assert_string_equal(member(made, "elsewhere_one"), "fd00::7");
	json_decref(made);
	done(fd, ID "\"command\":\"lockdown-end\",\"lockdown\":2}");
	f.lock_fails = -ENOSPC;
	made = granted(fd, LOCKDOWN ",\"tier\":\"press\"}");
	assert_non_null(strstr(member(made, "unkept"), "space"));
	json_decref(made);
	made = granted(reader, ID "\"command\":\"lockdowns\"}");
	assert_int_equal(json_array_size(json_object_get(made, "lockdowns")), 2);
	json_decref(made);
	refused(fd, ID "\"command\":\"lockdown-end\"}", "bad-request");
	refused(fd, ID "\"command\":\"lockdown-end\",\"lockdown\":\"1\"}", "bad-request");
	done(fd, ID "\"command\":\"lockdown-end\",\"lockdown\":9}");
	assert_int_equal(f.lockdowns.count, 2);
	done(fd, LOCKDOWN ",\"user\":\"ann\",\"until\":4102444800}"); /* a time to come */
	assert_true(f.lockdowns.item[2].until == 4102444800 * NS_PER_S);
	done(fd, ID "\"command\":\"lockdown-end\",\"user\":\"ann\"}");
	done(fd, ID "\"command\":\"lockdown-end\",\"lockdown\":1}");
	assert_int_equal(f.lockdowns.count, 1);
	close(fd);
	close(reader);
}

/* However a session ends, and whoever asks: also where another takes its address, or it another
 * tier. */
static void whatever_ends_is_kept_before_it_is_said(void **state)
{
	static const struct {
		const char *request;
		bool ends;
	} step[] = {
		{LOGIN "}", false},
		{LOGIN "}", true},
		{ID "\"command\":\"add\",\"address\":\"10.0.0.2\",\"with\":\"10.0.0.1\"}", false},
		{ID "\"command\":\"add\",\"address\":\"10.0.0.2\",\"with\":\"10.0.0.1\"}", false},
		{ID "\"command\":\"login\",\"address\":\"10.0.0.3\",\"user\":\"bob\","
		    "\"tier\":\"press\"}",
		 false},
		{ID "\"command\":\"add\",\"address\":\"10.0.0.2\",\"with\":\"10.0.0.3\"}", true},
		{LOGIN "}", false}, /* her session ended with its one address */
		{ID "\"command\":\"login\",\"address\":\"10.0.0.1\",\"user\":\"bob\","
		    "\"tier\":\"press\"}",
		 true},
		{ID "\"command\":\"drop\",\"address\":\"10.0.0.9\"}", false},
		{ID "\"command\":\"drop\",\"address\":\"10.0.0.2\"}", true},
		{ID "\"command\":\"drop\",\"address\":\"10.0.0.3\"}", true},
	};
	int fd = connect_as(CONTROL_MANAGE);
	unsigned times = 0;
	for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
		f.ended_fails = i % 2 ? -ENOSPC : 0;
		json_t *j = granted(fd, step[i].request);
		times += step[i].ends;
		assert_int_equal(f.ended, times);
		assert_int_equal(json_object_get(j, "unkept") != NULL, step[i].ends && i % 2);
		json_decref(j);
	}
	close(fd);
}

/* Nobody is told before it is on disk; what could not be put there is said. */
static void an_end_is_kept_before_it_is_said(void **state)
{
	int fd = connect_as(CONTROL_MANAGE);
	done(fd, LOGIN "}");
	assert_int_equal(f.ended, 0);
	json_t *j = granted(fd, ID "\"command\":\"logout\",\"user\":\"anna\"}");
	assert_int_equal(f.ended, 1);
	assert_null(json_object_get(j, "unkept"));
	json_decref(j);
	done(fd, ID "\"command\":\"logout\",\"user\":\"anna\"}");
	assert_int_equal(f.ended, 1); /* nobody was there */
	f.ended_fails = -ENOSPC;
	done(fd, LOGIN "}");
	j = granted(fd, ID "\"command\":\"logout\",\"tier\":\"press\"}");
	assert_int_equal(f.ended, 2);
	assert_string_equal(member(j, "unkept"), strerror(ENOSPC));
	assert_int_equal(sessions_count(f.sessions), 0);
	json_decref(j);
	close(fd);
}

#define VOUCHERS ID "\"command\":\"vouchers\",\"tier\":\"press\""

static void who_made_vouchers_is_recorded(void **state)
{
	int fd = connect_as(CONTROL_MANAGE), reader = connect_as(CONTROL_READ);
	done(fd, VOUCHERS ",\"count\":12,\"for\":\"8h\"}");
	assert_int_equal(f.acts, 1);
	assert_int_equal(f.act.kind, DECISION_ACT);
	assert_string_equal(f.act.act, "vouchers");
	assert_string_equal(f.act.tier, "press");
	assert_string_equal(f.act.detail, "12 for 8h each");
	assert_true(f.act.by[0] && f.act.time);
	refused(reader, VOUCHERS ",\"count\":12,\"for\":\"8h\"}", "denied");
	refused(fd, VOUCHERS ",\"count\":0,\"for\":\"8h\"}", "bad-request");
	refused(fd, VOUCHERS ",\"count\":10001,\"for\":\"8h\"}", "bad-request");
	refused(fd, VOUCHERS ",\"count\":\"1\",\"for\":\"8h\"}", "bad-request");
	refused(fd, VOUCHERS ",\"for\":\"8h\"}", "bad-request");
	refused(fd, VOUCHERS ",\"count\":1,\"for\":\"8\"}", "bad-request");
	refused(fd, VOUCHERS ",\"count\":1}", "bad-request");
	refused(fd, ID "\"command\":\"vouchers\",\"count\":1,\"for\":\"8h\",\"tier\":\"boss\"}",
		"not-found");
	refused(fd, ID "\"command\":\"vouchers\",\"count\":1,\"for\":\"8h\"}", "not-found");
	assert_int_equal(f.acts, 1);
	close(fd);
	close(reader);
}

static void who_is_blocked_can_not_sign_in(void **state)
{
	int fd = connect_as(CONTROL_MANAGE);
	done(fd, LOCKDOWN ",\"user\":\"anna\",\"only\":[\"social\"]}"); /* shut in, not blocked */
	done(fd, LOGIN "}");
	done(fd, ID "\"command\":\"logout\",\"user\":\"anna\"}");
	done(fd, LOCKDOWN ",\"user\":\"anna\"}");
	refused(fd, LOGIN "}", "blocked");
	refused(fd,
		ID "\"command\":\"login\",\"address\":\"10.0.0.1\",\"user\":\"ANNA\",\"tier\":"
		   "\"press\"}",
		"blocked"); /* a directory takes it for the same */
	assert_int_equal(sessions_count(f.sessions), 0);
	done(fd, ID "\"command\":\"lockdown-end\",\"user\":\"anna\"}");
	assert_int_equal(f.lockdowns.count, 1); /* the other stays */
	assert_string_equal(f.act.act, "lockdown-end");
	assert_string_equal(f.act.user, "anna");
	f.acts = 0;
	done(fd, LOGIN "}");
	assert_int_equal(f.acts, 1);
	assert_string_equal(f.act.act, "login");
	assert_string_equal(f.act.user, "anna");
	assert_string_equal(f.act.tier, "press");
	assert_string_equal(f.act.detail, "by login");
	done(fd, ID "\"command\":\"logout\",\"user\":\"nobody\"}");
	assert_int_equal(f.acts, 1); /* nothing was done */
	done(fd, ID "\"command\":\"logout\",\"address\":\"10.0.0.1\"}");
	struct address whose;
	assert_true(address_parse("10.0.0.1", &whose));
	assert_int_equal(f.acts, 2);
	assert_string_equal(f.act.act, "logout");
	assert_true(address_equal(&f.act.client, &whose)); /* the record says whose */
	done(fd, LOGIN "}");
	done(fd, ID "\"command\":\"logout\",\"tier\":\"press\"}");
	assert_int_equal(f.acts, 4);
	assert_string_equal(f.act.detail, "1 of the tier");
	close(fd);
}

static void names_what_begins_so(void **state)
{
	int fd = connect_as(CONTROL_MANAGE);
	done(fd, LOGIN "}");
	done(fd, ID "\"command\":\"login\",\"address\":\"10.0.0.9\",\"user\":\"anna\",\"tier\":"
		    "\"press\"}");
	refused(fd, ID "\"command\":\"names\",\"prefix\":7}", "bad-request");
	json_t *j = granted(fd, ID "\"command\":\"names\"}");
	json_t *want = json_pack("{s[ss]s[s]s[s]}", "tiers", "guest", "press", "sites", "social",
				 "users", "anna");
	assert_true(json_equal(j, want));
	json_decref(want);
	json_decref(j);
	j = granted(fd, ID "\"command\":\"names\",\"prefix\":\"p\"}");
	want = json_pack("{s[s]s[]s[]}", "tiers", "press", "sites", "users");
	assert_true(json_equal(j, want));
	json_decref(want);
	json_decref(j);
	close(fd);
}

/* However many people are there: an answer has a bound, and each is named once. */
static void names_have_a_bound(void **state)
{
	int fd = connect_as(CONTROL_READ);
	for (unsigned i = 0; i < 410; i++) {
		struct session s = {.tier = "press"};
		struct address a = address_from4((uint8_t[]){10, 1, i >> 8, i & 255});
		snprintf(s.user, sizeof s.user, "u%03u", i / 2);
		assert_int_equal(session_open(f.sessions, &a, &s, 0), 0);
	}
	json_t *j = granted(fd, ID "\"command\":\"names\"}");
	assert_int_equal(json_array_size(json_object_get(j, "users")), 200);
	json_decref(j);
	j = granted(fd, ID "\"command\":\"names\",\"prefix\":\"u20\"}");
	assert_int_equal(json_array_size(json_object_get(j, "users")), 5);
	json_decref(j);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	for (int i = 0; i < 201; i++)
		fprintf(out, "%s { name = \"s%d\"; hosts = [ \"a.example\" ]; }",
			i ? "," : "tiers = ( { name = \"t\"; } ); sites = (", i);
	fputs(" );\n", out);
	fclose(out);
	put_policy(text);
	free(text);
	j = granted(fd, ID "\"command\":\"names\"}");
	assert_int_equal(json_array_size(json_object_get(j, "sites")), 200);
	json_decref(j);
	refused(fd, ID "\"command\":\"sessions\",\"segment\":\"10.1.0.0/99\"}", "bad-request");
	done(fd, ID "\"command\":\"ping\"}"); /* one answer each */
	close(fd);
}

/* Who goes without reading takes no place. */
static void who_is_reset_is_gone(void **state)
{
	for (int i = 0; i < 3 * CONTROL_CLIENTS; i++) {
		int fd = connect_as(CONTROL_READ);
		say(fd, ID "\"command\":\"ping\"}\n");
		close(fd); /* with an answer unread: a reset */
		turn();
	}
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		assert_null(f.control->clients[i]);
}

static void hits_come_in_portions(void **state)
{
	int fd = connect_as(CONTROL_READ);
	refused(fd, ID "\"command\":\"hits\",\"from\":-1}", "bad-request");
	refused(fd, ID "\"command\":\"hits\",\"from\":\"0\"}", "bad-request");
	json_t *j = granted(fd, ID "\"command\":\"hits\",\"from\":2000}");
	json_t *want = json_pack("{s[]sI}", "hits", "next", (json_int_t)3000);
	assert_true(json_equal(j, want));
	json_decref(want);
	json_decref(j);
	close(fd);
}

static void an_answer_that_is_too_long_is_said(void **state)
{
	int fd = connect_as(CONTROL_READ);
	refused(fd, ID "\"command\":\"hits\",\"from\":7}", "too-long");
	done(fd, ID "\"command\":\"hits\",\"from\":8}");
	close(fd);
}

static void opens_and_closes_sessions(void **state)
{
	struct address a, b;
	struct session s;
	int fd = connect_as(CONTROL_MANAGE);
	address_parse("10.0.0.1", &a);
	address_parse("2001:db8::1", &b);
	json_t *r = granted(fd, LOGIN ",\"for\":\"2h\",\"source\":\"portal\"}");
	int64_t now = clock_now();
	assert_true(session_at(f.sessions, &a, now, &s));
	assert_string_equal(s.user, "anna");
	assert_string_equal(s.source, "portal");
	assert_true(s.until > now + 3600 * NS_PER_S && s.until <= now + 7200 * NS_PER_S);
	assert_int_equal(s.idle, 3600 * NS_PER_S); /* the tier's */
	assert_int_equal(json_integer_value(json_object_get(r, "session")), s.id);
	assert_int_equal(f.changed, 1);

	char line[256];
	snprintf(line, sizeof line,
		 ID "\"command\":\"add\",\"session\":%" JSON_INTEGER_FORMAT
		    ",\"address\":\"2001:db8::1\"}",
		 json_integer_value(json_object_get(r, "session")));
	json_decref(r);
	done(fd, line);
	assert_true(session_at(f.sessions, &b, now, &s));
	refused(fd, ID "\"command\":\"add\",\"session\":12345,\"address\":\"10.0.0.9\"}",
		"not-found");

	r = granted(fd, ID "\"command\":\"logout\",\"address\":\"2001:db8::1\"}");
	assert_int_equal(json_integer_value(json_object_get(r, "ended")), 1);
	json_decref(r);
	assert_false(session_at(f.sessions, &a, now, &s));
	r = granted(fd, ID "\"command\":\"logout\",\"user\":\"anna\"}");
	assert_int_equal(json_integer_value(json_object_get(r, "ended")), 0);
	json_decref(r);
	assert_int_equal(f.changed, 3);
	close(fd);
}

static void one_address_leaves_its_session(void **state)
{
	struct address a, b;
	struct session s, t;
	int64_t now = clock_now();
	int fd = connect_as(CONTROL_MANAGE);
	address_parse("10.0.0.1", &a);
	address_parse("10.0.0.2", &b);
#define DROP(address, more) ID "\"command\":\"drop\",\"address\":\"" address "\"" more "}"
	done(fd, LOGIN ",\"source\":\"radius\"}");
	assert_true(session_at(f.sessions, &a, now, &s));
	done(fd, ID "\"command\":\"add\",\"address\":\"10.0.0.2\",\"with\":\"10.0.0.1\"}");
	done(fd, DROP("10.0.0.1", ",\"source\":\"portal\"")); /* not one of these */
	assert_true(session_at(f.sessions, &a, now, &t));
	done(fd, DROP("10.0.0.1", ",\"source\":\"radius\""));
	assert_false(session_at(f.sessions, &a, now, &t));
	assert_true(session_at(f.sessions, &b, now, &t));
	assert_int_equal(t.id, s.id); /* it goes on */
	assert_int_equal(t.since, s.since);
	done(fd, DROP("10.0.0.2", ""));
	assert_int_equal(sessions_count(f.sessions), 0);
	refused(fd, DROP("10.0.0", ""), "bad-request");
	close(fd);
	fd = connect_as(CONTROL_READ);
	refused(fd, DROP("10.0.0.2", ""), "denied");
	close(fd);
}

/* The host that a login names, where its frames can be seen: on a link of this machine. */
static void a_login_may_name_its_host(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 7};
	struct address here, far;
	struct session s;
	int64_t now = clock_now();
	int fd = connect_as(CONTROL_MANAGE);
	address_parse("127.0.0.7", &here);
	address_parse("198.51.100.7", &far);
#define AT(address, mac)                                                                           \
	ID "\"command\":\"login\",\"address\":\"" address                                          \
	   "\",\"user\":\"anna\",\"tier\":\"press\",\"mac\":" mac "}"
	done(fd, AT("127.0.0.7", "\"02:00:00:00:00:07\""));
	assert_true(session_at(f.sessions, &here, now, &s));
	assert_true(s.has_mac && s.mac_told);
	assert_memory_equal(s.mac, mac, sizeof mac);
	done(fd,
	     AT("198.51.100.7", "\"02:00:00:00:00:07\"")); /* behind a router: its MAC is all's */
	assert_true(session_at(f.sessions, &far, now, &s));
	assert_false(s.has_mac || s.mac_told);
	refused(fd, AT("127.0.0.8", "\"02:00:00:00:00\""), "bad-request");
	refused(fd, AT("127.0.0.8", "7"), "bad-request");
	close(fd);
}

static void a_session_is_meant_by_address_and_source(void **state)
{
	struct address a, b;
	struct session s;
	int fd = connect_as(CONTROL_MANAGE);
	address_parse("10.0.0.1", &a);
	address_parse("10.0.0.2", &b);
#define ADD ID "\"command\":\"add\",\"address\":\"10.0.0.2\""
#define OUT ID "\"command\":\"logout\",\"address\":\"10.0.0.2\""
	refused(fd, ADD ",\"with\":\"10.0.0.1\"}", "not-found");
	done(fd, LOGIN ",\"source\":\"radius\"}");
	refused(fd, ADD ",\"with\":\"10.0.0.1\",\"source\":\"portal\"}", "not-found");
	refused(fd, ADD ",\"with\":\"10.0.0.1\",\"source\":7}", "not-found");
	refused(fd, ADD ",\"with\":\"10.0.0.1\",\"session\":7}", "bad-request");
	refused(fd, ADD "}", "bad-request");
	assert_false(session_at(f.sessions, &b, clock_now(), &s));
	done(fd, ADD ",\"with\":\"10.0.0.1\",\"source\":\"radius\"}");
	assert_true(session_at(f.sessions, &b, clock_now(), &s));
	const char *const no[] = {OUT ",\"source\":\"portal\"}", OUT ",\"source\":7}"};
	for (int i = 0; i < 2; i++) {
		json_t *r = granted(fd, no[i]);
		assert_int_equal(json_integer_value(json_object_get(r, "ended")), 0);
		json_decref(r);
	}
	refused(fd, ID "\"command\":\"logout\",\"user\":\"anna\",\"source\":\"radius\"}",
		"bad-request");
	assert_true(session_at(f.sessions, &a, clock_now(), &s));
	json_t *r = granted(fd, OUT ",\"source\":\"radius\"}");
	assert_int_equal(json_integer_value(json_object_get(r, "ended")), 1);
	json_decref(r);
	assert_false(session_at(f.sessions, &a, clock_now(), &s));
	close(fd);
}

static unsigned ended(int fd, const char *request)
{
	json_t *r = granted(fd, request);
	unsigned n = (unsigned)json_integer_value(json_object_get(r, "ended"));
	json_decref(r);
	return n;
}

static void signs_out_a_room_a_tier_or_everybody(void **state)
{
#define IN  ID "\"command\":\"login\",\"user\":\"anna\",\"tier\":"
#define ALL ID "\"command\":\"logout\","
	int fd = connect_as(CONTROL_MANAGE);
	for (unsigned i = 0; i < 3; i++) {
		done(fd, IN "\"press\",\"address\":\"10.0.12.1\"}");
		done(fd, IN "\"guest\",\"address\":\"10.0.12.2\"}");
		done(fd, IN "\"press\",\"address\":\"10.0.13.1\"}");
		done(fd, IN "\"guest\",\"address\":\"2001:db8:12::2\"}");
		unsigned changed = f.changed;
		refused(fd, ALL "\"segment\":\"room 12\"}", "bad-request");
		refused(fd, ALL "\"segment\":\"10.0.12.0/24\",\"tier\":7}", "bad-request");
		refused(fd, ALL "\"tier\":\"press\",\"segment\":7}", "bad-request");
		refused(fd, ALL "\"all\":1}", "bad-request");
		refused(fd, ALL "\"all\":true,\"tier\":\"press\"}", "bad-request");
		refused(fd, ALL "\"all\":true,\"user\":\"anna\"}", "bad-request");
		assert_int_equal(sessions_count(f.sessions), 4);
		assert_int_equal(ended(fd, ALL "\"segment\":\"10.0.14.0/24\"}"), 0);
		assert_int_equal(f.changed, changed);
		static const char *const whom[] = {
			ALL "\"segment\":\"10.0.12.0/24\"}", ALL "\"tier\":\"guest\"}",
			ALL "\"tier\":\"press\",\"segment\":\"10.0.12.0/24\"}"};
		static const unsigned how_many[] = {2, 2, 1};
		assert_int_equal(ended(fd, whom[i]), how_many[i]);
		assert_int_equal(f.changed, changed + 1);
		assert_int_equal(sessions_count(f.sessions), 4 - how_many[i]);
		assert_int_equal(ended(fd, ALL "\"all\":true}"), 4 - how_many[i]);
		assert_int_equal(sessions_count(f.sessions), 0);
	}
	close(fd);
}

static void a_session_ends_with_its_tier_s_limit(void **state)
{
	struct address a;
	struct session s;
	int fd = connect_as(CONTROL_MANAGE);
	address_parse("10.0.0.1", &a);
	done(fd, LOGIN ",\"for\":\"20h\"}");
	assert_true(session_at(f.sessions, &a, clock_now(), &s));
	assert_true(s.until <= clock_now() + 36000 * NS_PER_S);
	done(fd, LOGIN "}");
	assert_true(session_at(f.sessions, &a, clock_now(), &s));
	assert_true(s.until > clock_now() + 35000 * NS_PER_S);
	close(fd);
}

static void refuses_bad_logins(void **state)
{
#define BAD(members, code) refused(fd, ID "\"command\":\"login\"," members "}", code)
	int fd = connect_as(CONTROL_MANAGE);
	BAD("\"user\":\"anna\",\"tier\":\"press\"", "bad-request");
	BAD("\"address\":\"10.0.0.300\",\"user\":\"anna\",\"tier\":\"press\"", "bad-request");
	BAD("\"address\":\"10.0.0.1\",\"tier\":\"press\"", "bad-request");
	BAD("\"address\":\"10.0.0.1\",\"user\":\" a\",\"tier\":\"press\"", "bad-request");
	BAD("\"address\":\"10.0.0.1\",\"user\":7,\"tier\":\"press\"", "bad-request");
	BAD("\"address\":\"10.0.0.1\",\"user\":\"anna\"", "not-found");
	BAD("\"address\":\"10.0.0.1\",\"user\":\"anna\",\"tier\":\"kings\"", "not-found");
	refused(fd, LOGIN ",\"for\":\"soon\"}", "bad-request");
	refused(fd, LOGIN ",\"for\":8}", "bad-request");
	refused(fd, LOGIN ",\"source\":\"much longer than it may be\"}", "bad-request");
	refused(fd, ID "\"command\":\"logout\"}", "bad-request");
	refused(fd, ID "\"command\":\"logout\",\"user\":\"a\",\"address\":\"10.0.0.1\"}",
		"bad-request");
	assert_int_equal(sessions_count(f.sessions), 0);
	assert_int_equal(f.changed, 0);
	close(fd);
}

static void a_full_table_is_said(void **state)
{
	char line[512];
	int fd = connect_as(CONTROL_MANAGE);
	for (int i = 0; i <= 1000; i++) {
		snprintf(line, sizeof line,
			 ID "\"command\":\"login\",\"address\":\"10.1.%d.%d\",\"user\":\"u%d\","
			    "\"tier\":\"press\"}",
			 i / 200, i % 200, i);
		if (i < 1000)
			done(fd, line);
		else
			refused(fd, line, "full");
	}
	/* and the list of all is longer than what a client's buffer takes at once */
	say(fd, ID "\"command\":\"sessions\"}\n");
	const char *text = hear(fd, NULL);
	unsigned rows = 0;
	for (const char *p = text; (p = strstr(p, "\"more\":true")); p++)
		rows++;
	assert_int_equal(rows, 1000);
	assert_non_null(strstr(text, "{\"id\":1,\"ok\":true,\"result\":{\"count\":1000}}\n"));
	close(fd);
}

static void lists_sessions_by_filter(void **state)
{
	int fd = connect_as(CONTROL_MANAGE);
	done(fd, LOGIN "}");
	done(fd, ID "\"command\":\"login\",\"address\":\"10.0.0.2\",\"user\":\"bob\","
		    "\"tier\":\"guest\"}");
	say(fd, ID "\"command\":\"sessions\",\"user\":\"bob\"}\n");
	const char *text = hear(fd, NULL);
	assert_null(strstr(text, "anna"));
	assert_non_null(strstr(text, "\"addresses\":[\"10.0.0.2\"]"));
	assert_non_null(strstr(text, "{\"count\":1}"));
	say(fd, ID "\"command\":\"sessions\",\"address\":\"10.0.0.1\"}\n");
	text = hear(fd, NULL);
	assert_non_null(strstr(text, "\"user\":\"anna\""));
	assert_non_null(strstr(text, "\"idle\":3600"));
	assert_non_null(strstr(text, "{\"count\":1}"));
	close(fd);
}

#define QUOTAS                                                                                     \
	"tiers = ( { name = \"guest\"; }, { name = \"press\"; } );\n"                              \
	"segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"                       \
	"sites = ( { name = \"video\"; hosts = [ \"video.example\" ]; },\n"                        \
	"  { name = \"wiki\"; hosts = [ \"wiki.example\" ]; } );\n"                                \
	"allow = ( { tiers = [ \"*\" ]; sites = [ \"video\" ]; quota = \"90 min/day\"; },\n"       \
	"  { tiers = [ \"press\" ]; sites = [ \"*\" ]; quota = \"2 GiB/week together\"; },\n"      \
	"  { tiers = [ \"press\" ]; sites = [ \"wiki\" ]; },\n"                                    \
	"  { tiers = [ \"press\" ]; sites = [ \"wiki\" ]; ports = [ \"tcp/22\" ]; quota = \"1 "    \
	"h/day\"; } );\n"

static const json_t *only(const json_t *list)
{
	assert_int_equal(json_array_size(list), 1);
	return json_array_get(list, 0);
}

static json_t *session_row(int fd)
{
	say(fd, ID "\"command\":\"sessions\"}\n");
	json_t *j = json_loads(hear(fd, NULL), JSON_DISABLE_EOF_CHECK, NULL);
	json_t *row = json_incref(json_object_get(j, "result"));
	json_decref(j);
	return row;
}

static json_t *video_of(int fd, const char *address)
{
	char line[128];
	snprintf(line, sizeof line, ID "\"command\":\"reach\",\"address\":\"%s\"}", address);
	json_t *r = granted(fd, line);
	json_t *row = json_incref(json_array_get(json_object_get(r, "may"), 0));
	assert_string_equal(member(row, "site"), "video");
	json_decref(r);
	return row;
}

static void tells_what_is_left(void **state)
{
	int fd = connect_as(CONTROL_MANAGE);
	put_policy(QUOTAS);
	f.used = 55;
	done(fd, LOGIN "}");
	json_t *row = video_of(fd, "10.0.0.1");
	const json_t *q = only(json_object_get(row, "quotas"));
	assert_int_equal(json_integer_value(json_object_get(q, "left")), 35);
	assert_int_equal(json_integer_value(json_object_get(q, "amount")), 90);
	assert_string_equal(member(q, "left_text"), "35 min");
	assert_string_equal(member(q, "unit"), "min");
	assert_string_equal(member(q, "per"), "day");
	assert_string_equal(member(q, "of"), "user anna");
	assert_string_equal(member(q, "rule"), "conf:5");
	assert_string_equal(strstr(member(q, "until"), "T"), "T00:00:00.000000Z");
	json_decref(row);
	/* who is there by the segment alone has it by host; more is used than there is */
	f.used = 91;
	row = video_of(fd, "10.9.0.7");
	q = only(json_object_get(row, "quotas"));
	assert_int_equal(json_integer_value(json_object_get(q, "left")), 0);
	assert_string_equal(f.whose, "host 10.9.0.7");
	json_decref(row);
	/* of a session all that count, of the site that is without end too, as another port may */
	f.used = 1;
	row = session_row(fd);
	json_t *all = json_object_get(row, "quotas");
	assert_int_equal(json_array_size(all), 3);
	q = json_array_get(all, 1);
	assert_string_equal(member(q, "of"), "all together");
	assert_string_equal(member(q, "left_text"), "1.9 GiB");
	assert_string_equal(member(q, "amount_text"), "2 GiB");
	assert_string_equal(json_string_value(only(json_object_get(q, "sites"))), "*");
	json_decref(row);
	put_policy(policy);
	row = session_row(fd);
	assert_null(json_object_get(row, "quotas"));
	json_decref(row);
	close(fd);
}

/* A line with any number of sites: an answer has a bound. */
static void tells_the_first_sites_of_a_quota(void **state)
{
	char text[4096] = "tiers = ( { name = \"press\"; } );\nsites = ( ", sites[1024] = "";
	int fd = connect_as(CONTROL_MANAGE);
	for (int i = 0; i < 18; i++) {
		sprintf(text + strlen(text), "%s{ name = \"s%d\"; hosts = [ \"s%d.example\" ]; }",
			i ? ", " : "", i, i);
		sprintf(sites + strlen(sites), "%s\"s%d\"", i ? ", " : "", i);
	}
	sprintf(text + strlen(text),
		" );\nallow = ( { tiers = [ \"press\" ]; sites = [ %s ]; quota = \"2 h/day\"; } "
		");\n",
		sites);
	put_policy(text);
	done(fd, LOGIN "}");
	json_t *row = session_row(fd);
	const json_t *q = only(json_object_get(row, "quotas"));
	assert_int_equal(json_array_size(json_object_get(q, "sites")), 16);
	assert_int_equal(json_integer_value(json_object_get(q, "more_sites")), 2);
	assert_string_equal(member(q, "left_text"), "120 min");
	json_decref(row);
	close(fd);
}

static void tells_what_may_be_reached(void **state)
{
	int fd = connect_as(CONTROL_READ), portal = connect_as(CONTROL_MANAGE);
	json_t *r = granted(fd, ID "\"command\":\"reach\",\"address\":\"10.0.0.1\"}");
	assert_null(json_object_get(r, "tier"));
	assert_int_equal(json_array_size(json_object_get(r, "may")), 0);
	json_decref(r);
	r = granted(fd, ID "\"command\":\"reach\",\"address\":\"10.9.0.1\"}");
	assert_string_equal(json_string_value(json_object_get(r, "tier")), "guest");
	assert_null(json_object_get(r, "user"));
	json_decref(r);
	done(portal, LOGIN "}");
	r = granted(fd, ID "\"command\":\"reach\",\"address\":\"10.0.0.1\"}");
	const json_t *row = json_array_get(json_object_get(r, "may"), 0);
	assert_string_equal(json_string_value(json_object_get(r, "user")), "anna");
	assert_string_equal(json_string_value(json_object_get(row, "site")), "social");
	assert_string_equal(json_string_value(json_object_get(row, "rule")), "conf:5");
	assert_true(json_is_true(json_object_get(row, "now")));
	json_decref(r);
	refused(fd, ID "\"command\":\"reach\",\"address\":\"x\"}", "bad-request");
	close(fd);
	close(portal);
}

static void tells_why(void **state)
{
	int fd = connect_as(CONTROL_MANAGE);
	done(fd, LOGIN "}");
	json_t *r = granted(fd, ID "\"command\":\"why\",\"user\":\"anna\","
				   "\"to\":\"www.youtube.com\"}");
	assert_string_equal(member(r, "action"), "allow");
	assert_string_equal(member(r, "rule"), "conf:5");
	assert_string_equal(member(r, "tier"), "press");
	json_decref(r);
	r = granted(fd, ID "\"command\":\"why\",\"address\":\"10.9.1.1\","
			   "\"to\":\"www.youtube.com\",\"port\":\"udp/443\"}");
	assert_string_equal(member(r, "action"), "deny");
	assert_string_equal(member(r, "tier"), "guest");
	assert_string_equal(member(r, "nearest"), "conf:5");
	json_decref(r);
	r = granted(fd, ID "\"command\":\"why\",\"tier\":\"press\",\"to\":\"www.youtube.com\","
			   "\"evidence\":\"dns\",\"at\":\"2026-11-24T10:00:00Z\"}");
	assert_string_equal(member(r, "action"), "deny");
	assert_string_equal(member(r, "reason"), "weak-evidence");
	assert_string_equal(member(r, "at"), "2026-11-24T10:00:00.000000Z");
	json_decref(r);
#define WHY(members) refused(fd, ID "\"command\":\"why\"" members "}", "bad-request")
	WHY("");
	WHY(",\"user\":\"anna\"");
	WHY(",\"to\":\"a.org\"");
	WHY(",\"to\":\"a.org\",\"user\":\"bob\"");
	WHY(",\"to\":\"a.org\",\"tier\":\"kings\"");
	WHY(",\"to\":\"a.org\",\"tier\":\"press\",\"user\":\"anna\"");
	WHY(",\"to\":\"a b\",\"tier\":\"press\"");
	WHY(",\"to\":\"a.org\",\"tier\":\"press\",\"port\":\"443\"");
	WHY(",\"to\":\"a.org\",\"tier\":\"press\",\"at\":\"later\"");
	WHY(",\"to\":\"a.org\",\"tier\":\"press\",\"evidence\":\"rumour\"");
	close(fd);
}

static void reload_says_every_error(void **state)
{
	int fd = connect_as(CONTROL_MANAGE);
	done(fd, ID "\"command\":\"reload\"}");
	f.reload_fails = true;
	json_t *j = ask(fd, ID "\"command\":\"reload\"}");
	assert_string_equal(member(j, "code"), "failed");
	json_t *errors = json_object_get(j, "errors");
	assert_int_equal(json_array_size(errors), 2);
	assert_string_equal(json_string_value(json_array_get(errors, 1)),
			    "policy.conf:9: wrong too");
	json_decref(j);
	close(fd);
}

/* What runs already may have read files that are no longer the same: its end is another's. */
static void a_reload_that_waits_for_another_is_answered_after_its_own(void **state)
{
	struct errors none = {0}, errors = {0};
	int fd = connect_as(CONTROL_MANAGE);
	f.reload_runs = true;
	say(fd, ID "\"command\":\"reload\"}\n");
	control_reloaded(f.control, &none);
	assert_string_equal(hear(fd, NULL), "");
	errors_add(&errors, "policy.conf", 3, "wrong");
	control_reloaded(f.control, &errors);
	f.reload_runs = false;
	json_t *j = json_loads(hear(fd, NULL), 0, NULL);
	assert_non_null(j);
	assert_string_equal(member(j, "code"), "failed");
	json_decref(j);
	done(fd, ID "\"command\":\"reload\"}");
	errors_deinit(&errors);
	close(fd);
}

/* ---- watch ---- */

static struct decision decision(const char *user, const char *host, enum action action)
{
	struct decision d = {.time = NS_PER_S,
			     .action = action,
			     .reason = action == ACTION_ALLOW ? REASON_ALLOW_LINE : REASON_NO_LINE,
			     .transport = IPPROTO_TCP,
			     .client = address_from4((uint8_t[]){10, 0, 0, 1}),
			     .server = address_from4((uint8_t[]){203, 0, 113, 9}),
			     .tier = "press"};
	snprintf(d.user, sizeof d.user, "%s", user);
	d.host.len = (uint8_t)snprintf(d.host.text, sizeof d.host.text, "%s", host);
	return d;
}

static void tell(const char *user, const char *host, enum action action)
{
	struct decision d = decision(user, host, action);
	control_decided(f.control, &d);
}

static unsigned lines_of(const char *text, const char *word)
{
	unsigned n = 0;
	for (; (text = strstr(text, word)); text++)
		n++;
	return n;
}

static void watches(void **state)
{
	int fd = connect_as(CONTROL_READ);
	tell("anna", "early.org", ACTION_ALLOW); /* before anybody looks */
	json_decref(ask(fd, "{\"id\":9,\"v\":1,\"command\":\"watch\"}"));
	tell("anna", "a.org", ACTION_ALLOW);
	tell("bob", "b.org", ACTION_DENY);
	const char *text = hear(fd, NULL);
	assert_int_equal(lines_of(text, "\n"), 2);
	assert_int_equal(strncmp(text, "{\"id\":9,\"more\":true,\"record\":{\"@timestamp\"", 42),
			 0);
	assert_non_null(strstr(text, "\"destination.domain\":\"b.org\""));
	assert_null(strstr(text, "early"));
	json_decref(json_loads(text, JSON_DISABLE_EOF_CHECK, NULL));
	json_t *pong = ask(fd, "{\"id\":10,\"v\":1,\"command\":\"ping\"}"); /* meanwhile */
	assert_int_equal(json_integer_value(json_object_get(pong, "id")), 10);
	json_decref(pong);
	close(fd);
	turn();
	tell("anna", "a.org", ACTION_ALLOW);
	turn();
}

static unsigned heard_with(const char *filter)
{
	char line[256];
	int fd = connect_as(CONTROL_READ);
	snprintf(line, sizeof line, "{\"id\":9,\"v\":1,\"command\":\"watch\"%s}", filter);
	json_decref(ask(fd, line));
	tell("anna", "www.a.org", ACTION_ALLOW);
	tell("bob", "a.org", ACTION_DENY);
	tell("bob", "ba.org", ACTION_DENY);
	unsigned n = lines_of(hear(fd, NULL), "\n");
	close(fd);
	turn();
	return n;
}

static void watch_filters(void **state)
{
	assert_int_equal(heard_with(""), 3);
	assert_int_equal(heard_with(",\"user\":\"bob\""), 2);
	assert_int_equal(heard_with(",\"tier\":\"press\""), 3);
	assert_int_equal(heard_with(",\"tier\":\"pres\""), 0);
	assert_int_equal(heard_with(",\"action\":\"deny\""), 2);
	assert_int_equal(heard_with(",\"name\":\"a.org\""), 2);
	assert_int_equal(heard_with(",\"name\":\"a.org\",\"user\":\"bob\""), 1);
	assert_int_equal(heard_with(",\"name\":\"b.org\""),
			 0); /* as long as the name that is there */
	assert_int_equal(heard_with(",\"name\":\"a.or\""), 0);
	assert_int_equal(heard_with(",\"name\":\"x.www.a.org\""), 0);
	assert_int_equal(heard_with(",\"address\":\"10.0.0.1\""), 3);
	assert_int_equal(heard_with(",\"address\":\"203.0.113.9\""), 3);
	assert_int_equal(heard_with(",\"address\":\"10.0.0.2\""), 0);
	int fd = connect_as(CONTROL_READ);
	refused(fd, ID "\"command\":\"watch\",\"address\":\"x\"}", "bad-request");
	refused(fd, ID "\"command\":\"watch\",\"action\":\"denied\"}", "bad-request");
	close(fd);
}

static void watches_as_text(void **state)
{
	int fd = connect_as(CONTROL_READ);
	json_decref(ask(fd, ID "\"command\":\"watch\",\"text\":true,\"colour\":true}"));
	tell("anna", "a.org", ACTION_ALLOW);
	json_t *j = json_loads(hear(fd, NULL), 0, NULL);
	assert_non_null(strstr(member(j, "text"), "\033[32mallow\033[0m  anna(press)  a.org/"));
	json_decref(j);
	close(fd);
}

/* A watcher that does not read loses lines, is told so, and holds up nobody. */
static void a_slow_watcher_loses_lines(void **state)
{
	enum { LINES = 20000 };
	int slow = connect_as(CONTROL_READ), fd = connect_as(CONTROL_READ);
	json_decref(ask(slow, "{\"id\":9,\"v\":1,\"command\":\"watch\"}"));
	for (int i = 0; i < LINES; i++) {
		tell("anna", "a.org", ACTION_ALLOW);
		if (i % 1000 == 0)
			turn();
	}
	done(fd, ID "\"command\":\"ping\"}");
	struct control_counters c;
	control_count(f.control, &c);
	assert_true(c.lost_lines > 0);
	unsigned heard = lines_of(hear(slow, NULL), "\"record\":");
	assert_int_equal(heard + c.lost_lines, LINES);
	tell("anna", "a.org", ACTION_ALLOW);
	char word[64];
	snprintf(word, sizeof word, "\"more\":true,\"lost\":%lu}", (unsigned long)c.lost_lines);
	assert_non_null(strstr(hear(slow, NULL), word));
	close(fd);
	close(slow);
}

/* The sink's thread finds the ring full where the main thread does not run: counted as well. */
static void lines_beyond_the_ring_are_counted(void **state)
{
	enum { LINES = 3000 };
	int fd = connect_as(CONTROL_READ);
	json_decref(ask(fd, "{\"id\":9,\"v\":1,\"command\":\"watch\"}"));
	for (int i = 0; i < LINES; i++)
		tell("anna", "a.org", ACTION_ALLOW);
	const char *text = hear(fd, NULL);
	unsigned long total = lines_of(text, "\"record\":");
	assert_int_equal(lines_of(text, "\"lost\":"), 1);
	total += strtoul(strstr(text, "\"lost\":") + 7, NULL, 10);
	if (total < LINES) { /* the rest was lost behind it: the next line says how many */
		tell("anna", "a.org", ACTION_ALLOW);
		total += strtoul(strstr(hear(fd, NULL), "\"lost\":") + 7, NULL, 10);
	}
	assert_int_equal(total, LINES);
	close(fd);
}

static int set_up_hidden(void **state)
{
	static const uint8_t key[PSEUDONYM_KEY] = {7};
	return set_up_with(key, false);
}

static void a_filter_takes_the_name_behind_a_pseudonym(void **state)
{
	static const uint8_t key[PSEUDONYM_KEY] = {7};
	char hidden[PSEUDONYM_TEXT];
	record_pseudonym(key, "anna", hidden);
	int fd = connect_as(CONTROL_READ);
	json_decref(ask(fd, ID "\"command\":\"watch\",\"user\":\"anna\"}"));
	tell(hidden, "a.org", ACTION_ALLOW); /* as the sink passes it */
	tell("0123456789abcdef", "a.org", ACTION_ALLOW);
	assert_int_equal(lines_of(hear(fd, NULL), "\n"), 1);
	close(fd);
}

static void remembers_denials_of_an_address(void **state)
{
	int fd = connect_as(CONTROL_READ);
	tell("anna", "one.org", ACTION_DENY);
	tell("anna", "two.org", ACTION_ALLOW);
	tell("anna", "three.org", ACTION_DENY);
	turn();
	json_t *r = granted(fd, ID "\"command\":\"denials\",\"address\":\"10.0.0.1\"}");
	json_t *list = json_object_get(r, "denials");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(member(json_array_get(list, 0), "destination.domain"), "three.org");
	assert_string_equal(member(json_array_get(list, 1), "destination.domain"), "one.org");
	json_decref(r);
	r = granted(fd, ID "\"command\":\"denials\",\"address\":\"10.0.0.1\",\"max\":1}");
	assert_int_equal(json_array_size(json_object_get(r, "denials")), 1);
	json_decref(r);
	r = granted(fd, ID "\"command\":\"denials\",\"address\":\"10.0.0.2\"}");
	assert_int_equal(json_array_size(json_object_get(r, "denials")), 0);
	json_decref(r);
	for (int i = 0; i < CONTROL_DENIALS + 10; i++) {
		tell("anna", "many.org", ACTION_DENY);
		turn();
	}
	r = granted(fd, ID "\"command\":\"denials\",\"address\":\"10.0.0.1\"}");
	assert_int_equal(json_array_size(json_object_get(r, "denials")), CONTROL_DENIALS_MAX);
	json_decref(r);
	refused(fd, ID "\"command\":\"denials\"}", "bad-request");
	/* those of the session's other addresses, where they are asked for */
	int manager = connect_as(CONTROL_MANAGE);
	done(manager, LOGIN "}");
	done(manager, ID "\"command\":\"add\",\"address\":\"10.0.0.2\",\"with\":\"10.0.0.1\"}");
	close(manager);
	r = granted(fd, ID "\"command\":\"denials\",\"address\":\"10.0.0.2\"}");
	assert_int_equal(json_array_size(json_object_get(r, "denials")), 0);
	json_decref(r);
	r = granted(fd, ID "\"command\":\"denials\",\"address\":\"10.0.0.2\",\"session\":true}");
	assert_int_equal(json_array_size(json_object_get(r, "denials")), CONTROL_DENIALS_MAX);
	json_decref(r);
	close(fd);
}

/* ---- connections ---- */

static void readers_leave_places_for_managers(void **state)
{
	int fd[CONTROL_CLIENTS], readers = 0, managers = 0, pair[2];
	struct control_counters c;
	for (int i = 0; i < CONTROL_CLIENTS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		fd[i] = pair[0];
		readers += control_adopt(f.control, pair[1], CONTROL_READ) == 0;
	}
	assert_int_equal(readers, CONTROL_CLIENTS * 3 / 4);
	for (int i = readers; i < CONTROL_CLIENTS; i++)
		close(fd[i]);
	for (int i = readers; i < CONTROL_CLIENTS + 1; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		int e = control_adopt(f.control, pair[1], CONTROL_MANAGE);
		managers += e == 0;
		assert_int_equal(e, i < CONTROL_CLIENTS ? 0 : -EUSERS);
		if (e == 0)
			fd[i] = pair[0];
		else
			close(pair[0]);
	}
	control_count(f.control, &c);
	assert_int_equal(c.clients, CONTROL_CLIENTS);
	assert_int_equal(c.refused_clients, CONTROL_CLIENTS - readers + 1);
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		close(fd[i]);
	turn();
	control_count(f.control, &c);
	assert_int_equal(c.clients, 0); /* all are let go */
	close(connect_as(CONTROL_READ));
}

static void answers_after_a_half_close(void **state)
{
	bool end;
	int fd = connect_as(CONTROL_READ);
	send(fd, ID "\"command\":\"ping\"}\n", strlen(ID "\"command\":\"ping\"}\n"), 0);
	shutdown(fd, SHUT_WR);
	assert_non_null(strstr(hear(fd, &end), "\"ok\":true"));
	assert_true(end);
	close(fd);
}

/* Requests come without end and nobody reads the answers: memory stays bounded, others are served.
 */
static void a_client_that_never_reads_is_left_waiting(void **state)
{
	const char *request = ID "\"command\":\"status\"}\n";
	int deaf = connect_as(CONTROL_READ), fd = connect_as(CONTROL_READ);
	size_t sent = 0;
	while (send(deaf, request, strlen(request), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
		sent++;
		turn();
	}
	assert_int_equal(errno, EAGAIN);
	done(fd, ID "\"command\":\"ping\"}");
	unsigned answers = 0;
	for (unsigned before = 1; before;) {
		before = lines_of(hear(deaf, NULL), "\"mode\"");
		answers += before;
	}
	assert_true(answers >= sent); /* the last send may have been cut */
	close(deaf);
	close(fd);
}

static int set_up_listening(void **state)
{
	return set_up_with(NULL, true);
}

static void listens_on_a_socket(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct errors errors = {0};
	snprintf(at.sun_path, sizeof at.sun_path, "%s", f.socket);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	turn();
	done(fd, LOGIN "}"); /* our own uid may */
	close(fd);
	turn();
	/* a second daemon is refused, and leaves the first one's socket alone */
	struct control_options o = {
		.ops = &ops, .event = f.event, .sessions = f.sessions, .socket = f.socket};
	assert_null(control_new(&o, &errors));
	assert_int_equal(errors.count, 1);
	errors_deinit(&errors);
	assert_int_equal(access(f.socket, F_OK), 0);
}

enum { READERS = 64999, PORTAL = 64998, NOBODY = 65533 };

/* A kernel that does not tell a peer's groups. */
static bool groups_untold;
int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (groups_untold && level == SOL_SOCKET && name == SO_PEERGROUPS) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

/* Those of a machine where we are installed. */
struct group *getgrnam(const char *name)
{
	static struct group readers = {.gr_gid = READERS};
	return strcmp(name, "tiergate") == 0 ? &readers : NULL;
}

struct passwd *getpwnam(const char *name)
{
	static struct passwd portal = {.pw_uid = PORTAL};
	return strcmp(name, "tiergate-portal") == 0 ? &portal : NULL;
}

/* What another user reads who asks over the socket; in a process of its own. group: one more that
 * the user is in. */
static void ask_as_in(uid_t uid, gid_t group, const char *request, char out[static 512])
{
	int back[2];
	assert_int_equal(pipe(back), 0);
	pid_t child = fork();
	if (child == 0) {
		struct sockaddr_un at = {.sun_family = AF_UNIX};
		snprintf(at.sun_path, sizeof at.sun_path, "%s", f.socket);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (setgroups(group ? 1 : 0, &group) < 0 || setgid(uid) < 0 || setuid(uid) < 0 ||
		    connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
			_exit(1);
		send(fd, request, strlen(request), MSG_NOSIGNAL);
		ssize_t n = recv(fd, out, 511, 0);
		_exit(n > 0 && write(back[1], out, (size_t)n) == n ? 0 : 1);
	}
	close(back[1]);
	int status = 0;
	while (waitpid(child, &status, WNOHANG) == 0)
		turn();
	assert_int_equal(status, 0);
	ssize_t n = read(back[0], out, 511);
	out[n > 0 ? n : 0] = '\0';
	close(back[0]);
}

static void ask_as(uid_t uid, const char *request, char out[static 512])
{
	ask_as_in(uid, 0, request, out);
}

/* Who is neither root, nor the portal, nor the daemon's own user, nor in the group of readers, may
 * not even ask. */
static void another_user_may_nothing(void **state)
{
	char said[512];
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f.dir, 0755), 0);
	ask_as(NOBODY, LOGIN "}\n", said);
	assert_non_null(strstr(said, "\"code\":\"denied\""));
	assert_int_equal(sessions_count(f.sessions), 0);
	ask_as(NOBODY, ID "\"command\":\"status\"}\n", said);
	assert_non_null(strstr(said, "\"code\":\"denied\""));
	assert_null(strstr(said, "mode"));
	groups_untold = true; /* then nobody is in one beside his own */
	ask_as_in(NOBODY, READERS, ID "\"command\":\"status\"}\n", said);
	assert_non_null(strstr(said, "\"code\":\"denied\""));
	ask_as(READERS, ID "\"command\":\"status\"}\n", said);
	assert_non_null(strstr(said, "\"ok\":true"));
	groups_untold = false;
	f.control->readers = (gid_t)-1; /* a machine without the group tiergate */
	ask_as_in(NOBODY, READERS, ID "\"command\":\"status\"}\n", said);
	assert_non_null(strstr(said, "\"code\":\"denied\""));
	ask_as(0, LOGIN "}\n", said);
	assert_non_null(strstr(said, "\"ok\":true"));
}

static void the_group_reads_and_the_portal_manages(void **state)
{
	char said[512];
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f.dir, 0755), 0);
	for (int primary = 0; primary < 2; primary++) {
		uid_t uid = primary ? READERS : NOBODY; /* ask_as makes it the group, too */
		ask_as_in(uid, primary ? 0 : READERS, ID "\"command\":\"status\"}\n", said);
		assert_non_null(strstr(said, "\"ok\":true"));
		ask_as_in(uid, primary ? 0 : READERS, LOGIN "}\n", said);
		assert_non_null(strstr(said, "\"code\":\"denied\""));
	}
	assert_int_equal(sessions_count(f.sessions), 0);
	ask_as(PORTAL, LOGIN "}\n", said);
	assert_non_null(strstr(said, "\"ok\":true"));
	assert_int_equal(sessions_count(f.sessions), 1);
}

/* What is not read yet fills the room to its last byte, and no further. */
static void a_line_fits_or_is_not_taken(void **state)
{
	static char text[CONTROL_OUT_MAX];
	struct client cl = {.out = malloc(CONTROL_OUT_MAX)};
	memset(text, 'x', sizeof text);
	assert_false(client_put(&cl, text, CONTROL_OUT_MAX));
	assert_true(client_put(&cl, text, CONTROL_OUT_MAX - 1));
	assert_false(client_put(&cl, "", 0));
	assert_int_equal(cl.out_len, CONTROL_OUT_MAX);
	cl.out_off = 5; /* sent meanwhile */
	assert_false(client_put(&cl, "12345", 5));
	assert_true(client_put(&cl, "1234", 4));
	assert_memory_equal(cl.out + CONTROL_OUT_MAX - 6, "\n1234\n", 6);
	free(cl.out);
}

/* The group's word is about its members: who is in another one only is nobody. */
static void another_group_may_nothing(void **state)
{
	char said[512];
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f.dir, 0755), 0);
	ask_as_in(NOBODY, READERS + 1, ID "\"command\":\"status\"}\n", said);
	assert_non_null(strstr(said, "\"code\":\"denied\""));
	ask_as_in(NOBODY, 0, ID "\"command\":\"status\"}\n", said);
	assert_non_null(strstr(said, "\"code\":\"denied\""));
}

/* The other side of the socket: what the portal and tiergatectl say, and what they are told. */
static void a_call_says_version_and_command(void **state)
{
	char line[256] = "";
	struct call *c = call_open(f.socket, 5);
	assert_non_null(c);
	turn();
	assert_true(call_send(c, "status", NULL));
	turn();
	json_t *j = call_receive(c);
	assert_true(json_is_true(json_object_get(j, "ok")));
	assert_string_equal(member(json_object_get(j, "result"), "mode"), "enforce");
	json_decref(j);
	assert_true(call_send(c, "sessions", json_pack("{ss}", "user", "anna")));
	turn();
	j = call_receive(c);
	assert_true(json_is_true(json_object_get(j, "ok")));
	json_decref(j);
	call_close(c);
	call_close(NULL);
	turn();

	/* why it cannot be opened, for who must say it */
	memset(line, 'x', sizeof line - 1);
	errno = 0;
	assert_null(call_open(line, 1));
	assert_int_equal(errno, ENAMETOOLONG);
	snprintf(line, sizeof line, "%s/absent", f.dir);
	errno = 0;
	assert_null(call_open(line, 1));
	assert_int_equal(errno, ENOENT);
}

/* What is answered by something else, or by nobody, is no answer. */
static void an_answer_that_is_none_is_said(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char path[80], asked[256];
	snprintf(path, sizeof path, "%s/other", f.dir);
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(listener, 1), 0);
	struct call *c = call_open(path, 5);
	assert_non_null(c);
	int fd = accept(listener, NULL, NULL);
	assert_true(call_send(c, "login", json_pack("{ss}", "user", "anna")));
	ssize_t n = recv(fd, asked, sizeof asked - 1, 0);
	assert_true(n > 0);
	asked[n] = '\0';
	assert_string_equal(asked, "{\"user\":\"anna\",\"id\":1,\"v\":1,\"command\":\"login\"}\n");
	assert_int_equal(send(fd, "hello\n", 6, 0), 6);
	assert_null(call_receive(c));
	assert_int_equal(errno, EBADMSG);
	close(fd);
	assert_null(call_receive(c));
	assert_int_equal(errno, 0); /* the end */
	assert_false(call_send(c, "ping", NULL));
	call_close(c);
	close(listener);
	assert_int_equal(unlink(path), 0);
}

static size_t open_files(void)
{
	size_t n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A socket that cannot be had costs no descriptor: a daemon may try for weeks. */
static void a_refused_socket_leaves_nothing_open(void **state)
{
	struct errors errors = {0};
	char path[160];
	struct control_options o = {
		.ops = &ops, .event = f.event, .sessions = f.sessions, .socket = f.socket};
	const size_t before = open_files();
	assert_null(control_new(&o, &errors));
	assert_int_equal(open_files(), before);
	snprintf(path, sizeof path, "%s/absent/socket", f.dir);
	o.socket = path;
	assert_null(control_new(&o, &errors));
	assert_int_equal(open_files(), before);
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_null(control_new(&o, &errors));
	assert_int_equal(open_files(), before);
	assert_int_equal(errors.count, 3);
	errors_deinit(&errors);
	errno = 0;
	assert_null(call_open(f.file, 1)); /* no socket */
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(open_files(), before);
}

/* A watcher without room for the number it lost and a line waits for both. */
static void what_was_lost_is_not_said_too_early(void **state)
{
	struct control_counters c;
	int fd = connect_as(CONTROL_READ);
	struct client *cl = NULL;
	for (size_t i = 0; i < CONTROL_CLIENTS && !cl; i++)
		cl = f.control->clients[i];
	assert_non_null(cl);
	json_decref(ask(fd, "{\"id\":9,\"v\":1,\"command\":\"watch\"}"));
	cl->watch.lost = 3;
	/* a little less than is asked for, as if it had not been sent */
	cl->out_len = CONTROL_OUT_MAX - 2 * RECORD_MAX + 1;
	memset(cl->out, '\n', cl->out_len);
	tell("anna", "a.org", ACTION_ALLOW);
	turn();
	control_count(f.control, &c);
	assert_int_equal(c.lost_lines, 1);
	assert_int_equal(lines_of(hear(fd, NULL), "\"record\":"), 0);
	tell("anna", "a.org", ACTION_ALLOW);
	const char *text = hear(fd, NULL);
	assert_non_null(strstr(text, "\"lost\":4}"));
	assert_int_equal(lines_of(text, "\"record\":"), 1);
	close(fd);
}

static void takes_over_a_dead_socket(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct errors errors = {0};
	char path[80];
	snprintf(path, sizeof path, "%s/dead", f.dir);
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	close(fd);
	struct control_options o = {
		.ops = &ops, .event = f.event, .sessions = f.sessions, .socket = path};
	struct control *c = control_new(&o, &errors);
	assert_non_null(c);
	control_free(c);
	assert_int_equal(access(path, F_OK), -1);
	FILE *file = fopen(path, "w"); /* what is no socket is not removed */
	fclose(file);
	assert_null(control_new(&o, &errors));
	assert_int_equal(unlink(path), 0);
	errors_deinit(&errors);
}

#define WITH(test)      cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define LISTENING(test) cmocka_unit_test_setup_teardown(test, set_up_listening, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(answers_with_the_id),
		WITH(refuses_bad_requests),
		WITH(takes_requests_in_any_pieces),
		WITH(a_line_has_a_bound),
		WITH(readers_only_read),
		WITH(opens_and_closes_sessions),
		WITH(one_address_leaves_its_session),
		WITH(a_login_may_name_its_host),
		WITH(a_session_is_meant_by_address_and_source),
		WITH(signs_out_a_room_a_tier_or_everybody),
		WITH(a_session_ends_with_its_tier_s_limit),
		WITH(refuses_bad_logins),
		WITH(a_full_table_is_said),
		WITH(lists_sessions_by_filter),
		WITH(tells_what_is_left),
		WITH(tells_the_first_sites_of_a_quota),
		WITH(tells_what_may_be_reached),
		WITH(tells_why),
		WITH(reload_says_every_error),
		WITH(a_reload_that_waits_for_another_is_answered_after_its_own),
		WITH(watches),
		WITH(watch_filters),
		WITH(watches_as_text),
		WITH(a_slow_watcher_loses_lines),
		WITH(lines_beyond_the_ring_are_counted),
		cmocka_unit_test_setup_teardown(a_filter_takes_the_name_behind_a_pseudonym,
						set_up_hidden, tear_down),
		WITH(remembers_denials_of_an_address),
		WITH(readers_leave_places_for_managers),
		WITH(answers_after_a_half_close),
		WITH(a_client_that_never_reads_is_left_waiting),
		WITH(names_what_begins_so),
		WITH(hits_come_in_portions),
		WITH(an_answer_that_is_too_long_is_said),
		WITH(keeps_what_the_portal_tells),
		WITH(keeps_what_a_probe_tells),
		WITH(names_have_a_bound),
		WITH(who_is_reset_is_gone),
		WITH(shuts_for_a_while),
		WITH(whatever_ends_is_kept_before_it_is_said),
		WITH(an_end_is_kept_before_it_is_said),
		WITH(who_made_vouchers_is_recorded),
		WITH(who_is_blocked_can_not_sign_in),
		cmocka_unit_test_setup_teardown(listens_on_a_socket, set_up_listening, tear_down),
		cmocka_unit_test(a_line_fits_or_is_not_taken),
		cmocka_unit_test_setup_teardown(the_group_reads_and_the_portal_manages,
						set_up_listening, tear_down),
		cmocka_unit_test_setup_teardown(another_user_may_nothing, set_up_listening,
						tear_down),
		LISTENING(another_group_may_nothing),
		LISTENING(a_call_says_version_and_command),
		LISTENING(a_refused_socket_leaves_nothing_open),
		WITH(an_answer_that_is_none_is_said),
		WITH(what_was_lost_is_not_said_too_early),
		WITH(takes_over_a_dead_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
