#include "name/http2.h"
#include "name/authority.h"
#include "name/http.h"
#include "base/host.h"
#include <nghttp2/nghttp2.h>

enum { FRAME_HEADER = 9, FRAME_MAX = 1 << 14 };
enum {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_SETTINGS = 4,
	FRAME_PUSH_PROMISE = 5,
	FRAME_CONTINUATION = 9,
};
enum { FLAG_END_HEADERS = 0x04, FLAG_PADDED = 0x08, FLAG_PRIORITY = 0x20 };
enum { BLOCK_MAX = 32768, ARENA_SIZE = 98304 };

/* The inflater's memory: it lives for one header block, so nothing is given back. */
struct arena {
	size_t used;
	_Alignas(16) uint8_t bytes[ARENA_SIZE];
};

static void *arena_malloc(size_t size, void *user)
{
	struct arena *a = user;
	size_t need = ((size + 15) & ~(size_t)15) + 16;
	if (size > ARENA_SIZE || need > ARENA_SIZE - a->used)
		return NULL;
	uint8_t *at = a->bytes + a->used;
	a->used += need;
	memcpy(at, &size, sizeof size);
	return at + 16;
}

static void arena_free(void *old, void *user)
{
}

static void *arena_calloc(size_t count, size_t size, void *user)
{
	if (size && count > ARENA_SIZE / size)
		return NULL;
	void *at = arena_malloc(count * size, user);
	return at ? memset(at, 0, count * size) : NULL;
}

static void *arena_realloc(void *old, size_t size, void *user)
{
	size_t had = 0;
	void *at = arena_malloc(size, user);
	if (!at || !old)
		return at;
	memcpy(&had, (uint8_t *)old - 16, sizeof had);
	return memcpy(at, old, had < size ? had : size);
}

struct request {
	unsigned authorities, hosts;
	bool connect, extended;
	struct hello authority, host; /* only their names are used */
};

static bool named(const nghttp2_nv *nv, const char *name)
{
	return nv->namelen == strlen(name) && memcmp(nv->name, name, nv->namelen) == 0;
}

static void take_field(const nghttp2_nv *nv, struct request *r)
{
	struct cursor value = cursor_of(nv->value, nv->valuelen);
	if (named(nv, ":authority")) {
		r->authorities++;
		authority_name(value, &r->authority);
	} else if (named(nv, "host")) {
		r->hosts++;
		authority_name(value, &r->host);
	} else if (named(nv, ":method")) {
		r->connect = nv->valuelen == 7 && memcmp(nv->value, "CONNECT", 7) == 0;
	} else if (named(nv, ":protocol")) {
		r->extended = true;
	}
}

static enum parse inflate(struct cursor block, struct request *r)
{
	struct arena arena = {.used = 0};
	nghttp2_mem mem = {&arena, arena_malloc, arena_free, arena_calloc, arena_realloc};
	nghttp2_hd_inflater *inflater;
	if (nghttp2_hd_inflate_new2(&inflater, &mem) != 0)
		return PARSE_BAD;
	enum parse answer = PARSE_MORE;
	while (answer == PARSE_MORE) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, block.pos,
						   cursor_left(&block), 1);
		if (n < 0 || !cursor_skip(&block, (size_t)n))
			answer = PARSE_BAD;
		else if (flags & NGHTTP2_HD_INFLATE_EMIT)
			take_field(&nv, r);
		else if (flags & NGHTTP2_HD_INFLATE_FINAL)
			answer = PARSE_OK;
		else if (n == 0)
			answer = PARSE_BAD;
	}
	nghttp2_hd_inflate_del(inflater);
	return answer;
}

static enum parse read_block(struct cursor block, struct hello *out)
{
	struct request r = {0};
	if (inflate(block, &r) != PARSE_OK)
		return PARSE_BAD;
	const struct hello *from = r.authorities ? &r.authority : &r.host;
	bool both = r.authorities && r.hosts;
	out->name = from->name;
	out->host = from->host;
	if (r.authorities > 1 || r.hosts > 1 ||
	    (both &&
	     (r.authority.name != r.host.name || !host_equal(&r.authority.host, &r.host.host)))) {
		hello_no_name(out, HELLO_NAME_BAD);
	}
	if (r.connect && !r.extended)
		hello_no_name(out, HELLO_NAME_BAD);
	return PARSE_OK;
}

