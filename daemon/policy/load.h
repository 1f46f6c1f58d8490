/* load: a configuration file and all that it names -> a policy that can be asked. */
#pragma once
#include "config/config.h"
#include "policy/snapshot.h"

struct policy {
	struct config *config;     /* NULL where a file could not be read */
	struct snapshot *snapshot; /* NULL where anything is wrong */
};

/* False where anything is wrong: all of it is then in errors. What was made is policy_free's. */
bool policy_load(const char *path, enum config_use use, struct policy *out, struct errors *errors);

/* The same, and its `expect` lines hold now. */
bool policy_load_and_expect(const char *path, enum config_use use, struct policy *out,
			    struct errors *errors);
void policy_free(struct policy *p);
