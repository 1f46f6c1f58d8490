/* classes: what a policy tells apart. Hosts of one class are decided alike for a tier, whatever
 * else is true of the flow; so are addresses, ports and times. tier NULL: for every tier. A class
 * is a hash of 64 bits, and means nothing to another policy. */
#pragma once
#include "policy/snapshot.h"

uint64_t class_of_host(const struct snapshot *s, const char *tier, const struct host *host);
uint64_t class_of_address(const struct snapshot *s, const char *tier, const struct address *a);
uint64_t class_of_port(const struct snapshot *s, const char *tier, uint8_t transport,
		       uint16_t port);
uint64_t class_of_time(const struct snapshot *s, const char *tier, int64_t now);
