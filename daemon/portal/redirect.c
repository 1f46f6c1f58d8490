#include "portal/redirect.h"

#include "portal/request.h"
#include "portal/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where to: the page about the host that was asked for, else the first page. */
static void target(const struct portal_config *c, const char *host, char out[static LOCATION_MAX])
{
	char name[QUERY_MAX], good[HOST_MAX + 1];
	const char *end = host ? strchr(host, host[0] == '[' ? ']' : ':') : NULL;
	snprintf(name, sizeof name, "%.*s", host ? (int)(end ? end - host : (long)strlen(host)) : 0,
		 host ? host + (host[0] == '[') : "");
	if (host && host[0] == '[' && name[0])
		name[strcspn(name, "]")] = '\0';
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
	const struct portal_config *c = server_config(ctx);
	char to[LOCATION_MAX], page[LOCATION_MAX * 2 + 400];
	bool follows = strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
		       strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	target(c, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST),
	       to);
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
