/* The input is a link type and frames {seconds passed 8 bits, length 16 bits, bytes}; a capture is
 * made of it and replayed to a worker whose verdicts are in the packets. Every arrival must be a
 * whole packet, and every frame must be accounted for. */
#include "base/cursor.h"
#include "source/capture.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define WAITING 16

static const int links[] = {DLT_RAW, DLT_EN10MB, DLT_LINUX_SLL,  DLT_LINUX_SLL2, DLT_NULL,
			    DLT_PPP, DLT_C_HDLC, DLT_PPP_SERIAL, DLT_PPI};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void make_capture(int fd, struct cursor c)
{
	int link = links[cursor_u8(&c) % (sizeof links / sizeof *links)];
	pcap_t *shape = pcap_open_dead(link, 65535);
	pcap_dumper_t *out = pcap_dump_fopen(shape, fdopen(dup(fd), "wb"));
	struct timeval time = {1000, 0};
	while (cursor_left(&c)) {
		time.tv_sec += cursor_u8(&c);
		uint16_t len = cursor_u16(&c), kept = len;
		if (kept > cursor_left(&c))
			kept = (uint16_t)cursor_left(&c); /* a cut one */
		struct pcap_pkthdr h = {time, kept, len};
		pcap_dump((unsigned char *)out, &h, cursor_bytes(&c, kept));
	}
	pcap_dump_close(out);
	pcap_close(shape);
}

static bool yes_if_odd(void *ctx, const struct address *a)
{
	return a->bytes[15] & 1;
}

static void ended(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
		  int64_t after, int64_t last)
{
	require(packets > 0 && bytes >= packets * 20);
}

static void kernel_denied(void *ctx, const struct arrival *a, const struct flow_key *key,
			  enum reason reason)
{
	require(reason == REASON_FRAGMENT || reason == REASON_PACKET_MALFORMED);
}

static void judge(struct source *s, const struct arrival *a, uint64_t *waiting, size_t *count)
{
	struct packet p;
	require((a->cut ? packet_parse_cut : packet_parse)(a->bytes, a->len, &p) == PACKET_OK);
	require(p.payload.end <= a->bytes + a->len);
	enum verdict v = cursor_peek(&p.payload) % 8;
	waiting[(*count)++] = a->id;
	if (v > VERDICT_DROP_DENIED && *count < WAITING)
		return;
	while (*count > 0)
		s->ops->verdict(s, waiting[--*count], v > VERDICT_DROP_DENIED ? VERDICT_DROP : v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	struct errors errors = {0};
	struct network inside = {.bits = size > 1 && data[0] & 0x80 ? 97 : 0};
	inside.base = address_from4((const uint8_t[4]){0});
	int fd = memfd_create("capture", 0);
	make_capture(fd, cursor_of(data, size));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct capture_options o = {.read = path,
				    .write = "/dev/null",
				    .inside = &inside,
				    .inside_count = inside.bits ? 1 : 0,
				    .internal = yes_if_odd,
				    .resolver = yes_if_odd,
				    .ended = ended,
				    .kernel_denied = kernel_denied,
				    .flows = 8};
	struct source *s = capture_open(&o, &errors);
	require(s != NULL);
	struct arrival a;
	uint64_t waiting[WAITING];
	size_t count = 0;
	while (s->ops->receive(s, &a, 1) == 1)
		judge(s, &a, waiting, &count);
	struct capture_counters c;
	capture_count(s, &c);
	require(c.passed + c.denied + c.not_ip + c.unread + count <= c.packets + c.fragments);
	if (c.fragments == 0)
		require(c.passed + c.denied + c.not_ip + c.unread + count == c.packets);
	s->ops->free(s);
	close(fd);
	return 0;
}
