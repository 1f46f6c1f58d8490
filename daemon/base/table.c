#include "base/table.h"

#include <sys/mman.h>

#define HUGE (8ul * 1024 * 1024)

void *table_new(size_t count, size_t size)
{
	size_t bytes = count * size;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (bytes >= HUGE) /* the TLB is half of a random look-up's cost, first touches the rest */
		madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

void table_free(void *table, size_t count, size_t size)
{
	if (table)
		munmap(table, count * size);
}
