/* link: a captured frame -> the IP packet in it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum link_parse {
	LINK_IP,
	LINK_OTHER,        /* ARP and the like: no IP packet is in it */
	LINK_CUT,          /* the capture ends before the IP packet */
	LINK_UNKNOWN,      /* a link type that is not read */
	LINK_ENCAPSULATED, /* what may carry IP in a way that is not read */
};

struct link_frame {
	const uint8_t *ip; /* up to the end of the frame, trailers and padding included */
	size_t len;
	const uint8_t *mac; /* the sender's six bytes in the frame, or NULL */
	uint16_t type;      /* of LINK_ENCAPSULATED: its EtherType or PPP protocol */
};

/* A frame of a link type (LINKTYPE_*, of which DLT_RAW and its like are synonyms): Ethernet, Linux
 * cooked (SLL, SLL2), raw IP, BSD loopback, PPP, Cisco HDLC, NFLOG, and PPI around any of them;
 * with VLAN tags (802.1Q, 802.1ad and what came before), HSR, Cisco's security tags, LLC and SNAP
 * (RFC 1042), MPLS (RFC 3032) and PPPoE (RFC 2516) within. */
enum link_parse link_parse(uint32_t link, const void *frame, size_t len, struct link_frame *out);
