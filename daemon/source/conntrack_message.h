/* conntrack_message: an entry of the kernel's table as ctnetlink tells it. */
#pragma once
#include "base/netlink.h"
#include "packet/flow.h"

struct conntrack_message {
	bool has_key;
	struct flow_key key; /* its original direction; ports 0 for what has none */
	uint8_t family;
	uint32_t mark, status;   /* status: IPS_* */
	uint64_t bytes, packets; /* of both directions; 0 where the kernel does not count */
	uint8_t tcp_state;       /* TCP_CONNTRACK_*; 0: none */
	uint16_t reply_port;     /* to which its other direction answers: after NAT; 0: none */
	struct cursor tuple;     /* CTA_TUPLE_ORIG as it stands there, bad where there is none */
};

/* Whether the flow's bytes are its client's: of what nobody has confirmed, or was denied, they may
 * be anybody's packets in the client's name. */
bool conntrack_message_counts(const struct conntrack_message *m, uint32_t mark_mask);

/* The body of IPCTNL_MSG_CT_NEW or _DELETE. What is malformed in it is as if it were not there. */
void conntrack_message_read(struct cursor body, struct conntrack_message *out);
