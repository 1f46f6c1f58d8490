#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->full = false;
	if (b->cap)
		b->data[0] = '\0';
}

void buf_bytes(struct buf *b, const void *bytes, size_t len)
{
	if (len >= b->cap - b->len || b->full) {
		b->full = true;
		return;
	}
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_text(struct buf *b, const char *text)
{
	buf_bytes(b, text, strlen(text));
}

void buf_char(struct buf *b, char c)
{
	buf_bytes(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	if (b->full)
		return;
	va_start(args, format);
	int n = vsnprintf(b->data + b->len, b->cap - b->len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= b->cap - b->len) {
		b->data[b->len] = '\0';
		b->full = true;
		return;
	}
	b->len += (size_t)n;
}
