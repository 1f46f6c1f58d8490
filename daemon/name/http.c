#include "name/http.h"
#include "name/authority.h"
#include "name/http2.h"
#include "base/host.h"
#include "name/proxy.h"
#include <strings.h>

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
	bool sized, coded, chunked, body_bad;
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

/* What some server takes for white space within a line. */
static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

/* A method of any length and what may pass for a space; what cannot become one is another protocol.
 */
static enum parse read_method(struct cursor *stream, struct cursor *method)
{
	struct cursor c = *stream;
	while (cursor_left(&c) && token[cursor_peek(&c)])
		cursor_u8(&c);
	if (cursor_left(&c) == 0)
		return PARSE_MORE;
	if (!is_blank(cursor_peek(&c)))
		return PARSE_ABSENT;
	*method = cursor_sub(stream, (size_t)(c.pos - stream->pos));
	return PARSE_OK;
}

static bool contains(const struct cursor *c, const char *text)
{
	size_t len = strlen(text);
	for (const uint8_t *at = c->pos; at + len <= c->end; at++)
		if (strncasecmp((const char *)at, text, len) == 0)
			return true;
	return false;
}

/* SP target SP HTTP-version, alone on the rest of the line. Without a version it is a request of
 * HTTP/0.9 to some, who take its host from the target, or another protocol's. */
static enum parse read_target(struct cursor line, struct head *h)
{
	static const char version[] = " HTTP/1.";
	enum { VERSION_LEN = sizeof version }; /* with the minor digit */
	size_t len = cursor_left(&line);
	if (!contains(&line, "HTTP/"))
		return contains(&line, "://") ? PARSE_BAD : PARSE_ABSENT;
	if (!cursor_left(&h->method) || cursor_u8(&line) != ' ' || len <= VERSION_LEN + 1)
		return PARSE_BAD;
	h->target = cursor_sub(&line, len - 1 - VERSION_LEN);
	if (memcmp(line.pos, version, VERSION_LEN - 1) != 0)
		return PARSE_BAD;
	cursor_skip(&line, VERSION_LEN - 1);
	uint8_t minor = cursor_u8(&line);
	if (minor < '0' || minor > '9')
		return PARSE_BAD;
	h->old = minor == '0';
	for (struct cursor c = h->target; cursor_left(&c);)
		if (is_blank(cursor_u8(&c)))
			return PARSE_BAD;
	return PARSE_OK;
}

/* An empty line, of which a server overlooks any number before a request line (RFC 9112 2.2), and
 * some a lone CR. */
static enum parse skip_empty_line(struct cursor *stream)
{
	struct cursor c = *stream;
	bool cr = cursor_peek(&c) == '\r';
	cursor_skip(&c, cr);
	if (cr && cursor_left(&c) == 0)
		return PARSE_MORE;
	if (cursor_peek(&c) != '\n')
		return cr ? PARSE_BAD : PARSE_ABSENT;
	cursor_u8(&c);
	*stream = c;
	return PARSE_OK;
}

static enum parse read_request_line(struct cursor *stream, struct head *h)
{
	struct cursor line = {0};
	enum parse answer;
	while ((answer = skip_empty_line(stream)) == PARSE_OK)
		;
	if (answer == PARSE_ABSENT)
		answer = read_method(stream, &h->method);
	if (answer != PARSE_OK)
		return answer;
	answer = read_line(stream, &line);
	if (answer == PARSE_MORE || !line.pos)
		return answer;
	enum parse target = read_target(line, h);
	return answer == PARSE_OK || target == PARSE_ABSENT ? target : PARSE_BAD;
}

/* The next element of a list and the comma behind it, without the white space around them; false
 * at the list's end. */
static bool next_element(struct cursor *list, struct cursor *element)
{
	if (cursor_left(list) == 0)
		return false;
	const uint8_t *comma = memchr(list->pos, ',', cursor_left(list));
	*element = cursor_sub(list, (size_t)((comma ? comma : list->end) - list->pos));
	cursor_skip(list, comma ? 1 : 0);
	while (is_space(cursor_peek(element)))
		cursor_u8(element);
	while (cursor_left(element) && is_space(element->end[-1]))
		element->end--;
	return true;
}

