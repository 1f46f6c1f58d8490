/* The portal's server between libmicrohttpd and the pages: who is served, what of a request is
 * read, how listeners come and go, and where plain HTTP sends people. */
#include "rig.h"
#include "unit.h"

#define HOST "Host", "gate.example"
#define FORM "Content-Type", "application/x-www-form-urlencoded"
#define MAX  1024
#define OVER (1024 * 1024) /* of a body that is too large, what is read and passed over */
#define CONF "clients = [ \"10.0.0.0/8\", \"fd00::/8\" ]; request_bytes = 1024; connections = 16;"

static const char *const host[] = {HOST, NULL}, *const form[] = {HOST, FORM, NULL};

static struct rig_got with(const char *method, const char *const *headers, const char *body,
			   size_t len, size_t piece)
{
	struct rig_ask ask = {.method = method,
			      .path = "/sign-in",
			      .headers = headers,
			      .body = body,
			      .body_len = len,
			      .piece = piece};
	return rig_ask(&ask, true);
}

static void has_status(struct rig_got got, unsigned status, bool closes)
{
	assert_false(got.closed);
	assert_int_equal(got.status, status);
	assert_true(!strstr(got.headers, "Connection: close\n") == !closes);
	assert_true(got.len > 0);
	free(got.body);
}

static int begin(void **state)
{
	rig_begin(CONF, 1);
	return 0;
}

static int end(void **state)
{
	rig_end();
	return 0;
}

/* ---- what is read ---- */

static void another_host_is_not_served(void **state)
{
	static const char *const none[] = {NULL}, *const other[] = {"Host", "evil.example", NULL},
				 *const longer[] = {"Host", "gate.example.", NULL},
				 *const loud[] = {"Host", "GATE.example", NULL};
	has_status(with("GET", none, NULL, 0, 0), 421, true);
	has_status(with("GET", other, NULL, 0, 0), 421, true);
	has_status(with("POST", longer, NULL, 0, 0), 421, true);
	has_status(with("GET", loud, NULL, 0, 0), 405, false);
}

static void other_methods_are_refused_and_told_which_there_are(void **state)
{
	struct rig_got got = with("PUT", form, NULL, 0, 0);
	assert_non_null(strstr(got.headers, "Allow: GET, HEAD, POST\n"));
	has_status(got, 405, true);
	has_status(with("post", form, NULL, 0, 0), 405, true);
	has_status(with("HEAD", host, NULL, 0, 0), 405, false); /* known, and not for this page */
}

static void only_forms_are_read(void **state)
{
	static const char *const json[] = {HOST, "Content-Type", "application/json", NULL},
				 *const with_charset[] = {
					 HOST, "Content-Type",
					 "Application/X-www-form-urlencoded; charset=utf-8", NULL};
	has_status(with("POST", host, "a=b", 3, 0), 415, true);
	has_status(with("POST", json, "a=b", 3, 0), 415, true);
	has_status(with("POST", with_charset, "a=b", 3, 0), 403, false); /* without a token */
	has_status(with("GET", json, NULL, 0, 0), 405, false);           /* which has no body */
}

/* Read to its bound, passed over to a megabyte so that its sender reads why, and not beyond. */
static void a_body_has_a_bound(void **state)
{
	static char body[OVER + MAX + 2];
	memset(body, 'a', sizeof body);
	for (size_t piece = 0; piece <= 100; piece += 50) {
		has_status(with("POST", form, body, MAX, piece), 403, false);
		has_status(with("POST", form, body, MAX + 1, piece), 413, true);
	}
	has_status(with("POST", form, body, OVER, 4000), 413, true);
	struct rig_got got = with("POST", form, body, OVER + MAX + 1, MAX);
	assert_true(got.closed);
	free(got.body);
	got = with("POST", form, body, OVER + 1, 0);
	assert_true(got.closed);
	free(got.body);
}

