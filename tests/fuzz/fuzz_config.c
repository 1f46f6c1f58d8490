/* Configuration text, or (first byte '#') a list of sites: what loads is printed, and what is
 * printed loads to the same. The bytes lie in memory files, which the loader reads as
 * /proc/self/fd/N. */
#include "config/config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* libconfig 1.5 loses the last string of a text that does not parse. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

enum { MAIN = 200, LIST = 201 };

static void put(int fd, const void *bytes, size_t len)
{
	if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
}

static void prepare(void)
{
	static const int at[] = {MAIN, LIST};
	for (size_t i = 0; i < 2; i++) {
		int fd = memfd_create("fuzz_config", MFD_CLOEXEC);
		if (fd < 0 || dup2(fd, at[i]) < 0)
			abort();
		close(fd);
	}
	dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 0); /* a list that names "0" must not wait */
}

/* What is loaded and printed, owned by the caller; NULL where it is refused. */
static char *load_and_print(void)
{
	char *text = NULL;
	size_t len;
	struct errors errors = {0};
	struct config *c = config_load("/proc/self/fd/200", CONFIG_FOR_CHECK, &errors);
	if (!c == !errors.count)
		abort();
	if (c) {
		FILE *f = open_memstream(&text, &len);
		config_print(c, f);
		fclose(f);
	}
	config_free(c);
	errors_deinit(&errors);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char list[] = "sites = ( { name = \"s\"; lists = [ \"201\" ]; } );";
	static int prepared;
	if (!prepared++)
		prepare();
	if (size && data[0] == '#') {
		put(MAIN, list, sizeof list - 1);
		put(LIST, data, size);
	} else {
		put(MAIN, data, size);
	}
	char *printed = load_and_print();
	if (!printed)
		return 0;
	put(MAIN, printed, strlen(printed));
	char *again = load_and_print();
	if (!again || strcmp(printed, again) != 0)
		abort();
	free(printed);
	free(again);
	return 0;
}
