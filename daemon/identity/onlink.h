/* onlink: who is at an address of the segments that we are on ourselves, as the kernel's neighbour
 * table has it. That is the only word for whose a packet is: the MAC address in a frame is what its
 * sender wrote there. (Nor does the table know who lies in ARP or ND; a switch can.)
 *
 * Shared by all workers: fixed size, one writer (the main thread), lock-free readers. */
#pragma once
#include "packet/share.h"
#include <stdbool.h>
#include <stdint.h>

struct onlink;

/* capacity addresses; a further one is unconfirmed. NULL where memory ran out. */
struct onlink *onlink_new(uint32_t capacity);
void onlink_free(struct onlink *o);

enum onlink_word {
	ONLINK_ELSEWHERE,   /* behind a router: frames carry that router's MAC address */
	ONLINK_UNCONFIRMED, /* on a segment of ours, but nobody has answered for the address yet */
	ONLINK_HERE,
};

/* Readers, any thread. mac is set for ONLINK_HERE alone. */
enum onlink_word onlink_at(const struct onlink *o, const struct address *a, uint8_t mac[static 6]);
/* The interface on whose segment an address is; 0: none. */
int onlink_link(const struct onlink *o, const struct address *a);
/* Whose share the address takes of what is bounded. */
struct host_key onlink_host(const struct onlink *o, const struct address *a);

/* The writer's. Networks of the inside interfaces' routes, on our own segments or not: the longest
 * that holds an address counts. False where there is no room (64). */
bool onlink_route(struct onlink *o, const struct network *n, int link, bool ours);
void onlink_route_gone(struct onlink *o, const struct network *n, int link);
void onlink_set(struct onlink *o, const struct address *a, const uint8_t mac[static 6]);
void onlink_drop(struct onlink *o, const struct address *a);
void onlink_clear(struct onlink *o);
