/* The accounting server without sockets and daemon: a report that comes again is answered and
 * changes nothing; another one with the same identifier, from the same port, is another one. */
#include "radius/daemon.h"
#include "radius/server.h"
#include "radius/socket.h"
#include "base/clock.h"
#include "state/store.h"
#include "unit.h"

#include <nettle/md5.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define SECRET "testing123"

static struct datagram to_come[4];
static unsigned coming, taken, answers;
static char log_text[512];

/* ---- sockets ---- */

int radius_listen(const struct address *a, uint16_t port)
{
	return eventfd(1, EFD_CLOEXEC);
}

bool radius_receive(int fd, struct datagram *d)
{
	if (taken == coming)
		return false;
	*d = to_come[taken++];
	return true;
}

bool radius_send(int fd, const struct datagram *d, const void *bytes, size_t len)
{
	answers++;
	return true;
}

/* ---- the daemon ---- */

struct daemon *daemon_new(const char *socket, const char *source)
{
	return (struct daemon *)log_text;
}

void daemon_free(struct daemon *d)
{
}

enum daemon_answer daemon_login(struct daemon *d, const struct address *a, const char *user,
				const char *tier, const uint8_t mac[6], int64_t now)
{
	size_t len = strlen(log_text);
	snprintf(log_text + len, sizeof log_text - len, "%s ", user);
	return DAEMON_DONE;
}

enum daemon_answer daemon_add(struct daemon *d, const struct address *with, const struct address *a,
			      int64_t now)
{
	return DAEMON_DONE;
}

enum daemon_answer daemon_drop(struct daemon *d, const struct address *a, int64_t now)
{
	return DAEMON_DONE;
}

enum daemon_answer daemon_logout(struct daemon *d, const struct address *a, int64_t now)
{
	return DAEMON_DONE;
}

enum daemon_answer daemon_ping(struct daemon *d, int64_t now)
{
	return DAEMON_DONE;
}

enum daemon_answer daemon_sessions(struct daemon *d, daemon_session_fn *each, void *ctx,
				   int64_t now)
{
	return DAEMON_DONE;
}

struct store *store_folder_new(const char *folder)
{
	return NULL;
}

/* ---- */

static void put(struct datagram *d, uint8_t type, const void *value, size_t len)
{
	d->bytes[d->len] = type;
	d->bytes[d->len + 1] = (uint8_t)(len + 2);
	memcpy(d->bytes + d->len + 2, value, len);
	d->len += len + 2;
}

/* A start of a user, always under the identifier 7 from one port. */
static void start_of(const char *user, uint8_t host)
{
	struct datagram *d = &to_come[coming++];
	struct md5_ctx c;
	memset(d, 0, sizeof *d);
	assert_true(address_parse("192.0.2.1", &d->from));
	d->port = 1813;
	d->bytes[0] = RADIUS_ACCOUNTING_REQUEST;
	d->bytes[1] = 7;
	d->len = 20;
	put(d, 40, (const uint8_t[]){0, 0, 0, RADIUS_START}, 4);
	put(d, 44, user, strlen(user));
	put(d, 1, user, strlen(user));
	put(d, 8, (const uint8_t[]){10, 0, 0, host}, 4);
	put(d, 25, "staff", 5);
	d->bytes[3] = (uint8_t)d->len;
	md5_init(&c);
	md5_update(&c, d->len, d->bytes);
	md5_update(&c, strlen(SECRET), (const uint8_t *)SECRET);
	md5_digest(&c, 16, d->bytes + 4);
}

static void another_report_under_the_same_identifier_is_another(void **state)
{
	static struct radius_client client = {.secret = (char *)SECRET, .network = {.bits = 128}};
	static const struct radius_settings settings = {.clients = &client,
							.client_count = 1,
							.attribute = (char *)"Class",
							.interim = 600 * NS_PER_S,
							.window = 300 * NS_PER_S,
							.missed = 3,
							.sessions = 8,
							.repeats =
								4}; /* one set: all of them meet */
	struct errors errors = {0};
	sd_event *event = NULL;
	assert_true(address_parse("192.0.2.1", &client.network.base));
	start_of("ann", 5);
	start_of("ann", 5);
	start_of("bob", 6);
	assert_true(sd_event_new(&event) >= 0);
	struct radius_server *s = radius_server_new(&settings, "", "/nonexistent", event, &errors);
	assert_non_null(s);
	for (int i = 0; i < 3; i++)
		assert_true(sd_event_run(event, 0) >= 0);
	assert_int_equal(taken, 3);
	assert_int_equal(answers, 3);
	assert_string_equal(log_text, "ann bob ");
	radius_server_free(s);
	sd_event_unref(event);
}

/* RFC 2866 5.5: a report of a session says which; one that does not is dropped and is
 * nobody's. */
static void a_report_of_no_session_is_malformed(void **state)
{
	static struct radius_client client = {.secret = (char *)SECRET, .network = {.bits = 128}};
	static const struct radius_settings settings = {.clients = &client,
							.client_count = 1,
							.attribute = (char *)"Class",
							.interim = 600 * NS_PER_S,
							.window = 300 * NS_PER_S,
							.missed = 3,
							.sessions = 8,
							.repeats = 4};
	struct errors errors = {0};
	sd_event *event = NULL;
	assert_true(address_parse("192.0.2.1", &client.network.base));
	coming = taken = answers = 0;
	log_text[0] = '\0';
	start_of("", 5);
	assert_true(sd_event_new(&event) >= 0);
	struct radius_server *s = radius_server_new(&settings, "", "/nonexistent", event, &errors);
	assert_non_null(s);
	assert_true(sd_event_run(event, 0) >= 0);
	assert_int_equal(taken, 1);
	assert_string_equal(log_text, ""); /* nobody was let in */
	assert_int_equal(answers, 0);
	radius_server_free(s);
	sd_event_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_report_under_the_same_identifier_is_another),
		cmocka_unit_test(a_report_of_no_session_is_malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
