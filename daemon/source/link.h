/* link: a captured frame -> the IP packet in it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum link_parse {
	LINK_IP,
	LINK_OTHER, /* ARP and the like: not IP, or cut before it */
};

struct link_frame {
	const uint8_t *ip; /* up to the end of the frame, trailers and padding included */
	size_t len;
	const uint8_t *mac; /* the sender's six bytes in the frame, or NULL */
};

/* Whether frames of a libpcap link type (DLT_*) can be read: Ethernet, Linux cooked (SLL, SLL2),
 * raw IP, BSD loopback, PPP, Cisco HDLC and PPI around any of them; VLAN tags and PPPoE within. */
bool link_known(int dlt);

enum link_parse link_parse(int dlt, const void *frame, size_t len, struct link_frame *out);
