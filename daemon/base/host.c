#include "base/host.h"
#include "base/address.h"

#include <idn2.h>
#include <string.h>

/* What each byte of a host name is kept as; 0: no host name has it. */
static const char canonical[256] = {
	['-'] = '-', ['.'] = '.', ['_'] = '_', ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3',
	['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['a'] = 'a',
	['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h',
	['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o',
	['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v',
	['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c',
	['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j',
	['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q',
	['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x',
	['Y'] = 'y', ['Z'] = 'z',
};

#define LABEL_MAX 63

/* An IP literal: what is left of it is its text form. */
static enum parse literal(const char *text, size_t len, struct host *out)
{
	char copy[ADDRESS_TEXT];
	struct address a;
	if (len >= sizeof copy || memchr(text, 0, len))
		return PARSE_BAD;
	memcpy(copy, text, len);
	copy[len] = 0;
	if (!address_parse(copy, &a))
		return PARSE_BAD;
	address_format(&a, copy);
	out->len = (uint8_t)strlen(copy);
	memcpy(out->text, copy, (size_t)out->len + 1);
	return PARSE_ABSENT;
}

/* An IPv6 literal, bare or in brackets, with or without a zone. */
static enum parse literal6(const char *text, size_t len, struct host *out)
{
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	const char *zone = memchr(text, '%', len);
	if (zone)
		len = (size_t)(zone - text);
	return memchr(text, ':', len) ? literal(text, len, out) : PARSE_BAD;
}

bool host_label_is_number(const char *label, size_t len)
{
	bool hex = len >= 2 && label[0] == '0' && label[1] == 'x';
	for (size_t i = hex ? 2 : 0; i < len; i++) {
		bool digit = label[i] >= '0' && label[i] <= '9';
		if (!digit && !(hex && label[i] >= 'a' && label[i] <= 'f'))
			return false;
	}
	return true;
}

static enum parse read_labels(const uint8_t *in, size_t len, struct host *out)
{
	size_t label = 0;
	for (size_t i = 0; i < len; i++) {
		char c = canonical[in[i]];
		out->text[i] = c;
		if (c == '.') {
			if (i == label || i - label > LABEL_MAX)
				return PARSE_BAD;
			label = i + 1;
		} else if (!c) {
			return PARSE_BAD;
		}
	}
	if (len == label || len - label > LABEL_MAX)
		return PARSE_BAD;
	if (host_label_is_number(out->text + label, len - label))
		return literal((const char *)in, len, out);
	out->len = (uint8_t)len;
	return PARSE_OK;
}

enum parse host_canonical(const void *bytes, size_t len, struct host *out)
{
	const char *in = bytes;
	enum parse answer = PARSE_BAD;
	out->len = 0;
	if (len == 0)
		answer = PARSE_ABSENT;
	else if (in[0] == '[' || memchr(in, ':', len))
		answer = literal6(in, len, out);
	else if (len -= in[len - 1] == '.', len > 0 && len <= HOST_MAX)
		answer = read_labels(bytes, len, out);
	out->text[out->len] = 0;
	return answer;
}

/* Of a name that a person wrote. */
static bool is_name(const char *text, struct host *out)
{
	if (host_canonical(text, strlen(text), out) != PARSE_OK)
		return false;
	const char *dot = strrchr(out->text, '.'), *top = dot ? dot + 1 : out->text;
	return top[strspn(top, "0123456789")] != '\0'; /* 10.0.0 is a mistyped network */
}

bool host_parse(const char *text, struct host *out)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++) {
		if (!((unsigned char)text[i] & 0x80))
			continue;
		char *ascii = NULL;
		if (idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
		    IDN2_OK)
			return false;
		bool good = is_name(ascii, out);
		idn2_free(ascii);
		return good;
	}
	return is_name(text, out);
}
