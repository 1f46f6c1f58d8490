#include "name/dtls.h"
#include "name/tls.h"

enum { RECORD_HANDSHAKE = 22, CLIENT_HELLO = 1, MESSAGE_HEADER = 12 };

/* One fragment of a handshake message (RFC 6347 4.2.2). */
struct fragment {
	uint8_t type;
	uint32_t length, offset;
	uint16_t sequence;
	struct cursor bytes;
};

static bool read_fragment(struct cursor *record, struct fragment *f)
{
	f->type = cursor_u8(record);
	f->length = cursor_u24(record);
	f->sequence = cursor_u16(record);
	f->offset = cursor_u24(record);
	f->bytes = cursor_sub(record, cursor_u24(record));
	return !record->bad && f->length <= TLS_HELLO_MAX - MESSAGE_HEADER &&
	       f->offset + cursor_left(&f->bytes) <= f->length;
}

/* A plaintext handshake record: of epoch 0. PARSE_ABSENT: another one. */
static enum parse read_record(struct cursor *datagram, struct cursor *record)
{
	uint8_t type = cursor_u8(datagram);
	uint8_t major = cursor_u8(datagram);
	cursor_u8(datagram);
	uint16_t epoch = cursor_u16(datagram);
	cursor_skip(datagram, 6);
	*record = cursor_sub(datagram, cursor_u16(datagram));
	if (type != RECORD_HANDSHAKE || major != 0xfe || epoch != 0)
		return PARSE_ABSENT;
	return datagram->bad || cursor_left(record) == 0 ? PARSE_BAD : PARSE_OK;
}

bool dtls_is_handshake(struct cursor datagram)
{
	uint8_t type = cursor_u8(&datagram);
	uint8_t major = cursor_u8(&datagram);
	cursor_u8(&datagram);
	return type == RECORD_HANDSHAKE && major == 0xfe && cursor_u16(&datagram) == 0 &&
	       !datagram.bad;
}

/* The message's header goes before its body into the stream, so that fragments which disagree on
 * length or sequence contradict each other like any others. */
static enum parse join_fragment(struct stream *s, const struct fragment *f, bool *conflict)
{
	const uint8_t header[MESSAGE_HEADER] = {f->type,
						(uint8_t)(f->length >> 16),
						(uint8_t)(f->length >> 8),
						(uint8_t)f->length,
						(uint8_t)(f->sequence >> 8),
						(uint8_t)f->sequence};
	enum stream_add added = stream_add(s, 0, header, sizeof header);
	if (added == STREAM_OK)
		added = stream_add(s, MESSAGE_HEADER + f->offset, f->bytes.pos,
				   cursor_left(&f->bytes));
	*conflict |= added == STREAM_CONFLICT;
	return added == STREAM_OK ? PARSE_MORE : PARSE_BAD;
}

static enum parse take_fragment(const struct fragment *f, struct stream_pool *pool,
				struct stream **message, bool *conflict, struct hello *out)
{
	if (!*message && cursor_left(&f->bytes) == f->length)
		return tls_datagram_hello(f->bytes, out);
	if (!*message && (!pool || !(*message = stream_get(pool))))
		return PARSE_MORE;
	enum parse answer = join_fragment(*message, f, conflict);
	if (answer != PARSE_MORE)
		return answer;
	struct cursor head = stream_head(*message);
	cursor_skip(&head, MESSAGE_HEADER);
	if (cursor_left(&head) < f->length)
		return PARSE_MORE;
	answer = tls_datagram_hello(cursor_sub(&head, f->length), out);
	if (answer == PARSE_OK) {
		stream_put(pool, *message);
		*message = NULL;
	}
	return answer;
}

enum parse dtls_datagram(struct cursor datagram, struct stream_pool *pool, struct stream **message,
			 bool *conflict, struct hello *out)
{
	enum parse answer = PARSE_ABSENT;
	*conflict = false;
	hello_reset(out);
	while (cursor_left(&datagram)) {
		struct cursor record;
		enum parse read = read_record(&datagram, &record);
		if (read == PARSE_ABSENT)
			break;
		out->protocol = PROTOCOL_DTLS;
		if (read == PARSE_BAD)
			return PARSE_BAD;
		while (cursor_left(&record)) {
			struct fragment f;
			if (!read_fragment(&record, &f))
				return PARSE_BAD;
			if (f.type != CLIENT_HELLO)
				return answer;
			answer = take_fragment(&f, pool, message, conflict, out);
			out->protocol = PROTOCOL_DTLS;
			out->another_may_come = true;
			if (answer != PARSE_MORE)
				return answer;
		}
	}
	return answer;
}
