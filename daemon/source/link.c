#include "source/link.h"

#include "base/cursor.h"

#include <endian.h>
#include <net/ethernet.h>
#include <pcap/dlt.h>

#define ETHERTYPE_QINQ   0x88a8
#define ETHERTYPE_QINQ_1 0x9100 /* before 802.1ad */
#define ETHERTYPE_PPPOE  0x8864
#define PPP_IP4          0x21
#define PPP_IP6          0x57

static enum link_parse raw_ip(struct cursor c, struct link_frame *out)
{
	uint8_t version = cursor_peek(&c) >> 4;
	out->ip = c.pos;
	out->len = cursor_left(&c);
	return !c.bad && (version == 4 || version == 6) ? LINK_IP : LINK_OTHER;
}

/* The protocol field may be one byte long (RFC 1661 section 6.5). */
static enum link_parse ppp(struct cursor c, struct link_frame *out)
{
	uint16_t protocol = cursor_u8(&c);
	if (!(protocol & 1))
		protocol = (uint16_t)(protocol << 8 | cursor_u8(&c));
	return protocol == PPP_IP4 || protocol == PPP_IP6 ? raw_ip(c, out) : LINK_OTHER;
}

static enum link_parse ppp_frame(struct cursor c, struct link_frame *out)
{
	if (cursor_peek(&c) == 0xff)
		cursor_skip(&c, 2); /* address and control, RFC 1662 */
	return ppp(c, out);
}

/* Any number of VLAN tags before the packet. */
static enum link_parse by_ethertype(struct cursor c, uint16_t type, struct link_frame *out)
{
	while (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_1) {
		cursor_skip(&c, 2);
		type = cursor_u16(&c);
	}
	switch (type) {
	case ETHERTYPE_IP:
	case ETHERTYPE_IPV6: return raw_ip(c, out);
	case ETHERTYPE_PPPOE: cursor_skip(&c, 6); return ppp(c, out); /* RFC 2516 */
	}
	return LINK_OTHER;
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
	return ip ? raw_ip(c, out) : LINK_OTHER;
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
	if (c.bad || len < 8 || !cursor_skip(&c, len - 8u) || dlt == DLT_PPI || dlt > 0xffff)
		return LINK_OTHER;
	return link_parse((int)dlt, c.pos, cursor_left(&c), out);
}

static enum link_parse (*reader(int dlt))(struct cursor, struct link_frame *)
{
	switch (dlt) {
	case DLT_EN10MB: return ethernet;
	case DLT_LINUX_SLL: return sll;
	case DLT_LINUX_SLL2: return sll2;
	case DLT_RAW:
	case 14:  /* DLT_RAW of OpenBSD */
	case 101: /* LINKTYPE_RAW, as PPI has it */
	case DLT_IPV4:
	case DLT_IPV6: return raw_ip;
	case DLT_NULL:
	case DLT_LOOP: return bsd_loopback;
	case DLT_PPP: return ppp_frame;
	case DLT_PPP_SERIAL: return ppp_serial;
	case DLT_PPP_ETHER: return ppp;
	case DLT_C_HDLC: return cisco_hdlc;
	case DLT_PPI: return ppi;
	}
	return NULL;
}

bool link_known(int dlt)
{
	return reader(dlt) != NULL;
}

enum link_parse link_parse(int dlt, const void *frame, size_t len, struct link_frame *out)
{
	enum link_parse (*read)(struct cursor, struct link_frame *) = reader(dlt);
	*out = (struct link_frame){0};
	return read ? read(cursor_of(frame, len), out) : LINK_OTHER;
}
