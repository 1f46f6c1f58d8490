/* bench_policy: ns a decision, by number of lines and of names, one thread, random hosts. Prints,
 * never fails by time. */
#include "../unit/policy/build.h"
#include "base/clock.h"
#include "policy/decide.h"

#include <time.h>

#define NOW   INT64_C(1782129600000000000) /* Mon 2026-06-22 12:00 UTC */
#define LISTS 8

/* Of this thread alone, so that other work on the machine counts less. */
static int64_t cpu_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* A name of list l as lists have them: three labels, lengths that differ. */
static void name_of(char out[static 64], unsigned l, unsigned i)
{
	snprintf(out, 64, "%s%x.list%u.%s", i % 3 ? "site-" : "w", i * 2654435761u, l,
		 i % 5 ? "com" : "org");
}

static void add_lists(struct config *c, unsigned hosts)
{
	for (unsigned l = 0; l < LISTS; l++) {
		char name[64];
		snprintf(name, sizeof name, "site%u", l);
		build_site(c, name, "");
		struct site_list *list = &c->sites[l].list[0];
		for (unsigned i = 0; i < hosts / LISTS; i++) {
			name_of(name, l, i);
			struct site_entry e = build_entry(name);
			list_add(list, &e);
		}
	}
}

/* Half of the lines for guest, half for staff, each of a site of its own or of a list; every
 * seventh has a schedule, every ninth is a deny of a site that nobody asks for here. */
static struct snapshot *policy(unsigned lines, unsigned hosts)
{
	struct config c = {.mismatch = CONFIG_MISMATCH_LOG};
	build_network(&c.internal, "10.0.0.0/8");
	build_network(&c.internal, "fd00::/8");
	build_tier(&c, "guest", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "staff", "guest", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "loose", "staff", CONFIG_EVIDENCE_ANY, CONFIG_MISMATCH_UNSET);
	build_schedule(&c, "office", 0x1f, 480, 1080, "Europe/Sofia");
	add_lists(&c, hosts);
	for (unsigned i = 0; i < lines; i++) {
		char site[32], own[64];
		snprintf(site, sizeof site, "site%u", i);
		snprintf(own, sizeof own, "own%u.example", i);
		if (i >= LISTS)
			build_site(&c, site, own);
		bool deny = i >= LISTS && i % 9 == 0;
		struct config_line *l = build_line(&c, deny, i % 2 ? "staff" : "guest", site, "");
		l->when = i % 7 == 6 ? strdup("office") : NULL;
	}
	build_line(&c, ALLOW, "loose", "*", "");
	return build_snapshot(&c);
}

struct load {
	const char *what, *tier;
	const char *named; /* NULL: no name; "": of a list; else one that no list has */
	bool waiting;
	uint16_t port;
};

static double measure(const struct snapshot *s, unsigned hosts, const struct load *load)
{
	enum { NAMES = 4096, ROUNDS = 200 };
	static struct host names[NAMES];
	unsigned actions[3] = {0}, seed = 1;
	for (unsigned i = 0; i < NAMES; i++) {
		char name[64];
		seed = seed * 1664525 + 1013904223;
		name_of(name, i % LISTS, (unsigned)((uint64_t)seed * (hosts / LISTS) >> 32));
		if (load->named && *load->named)
			snprintf(name, sizeof name, "www.u%x.%s", seed, load->named);
		names[i] = build_host(name);
	}
	struct facts f = {
		.client = build_address("10.1.1.1"),
		.server = build_address("203.0.113.7"),
		.port = load->port ? load->port : 443,
		.transport = IPPROTO_TCP,
		.tier = load->tier,
		.evidence = load->named ? EVIDENCE_SNI : EVIDENCE_ADDRESS,
		.waiting = load->waiting,
	};
	int64_t start = cpu_now();
	for (unsigned r = 0; r < ROUNDS; r++)
		for (unsigned i = 0; i < NAMES; i++) {
			f.host = load->named ? &names[i] : NULL;
			actions[decide(s, &f, NOW).action]++;
		}
	double ns = (double)(cpu_now() - start) / (ROUNDS * NAMES);
	printf("  %-32s %6.0f ns   allow %u%% deny %u%% wait %u%%\n", load->what, ns,
	       actions[ACTION_ALLOW] / (ROUNDS * NAMES / 100),
	       actions[ACTION_DENY] / (ROUNDS * NAMES / 100),
	       actions[ACTION_WAIT] / (ROUNDS * NAMES / 100));
	return ns;
}

static long rss_mb(void)
{
	long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%ld %ld", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * 4 / 1024;
}

int main(void)
{
	static const unsigned lines[] = {10, 1000}, hosts[] = {800, 1000000};
	static const struct load loads[] = {
		{"name of a list", "staff", "", false, 0},
		{"name of no list", "staff", "example.net", false, 0},
		{"name of a list, a tier apart", "guest", "", false, 0},
		{"no name", "staff", NULL, false, 0},
		{"SYN to a port of no line", "staff", NULL, true, 22},
		{"SYN, a name may come", "staff", NULL, true, 0},
		{"SYN, evidence any", "loose", NULL, true, 0},
	};
	for (unsigned l = 0; l < 2; l++)
		for (unsigned h = 0; h < 2; h++) {
			int64_t start = cpu_now();
			struct snapshot *s = policy(lines[l], hosts[h]);
			printf("%u lines, %u names in %d lists (made in %ld ms, process %ld MB)\n",
			       lines[l], hosts[h], LISTS, (long)((cpu_now() - start) / NS_PER_MS),
			       rss_mb());
			for (unsigned i = 0; i < sizeof loads / sizeof *loads; i++)
				measure(s, hosts[h], &loads[i]);
			snapshot_free(s);
		}
	return 0;
}
