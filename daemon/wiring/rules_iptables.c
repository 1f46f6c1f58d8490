#include "wiring/rules.h"

#include <stdarg.h>
#include <string.h>

/* Classic BPF (xt_bpf) reads from the IP header on, and says no where a packet ends before what is
 * read. Each program finds the TCP payload first; IPv6's say no to extension headers. */

/* A segment with ACK set, perhaps FIN or RST, and nothing else, as long as its two headers and no
 * more: without data, exactly. */
static const char empty4[] = "13,177 0 0 0,80 0 0 13,84 0 0 250,21 0 8 16,80 0 0 12,84 0 0 240,"
			     "116 0 0 2,12 0 0 0,7 0 0 0,128 0 0 0,29 0 1 0,6 0 0 65535,6 0 0 0";
static const char empty6[] = "14,48 0 0 6,21 0 11 6,48 0 0 53,84 0 0 250,21 0 8 16,48 0 0 52,"
			     "84 0 0 240,116 0 0 2,4 0 0 40,7 0 0 0,128 0 0 0,29 0 1 0,"
			     "6 0 0 65535,6 0 0 0";
/* A ServerHello as mark_of_answer() knows it: 16 03, a 2 at 5 and not cf21ad74 at 11. */
static const char tls4[] = "14,177 0 0 0,80 0 0 12,84 0 0 240,116 0 0 2,12 0 0 0,7 0 0 0,"
			   "72 0 0 0,21 0 5 5635,80 0 0 5,21 0 3 2,64 0 0 11,21 1 0 3475090804,"
			   "6 0 0 65535,6 0 0 0";
static const char tls6[] = "14,48 0 0 6,21 0 11 6,48 0 0 52,84 0 0 240,116 0 0 2,7 0 0 0,"
			   "72 0 0 40,21 0 5 5635,80 0 0 45,21 0 3 2,64 0 0 51,21 1 0 3475090804,"
			   "6 0 0 65535,6 0 0 0";
/* "HTTP" */
static const char http4[] = "10,177 0 0 0,80 0 0 12,84 0 0 240,116 0 0 2,12 0 0 0,7 0 0 0,"
			    "64 0 0 0,21 0 1 1213486160,6 0 0 65535,6 0 0 0";
static const char http6[] = "10,48 0 0 6,21 0 7 6,48 0 0 52,84 0 0 240,116 0 0 2,7 0 0 0,"
			    "64 0 0 40,21 0 1 1213486160,6 0 0 65535,6 0 0 0";
/* A payload that begins with 16 or an H: no other answer changes the flow's mark. */
static const char tells4[] = "11,177 0 0 0,80 0 0 12,84 0 0 240,116 0 0 2,12 0 0 0,7 0 0 0,"
			     "80 0 0 0,21 1 0 22,21 0 1 72,6 0 0 65535,6 0 0 0";
static const char tells6[] = "11,48 0 0 6,21 0 8 6,48 0 0 52,84 0 0 240,116 0 0 2,7 0 0 0,"
			     "80 0 0 40,21 1 0 22,21 0 1 72,6 0 0 65535,6 0 0 0";
/* A payload that begins with 16: of those that are left, a HelloRetryRequest or too short. */
static const char again4[] = "10,177 0 0 0,80 0 0 12,84 0 0 240,116 0 0 2,12 0 0 0,7 0 0 0,"
			     "80 0 0 0,21 0 1 22,6 0 0 65535,6 0 0 0";
static const char again6[] = "10,48 0 0 6,21 0 7 6,48 0 0 52,84 0 0 240,116 0 0 2,7 0 0 0,"
			     "80 0 0 40,21 0 1 22,6 0 0 65535,6 0 0 0";
/* 1 where UDP's payload begins with 0b1xxxxxxx or, as a DTLS record, with 0b0001xxxx;
 * of IPv6 with extension headers, always. */
static const char opens4[] = "7,177 0 0 0,72 0 0 8,69 2 0 32768,84 0 0 61440,21 0 1 4096,"
			     "6 0 0 65535,6 0 0 0";
