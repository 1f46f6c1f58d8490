/* The server of RADIUS accounting without sockets: a datagram goes in, and what it does in the
 * daemon and what is answered come out. */
#include "no_memory.h"
#include "unit.h"
#include "base/clock.h"
#include "control/call.h"
#include "radius/server.h"
#include "radius/socket.h"
#include "state/store.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SECRET "16 bytes or more"
#define NAS    "10.0.0.2"

/* ---- the network ---- */

static struct datagram waiting[8];
static unsigned waits, taken;
static int listens; /* what radius_listen says: a descriptor, or -errno */
static uint16_t at_port;
static char sent[8][RADIUS_MAX];
static unsigned sends;
static bool cannot_send;

int radius_listen(const struct address *a, uint16_t port)
{
	at_port = port;
	return listens < 0 ? listens : dup(listens);
}

bool radius_receive(int fd, struct datagram *d)
{
	eventfd_t count;
	if (taken == waits) {
		eventfd_read(fd, &count);
		return false;
	}
	*d = waiting[taken++];
	return true;
}

bool radius_send(int fd, const struct datagram *d, const void *bytes, size_t len)
{
	assert_true(sends < 8);
	memcpy(sent[sends++], bytes, len);
	return !cannot_send;
}

/* ---- the daemon ---- */

struct call {
	int unused;
};

static char log[16384];
static const char *refusal; /* the code of login's refusal */
static bool away;
static const char *sessions; /* a row of what it has, or NULL */
static char last[32];
static unsigned rows;

struct call *call_open(const char *socket, unsigned seconds)
{
	return away ? NULL : calloc(1, sizeof(struct call));
}

void call_close(struct call *c)
{
	free(c);
}

bool call_send(struct call *c, const char *command, json_t *m)
{
	char *text = json_dumps(m, JSON_COMPACT | JSON_SORT_KEYS);
	if (strcmp(command, "sessions") != 0)
		snprintf(log + strlen(log), sizeof log - strlen(log), "%s %s\n", command, text);
	snprintf(last, sizeof last, "%s", command);
	rows = 0;
	free(text);
	json_decref(m);
	return !away;
}

json_t *call_receive(struct call *c)
{
	if (away)
		return NULL;
	if (strcmp(last, "sessions") == 0 && sessions && rows++ == 0)
		return json_pack("{sb so}", "more", 1, "result", json_loads(sessions, 0, NULL));
	if (strcmp(last, "login") == 0 && refusal)
		return json_pack("{sb ss}", "ok", 0, "code", refusal);
	return json_pack("{sb}", "ok", 1);
}

/* ---- packets ---- */

struct packet {
	uint8_t bytes[RADIUS_MAX];
	size_t len;
};

static void attribute(struct packet *p, uint8_t type, const void *value, size_t len)
{
	p->bytes[p->len] = type;
	p->bytes[p->len + 1] = (uint8_t)(len + 2);
	memcpy(p->bytes + p->len + 2, value, len);
	p->len += len + 2;
}

static void word(struct packet *p, uint8_t type, uint32_t value)
{
	uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
			    (uint8_t)value};
	attribute(p, type, bytes, 4);
}

static void text(struct packet *p, uint8_t type, const char *value)
{
	attribute(p, type, value, strlen(value));
}

static struct packet packet(uint8_t code, uint8_t id)
{
	return (struct packet){.bytes = {code, id}, .len = 20};
}

/* The authenticators, as who knows the secret makes them. */
static void seal(struct packet *p, const char *secret, bool message)
{
	static const uint8_t none[16];
	struct md5_ctx md5;
	size_t at = p->len + 2;
	if (message)
		attribute(p, 80, none, 16);
	p->bytes[2] = (uint8_t)(p->len >> 8);
	p->bytes[3] = (uint8_t)p->len;
	if (message) {
		struct hmac_md5_ctx hmac;
		hmac_md5_set_key(&hmac, strlen(secret), (const uint8_t *)secret);
		hmac_md5_update(&hmac, p->len, p->bytes);
		hmac_md5_digest(&hmac, 16, p->bytes + at);
	}
	if (p->bytes[0] == RADIUS_STATUS_SERVER)
		return;
	md5_init(&md5);
	md5_update(&md5, p->len, p->bytes);
	md5_update(&md5, strlen(secret), (const uint8_t *)secret);
	md5_digest(&md5, 16, p->bytes + 4);
}

