#include "state/encode.h"
#include "state/state.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

#define VERSION     2
#define POLICY_TEXT 17

enum { BIT_SYN_SEEN = 1, BIT_LIVE = 2, BIT_MISMATCH = 4, BIT_MAC = 8, BIT_HEARD = 16 };

static void put_flow(FILE *to, const struct flow_memory *m)
{
	put_address(to, &m->key.client);
	put_address(to, &m->key.server);
	put_u16(to, m->key.client_port);
	put_u16(to, m->key.server_port);
	put_u8(to, m->key.transport);
	put_u8(to, m->allowed);
	put_u8(to, m->outcome.action);
	put_u8(to, m->outcome.reason);
	put_u32(to, m->outcome.rule);
	put_u32(to, m->outcome.site);
	put_u8(to, m->evidence);
	put_u8(to, m->protocol);
	put_u8(to, m->syn_seen * BIT_SYN_SEEN | m->live * BIT_LIVE | m->mismatch * BIT_MISMATCH |
			   m->has_mac * BIT_MAC | m->heard * BIT_HEARD);
	fwrite(m->mac, sizeof m->mac, 1, to);
	put_u32(to, m->isn);
	put_u64(to, m->next);
	put_u64(to, (uint64_t)m->first);
	put_u64(to, (uint64_t)m->last);
	put_host(to, &m->host);
	put_text(to, m->user);
	put_text(to, m->tier);
}

/* A value of an enumeration; one that this program does not know makes the cursor bad. */
static unsigned take_enum(struct cursor *c, unsigned count)
{
	unsigned v = cursor_u8(c);
	if (v < count)
		return v;
	cursor_skip(c, cursor_left(c) + 1);
	return 0;
}

static void take_flow(struct cursor *c, struct flow_memory *m)
{
	memset(m, 0, sizeof *m);
	take_address(c, &m->key.client);
	take_address(c, &m->key.server);
	m->key.client_port = cursor_u16(c);
	m->key.server_port = cursor_u16(c);
	m->key.transport = cursor_u8(c);
	m->allowed = take_enum(c, 2);
	m->outcome.action = (enum action)take_enum(c, ACTION_WAIT + 1);
	m->outcome.reason = (enum reason)take_enum(c, REASON_COUNT);
	m->outcome.rule = cursor_u32(c);
	m->outcome.site = cursor_u32(c);
	m->evidence = (enum evidence)take_enum(c, EVIDENCE_COUNT);
	m->protocol = (enum protocol)take_enum(c, PROTOCOL_COUNT);
	unsigned bits = cursor_u8(c);
	m->syn_seen = bits & BIT_SYN_SEEN;
	m->live = bits & BIT_LIVE;
	m->mismatch = bits & BIT_MISMATCH;
	m->has_mac = bits & BIT_MAC;
	m->heard = bits & BIT_HEARD;
	cursor_copy(c, m->mac, sizeof m->mac);
	m->isn = cursor_u32(c);
	m->next = cursor_u64(c);
	m->first = (int64_t)cursor_u64(c);
	m->last = (int64_t)cursor_u64(c);
	take_host(c, &m->host);
	take_text(c, m->user, sizeof m->user);
	take_text(c, m->tier, sizeof m->tier);
}

static void kind_of(unsigned index, char out[static STATE_KIND_MAX])
{
	snprintf(out, STATE_KIND_MAX, "flows-%u", index % 1000);
}

int state_save_flows(struct store *to, unsigned index, const struct flow_memory *list, size_t count,
		     const char *policy)
{
	char kind[STATE_KIND_MAX];
	struct blob b;
	kind_of(index, kind);
	if (!blob_open(&b))
		return -ENOMEM;
	put_text(b.to, policy);
	for (size_t i = 0; i < count; i++)
		put_flow(b.to, &list[i]);
	return blob_save(&b, to, kind, VERSION);
}

unsigned state_load_flows(struct store *from, unsigned index, const char *policy,
			  void (*each)(void *ctx, const struct flow_memory *m, bool same),
			  void *ctx)
{
	char kind[STATE_KIND_MAX], digest[POLICY_TEXT] = "";
	struct flow_memory m;
	struct cursor c;
	int64_t shift;
	unsigned count = 0;
	kind_of(index, kind);
	char *bytes = blob_load(from, kind, VERSION, &c, &shift);
	if (bytes)
		take_text(&c, digest, sizeof digest);
	bool same = bytes && strcmp(digest, policy) == 0;
	while (cursor_left(&c)) {
		take_flow(&c, &m);
		if (c.bad)
			break;
		m.first = clock_add(m.first, shift);
		m.last = clock_add(m.last, shift);
		if (!same) {
			m.outcome.rule = RULE_NONE;
			m.outcome.site = SITE_NONE;
		}
		each(ctx, &m, same);
		count++;
	}
	if (c.bad)
		log_warn("the state of flows ends in the middle of one");
	free(bytes);
	return count;
}
