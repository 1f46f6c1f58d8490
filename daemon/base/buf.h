/* buf: text written into a fixed buffer. What does not fit sets `full` and is left out whole. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* always NUL-terminated once something was written */
	size_t len, cap;
	bool full;
};

#define BUF_OF(array) ((struct buf){.data = (array), .cap = sizeof(array)})

void buf_reset(struct buf *b);
void buf_bytes(struct buf *b, const void *bytes, size_t len);
void buf_text(struct buf *b, const char *text);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
