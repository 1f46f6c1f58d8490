/* bytes: hellos of every kind to order, for the tests, the fuzz targets and the bench of name/. */
#pragma once
#include "base/cursor.h"
#include <stdlib.h>

struct bytes {
	size_t len;
	uint8_t at[160000];
};

/* A file's bytes as an object of the program; path from the project's top. */
#define BYTES_OF_FILE(name, path)                                                                  \
	extern const uint8_t name[], name##_end[];                                                 \
	__asm__(".section .rodata\n.balign 16\n" #name ":\n.incbin \"" path "\"\n" #name           \
		"_end:\n.byte 0\n.previous\n")

static inline void put(struct bytes *b, const void *from, size_t len)
{
	if (len)
		memcpy(b->at + b->len, from, len);
	b->len += len;
}

static inline void put_text(struct bytes *b, const char *text)
{
	put(b, text, strlen(text));
}

/* A number of `size` bytes. */
static inline void put_number(struct bytes *b, uint64_t value, int size)
{
	while (size-- > 0)
		b->at[b->len++] = (uint8_t)(value >> (8 * size));
}

/* A vector whose length has `size` bytes is begun, and ended by vector_end. */
static inline size_t vector_begin(struct bytes *b, int size)
{
	put_number(b, 0, size);
	return b->len;
}

static inline void vector_end(struct bytes *b, size_t begun, int size)
{
	size_t end = b->len, len = end - begun;
	b->len = begun - (size_t)size;
	put_number(b, len, size);
	b->len = end;
}

static inline void put_extension(struct bytes *b, uint16_t type, const void *body, size_t len)
{
	put_number(b, type, 2);
	put_number(b, len, 2);
	put(b, body, len);
}

static inline void put_server_name(struct bytes *b, const void *name, size_t len)
{
	put_number(b, 0, 2);
	size_t extension = vector_begin(b, 2), list = vector_begin(b, 2);
	put_number(b, 0, 1);
	put_number(b, len, 2);
	put(b, name, len);
	vector_end(b, list, 2);
	vector_end(b, extension, 2);
}

/* The body of a ClientHello; version 0xfefd makes one of DTLS. */
static inline void put_hello_body(struct bytes *b, uint16_t version, const struct bytes *extensions)
{
	put_number(b, version, 2);
	for (int i = 0; i < 32; i++)
		put_number(b, (unsigned)(i * 7 + 3), 1);
	put_number(b, 0, 1);
	if (version >> 8 == 0xfe)
		put_number(b, 0, 1);
	put_number(b, 2, 2);
	put_number(b, 0x1301, 2);
	put_number(b, 0x0100, 2);
	size_t list = vector_begin(b, 2);
	put(b, extensions->at, extensions->len);
	vector_end(b, list, 2);
}

/* A ClientHello as a handshake message. */
static inline void put_hello(struct bytes *b, const struct bytes *extensions)
{
	put_number(b, 1, 1);
	size_t message = vector_begin(b, 3);
	put_hello_body(b, 0x0303, extensions);
	vector_end(b, message, 3);
}

/* Extensions of a usual TLS 1.3 client that wants `host`. */
static inline void put_usual(struct bytes *b, const char *host)
{
	static const uint8_t versions[] = {4, 3, 4, 3, 3}, alpn[] = {0, 3, 2, 'h', '2'};
	uint8_t share[38] = {0, 36, 0, 29, 0, 32};
	put_server_name(b, host, strlen(host));
	put_extension(b, 16, alpn, sizeof alpn);
	put_extension(b, 43, versions, sizeof versions);
	put_extension(b, 51, share, sizeof share);
}

/* A message cut into TLS records of at most `size` bytes. */
static inline void put_records(struct bytes *b, const void *message, size_t len, size_t size)
{
	const uint8_t *from = message;
	while (len > 0) {
		size_t n = len < size ? len : size;
		put_number(b, 0x160301, 3);
		put_number(b, n, 2);
		put(b, from, n);
		from += n;
		len -= n;
	}
}

static inline struct cursor cursor_bytes_of(const struct bytes *b)
{
	return cursor_of(b->at, b->len);
}

/* A copy of its exact size, so that a sanitizer sees a read past the end. */
static inline uint8_t *exact(const void *from, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	if (copy && len)
		memcpy(copy, from, len);
	return copy;
}