/* All of it arrives where it was, in however many pieces: the form's field is its last. */
static void a_body_in_pieces_is_whole(void **state)
{
	static const char *headers[] = {HOST, FORM, "Cookie",
					COOKIE_NAME "=00112233445566778899aabbccddeeff", NULL};
	struct token t = {{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
			   0xcc, 0xdd, 0xee, 0xff}};
	char csrf[CSRF_TEXT], body[MAX + 1];
	cookies_csrf(rig_portal.cookies, &t, csrf);
	memset(body, 'a', MAX);
	snprintf(body + MAX - 38, 39, "&csrf=%s", csrf);
	for (size_t piece = 1; piece <= MAX; piece += 300)
		has_status(with("POST", headers, body, MAX, piece), 400, false);
	body[MAX - 1] ^= 1;
	has_status(with("POST", headers, body, MAX, 7), 403, false);
}

static void a_length_that_is_too_large_is_refused_before_a_byte_is_read(void **state)
{
	static const char *const largest[] = {HOST, FORM, "Content-Length", "1048576", NULL},
				 *const larger[] = {HOST, FORM, "Content-Length", "1048577", NULL},
				 *const of_get[] = {HOST, "Content-Length", "1048577", NULL};
	has_status(with("POST", largest, "a=b", 3, 0), 403, false);
	has_status(with("POST", larger, "a=b", 3, 0), 413, true);
	has_status(with("GET", of_get, NULL, 0, 0), 405, false);
}

/* ---- who is served ---- */

static enum MHD_Result comes(const char *from)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct address a;
	assert_true(address_parse(from, &a));
	memcpy(&six.sin6_addr, a.bytes, 16);
	struct MHD_Daemon *d = rig_daemons[0];
	return d->on_accept(d->accept_ctx, (struct sockaddr *)&six, sizeof six);
}

static void clients_are_served_and_nobody_else(void **state)
{
	assert_int_equal(comes("10.0.0.1"), MHD_YES);
	assert_int_equal(comes("fd00::1"), MHD_YES);
	assert_int_equal(comes("192.0.2.1"), MHD_NO);
	assert_int_equal(comes("2001:db8::1"), MHD_NO);
}

/* Where all connections are taken one more of who has the most is refused; who has fewer comes in,
 * and the oldest of who has the most is shut down for it. */
static void connections_have_a_bound(void **state)
{
	static struct MHD_Connection c[16];
	for (size_t i = 0; i < 16; i++) {
		assert_int_equal(comes("10.0.0.1"), MHD_YES);
		rig_connect(&c[i], rig_daemons[0], "10.0.0.1");
	}
	assert_int_equal(comes("10.0.0.1"), MHD_NO);
	assert_int_equal(comes("10.0.0.2"), MHD_YES);
	for (size_t i = 0; i < 16; i++)
		rig_disconnect(&c[i]);
	assert_int_equal(comes("10.0.0.1"), MHD_YES);
}

/* Two requests on one connection, of which the first waits for a checker meanwhile. */
static void a_connection_serves_one_request_after_another(void **state)
{
	struct MHD_Connection c;
	struct rig_ask ask = {.method = "GET", .path = "/signed-out", .headers = host};
	rig_connect(&c, rig_daemons[0], "10.0.0.1");
	for (int i = 0; i < 3; i++)
		has_status(rig_request(&c, &ask), 200, false);
	rig_disconnect(&c);
}

/* ---- listeners ---- */

static void the_listeners_have_the_bounds_of_the_configuration(void **state)
{
	const struct portal_config *c = rig_portal.config;
	assert_int_equal(rig_started, 2);
	for (int i = 0; i < 2; i++) {
		const struct MHD_Daemon *d = rig_daemons[i];
		assert_int_equal(d->tls, i == 0);
		assert_int_equal(!!(d->flags & MHD_USE_TLS), i == 0);
		assert_true(d->flags & MHD_ALLOW_SUSPEND_RESUME);
		assert_true(d->flags & MHD_USE_ITC); /* else no socket can be taken back */
		assert_int_equal(d->threads, i == 0 ? 4 : 1);
		assert_int_equal(d->limit, c->connections + 128);
		assert_int_equal(d->per_client, c->connections_per_client);
		assert_int_equal(d->memory, 32 * 1024);
		assert_int_equal(d->timeout, c->request_time / NS_PER_S);
	}
}

