/* limit: how often may be guessed. An address that fails waits, longer each time; nobody waits for
 * what another address did. Where a user is being guessed from many places, an address from which
 * that user has not come before waits from its first failure on; all of an IPv6 /64 guesses at a
 * user as one address does. So a guesser is slow everywhere, and can lock nobody out who comes from
 * where they came before. Any thread. */
#pragma once
#include "base/address.h"
#include <stdbool.h>
#include <stdint.h>

#define LIMIT_FREE     3   /* failures of an address without a wait */
#define LIMIT_USER     10  /* failures as a user, from anywhere, after which strangers have none */
#define LIMIT_LONGEST  300 /* s */
#define LIMIT_STRANGER 30  /* s: the first wait of a stranger where a user is being guessed */
#define LIMIT_FORGET   900 /* s without a failure, and a count begins at zero */

struct limit;

struct limit *limit_new(void);
void limit_free(struct limit *l);

struct store;
/* What was counted outlives the process: a restart gives nobody new guesses. 0 or -errno. */
int limit_save(struct limit *l, struct store *s);
void limit_load(struct limit *l, struct store *s);

/* Before a check: 0, and the attempt counts as failed until limit_good says otherwise (so that many
 * at once gain nothing); or the ns to wait, and nothing may be checked. user may be "". */
int64_t limit_begin(struct limit *l, const struct address *a, const char *user, int64_t now);
/* The attempt was right; or it could not be checked, and who tried is not to blame. */
void limit_good(struct limit *l, const struct address *a, const char *user, int64_t now);
void limit_void(struct limit *l, const struct address *a, const char *user, int64_t now);
