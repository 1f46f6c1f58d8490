/* manual: the option part of a man page, as a schema table has it. */
#pragma once
#include "config/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The marks of what the code knows: `print` is the test that writes it. */
#define MANUAL_BEGIN(what, print) ".\\\" " what "; " print " --print writes them\n"
#define BEGIN                     MANUAL_BEGIN("options: as schema.c has them", "test_manual")
#define END                       ".\\\" end of options\n"

#define MANUAL_WIDTH 78 /* bytes of a line of text; mandoc -Tlint warns past 80 */

/* A text, each sentence begun on a line of its own and folded at words. */
static inline void put_text(FILE *to, const char *text)
{
	bool sentence = false;
	for (size_t column = 0; *text;) {
		size_t word = strcspn(text, " ");
		if (column && (sentence || column + 1 + word > MANUAL_WIDTH)) {
			fputc('\n', to);
			column = 0;
		} else if (column) {
			fputc(' ', to);
			column++;
		}
		fwrite(text, 1, word, to);
		column += word;
		sentence = word > 1 && text[word - 1] == '.' && text[word - 2] != '.';
		text += word + (text[word] == ' ');
	}
	fputc('\n', to);
}

static inline void put_option(FILE *to, const struct option *o)
{
	char text[512] = "";
	struct buf b = BUF_OF(text);
	option_accepts(o, &b);
	fprintf(to, ".It Ic %s\n", o->name);
	put_text(to, o->help);
	fputs(".br\n", to);
	char takes[600];
	snprintf(takes, sizeof takes, "Takes %s.", text);
	put_text(to, takes);
	if (o->required)
		fputs("Required.\n", to);
	else if (o->fallback) {
		char fallback[600];
		snprintf(fallback, sizeof fallback, "Default: %s.", o->fallback);
		put_text(to, fallback);
	}
	if (o->at_start)
		fputs("A change needs a restart.\n", to);
}

static inline void put_table(FILE *to, const struct table *t, const char *title)
{
	fprintf(to, ".Ss %s\n.Bl -tag -width Ds\n", title);
	for (size_t i = 0; i < t->count; i++)
		put_option(to, &t->options[i]);
	fputs(".El\n", to);
}

/* A page says between its two marks what put_options prints. */
static inline void manual_check_part(const char *page, const char *from, const char *to,
				     void (*put)(FILE *to))
{
	char *want, *text = calloc(1, 1 << 20);
	size_t len;
	FILE *f = fopen(page, "r");
	assert_non_null(text);
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	f = open_memstream(&want, &len);
	put(f);
	fclose(f);
	char *begin = strstr(text, from), *end = strstr(text, to);
	assert_non_null(begin);
	assert_non_null(end);
	*end = '\0';
	assert_string_equal(begin + strlen(from), want);
	free(want);
	free(text);
}

static inline void manual_check(const char *page, void (*put_options)(FILE *to))
{
	manual_check_part(page, BEGIN, END, put_options);
}
