/* A translation file. */
#include "base/cursor.h"
#include "portal/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct language l = {0};
	struct errors errors = {0};
	char *copy = malloc(len + 1);
	memcpy(copy, bytes, len);
	copy[len] = '\0';
	language_parse(&l, copy, len, "x.text", &errors);
	for (size_t i = 0; i < TEXT_COUNT; i++)
		if (!l.text[i] || strlen(l.text[i]) > TEXT_MAX)
			abort();
	errors_deinit(&errors);
	free(l.bytes);
	return 0;
}
