#include "base/version.h"

#include <stdio.h>

const char *const version = TIERGATE_VERSION;

void version_print(const char *name)
{
	printf("%s %s\n", name, version);
}
