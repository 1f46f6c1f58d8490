/* tally: what the portal tells the daemon of itself, so that `tiergatectl status` shows it: who
 * signed in or failed to, and what was wrong last. Any thread counts; the main thread tells. */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct portal;

struct tally {
	pthread_mutex_t lock;
	uint64_t signed_in, failed;             /* since the start */
	uint64_t signed_in_today, failed_today; /* of `day` by this machine's zone */
	int day;                                /* tm_year * 1000 + tm_yday */
	char error[256];                        /* the last; "": none yet */
	int64_t error_at, since;                /* the wall clock */
};

/* A try to sign in is over. wall: base/clock.h. */
void tally_try(struct tally *t, bool good, int64_t wall);
/* Something is wrong that an administrator can mend: in words, for people. */
void tally_error(struct tally *t, int64_t wall, const char *text);

/* Tells the daemon, which may be away, then nothing is done; stopped: why the portal ends, else
 * NULL. At most a second. */
void tally_tell(struct tally *t, const char *socket, const char *url, const char *stopped,
		int64_t wall);
