/* Connections: clients and servers that speak over the simulated kernel, and what must be true of
 * each. A connection's port is its number, so that its records are found again. */
#include "base/clock.h"
#include "school.h"

#include "../unit/worker/wire.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define RETRY     (1 * NS_PER_S)
#define PATIENCE  8 /* tries of a segment before its client gives up */
#define SOON      (20 * NS_PER_MS)
#define RECORD_BY 2 /* ticks within which a decision is in the log */

static struct connection *of_key(const struct flow_key *key)
{
	unsigned i = (unsigned)key->client_port - FIRST_PORT;
	return i < school.connections ? &school.connection[i] : NULL;
}

static unsigned number_of(const struct connection *c)
{
	return (unsigned)(c - school.connection);
}

static void server_address(unsigned name, char out[static 16])
{
	snprintf(out, 16, "203.0.113.%u", 1 + name);
}

static uint32_t isn_of(const struct connection *c)
{
	return 1000 * number_of(c);
}

static unsigned port_of(const struct connection *c)
{
	return c->http ? 80 : 443;
}

/* ---- packets ---- */

static void client_sends(struct connection *c, uint8_t flags, uint32_t offset, const void *bytes,
			 size_t len)
{
	struct wire w;
	char client[16], server[16];
	host_address(c->host, client);
	server_address(c->name, server);
	wire_tcp(&w, client, FIRST_PORT + number_of(c), server, port_of(c), flags,
		 isn_of(c) + (flags & TCP_SYN ? 0 : 1 + offset), bytes, len);
	school.seat[c->host].last = school.elapsed;
	kernel_from_client(w.bytes, w.len);
}

static void server_sends(struct connection *c, uint8_t flags, const void *bytes, size_t len)
{
	struct wire w;
	char client[16], server[16];
	host_address(c->host, client);
	server_address(c->name, server);
	wire_tcp(&w, server, port_of(c), client, FIRST_PORT + number_of(c), flags, 5000, bytes,
		 len);
	if (flags & TCP_SYN)
		put32(w.bytes + 28, isn_of(c) + 1);
	kernel_from_server(w.bytes, w.len);
}

static size_t make_hello(const struct connection *c, uint8_t out[static 2048])
{
	char name[40];
	host_name(c->name, name);
	if (!c->http)
		return wire_hello(out, name, c->cut ? 300 : 0);
	return (size_t)snprintf((char *)out, 2048, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name);
}

/* ---- what the kernel tells ---- */

static bool internal(const struct address *a)
{
	return address_is4(a) && a->bytes[12] == 10;
}

/* The first bytes of a flow reach the outside: never undecided, never against the policy. */
static void bytes_pass(struct connection *c)
{
	bool long_denied = !c->allowed && sim_ticks() - c->since >= CALM;
	if (!school.up && !c->hello_passed)
		broken("connection %u begins to speak while nobody decides", number_of(c));
	if (school.up && long_denied)
		broken("connection %u of host %u reaches %u outside, which is denied", number_of(c),
		       c->host, c->name);
}

static void on_forwarded(const struct packet *p, bool from_client)
{
	const struct flow_key key = {p->src, p->dst, p->src_port, p->dst_port, p->transport};
	struct connection *c = from_client ? of_key(&key) : NULL;
	if (!c || internal(&p->dst))
		return;
	size_t len = cursor_left(&p->payload);
	if (p->tcp_flags & TCP_SYN)
		c->syn_passed = true;
	if (len)
		bytes_pass(c);
	uint32_t end = p->seq + (uint32_t)len - isn_of(c) - 1;
	if (len && end > c->passed)
		c->passed = end;
	if (!c->hello_passed && (p->tcp_flags & TCP_SYN || len))
		seat_seen(c->host);
	c->hello_passed |= c->hello_len && c->passed >= c->hello_len;
}

static void on_refused(const struct flow_key *key)
{
	struct connection *c = of_key(key);
	if (c)
		c->refused = true;
}

static void on_reset(const struct flow_key *key)
{
	struct connection *c = of_key(key);
	if (!c)
		return;
	c->reset = true;
	school.seat[c->host].last = school.elapsed; /* its ends were made to speak */
}

const struct kernel_world connect_world = {on_forwarded, on_refused, on_reset, internal};

/* ---- judging ---- */

static void note_change(struct connection *c)
{
	bool now = school_open(c->host, c->name);
	if (now == c->allowed)
		return;
	c->allowed = now;
	c->doubted = true;
	c->since = sim_ticks();
}

void connect_changed(void)
{
	for (unsigned i = 0; i < school.connections; i++)
		if (school.connection[i].phase != PHASE_OVER) {
			school.connection[i].calm = false;
			note_change(&school.connection[i]);
		}
}

