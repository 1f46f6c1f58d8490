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

static void check(const char *line, size_t len)
{
	static char text[2][RECORD_MAX];
	struct decision d, again;
	if (!record_read(line, len, &d))
		return;
	for (int i = 0; i < 2; i++) {
		struct buf b = BUF_OF(text[i]);
		buf_reset(&b);
		record_write(&b, i ? &again : &d, NULL);
		require(!b.full);
		if (i == 0)
			require(record_read(text[0], b.len, &again));
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
