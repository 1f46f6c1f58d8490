/* racer: datagrams of a new UDP flow that came up before its first one went on, so that each has an
 * entry of conntrack's own. Where NAT gives every new entry another port (masquerade random) and
 * the kernel does not look again (it did before 6.10), they would leave by a port of their own: two
 * halves of a QUIC hello that no server puts together. They go along the first one's entry instead,
 * as packets of ours.
 *
 * A worker's own. Only such datagrams cost anything: a copy, and a question to the kernel. */
#pragma once
#include "source/source.h"

struct racers;

/* NULL where there is no memory or no netlink socket: such datagrams then go as the kernel has it.
 */
struct racers *racers_open(void);
void racers_close(struct racers *r);

/* Each arrival; what races is copied, up to a bound: the oldest copies go. */
void racers_see(struct racers *r, const struct arrival *a);

/* Whether an arrival is such a datagram, of which a copy is here. */
bool racers_has(const struct racers *r, uint64_t id);

/* It goes on: sends its copy along the flow's entry where that leaves by another port than the
 * client's. The first one's verdict has to be with the kernel. True where it was sent: what is in
 * the queue must be dropped. The copy is gone either way. */
bool racers_send(struct racers *r, uint64_t id, int raw4, int raw6);

/* It goes nowhere. */
void racers_drop(struct racers *r, uint64_t id);
