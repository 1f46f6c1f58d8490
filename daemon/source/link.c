#include "source/link.h"

#include "base/cursor.h"

#include <linux/netfilter/nfnetlink_log.h>
#include <net/ethernet.h>
#include <pcap/dlt.h>

#define ETHERTYPE_MPLS   0x8847
#define ETHERTYPE_MPLS_2 0x8848
#define ETHERTYPE_PPPOE  0x8864
#define PPP_IP4          0x21
#define PPP_IP6          0x57
#define PPP_MPLS         0x281
#define LINKTYPE_RAW     101
#define LABELS_MAX       16
#define LENGTH_MAX       1500 /* of 802.3, where else the type is */

static enum link_parse by_ethertype(struct cursor c, uint16_t type, struct link_frame *out);

static enum link_parse raw_ip(struct cursor c, struct link_frame *out)
{
	uint8_t version = cursor_peek(&c) >> 4;
	out->ip = c.pos;
	out->len = cursor_left(&c);
	if (c.bad || !out->len)
		return LINK_CUT;
	return version == 4 || version == 6 ? LINK_IP : LINK_OTHER;
}

static enum link_parse not_read(uint16_t type, struct link_frame *out)
{
	out->type = type;
	return LINK_ENCAPSULATED;
}

/* Labels to the one at the bottom (RFC 3032 section 2.1). What is below them they don't say: IP
 * has its version there; a pseudowire (RFC 4385) zero. */
static enum link_parse mpls(struct cursor c, struct link_frame *out)
{
	uint32_t label = 0;
	for (int n = 0; n < LABELS_MAX && !(label & 0x100) && !c.bad; n++)
		label = cursor_u32(&c);
	enum link_parse answer = label & 0x100 ? raw_ip(c, out) : LINK_OTHER;
	if (c.bad)
		return LINK_CUT;
	return answer == LINK_OTHER ? not_read(ETHERTYPE_MPLS, out) : answer;
}

/* The protocol field may be one byte long (RFC 1661 section 6.5). */
static enum link_parse ppp(struct cursor c, struct link_frame *out)
{
	uint16_t protocol = cursor_u8(&c);
	if (!(protocol & 1))
		protocol = (uint16_t)(protocol << 8 | cursor_u8(&c));
	if (c.bad)
		return LINK_CUT;
	switch (protocol) {
	case PPP_IP4:
	case PPP_IP6: return raw_ip(c, out);
	case PPP_MPLS: return mpls(c, out);
	case 0x2d: /* Van Jacobson's headers (RFC 1144) */
	case 0x2f:
	case 0x3d: /* multilink (RFC 1990) */
	case 0x53: /* encrypted (RFC 1968) */
	case 0xfb: /* compressed (RFC 1962) */
	case 0xfd: return not_read(protocol, out);
	}
	return LINK_OTHER;
}

static enum link_parse ppp_frame(struct cursor c, struct link_frame *out)
{
	if (cursor_peek(&c) == 0xff)
		cursor_skip(&c, 2); /* address and control, RFC 1662 */
	return ppp(c, out);
}

/* 802.2: SNAP has an EtherType behind the organization that assigned it (RFC 1042). */
static enum link_parse llc(struct cursor c, struct link_frame *out)
{
	uint16_t access = cursor_u16(&c);
	cursor_skip(&c, 1); /* control */
	if (access == 0x0606)
		return raw_ip(c, out);
	if (access != 0xaaaa)
		return c.bad ? LINK_CUT : LINK_OTHER;
	uint32_t organization = cursor_u24(&c);
	uint16_t type = cursor_u16(&c);
	if (c.bad)
		return LINK_CUT;
	bool typed = (organization == 0 || organization == 0xf8) && type > LENGTH_MAX;
	return typed ? by_ethertype(c, type, out) : LINK_OTHER;
}

/* Tags before another EtherType, and how long they are without it. */
static size_t tag_length(uint16_t type)
{
	switch (type) {
	case ETHERTYPE_VLAN:
	case 0x88a8: /* 802.1ad */
	case 0x9100: /* before it */
	case 0x9200: return 2;
	case 0x892f:           /* HSR, IEC 62439-3 */
	case 0x8926: return 4; /* VN-tag */
	case 0x8909: return 6; /* Cisco's security group tag */
	}
	return 0;
}

/* What carries frames or packets, and is not read. */
static bool carries(uint16_t type)
{
	switch (type) {
	case 0x22f3:              /* TRILL */
	case 0x4305:              /* batman-adv */
	case 0x8903:              /* FabricPath */
	case 0x88e5:              /* MACsec */
	case 0x88e7:              /* provider backbone bridges */
	case 0x894f:              /* NSH */
	case 0xa0ed: return true; /* 6LoWPAN */
	}
	return false;
}

