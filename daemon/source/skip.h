/* skip: flows that nft's flowtable forwards past all rules, and how they come back to them.
 *
 * The kernel deletes no such flow for us and does not look at its mark (Linux 6.1). But it asks for
 * each packet whether the flow's route is still good, and a change of routing rules makes all of a
 * family's doubtful: their next packet meets the rules again, which take the allowed ones in anew.
 * That unregisters no hook, with which all packets in queues would go. */
#pragma once
#include <libmnl/libmnl.h>
#include <stdint.h>

/* s: of NETLINK_ROUTE. All flows of a family (AF_INET, AF_INET6) meet the rules with their next
 * packet. 0 or -errno, which is logged: then what is denied may go on. */
int skip_end(struct mnl_socket *s, uint8_t family);
