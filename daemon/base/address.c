#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

struct address address_from6(const uint8_t bytes[16])
{
	struct address a;
	memcpy(a.bytes, bytes, 16);
	return a;
}

struct address address_from_socket(const struct sockaddr *a)
{
	if (a && a->sa_family == AF_INET)
		return address_from4((const uint8_t *)&((const struct sockaddr_in *)a)->sin_addr);
	if (a && a->sa_family == AF_INET6)
		return address_from6((const uint8_t *)&((const struct sockaddr_in6 *)a)->sin6_addr);
	return (struct address){0};
}

bool address_parse(const char *text, struct address *out)
{
	uint8_t four[4];
	if (inet_pton(AF_INET, text, four) == 1) {
		*out = address_from4(four);
		return true;
	}
	return inet_pton(AF_INET6, text, out->bytes) == 1 && !address_is4(out);
}

bool address_is_mapped(const char *text)
{
	char copy[ADDRESS_TEXT];
	struct address a;
	text += *text == '[';
	snprintf(copy, sizeof copy, "%.*s", (int)strcspn(text, "/]%"), text);
	return strchr(copy, ':') && inet_pton(AF_INET6, copy, a.bytes) == 1 && address_is4(&a);
}

bool network_has(const struct network *n, const struct address *a)
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;
	if (address_is4(a) && n->bits < 96)
		return false;
	if (memcmp(n->base.bytes, a->bytes, whole) != 0)
		return false;
	return rest == 0 || ((n->base.bytes[whole] ^ a->bytes[whole]) >> (8 - rest)) == 0;
}

static bool host_bits_zero(const struct network *n)
{
	for (unsigned bit = n->bits; bit < 128; bit++)
		if (n->base.bytes[bit / 8] & (0x80 >> bit % 8))
			return false;
	return true;
}

bool network_parse(const char *text, struct network *out)
{
	char copy[ADDRESS_TEXT];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	if (len >= sizeof copy)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (!address_parse(copy, &out->base))
		return false;
	unsigned first = address_is4(&out->base) ? 96 : 0;
	unsigned long bits = 128 - first;
	if (slash) {
		char *end;
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		bits = strtoul(slash + 1, &end, 10);
		if (*end || bits > 128 - first)
			return false;
	}
	out->bits = (uint8_t)(first + bits);
	return host_bits_zero(out);
}

const char *address_format(const struct address *a, char out[static ADDRESS_TEXT])
{
	if (address_is4(a))
		inet_ntop(AF_INET, a->bytes + 12, out, ADDRESS_TEXT);
	else
		inet_ntop(AF_INET6, a->bytes, out, ADDRESS_TEXT);
	return out;
}

void network_format(const struct network *n, struct buf *b)
{
	char text[ADDRESS_TEXT];
	buf_printf(b, "%s/%u", address_format(&n->base, text),
		   address_is4(&n->base) ? n->bits - 96u : n->bits);
}

/* 1 to 65535, in digits alone; 0 where it is none. */
static uint16_t port_of(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long port = digits && digits <= 5 && !text[digits] ? strtoul(text, NULL, 10) : 0;
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

bool endpoint_parse(const char *text, struct endpoint *out)
{
	char host[ADDRESS_TEXT];
	const char *colon = strrchr(text, ':');
	struct endpoint e;
	bool six = *text == '[';
	if (!colon || (six && colon[-1] != ']'))
		return false;
	const char *start = text + six, *end = colon - six;
	if (end < start || (size_t)(end - start) >= sizeof host)
		return false;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	e.port = port_of(colon + 1);
	if (!address_parse(host, &e.address) || address_is4(&e.address) == six || !e.port)
		return false;
	*out = e;
	return true;
}

void endpoint_format(const struct endpoint *e, struct buf *b)
{
	char text[ADDRESS_TEXT];
	buf_printf(b, address_is4(&e->address) ? "%s:%u" : "[%s]:%u",
		   address_format(&e->address, text), e->port);
}
