#include "source/pcap_file.h"

#include "base/clock.h"
#include "base/cursor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAME_MAX      (16u << 20) /* libpcap's bound of a block */
#define INTERFACES_MAX 65536u
#define TIME_MAX       (INT64_MAX / NS_PER_S - 1)

enum { /* classic */
       MAGIC_US = 0xa1b2c3d4,
       MAGIC_NS = 0xa1b23c4d,
       MAGIC_KUZNETZOV = 0xa1b2cd34, /* records have eight bytes more */
       FILE_HEADER = 24,
       RECORD_HEADER = 16,
};

enum { /* pcapng */
       BLOCK_SECTION = 0x0a0d0d0a,
       BLOCK_INTERFACE = 1,
       BLOCK_PACKET = 2, /* obsolete */
       BLOCK_SIMPLE = 3,
       BLOCK_ENHANCED = 6,
       ORDER_MAGIC = 0x1a2b3c4d,
       OPTION_TSRESOL = 9,
       OPTION_TSOFFSET = 14,
};

struct interface {
	uint32_t link, snaplen;
	uint64_t unit;  /* ticks a second */
	int64_t offset; /* seconds */
};

struct pcap_reader {
	FILE *in;
	bool ng, swapped;                    /* swapped: not big-endian, as a cursor reads */
	uint32_t record_header, nanoseconds; /* classic: of a record, and of its fraction's unit */
	struct interface *interface;         /* classic: one */
	uint32_t interfaces, room;
	int64_t time; /* of the last frame */
	uint8_t *bytes;
	size_t size; /* of bytes */
	char why[96];
};

static uint16_t u16(const struct pcap_reader *r, struct cursor *c)
{
	uint16_t v = cursor_u16(c);
	return r->swapped ? __builtin_bswap16(v) : v;
}

static uint32_t u32(const struct pcap_reader *r, struct cursor *c)
{
	uint32_t v = cursor_u32(c);
	return r->swapped ? __builtin_bswap32(v) : v;
}

static enum pcap_read broken(struct pcap_reader *r, const char *why)
{
	snprintf(r->why, sizeof r->why, "%s", why);
	return PCAP_READ_BROKEN;
}

/* Reads n bytes behind the `at` that are there. */
static enum pcap_read fill(struct pcap_reader *r, size_t at, size_t n)
{
	if (at + n > r->size) {
		uint8_t *bytes = realloc(r->bytes, at + n);
		if (!bytes)
			return broken(r, "not enough memory for a frame");
		r->bytes = bytes;
		r->size = at + n;
	}
	size_t got = fread(r->bytes + at, 1, n, r->in);
	if (got == n)
		return PCAP_READ_FRAME;
	if (ferror(r->in))
		return broken(r, strerror(errno));
	return got + at == 0 ? PCAP_READ_END : broken(r, "it breaks off in the middle of a frame");
}

static int64_t time_at(int64_t seconds, uint64_t nanoseconds)
{
	bool counts = seconds >= 0 && seconds <= TIME_MAX && nanoseconds < (uint64_t)NS_PER_S;
	return counts ? seconds * NS_PER_S + (int64_t)nanoseconds : 0;
}

/* ---- classic ---- */

static enum pcap_read next_record(struct pcap_reader *r, struct pcap_frame *out)
{
	enum pcap_read got = fill(r, 0, r->record_header);
	struct cursor c = cursor_of(r->bytes, r->record_header);
	if (got != PCAP_READ_FRAME)
		return got;
	uint32_t seconds = u32(r, &c);
	uint64_t fraction = u32(r, &c);
	out->time = time_at(seconds, fraction * r->nanoseconds % NS_PER_S);
	out->caplen = u32(r, &c);
	out->len = u32(r, &c);
	out->link = r->interface->link;
	if (out->caplen > FRAME_MAX)
		return broken(r, "a frame of more than 16 MiB");
	got = fill(r, r->record_header, out->caplen);
	out->bytes = r->bytes + r->record_header;
	return got;
}

/* ---- pcapng ---- */

/* Powers of ten, or of two where the highest bit is set. */
static uint64_t unit_of(uint8_t resolution)
{
	uint64_t unit = 1;
	if (resolution & 0x80)
		return (resolution & 0x7f) < 64 ? 1ull << (resolution & 0x7f) : 0;
	for (int i = 0; i < resolution && i < 20; i++)
		unit *= 10;
	return resolution < 20 ? unit : 0;
}

