/* array: memory of what is read at a start or a reload, where running out of it ends the program:
 * not for the packet path. */
#pragma once
#include <stddef.h>

/* What was taken, unless it is NULL. */
void *must(void *memory);

/* An array one longer, the new item zero; its room doubles. */
void *array_grow(void *array, size_t *count, size_t size);
