#include "portal/portal.h"

struct portal_config *portal_config_now(struct portal *p)
{
	pthread_rwlock_rdlock(&p->lock);
	struct portal_config *c = portal_config_hold(p->config);
	pthread_rwlock_unlock(&p->lock);
	return c;
}