void connect_up(void)
{
	for (unsigned i = 0; i < school.connections; i++)
		school.connection[i].since = 0;
}

/* A connection is decided: by its hello's passing, or by a reset in its place. */
static void decided(struct connection *c, bool allowed)
{
	c->decided = school.elapsed;
	c->judged = c->calm && school_calm() && school.up;
	say("connection %u host %u name %u: %s%s", number_of(c), c->host, c->name,
	    allowed ? "allowed" : "denied", c->judged ? "" : " (not judged)");
	if (c->judged && allowed != c->expected)
		broken("connection %u of host %u to name %u is %s, it should be %s", number_of(c),
		       c->host, c->name, allowed ? "allowed" : "denied",
		       c->expected ? "allowed" : "denied");
}

/* Some steps after its decision the log has it; a kill takes along what was not written yet. */
static void check_record(const struct connection *c, const char *when)
{
	if (!c->decided || c->unrecorded)
		return;
	if (c->hello_passed ? !c->allows : !c->denies)
		broken("connection %u was %s and has no record %s", number_of(c),
		       c->hello_passed ? "allowed" : "denied", when);
	if (c->reset && c->hello_passed && !c->denies)
		broken("connection %u was ended by the gateway and has no record %s", number_of(c),
		       when);
}

/* ---- a connection's life ---- */

static void over(struct connection *c)
{
	c->phase = PHASE_OVER;
	c->due = school.elapsed + 5 * NS_PER_S; /* its record is looked for */
}

static void send_hello(struct connection *c)
{
	uint8_t hello[2048];
	c->hello_len = (unsigned)make_hello(c, hello);
	unsigned cut = c->cut % c->hello_len;
	if (cut) {
		client_sends(c, TCP_ACK | TCP_PSH, 0, hello, cut);
		school_step(2 * NS_PER_MS);
	}
	client_sends(c, TCP_ACK | TCP_PSH, cut, hello + cut, c->hello_len - cut);
}

static void phase_syn(struct connection *c)
{
	if (c->tries++ == 0)
		c->calm = school_calm();
	if (c->tries == 1)
		c->expected = school_open(c->host, c->name);
	client_sends(c, TCP_SYN, 0, NULL, 0);
	c->phase = PHASE_HELLO;
	c->due = school.elapsed + SOON;
}

static bool gives_up(struct connection *c, enum phase again)
{
	if (c->tries > PATIENCE) {
		say("connection %u gives up", number_of(c));
		if (school_calm() && c->calm)
			broken("connection %u got no answer at all", number_of(c));
		over(c);
		return true;
	}
	c->phase = again;
	c->due = school.elapsed + RETRY * (1 << (c->tries < 3 ? c->tries : 3));
	return true;
}

static void phase_hello(struct connection *c)
{
	if (c->refused) {
		decided(c, false);
		over(c);
		return;
	}
	if (!c->syn_passed) {
		gives_up(c, PHASE_SYN);
		return;
	}
	c->tries++;
	server_sends(c, TCP_SYN | TCP_ACK, NULL, 0);
	client_sends(c, TCP_ACK, 0, NULL, 0);
	send_hello(c);
	c->phase = PHASE_ANSWER;
	c->due = school.elapsed + SOON;
}

static void phase_answer(struct connection *c)
{
	static const uint8_t server_hello[60] = {0x16, 3, 3, 0, 55, 2, 0, 0, 51, 3, 3, 1, 2, 3, 4};
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	if (c->hello_passed) {
		decided(c, true);
		server_sends(c, TCP_ACK | TCP_PSH, c->http ? (const void *)answer : server_hello,
			     c->http ? sizeof answer - 1 : sizeof server_hello);
		c->phase = PHASE_OPEN;
		c->sent = c->hello_len;
		c->due = school.elapsed + c->pause;
	} else if (c->refused || c->reset) {
		decided(c, false);
		over(c);
	} else {
		gives_up(c, PHASE_HELLO);
	}
}

static void phase_open(struct connection *c)
{
	static const uint8_t data[100] = {0x17, 3, 3, 0, 95};
	if (c->reset || c->refused) {
		say("connection %u is cut", number_of(c));
		/* an idle session ends before its daemon's tick is seen */
		if (c->allowed && !c->doubted && !seat_may_idle(c->host))
			broken("connection %u of host %u to name %u is cut, and was always allowed",
			       number_of(c), c->host, c->name);
		c->reset = true;
		over(c);
		return;
	}
	if (school.elapsed >= c->ends) {
		client_sends(c, TCP_ACK | TCP_FIN, c->sent, NULL, 0);
		over(c);
		return;
	}
	client_sends(c, TCP_ACK | TCP_PSH, c->sent, data, sizeof data);
	c->sent += sizeof data;
	server_sends(c, TCP_ACK | TCP_PSH, data, sizeof data);
	c->due = school.elapsed + c->pause;
}

