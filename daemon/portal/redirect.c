#include "portal/redirect.h"

#include "portal/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* The host of a Host header, without its port and brackets. */
static void host_of(const char *header, char out[static QUERY_MAX])
{
	bool six = header[0] == '[';
	snprintf(out, QUERY_MAX, "%.*s", (int)strcspn(header + six, six ? "]" : ":"), header + six);
}

static bool is_own(struct MHD_Connection *connection, const char *name)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr_storage at;
	socklen_t len = sizeof at;
	struct address asked, own;
	if (!address_parse(name, &asked) || !info ||
	    getsockname(info->connect_fd, (struct sockaddr *)&at, &len) < 0)
		return false;
	own = address_from_socket((struct sockaddr *)&at);
	return address_equal(&asked, &own);
}

/* Where to: the page about the host that was asked for, else the first page. Where tiergated has
 * answered a request itself, it has sent the client to the portal's address, the host as `to`. */
static void target(const struct portal_config *c, struct MHD_Connection *connection,
		   char out[static LOCATION_MAX])
{
	char name[QUERY_MAX], good[HOST_MAX + 1];
	const char *header =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	const char *to = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "to");
	host_of(header ? header : "", name);
	if (is_own(connection, name))
		snprintf(name, sizeof name, "%s", to ? to : "");
	size_t own = strcspn(portal_authority(c), ":");
	bool portal = strncasecmp(name, portal_authority(c), own) == 0 && !name[own];
	if (portal || !host_good(name, good)[0])
		snprintf(out, LOCATION_MAX, "%s/", c->url);
	else
		snprintf(out, LOCATION_MAX, "%s/blocked?to=%s", c->url, good);
}

/* Browsers and captive portal probes follow a 302. What was to be changed there, or what speaks no
 * HTML, is told that this network asks for a sign-in (RFC 6585 section 6), and not sent on. */
enum MHD_Result redirect_request(void *ctx, struct MHD_Connection *connection, const char *path,
				 const char *method, const char *version, const char *bytes,
				 size_t *len, void **own)
{
	struct portal_config *c = portal_config_now(ctx);
	char to[LOCATION_MAX], page[LOCATION_MAX * 2 + 400];
	bool follows = strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
		       strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	target(c, connection, to);
	portal_config_free(c);
	int n = snprintf(
		page, sizeof page,
		"<!doctype html>\n<html lang=\"en\">\n<head><title>Sign in</title></head>\n"
		"<body><p>This network asks you to <a href=\"%s\">sign in</a>.</p></body>\n"
		"</html>\n",
		to);
	struct MHD_Response *m =
		MHD_create_response_from_buffer((size_t)n, page, MHD_RESPMEM_MUST_COPY);
	if (!m)
		return MHD_NO;
	if (follows)
		MHD_add_response_header(m, "Location", to);
	MHD_add_response_header(m, "Content-Type", "text/html; charset=utf-8");
	MHD_add_response_header(m, "Cache-Control", "no-store");
	MHD_add_response_header(m, "Connection", "close");
	enum MHD_Result result = MHD_queue_response(connection, follows ? 302 : 511, m);
	MHD_destroy_response(m);
	return result;
}