static struct packet report(uint8_t id, uint32_t status, const char *session, const char *user,
			    const char *address)
{
	struct packet p = packet(RADIUS_ACCOUNTING_REQUEST, id);
	struct address a;
	word(&p, 40, status);
	if (session)
		text(&p, 44, session);
	if (user)
		text(&p, 1, user);
	if (address) {
		assert_true(address_parse(address, &a));
		attribute(&p, 8, a.bytes + 12, 4);
	}
	return p;
}

/* ---- set up ---- */

static char dir[64];
static struct radius_client clients[2];
static struct radius_settings settings;
static sd_event *event;
static struct radius_server *server;
static struct errors errors;

static int begin(void **state)
{
	waits = taken = sends = 0;
	log[0] = '\0';
	away = cannot_send = false;
	refusal = sessions = NULL;
	snprintf(dir, sizeof dir, "/tmp/tiergate-radius-XXXXXX");
	assert_non_null(mkdtemp(dir));
	clients[0] = (struct radius_client){.secret = (char *)SECRET};
	clients[1] = (struct radius_client){.secret = (char *)"another secret of 16"};
	network_parse("10.0.0.0/24", &clients[0].network);
	network_parse("10.0.1.0/24", &clients[1].network);
	settings = (struct radius_settings){.listen = {.port = 1813},
					    .clients = clients,
					    .client_count = 2,
					    .attribute = (char *)"Class",
					    .default_tier = (char *)"staff",
					    .interim = 600 * NS_PER_S,
					    .window = 300 * NS_PER_S,
					    .missed = 3,
					    .sessions = 16,
					    .repeats = 64};
	listens = eventfd(0, EFD_NONBLOCK);
	assert_true(sd_event_new(&event) >= 0);
	server = radius_server_new(&settings, "/socket", dir, event, &errors);
	errors_print(&errors, stderr);
	return server ? 0 : -1;
}

