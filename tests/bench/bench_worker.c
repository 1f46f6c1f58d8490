/* bench_worker PART [--names N] [--users N] [--flows N] [--seen N] [--rounds N] [--batch N]
 * [--lanes N] [--scripts N]: the whole worker, from a packet's bytes to its verdict and record,
 * with what a daemon shares among workers. Each line that is printed is a name, a tab and a number;
 * tests/bench/offline runs the parts and makes the tables. Prints, never fails by time.
 *
 * packets: ns a packet by kind, the least of the rounds. counts: the same once, for callgrind.
 * memory: what is taken a thing. lanes: packets a second of so many workers at once. */
#include "play.h"

#include <getopt.h>
#include <pthread.h>

static unsigned rounds = 20, lanes = 1, used = SCRIPTS;

static void say(const char *what, double number)
{
	printf("%s\t%.6g\n", what, number);
	fflush(stdout);
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
