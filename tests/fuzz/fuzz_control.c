/* The input is what a client sends to the control socket, with every right; 0xff ends a send, so
 * that lines come in parts. Whatever it is, every line of the answer is one JSON object. */
#include "config/config.h"
#include "control/control.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char policy[] = "tiers = ( { name = \"press\"; absolute = \"10h\"; } );\n"
			     "sites = ( { name = \"social\"; hosts = [ \"youtube.com\" ]; } );\n"
			     "allow = ( { tiers = [ \"press\" ]; sites = [ \"social\" ]; } );\n";

static struct snapshot *snapshot;
static struct sessions *sessions;
static struct control *control;
static sd_event *event;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void fake_status(void *ctx, json_t *out)
{
	json_object_set_new(out, "mode", json_string("enforce"));
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
	errors_add(&errors, "a", 1, "wrong");
	control_reloaded(control, &errors);
	errors_deinit(&errors);
	return false;
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
	json_object_set_new(out, "from", json_integer((json_int_t)from));
}

static int fake_ended(void *ctx)
{
	return 0;
}

static uint64_t fake_used(void *ctx, const struct quota *q, const struct quota_who *who)
{
	return who->user[0] ? UINT64_MAX : 0;
}

static int fake_lock(void *ctx, const struct lockdowns *l)
{
	require(l->count <= LOCKDOWNS_MAX);
	lockdowns = *l;
	return 0;
}

static void set_up(void)
{
	static const struct control_ops ops = {
		fake_status,    NULL,      fake_snapshot, fake_changed, fake_reload, fake_acted,
		fake_lockdowns, fake_lock, fake_hits,     fake_ended,   fake_used};
	struct errors errors = {0};
	char path[] = "/tmp/tiergate-fuzz-XXXXXX";
	int fd = mkstemp(path);
	require(fd >= 0 && write(fd, policy, sizeof policy - 1) == sizeof policy - 1);
	close(fd);
	struct config *c = config_load(path, CONFIG_FOR_CHECK, &errors);
	unlink(path);
	require(c && (snapshot = snapshot_compile(c, &errors)));
	config_free(c);
	require(sd_event_new(&event) >= 0 && (sessions = sessions_new(16)));
	struct control_options o = {.ops = &ops, .event = event, .sessions = sessions};
	require((control = control_new(&o, &errors)));
}

static void turn(void)
{
	while (sd_event_run(event, 0) > 0)
		;
}

static void check_answers(int fd)
{
	static char text[2 * CONTROL_OUT_MAX];
	size_t len = 0;
	ssize_t n;
	while ((n = recv(fd, text + len, sizeof text - len, MSG_DONTWAIT)) > 0) {
		len += (size_t)n;
		turn();
	}
	for (char *line = text; line < text + len;) {
		char *end = memchr(line, '\n', (size_t)(text + len - line));
		require(end);
		json_t *j = json_loadb(line, (size_t)(end - line), 0, NULL);
		require(json_is_object(j));
		json_decref(j);
		line = end + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2];
	if (!control)
		set_up();
	if (size > 64 * 1024)
		return 0;
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	require(control_adopt(control, pair[1], CONTROL_MANAGE) == 0);
	while (size > 0) {
		const uint8_t *stop = memchr(data, 0xff, size);
		size_t len = stop ? (size_t)(stop - data) : size;
		send(pair[0], data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		turn();
		data += len + (stop != NULL);
		size -= len + (stop != NULL);
	}
	check_answers(pair[0]);
	close(pair[0]);
	turn();
	struct control_counters c;
	control_count(control, &c);
	require(c.clients == 0);
	return 0;
}
