/* server: the portal's two listeners by libmicrohttpd: HTTPS with the pages, and plain HTTP that
 * only sends people there. */
#pragma once
#include "base/error.h"
#include <stdbool.h>

struct portal;
struct portal_config;
struct server;

/* Listens; NULL with sentences in errors. The certificate is loaded already (tls.h). */
struct server *server_new(struct portal *p, struct errors *errors);
/* Takes the bounds of the portal's configuration, which is another now; connections that are there
 * go on. False where the old bounds stay. */
bool server_reload(struct server *s, const struct portal_config *before);
/* No new connections from here on; what waits for a checker must be given back before. */
void server_free(struct server *s);
