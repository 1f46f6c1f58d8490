/* The input is a log file as it is or compressed: read to its end whatever it holds, cut at most
 * once, and twice the same. */
#include "decision/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

static struct records_count read_all(const char *path)
{
	struct errors errors = {0};
	static struct decision d;
	struct records *r = records_open(&path, 1, &errors);
	require(r);
	while (records_next(r, &d))
		;
	struct records_count c = *records_counted(r);
	records_free(r);
	errors_deinit(&errors);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[40];
	int fd = memfd_create("log", MFD_CLOEXEC);
	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct records_count c = read_all(path), again = read_all(path);
	require(c.cut <= 1 && c.torn <= 1 && c.gone == 0 && !c.cut == !c.cut_after[0]);
	require(!c.first[0] == !(c.strange + c.damaged + c.torn));
	require(c.good == again.good && c.cut == again.cut &&
		strcmp(c.cut_after, again.cut_after) == 0 && strcmp(c.first, again.first) == 0);
	close(fd);
	return 0;
}