static void phase_over(struct connection *c)
{
	check_record(c, "five seconds later");
	c->due = INT64_MAX;
}

void connect_turn(void)
{
	static void (*const phases[])(struct connection *) = {
		[PHASE_SYN] = phase_syn,       [PHASE_HELLO] = phase_hello,
		[PHASE_ANSWER] = phase_answer, [PHASE_OPEN] = phase_open,
		[PHASE_OVER] = phase_over,
	};
	for (unsigned i = 0; i < school.connections; i++) {
		struct connection *c = &school.connection[i];
		if (c->due > school.elapsed)
			continue;
		phases[c->phase](c);
		school_step(2 * NS_PER_MS);
		school_step(2 * NS_PER_MS);
	}
}

int64_t connect_next(void)
{
	int64_t next = INT64_MAX;
	for (unsigned i = 0; i < school.connections; i++)
		if (school.connection[i].due < next)
			next = school.connection[i].due;
	return next;
}

static struct connection *make(unsigned host, unsigned name)
{
	if (school.connections == CONNECTIONS)
		return NULL;
	struct connection *c = &school.connection[school.connections++];
	*c = (struct connection){.used = true, .host = host, .name = name, .due = school.elapsed};
	c->allowed = school_open(host, name);
	c->since = school.changed; /* the oracle's word has been the same since then */
	return c;
}

void connect_begin(unsigned host, unsigned name, int64_t length, uint64_t more)
{
	uint64_t dice = sim_number(school.seed, 0xc0, more);
	struct connection *c = make(host, name);
	if (!c)
		return;
	c->ends = school.elapsed + length;
	c->pause = length / (2 + (int64_t)(dice % 30));
	c->pause = c->pause < NS_PER_S / 5 ? NS_PER_S / 5 : c->pause;
	c->http = dice >> 8 & 1;
	c->cut = dice >> 9 & 1 ? (unsigned)(dice >> 16 & 255) : 0;
	say("connection %u begins: host %u name %u", number_of(c), host, name);
}

/* Data without a handshake, as of a connection that nobody knows. */
void connect_probe(unsigned host, unsigned name)
{
	struct connection *c = make(host, name);
	if (!c)
		return;
	c->ends = c->due = school.elapsed;
	c->phase = PHASE_OVER;
	say("connection %u probes: host %u name %u", number_of(c), host, name);
	send_hello(c);
}

/* SYNs on ports that are nobody's: to name after name, from host after host. */
void connect_flood(unsigned host, unsigned name, unsigned count)
{
	static unsigned next;
	char client[16], server[16];
	struct wire w;
	connect_doubted();
	for (unsigned i = 0; i < count; i++) {
		host_address((host + i % 12) % HOSTS, client);
		server_address((name + i) % NAMES_ALL, server);
		wire_tcp(&w, client, 20000 + next++ % 40000, server, 443, TCP_SYN, i, NULL, 0);
		school.seat[(host + i % 12) % HOSTS].last = school.elapsed;
		kernel_from_client(w.bytes, w.len);
		if (i % 32 == 31)
			school_step(NS_PER_MS);
	}
	school_step(NS_PER_MS);
}

void connect_doubted(void)
{
	for (unsigned i = 0; i < school.connections; i++)
		school.connection[i].doubted = true;
}

static bool known(const struct connection *c, bool (*knows)(const struct flow_key *key))
{
	char client[16], server[16];
	struct flow_key key = {.client_port = (uint16_t)(FIRST_PORT + number_of(c)),
			       .server_port = (uint16_t)port_of(c),
			       .transport = IPPROTO_TCP};
	host_address(c->host, client);
	server_address(c->name, server);
	return address_parse(client, &key.client) && address_parse(server, &key.server) &&
	       knows(&key);
}

void connect_forgotten(bool (*knows)(const struct flow_key *key))
{
	for (unsigned i = 0; i < school.connections; i++) {
		struct connection *c = &school.connection[i];
		if (c->phase == PHASE_OPEN && !c->doubted)
			c->doubted = !known(c, knows);
	}
}

void connect_lost(void)
{
	for (unsigned i = 0; i < school.connections; i++)
		if (school.connection[i].phase != PHASE_OVER)
			over(&school.connection[i]);
}

void connect_end(void)
{
	for (unsigned i = 0; i < school.connections; i++)
		check_record(&school.connection[i], "at the end of the week");
}
