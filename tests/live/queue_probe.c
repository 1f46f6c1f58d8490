/* queue_probe: reads one queue through source/nfqueue.c, prints a line for each arrival and gives
 * each the verdict that the command line names for its kind of packet. dns: QUEUE is an NFLOG
 * group, read through source/copies.c.
 *
 * usage: queue_probe QUEUE [dns [room=BYTES]] [fail-open] [mask=M] [epoch=E] [length=N] [hold=MS]
 *                    [syn=V] [data=V] [empty=V] [reset]
 * V: pending heard pass allowed denied redirect drop drop-denied; data also means all that is not
 * TCP. hold: keeps data packets that long before their verdict. reset: tells the server when data
 * is denied. Prints "ready" once the queue is bound. */
#include "packet/packet.h"
#include "source/copies.h"
#include "source/mark.h"
#include "source/nfqueue.h"
#include "source/reply.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum verdict on_syn = VERDICT_PENDING, on_data = VERDICT_ALLOWED, on_empty = VERDICT_PENDING;
static unsigned hold_ms;
static bool resets, copied;
static uint32_t room; /* of the socket for copies; 0: as the daemon has it */

static enum verdict verdict_named(const char *text)
{
	static const char *const names[] = {
		[VERDICT_PASS] = "pass",     [VERDICT_PENDING] = "pending",
		[VERDICT_HEARD] = "heard",   [VERDICT_ALLOWED] = "allowed",
		[VERDICT_DENIED] = "denied", [VERDICT_REDIRECT] = "redirect",
		[VERDICT_DROP] = "drop",     [VERDICT_DROP_DENIED] = "drop-denied",
	};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(text, names[i]) == 0)
			return (enum verdict)i;
	fprintf(stderr, "queue_probe: no verdict is called %s\n", text);
	exit(2);
}

static void option(struct nfqueue_options *o, const char *text)
{
	const char *value = strchr(text, '=');
	value = value ? value + 1 : "";
	if (strcmp(text, "dns") == 0)
		copied = true;
	else if (strncmp(text, "room=", 5) == 0)
		room = (uint32_t)strtoul(value, NULL, 0);
	else if (strcmp(text, "fail-open") == 0)
		o->fail_open = true;
	else if (strcmp(text, "reset") == 0)
		resets = true;
	else if (strncmp(text, "mask=", 5) == 0)
		o->mark_mask = (uint32_t)strtoul(value, NULL, 0);
	else if (strncmp(text, "epoch=", 6) == 0)
		o->epoch = (unsigned)strtoul(value, NULL, 0);
	else if (strncmp(text, "length=", 7) == 0)
		o->length = (uint32_t)strtoul(value, NULL, 0);
	else if (strncmp(text, "hold=", 5) == 0)
		hold_ms = (unsigned)strtoul(value, NULL, 0);
	else if (strncmp(text, "syn=", 4) == 0)
		on_syn = verdict_named(value);
	else if (strncmp(text, "data=", 5) == 0)
		on_data = verdict_named(value);
	else if (strncmp(text, "empty=", 6) == 0)
		on_empty = verdict_named(value);
	else
		exit(2);
}

static void say(const struct arrival *a, const struct packet *p)
{
	char src[ADDRESS_TEXT], dst[ADDRESS_TEXT];
	printf("packet proto=%u src=%s sport=%u dst=%s dport=%u flags=%02x payload=%zu len=%u "
	       "mark=%#x entry=%d mac=%d cut=%d\n",
	       p->transport, address_format(&p->src, src), p->src_port,
	       address_format(&p->dst, dst), p->dst_port, p->tcp_flags, cursor_left(&p->payload),
	       a->len, (unsigned)(a->id >> 32), a->entry, a->has_mac, a->cut);
	fflush(stdout);
}

static void answer(struct source *s, const struct arrival *a)
{
	struct packet p;
	if (packet_parse(a->bytes, a->len, &p) != PACKET_OK) {
		printf("malformed len=%u\n", a->len);
		fflush(stdout);
		s->ops->verdict(s, a->id, VERDICT_DROP);
		return;
	}
	say(a, &p);
	bool tcp = p.transport == IPPROTO_TCP;
	bool empty = tcp && cursor_left(&p.payload) == 0;
	enum verdict v = !empty ? on_data : p.tcp_flags & TCP_SYN ? on_syn : on_empty;
	if (!empty && hold_ms)
		usleep(hold_ms * 1000);
	if (resets && tcp && !empty && v == VERDICT_DENIED)
		s->ops->reset_server(s, &(struct flow_key){p.src, p.dst, p.src_port, p.dst_port, 6},
				     p.seq);
	s->ops->verdict(s, a->id, v);
}

static void say_copy(void *ctx, const struct arrival *a)
{
	struct packet p;
	if (packet_parse(a->bytes, a->len, &p) == PACKET_OK)
		say(a, &p);
}

static int read_copies(uint16_t group)
{
	struct errors errors = {0};
	const struct copies_options o = {
		.group = group, .kept = -1, .room = room, .take = say_copy};
	struct copies_counters before = {0}, now;
	struct copies *c = copies_open(&o, &errors);
	if (!c) {
		errors_print(&errors, stderr);
		return 3;
	}
	puts("ready");
	fflush(stdout);
	for (;; usleep(10000), before = now) {
		copies_read(c, 0);
		copies_count(c, &now);
		if (now.lost != before.lost)
			printf("lost=%u\n", (unsigned)now.lost);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct errors errors = {0};
	struct nfqueue_options o = {
		.length = 1024, .mark_mask = 0xff, .kept = -1, .raw4 = -1, .raw6 = -1};
	if (argc < 2)
		return 2;
	o.queue = (uint16_t)atoi(argv[1]);
	for (int i = 2; i < argc; i++)
		option(&o, argv[i]);
	if (copied)
		return read_copies(o.queue);
	uint32_t own = mark_value(o.mark_mask, MARK_OWN, o.epoch);
	if (resets && !reply_open(own, &o.raw4, &o.raw6, &errors))
		errors_print(&errors, stderr);
	struct source *s = nfqueue_open(&o, &errors);
	if (!s) {
		errors_print(&errors, stderr);
		return 3;
	}
	puts("ready");
	fflush(stdout);
	struct arrival list[64];
	int n;
	while ((n = s->ops->receive(s, list, 64)) >= 0) {
		for (int i = 0; i < n; i++)
			answer(s, &list[i]);
		s->ops->flush(s);
	}
	fprintf(stderr, "queue_probe: receive: %s\n", strerror(-n));
	return 3;
}
