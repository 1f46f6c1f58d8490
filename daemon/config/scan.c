#include "config/load.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	struct loader *l;
	char *pos, *end;
	int line;
	int *lines;
	size_t count;
	bool after_string; /* the last token was one */
	int string_line;
	char last;   /* the first byte of the last token, comments aside */
	char *comma; /* the last token, where it is a comma after a value */
	bool whole;
};

static void value_at(struct scan *s, int line)
{
	s->lines = array_grow(s->lines, &s->count, sizeof *s->lines);
	s->lines[s->count - 1] = line;
}

static void skip_to(struct scan *s, char *to)
{
	for (; s->pos < to; s->pos++)
		s->line += *s->pos == '\n';
}

static void scan_string(struct scan *s)
{
	char *p = s->pos + 1;
	while (p < s->end && *p != '"' && *p != '\n')
		p += *p == '\\' && p + 1 < s->end && p[1] != '\n' ? 2 : 1;
	if (p >= s->end || *p != '"') {
		complain(s->l, s->l->file, s->line,
			 "a string without its end; close it with \" on the same line");
		s->whole = false;
		s->pos = s->end;
		return;
	}
	if (s->after_string)
		complain(s->l, s->l->file, s->string_line,
			 "two strings without a comma between them; write \"a\", \"b\"");
	else
		value_at(s, s->line);
	s->after_string = true;
	s->string_line = s->line;
	s->pos = p + 1;
}

static void scan_block_comment(struct scan *s)
{
	char *p = memmem(s->pos + 2, (size_t)(s->end - s->pos - 2), "*/", 2);
	if (!p) {
		complain(s->l, s->l->file, s->line, "a comment without its end; close it with */");
		s->whole = false;
	}
	skip_to(s, p ? p + 2 : s->end);
}

/* Blanked out, so that everything else in the file can still be checked. */
static void scan_include(struct scan *s)
{
	complain(s->l, s->l->file, s->line,
		 "@include is not taken; name the file in policy = [ \"file.conf\" ]");
	while (s->pos < s->end && *s->pos != '\n')
		*s->pos++ = ' ';
}

static bool number_fits(const char *text)
{
	char *end;
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	errno = 0;
	long long value = strtoll(text, &end, hex ? 16 : 10);
	if (errno == ERANGE)
		return false;
	if (*end == 'L' || *end == '.' || *end == 'e' || *end == 'E')
		return true;
	return hex ? value <= UINT32_MAX : value >= INT32_MIN && value <= INT32_MAX;
}

static bool word_is(const struct scan *s, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(s->pos, word, len) == 0;
}

/* Numbers, true and false are values; the other words are keys. The text ends with a zero byte. */
static void scan_word(struct scan *s)
{
	char *p = s->pos;
	while (p < s->end && (isalnum((unsigned char)*p) || strchr("+-._*", *p)))
		p++;
	size_t len = (size_t)(p - s->pos);
	bool number = isdigit((unsigned char)*s->pos) || strchr("+-.", *s->pos);
	if (number && !number_fits(s->pos))
		complain(s->l, s->l->file, s->line,
			 "%.*s is too large a number; write one of up to %d",
			 (int)(len < 40 ? len : 40), s->pos, INT32_MAX);
	if (number || word_is(s, len, "true") || word_is(s, len, "false"))
		value_at(s, s->line);
	s->pos = p;
}

/* A comma before the end of a list is left by who deletes the list's last row. Blanked out. */
static void scan_comma(struct scan *s, char c)
{
	bool end = c == ')' || c == ']';
	if (end && s->last == ',' && s->comma)
		*s->comma = ' ';
	s->comma = c == ',' && s->last && !strchr("([,=;", s->last) ? s->pos : NULL;
	s->last = c;
}

static void scan_token(struct scan *s)
{
	char c = *s->pos;
	char next = s->pos + 1 < s->end ? s->pos[1] : '\0';
	if (c == '#' || (c == '/' && next == '/')) {
		char *p = memchr(s->pos, '\n', (size_t)(s->end - s->pos));
		s->pos = p ? p : s->end;
		return;
	}
	if (c == '/' && next == '*') {
		scan_block_comment(s);
		return;
	}
	if (isspace((unsigned char)c)) {
		skip_to(s, s->pos + 1);
		return;
	}
	scan_comma(s, c);
	if (c == '"') {
		scan_string(s);
		return;
	}
	s->after_string = false;
	if (c == '@' && s->end - s->pos >= 8 && memcmp(s->pos, "@include", 8) == 0)
		scan_include(s);
	else if (isalnum((unsigned char)c) || (c && strchr("+-.*", c)))
		scan_word(s);
	else
		s->pos++;
}

bool scan_text(struct loader *l, char *text, size_t len, int **lines, size_t *count)
{
	struct scan s = {.l = l, .pos = text, .end = text + len, .line = 1, .whole = true};
	char *nul = memchr(text, '\0', len);
	if (nul) {
		s.end = nul;
		skip_to(&s, s.end);
		complain(l, l->file, s.line, "a zero byte; write a text file");
		s.whole = false;
	}
	while (s.pos < s.end)
		scan_token(&s);
	*lines = s.lines;
	*count = s.count;
	return s.whole;
}
