#include "ctl/ctl.h"

#include "base/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)

/* Where make install puts it, seen from this program. */
static bool place_of(const char *name, char out[static PATH_MAX])
{
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
	own[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(own, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return snprintf(out, PATH_MAX, "%s/../share/tiergate/%s", own, name) < PATH_MAX;
}

bool ctl_as_shipped(const char *path, const char *name)
{
	char shipped[PATH_MAX], *a = NULL, *b = NULL;
	size_t a_len = 0, b_len = 0;
	bool same = place_of(name, shipped) && file_read(path, FILE_MAX, &a, &a_len) == 0 &&
		    file_read(shipped, FILE_MAX, &b, &b_len) == 0 && a_len == b_len &&
		    memcmp(a, b, a_len) == 0;
	free(a);
	free(b);
	return same;
}
