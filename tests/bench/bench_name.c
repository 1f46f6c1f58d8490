/* bench_name: ns per hello, from an IP packet's bytes to the host, one thread. Where nDPI is
 * installed it reads the same packets in the same run. Prints, never fails by time. */
#include "../unit/name/seal.h"
#include "base/clock.h"
#include "name/first.h"
#include "name/hello.h"
#include "name/quic.h"
#include "name/tls.h"
#include "packet/packet.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>

#if __has_include(<ndpi/ndpi_api.h>)
#include <ndpi/ndpi_api.h>
#define NDPI 1
#endif

BYTES_OF_FILE(chromium, "tests/unit/name/data/chromium.tls");
BYTES_OF_FILE(curl, "tests/unit/name/data/curl.tls");

enum { ROUNDS = 60, TIMES = 800, PACKETS_MAX = 2, CLIENTS = 8 };

static const char request[] = "GET /index.html HTTP/1.1\r\nHost: www.feas.test\r\n"
			      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n"
			      "Accept: text/html,application/xhtml+xml,application/xml;q=0.9\r\n"
			      "Accept-Language: en\r\nConnection: keep-alive\r\n\r\n";
static const uint8_t flight[80] = {20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 69};
static const char other[] = "\x05\x01\x00 a packet that is no hello";

/* The first packets of one flow. */
struct flow_of {
	size_t count;
	struct bytes packet[PACKETS_MAX];
};

static void add_packet(struct flow_of *f, bool udp, uint32_t seq, const void *payload, size_t len)
{
	struct bytes *b = &f->packet[f->count++];
	size_t header = udp ? 8 : 20;
	put_number(b, 0x4500, 2);
	put_number(b, 20 + header + len, 2);
	put_number(b, 0x00004000, 4);
	put_number(b, udp ? 0x40110000 : 0x40060000, 4);
	put_number(b, 0x0a000002, 4);
	put_number(b, 0xc6336401, 4);
	put_number(b, 40000, 2);
	put_number(b, 443, 2);
	if (udp) {
		put_number(b, 8 + len, 2);
		put_number(b, 0, 2);
	} else {
		put_number(b, seq, 4);
		put_number(b, 1, 4);
		put_number(b, 0x5018ffff, 4);
		put_number(b, 0, 4);
	}
	put(b, payload, len);
}

static struct quic *quic;
static struct stream_pool *pool;
static char found[256];

/* The client's packet after its hello, by which a TLS 1.3 flow is let go. */
static bool second_flight(const struct flow_of *f)
{
	struct packet p;
	struct hello h;
	uint32_t early = 0;
	uint64_t used;
	return packet_parse(f->packet[0].at, f->packet[0].len, &p) == PACKET_OK &&
	       tls_next_hello(p.payload, &early, &used, &h) == PARSE_ABSENT;
}

/* What the worker does with a flow's first packets, without its flow table. */
static bool ours(const struct flow_of *f)
{
	struct quic_flow ids = {0};
	struct stream *stream = NULL;
	struct hello h;
	enum parse answer = PARSE_MORE;
	for (size_t i = 0; i < f->count && answer == PARSE_MORE; i++) {
		struct packet p;
		bool conflict;
		if (packet_parse(f->packet[i].at, f->packet[i].len, &p) != PACKET_OK)
			return false;
		if (p.transport == IPPROTO_UDP) {
			answer = quic_datagram(quic, &ids, p.payload, pool, &stream, &conflict, &h);
			continue;
		}
		if (f->count == 1) {
			answer = first_hello(p.payload, &h);
			continue;
		}
		if (!stream)
			stream = stream_get(pool);
		stream_add(stream, p.seq, p.payload.pos, cursor_left(&p.payload));
		answer = first_hello(stream_head(stream), &h);
	}
	if (stream)
		stream_put(pool, stream);
	if (answer == PARSE_OK)
		memcpy(found, h.host.text, (size_t)h.host.len + 1);
	return answer == PARSE_OK;
}

#ifdef NDPI
static struct ndpi_detection_module_struct *ndpi;
static struct ndpi_flow_struct *ndpi_flow;
static size_t ndpi_flow_size;
static __typeof__(&ndpi_detection_process_packet) ndpi_process;
static __typeof__(&ndpi_free_flow_data) ndpi_free_data;

static bool theirs(const struct flow_of *f)
{
	memset(ndpi_flow, 0, ndpi_flow_size);
	for (size_t i = 0; i < f->count; i++)
		ndpi_process(ndpi, ndpi_flow, f->packet[i].at, (unsigned short)f->packet[i].len, 1);
	snprintf(found, sizeof found, "%s", ndpi_flow->host_server_name);
	ndpi_free_data(ndpi_flow);
	return found[0];
}

