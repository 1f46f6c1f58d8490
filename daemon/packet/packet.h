/* packet: bytes of an IP packet -> addresses, ports, flags and payload. Nothing is copied. */
#pragma once
#include "base/address.h"
#include "base/cursor.h"
#include "base/decision.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

struct packet {
	struct address src, dst;
	uint16_t src_port, dst_port; /* host byte order; 0 for protocols without */
	uint8_t transport;           /* IPPROTO_* after IPv6 extension headers */
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
	uint32_t seq, ack;      /* TCP, host byte order */
	uint16_t window;        /* TCP, as it stands there, unscaled */
	struct cursor payload;  /* after the L4 header (all after the IP header for others) */
	const uint8_t *ip;      /* start of the IP header, */
	uint16_t ip_header_len; /* its length with options and extension headers, */
	uint32_t ip_len;        /* and the packet's length as the IP header gives it */
	/* fragments: offset in bytes, more to come, identification; packet is whole where both are
	 * 0 */
	uint32_t fragment_offset, fragment_id;
	bool fragment_more;
};

enum packet_parse {
	PACKET_OK,
	/* A fragment: addresses, transport and fragment fields are set, ports are not. The payload
	 * is the fragment's part of the datagram. */
	PACKET_FRAGMENT,
	/* Addresses and transport are set where the IP header was good enough, else zero. */
	PACKET_MALFORMED,
};

/* Parses an IPv4 (RFC 791) or IPv6 (RFC 8200) packet that begins at its IP header. IPv6 extension
 * headers are walked to a bound of 8; a fragment header that makes no fragment (RFC 6946) is
 * walked over. Trailing bytes after the IP length are ignored; a packet shorter than its IP length
 * is malformed. A length of zero, as captures and the kernel have it for packets that offload
 * makes past 64 KiB, stands for all the bytes. Checksums are not verified (the kernel has; offload
 * leaves them unfinished). */
enum packet_parse packet_parse(const void *bytes, size_t len, struct packet *out);

/* The same for a packet of which a capture kept the first bytes only (arrival.cut): the payload is
 * what is there; headers must be whole. */
enum packet_parse packet_parse_cut(const void *bytes, size_t len, struct packet *out);

/* The same for a packet that an ICMP error quotes: addresses, transport and ports, no more. */
enum packet_parse packet_parse_quoted(const void *bytes, size_t len, struct packet *out);