struct frame {
	uint8_t type, flags;
	uint32_t stream;
	struct cursor payload;
};

static enum parse read_frame(struct cursor *c, struct frame *f)
{
	uint32_t len = cursor_u24(c);
	f->type = cursor_u8(c);
	f->flags = cursor_u8(c);
	f->stream = cursor_u32(c) & 0x7fffffff;
	if (!c->bad && len > FRAME_MAX)
		return PARSE_BAD;
	f->payload = cursor_sub(c, len);
	return c->bad ? PARSE_MORE : PARSE_OK;
}

/* The header block in a HEADERS frame (RFC 9113 6.2), without padding and priority. */
static enum parse headers_block(struct frame *f)
{
	size_t padding = f->flags & FLAG_PADDED ? cursor_u8(&f->payload) : 0;
	if (f->flags & FLAG_PRIORITY)
		cursor_skip(&f->payload, 5);
	if (f->payload.bad || padding > cursor_left(&f->payload) || !(f->stream & 1))
		return PARSE_BAD;
	f->payload.end -= padding;
	return PARSE_OK;
}

/* HEADERS that CONTINUATION frames go on. */
static __attribute__((noinline)) enum parse read_continued(struct cursor *c, struct frame f,
							   struct hello *out)
{
	uint8_t block[BLOCK_MAX];
	size_t len = 0;
	uint32_t stream = f.stream;
	for (;;) {
		size_t more = cursor_left(&f.payload);
		if (more > sizeof block - len)
			return PARSE_BAD;
		cursor_copy(&f.payload, block + len, more);
		len += more;
		if (f.flags & FLAG_END_HEADERS)
			return read_block(cursor_of(block, len), out);
		enum parse answer = read_frame(c, &f);
		if (answer != PARSE_OK)
			return answer;
		if (f.type != FRAME_CONTINUATION || f.stream != stream)
			return PARSE_BAD;
	}
}

static enum parse read_frames(struct cursor *c, struct hello *out)
{
	for (bool first = true;; first = false) {
		struct frame f;
		out->server_next = !first && cursor_left(c) == 0;
		enum parse answer = read_frame(c, &f);
		if (f.type == FRAME_HEADERS) /* a part of one shows some name */
			hello_no_name(out, HELLO_NAME_BAD);
		if (answer != PARSE_OK)
			return answer;
		if (first != (f.type == FRAME_SETTINGS) && first)
			return PARSE_BAD;
		if (f.type == FRAME_DATA || f.type == FRAME_CONTINUATION)
			return PARSE_BAD;
		if (f.type != FRAME_HEADERS)
			continue;
		if (headers_block(&f) != PARSE_OK)
			return PARSE_BAD;
		return f.flags & FLAG_END_HEADERS ? read_block(f.payload, out)
						  : read_continued(c, f, out);
	}
}

enum parse http2_request(struct cursor *stream, struct hello *out)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	enum { PREFACE_LEN = sizeof preface - 1 };
	struct cursor c = *stream;
	size_t have = cursor_left(&c);
	size_t compare = have < PREFACE_LEN ? have : PREFACE_LEN;
	if (compare == 0)
		return PARSE_MORE;
	if (memcmp(c.pos, preface, compare) != 0)
		return PARSE_ABSENT;
	if (!cursor_skip(&c, PREFACE_LEN))
		return PARSE_MORE;
	out->protocol = PROTOCOL_HTTP;
	out->another_may_come = true;
	enum parse answer = read_frames(&c, out);
	if (answer == PARSE_OK)
		*stream = c;
	return answer == PARSE_MORE && have > HTTP_HEAD_MAX ? PARSE_BAD : answer;
}

enum parse http2_frame(struct cursor *stream, uint64_t *len)
{
	struct cursor c = *stream;
	*len = cursor_u24(&c);
	uint8_t type = cursor_u8(&c);
	cursor_skip(&c, 5);
	if (c.bad)
		return PARSE_MORE;
	*stream = c;
	bool names =
		type == FRAME_HEADERS || type == FRAME_PUSH_PROMISE || type == FRAME_CONTINUATION;
	return names ? PARSE_BAD : PARSE_OK;
}