static int64_t time_of(const struct interface *i, uint32_t high, uint32_t low)
{
	uint64_t ticks = (uint64_t)high << 32 | low;
	if (!i->unit)
		return 0;
	unsigned __int128 part = (unsigned __int128)(ticks % i->unit) * NS_PER_S / i->unit;
	int64_t seconds;
	if (ticks / i->unit > INT64_MAX ||
	    __builtin_add_overflow((int64_t)(ticks / i->unit), i->offset, &seconds))
		return 0;
	return time_at(seconds, (uint64_t)part);
}

static void read_options(const struct pcap_reader *r, struct cursor c, struct interface *i)
{
	while (cursor_left(&c)) {
		uint16_t code = u16(r, &c), len = u16(r, &c);
		struct cursor value = cursor_sub(&c, len);
		cursor_skip(&c, -len & 3u);
		if (code == 0)
			return;
		if (code == OPTION_TSRESOL && len >= 1)
			i->unit = unit_of(cursor_u8(&value));
		if (code == OPTION_TSOFFSET && len >= 8) {
			uint64_t offset = cursor_u64(&value);
			i->offset = (int64_t)(r->swapped ? __builtin_bswap64(offset) : offset);
		}
	}
}

static bool add_interface(struct pcap_reader *r, const struct interface *i)
{
	if (r->interfaces == r->room) {
		uint32_t room = r->room ? r->room * 2 : 4;
		struct interface *more = room > INTERFACES_MAX
						 ? NULL
						 : reallocarray(r->interface, room, sizeof *more);
		if (!more)
			return false;
		r->interface = more;
		r->room = room;
	}
	r->interface[r->interfaces++] = *i;
	return true;
}

static enum pcap_read take_interface(struct pcap_reader *r, struct cursor c)
{
	struct interface i = {.unit = 1000000};
	i.link = u16(r, &c);
	cursor_skip(&c, 2);
	i.snaplen = u32(r, &c);
	if (c.bad)
		return broken(r, "an interface without its description");
	read_options(r, c, &i);
	return add_interface(r, &i) ? PCAP_READ_END : broken(r, "too many interfaces");
}

/* What the packet blocks have in common, from their time on. */
static enum pcap_read take_packet(struct pcap_reader *r, uint32_t id, struct cursor c,
				  struct pcap_frame *out)
{
	bool known = id < r->interfaces;
	uint32_t high = u32(r, &c), low = u32(r, &c);
	out->link = known ? r->interface[id].link : PCAP_LINK_NONE;
	out->time = known ? time_of(&r->interface[id], high, low) : r->time;
	out->caplen = u32(r, &c);
	out->len = u32(r, &c);
	out->bytes = cursor_bytes(&c, out->caplen);
	return c.bad ? broken(r, "a frame that is longer than its block") : PCAP_READ_FRAME;
}

/* Of the first interface; without a time, so it has the one of the frame before. */
static enum pcap_read take_simple(struct pcap_reader *r, struct cursor c, struct pcap_frame *out)
{
	static const struct interface unknown = {.link = PCAP_LINK_NONE};
	const struct interface *i = r->interfaces ? r->interface : &unknown;
	out->link = i->link;
	out->time = r->time;
	out->len = out->caplen = u32(r, &c);
	if (i->snaplen && out->caplen > i->snaplen)
		out->caplen = i->snaplen;
	out->bytes = cursor_bytes(&c, out->caplen);
	return c.bad ? broken(r, "a frame that is longer than its block") : PCAP_READ_FRAME;
}

static enum pcap_read begin_section(struct pcap_reader *r, struct cursor c)
{
	if (cursor_u32(&c) != ORDER_MAGIC && !r->swapped)
		return broken(r, "a section of no known byte order");
	if (u16(r, &c) != 1)
		return broken(r, "a section of another version of pcapng");
	r->interfaces = 0;
	return PCAP_READ_END;
}

