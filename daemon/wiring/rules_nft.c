#include "wiring/rules.h"

#include <stdarg.h>

/* The priorities: after conntrack (-200) and others' mangle rules (-150), so that ours come last;
 * before DNAT (-100), so that addresses are the client's own. */
#define PRIORITY_QUEUE   "mangle + 5"
#define PRIORITY_DECIDED "mangle + 10"

static void rule(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void rule(FILE *to, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("\t\t", to);
	vfprintf(to, format, args);
	fputc('\n', to);
	va_end(args);
}

static void chain(FILE *to, const char *name, const char *hook, const char *priority)
{
	fprintf(to, "\tchain %s {\n", name);
	if (hook)
		rule(to, "type %s priority %s; policy accept;", hook, priority);
}

static void end(FILE *to)
{
	fputs("\t}\n", to);
}

/* "{ "lan0", "lan1" }" */
static void inside(const struct rules *r, FILE *to, const char *before, const char *after)
{
	const struct strings *s = &r->config->inside;
	fprintf(to, "\t\t%s { ", before);
	for (size_t i = 0; i < s->count; i++)
		fprintf(to, "%s\"%s\"", i ? ", " : "", s->item[i]);
	fprintf(to, " } %s\n", after);
}

static void set(FILE *to, const char *name, const struct networks *list, bool four)
{
	char text[ADDRESS_TEXT + 4] = "";
	size_t n = 0;
	fprintf(to, "\tset %s%d {\n\t\ttype ipv%d_addr; flags interval; auto-merge;\n", name,
		four ? 4 : 6, four ? 4 : 6);
	for (size_t i = 0; i < list->count; i++) {
		struct buf b = BUF_OF(text);
		if (address_is4(&list->item[i].base) != four)
			continue;
		network_format(&list->item[i], &b);
		fprintf(to, "%s%s", n++ ? ", " : "\t\telements = { ", text);
	}
	fputs(n ? " }\n\t}\n" : "\t}\n", to);
}

/* Bits that are not ours are left alone. */
static void put_mark(const struct rules *r, FILE *to, const char *match, enum mark_kind k,
		     const char *then)
{
	rule(to, "%s meta mark set meta mark & %#x | %#x%s", match, ~r->mask, r->value[k], then);
}

static void flow_mark(const struct rules *r, char out[static 64], const char *before,
		      enum mark_kind k)
{
	snprintf(out, 64, "%s%sct mark & %#x == %#x", before, *before ? " " : "", r->mask,
		 r->value[k]);
}

static const char *queue_to(const struct rules *r, char out[static 64], bool bypass, unsigned first,
			    unsigned last)
{
	int n = snprintf(out, 64, "queue%s to %u", bypass ? " flags bypass" : "", first);
	if (last > first)
		snprintf(out + n, 64 - (size_t)n, "-%u", last);
	return out;
}

/* A copy of a resolver's packet goes up before it goes on. */
static const char *copy_to(const struct rules *r, char out[static 64])
{
	snprintf(out, 64, "log group %u queue-threshold 1 accept", r->dns_group);
	return out;
}

/* Answers are marked here and copied in the forward hook, where NAT has given them their client's
 * address. By the resolver's own route: else a client could send itself one. */
static void answers(const struct rules *r, FILE *to)
{
	char match[256];
	chain(to, "answers", NULL, NULL);
	for (int v = 4; v <= 6; v += 2) {
		snprintf(match, sizeof match,
			 "%s saddr @resolvers%d ct state established ct direction reply "
			 "meta l4proto { tcp, udp } th sport 53 fib saddr . iif oif exists",
			 v == 4 ? "ip" : "ip6", v);
		put_mark(r, to, match, MARK_ANSWER, "");
	}
	end(to);
}

static const char *dropped(const struct rules *r)
{
	return r->config->mode == CONFIG_OBSERVE ? "accept" : "drop";
}

static void reverse_path(const struct rules *r, FILE *to)
{
	rule(to, "meta nfproto ipv4 fib saddr . iif oif missing counter %s", dropped(r));
	rule(to, "ip6 saddr != :: fib saddr . iif oif missing counter %s", dropped(r));
}

static void invalid(const struct rules *r, FILE *to)
{
	/* The end of a flow that the daemon has answered itself: conntrack has not seen the answer.
	 * Its sender would repeat it for minutes, and hears a reset. */
	if (r->config->mode != CONFIG_OBSERVE && r->config->on_deny == CONFIG_REDIRECT)
		put_mark(r, to,
			 "ct state invalid tcp flags & (fin | syn | rst | ack) == (fin | ack)",
			 MARK_DENIED, " accept");
	rule(to, "ct state invalid counter %s", dropped(r));
}

static void passes(const struct rules *r, FILE *to)
{
	rule(to, "fib daddr type { local, broadcast, multicast } accept");
	rule(to, "ip daddr 169.254.0.0/16 accept");
	rule(to, "ip6 daddr fe80::/10 accept");
	rule(to, "ip daddr @internal4 accept");
	rule(to, "ip6 daddr @internal6 accept");
}

static void flow_to(const struct rules *r, FILE *to, const char *match, enum mark_kind k)
{
	rule(to, "%s ct mark set ct mark & %#x | %#x accept", match, ~r->mask, r->value[k]);
}

/* A server's packet that answers a hello: mark_of_answer() in nft's words. */
static void heard(const struct rules *r, FILE *to)
{
	chain(to, "heard", NULL, NULL);
	flow_to(r, to, "meta l4proto udp", MARK_ALLOWED);
	rule(to, "meta l4proto != tcp accept");
	rule(to, "tcp flags & (syn | rst) != 0x0 accept");
	flow_to(r, to, "@ih,0,16 == 0x1603 @ih,40,8 == 0x02 @ih,88,32 != 0xcf21ad74", MARK_ALLOWED);
	fputs("\t\ttcp sport { ", to);
	for (size_t i = 0; i < starttls_port_count; i++)
		fprintf(to, "%s%u", i ? ", " : "", starttls_ports[i]);
	fputs(" } @ih,0,32 == 0x48545450 accept\n", to);
	flow_to(r, to, "@ih,0,32 == 0x48545450", MARK_ALLOWED);
	flow_to(r, to, "@ih,0,8 == 0x16", MARK_ANSWERED);
	rule(to, "accept");
	end(to);
}

/* The server's packets of a flow that an inside client opened. */
static void server(const struct rules *r, FILE *to)
{
	char m[64], match[160];
	chain(to, "server", NULL, NULL);
	flow_mark(r, m, "", MARK_PENDING);
	snprintf(match, sizeof match,
		 "%s ct state established tcp flags & (fin | syn | rst | ack) == (syn | ack)", m);
	flow_to(r, to, match, MARK_ANSWERED);
	rule(to, "%s accept", m);
	flow_mark(r, m, "", MARK_ANSWERED);
	rule(to, "%s accept", m);
	flow_mark(r, m, "", MARK_HEARD);
	rule(to, "%s goto heard", m);
	end(to);
}

/* What may open another connection on the same ports comes up even of an allowed flow: a SYN, and
 * in UDP a QUIC packet with a long header, also one whose second bit is grease (RFC 9287), or a
 * DTLS record; so does what may be several datagrams in one (GSO, GRO), of which the second begins
 * a connection: all but the last are as long as the first, and an Initial has 1,200 bytes (RFC
 * 9000 14.1). */
static void reopened(const struct rules *r, FILE *to)
{
	chain(to, "reopened", NULL, NULL);
	reverse_path(r, to);
	rule(to, "ct direction reply accept");
	rule(to, "tcp flags & (syn | ack) == syn goto undecided");
	rule(to, "meta l4proto udp @th,64,8 & 0x80 == 0x80 goto undecided");
	rule(to, "meta l4proto udp @th,64,8 & 0xf0 == 0x10 goto undecided");
	rule(to, "meta l4proto udp meta length >= 2400 goto undecided");
	rule(to, "accept");
	end(to);
}

/* Most of all packets: a server's segments, and a client's that only acknowledge. The reverse path
 * is not asked for each of these: see rules_iptables.c. */
static void allowed(const struct rules *r, FILE *to)
{
	chain(to, "allowed", NULL, NULL);
	rule(to, "tcp flags & (syn | ack) != syn ct direction reply accept");
	rule(to, "tcp flags & (syn | ack) != syn jump empty");
	inside(r, to, "iifname", "goto reopened");
	rule(to, "accept");
	end(to);
}

#define ERRORS_RATE "limit rate 1/second burst 5 packets"

/* A client's ICMP errors about an open flow carry what it likes. An honest one sends few, and none
 * is longer than hosts make them (RFC 1812 4.3.2.3, RFC 4443 2.4). */
static void errors(const struct rules *r, FILE *to)
{
	if (r->config->mode == CONFIG_OBSERVE)
		return;
	chain(to, "errors", NULL, NULL);
	rule(to, "ip length > 576 counter drop");
	rule(to, "ip6 length > 1240 counter drop");
	rule(to, "meter errors4 size 65535 { ip saddr timeout 1m " ERRORS_RATE " } accept");
	rule(to,
	     "meter errors6 size 65535 { ip6 saddr & ffff:ffff:ffff:ffff:: timeout 1m " ERRORS_RATE
	     " } accept");
	rule(to, "counter drop");
	end(to);
}

static void marks(const struct rules *r, FILE *to)
{
	const char *error = r->config->mode == CONFIG_OBSERVE ? "accept" : "goto errors";
	char m[64];
	flow_mark(r, m, "", MARK_REDIRECT);
	rule(to, "%s accept", m);
	flow_mark(r, m, "", MARK_DENIED);
	put_mark(r, to, m, MARK_DENIED, " accept");
	rule(to, "ct direction reply jump server");
	/* A SYN is no answer to a flow that began outside: see rules_iptables.c. */
	if (r->config->mode != CONFIG_OBSERVE)
		rule(to, "ct direction reply tcp flags & (syn | ack) == syn counter drop");
	rule(to, "ct direction reply meta l4proto tcp accept");
	rule(to, "ct direction reply meta l4proto { icmp, ipv6-icmp } ct state related accept");
	rule(to,
	     "ct mark & %#x == { %#x, %#x } ct state established "
	     "tcp flags & (syn | psh | ack | urg | ecn | cwr) == ack jump empty",
	     r->mask, r->value[MARK_ANSWERED], r->value[MARK_HEARD]);
	rule(to,
	     "meta l4proto { icmp, ipv6-icmp } ct state related "
	     "ct mark & %#x == { %#x, %#x, %#x } %s",
	     r->mask, r->value[MARK_PENDING], r->value[MARK_ANSWERED], r->value[MARK_HEARD], error);
	/* Neighbour discovery between two ports of a bridge: routers forward none. */
	rule(to, "ct state untracked icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } "
		 "goto undecided");
	if (r->config->mode == CONFIG_OBSERVE)
		rule(to, "ct state untracked accept");
	else
		put_mark(r, to, "ct state untracked counter", MARK_DENIED, " accept");
}

/* A packet that comes up says what its flow is. */
static void undecided(const struct rules *r, FILE *to)
{
	const struct config *c = r->config;
	char text[64];
	chain(to, "undecided", NULL, NULL);
	put_mark(r, to, "counter", MARK_SENT, "");
	for (enum mark_kind k = MARK_PENDING; k <= MARK_ALLOWED; k++) {
		flow_mark(r, text, "", k);
		put_mark(r, to, text, MARK_SENT | k, "");
	}
	queue_to(r, text, c->when_down == CONFIG_OPEN, c->queue_first,
		 c->queue_first + c->queues - 1);
	rule(to, "%s", text);
	end(to);
}

static void queries(const struct rules *r, FILE *to)
{
	char match[128], copy[64], then[72];
	snprintf(then, sizeof then, " %s", copy_to(r, copy));
	for (int v = 4; v <= 6; v += 2) {
		snprintf(match, sizeof match,
			 "%s daddr @resolvers%d meta l4proto { tcp, udp } th dport 53",
			 v == 4 ? "ip" : "ip6", v);
		put_mark(r, to, match, MARK_PENDING, then);
	}
}

static void from_inside(const struct rules *r, FILE *to)
{
	char text[64];
	chain(to, "from_inside", NULL, NULL);
	reverse_path(r, to);
	/* No flow to a resolver has this mark, and no invalid packet is of a flow: what most
	 * packets have comes early. */
	flow_mark(r, text, "", MARK_ALLOWED);
	rule(to, "%s goto allowed", text);
	invalid(r, to);
	queries(r, to);
	rule(to, "jump answers");
	rule(to, "meta mark & %#x == %#x accept", r->kind_mask, r->kind[MARK_ANSWER]);
	passes(r, to);
	marks(r, to);
	rule(to, "goto undecided");
	end(to);
}

/* A segment without data, told exactly: its payload has no first byte. */
static void empty(FILE *to)
{
	chain(to, "empty", NULL, NULL);
	rule(to, "@ih,0,8 >= 0x00 return");
	rule(to, "accept");
	end(to);
}

static void denied(const struct rules *r, FILE *to)
{
	chain(to, "denied", NULL, NULL);
	if (r->config->on_deny == CONFIG_DROP) {
		rule(to, "counter drop");
	} else {
		rule(to, "meta l4proto tcp counter reject with tcp reset");
		rule(to, "counter reject with icmpx admin-prohibited");
	}
	end(to);
}

/* What comes from the queue with the mark that it went up with was not decided. */
static void sent(const struct rules *r, FILE *to)
{
	const struct config *c = r->config;
	bool open = c->when_down == CONFIG_OPEN || c->when_full == CONFIG_OPEN;
	chain(to, "sent", NULL, NULL);
	rule(to, "meta mark & %#x == { %#x, %#x } accept", r->kind_mask, r->kind[MARK_PASS],
	     r->kind[MARK_ANSWER]);
	rule(to, "counter %s", open ? "accept" : "drop");
	end(to);
}

/* Later than the queue: what its verdict left on the packet is kept on the flow. */
static void decided(const struct rules *r, FILE *to)
{
	const struct config *c = r->config;
	char match[96];
	chain(to, "decided", "filter hook prerouting", PRIORITY_DECIDED);
	rule(to, "meta mark & %#x == 0 accept", r->kind_mask);
	rule(to, "meta mark & %#x == %#x goto sent", r->kind[MARK_SENT], r->kind[MARK_SENT]);
	/* A flow that began outside has no mark but a denial's: see rules_iptables.c. */
	rule(to, "ct direction reply meta mark & %#x != %#x accept", r->kind_mask,
	     r->kind[MARK_DENIED]);
	for (int six = 0; six < 2 && c->on_deny == CONFIG_REDIRECT; six++) {
		if (c->portal[six].port)
			continue;
		snprintf(match, sizeof match, "meta nfproto %s meta mark & %#x == %#x",
			 six ? "ipv6" : "ipv4", r->kind_mask, r->kind[MARK_REDIRECT]);
		put_mark(r, to, match, MARK_DENIED, "");
	}
	for (enum mark_kind k = MARK_PENDING; k <= MARK_REDIRECT; k++)
		rule(to, "meta mark & %#x == %#x ct mark set ct mark & %#x | %#x%s", r->mask,
		     r->value[k], ~r->mask, r->value[k], k == MARK_DENIED ? "" : " accept");
	rule(to, "meta mark & %#x == %#x goto denied", r->kind_mask, r->kind[MARK_DENIED]);
	end(to);
}

/* Our bits are ours: what a packet comes with was set by others and means nothing. */
static void prerouting(const struct rules *r, FILE *to)
{
	char m[64];
	chain(to, "prerouting", "filter hook prerouting", PRIORITY_QUEUE);
	flow_mark(r, m, "", MARK_ALLOWED);
	rule(to, "meta mark & %#x == 0 %s goto allowed", r->mask, m);
	rule(to, "meta mark & %#x != 0 meta mark set meta mark & %#x", r->mask, ~r->mask);
	inside(r, to, "iifname", "goto from_inside");
	rule(to, "%s accept", m);
	rule(to, "jump answers");
	flow_mark(r, m, "", MARK_DENIED);
	put_mark(r, to, m, MARK_DENIED, " accept");
	rule(to, "ct direction reply goto server");
	end(to);
}

static void forward(const struct rules *r, FILE *to)
{
	char text[64];
	chain(to, "forward", "filter hook forward", PRIORITY_QUEUE);
	rule(to, "meta mark & %#x == %#x %s", r->kind_mask, r->kind[MARK_ANSWER], copy_to(r, text));
	if (r->config->mode != CONFIG_OBSERVE) {
		inside(r, to, "iifname", "accept");
		inside(r, to, "oifname",
		       "ct state new tcp flags & (fin | syn | rst | ack) != syn counter drop");
	}
	end(to);
}

/* An allowed TCP flow's further packets skip all hooks, ours as well; not UDP, in which an allowed
 * flow's ports can begin another connection. After other firewalls' chains, as what they drop must
 * not be forwarded for ever. The kernel takes a flow out with its FIN or RST; before Linux 6.1.192
 * or so a straggler could put it in again, with it a SYN on the same ports: conntrack keeps a flow
 * so long only while it is established. */
#define ESTABLISHED "ct expiration > 4m"

static void flows(const struct rules *r, FILE *to)
{
	const struct strings *s = r->devices;
	if (!r->config->flowtable.count)
		return;
	fputs("\tflowtable flows {\n\t\thook ingress priority filter\n\t\tdevices = { ", to);
	for (size_t i = 0; s && i < s->count; i++)
		fprintf(to, "\"%s\", ", s->item[i]);
	fputs("\"lo\" }\n\t\tcounter\n\t}\n", to);
	char m[64];
	flow_mark(r, m, "", MARK_ALLOWED);
	chain(to, "skip", "filter hook forward", "filter + 300");
	rule(to, "meta l4proto tcp ct state established " ESTABLISHED " %s flow add @flows", m);
	end(to);
}

static void output(const struct rules *r, FILE *to)
{
	char text[64];
	copy_to(r, text);
	chain(to, "output", "filter hook output", PRIORITY_QUEUE);
	for (int v = 4; v <= 6; v += 2)
		rule(to,
		     "oifname != \"lo\" %s saddr @resolvers%d ct state established "
		     "ct direction reply meta l4proto { tcp, udp } th sport 53 %s",
		     v == 4 ? "ip" : "ip6", v, text);
	end(to);
	/* What the daemon sends to a client in a server's name is not a flow of its own. */
	chain(to, "own", "filter hook output", "raw");
	snprintf(text, sizeof text, "meta mark & %#x == %#x notrack", r->kind_mask,
		 r->kind[MARK_OWN]);
	inside(r, to, "oifname", text);
	end(to);
}

static void portal(const struct rules *r, FILE *to)
{
	const struct config *c = r->config;
	char text[ADDRESS_TEXT];
	if (c->on_deny != CONFIG_REDIRECT)
		return;
	chain(to, "portal", "nat hook prerouting", "dstnat - 5");
	for (int six = 0; six < 2; six++) {
		if (!c->portal[six].port)
			continue;
		address_format(&c->portal[six].address, text);
		rule(to,
		     "meta nfproto %s meta l4proto tcp meta mark & %#x == %#x "
		     "dnat %s to %s%s%s:%u",
		     six ? "ipv6" : "ipv4", r->kind_mask, r->kind[MARK_REDIRECT],
		     six ? "ip6" : "ip", six ? "[" : "", text, six ? "]" : "", c->portal[six].port);
	}
	end(to);
}

void rules_nft(const struct rules *r, FILE *to)
{
	const struct config *c = r->config;
	fprintf(to, "table inet " RULES_TABLE "\ndelete table inet " RULES_TABLE
		    "\ntable inet " RULES_TABLE " {\n");
	for (int v = 1; v >= 0; v--) {
		set(to, "internal", &c->internal, v);
		set(to, "resolvers", &c->resolvers, v);
	}
	if (*r->name)
		fprintf(to, "\tchain %s {\n\t}\n", r->name);
	empty(to);
	errors(r, to);
	answers(r, to);
	heard(r, to);
	server(r, to);
	denied(r, to);
	sent(r, to);
	undecided(r, to);
	reopened(r, to);
	allowed(r, to);
	from_inside(r, to);
	prerouting(r, to);
	decided(r, to);
	forward(r, to);
	output(r, to);
	portal(r, to);
	flows(r, to);
	fputs("}\n", to);
}
