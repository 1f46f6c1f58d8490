/* Prints ns per DNS packet: parsed, matched and noted; ns per look into `seen`; and nDPI's time for
 * the same question and answer where its library is there. */
#include "base/clock.h"
#include "dns/dns_watch.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#if __has_include(<ndpi/ndpi_api.h>)
#include <ndpi/ndpi_api.h>
#define HAVE_NDPI 1
#endif

enum { ROUNDS = 1000000 };

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double say(const char *what, double start, size_t rounds)
{
	double ns = (now_ns() - start) / (double)rounds;
	printf("%-46s %8.1f ns\n", what, ns);
	return ns;
}

/* An IPv4 UDP packet with a DNS message. */
struct wire {
	uint8_t bytes[1024];
	size_t len;
};

static void raw(struct wire *w, const void *bytes, size_t len)
{
	memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

static void name(struct wire *w, const char *text)
{
	for (; *text; text += strcspn(text, ".") + (text[strcspn(text, ".")] == '.')) {
		uint8_t n = (uint8_t)strcspn(text, ".");
		raw(w, &n, 1);
		raw(w, text, n);
	}
	raw(w, "", 1);
}

static void begin(struct wire *w, bool answer, unsigned answers, const char *question, uint8_t type)
{
	static const uint8_t ip[20] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, IPPROTO_UDP};
	const uint8_t client[4] = {10, 0, 0, 2}, resolver[4] = {10, 0, 0, 53};
	const uint8_t ports[2][4] = {{0x9c, 0x40, 0, 53}, {0, 53, 0x9c, 0x40}};
	uint8_t head[12] = {0x12, 0x34, answer ? 0x81 : 1, answer ? 0x80 : 0, 0,
			    1,    0,    (uint8_t)answers};
	w->len = 0;
	raw(w, ip, 12);
	raw(w, answer ? resolver : client, 4);
	raw(w, answer ? client : resolver, 4);
	raw(w, ports[answer], 4);
	raw(w, "\0\0\0\0", 4);
	raw(w, head, 12);
	name(w, question);
	raw(w, (uint8_t[]){0, type, 0, 1}, 4);
}

static void end(struct wire *w)
{
	w->bytes[2] = (uint8_t)(w->len >> 8);
	w->bytes[3] = (uint8_t)w->len;
	w->bytes[24] = (uint8_t)((w->len - 20) >> 8);
	w->bytes[25] = (uint8_t)(w->len - 20);
}

static void a(struct wire *w, unsigned owner, unsigned last)
{
	raw(w, (uint8_t[]){0xc0, (uint8_t)owner, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2}, 15);
	raw(w, (uint8_t[]){(uint8_t)last}, 1);
}

/* Returns where the target stands in the message. */
static unsigned cname(struct wire *w, unsigned owner, const char *target)
{
	raw(w, (uint8_t[]){0xc0, (uint8_t)owner, 0, 5, 0, 1, 0, 0, 1, 44, 0}, 11);
	raw(w, (uint8_t[]){(uint8_t)(strlen(target) + 2)}, 1);
	unsigned at = (unsigned)w->len - 28;
	name(w, target);
	return at;
}

struct exchange {
	const char *what;
	struct wire query, answer;
};

static struct exchange one, chain;

static void make_exchanges(void)
{
	one.what = "one address";
	begin(&one.query, false, 0, "www.example.com", 1);
	end(&one.query);
	begin(&one.answer, true, 1, "www.example.com", 1);
	a(&one.answer, 12, 1);
	end(&one.answer);
	chain.what = "two CNAMEs, four addresses";
	begin(&chain.query, false, 0, "www.example.com", 1);
	end(&chain.query);
	begin(&chain.answer, true, 6, "www.example.com", 1);
	unsigned at = cname(&chain.answer, 12, "www.example.com.edge.cdn.example.net");
	at = cname(&chain.answer, at, "e1234.dscb.cdn.example.net");
	for (unsigned i = 0; i < 4; i++)
		a(&chain.answer, at, i);
	end(&chain.answer);
}

static struct packet parsed(struct wire *w)
{
	struct packet p;
	if (packet_parse(w->bytes, w->len, &p) != PACKET_OK)
		abort();
	return p;
}

static void parse(struct exchange *e)
{
	struct packet p = parsed(&e->answer);
	struct dns_message m;
	struct dns_address d;
	size_t count = 0;
	double start = now_ns();
	for (int i = 0; i < ROUNDS; i++) {
		if (dns_message(p.payload, &m) == PARSE_OK)
			while (dns_next(&m, &d) == PARSE_OK)
				count++;
	}
	printf("%s\n", e->what);
	say("  answer, parsed", start, ROUNDS);
	if (count == 0)
		abort();
}

static void set_id(struct wire *w, unsigned id)
{
	w->bytes[28] = (uint8_t)(id >> 8);
	w->bytes[29] = (uint8_t)id;
}

static void watched(struct dns_watch *w, struct wire *wire)
{
	struct packet p = parsed(wire);
	dns_watch_packet(w, &p, p.dst_port == 53, 0);
}

