#include "packet/packet.h"

#include <netinet/in.h>

#define EXTENSIONS_MAX 8

enum mode {
	WHOLE,
	CUT,    /* a capture kept the first bytes */
	QUOTED, /* an ICMP error keeps the ports and may keep no more */
};

/* What a capture did not cut must be as whole as any packet. */
static enum mode mode_for(const struct cursor *c, size_t claimed, enum mode mode)
{
	return mode == CUT && claimed <= cursor_left(c) ? WHOLE : mode;
}

/* A length that the packet claims, against the bytes that there are. */
static bool take_length(struct cursor *c, size_t claimed, enum mode mode)
{
	size_t left = cursor_left(c);
	if (claimed <= left)
		c->end = c->pos + claimed;
	return claimed <= left || mode != WHOLE;
}

static enum packet_parse parse_tcp(struct cursor c, enum mode mode, struct packet *out)
{
	out->src_port = cursor_u16(&c);
	out->dst_port = cursor_u16(&c);
	out->seq = cursor_u32(&c);
	out->ack = cursor_u32(&c);
	size_t header = (size_t)(cursor_u8(&c) >> 4) * 4;
	out->tcp_flags = cursor_u8(&c);
	out->window = cursor_u16(&c);
	cursor_skip(&c, 4); /* checksum, urgent pointer */
	if (c.bad || header < 20 || (!cursor_skip(&c, header - 20) && mode == WHOLE))
		return PACKET_MALFORMED;
	out->payload = cursor_of(c.pos, cursor_left(&c));
	return PACKET_OK;
}

static enum packet_parse parse_udp(struct cursor c, enum mode mode, struct packet *out)
{
	out->src_port = cursor_u16(&c);
	out->dst_port = cursor_u16(&c);
	size_t len = cursor_u16(&c);
	cursor_skip(&c, 2);
	if (c.bad)
		return PACKET_MALFORMED;
	/* RFC 2675 section 4: zero is a jumbogram's; only IPv6 has them */
	if (len == 0 && !address_is4(&out->src))
		len = cursor_left(&c) + 8;
	if (len < 8 || !take_length(&c, len - 8, mode))
		return PACKET_MALFORMED;
	out->payload = c;
	return PACKET_OK;
}

static enum packet_parse parse_icmp(struct cursor c, struct packet *out)
{
	out->icmp_type = cursor_u8(&c);
	out->icmp_code = cursor_u8(&c);
	cursor_skip(&c, 6); /* checksum, rest of header */
	if (c.bad)
		return PACKET_MALFORMED;
	out->payload = c;
	return PACKET_OK;
}

static enum packet_parse parse_sctp(struct cursor c, struct packet *out)
{
	out->src_port = cursor_u16(&c);
	out->dst_port = cursor_u16(&c);
	cursor_skip(&c, 8); /* tag, checksum */
	if (c.bad)
		return PACKET_MALFORMED;
	out->payload = c;
	return PACKET_OK;
}

static enum packet_parse parse_ports(struct cursor c, struct packet *out)
{
	if (out->transport != IPPROTO_TCP && out->transport != IPPROTO_UDP &&
	    out->transport != IPPROTO_SCTP)
		return PACKET_OK;
	out->src_port = cursor_u16(&c);
	out->dst_port = cursor_u16(&c);
	return c.bad ? PACKET_MALFORMED : PACKET_OK;
}

/* Everything after the IP header and its extensions. */
static enum packet_parse parse_transport(struct cursor c, enum mode mode, struct packet *out)
{
	out->ip_header_len = (uint16_t)(c.pos - out->ip);
	out->payload = c;
	if (mode == QUOTED)
		return parse_ports(c, out);
	switch (out->transport) {
	case IPPROTO_TCP: return parse_tcp(c, mode, out);
	case IPPROTO_UDP: return parse_udp(c, mode, out);
	case IPPROTO_ICMP: return address_is4(&out->src) ? parse_icmp(c, out) : PACKET_MALFORMED;
	case IPPROTO_ICMPV6: return address_is4(&out->src) ? PACKET_MALFORMED : parse_icmp(c, out);
	case IPPROTO_SCTP: return parse_sctp(c, out);
	}
	return PACKET_OK;
}

/* A fragment whose offset field was read; c is at its part of the datagram. */
static enum packet_parse parse_fragment(struct cursor c, enum mode mode, struct packet *out)
{
	size_t len = cursor_left(&c);
	out->ip_header_len = (uint16_t)(c.pos - out->ip);
	out->payload = c;
	if (len == 0 || out->fragment_offset + len > 65535)
		return PACKET_MALFORMED;
	/* RFC 791 and RFC 8200 section 4.5: all but the last are whole units of 8 */
	if (out->fragment_more && len % 8 != 0 && mode == WHOLE)
		return PACKET_MALFORMED;
	return PACKET_FRAGMENT;
}

