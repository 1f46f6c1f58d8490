/* buf: text written into a fixed buffer. What does not fit sets `full` and is left out whole. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buf {
	char *data; /* always NUL-terminated once something was written */
	size_t len, cap;
	bool full;
};

#define BUF_OF(array) ((struct buf){.data = (array), .cap = sizeof(array)})

void buf_reset(struct buf *b);

static inline void buf_bytes(struct buf *b, const void *bytes, size_t len)
{
	if (len >= b->cap - b->len || b->full) {
		b->full = true;
		return;
	}
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

static inline void buf_text(struct buf *b, const char *text)
{
	buf_bytes(b, text, strlen(text));
}

static inline void buf_char(struct buf *b, char c)
{
	buf_bytes(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
