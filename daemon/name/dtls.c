#include "name/dtls.h"
#include "base/host.h"
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

/* A plaintext handshake record: of epoch 0. Its version tells nothing (RFC 9147 4.1), but for
 * *usual. */
static bool read_record(struct cursor *datagram, struct cursor *record, bool *usual)
{
	uint8_t type = cursor_u8(datagram);
	*usual = cursor_u16(datagram) >> 8 == 0xfe;
	uint16_t epoch = cursor_u16(datagram);
	cursor_skip(datagram, 6);
	*record = cursor_sub(datagram, cursor_u16(datagram));
	return type == RECORD_HANDSHAKE && epoch == 0;
}

/* The next record at or after the cursor, which moves to the byte behind its first. Inside a
 * datagram one counts only where a handshake message stands in it, so that nothing random does.
 * PARSE_ABSENT: there is none. */
static enum parse next_record(struct cursor *datagram, bool first, struct cursor *record)
{
	const uint8_t *start = datagram->pos;
	while (cursor_left(datagram)) {
		struct fragment f;
		const uint8_t *at = memchr(datagram->pos, RECORD_HANDSHAKE, cursor_left(datagram));
		if (!at)
			return PARSE_ABSENT;
		cursor_skip(datagram, (size_t)(at - datagram->pos));
		struct cursor rest = *datagram;
		cursor_u8(datagram);
		bool usual, whole = read_record(&rest, record, &usual);
		struct cursor look = *record;
		if (whole && read_fragment(&look, &f) && (usual || f.type == CLIENT_HELLO))
			return PARSE_OK;
		if (whole && usual && first && at == start)
			return PARSE_BAD;
	}
	return PARSE_ABSENT;
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

/* Whether the stream holds fragments of another message that are not whole yet. */
static bool is_joining(const struct stream *message)
{
	return message && !stream_is_kept(message);
}

/* A fragment of what the stream holds. PARSE_ABSENT: of a hello that was told. */
static enum parse take_part(struct dtls_flow *f, const struct fragment *part,
			    struct stream_pool *pool, struct stream **message, bool *conflict,
			    struct hello *out)
{
	bool told = stream_is_kept(*message);
	enum parse answer = join_fragment(*message, part, conflict);
	if (answer != PARSE_MORE)
		return answer;
	struct cursor head = stream_head(*message);
	cursor_skip(&head, MESSAGE_HEADER);
	if (told || cursor_left(&head) < part->length)
		return told ? PARSE_ABSENT : PARSE_MORE;
	answer = tls_datagram_hello(cursor_sub(&head, part->length), out);
	if (answer == PARSE_OK) {
		stream_keep(pool, *message, message);
		f->floor = f->sequence + 1u;
	}
	return answer;
}

static enum parse take_fragment(struct dtls_flow *f, const struct fragment *part,
				struct stream_pool *pool, struct stream **message, bool *conflict,
				struct hello *out)
{
	bool same = *message && f->owns && part->sequence == f->sequence;
	f->seen = true;
	if (!same && cursor_left(&part->bytes) == part->length)
		return tls_datagram_hello(part->bytes, out);
	if (!same && is_joining(*message)) {
		*conflict = true;
		return PARSE_BAD;
	}
	if (!same && part->sequence < f->floor) {
		f->lost = true;
		return PARSE_ABSENT;
	}
	if (!same && *message)
		stream_put(pool, *message);
	if (!same && !(*message = stream_get(pool)))
		return PARSE_MORE;
	f->owns = true;
	f->sequence = part->sequence;
	return take_part(f, part, pool, message, conflict, out);
}

/* What a datagram's hellos say together: no server need read the one that another reads. */
static enum parse both(enum parse before, enum parse now, const struct hello *one,
		       const struct hello *other)
{
	if (before != PARSE_OK)
		return now == PARSE_ABSENT ? before : now;
	if (now == PARSE_ABSENT)
		return before;
	bool same = one->name == other->name && host_equal(&one->host, &other->host);
	return now == PARSE_OK && same ? PARSE_OK : PARSE_BAD;
}

enum parse dtls_datagram(struct dtls_flow *f, struct cursor datagram, struct stream_pool *pool,
			 struct stream **message, bool *conflict, struct hello *out)
{
	enum parse answer = PARSE_ABSENT, read;
	struct hello other;
	struct cursor record;
	bool first = true;
	*conflict = f->lost = false;
	hello_reset(out);
	for (; (read = next_record(&datagram, first, &record)) == PARSE_OK; first = false) {
		while (cursor_left(&record) && answer != PARSE_BAD) {
			struct fragment part;
			if (!read_fragment(&record, &part))
				read = answer = PARSE_BAD;
			else if (part.type == CLIENT_HELLO) {
				struct hello *to = answer == PARSE_OK ? &other : out;
				answer = both(answer,
					      take_fragment(f, &part, pool, message, conflict, to),
					      out, to);
			}
		}
		if (answer == PARSE_BAD)
			break;
	}
	if (read == PARSE_BAD)
		answer = PARSE_BAD;
	if (answer == PARSE_OK && is_joining(*message))
		answer = PARSE_BAD;
	if (answer != PARSE_ABSENT)
		out->protocol = PROTOCOL_DTLS;
	out->another_may_come = answer == PARSE_OK;
	return answer;
}