/* END: the block has no frame, and the next one is to be read. */
static enum pcap_read take_block(struct pcap_reader *r, uint32_t type, struct cursor c,
				 struct pcap_frame *out)
{
	uint32_t id;
	switch (type) {
	case BLOCK_SECTION: return begin_section(r, c);
	case BLOCK_INTERFACE: return take_interface(r, c);
	case BLOCK_SIMPLE: return take_simple(r, c, out);
	case BLOCK_ENHANCED: id = u32(r, &c); return take_packet(r, id, c, out);
	case BLOCK_PACKET:
		id = u16(r, &c);
		cursor_skip(&c, 2); /* drops */
		return take_packet(r, id, c, out);
	}
	return PCAP_READ_END;
}

/* A whole block into r->bytes, of which `at` bytes are there. A section's says its byte order. */
static enum pcap_read read_block(struct pcap_reader *r, size_t at, uint32_t *type,
				 struct cursor *body)
{
	enum pcap_read got = fill(r, at, 12 - at); /* type, length, and four of the body */
	struct cursor head = cursor_of(r->bytes, 8), order = cursor_of(r->bytes + 8, 4);
	if (got != PCAP_READ_FRAME)
		return got;
	*type = u32(r, &head);
	if (*type == BLOCK_SECTION) /* the same in either order */
		r->swapped = cursor_u32(&order) == __builtin_bswap32(ORDER_MAGIC);
	head = cursor_of(r->bytes + 4, 4);
	uint32_t len = u32(r, &head);
	if (len < 12 || len % 4 || len > FRAME_MAX)
		return broken(r, "a block of an impossible length");
	got = fill(r, 12, len - 12);
	if (got != PCAP_READ_FRAME)
		return got;
	struct cursor tail = cursor_of(r->bytes + len - 4, 4);
	if (u32(r, &tail) != len)
		return broken(r, "a block that does not end as it begins");
	*body = cursor_of(r->bytes + 8, len - 12);
	return got;
}

static enum pcap_read next_packet(struct pcap_reader *r, struct pcap_frame *out)
{
	uint32_t type;
	struct cursor body;
	enum pcap_read got = PCAP_READ_END, block = PCAP_READ_FRAME;
	while (got == PCAP_READ_END && block == PCAP_READ_FRAME) {
		block = read_block(r, 0, &type, &body);
		if (block == PCAP_READ_FRAME)
			got = take_block(r, type, body, out);
	}
	return block == PCAP_READ_FRAME ? got : block;
}

/* ---- opening ---- */

static bool read_header(struct pcap_reader *r)
{
	if (fill(r, 0, 4) != PCAP_READ_FRAME)
		return false;
	struct cursor c = cursor_of(r->bytes, 4);
	uint32_t magic = cursor_u32(&c), type;
	if (magic == BLOCK_SECTION) {
		r->ng = true;
		return read_block(r, 4, &type, &c) == PCAP_READ_FRAME &&
		       begin_section(r, c) == PCAP_READ_END;
	}
	r->swapped = (magic & 0xff) == 0xa1;
	magic = r->swapped ? __builtin_bswap32(magic) : magic;
	if ((magic != MAGIC_US && magic != MAGIC_NS && magic != MAGIC_KUZNETZOV) ||
	    fill(r, 4, FILE_HEADER - 4) != PCAP_READ_FRAME)
		return false;
	r->record_header = RECORD_HEADER + (magic == MAGIC_KUZNETZOV ? 8 : 0);
	r->nanoseconds = magic == MAGIC_NS ? 1 : 1000;
	c = cursor_of(r->bytes + 16, 8);
	struct interface i = {.snaplen = u32(r, &c)};
	i.link = u32(r, &c) & 0xffff; /* above: of the frame check sequence */
	return add_interface(r, &i);
}

struct pcap_reader *pcap_reader_open(const char *path, struct errors *errors)
{
	struct pcap_reader *r = calloc(1, sizeof *r);
	if (r)
		r->in = fopen(path, "rbe");
	if (!r || !r->in) {
		errors_add(errors, path, 0, "%s; want a pcap or pcapng file", strerror(errno));
		free(r);
		return NULL;
	}
	if (!read_header(r)) {
		errors_add(errors, path, 0, "%s; want a pcap or pcapng file",
			   *r->why ? r->why : "not a capture");
		pcap_reader_close(r);
		return NULL;
	}
	return r;
}

