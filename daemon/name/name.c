#include "name/name.h"
#include "base/address.h"

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

static bool is_address(const char *text, size_t len)
{
	char copy[ADDRESS_TEXT];
	struct address ignored;
	if (len >= sizeof copy || memchr(text, 0, len))
		return false;
	memcpy(copy, text, len);
	copy[len] = 0;
	return address_parse(copy, &ignored);
}

/* An IPv6 literal, bare or in brackets, with or without a zone. */
static bool is_address6(const char *text, size_t len)
{
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	const char *zone = memchr(text, '%', len);
	if (zone)
		len = (size_t)(zone - text);
	return memchr(text, ':', len) && is_address(text, len);
}

/* Numbers, decimal or 0x..., in the last label make a name an IPv4 literal to most resolvers and
 * URL parsers, however it is written. */
static bool label_is_number(const char *label, size_t len)
{
	bool hex = len >= 2 && label[0] == '0' && label[1] == 'x';
	for (size_t i = hex ? 2 : 0; i < len; i++) {
		bool digit = label[i] >= '0' && label[i] <= '9';
		if (!digit && !(hex && label[i] >= 'a' && label[i] <= 'f'))
			return false;
	}
	return true;
}

static enum parse read_labels(const uint8_t *in, size_t len, char *out)
{
	size_t label = 0;
	for (size_t i = 0; i < len; i++) {
		char c = canonical[in[i]];
		out[i] = c;
		if (c == '.') {
			if (i == label || i - label > LABEL_MAX)
				return PARSE_BAD;
			label = i + 1;
		} else if (!c) {
			return PARSE_BAD;
		}
	}
	out[len] = 0;
	if (len == label || len - label > LABEL_MAX)
		return PARSE_BAD;
	if (!label_is_number(out + label, len - label))
		return PARSE_OK;
	return is_address(out, len) ? PARSE_ABSENT : PARSE_BAD;
}

enum parse host_canonical(const void *bytes, size_t len, struct host *out)
{
	const char *in = bytes;
	enum parse answer = PARSE_BAD;
	if (len == 0)
		answer = PARSE_ABSENT;
	else if (in[0] == '[' || memchr(in, ':', len))
		answer = is_address6(in, len) ? PARSE_ABSENT : PARSE_BAD;
	else if (len -= in[len - 1] == '.', len > 0 && len <= HOST_MAX)
		answer = read_labels(bytes, len, out->text);
	out->len = answer == PARSE_OK ? (uint8_t)len : 0;
	out->text[out->len] = 0;
	return answer;
}
