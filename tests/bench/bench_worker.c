/* bench_worker PART [--names N] [--users N] [--flows N] [--seen N] [--rounds N] [--batch N]
 * [--lanes N] [--scripts N]: the whole worker, from a packet's bytes to its verdict and record,
 * with what a daemon shares among workers. Each line that is printed is a name, a tab and a number;
 * tests/bench/offline runs the parts and makes the tables. Prints, never fails by time.
 *
 * packets: ns a packet by kind, the least of the rounds. counts: the same once, for callgrind.
 * memory: what is taken a thing. lanes: packets a second of so many workers at once. */
#include "world.h"

#include <getopt.h>
#include <pthread.h>

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
static unsigned rounds = 20, batch = 2048, lanes = 1, used = SCRIPTS;

static uint32_t flow_name(unsigned i)
{
	return scramble(i * 7919u % world.sizes.names);
}

static void say(const char *what, double number)
{
	printf("%s\t%.6g\n", what, number);
	fflush(stdout);
}

/* ---- flows ---- */

/* Ports of those that live on are never those of others: no two flows are one. */
enum { PORTS = 1024, PORTS_OTHERS = 33792 };

static void draw(struct lane *l, unsigned count, bool lives, bool quic)
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
static void step(struct lane *l, enum kind k, unsigned from, unsigned to)
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
static void play(struct lane *l, const struct script *s, int64_t ns[static KIND_COUNT])
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
static void fill(struct lane *l, uint32_t flows)
{
	l->opened = KIND_HELLO;
	for (uint32_t i = 0; i < flows; i += LIVING) {
		draw(l, LIVING, true, false);
		step(l, KIND_SYN, 0, LIVING);
		step(l, KIND_HELLO, 0, LIVING);
	}
}

static void world_make(void)
{
	world_policy(&world);
	world_people(&world, 1000 * NS_PER_S);
	world.seen = seen_new(world.sizes.seen, 3600 * NS_PER_S, false);
	if (!world.seen || !world.sessions)
		give_up("out of memory");
	initials_make(flow_name);
	forms_make();
}

/* ---- parts ---- */

static void part_packets(void)
{
	double least[KIND_COUNT];
	world_make();
	struct lane *l = lane_new(&world, 0, 1);
	fill(l, world.sizes.flows / 2);
	for (int k = 0; k < KIND_COUNT; k++)
		least[k] = 1e18;
	for (unsigned r = 0; r < rounds; r++) {
		int64_t ns[KIND_COUNT] = {0};
		for (unsigned s = 0; s < used; s++)
			play(l, &scripts[s], ns);
		for (int k = 0; k < KIND_COUNT && r; k++)
			least[k] = (double)ns[k] < least[k] ? (double)ns[k] : least[k];
	}
	for (int k = 0; k < KIND_COUNT; k++)
		if (least[k] > 0)
			say(kinds[k].text, least[k] / batch);
	lane_free(l);
	world_free(&world);
}

/* Under callgrind, which is told of each step by its name. */
static void part_counts(void)
{
	int64_t ns[KIND_COUNT];
	world_make();
	struct lane *l = lane_new(&world, 0, 1);
	fill(l, world.sizes.flows / 2);
	for (unsigned s = 0; s < SCRIPTS; s++)
		play(l, &scripts[s], ns);
	CALLGRIND_START_INSTRUMENTATION;
	for (unsigned n = 0; n < SCRIPTS; n++) {
		const struct script *s = &scripts[n];
		draw(l, batch, false, s->step[2] >= KIND_INITIAL && s->step[2] <= KIND_INITIAL_2);
		l->opened = s->step[0] == KIND_KNOCK ? KIND_KNOCK : s->step[s->count - 2];
		for (unsigned i = 0; i < s->count; i++) {
			CALLGRIND_ZERO_STATS;
			step(l, s->step[i], 0, batch);
			if (i >= s->from && (i < s->count - 1 || s == scripts))
				CALLGRIND_DUMP_STATS_AT(kinds[s->step[i]].text);
		}
	}
	say("batch", batch);
	lane_free(l);
	world_free(&world);
}

static double rss(void)
{
	long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2)
		give_up("/proc is not there");
	fclose(f);
	return (double)pages * 4096;
}

static double memory_said(const char *what, double before, double count)
{
	char text[64];
	double now = rss();
	snprintf(text, sizeof text, "%s, bytes each", what);
	say(text, (now - before) / count);
	return now;
}

