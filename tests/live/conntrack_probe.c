/* conntrack_probe: drives source/conntrack.c from a command line.
 *
 * usage: conntrack_probe MASK EPOCH ends                         a line for each flow that ends
 *        conntrack_probe MASK EPOCH mark VERDICT PROTO CLIENT PORT SERVER PORT
 *        conntrack_probe MASK EPOCH delete PROTO CLIENT PORT SERVER PORT
 *        conntrack_probe MASK EPOCH sweep
 * VERDICT: pending allowed denied. Exit status 1: there is no such flow. */
#include "source/conntrack.h"
#include "source/mark.h"
#include "source/reply.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ended(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
		  int64_t after, int64_t last, bool denied)
{
	char client[ADDRESS_TEXT], server[ADDRESS_TEXT];
	printf("ended proto=%u src=%s sport=%u dst=%s dport=%u bytes=%lu packets=%lu\n",
	       key->transport, address_format(&key->client, client), key->client_port,
	       address_format(&key->server, server), key->server_port, bytes, packets);
	fflush(stdout);
}

static struct flow_key key_of(char **word)
{
	struct flow_key key = {.transport = (uint8_t)atoi(word[0]),
			       .client_port = (uint16_t)atoi(word[2]),
			       .server_port = (uint16_t)atoi(word[4])};
	if (!address_parse(word[1], &key.client) || !address_parse(word[3], &key.server))
		exit(2);
	return key;
}

static int said(int error)
{
	if (error < 0)
		fprintf(stderr, "conntrack_probe: %s\n", strerror(-error));
	return error == -ENOENT ? 1 : error < 0 ? 3 : 0;
}

static int follow(struct conntrack *c)
{
	struct pollfd p = {.fd = conntrack_fd(c), .events = POLLIN};
	puts("ready");
	fflush(stdout);
	while (poll(&p, 1, -1) >= 0)
		conntrack_read(c);
	return 3;
}

static int mark(struct conntrack *c, char **word)
{
	struct flow_key key = key_of(word + 1);
	enum verdict v = strcmp(word[0], "allowed") == 0  ? VERDICT_ALLOWED
			 : strcmp(word[0], "denied") == 0 ? VERDICT_DENIED
							  : VERDICT_PENDING;
	return said(conntrack_remark(c, &key, 0, v));
}

int main(int argc, char **argv)
{
	struct errors errors = {0};
	if (argc < 4)
		return 2;
	struct conntrack_options o = {.mark_mask = (uint32_t)strtoul(argv[1], NULL, 0),
				      .epoch = (unsigned)atoi(argv[2]),
				      .kept = -1,
				      .skips = getenv("CONNTRACK_SKIPS"), /* there is a flowtable */
				      .ended = ended};
	uint32_t own = mark_value(o.mark_mask, MARK_OWN, o.epoch);
	struct conntrack *c =
		reply_open(own, &o.raw4, &o.raw6, &errors) ? conntrack_open(&o, &errors) : NULL;
	if (!c) {
		errors_print(&errors, stderr);
		return 3;
	}
	if (strcmp(argv[3], "ends") == 0)
		return follow(c);
	if (strcmp(argv[3], "sweep") == 0) {
		int n = conntrack_sweep(o.mark_mask, o.epoch);
		printf("swept %d\n", n);
		return said(n);
	}
	if (strcmp(argv[3], "mark") == 0 && argc == 10)
		return mark(c, argv + 4);
	if (strcmp(argv[3], "delete") == 0 && argc == 9) {
		struct flow_key key = key_of(argv + 4);
		return said(conntrack_delete(c, &key));
	}
	return 2;
}
