/* What the metrics' port answers: to whom, with which status and headers. libmicrohttpd, the
 * daemon's answer and the token are the test's. */
#include "unit.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define MHD_lookup_connection_value     header_of
#define MHD_create_response_from_buffer makes_response
#define MHD_add_response_header         adds_header
#define MHD_queue_response              answers
#define MHD_destroy_response            is_done_with
#define portal_config_now               configuration
#define portal_config_free              lets_go
#define gate_of                         opens_gate
#define gate_ask                        asks_gate
#define gate_close                      closes_gate
#define deadline_room                   has_room
#include "portal/metrics.c"

#define TOKEN "0123456789abcdef"

static const char *header;
static bool away, room;
static char headers[1024], body[4096];
static unsigned status, asked;
static struct portal_config config;
static struct assets assets = {.metrics_token = (char *)TOKEN};
static struct portal portal = {.lock = PTHREAD_RWLOCK_INITIALIZER, .assets = &assets};

const char *header_of(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *key)
{
	return strcmp(key, "Authorization") == 0 ? header : NULL;
}

struct MHD_Response *makes_response(size_t len, void *bytes, enum MHD_ResponseMemoryMode mode)
{
	assert_non_null(bytes);
	assert_true(len < sizeof body);
	memcpy(body, bytes, len);
	body[len] = '\0';
	if (mode == MHD_RESPMEM_MUST_FREE)
		free(bytes);
	return (struct MHD_Response *)body;
}

enum MHD_Result adds_header(struct MHD_Response *m, const char *key, const char *value)
{
	size_t len = strlen(headers);
	snprintf(headers + len, sizeof headers - len, "%s: %s\n", key, value);
	return MHD_YES;
}

enum MHD_Result answers(struct MHD_Connection *c, unsigned s, struct MHD_Response *m)
{
	status = s;
	return MHD_YES;
}

void is_done_with(struct MHD_Response *m)
{
}

struct portal_config *configuration(struct portal *p)
{
	return &config;
}

void lets_go(struct portal_config *c)
{
}

struct gate opens_gate(const struct portal_config *c)
{
	return (struct gate){0};
}

json_t *asks_gate(struct gate *g, const char *command, json_t *members)
{
	asked++;
	assert_string_equal(command, "metrics");
	return away ? NULL
		    : json_pack("{s:[{s:s, s:s, s:s, s:[{s:{}, s:f}]}]}", "families", "name",
				"tiergate_x", "type", "gauge", "help", "an x", "samples", "labels",
				"value", 7.0);
}

void closes_gate(struct gate *g)
{
}

bool has_room(struct deadline *d, const struct address *peer, unsigned max)
{
	return room;
}

static unsigned ask(const char *authorization, const char *method, const char *path)
{
	void *own = NULL;
	size_t len = 0;
	header = authorization;
	headers[0] = body[0] = '\0';
	status = asked = 0;
	assert_int_equal(metrics_request(&portal, NULL, path, method, "HTTP/1.1", NULL, &len, &own),
			 MHD_YES);
	assert_non_null(strstr(headers, "Cache-Control: no-store\n"));
	assert_non_null(strstr(headers, "Content-Type: "));
	assert_true(body[0] != '\0');
	assert_true(!strstr(headers, "Connection: close\n") == (status == 200));
	assert_true(!strstr(headers, "WWW-Authenticate: Bearer") == (status != 401));
	assert_true(!strstr(headers, "Allow: GET, HEAD\n") == (status != 405));
	return status;
}

#define GOOD "Bearer " TOKEN

static void the_numbers_are_for_who_has_the_token(void **state)
{
	away = false;
	assert_int_equal(ask(GOOD, "GET", "/metrics"), 200);
	assert_int_equal(asked, 1);
	assert_int_equal(ask(GOOD, "HEAD", "/metrics"), 200);
	assert_int_equal(ask(GOOD, "POST", "/metrics"), 405);
	assert_int_equal(ask(GOOD, "GET", "/"), 404);
	assert_int_equal(ask(GOOD, "GET", "/metrics/"), 404);
	assert_int_equal(asked, 0);
}

/* Without it nothing is learned: not what there is, nor whether the daemon answers. */
static void who_has_none_learns_nothing(void **state)
{
	static const char *const method[] = {"GET", "POST"}, *const path[] = {"/metrics", "/"};
	for (int i = 0; i < 8; i++) {
		away = i & 4;
		assert_int_equal(ask(i & 1 ? NULL : "Bearer x", method[i & 1], path[i >> 1 & 1]),
				 401);
		assert_int_equal(asked, 0);
	}
	assets.metrics_token = NULL;
	assert_int_equal(ask(GOOD, "GET", "/metrics"), 401);
	assets.metrics_token = (char *)TOKEN;
}

static void a_daemon_that_is_away_is_said(void **state)
{
	away = true;
	assert_int_equal(ask(GOOD, "GET", "/metrics"), 503);
	assert_string_equal(body, "tiergated does not answer\n");
	away = false;
}

static enum MHD_Result from(const char *text)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct address a;
	assert_true(address_parse(text, &a));
	memcpy(&six.sin6_addr, a.bytes, 16);
	return metrics_accept(&portal, (struct sockaddr *)&six, sizeof six);
}

static void only_clients_of_metrics_are_let_in(void **state)
{
	struct network n[2];
	assert_true(network_parse("10.0.0.0/24", &n[0]) && network_parse("fd00::/64", &n[1]));
	room = true;
	assert_int_equal(from("10.0.0.1"), MHD_NO); /* none is named */
	config.metrics_clients.item = n;
	config.metrics_clients.count = 2;
	assert_int_equal(from("10.0.0.1"), MHD_YES);
	assert_int_equal(from("fd00::1"), MHD_YES);
	assert_int_equal(from("10.0.1.1"), MHD_NO);
	assert_int_equal(from("fd00:1::1"), MHD_NO);
	room = false;
	assert_int_equal(from("10.0.0.1"), MHD_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_numbers_are_for_who_has_the_token),
		cmocka_unit_test(who_has_none_learns_nothing),
		cmocka_unit_test(a_daemon_that_is_away_is_said),
		cmocka_unit_test(only_clients_of_metrics_are_let_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