/* Whether somebody still listens at a socket. */
static bool listens(int fd)
{
	int on = 0;
	socklen_t len = sizeof on;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static void reload_with(const char *more, bool taken)
{
	struct portal_config *before = rig_portal.config;
	rig_portal.config = rig_config(more);
	assert_int_equal(server_reload(rig_portal.server, before), taken);
	portal_config_free(before);
}

static void a_reload_without_other_bounds_replaces_nothing(void **state)
{
	reload_with(CONF "title = \"x\";", true);
	assert_int_equal(rig_started, 2);
	assert_true(rig_daemons[0]->fd != MHD_INVALID_SOCKET);
}

static void each_of_the_bounds_is_taken_by_a_reload(void **state)
{
	static const char *const more[] = {
		"connections = 17;", "connections = 17; connections_per_client = 3;",
		"connections = 17; connections_per_client = 3; request_time = \"7s\";"};
	char text[256];
	for (size_t i = 0; i < 3; i++) {
		snprintf(text, sizeof text, "clients = [ \"10.0.0.0/8\" ]; %s", more[i]);
		reload_with(text, true);
		assert_int_equal(rig_started, 4 + 2 * i);
		assert_int_equal(rig_daemons[2 * i]->fd, MHD_INVALID_SOCKET);
		assert_int_equal(rig_daemons[2 * i + 1]->fd, MHD_INVALID_SOCKET);
		assert_true(listens(rig_daemons[2 * i + 2]->fd));
		assert_true(listens(rig_daemons[2 * i + 3]->fd));
	}
	assert_int_equal(rig_daemons[6]->limit, 17 + 128);
	assert_int_equal(rig_daemons[6]->per_client, 3);
	assert_int_equal(rig_daemons[6]->timeout, 7);
	assert_int_equal(rig_daemons[6]->tls, true);
	assert_int_equal(rig_daemons[7]->tls, false);
}

/* Who is being served by a listener that is replaced goes on until he goes. */
static void a_replaced_listener_goes_with_its_last_connection(void **state)
{
	struct MHD_Connection c;
	struct rig_ask ask = {.method = "GET", .path = "/signed-out", .headers = host};
	rig_connect(&c, rig_daemons[0], "10.0.0.1");
	reload_with(CONF "request_time = \"7s\";", true);
	while (!rig_daemons[1]->stopped) /* by the sweep */
		assert_true(sd_event_run(rig_portal.event, UINT64_MAX) >= 0);
	assert_false(rig_daemons[0]->stopped);
	has_status(rig_request(&c, &ask), 200, false);
	rig_disconnect(&c);
	while (!rig_daemons[0]->stopped)
		assert_true(sd_event_run(rig_portal.event, UINT64_MAX) >= 0);
}

/* As many as there is room for; then the old bounds stay, and pages are served by them. */
static void reloads_without_end_keep_what_serves(void **state)
{
	static struct MHD_Connection c[8];
	char text[64];
	for (unsigned i = 0; i < 5; i++) {
		if (i < 4) {
			rig_connect(&c[2 * i], rig_daemons[2 * i], "10.0.0.1");
			rig_connect(&c[2 * i + 1], rig_daemons[2 * i + 1], "10.0.0.1");
		}
		snprintf(text, sizeof text, "request_time = \"%us\";", i + 3);
		reload_with(text, i < 4);
	}
	assert_int_equal(rig_started, 10);
	assert_true(listens(rig_daemons[8]->fd) && listens(rig_daemons[9]->fd));
	for (size_t i = 0; i < 8; i++)
		rig_disconnect(&c[i]);
}

static void where_no_listener_can_be_started_the_old_one_serves(void **state)
{
	rig_cannot_start = true;
	reload_with("request_time = \"7s\";", false);
	rig_cannot_start = false;
	assert_int_equal(rig_started, 2);
	assert_true(listens(rig_daemons[0]->fd) && listens(rig_daemons[1]->fd));
}

/* The service manager's sockets are for the next process: they are closed, never shut down. */
static void sockets_are_left_as_they_are(void **state)
{
	struct MHD_Daemon *d[] = {rig_daemons[0], rig_daemons[1]};
	int kept[] = {dup(d[0]->fd), dup(d[1]->fd)};
	int before[] = {d[0]->fd, d[1]->fd};
	server_free(rig_portal.server);
	for (int i = 0; i < 2; i++) {
		assert_true(d[i]->stopped);
		assert_true(listens(kept[i]));
		assert_int_equal(fcntl(before[i], F_GETFD), -1);
		close(kept[i]);
	}
	rig_portal.server = NULL;
	server_free(NULL);
}

static void a_server_that_cannot_be_started_says_so(void **state)
{
	struct errors errors = {0};
	server_free(rig_portal.server);
	rig_cannot_start = true;
	assert_null(server_new(&rig_portal, &errors));
	rig_cannot_start = false;
	assert_int_equal(errors.count, 2); /* of the pages, and of what leads to them */
	assert_non_null(strstr(errors.lines[0], "cannot be started"));
	errors_deinit(&errors);
	assert_null(rig_portal.server);
	assert_null(rig_portal.deadline);
	rig_portal.config->https.port = 1; /* the rights of root aside, an address of nobody's */
	assert_true(address_parse("192.0.2.1", &rig_portal.config->https.address));
	assert_null(server_new(&rig_portal, &errors));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "cannot listen at 192.0.2.1 port 1: "));
	errors_deinit(&errors);
	address_parse("127.0.0.1", &rig_portal.config->https.address);
	rig_portal.config->https.port = 0;
	assert_non_null(server_new(&rig_portal, &errors));
}

