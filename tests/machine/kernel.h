/* kernel: what stands between the daemon, its clients and the world: flows with marks, the rules,
 * the queues, the copies of DNS. Linked in the place of source/nfqueue, conntrack, copies, tally
 * and of wiring/, by whose headers it goes. Written from daemon/README.md (marks) and
 * source/mark.h. */
#pragma once
#include "packet/flow.h"
#include "packet/packet.h"
#include <stdbool.h>
#include <stdint.h>

#define KERNEL_FD 1000000 /* descriptors from here on are this kernel's */

struct kernel_world {
	/* a packet leaves: to the server, or to the client */
	void (*forwarded)(const struct packet *p, bool from_client);
	/* a client's packet was rejected; or both ends of a flow were reset */
	void (*refused)(const struct flow_key *key);
	void (*reset)(const struct flow_key *key);
	bool (*internal)(const struct address *a);
};

void kernel_begin(const struct kernel_world *w);
void kernel_reboot(void);
/* wiring up, as the unit does before each start: another policy moves the epoch. */
void kernel_wiring_up(const char *policy);
/* Packets for a queue that nobody reads are dropped. */
void kernel_queues_closed(void);

void kernel_from_client(const void *ip, uint32_t len);
void kernel_from_server(const void *ip, uint32_t len);
/* A resolver's packet, which passes; its copy goes up. */
void kernel_dns(const void *ip, uint32_t len, bool answer);
/* Flows end by their times. */
void kernel_tick(void);

bool kernel_ready(int fd);

/* What the last daemon that opened a queue is; NULL while none runs. */
struct gateway;
struct gateway *kernel_gateway(void);

struct kernel_counters {
	uint64_t packets, verdicts, dropped; /* handed up; given; for want of a reader */
	uint32_t waiting, flows;
	int64_t oldest; /* boot time since which the oldest packet waits for its verdict; 0: none */
	uint64_t twice; /* verdicts on packets that had one, or that never were */
};
void kernel_count(struct kernel_counters *out);