/* The whole way of a packet from its IP header, as the DNS worker goes it: a thousand questions,
 * then their answers. fresh: each answer is for an address never seen before, so that the full
 * table drops one for it. Returns the time of a question and its answer. */
static double watch(struct exchange *e, bool fresh)
{
	enum { BATCH = 1000 };
	struct seen *seen = seen_new(65536, 3600 * NS_PER_S, false);
	struct dns_watch *w = dns_watch_new(16384, 4, seen);
	uint8_t *last = e->answer.bytes + e->answer.len - 4;
	struct dns_watch_counters c;
	double questions = 0, answers = 0;
	for (unsigned n = 0; n < ROUNDS; n += BATCH) {
		double start = now_ns();
		for (unsigned i = 0; i < BATCH; i++) {
			set_id(&e->query, i);
			watched(w, &e->query);
		}
		double between = now_ns();
		for (unsigned i = 0; i < BATCH; i++) {
			uint32_t address = n + i;
			set_id(&e->answer, i);
			if (fresh)
				memcpy(last, &address, 4);
			watched(w, &e->answer);
		}
		questions += between - start;
		answers += now_ns() - between;
	}
	dns_watch_count(w, &c);
	if (c.answers != ROUNDS)
		abort();
	printf("%-46s %8.1f ns\n", "  question, parsed and kept", questions / ROUNDS);
	printf("%-46s %8.1f ns\n",
	       fresh ? "  answer, parsed, matched and noted as new"
		     : "  answer, parsed, matched and noted again",
	       answers / ROUNDS);
	dns_watch_free(w);
	seen_free(seen);
	return (questions + answers) / ROUNDS;
}

static void look(void)
{
	struct seen *s = seen_new(65536, 3600 * NS_PER_S, true);
	struct host h = {.len = 19}, out[4];
	struct address client = {{[15] = 1}}, at = {{0}};
	for (unsigned i = 0; i < 65536; i++) {
		memcpy(at.bytes, &i, 4);
		snprintf(h.text, sizeof h.text, "host-%05u.some.site", i);
		seen_add(s, &client, &at, &h, NS_PER_S, 0);
	}
	size_t found = 0;
	unsigned random = 1;
	double start = now_ns();
	for (int i = 0; i < ROUNDS; i++, random = random * 1103515245 + 12345) {
		unsigned n = random >> 16;
		memcpy(at.bytes, &n, 4);
		found += seen_names(s, &client, &at, 0, out, 4);
	}
	say("  names of an address", start, ROUNDS);
	start = now_ns();
	for (int i = 0; i < ROUNDS; i++, random = random * 1103515245 + 12345) {
		unsigned n = random >> 16;
		memcpy(at.bytes, &n, 4);
		found += seen_agrees(s, &client, &at, &out[0], 0);
	}
	say("  agrees", start, ROUNDS);
	if (found < ROUNDS)
		abort();
	seen_free(s);
}

#ifdef HAVE_NDPI
/* A flow of its own for each exchange, as nDPI's callers keep. */
static void against_ndpi(struct exchange *e, double ours)
{
	void *lib = dlopen("libndpi.so.4.2", RTLD_NOW);
	if (!lib)
		return;
	__typeof__(ndpi_init_detection_module) *init = dlsym(lib, "ndpi_init_detection_module");
	__typeof__(ndpi_set_protocol_detection_bitmask2) *set =
		dlsym(lib, "ndpi_set_protocol_detection_bitmask2");
	__typeof__(ndpi_finalize_initialization) *done = dlsym(lib, "ndpi_finalize_initialization");
	__typeof__(ndpi_detection_process_packet) *process =
		dlsym(lib, "ndpi_detection_process_packet");
	__typeof__(ndpi_free_flow_data) *clean = dlsym(lib, "ndpi_free_flow_data");
	if (!init || !set || !done || !process || !clean)
		return;
	struct ndpi_detection_module_struct *module = init(ndpi_no_prefs);
	NDPI_PROTOCOL_BITMASK all;
	memset(&all, 0xff, sizeof all);
	set(module, &all);
	done(module);
	struct ndpi_flow_struct *flow = calloc(1, sizeof *flow);
	enum { TIMES = ROUNDS / 10 };
	double start = now_ns();
	for (unsigned i = 0; i < TIMES; i++) {
		memset(flow, 0, sizeof *flow);
		process(module, flow, e->query.bytes, (unsigned short)e->query.len, i);
		process(module, flow, e->answer.bytes, (unsigned short)e->answer.len, i);
		clean(flow);
	}
	double theirs = say("  nDPI 4.2, question and answer", start, TIMES);
	printf("  ours takes %.2f of that\n", ours / theirs);
	free(flow);
}
#else
static void against_ndpi(struct exchange *e, double ours)
{
}
#endif

int main(void)
{
	make_exchanges();
	struct exchange *all[] = {&one, &chain};
	for (int i = 0; i < 2; i++) {
		parse(all[i]);
		double ours = watch(all[i], false);
		against_ndpi(all[i], ours);
	}
	printf("one address, never seen before, and a full table\n");
	watch(&one, true);
	printf("looks into 65536 names\n");
	look();
	return 0;
}
