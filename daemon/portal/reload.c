/* What a SIGHUP replaces while people are being served. Main thread. */
#include "portal/assets.h"
#include "portal/confine.h"
#include "portal/portal.h"
#include "radius/server.h"
#include "portal/server.h"
#include "portal/tls.h"

#include "base/log.h"
#include "config/schema.h"

#include <string.h>

/* What the process was made with. */
static void say_fixed(void *ctx, const char *option)
{
	log_warn("%s has changed; a restart will take it", option);
}

bool portal_reload(struct portal *p, struct errors *errors)
{
	struct portal_config *before = p->config, *c = portal_config_load(p->config_file, errors);
	bool shut = c && portal_outside(p, c, errors);
	struct assets *old = p->assets, *assets = c && !shut ? assets_load(c, errors) : NULL;
	if (!assets || !tls_load(c->certificate, c->key, errors)) {
		assets_free(assets);
		portal_config_free(c);
		return false;
	}
	pthread_rwlock_wrlock(&p->lock);
	p->config = c;
	p->assets = assets;
	pthread_rwlock_unlock(&p->lock);
	table_fixed(&schema_portal, before, c, say_fixed, NULL);
	if (!server_reload(p->server, before))
		log_warn("the old bounds of connections stay, until another reload or a restart");
	/* RADIUS goes on with the old settings where it has no memory. */
	if (p->radius && !radius_server_reload(p->radius, &c->radius, c->control_socket)) {
		log_error("RADIUS clients stay as they were: out of memory");
		portal_config_hold(before);
	}
	assets_free(old);
	portal_config_free(before);
	return true;
}
