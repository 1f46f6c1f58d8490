#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->full = false;
	if (b->cap)
		b->data[0] = '\0';
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
		if (b->cap)
			b->data[b->len] = '\0';
		b->full = true;
		return;
	}
	b->len += (size_t)n;
}