/* A daemon whose standard input is closed may listen there. */
static void a_descriptor_may_be_zero(void **state)
{
	struct errors errors = {0};
	int kept = dup(0);
	server_free(rig_portal.server);
	close(0);
	struct server *s = server_new(&rig_portal, &errors);
	bool is_zero = s && rig_daemons[2]->fd == 0;
	server_free(s);
	dup2(kept, 0);
	close(kept);
	assert_true(is_zero);
	assert_non_null(server_new(&rig_portal, &errors));
}

/* ---- plain HTTP ---- */

static void sends_to(const char *host_header, const char *query, const char *where)
{
	const char *headers[] = {"Host", host_header, NULL};
	struct rig_ask ask = {.method = "GET",
			      .path = "/x",
			      .query = query,
			      .headers = headers + (host_header ? 0 : 2)};
	char location[LOCATION_MAX], link[LOCATION_MAX + 16];
	struct rig_got got = rig_ask(&ask, false);
	snprintf(location, sizeof location, "Location: %s\n", where);
	snprintf(link, sizeof link, "<a href=\"%s\">", where);
	if (got.status != 302 || !strstr(got.headers, location) || !strstr(got.body, link))
		fail_msg("%s: %u\n%s%s", host_header, got.status, got.headers, got.body);
	assert_non_null(strstr(got.headers, "Content-Type: text/html; charset=utf-8\n"
					    "Cache-Control: no-store\nConnection: close\n"));
	assert_non_null(strstr(got.body, "</html>\n"));
	free(got.body);
}

