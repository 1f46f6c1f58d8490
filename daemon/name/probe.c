#include "name/probe.h"

#include <string.h>

extern const char probe_list[], probe_list_end[];

/* Relative to the folder that make runs in. */
__asm__(".section .rodata\n"
	".global probe_list\n"
	".global probe_list_end\n"
	"probe_list:\n"
	".incbin \"rules/captive-checks.sites\"\n"
	"probe_list_end:\n"
	".byte 0\n"
	".previous\n");

/* Each host of the list stands alone on its line, behind "=". */
bool probe_asks(const struct host *h)
{
	char line[HOST_MAX + 4];
	if (!h->len)
		return false;
	line[0] = '\n';
	line[1] = '=';
	memcpy(line + 2, h->text, h->len);
	line[2 + h->len] = '\n';
	return memmem(probe_list, (size_t)(probe_list_end - probe_list), line, h->len + 3u);
}
