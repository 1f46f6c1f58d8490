/* play: kinds of flows, step by step, from a lane's source through its worker; every packet must
 * get the verdict that it should. For the bench of the worker and for the test of what it asks of
 * the system. */
#pragma once
#include "world.h"

/* Kinds of flows: what of them is measured stands from `from` on. */
static const struct script {
	enum kind step[8];
	unsigned count, from, stride; /* stride: so many flows are at the same step at a time */
} scripts[] = {
	{{KIND_QUERY, KIND_ANSWER, KIND_SYN, KIND_HELLO, KIND_FLIGHT, KIND_ACK, KIND_END},
	 7,
	 0,
	 512},
	{{KIND_QUERY, KIND_ANSWER, KIND_SYN, KIND_LONG, KIND_END}, 5, 3, 512},
	{{KIND_QUERY, KIND_ANSWER, KIND_SYN, KIND_PART_1, KIND_PART_2, KIND_END}, 6, 3, 64},
	{{KIND_QUERY, KIND_ANSWER, KIND_SYN, KIND_REQUEST, KIND_END}, 5, 3, 512},
	{{KIND_QUERY, KIND_ANSWER, KIND_INITIAL, KIND_INITIAL_ACK, KIND_END}, 5, 2, 512},
	{{KIND_QUERY, KIND_ANSWER, KIND_INITIAL_1, KIND_INITIAL_2, KIND_END}, 5, 2, 64},
	{{KIND_KNOCK, KIND_KNOCK_AGAIN, KIND_END}, 3, 0, 512},
};
enum { SCRIPTS = sizeof scripts / sizeof *scripts };

static const struct {
	const char *text;
	bool hello;
} kinds[KIND_COUNT] = {
#define X(id, text, hello) {text, hello},
	KIND_LIST(X)
#undef X
};

static struct world world = {.sizes = {10000, 10000, 65536, 262144}};
static unsigned batch = 2048; /* flows of a kind that are played together */

static inline uint32_t flow_name(unsigned i)
{
	return scramble(i * 7919u % world.sizes.names);
}

/* Ports of those that live on are never those of others: no two flows are one. */
enum { PORTS = 1024, PORTS_OTHERS = 33792 };

static inline void draw(struct lane *l, unsigned count, bool lives, bool quic)
{
	uint32_t low = lives ? PORTS : PORTS_OTHERS, high = lives ? PORTS_OTHERS : 65536;
	for (unsigned i = 0; i < count; i++) {
		struct subject *s = &l->subject[i];
		s->client = l->first_client + lane_random(l, l->clients);
		s->name = quic ? flow_name(i) : scramble(lane_random(l, world.sizes.names));
		s->port = l->port = (uint16_t)(low + (l->port + 1u - low) % (high - low));
	}
}

/* Some flows make a step. Every packet must have the verdict that it should have. */
static inline void step(struct lane *l, enum kind k, unsigned from, unsigned to)
{
	const struct form *f = &forms[k];
	unsigned others = 0;
	memset(l->verdicts, 0, sizeof l->verdicts);
	l->kind = k;
	l->at = from;
	l->end = to;
	while (l->at < l->end)
		if (worker_turn(l->worker) != 0)
			give_up("a turn failed");
	for (int v = 0; v < 16; v++)
		others += v == f->want ? 0 : l->verdicts[v];
	bool second = k == KIND_PART_2 || k == KIND_INITIAL_2; /* with it goes what was held */
	unsigned due = k == KIND_END || f->want < 0 ? 0 : to - from;
	if (others || (due && l->verdicts[f->want] != due * (second ? 2 : 1))) {
		fprintf(stderr, "bench: %s: %u of %u verdicts are not %d\n", kinds[k].text, others,
			to - from, f->want);
		exit(1);
	}
}

/* A batch of flows of a kind from their first packet to their end; ns of each kind of packet. */
static inline void play(struct lane *l, const struct script *s, int64_t ns[static KIND_COUNT])
{
	draw(l, batch, false, s->step[2] >= KIND_INITIAL && s->step[2] <= KIND_INITIAL_2);
	l->opened = s->step[0] == KIND_KNOCK ? KIND_KNOCK : s->step[s->count - 2];
	for (unsigned from = 0; from < batch; from += s->stride) {
		unsigned to = from + s->stride < batch ? from + s->stride : batch;
		for (unsigned i = 0; i < s->count; i++) {
			l->spent = 0;
			step(l, s->step[i], from, to);
			if (i >= s->from && (i < s->count - 1 || s == scripts))
				ns[s->step[i]] += l->spent;
		}
	}
}

enum { LIVING = 1024 };

/* Flows that live on beside what is measured, so many at a time. */
static inline void fill(struct lane *l, uint32_t flows)
{
	l->opened = KIND_HELLO;
	for (uint32_t i = 0; i < flows; i += LIVING) {
		draw(l, LIVING, true, false);
		step(l, KIND_SYN, 0, LIVING);
		step(l, KIND_HELLO, 0, LIVING);
	}
}

static inline void world_make(void)
{
	world_policy(&world);
	world_people(&world, 1000 * NS_PER_S);
	world.seen = seen_new(world.sizes.seen, 3600 * NS_PER_S, false);
	if (!world.seen || !world.sessions)
		give_up("out of memory");
	initials_make(flow_name);
	forms_make();
}