static void plain_http_leads_to_the_page_about_the_site(void **state)
{
	sends_to("www.example.com", NULL, "https://gate.example/blocked?to=www.example.com");
	sends_to("WWW.example.com:80", "to=x", "https://gate.example/blocked?to=www.example.com");
	sends_to("[2001:db8::1]:80", NULL, "https://gate.example/blocked?to=2001:db8::1");
	sends_to("192.0.2.1", NULL, "https://gate.example/blocked?to=192.0.2.1");
	sends_to(NULL, NULL, "https://gate.example/");
	sends_to("", NULL, "https://gate.example/");
	sends_to("a\"b", NULL, "https://gate.example/");
	sends_to("GATE.example:80", NULL, "https://gate.example/");
	sends_to("gate.example", "to=x", "https://gate.example/");
	sends_to("gate.example2", NULL, "https://gate.example/blocked?to=gate.example2");
	sends_to("ate.example", NULL, "https://gate.example/blocked?to=ate.example");
}

/* Where tiergated has answered a request itself the client comes to the portal's own address. */
static void what_was_asked_for_comes_along_to_the_portals_address(void **state)
{
	struct MHD_Connection c;
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	static const char *const own[] = {"Host", "127.0.0.1", NULL}, *const other[] = {"Host",
											"127.0.0.2",
											NULL};
	struct rig_ask ask = {.method = "GET", .path = "/", .query = "to=www.example.com"};
	for (int i = 0; i < 3; i++) {
		rig_connect(&c, rig_daemons[1], "10.0.0.1");
		close(c.fd.connect_fd);
		c.fd.connect_fd = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(bind(c.fd.connect_fd, (struct sockaddr *)&here, sizeof here), 0);
		ask.headers = i == 1 ? other : own;
		ask.query = i == 2 ? NULL : ask.query;
		struct rig_got got = rig_request(&c, &ask);
		assert_non_null(strstr(got.headers, i == 1   ? "/blocked?to=127.0.0.2\n"
						    : i == 2 ? "Location: https://gate.example/\n"
							     : "/blocked?to=www.example.com\n"));
		free(got.body);
		rig_disconnect(&c);
	}
}

static void what_would_change_something_is_not_sent_on(void **state)
{
	static const char *const methods[] = {"POST", "PUT", "OPTIONS", "get"};
	struct rig_ask ask = {.path = "/", .headers = host};
	for (size_t i = 0; i < 4; i++) {
		ask.method = methods[i];
		struct rig_got got = rig_ask(&ask, false);
		assert_null(strstr(got.headers, "Location"));
		has_status(got, 511, true);
	}
	ask.method = "HEAD";
	has_status(rig_ask(&ask, false), 302, true);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(another_host_is_not_served),
		WITH(other_methods_are_refused_and_told_which_there_are),
		WITH(only_forms_are_read),
		WITH(a_body_has_a_bound),
		WITH(a_body_in_pieces_is_whole),
		WITH(a_length_that_is_too_large_is_refused_before_a_byte_is_read),
		WITH(clients_are_served_and_nobody_else),
		WITH(connections_have_a_bound),
		WITH(a_connection_serves_one_request_after_another),
		WITH(the_listeners_have_the_bounds_of_the_configuration),
		WITH(a_reload_without_other_bounds_replaces_nothing),
		WITH(each_of_the_bounds_is_taken_by_a_reload),
		WITH(a_replaced_listener_goes_with_its_last_connection),
		WITH(reloads_without_end_keep_what_serves),
		WITH(where_no_listener_can_be_started_the_old_one_serves),
		WITH(sockets_are_left_as_they_are),
		WITH(a_server_that_cannot_be_started_says_so),
		WITH(a_descriptor_may_be_zero),
		WITH(plain_http_leads_to_the_page_about_the_site),
		WITH(what_was_asked_for_comes_along_to_the_portals_address),
		WITH(what_would_change_something_is_not_sent_on),
	};
	RIG_MUST(mkdtemp(rig_folder));
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(rig_conf);
	rmdir(rig_folder);
	return failed;
}