static bool read_number(struct cursor text, uint64_t *number)
{
	size_t digits = cursor_left(&text);
	*number = 0;
	while (cursor_left(&text)) {
		uint8_t c = cursor_u8(&text);
		if (c < '0' || c > '9')
			return false;
		*number = *number * 10 + (c - '0');
	}
	return digits > 0 && digits <= 18;
}

/* Content-Length: one number, or the same one again, in a list or a field (RFC 9110 8.6). */
static void read_length(struct cursor value, struct head *h)
{
	struct cursor one;
	h->body_bad |= cursor_left(&value) == 0 || value.end[-1] == ',';
	while (next_element(&value, &one)) {
		uint64_t length;
		bool good = read_number(one, &length);
		h->body_bad |= !good || (h->sized && h->length != length);
		h->sized = true;
		h->length = length;
	}
}

/* Transfer-Encoding: codings without parameters, of which chunked is the last and stands there once
 * (RFC 9112 6.1). */
static void read_coding(struct cursor value, struct head *h)
{
	struct cursor one;
	h->coded = true;
	h->body_bad |= cursor_left(&value) == 0 || value.end[-1] == ',';
	while (next_element(&value, &one)) {
		h->body_bad |= h->chunked || cursor_left(&one) == 0 || is(&one, "identity");
		h->chunked |= is(&one, "chunked");
		while (token[cursor_peek(&one)])
			cursor_u8(&one);
		h->body_bad |= cursor_left(&one) > 0;
	}
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
	case FIELD_CODING: read_coding(line, h); break;
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

/* Whom a request is for. Where target and Host both say it, they have to agree: most servers take
 * the target's (RFC 9112 3.2.2), others hand on Host. */
static void read_name(const struct head *h, struct hello *out)
{
	struct cursor authority;
	struct hello host;
	bool absolute = target_authority(h->target, &authority);
	hello_no_name(&host, HELLO_NAME_ABSENT);
	if (h->hosts)
		authority_name(h->host, &host);
	if (absolute)
		authority_name(authority, out);
	if (!absolute) {
		out->name = host.name;
		out->host = host.host;
	} else if (h->hosts && (host.name != out->name || !host_equal(&host.host, &out->host))) {
		hello_no_name(out, HELLO_NAME_BAD);
	}
	if (h->hosts > 1 || h->host_folded)
		hello_no_name(out, HELLO_NAME_BAD);
}

/* What a head that is not whole shows of a name, in its lines and in the half line at its end. */
static void show_name(struct cursor half, bool fields, const struct head *h, struct hello *out)
{
	static const char host[] = "host:";
	size_t len = cursor_left(&half);
	read_name(h, out);
	if (fields ? len >= sizeof host && strncasecmp((const char *)half.pos, host, 5) == 0
		   : len && memmem(half.pos, len, "://", 3))
		hello_no_name(out, HELLO_NAME_BAD);
}

/* A request's head; *stream moves past it. */
static enum parse read_head(struct cursor *stream, struct head *h, struct hello *out)
{
	bool too_long = cursor_left(stream) > HTTP_HEAD_MAX, fields;
	enum parse answer = read_request_line(stream, h);
	if ((fields = answer == PARSE_OK)) {
		out->protocol = PROTOCOL_HTTP;
		out->another_may_come = true;
		answer = read_fields(stream, h);
	}
	if (answer == PARSE_MORE && !too_long)
		show_name(*stream, fields, h, out);
	if (answer != PARSE_OK)
		return answer == PARSE_MORE && too_long ? PARSE_BAD : answer;
	read_name(h, out);
	if (is(&h->method, "CONNECT"))
		hello_no_name(out, HELLO_NAME_BAD);
	return PARSE_OK;
}

/* The preface of HTTP/2 begins a connection, or follows an Upgrade; elsewhere it is a request. */
static enum parse read_request(struct cursor *stream, bool may_be_h2, struct head *h,
			       struct hello *out)
{
	hello_reset(out);
	enum parse answer = may_be_h2 ? http2_request(stream, out) : PARSE_ABSENT;
	h->h2 = answer != PARSE_ABSENT || out->protocol == PROTOCOL_HTTP;
	return h->h2 ? answer : read_head(stream, h, out);
}

enum parse http_request(struct cursor stream, struct hello *out)
{
	struct head h = {0};
	return read_request(&stream, true, &h, out);
}

/* What cannot be read is refused, as a server might read it; unless the connection was to go on
 * with another protocol, by an Upgrade or CONNECT, and no server finds a host in that. */
static enum parse next_head(struct http_follow *f, struct cursor *stream, uint64_t *body,
			    struct hello *out)
{
	struct head h = {0};
	enum parse answer = read_request(stream, !f->begun || f->upgrade, &h, out);
	bool connect = is(&h.method, "CONNECT");
	if (answer == PARSE_ABSENT)
		return f->upgrade ? PARSE_ABSENT : PARSE_BAD;
	if (answer != PARSE_OK)
		return answer;
	if (h.body_bad || (h.coded && (!h.chunked || h.sized || h.old)) ||
	    (connect && (h.coded || h.length)))
		return PARSE_BAD;
	*body = h.length;
	f->begun = true;
	f->upgrade |= h.upgrade || connect;
	f->at = h.h2 ? HTTP_FRAMES : h.coded ? HTTP_CHUNK : HTTP_HEAD;
	return PARSE_OK;
}

/* chunk-size of RFC 9112 7.1, of any number of zeros first; extensions are skipped. */
static bool chunk_size(struct cursor line, uint64_t *size)
{
	size_t digits = 0;
	bool zero = cursor_peek(&line) == '0';
	*size = 0;
	while (cursor_peek(&line) == '0')
		cursor_u8(&line);
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
	return (zero || digits > 0) && digits <= 15;
}

/* One line between two chunks, or of the trailer. Lines of chunks end with CRLF: of those that do
 * not some servers make one line of two (RFC 9112 7.1). */
static enum parse next_chunk(struct http_follow *f, struct cursor *stream, uint64_t *body)
{
	struct cursor line;
	bool at_data_end = f->at == HTTP_CHUNK_END;
	if (at_data_end && cursor_left(stream) && cursor_peek(stream) != '\r')
		return PARSE_BAD;
	enum parse answer = read_line(stream, &line);
	if (answer != PARSE_OK)
		return answer;
	bool empty = cursor_left(&line) == 0;
	if (f->at != HTTP_TRAILER && *line.end != '\r')
		return PARSE_BAD;
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
	if (f->at == HTTP_FIRST || f->at == HTTP_HEAD)
		return next_head(f, stream, body, out);
	/* Half a line of a chunk is half of no request, and a client may have to be acknowledged
	 * before it gives the rest. */
	out->server_next = true;
	switch (f->at) {
	case HTTP_FRAMES: return http2_frame(stream, body);
	default: return next_chunk(f, stream, body);
	}
}

/* What stands before a request and need not be kept: a proxy's header before the first, empty lines
 * that a client puts behind a body. */
static enum parse skip_before(struct http_follow *f, struct cursor *stream)
{
	enum parse answer = f->at == HTTP_FIRST ? proxy_header(stream) : PARSE_ABSENT;
	if (f->at == HTTP_FIRST && (answer == PARSE_OK || answer == PARSE_ABSENT))
		f->at = HTTP_HEAD;
	while (f->at == HTTP_HEAD && (answer = skip_empty_line(stream)) == PARSE_OK)
		;
	return answer == PARSE_ABSENT ? PARSE_OK : answer;
}

enum parse http_next(struct http_follow *f, struct cursor stream, uint64_t *consumed,
		     uint64_t *body, struct hello *out)
{
	const uint8_t *start = stream.pos;
	*body = 0;
	hello_reset(out);
	enum parse answer = skip_before(f, &stream);
	*consumed = (uint64_t)(stream.pos - start);
	if (answer != PARSE_OK)
		return answer;
	answer = next_part(f, &stream, body, out);
	if (answer == PARSE_OK)
		*consumed = (uint64_t)(stream.pos - start) + *body;
	return answer;
}
