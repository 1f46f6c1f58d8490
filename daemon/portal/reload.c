/* What a SIGHUP replaces while people are being served. Main thread. */
#include "portal/assets.h"
#include "portal/portal.h"
#include "portal/radius_server.h"
#include "portal/server.h"
#include "portal/tls.h"

#include "base/log.h"

#include <string.h>

struct portal_config *portal_config_now(struct portal *p)
{
	pthread_rwlock_rdlock(&p->lock);
	struct portal_config *c = portal_config_hold(p->config);
	pthread_rwlock_unlock(&p->lock);
	return c;
}

/* What the process was made with. */
static void say_fixed(const struct portal_config *a, const struct portal_config *b)
{
	const struct {
		const char *option;
		bool same;
	} fixed[] = {
		{"https", address_equal(&a->https, &b->https) && a->https_port == b->https_port},
		{"http", address_equal(&a->http, &b->http) && a->http_port == b->http_port},
		{"state_dir", strcmp(a->state_dir, b->state_dir) == 0},
		{"checkers", a->checkers == b->checkers},
		{"radius",
		 address_equal(&a->radius, &b->radius) && a->radius_port == b->radius_port},
		{"radius_window", a->radius_window == b->radius_window},
		{"radius_sessions", a->radius_sessions == b->radius_sessions},
		{"radius_repeats", a->radius_repeats == b->radius_repeats},
	};
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		if (!fixed[i].same)
			log_warn("%s has changed; a restart will take it", fixed[i].option);
}

bool portal_reload(struct portal *p, struct errors *errors)
{
	struct portal_config *before = p->config, *c = portal_config_load(p->config_file, errors);
	struct assets *old = p->assets, *assets = c ? assets_load(c, errors) : NULL;
	if (!assets || !tls_load(c->certificate, c->key, errors)) {
		assets_free(assets);
		portal_config_free(c);
		return false;
	}
	pthread_rwlock_wrlock(&p->lock);
	p->config = c;
	p->assets = assets;
	pthread_rwlock_unlock(&p->lock);
	say_fixed(before, c);
	if (!server_reload(p->server, before))
		log_warn("the old bounds of connections stay, until another reload or a restart");
	/* RADIUS holds the configuration itself, and keeps the old one where it has no memory. */
	if (p->radius && !radius_server_reload(p->radius, c)) {
		log_error("RADIUS clients stay as they were: out of memory");
		portal_config_hold(before);
	}
	assets_free(old);
	portal_config_free(before);
	return true;
}