static enum packet_parse parse4(struct cursor c, enum mode mode, struct packet *out)
{
	size_t bytes = cursor_left(&c);
	size_t header = (size_t)(cursor_u8(&c) & 0x0f) * 4;
	cursor_skip(&c, 1); /* type of service */
	size_t total = cursor_u16(&c);
	uint16_t id = cursor_u16(&c);
	uint16_t fragment = cursor_u16(&c);
	cursor_skip(&c, 1); /* time to live */
	uint8_t protocol = cursor_u8(&c);
	cursor_skip(&c, 2); /* checksum */
	const uint8_t *src = cursor_bytes(&c, 4), *dst = cursor_bytes(&c, 4);
	if (total == 0)
		total = bytes;
	if (!dst || header < 20 || total < header)
		return PACKET_MALFORMED;
	out->src = address_from4(src);
	out->dst = address_from4(dst);
	out->transport = protocol;
	out->ip_len = (uint32_t)total;
	mode = mode_for(&c, total - 20, mode);
	if (!take_length(&c, total - 20, mode) || !cursor_skip(&c, header - 20))
		return PACKET_MALFORMED;
	out->fragment_offset = (fragment & 0x1fffu) * 8;
	out->fragment_more = fragment & 0x2000;
	if (out->fragment_offset || out->fragment_more) {
		out->fragment_id = id;
		return parse_fragment(c, mode, out);
	}
	return parse_transport(c, mode, out);
}

/* Walks one extension header: its next header goes to out->transport. */
static bool skip_extension(struct cursor *c, struct packet *out)
{
	uint8_t kind = out->transport;
	out->transport = cursor_u8(c);
	size_t len = cursor_u8(c);
	if (kind == IPPROTO_FRAGMENT) {
		uint16_t fragment = cursor_u16(c);
		out->fragment_offset = fragment & 0xfff8u;
		out->fragment_more = fragment & 1;
		out->fragment_id = cursor_u32(c);
	} else if (kind == IPPROTO_AH) {
		cursor_skip(c, (len + 2) * 4 - 2); /* RFC 4302 section 2.2 */
	} else {
		cursor_skip(c, (len + 1) * 8 - 2);
	}
	return !c->bad;
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_DSTOPTS || next == IPPROTO_AH;
}

static enum packet_parse parse6(struct cursor c, enum mode mode, struct packet *out)
{
	cursor_skip(&c, 4); /* version, class, flow label */
	size_t len = cursor_u16(&c);
	out->transport = cursor_u8(&c);
	cursor_skip(&c, 1); /* hop limit */
	const uint8_t *src = cursor_bytes(&c, 16), *dst = cursor_bytes(&c, 16);
	if (!dst)
		return PACKET_MALFORMED;
	out->src = address_from6(src);
	out->dst = address_from6(dst);
	if (len == 0) /* a jumbogram (RFC 2675), or offload's without its header */
		len = cursor_left(&c);
	out->ip_len = (uint32_t)(40 + len);
	mode = mode_for(&c, len, mode);
	if (address_is4(&out->src) || address_is4(&out->dst) || !take_length(&c, len, mode))
		return PACKET_MALFORMED;
	for (int n = 0; is_extension(out->transport); n++) {
		if (n == EXTENSIONS_MAX || !skip_extension(&c, out))
			return PACKET_MALFORMED;
		if (out->fragment_offset || out->fragment_more)
			return parse_fragment(c, mode, out);
	}
	return parse_transport(c, mode, out);
}

static enum packet_parse parse(const void *bytes, size_t len, enum mode mode, struct packet *out)
{
	struct cursor c = cursor_of(bytes, len);
	enum packet_parse answer = PACKET_MALFORMED;
	*out = (struct packet){.ip = bytes, .payload = {c.end, c.end, false}};
	switch (cursor_peek(&c) >> 4) {
	case 4: answer = parse4(c, mode, out); break;
	case 6: answer = parse6(c, mode, out); break;
	}
	if (answer == PACKET_MALFORMED)
		out->src_port = out->dst_port = 0;
	return answer;
}

enum packet_parse packet_parse(const void *bytes, size_t len, struct packet *out)
{
	return parse(bytes, len, WHOLE, out);
}

enum packet_parse packet_parse_cut(const void *bytes, size_t len, struct packet *out)
{
	return parse(bytes, len, CUT, out);
}

enum packet_parse packet_parse_quoted(const void *bytes, size_t len, struct packet *out)
{
	return parse(bytes, len, QUOTED, out);
}