/* Any number of tags before the packet. A length where the type should be is 802.3's. */
static enum link_parse by_ethertype(struct cursor c, uint16_t type, struct link_frame *out)
{
	for (size_t tag; (tag = tag_length(type)); type = cursor_u16(&c))
		cursor_skip(&c, tag);
	if (c.bad)
		return LINK_CUT;
	switch (type) {
	case ETHERTYPE_IP:
	case ETHERTYPE_IPV6: return raw_ip(c, out);
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_2: return mpls(c, out);
	case ETHERTYPE_PPPOE: cursor_skip(&c, 6); return ppp(c, out); /* RFC 2516 */
	case 0x8870: return llc(c, out); /* jumbo, as if with a length */
	}
	if (type <= LENGTH_MAX)
		return llc(c, out);
	return carries(type) ? not_read(type, out) : LINK_OTHER;
}

static enum link_parse ethernet(struct cursor c, struct link_frame *out)
{
	cursor_skip(&c, 6);
	out->mac = cursor_bytes(&c, 6);
	return by_ethertype(c, cursor_u16(&c), out);
}

/* LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length, address, protocol */
static enum link_parse sll(struct cursor c, struct link_frame *out)
{
	cursor_skip(&c, 4);
	bool has_mac = cursor_u16(&c) == 6;
	const uint8_t *mac = cursor_bytes(&c, 8);
	out->mac = has_mac ? mac : NULL;
	return by_ethertype(c, cursor_u16(&c), out);
}

/* LINKTYPE_LINUX_SLL2: protocol, zero, interface, ARPHRD, packet type, address length, address */
static enum link_parse sll2(struct cursor c, struct link_frame *out)
{
	uint16_t protocol = cursor_u16(&c);
	cursor_skip(&c, 9);
	bool has_mac = cursor_u8(&c) == 6;
	const uint8_t *mac = cursor_bytes(&c, 8);
	out->mac = has_mac ? mac : NULL;
	return by_ethertype(c, protocol, out);
}

/* The family is in the byte order of the machine that captured, and IPv6's number is the system's.
 */
static enum link_parse bsd_loopback(struct cursor c, struct link_frame *out)
{
	uint32_t family = cursor_u32(&c);
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	bool ip = family == 2 || family == 10 || family == 24 || family == 28 || family == 30;
	return ip || c.bad ? raw_ip(c, out) : LINK_OTHER;
}

static enum link_parse cisco_hdlc(struct cursor c, struct link_frame *out)
{
	cursor_skip(&c, 2); /* address, control */
	return by_ethertype(c, cursor_u16(&c), out);
}

static enum link_parse ppp_serial(struct cursor c, struct link_frame *out)
{
	uint8_t first = cursor_peek(&c);
	return first == 0x0f || first == 0x8f ? cisco_hdlc(c, out) : ppp_frame(c, out);
}

/* PPI: version, flags, length and link type, these two little-endian, then fields of its own. */
static enum link_parse ppi(struct cursor c, struct link_frame *out)
{
	cursor_skip(&c, 2);
	uint16_t len = __builtin_bswap16(cursor_u16(&c));
	uint32_t dlt = __builtin_bswap32(cursor_u32(&c));
	if (len >= 8)
		cursor_skip(&c, len - 8u);
	if (c.bad)
		return LINK_CUT;
	return len < 8 || dlt == DLT_PPI ? LINK_UNKNOWN
					 : link_parse(dlt, c.pos, cursor_left(&c), out);
}

/* LINKTYPE_NFLOG: family, version, group, then attributes {length, type, bytes} in the byte order
 * of the machine that captured, taken for the usual one. */
static enum link_parse nflog(struct cursor c, struct link_frame *out)
{
	cursor_skip(&c, 4);
	while (cursor_left(&c)) {
		uint16_t len = __builtin_bswap16(cursor_u16(&c));
		uint16_t type = __builtin_bswap16(cursor_u16(&c));
		if (c.bad || len < 4)
			break;
		struct cursor rest = c, value = cursor_sub(&c, len - 4u);
		if (type == NFULA_PAYLOAD)
			return raw_ip(value.bad ? rest : value, out);
		cursor_skip(&c, -len & 3u);
	}
	return LINK_CUT;
}

static enum link_parse (*reader(uint32_t link))(struct cursor, struct link_frame *)
{
	switch (link) {
	case DLT_EN10MB: return ethernet;
	case DLT_LINUX_SLL: return sll;
	case DLT_LINUX_SLL2: return sll2;
	case DLT_RAW:
	case 14: /* DLT_RAW of OpenBSD */
	case LINKTYPE_RAW:
	case DLT_IPV4:
	case DLT_IPV6: return raw_ip;
	case DLT_NULL:
	case DLT_LOOP: return bsd_loopback;
	case DLT_PPP: return ppp_frame;
	case DLT_PPP_SERIAL: return ppp_serial;
	case DLT_PPP_ETHER: return ppp;
	case DLT_C_HDLC: return cisco_hdlc;
	case DLT_PPI: return ppi;
	case DLT_NFLOG: return nflog;
	}
	return NULL;
}

enum link_parse link_parse(uint32_t link, const void *frame, size_t len, struct link_frame *out)
{
	enum link_parse (*read)(struct cursor, struct link_frame *) = reader(link);
	*out = (struct link_frame){0};
	return read ? read(cursor_of(frame, len), out) : LINK_UNKNOWN;
}
