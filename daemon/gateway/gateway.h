/* gateway: the live daemon: owns everything, sets it up in order and takes it down in reverse. */
#pragma once
#include <stdbool.h>

struct gateway_options {
	const char *config;
	bool foreground; /* decisions to standard output beside what the configuration says of the
			    log */
	const char *last_good; /* state folder in whose history to look for a policy where the
				  configuration can't be used; NULL: such a start fails */
};

/* Runs until SIGTERM or SIGINT. Returns an exit status (base/exit.h). */
int gateway_run(const struct gateway_options *o);
