#include "policy/load.h"

#include "base/clock.h"

bool policy_load(const char *path, enum config_use use, struct policy *out, struct errors *errors)
{
	out->config = config_load(path, use, errors);
	out->snapshot = out->config ? snapshot_compile(out->config, errors) : NULL;
	return out->snapshot != NULL;
}

bool policy_load_and_expect(const char *path, enum config_use use, struct policy *out,
			    struct errors *errors)
{
	return policy_load(path, use, out, errors) &&
	       snapshot_expect(out->snapshot, errors, clock_wall()) == 0;
}

void policy_free(struct policy *p)
{
	snapshot_free(p->snapshot);
	config_free(p->config);
	*p = (struct policy){0};
}
