#include "base/json.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <string.h>

void json_open(struct json *j, struct buf *b)
{
	j->buf = b;
	j->comma = false;
	buf_char(b, '{');
}

void json_close(struct json *j)
{
	buf_char(j->buf, '}');
}

static void key_out(struct json *j, const char *key)
{
	if (j->comma)
		buf_char(j->buf, ',');
	j->comma = true;
	buf_char(j->buf, '"');
	buf_text(j->buf, key);
	buf_bytes(j->buf, "\":", 2);
}

/* Length of the run of bytes at p that need no look: printable ASCII without '"' and '\\'. */
static size_t plain_len(const unsigned char *p, size_t left)
{
	size_t n = 0;
	while (n < left && p[n] >= 0x20 && p[n] < 0x7f && p[n] != '"' && p[n] != '\\')
		n++;
	return n;
}

void json_text_n(struct json *j, const char *key, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	struct buf *b = j->buf;
	key_out(j, key);
	buf_char(b, '"');
	for (size_t i = 0; i < len;) {
		size_t run = plain_len(p + i, len - i);
		buf_bytes(b, p + i, run);
		i += run;
		if (i == len)
			break;
		size_t n = utf8_len(p + i, len - i);
		if (n == 1 && (p[i] == '"' || p[i] == '\\')) {
			buf_char(b, '\\');
			buf_char(b, (char)p[i]);
		} else if (n == 0 || p[i] < 0x20 || p[i] == 0x7f) {
			buf_printf(b, "\\u%04x", p[i]);
			n = 1;
		} else {
			buf_bytes(b, p + i, n);
		}
		i += n;
	}
	buf_char(b, '"');
}

void json_text(struct json *j, const char *key, const char *value)
{
	if (value)
		json_text_n(j, key, value, strlen(value));
}

void json_word(struct json *j, const char *key, const char *value)
{
	key_out(j, key);
	buf_char(j->buf, '"');
	buf_text(j->buf, value);
	buf_char(j->buf, '"');
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	key_out(j, key);
	buf_bytes(j->buf, digits + at, sizeof digits - at);
}

void json_bool(struct json *j, const char *key, bool value)
{
	key_out(j, key);
	buf_text(j->buf, value ? "true" : "false");
}

void json_time(struct json *j, const char *key, int64_t time)
{
	key_out(j, key);
	buf_char(j->buf, '"');
	clock_format(j->buf, time);
	buf_char(j->buf, '"');
}