/* Each name is told to somebody, as its resolver does. */
static void learn(void)
{
	struct host h = {.len = NAME_LEN};
	for (uint32_t i = 0; i < world.sizes.seen / 2; i++) {
		uint32_t name = scramble(i % world.sizes.names);
		struct address client = address_of(client_ip(i % world.sizes.users));
		struct address server = address_of(server_ip(name));
		name_of(name, h.text);
		seen_add(world.seen, &client, &server, &h, 300 * NS_PER_S, 1000 * NS_PER_S);
	}
}

/* With one worker, as many flows as its table has. */
static void part_memory(void)
{
	double start = rss(), at;
	world_policy(&world);
	at = memory_said("names in lists", start, world.sizes.names);
	world_people(&world, 1000 * NS_PER_S);
	at = memory_said("sessions", at, world.sizes.users);
	world.seen = seen_new(world.sizes.seen, 3600 * NS_PER_S, false);
	forms_of_tls();
	struct lane *l = lane_new(&world, 0, 1);
	fill(l, LIVING);
	at = rss();
	fill(l, world.sizes.flows - LIVING);
	at = memory_said("flows", at, world.sizes.flows - LIVING);
	say("before names are learnt, all of it, MB", (at - start) / 1e6);
	learn();
	at = memory_said("names learnt from DNS", at, world.sizes.seen / 2.);
	say("all of it, MB", (at - start) / 1e6);
	lane_free(l);
	world_free(&world);
}

static pthread_barrier_t together;

static void *lane_run(void *arg)
{
	struct lane *l = arg;
	int64_t least = INT64_MAX;
	rcu_register_thread();
	fill(l, world.sizes.flows / 4);
	for (unsigned r = 0; r < rounds; r++) {
		int64_t ns[KIND_COUNT] = {0}, all = 0;
		pthread_barrier_wait(&together);
		play(l, &scripts[0], ns);
		for (int k = 0; k < KIND_COUNT; k++)
			all += ns[k];
		least = all < least && r ? all : least;
	}
	rcu_unregister_thread();
	l->spent = least;
	return NULL;
}

static void part_lanes(void)
{
	struct lane *l[LANES];
	pthread_t thread[LANES];
	double rate = 0;
	world_make();
	pthread_barrier_init(&together, NULL, lanes);
	for (unsigned i = 0; i < lanes; i++) {
		l[i] = lane_new(&world, i, lanes);
		pthread_create(&thread[i], NULL, lane_run, l[i]);
	}
	for (unsigned i = 0; i < lanes; i++) {
		pthread_join(thread[i], NULL);
		rate += 7e9 * batch / (double)l[i]->spent;
		lane_free(l[i]);
	}
	say("packets a second", rate);
	world_free(&world);
}

/* ---- options ---- */

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {{"packets", part_packets},
	     {"counts", part_counts},
	     {"memory", part_memory},
	     {"lanes", part_lanes}};

static const struct option options[] = {
	{"names", 1, NULL, 'n'}, {"users", 1, NULL, 'u'},   {"flows", 1, NULL, 'f'},
	{"seen", 1, NULL, 's'},  {"rounds", 1, NULL, 'r'},  {"batch", 1, NULL, 'b'},
	{"lanes", 1, NULL, 'l'}, {"scripts", 1, NULL, 'k'}, {NULL, 0, NULL, 0}};

static void option_take(int c, uint32_t number)
{
	uint32_t *const to[] = {['n'] = &world.sizes.names,
				['u'] = &world.sizes.users,
				['f'] = &world.sizes.flows,
				['s'] = &world.sizes.seen,
				['r'] = &rounds,
				['b'] = &batch,
				['l'] = &lanes,
				['k'] = &used};
	if (c < 0 || c > 'u' || !to[c])
		give_up("usage: bench_worker PART [--names N] [--users N] ...");
	*to[c] = number;
}

int main(int argc, char **argv)
{
	int c;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		option_take(c, c == '?' ? 0 : (uint32_t)strtoul(optarg, NULL, 10));
	const char *part = optind < argc ? argv[optind] : "packets";
	rcu_register_thread();
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (strcmp(parts[i].name, part) == 0)
			parts[i].run();
	rcu_unregister_thread();
	return 0;
}