/* Only the protocols that are asked for, which is the fastest that it can be. */
static bool ndpi_start(void)
{
	NDPI_PROTOCOL_BITMASK wanted;
	void *so = dlopen("libndpi.so.4.2", RTLD_NOW);
	if (!so)
		return false;
#define SYMBOL(name) __typeof__(&name) name##_ = (__typeof__(&name))dlsym(so, #name)
	SYMBOL(ndpi_init_detection_module);
	SYMBOL(ndpi_set_protocol_detection_bitmask2);
	SYMBOL(ndpi_finalize_initialization);
	SYMBOL(ndpi_detection_get_sizeof_ndpi_flow_struct);
	ndpi_process = (__typeof__(ndpi_process))dlsym(so, "ndpi_detection_process_packet");
	ndpi_free_data = (__typeof__(ndpi_free_data))dlsym(so, "ndpi_free_flow_data");
	ndpi = ndpi_init_detection_module_(ndpi_no_prefs);
	NDPI_BITMASK_RESET(wanted);
	NDPI_BITMASK_ADD(wanted, NDPI_PROTOCOL_TLS);
	NDPI_BITMASK_ADD(wanted, NDPI_PROTOCOL_QUIC);
	NDPI_BITMASK_ADD(wanted, NDPI_PROTOCOL_HTTP);
	ndpi_set_protocol_detection_bitmask2_(ndpi, &wanted);
	ndpi_finalize_initialization_(ndpi);
	ndpi_flow_size = ndpi_detection_get_sizeof_ndpi_flow_struct_();
	ndpi_flow = malloc(ndpi_flow_size);
	return ndpi_flow;
}
#else
static bool theirs(const struct flow_of *f)
{
	return false;
}

static bool ndpi_start(void)
{
	return false;
}
#endif

typedef bool reader(const struct flow_of *);

/* The least of some rounds, over flows that differ. */
static double best_of(reader *read, const struct flow_of *flows, size_t count)
{
	double best = 1e18;
	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = clock_now();
		for (size_t i = 0; i < TIMES; i++) {
			found[0] = 0;
			read(&flows[i % count]);
		}
		double each = (double)(clock_now() - start) / TIMES;
		best = each < best ? each : best;
	}
	return best;
}

static bool compare;

static void run(const char *what, const struct flow_of *flows, size_t count)
{
	double mine = best_of(ours, flows, count);
	printf("%-28s %7.0f ns %-14s", what, mine, found);
	if (compare) {
		double other = best_of(theirs, flows, count);
		printf(" nDPI %7.0f ns %-14s %5.1fx", other, found, other / mine);
	}
	printf("\n");
}

/* A hello in one Initial or two, each flow with keys of its own. */
static void add_quic(struct flow_of *f, unsigned client, size_t cut)
{
	static struct bytes plain, datagram;
	uint8_t id[8] = {(uint8_t)client, 7};
	struct seal s = {&seal_versions[0], id, 8, id, 8, NULL, 0, 1, false, 0, 0};
	const uint8_t *hello = chromium + 5;
	size_t len = cut ? (size_t)(chromium_end - hello) : (size_t)(curl_end - curl) - 5;
	hello = cut ? hello : curl + 5;
	for (size_t from = 0; from < len; from += cut ? cut : len, s.number++) {
		size_t left = len - from;
		plain.len = datagram.len = 0;
		put_crypto(&plain, from, hello + from, cut && left > cut ? cut : left);
		while (plain.len < 1200)
			put_number(&plain, 0, 1);
		put_initial(&datagram, &s, plain.at, plain.len);
		add_packet(f, true, 0, datagram.at, datagram.len);
	}
}

static void run_tcp(const char *what, const void *bytes, size_t len, size_t cut)
{
	static struct flow_of flow;
	flow.packet[0].len = flow.packet[1].len = flow.count = 0;
	add_packet(&flow, false, 0, bytes, cut);
	if (cut < len)
		add_packet(&flow, false, (uint32_t)cut, (const uint8_t *)bytes + cut, len - cut);
	run(what, &flow, 1);
}

int main(void)
{
	static struct flow_of one[CLIENTS], two[CLIENTS];
	size_t len = (size_t)(chromium_end - chromium), small = (size_t)(curl_end - curl);
	for (unsigned i = 0; i < CLIENTS; i++) {
		add_quic(&one[i], i, 0);
		add_quic(&two[i], i, 1100);
	}
	quic = quic_new();
	pool = stream_pool_new(4);
	compare = ndpi_start();
	run_tcp("TLS, 517 bytes", curl, small, small);
	run_tcp("TLS, 2017 bytes", chromium, len, len);
	run_tcp("TLS, 2017 in two segments", chromium, len, 1400);
	run_tcp("HTTP request", request, sizeof request - 1, sizeof request - 1);
	run_tcp("no hello", other, sizeof other - 1, sizeof other - 1);
	run("QUIC, one Initial", one, CLIENTS);
	run("QUIC, two Initials", two, CLIENTS);
	run("QUIC, keys known", one, 1);
	static struct flow_of after;
	add_packet(&after, false, 0, flight, sizeof flight);
	printf("%-28s %7.0f ns\n", "TLS, second flight", best_of(second_flight, &after, 1));
	quic_free(quic);
	stream_pool_free(pool);
	return 0;
}
