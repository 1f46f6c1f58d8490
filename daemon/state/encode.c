#include "state/encode.h"

#include "base/clock.h"
#include "base/memstream.h"
#include "state/store.h"

#include <errno.h>
#include <stdlib.h>

static void put_mark(FILE *to)
{
	struct clock_mark m;
	clock_mark(&m);
	fwrite(m.boot, sizeof m.boot, 1, to);
	put_u64(to, (uint64_t)m.offset);
	put_u64(to, (uint64_t)m.now);
	put_u64(to, (uint64_t)m.ahead);
}

static int64_t take_mark(struct cursor *c)
{
	struct clock_mark then, now;
	clock_mark(&now);
	cursor_copy(c, then.boot, sizeof then.boot);
	then.offset = (int64_t)cursor_u64(c);
	then.now = (int64_t)cursor_u64(c);
	then.ahead = (int64_t)cursor_u64(c);
	return c->bad ? 0 : clock_shift(&then, &now);
}

bool blob_open(struct blob *b)
{
	*b = (struct blob){0};
	b->to = memstream_open(&b->bytes, &b->len);
	if (b->to)
		put_mark(b->to);
	return b->to != NULL;
}

char *blob_load(struct store *s, const char *kind, uint32_t version, struct cursor *c,
		int64_t *shift)
{
	size_t len;
	char *bytes = s->ops->load(s, kind, version, &len);
	*c = cursor_of(bytes, bytes ? len : 0);
	c->bad = !bytes && len;
	*shift = bytes ? take_mark(c) : 0;
	return bytes;
}

int blob_save(struct blob *b, struct store *s, const char *kind, uint32_t version)
{
	int e = ferror(b->to) ? -ENOMEM : 0;
	if (fclose(b->to) != 0 && e == 0)
		e = -errno;
	if (e == 0)
		e = s->ops->save(s, kind, version, b->bytes, b->len);
	free(b->bytes);
	return e;
}
