/* The input is the content of each kind of state, checksum apart: it may be an older program's. */
#include "state/state.h"

#include <stdlib.h>
#include <string.h>

struct memory {
	struct store store;
	const uint8_t *bytes;
	size_t len;
};

static char *load(struct store *s, const char *kind, uint32_t version, size_t *len)
{
	struct memory *m = (struct memory *)s;
	char *copy = malloc(m->len ? m->len : 1);
	if (copy && m->len)
		memcpy(copy, m->bytes, m->len);
	*len = m->len;
	return copy;
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* The present one, whatever the bytes: and once more an older one of each that has one. */
static uint32_t of_version;

static void older(struct store *s)
{
	struct sessions *sessions = sessions_new(8);
	struct usage *usage = usage_new(8);
	bool lost;
	require(sessions && usage);
	of_version = 1;
	state_load_ended(s, sessions, 1);
	state_load_quotas(s, usage, NULL, 1, &lost);
	of_version = 0;
	usage_free(usage);
	sessions_free(sessions);
}

static uint32_t version(struct store *s, const char *kind)
{
	return of_version;
}

static void each(void *ctx, const struct flow_memory *m, bool same)
{
	require(m->outcome.reason < REASON_COUNT && m->evidence < EVIDENCE_COUNT);
	require(strlen(m->host.text) == m->host.len && strlen(m->user) < USER_MAX);
	(*(unsigned *)ctx)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct store_ops ops = {.load = load, .version = version};
	struct memory m = {{&ops}, data, size};
	struct sessions *sessions = sessions_new(8);
	struct seen *seen = seen_new(8, 0, false);
	unsigned flows = 0;
	require(sessions && seen);
	require(state_load_sessions(&m.store, sessions, 1) >= sessions_count(sessions));
	require(state_load_ended(&m.store, sessions, 1) <= 8 * SESSION_ADDRESSES);
	state_load_names(&m.store, seen, 1);
	require(state_load_flows(&m.store, 0, "p", each, &flows) == flows);
	static struct lockdowns lockdowns;
	bool lost;
	require(state_load_lockdowns(&m.store, &lockdowns, &lost) == lockdowns.count &&
		lockdowns.count <= LOCKDOWNS_MAX);
	struct hits hits;
	require(state_load_hits(&m.store, &hits, 0) == hits.count);
	hits_free(&hits);
	struct usage *usage = usage_new(8);
	require(usage);
	state_load_quotas(&m.store, usage, NULL, 1, &lost);
	state_load_quotas_lost(&m.store);
	struct state_swept swept;
	require(state_load_swept(&m.store, &swept) || (!swept.wall && !*swept.policy));
	require(strnlen(swept.policy, sizeof swept.policy) < sizeof swept.policy);
	older(&m.store);
	usage_free(usage);
	sessions_free(sessions);
	seen_free(seen);
	return 0;
}