void pcap_reader_close(struct pcap_reader *r)
{
	if (!r)
		return;
	fclose(r->in);
	free(r->interface);
	free(r->bytes);
	free(r);
}

enum pcap_read pcap_reader_next(struct pcap_reader *r, struct pcap_frame *out)
{
	enum pcap_read got = r->ng ? next_packet(r, out) : next_record(r, out);
	if (got == PCAP_READ_FRAME)
		r->time = out->time;
	return got;
}

const char *pcap_reader_why(const struct pcap_reader *r)
{
	return r->why;
}

/* ---- writing ---- */

struct pcap_writer {
	FILE *out;
	bool ng;
	uint32_t *link; /* pcapng: of its interfaces */
	uint32_t links;
	int error;
};

static void put(struct pcap_writer *w, const void *bytes, size_t len)
{
	if (fwrite(bytes, 1, len, w->out) != len && !w->error)
		w->error = errno ? errno : EIO;
}

/* A block of words and, behind them, bytes. */
static void put_block(struct pcap_writer *w, uint32_t type, const uint32_t *word, size_t words,
		      const void *bytes, uint32_t len)
{
	static const uint8_t zero[4];
	uint32_t all = 12 + (uint32_t)(words * sizeof *word) + ((len + 3) & ~3u);
	put(w, &type, sizeof type);
	put(w, &all, sizeof all);
	put(w, word, words * sizeof *word);
	put(w, bytes, len);
	put(w, zero, -len & 3u);
	put(w, &all, sizeof all);
}

/* The interface of a link type, described before its first frame. */
static uint32_t interface_of(struct pcap_writer *w, uint32_t link)
{
	for (uint32_t i = 0; i < w->links; i++)
		if (w->link[i] == link)
			return i;
	uint32_t *more = reallocarray(w->link, w->links + 1, sizeof *more);
	if (!more) {
		w->error = ENOMEM;
		return 0;
	}
	w->link = more;
	const struct {
		uint16_t link, none;
		uint32_t snaplen; /* 0: none */
		uint16_t option, len;
		uint8_t resolution[4]; /* 10^-9 */
	} h = {(uint16_t)link, 0, 0, OPTION_TSRESOL, 1, {9}};
	put_block(w, BLOCK_INTERFACE, (const uint32_t *)&h, sizeof h / 4, "", 0);
	w->link[w->links] = link;
	return w->links++;
}

struct pcap_writer *pcap_writer_open(const char *path, const struct pcap_reader *like)
{
	struct pcap_writer *w = calloc(1, sizeof *w);
	FILE *out = w ? fopen(path, "wbe") : NULL;
	if (!out) {
		free(w);
		return NULL;
	}
	*w = (struct pcap_writer){.out = out, .ng = like->ng};
	if (w->ng) {
		const struct {
			uint32_t order;
			uint16_t major, minor;
			uint32_t length[2]; /* not told */
		} h = {ORDER_MAGIC, 1, 0, {UINT32_MAX, UINT32_MAX}};
		put_block(w, BLOCK_SECTION, (const uint32_t *)&h, sizeof h / 4, "", 0);
	} else {
		const struct {
			uint32_t magic;
			uint16_t major, minor;
			uint32_t zone, accuracy, snaplen, link;
		} h = {MAGIC_NS, 2, 4, 0, 0, like->interface->snaplen, like->interface->link};
		put(w, &h, sizeof h);
	}
	return w;
}

void pcap_writer_add(struct pcap_writer *w, const struct pcap_frame *f)
{
	uint64_t time = (uint64_t)f->time;
	if (w->ng) {
		const uint32_t head[] = {interface_of(w, f->link), (uint32_t)(time >> 32),
					 (uint32_t)time, f->caplen, f->len};
		put_block(w, BLOCK_ENHANCED, head, 5, f->bytes, f->caplen);
	} else {
		const uint32_t head[] = {(uint32_t)(time / NS_PER_S), (uint32_t)(time % NS_PER_S),
					 f->caplen, f->len};
		put(w, head, sizeof head);
		put(w, f->bytes, f->caplen);
	}
}

int pcap_writer_close(struct pcap_writer *w)
{
	if (fclose(w->out) != 0 && !w->error)
		w->error = errno;
	int error = w->error;
	free(w->link);
	free(w);
	return -error;
}