static int end(void **state)
{
	char path[128];
	radius_server_free(server);
	sd_event_unref(event);
	close(listens);
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	static const char *const files[] = {"radius.journal", "radius.state"};
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static void turn(void)
{
	while (sd_event_run(event, 0) > 0)
		;
}

static void comes_from(const struct packet *p, const char *from, uint16_t port)
{
	struct datagram *d = &waiting[waits++];
	*d = (struct datagram){.port = port, .len = p->len};
	assert_true(address_parse(from, &d->from));
	memcpy(d->bytes, p->bytes, p->len);
	eventfd_write(listens, 1);
	turn();
	waits = taken = 0;
}

/* A packet of the first client comes: how many answers there are. */
static unsigned comes(struct packet p)
{
	unsigned before = sends;
	seal(&p, SECRET, false);
	comes_from(&p, NAS, 5000);
	return sends - before;
}

static void did(const char *want)
{
	if (strcmp(log, want) != 0)
		fail_msg("did\n%sand not\n%s", log, want);
	log[0] = '\0';
}

#define LOGIN                                                                                      \
	"login {\"address\":\"192.168.0.7\",\"source\":\"radius\",\"tier\":\"staff\",\"user\":"    \
	"\"ann\"}\n"

/* ---- the tests ---- */

static void a_session_opens_and_ends_and_each_report_is_answered(void **state)
{
	assert_int_equal(at_port, 1813);
	assert_int_equal(comes(report(7, RADIUS_START, "s1", "ann", "192.168.0.7")), 1);
	did(LOGIN);
	assert_int_equal((uint8_t)sent[0][0], RADIUS_ACCOUNTING_RESPONSE);
	assert_int_equal((uint8_t)sent[0][1], 7);
	assert_int_equal(comes(report(8, RADIUS_STOP, "s1", "ann", "192.168.0.7")), 1);
	did("logout {\"address\":\"192.168.0.7\",\"source\":\"radius\"}\n");
}

/* The same packet again, by the same port: answered, and nothing is done. By another it counts. */
static void a_repeated_packet_is_answered_alone(void **state)
{
	struct packet p = report(7, RADIUS_START, "s1", "ann", "192.168.0.7");
	assert_int_equal(comes(p), 1);
	log[0] = '\0';
	for (int i = 0; i < 3; i++)
		assert_int_equal(comes(p), 1);
	did("");
	assert_memory_equal(sent[0], sent[3], 20);
}

static void who_is_no_client_or_lacks_the_secret_has_no_answer(void **state)
{
	struct packet p = report(7, RADIUS_START, "s1", "ann", "192.168.0.7"), q = p, r = p;
	seal(&p, SECRET, false);
	comes_from(&p, "10.0.2.2", 5000); /* of nobody */
	comes_from(&p, "10.0.1.2", 5000); /* of another one's secret */
	seal(&q, "another secret of 16", false);
	comes_from(&q, NAS, 5000);
	r.bytes[0] = 1; /* an Access-Request */
	seal(&r, SECRET, false);
	comes_from(&r, NAS, 5000);
	p.len = 19;
	comes_from(&p, NAS, 5000);
	assert_int_equal(sends, 0);
	did("");
	comes_from(&q, "10.0.1.2", 5000);
	assert_int_equal(sends, 1);
	did(LOGIN);
}

static void what_a_client_must_send_must_be_there(void **state)
{
	clients[0].require = RADIUS_EVENT_TIMESTAMP;
	assert_int_equal(comes(report(1, RADIUS_START, "s1", "ann", "192.168.0.7")), 0);
	did("");
	struct packet p = report(2, RADIUS_START, "s1", "ann", "192.168.0.7");
	word(&p, 55, (uint32_t)time(NULL));
	assert_int_equal(comes(p), 1);
	did(LOGIN);
	clients[0].require = RADIUS_MESSAGE_AUTHENTICATOR;
	assert_int_equal(comes(report(3, RADIUS_STOP, "s1", "ann", "192.168.0.7")), 0);
	did("");
	p = report(4, RADIUS_STOP, "s1", "ann", "192.168.0.7");
	seal(&p, SECRET, true);
	comes_from(&p, NAS, 5000);
	assert_int_equal(sends, 2);
	did("logout {\"address\":\"192.168.0.7\",\"source\":\"radius\"}\n");
}

static void what_is_no_report_is_not_answered(void **state)
{
	struct packet p = packet(RADIUS_ACCOUNTING_REQUEST, 1);
	text(&p, 44, "s1"); /* without a status */
	assert_int_equal(comes(p), 0);
	assert_int_equal(comes(report(2, RADIUS_START, NULL, "ann", "192.168.0.7")), 0);
	assert_int_equal(comes(report(3, RADIUS_INTERIM, NULL, "ann", "192.168.0.7")), 0);
	did("");
	assert_int_equal(comes(report(4, RADIUS_ON, NULL, NULL, NULL)), 1); /* of no session */
	assert_int_equal(comes(report(5, RADIUS_OFF, NULL, NULL, NULL)), 1);
}

/* What the policy has no tier for, and whom an operator has blocked: answered, and let in nowhere.
 * What has no room now, and what a daemon that is away was to do: not answered, so that it comes
 * again. */
static void what_cannot_be_taken_now_comes_again(void **state)
{
	static const struct {
		const char *refusal;
		unsigned answers;
	} of[] = {{"not-found", 1}, {"blocked", 1}, {"full", 0}};
	for (uint8_t i = 0; i < 3; i++) {
		refusal = of[i].refusal;
		assert_int_equal(comes(report(i, RADIUS_START, "s1", "ann", "192.168.0.7")),
				 of[i].answers);
	}
	refusal = NULL;
	away = true;
	assert_int_equal(comes(report(9, RADIUS_START, "s2", "bob", "192.168.0.8")), 0);
}

/* One that asks whether accounting would be taken is answered where it would. */
static void status_is_answered_where_the_daemon_is_there(void **state)
{
	struct packet p = packet(RADIUS_STATUS_SERVER, 9);
	memset(p.bytes + 4, 7, 16);
	seal(&p, SECRET, true);
	comes_from(&p, NAS, 5000);
	assert_int_equal(sends, 1);
	did("ping {\"source\":\"radius\"}\n");
	clients[0].require = RADIUS_EVENT_TIMESTAMP; /* which it has none of */
	comes_from(&p, NAS, 5000);
	assert_int_equal(sends, 2);
	p.bytes[5] ^= 1;
	comes_from(&p, NAS, 5000);
	assert_int_equal(sends, 2);
	p.bytes[5] ^= 1;
	away = true;
	comes_from(&p, NAS, 5000);
	assert_int_equal(sends, 2);
}

/* Sessions of a portal before this one are taken over: by the next report of them they go on. */
static void sessions_of_before_are_taken_over(void **state)
{
	radius_server_free(server);
	sessions = "{\"user\": \"ann\", \"tier\": \"staff\", \"addresses\": [\"192.168.0.7\"]}";
	server = radius_server_new(&settings, "/socket", dir, event, &errors);
	assert_non_null(server);
	assert_int_equal(comes(report(1, RADIUS_INTERIM, "s1", "ann", "192.168.0.7")), 1);
	did("");
	assert_int_equal(comes(report(2, RADIUS_STOP, "s1", "ann", "192.168.0.7")), 1);
	did("logout {\"address\":\"192.168.0.7\",\"source\":\"radius\"}\n");
}

static void addresses_join_and_part(void **state)
{
	struct packet p = report(1, RADIUS_START, "s1", "ann", "192.168.0.7");
	struct address six;
	assert_int_equal(comes(p), 1);
	did(LOGIN);
	p = report(2, RADIUS_INTERIM, "s1", "ann", "192.168.0.7");
	assert_true(address_parse("2001:db8::7", &six));
	attribute(&p, 168, six.bytes, 16); /* Framed-IPv6-Address */
	assert_int_equal(comes(p), 1);
	did("add {\"address\":\"2001:db8::7\",\"source\":\"radius\",\"with\":\"192.168.0.7\"}\n");
	assert_int_equal(comes(report(3, RADIUS_INTERIM, "s1", "ann", "192.168.0.8")), 1);
	assert_non_null(strstr(log, "add {\"address\":\"192.168.0.8\""));
	assert_non_null(strstr(log, "drop {\"address\":\"192.168.0.7\""));
}

/* What ended stays ended over a restart, and what is open stays open. */
static void what_was_reported_outlives_the_process(void **state)
{
	assert_int_equal(comes(report(1, RADIUS_START, "s1", "ann", "192.168.0.7")), 1);
	assert_int_equal(comes(report(2, RADIUS_STOP, "s1", "ann", "192.168.0.7")), 1);
	radius_server_free(server);
	log[0] = '\0';
	server = radius_server_new(&settings, "/socket", dir, event, &errors);
	assert_non_null(server);
	assert_int_equal(comes(report(3, RADIUS_START, "s1", "ann", "192.168.0.7")), 1);
	did(""); /* of the session that has ended: late, or a replay */
}

static void a_reload_has_its_own_clients(void **state)
{
	struct radius_settings other = settings;
	struct radius_client only = clients[1];
	struct packet p = report(1, RADIUS_START, "s1", "ann", "192.168.0.7");
	other.clients = &only;
	other.client_count = 1;
	other.default_tier = (char *)"press";
	assert_true(radius_server_reload(server, &other, "/socket"));
	assert_int_equal(comes(p), 0);
	seal(&p, "another secret of 16", false);
	comes_from(&p, "10.0.1.2", 5000);
	assert_int_equal(sends, 1);
	assert_non_null(strstr(log, "\"tier\":\"press\""));
	other.attribute = (char *)"nonsense";
	other.client_count = 0;
	assert_false(radius_server_reload(server, &other, "/socket")); /* nothing is changed */
	bool failed = NO_MEMORY;
	for (long n = 0; failed && n < 3; n++) {
		no_memory_at(n);
		assert_false(radius_server_reload(server, &settings, "/socket") &&
			     no_memory_failed);
		failed = no_memory_failed;
		no_memory_end();
	}
	p = report(2, RADIUS_STOP, "s1", "ann", "192.168.0.7");
	seal(&p, "another secret of 16", false);
	comes_from(&p, "10.0.1.2", 5000);
	assert_int_equal(sends, 2);
}

static void a_server_that_cannot_listen_says_so(void **state)
{
	radius_server_free(server);
	int fd = listens;
	listens = -EADDRINUSE;
	server = radius_server_new(&settings, "/socket", dir, event, &errors);
	assert_null(server);
	assert_int_equal(errors.count, 1);
	assert_non_null(
		strstr(errors.lines[0], "RADIUS cannot be received: Address already in use"));
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	listens = fd;
	bool failed = NO_MEMORY;
	for (long n = 0; failed && n < 8; n++) {
		no_memory_at(n);
		struct radius_server *s =
			radius_server_new(&settings, "/socket", dir, event, &errors);
		failed = no_memory_failed;
		no_memory_end();
		radius_server_free(s);
		errors_deinit(&errors);
		memset(&errors, 0, sizeof errors);
	}
	server = radius_server_new(&settings, "/socket", dir, event, &errors);
	assert_non_null(server);
	radius_server_free(NULL);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(a_session_opens_and_ends_and_each_report_is_answered),
		WITH(a_repeated_packet_is_answered_alone),
		WITH(who_is_no_client_or_lacks_the_secret_has_no_answer),
		WITH(what_a_client_must_send_must_be_there),
		WITH(what_is_no_report_is_not_answered),
		WITH(what_cannot_be_taken_now_comes_again),
		WITH(status_is_answered_where_the_daemon_is_there),
		WITH(sessions_of_before_are_taken_over),
		WITH(addresses_join_and_part),
		WITH(what_was_reported_outlives_the_process),
		WITH(a_reload_has_its_own_clients),
		WITH(a_server_that_cannot_listen_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
