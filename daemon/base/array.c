#include "base/array.h"

#include <stdlib.h>
#include <string.h>

void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void *array_grow(void *array, size_t *count, size_t size)
{
	size_t n = *count;
	if ((n & (n - 1)) == 0)
		array = must(reallocarray(array, n ? n * 2 : 1, size));
	memset((char *)array + n * size, 0, size);
	*count = n + 1;
	return array;
}
