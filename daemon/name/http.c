#include "name/http.h"
#include "name/http2.h"
#include "name/name.h"
#include <strings.h>

#define METHOD_MAX      32
#define EMPTY_LINES_MAX 4 /* before a request line (RFC 9112 2.2) */

/* tchar of RFC 9110 section 5.6.2 */
static const bool token[256] = {
	['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
	['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
	['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

enum field { FIELD_NONE, FIELD_HOST, FIELD_UPGRADE, FIELD_LENGTH, FIELD_CODING, FIELD_OTHER };

struct head {
	struct cursor method, target, host;
	unsigned hosts;
	bool old; /* HTTP/1.0 */
	bool h2;  /* HEADERS after a preface; nothing else is set then */
	bool upgrade;
	bool host_folded; /* or otherwise not one plain value */
	bool sized, coded, body_bad;
	uint64_t length;
	enum field last; /* that a folded line would go on */
};

static bool is(const struct cursor *c, const char *text)
{
	size_t len = strlen(text);
	return cursor_left(c) == len && strncasecmp((const char *)c->pos, text, len) == 0;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The next line without its end, CRLF or LF (RFC 9112 2.2). */
static enum parse read_line(struct cursor *stream, struct cursor *line)
{
	size_t have = cursor_left(stream);
	const uint8_t *end = have ? memchr(stream->pos, '\n', have) : NULL;
	if (!end)
		return have > HTTP_HEAD_MAX ? PARSE_BAD : PARSE_MORE;
	*line = cursor_sub(stream, (size_t)(end - stream->pos));
	cursor_u8(stream);
	size_t len = cursor_left(line);
	if (len && line->pos[len - 1] == '\r')
		line->end--, len--;
	return memchr(line->pos, '\r', len) || memchr(line->pos, 0, len) ? PARSE_BAD : PARSE_OK;
}

/* A method and a space; what cannot become one is another protocol. */
static enum parse read_method(struct cursor *stream, struct cursor *method)
{
	struct cursor c = *stream;
	size_t len = 0;
	while (len <= METHOD_MAX && cursor_left(&c) && token[cursor_peek(&c)]) {
		cursor_u8(&c);
		len++;
	}
	if (len > METHOD_MAX)
		return PARSE_ABSENT;
	if (cursor_left(&c) == 0)
		return PARSE_MORE;
	if (len == 0 || cursor_u8(&c) != ' ')
		return PARSE_ABSENT;
	*method = cursor_sub(stream, len);
	cursor_u8(stream);
	return PARSE_OK;
}

/* target SP HTTP-version, alone on the rest of the line. */
static enum parse read_target(struct cursor line, struct head *h)
{
	static const char version[] = " HTTP/1.";
	enum { VERSION_LEN = sizeof version }; /* with the minor digit */
	size_t len = cursor_left(&line);
	if (!len || !memmem(line.pos, len, " HTTP/", 6))
		return PARSE_ABSENT;
	if (len <= VERSION_LEN)
		return PARSE_BAD;
	h->target = cursor_sub(&line, len - VERSION_LEN);
	if (memcmp(line.pos, version, VERSION_LEN - 1) != 0)
		return PARSE_BAD;
	cursor_skip(&line, VERSION_LEN - 1);
	uint8_t minor = cursor_u8(&line);
	if (minor < '0' || minor > '9' || memchr(h->target.pos, ' ', cursor_left(&h->target)) ||
	    memchr(h->target.pos, '\t', cursor_left(&h->target)))
		return PARSE_BAD;
	h->old = minor == '0';
	return PARSE_OK;
}

static enum parse read_request_line(struct cursor *stream, struct head *h)
{
	struct cursor line;
	for (int i = 0; cursor_peek(stream) == '\r' || cursor_peek(stream) == '\n'; i++) {
		enum parse empty = read_line(stream, &line);
		if (empty == PARSE_MORE && cursor_left(stream) == 1)
			return PARSE_MORE;
		if (empty != PARSE_OK || cursor_left(&line) || i == EMPTY_LINES_MAX)
			return PARSE_ABSENT;
	}
	enum parse answer = read_method(stream, &h->method);
	if (answer != PARSE_OK)
		return answer;
	answer = read_line(stream, &line);
	if (answer != PARSE_OK)
		return answer == PARSE_BAD ? PARSE_ABSENT : answer;
	return read_target(line, h);
}

/* Content-Length: one number, or the same one again (RFC 9110 8.6). */
static void read_length(struct cursor value, struct head *h)
{
	uint64_t length = 0;
	size_t digits = cursor_left(&value);
	while (cursor_left(&value)) {
		uint8_t c = cursor_u8(&value);
		if (c < '0' || c > '9')
			h->body_bad = true;
		length = length * 10 + (c - '0');
	}
	if (digits == 0 || digits > 18 || (h->sized && h->length != length))
		h->body_bad = true;
	h->sized = true;
	h->length = length;
}

static enum field field_of(const struct cursor *name)
{
	switch (cursor_left(name)) {
	case 4: return is(name, "host") ? FIELD_HOST : FIELD_OTHER;
	case 7: return is(name, "upgrade") ? FIELD_UPGRADE : FIELD_OTHER;
	case 14: return is(name, "content-length") ? FIELD_LENGTH : FIELD_OTHER;
	case 17: return is(name, "transfer-encoding") ? FIELD_CODING : FIELD_OTHER;
	}
	return FIELD_OTHER;
}

static enum parse read_field(struct cursor line, struct head *h)
{
	struct cursor name = line;
	while (token[cursor_peek(&line)])
		cursor_u8(&line);
	name.end = line.pos;
	if (cursor_left(&name) == 0 || cursor_u8(&line) != ':')
		return PARSE_BAD;
	while (is_space(cursor_peek(&line)))
		cursor_u8(&line);
	while (cursor_left(&line) && is_space(line.end[-1]))
		line.end--;
	h->last = field_of(&name);
	switch (h->last) {
	case FIELD_HOST:
		h->host = line;
		h->hosts++;
		break;
	case FIELD_UPGRADE: h->upgrade = true; break;
	case FIELD_LENGTH: read_length(line, h); break;
	case FIELD_CODING:
		h->body_bad |= h->coded || !is(&line, "chunked");
		h->coded = true;
		break;
	default: break;
	}
	return PARSE_OK;
}

/* A line that goes on the field before (obs-fold, RFC 9112 5.2). */
static enum parse read_fold(struct head *h)
{
	if (h->last == FIELD_NONE)
		return PARSE_BAD;
	h->host_folded |= h->last == FIELD_HOST;
	h->body_bad |= h->last == FIELD_LENGTH || h->last == FIELD_CODING;
	return PARSE_OK;
}

/* The fields up to the empty line that ends them. */
static enum parse read_fields(struct cursor *stream, struct head *h)
{
	for (;;) {
		struct cursor line;
		enum parse answer = read_line(stream, &line);
		if (answer != PARSE_OK || cursor_left(&line) == 0)
			return answer;
		answer = is_space(cursor_peek(&line)) ? read_fold(h) : read_field(line, h);
		if (answer != PARSE_OK)
			return answer;
	}
}

/* The bytes up to `stop` (with it where `with`) or the end. */
static struct cursor span(struct cursor *c, uint8_t stop, bool with)
{
	size_t have = cursor_left(c);
	const uint8_t *at = have ? memchr(c->pos, stop, have) : NULL;
	return cursor_sub(c, at ? (size_t)(at - c->pos) + with : have);
}

void http_authority(struct cursor authority, struct hello *out)
{
	bool literal = cursor_peek(&authority) == '[';
	struct cursor host = span(&authority, literal ? ']' : ':', literal);
	bool port = cursor_left(&authority) > 0;
	bool good = !port || (cursor_u8(&authority) == ':' && cursor_left(&host) > 0);
	while (cursor_left(&authority)) {
		uint8_t digit = cursor_u8(&authority);
		good &= digit >= '0' && digit <= '9';
	}
	if (good)
		hello_name(host.pos, cursor_left(&host), out);
	else
		hello_no_name(out, HELLO_NAME_BAD);
}

/* The authority of an absolute-form target (RFC 9112 3.2.2): scheme "://" authority. */
static bool target_authority(struct cursor target, struct cursor *authority)
{
	size_t scheme = 0;
	while (cursor_left(&target) && token[cursor_peek(&target)]) {
		cursor_u8(&target);
		scheme++;
	}
	if (!scheme || cursor_u8(&target) != ':' || cursor_u8(&target) != '/' ||
	    cursor_u8(&target) != '/')
		return false;
	*authority = target;
	while (cursor_left(&target) && !strchr("/?#", cursor_peek(&target)))
		cursor_u8(&target);
	authority->end = target.pos;
	return true;
}

/* A request's head; *stream moves past it. */
static enum parse read_head(struct cursor *stream, struct head *h, struct hello *out)
{
	struct cursor start = *stream;
	enum parse answer = read_request_line(stream, h);
	if (answer != PARSE_OK)
		return answer;
	out->protocol = PROTOCOL_HTTP;
	out->another_may_come = true;
	answer = read_fields(stream, h);
	if (answer != PARSE_OK)
		return answer == PARSE_MORE && cursor_left(&start) > HTTP_HEAD_MAX ? PARSE_BAD
										   : answer;
	struct cursor authority;
	if (h->hosts > 1 || h->host_folded)
		out->name = HELLO_NAME_BAD;
	else if (target_authority(h->target, &authority))
		http_authority(authority, out);
	else if (h->hosts)
		http_authority(h->host, out);
	return is(&h->method, "CONNECT") ? PARSE_ABSENT : PARSE_OK;
}

static enum parse read_request(struct cursor *stream, struct head *h, struct hello *out)
{
	hello_reset(out);
	enum parse answer = http2_request(stream, out);
	h->h2 = answer != PARSE_ABSENT || out->protocol == PROTOCOL_HTTP;
	return h->h2 ? answer : read_head(stream, h, out);
}

enum parse http_request(struct cursor stream, struct hello *out)
{
	struct head h = {0};
	return read_request(&stream, &h, out);
}

static bool may_be_text(const struct cursor *c)
{
	uint8_t first = cursor_peek(c);
	return token[first] || first == '\r' || first == '\n';
}

/* What cannot be read is refused, as a server might read it; unless the connection was to go on
 * with another protocol, and that is none which looks like HTTP. */
static enum parse next_head(struct http_follow *f, struct cursor *stream, uint64_t *body,
			    struct hello *out)
{
	struct head h = {0};
	bool text = may_be_text(stream);
	enum parse answer = read_request(stream, &h, out);
	bool connect = answer == PARSE_ABSENT && out->protocol == PROTOCOL_HTTP;
	if (answer == PARSE_ABSENT && !connect)
		return f->upgrade && !text ? PARSE_ABSENT : PARSE_BAD;
	if (connect) {
		hello_no_name(out, HELLO_NAME_ABSENT);
	} else if (answer != PARSE_OK) {
		return answer;
	} else if (h.body_bad || (h.coded && (h.sized || h.old))) {
		return PARSE_BAD;
	}
	*body = connect ? 0 : h.length;
	f->upgrade |= h.upgrade;
	f->at = h.h2 ? HTTP_FRAMES : connect ? HTTP_TUNNEL : h.coded ? HTTP_CHUNK : HTTP_HEAD;
	return PARSE_OK;
}

/* chunk-size of RFC 9112 7.1; extensions are skipped. */
static bool chunk_size(struct cursor line, uint64_t *size)
{
	size_t digits = 0;
	*size = 0;
	for (; cursor_left(&line); digits++) {
		uint8_t c = cursor_u8(&line);
		uint8_t lower = c | 0x20;
		if (c >= '0' && c <= '9')
			*size = *size << 4 | (c - '0');
		else if (lower >= 'a' && lower <= 'f')
			*size = *size << 4 | (lower - 'a' + 10);
		else if (c == ';' || is_space(c))
			break;
		else
			return false;
	}
	return digits > 0 && digits <= 15;
}

/* One line between two chunks, or of the trailer. */
static enum parse next_chunk(struct http_follow *f, struct cursor *stream, uint64_t *body)
{
	struct cursor line;
	bool at_data_end = f->at == HTTP_CHUNK_END;
	uint8_t first = cursor_peek(stream);
	if (at_data_end && cursor_left(stream) && first != '\r' && first != '\n')
		return PARSE_BAD;
	enum parse answer = read_line(stream, &line);
	if (answer != PARSE_OK)
		return answer;
	bool empty = cursor_left(&line) == 0;
	if (f->at == HTTP_TRAILER) {
		f->at = empty ? HTTP_HEAD : HTTP_TRAILER;
	} else if (at_data_end) {
		f->at = HTTP_CHUNK;
		return empty ? PARSE_OK : PARSE_BAD;
	} else {
		if (!chunk_size(line, body))
			return PARSE_BAD;
		f->at = *body ? HTTP_CHUNK_END : HTTP_TRAILER;
	}
	return PARSE_OK;
}

static enum parse next_part(struct http_follow *f, struct cursor *stream, uint64_t *body,
			    struct hello *out)
{
	switch (f->at) {
	case HTTP_HEAD: return next_head(f, stream, body, out);
	case HTTP_FRAMES: return http2_frame(stream, body);
	case HTTP_TUNNEL: return PARSE_ABSENT;
	default: return next_chunk(f, stream, body);
	}
}

enum parse http_next(struct http_follow *f, struct cursor stream, uint64_t *consumed,
		     struct hello *out)
{
	const uint8_t *start = stream.pos;
	*consumed = 0;
	hello_reset(out);
	for (;;) {
		uint64_t body = 0;
		bool head = f->at == HTTP_HEAD;
		enum parse answer = next_part(f, &stream, &body, out);
		if (answer != PARSE_OK)
			return answer;
		*consumed = (uint64_t)(stream.pos - start) + body;
		if (head)
			return PARSE_OK;
		if (!cursor_skip(&stream, body))
			return PARSE_MORE;
	}
}