static const char opens6[] = "8,48 0 0 6,21 0 4 17,40 0 0 48,69 2 0 32768,84 0 0 61440,21 0 1 4096,"
			     "6 0 0 65535,6 0 0 0";

bool rules_jump_first(const char *table, const char *chain)
{
	return strcmp(table, "mangle") != 0 || strcmp(chain, "PREROUTING") != 0;
}

/* One family's file while it is written. */
struct file {
	const struct rules *r;
	const struct config *c;
	FILE *to;
	bool four;
};

static void rule(const struct file *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void rule(const struct file *f, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(f->to, format, args);
	fputc('\n', f->to);
	va_end(args);
}

/* Bits that are not ours are left alone. */
static void put_mark(const struct file *f, const char *chain, const char *match, enum mark_kind k)
{
	rule(f, "-A " RULES_PREFIX "%s %s-j MARK --set-xmark %#x/%#x", chain, match, f->r->value[k],
	     f->r->mask);
}

static const char *flow_mark(const struct file *f, char out[static 64], enum mark_kind k)
{
	snprintf(out, 64, "-m connmark --mark %#x/%#x ", f->r->value[k], f->r->mask);
	return out;
}

/* The flow gets the mark k. */
static void flow_to(const struct file *f, const char *chain, const char *match, enum mark_kind k)
{
	rule(f, "-A " RULES_PREFIX "%s %s-j CONNMARK --set-xmark %#x/%#x", chain, match,
	     f->r->value[k], f->r->mask);
}

/* What a server's first bytes tell of a flow that was heard. Its mark is asked each time, as the
 * line before may have changed it. */
static void told(const struct file *f, const char *match, const char *program, enum mark_kind k)
{
	char text[640], m[64];
	snprintf(text, sizeof text, "%s%s-m bpf --bytecode \"%s\" ", flow_mark(f, m, MARK_HEARD),
		 match, program);
	flow_to(f, "TOLD", text, k);
}

static const char *packet_mark(const struct file *f, char out[static 64], enum mark_kind k)
{
	snprintf(out, 64, "-m mark --mark %#x/%#x", f->r->kind[k], f->r->kind_mask);
	return out;
}

static void each_inside(const struct file *f, const char *before, const char *after)
{
	for (size_t i = 0; i < f->c->inside.count; i++)
		rule(f, "%s%s %s", before, f->c->inside.item[i], after);
}

/* One rule for each network of this family. */
static void each_network(const struct file *f, const struct networks *list, const char *before,
			 const char *after)
{
	char text[ADDRESS_TEXT + 4];
	for (size_t i = 0; i < list->count; i++) {
		struct buf b = BUF_OF(text);
		if (address_is4(&list->item[i].base) != f->four)
			continue;
		network_format(&list->item[i], &b);
		rule(f, "%s%s %s", before, text, after);
	}
}

/* A copy of a resolver's packet goes up before it goes on. */
static void copy_to(const struct file *f, char out[static 64])
{
	snprintf(out, 64, "-j NFLOG --nflog-group %u --nflog-threshold 1", f->r->dns_group);
}

static void port53(const struct file *f, const char *before, const char *side, const char *after)
{
	rule(f, "%s-p udp --%s 53 %s", before, side, after);
	rule(f, "%s-p tcp --%s 53 %s", before, side, after);
}

/* Answers are marked here and copied in FORWARD, where NAT has given them their client's address.
 * By the resolver's own route: else a client could send itself one. */
static void dns(const struct file *f)
{
	char copy[64], mark[64];
	copy_to(f, copy);
	snprintf(mark, sizeof mark, "-j MARK --set-xmark %#x/%#x", f->r->value[MARK_PENDING],
		 f->r->mask);
	each_network(f, &f->c->resolvers, "-A " RULES_PREFIX "QUERIES -d ", copy);
	each_network(f, &f->c->resolvers, "-A " RULES_PREFIX "QUERIES -d ", mark);
	each_network(f, &f->c->resolvers, "-A " RULES_PREFIX "QUERIES -d ", "-j ACCEPT");
	snprintf(mark, sizeof mark, "-j MARK --set-xmark %#x/%#x", f->r->value[MARK_ANSWER],
		 f->r->mask);
	rule(f, "-A " RULES_PREFIX "ANSWERS -m rpfilter --invert -j RETURN");
	each_network(f, &f->c->resolvers, "-A " RULES_PREFIX "ANSWERS -s ", mark);
	each_network(f, &f->c->resolvers, "-A " RULES_PREFIX "OUTPUT ! -o lo -s ", copy);
}

#define ESTABLISHED_REPLY "-m conntrack --ctstate ESTABLISHED --ctdir REPLY "

/* The end of a flow that the daemon has answered itself: conntrack has not seen the answer. Its
 * sender would repeat it for minutes, and hears a reset. */
#define LATE_FIN "-p tcp -m conntrack --ctstate INVALID -m tcp --tcp-flags FIN,SYN,RST,ACK FIN,ACK"

static const char *dropped(const struct file *f)
{
	return f->c->mode == CONFIG_OBSERVE ? "RETURN" : "DROP";
}

static void reverse_path(const struct file *f, const char *chain)
{
	rule(f, "-A " RULES_PREFIX "%s -m rpfilter --invert -j %s", chain, dropped(f));
}

static void invalid(const struct file *f)
{
	if (f->c->mode != CONFIG_OBSERVE && f->c->on_deny == CONFIG_REDIRECT) {
		put_mark(f, "INSIDE", LATE_FIN " ", MARK_DENIED);
		rule(f, "-A " RULES_PREFIX "INSIDE " LATE_FIN " -j RETURN");
	}
	rule(f, "-A " RULES_PREFIX "INSIDE -m conntrack --ctstate INVALID -j %s", dropped(f));
}

static void passes(const struct file *f, const char *chain)
{
	char to[64];
	if (f->four) {
		rule(f,
		     "-A " RULES_PREFIX
		     "%s -m addrtype --dst-type LOCAL,MULTICAST,BROADCAST -j RETURN",
		     chain);
	} else { /* where the match takes a list for one address that is all of it */
		rule(f, "-A " RULES_PREFIX "%s -m addrtype --dst-type LOCAL -j RETURN", chain);
		rule(f, "-A " RULES_PREFIX "%s -m addrtype --dst-type MULTICAST -j RETURN", chain);
	}
	rule(f, "-A " RULES_PREFIX "%s -d %s -j RETURN", chain,
	     f->four ? "169.254.0.0/16" : "fe80::/10");
	snprintf(to, sizeof to, "-A " RULES_PREFIX "%s -d ", chain);
	each_network(f, &f->c->internal, to, "-j RETURN");
}

/* Matches all ports but those of STARTTLS; a multiport takes 15. */
static void no_starttls(struct buf *b)
{
	for (size_t i = 0; i < starttls_port_count; i++)
		buf_printf(b, "%s%u", i % 15 ? "," : "-p tcp -m multiport ! --sports ",
			   starttls_ports[i]);
	buf_printf(b, " ");
}

/* The server's packets of a flow that an inside client opened. */
static void server(const struct file *f)
{
	char m[64], text[256] = "";
	struct buf ports = BUF_OF(text);
	snprintf(text, sizeof text,
		 "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN,ACK %s-m conntrack --ctstate "
		 "ESTABLISHED ",
		 flow_mark(f, m, MARK_PENDING));
	flow_to(f, "SERVER", text, MARK_ANSWERED);
	rule(f, "-A " RULES_PREFIX "SERVER %s-g " RULES_PREFIX "HEARD",
	     flow_mark(f, m, MARK_HEARD));
	rule(f,
	     "-A " RULES_PREFIX "HEARD -p tcp -m tcp --tcp-flags SYN,RST NONE -m bpf --bytecode "
	     "\"%s\" -g " RULES_PREFIX "TOLD",
	     f->four ? tells4 : tells6);
	flow_to(f, "HEARD", "-p udp ", MARK_ALLOWED);
	told(f, "", f->four ? tls4 : tls6, MARK_ALLOWED);
	no_starttls(&ports);
	told(f, text, f->four ? http4 : http6, MARK_ALLOWED);
	told(f, "", f->four ? again4 : again6, MARK_ANSWERED);
}

/* What may open another connection on the same ports comes up even of an allowed flow: a SYN, and
 * in UDP a QUIC packet with a long header, also one whose second bit is grease (RFC 9287), or a
 * DTLS record; so does what may be several datagrams in one (GSO, GRO), of which the second begins
 * a connection: all but the last are as long as the first, and an Initial has 1,200 bytes (RFC
 * 9000 14.1). */
static void reopened(const struct file *f)
{
	reverse_path(f, "REOPENED");
	rule(f, "-A " RULES_PREFIX "REOPENED -m conntrack --ctdir REPLY -j RETURN");
	rule(f, "-A " RULES_PREFIX "REOPENED -p tcp -m tcp --tcp-flags SYN,ACK SYN -g " RULES_PREFIX
		"UNDECIDED");
	rule(f,
	     "-A " RULES_PREFIX "REOPENED -p udp -m bpf --bytecode \"%s\" -g " RULES_PREFIX
	     "UNDECIDED",
	     f->four ? opens4 : opens6);
	rule(f, "-A " RULES_PREFIX "REOPENED -p udp -m length --length 2400:65535 -g " RULES_PREFIX
		"UNDECIDED");
}

/* Most of all packets: a server's segments, and a client's that only acknowledge. The reverse path
 * is not asked for each of these: in IPv6 that costs more than all other rules together. It is for
 * a client's data, whose numbers prove nothing: conntrack takes an old one for the flow's (Linux
 * 6.0), and old is half of all. */
static void allowed(const struct file *f)
{
	rule(f, "-A " RULES_PREFIX "ALLOWED -p tcp -m tcp ! --tcp-flags SYN,ACK SYN -m conntrack "
		"--ctdir REPLY -j RETURN");
	rule(f, "-A " RULES_PREFIX "ALLOWED -m bpf --bytecode \"%s\" -j RETURN",
	     f->four ? empty4 : empty6);
	each_inside(f, "-A " RULES_PREFIX "ALLOWED -i ", "-g " RULES_PREFIX "REOPENED");
}

/* A client's ICMP errors about an open flow carry what it likes. An honest one sends few, and none
 * is longer than hosts make them (RFC 1812 4.3.2.3, RFC 4443 2.4). */
static void errors(const struct file *f)
{
	if (f->c->mode == CONFIG_OBSERVE)
		return;
	rule(f, "-A " RULES_PREFIX "ERRORS -m length ! --length 0:%u -j DROP",
	     f->four ? 576 : 1280);
	rule(f,
	     "-A " RULES_PREFIX "ERRORS -m hashlimit --hashlimit-upto 1/sec --hashlimit-burst 5 "
	     "--hashlimit-mode srcip --hashlimit-srcmask %u --hashlimit-name " RULES_PREFIX
	     "ERRORS -j RETURN",
	     f->four ? 32 : 64);
	rule(f, "-A " RULES_PREFIX "ERRORS -j DROP");
}

/* The mark that says that the hello is out, be it answered or not: the two differ in one bit. */
static const char *said_mark(const struct file *f, char out[static 64])
{
	const uint32_t *value = f->r->value, same = ~(value[MARK_ANSWERED] ^ value[MARK_HEARD]);
	snprintf(out, 64, "-m connmark --mark %#x/%#x ", value[MARK_HEARD] & same,
		 f->r->mask & same);
	return out;
}

/* A packet of a flow that has the mark, and is open for its server. */
static void open_flow(const struct file *f, const char *mark)
{
	rule(f, "-A " RULES_PREFIX "INSIDE -m conntrack --ctdir REPLY %s-g " RULES_PREFIX "SERVER",
	     mark);
	rule(f,
	     "-A " RULES_PREFIX "INSIDE -p %s -m conntrack --ctstate RELATED %s-g " RULES_PREFIX
	     "ERRORS",
	     f->four ? "icmp" : "icmpv6", mark);
}

/* A flow that began outside (a port forward) has its answers let go. A SYN is none: who writes a
 * SYN in a far server's name, from a network that is not inside, would have a client's own
 * connection to that server pass as answers (RFC 9293 3.5: both may open). */
static void answers_to_outside(const struct file *f)
{
	if (f->c->mode != CONFIG_OBSERVE)
		rule(f, "-A " RULES_PREFIX "INSIDE -p tcp -m tcp --tcp-flags SYN,ACK SYN "
			"-m conntrack --ctdir REPLY -j DROP");
	rule(f, "-A " RULES_PREFIX "INSIDE -p tcp -m conntrack --ctdir REPLY -j RETURN");
}

/* By the mark of the flow: what is left is pending, answered or heard, or has none. */
static void marks(const struct file *f)
{
	char m[64];
	rule(f,
	     "-A " RULES_PREFIX "INSIDE -m connmark --mark 0x0/%#x -m conntrack --ctstate NEW "
	     "--ctdir ORIGINAL -g " RULES_PREFIX "FRESH",
	     f->r->mask);
	rule(f, "-A " RULES_PREFIX "INSIDE %s-j RETURN", flow_mark(f, m, MARK_REDIRECT));
	put_mark(f, "INSIDE", flow_mark(f, m, MARK_DENIED), MARK_DENIED);
	rule(f, "-A " RULES_PREFIX "INSIDE %s-j RETURN", m);
	rule(f,
	     "-A " RULES_PREFIX "INSIDE -p %s -m conntrack --ctstate RELATED --ctdir REPLY "
	     "-j RETURN",
	     f->four ? "icmp" : "icmpv6");
	open_flow(f, said_mark(f, m));
	open_flow(f, flow_mark(f, m, MARK_PENDING));
	answers_to_outside(f);
	/* Neighbour discovery between two ports of a bridge: routers forward none. */
	for (unsigned type = 135; !f->four && type <= 136; type++)
		rule(f,
		     "-A " RULES_PREFIX "INSIDE -p icmpv6 -m icmp6 --icmpv6-type %u -m conntrack "
		     "--ctstate UNTRACKED -g " RULES_PREFIX "UNDECIDED",
		     type);
	if (f->c->mode != CONFIG_OBSERVE)
		put_mark(f, "INSIDE", "-m conntrack --ctstate UNTRACKED ", MARK_DENIED);
	rule(f, "-A " RULES_PREFIX "INSIDE -m conntrack --ctstate UNTRACKED -j RETURN");
}

static void to_queue(const struct file *f, const char *chain)
{
	const struct config *c = f->c;
	char text[64];
	if (c->queues > 1)
		snprintf(text, sizeof text, "--queue-balance %u:%u", c->queue_first,
			 c->queue_first + c->queues - 1);
	else
		snprintf(text, sizeof text, "--queue-num %u", c->queue_first);
	rule(f, "-A " RULES_PREFIX "%s -j NFQUEUE %s%s", chain, text,
	     c->when_down == CONFIG_OPEN ? " --queue-bypass" : "");
}

/* A packet that comes up says what its flow is. What most of them are, a new flow or a client's
 * bytes after its server's answer, has a chain of its own. */
static void undecided(const struct file *f)
{
	char m[64];
	passes(f, "OPENS");
	for (size_t i = 0; i < 2; i++) {
		put_mark(f, i ? "OPENS" : "FRESH", "", MARK_SENT);
		to_queue(f, i ? "OPENS" : "FRESH");
	}
	rule(f, "-A " RULES_PREFIX "SAID -m bpf --bytecode \"%s\" -j RETURN",
	     f->four ? empty4 : empty6);
	reverse_path(f, "SAID");
	put_mark(f, "SAID", "", MARK_SENT | MARK_ANSWERED);
	put_mark(f, "SAID", flow_mark(f, m, MARK_HEARD), MARK_SENT | MARK_HEARD);
	to_queue(f, "SAID");
	put_mark(f, "UNDECIDED", "", MARK_SENT);
	for (enum mark_kind k = MARK_PENDING; k <= MARK_ALLOWED; k++)
		put_mark(f, "UNDECIDED", flow_mark(f, m, k), MARK_SENT | k);
	to_queue(f, "UNDECIDED");
}

/* What most packets are comes early: a client's segment after its server's answer, and its first
 * SYN. Neither is invalid, nor an answer of a resolver. */
static void usual(const struct file *f)
{
	char said[64];
	rule(f,
	     "-A " RULES_PREFIX "INSIDE -p tcp ! --dport 53 %s-m conntrack --ctstate ESTABLISHED "
	     "--ctdir ORIGINAL -g " RULES_PREFIX "SAID",
	     said_mark(f, said));
	reverse_path(f, "INSIDE");
	rule(f,
	     "-A " RULES_PREFIX
	     "INSIDE -p tcp ! --dport 53 -m connmark --mark 0x0/%#x -m conntrack "
	     "--ctstate NEW --ctdir ORIGINAL -g " RULES_PREFIX "OPENS",
	     f->r->mask);
}

static void inside(const struct file *f)
{
	char text[64];
	usual(f);
	/* Whose packet came with a mark of others. No flow to a resolver has this one, and no
	 * invalid packet is of a flow. */
	rule(f, "-A " RULES_PREFIX "INSIDE %s-g " RULES_PREFIX "ALLOWED",
	     flow_mark(f, text, MARK_ALLOWED));
	invalid(f);
	port53(f, "-A " RULES_PREFIX "INSIDE ", "dport", "-j " RULES_PREFIX "QUERIES");
	port53(f, "-A " RULES_PREFIX "INSIDE ", "sport",
	       ESTABLISHED_REPLY "-j " RULES_PREFIX "ANSWERS");
	rule(f, "-A " RULES_PREFIX "INSIDE %s -j RETURN", packet_mark(f, text, MARK_ANSWER));
	passes(f, "INSIDE");
	marks(f);
	rule(f, "-A " RULES_PREFIX "INSIDE -g " RULES_PREFIX "UNDECIDED");
}

/* Our bits are ours: what a packet comes with was set by others and means nothing. */
static void prerouting(const struct file *f)
{
	char m[64];
	rule(f, "-A " RULES_PREFIX "PREROUTING -m mark --mark 0x0/%#x %s-g " RULES_PREFIX "ALLOWED",
	     f->r->mask, flow_mark(f, m, MARK_ALLOWED));
	rule(f,
	     "-A " RULES_PREFIX "PREROUTING -m mark ! --mark 0x0/%#x -j MARK --set-xmark 0x0/%#x",
	     f->r->mask, f->r->mask);
	each_inside(f, "-A " RULES_PREFIX "PREROUTING -i ", "-g " RULES_PREFIX "INSIDE");
	rule(f,
	     "-A " RULES_PREFIX "PREROUTING -p tcp ! --sport 53 %s-m conntrack --ctdir REPLY "
	     "-g " RULES_PREFIX "SERVER",
	     said_mark(f, m));
	port53(f, "-A " RULES_PREFIX "PREROUTING ", "sport",
	       ESTABLISHED_REPLY "-j " RULES_PREFIX "ANSWERS");
	put_mark(f, "PREROUTING", flow_mark(f, m, MARK_DENIED), MARK_DENIED);
	rule(f,
	     "-A " RULES_PREFIX "PREROUTING -m conntrack --ctdir REPLY -g " RULES_PREFIX "SERVER");
}

/* What comes from the queue with the mark that it went up with was not decided. */
static void sent(const struct file *f)
{
	bool open = f->c->when_down == CONFIG_OPEN || f->c->when_full == CONFIG_OPEN;
	char m[64];
	rule(f, "-A " RULES_PREFIX "SENT %s -j RETURN", packet_mark(f, m, MARK_PASS));
	rule(f, "-A " RULES_PREFIX "SENT %s -j RETURN", packet_mark(f, m, MARK_ANSWER));
	rule(f, "-A " RULES_PREFIX "SENT -j %s", open ? "RETURN" : "DROP");
}

/* Later than the queue: what its verdict left on the packet is kept on the flow. Not on one that
 * began outside, whose client's packets are the answers: by such a mark the next of them would be
 * taken for its server's, and pass unread. Each of them comes up; only a denial stays. */
static void decided(const struct file *f)
{
	rule(f, "-A " RULES_PREFIX "DECIDED -m mark --mark %#x/%#x -g " RULES_PREFIX "SENT",
	     f->r->kind[MARK_SENT], f->r->kind[MARK_SENT]);
	rule(f,
	     "-A " RULES_PREFIX "DECIDED -m mark ! --mark %#x/%#x -m conntrack --ctdir REPLY "
	     "-j RETURN",
	     f->r->kind[MARK_DENIED], f->r->kind_mask);
	rule(f, "-A " RULES_PREFIX "DECIDED -j CONNMARK --save-mark --nfmask %#x --ctmask %#x",
	     f->r->mask, f->r->mask);
}

/* TCP that nobody inside has opened. */
static void unopened(const struct file *f)
{
	if (f->c->mode == CONFIG_OBSERVE)
		return;
	each_inside(f, "-A " RULES_PREFIX "UNOPENED -i ", "-j RETURN");
	rule(f, "-A " RULES_PREFIX "UNOPENED -j DROP");
	each_inside(f, "-A " RULES_PREFIX "UNMARKED -o ",
		    "-p tcp ! --syn -m conntrack --ctstate NEW -j " RULES_PREFIX "UNOPENED");
	rule(f, "-I FORWARD 1 -m connmark --mark 0x0/%#x -j " RULES_PREFIX "UNMARKED", f->r->mask);
}

/* The backstop of what comes up: a client's packet of a flow without a mark, and without one
 * itself, was kept from our rules (an ACCEPT of another program before ours, a chain emptied)
 * unless they let it go by its address. Each line is one of those in passes() and marks(), told of
 * the flow's first packet, since NAT has been here; what the administrator's own NAT leads
 * elsewhere passes. */
static void unseen(const struct file *f)
{
	char match[96];
	if (f->c->mode == CONFIG_OBSERVE)
		return;
	rule(f, "-A " RULES_PREFIX "UNSEEN -m conntrack --ctdir REPLY -j RETURN");
	each_network(f, &f->c->internal, "-A " RULES_PREFIX "UNSEEN -m conntrack --ctorigdst ",
		     "-j RETURN");
	rule(f, "-A " RULES_PREFIX "UNSEEN -m conntrack --ctorigdst %s -j RETURN",
	     f->four ? "169.254.0.0/16" : "fe80::/10");
	rule(f, "-A " RULES_PREFIX "UNSEEN -m conntrack --ctstate DNAT -j RETURN");
	rule(f, "-A " RULES_PREFIX "UNSEEN -m addrtype --dst-type MULTICAST -j RETURN");
	if (f->four)
		rule(f, "-A " RULES_PREFIX "UNSEEN -m addrtype --dst-type BROADCAST -j RETURN");
	rule(f, "-A " RULES_PREFIX "UNSEEN -j DROP");
	snprintf(match, sizeof match, "-m mark --mark 0x0/%#x -j " RULES_PREFIX "UNSEEN",
		 f->r->kind_mask);
	each_inside(f, "-A " RULES_PREFIX "UNMARKED -i ", match);
}

/* Only packets with a mark of ours have further rules to meet. */
static void forward(const struct file *f)
{
	char m[64], copy[64];
	copy_to(f, copy);
	rule(f, "-A " RULES_PREFIX "FORWARD %s %s", packet_mark(f, m, MARK_ANSWER), copy);
	rule(f, "-A " RULES_PREFIX "FORWARD -g " RULES_PREFIX "DECIDED");
	rule(f, "-I FORWARD 1 -m mark ! --mark 0x0/%#x -j " RULES_PREFIX "FORWARD",
	     f->r->kind_mask);
	rule(f, "-I INPUT 1 -m mark ! --mark 0x0/%#x -j " RULES_PREFIX "DECIDED", f->r->kind_mask);
}

static void mangle(const struct file *f)
{
	static const char *const chains[] = {
		"QUERIES",    "ANSWERS", "UNDECIDED", "ALLOWED",  "ERRORS", "SERVER",   "INSIDE",
		"PREROUTING", "SENT",    "DECIDED",   "FORWARD",  "OUTPUT", "UNOPENED", "FRESH",
		"SAID",       "UNSEEN",  "UNMARKED",  "REOPENED", "OPENS",  "HEARD",    "TOLD"};
	char m[64];
	rule(f, "*mangle");
	if (*f->r->name)
		rule(f, ":%s - [0:0]", f->r->name);
	for (size_t i = 0; i < sizeof chains / sizeof *chains; i++)
		rule(f, ":" RULES_PREFIX "%s - [0:0]", chains[i]);
	dns(f);
	inside(f);
	allowed(f);
	reopened(f);
	server(f);
	errors(f);
	undecided(f);
	prerouting(f);
	sent(f);
	decided(f);
	unseen(f);
	unopened(f);
	forward(f);
	rule(f, "-A PREROUTING -j " RULES_PREFIX "PREROUTING");
	port53(f, "-I OUTPUT 1 ", "sport", ESTABLISHED_REPLY "-j " RULES_PREFIX "OUTPUT");
	/* The backstop: with the filter table flushed, what is denied still ends here. */
	rule(f, ":" RULES_PREFIX "DENIED - [0:0]");
	rule(f, "-A " RULES_PREFIX "DENIED -j DROP");
	rule(f, "-I POSTROUTING 1 %s -j " RULES_PREFIX "DENIED", packet_mark(f, m, MARK_DENIED));
	rule(f, "COMMIT");
}

static bool has_portal(const struct file *f)
{
	return f->c->on_deny == CONFIG_REDIRECT && f->c->portal[!f->four].port;
}

static void each_hook(const struct file *f, const char *match)
{
	rule(f, "-I FORWARD 1 %s -j " RULES_PREFIX "DENIED", match);
	rule(f, "-I INPUT 1 %s -j " RULES_PREFIX "DENIED", match);
}

static void filter(const struct file *f)
{
	char m[64];
	rule(f, "*filter\n:" RULES_PREFIX "DENIED - [0:0]");
	if (f->c->on_deny == CONFIG_DROP) {
		rule(f, "-A " RULES_PREFIX "DENIED -j DROP");
	} else {
		rule(f, "-A " RULES_PREFIX "DENIED -p tcp -j REJECT --reject-with tcp-reset");
		rule(f, "-A " RULES_PREFIX "DENIED -j REJECT --reject-with %s",
		     f->four ? "icmp-admin-prohibited" : "icmp6-adm-prohibited");
	}
	each_hook(f, packet_mark(f, m, MARK_DENIED));
	if (f->c->on_deny == CONFIG_REDIRECT && !has_portal(f))
		each_hook(f, packet_mark(f, m, MARK_REDIRECT));
	rule(f, "COMMIT");
}

static void nat(const struct file *f)
{
	const struct endpoint *e = &f->c->portal[!f->four];
	char m[64], portal[ADDRESS_TEXT];
	if (!has_portal(f))
		return;
	address_format(&e->address, portal);
	rule(f, "*nat\n:" RULES_PREFIX "PORTAL - [0:0]");
	rule(f, "-A " RULES_PREFIX "PORTAL -p tcp -j DNAT --to-destination %s%s%s:%u",
	     f->four ? "" : "[", portal, f->four ? "" : "]", e->port);
	rule(f, "-I PREROUTING 1 %s -j " RULES_PREFIX "PORTAL", packet_mark(f, m, MARK_REDIRECT));
	rule(f, "COMMIT");
}

/* What the daemon sends to a client in a server's name is not a flow of its own. */
static void raw(const struct file *f)
{
	char m[64];
	rule(f, "*raw\n:" RULES_PREFIX "OWN - [0:0]");
	each_inside(f, "-A " RULES_PREFIX "OWN -o ", "-j CT --notrack");
	rule(f, "-I OUTPUT 1 %s -j " RULES_PREFIX "OWN", packet_mark(f, m, MARK_OWN));
	rule(f, "COMMIT");
}

void rules_iptables(const struct rules *r, int family, FILE *to)
{
	struct file f = {.r = r, .c = r->config, .to = to, .four = family == 4};
	raw(&f);
	nat(&f);
	filter(&f);
	mangle(&f);
}
