/* table: memory of the large tables that are looked up at random. */
#pragma once
#include <stddef.h>

/* Zeroed, only touched on use, begins on a page; large ones on huge pages where the kernel gives
 * some. NULL where memory ran out. */
void *table_new(size_t count, size_t size);
void table_free(void *table, size_t count, size_t size);
