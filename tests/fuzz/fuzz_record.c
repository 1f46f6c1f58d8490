/* The input is a log, line by line: what is read as a record is written again, and read as the
 * same. */
#include "decision/read.h"
#include "decision/record.h"

#include <stdlib.h>
#include <string.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* A line in record.c's own form is read the quick way, with a space in it the slow one. */
static void same_both_ways(const char *line, size_t len, enum record_is want,
			   const struct decision *d)
{
	char *other = malloc(len + 1);
	static struct decision again;
	memcpy(other, line, 1);
	other[1] = ' ';
	memcpy(other + 2, line + 1, len - 1);
	require(record_read(other, len + 1, &again) == want);
	require(want != RECORD_GOOD || memcmp(&again, d, sizeof again) == 0);
	free(other);
}

static void check(const char *line, size_t len)
{
	static char text[2][RECORD_MAX];
	static struct decision d, again;
	enum record_is is = record_read(line, len, &d);
	if (len && line[0] == '{')
		same_both_ways(line, len, is, &d);
	if (is != RECORD_GOOD)
		return;
	for (int i = 0; i < 2; i++) {
		struct buf b = BUF_OF(text[i]);
		buf_reset(&b);
		record_write(&b, i ? &again : &d, NULL);
		require(!b.full);
		if (i == 0)
			require(record_read(text[0], b.len, &again) == RECORD_GOOD);
	}
	require(strcmp(text[0], text[1]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((stop ? stop : end) - text);
		check(text, len);
		text += len + 1;
	}
	return 0;
}
