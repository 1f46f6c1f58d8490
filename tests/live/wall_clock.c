/* Preloaded: the wall clock of one process is as many seconds from the machine's as the file
 * $WALL_CLOCK says; or, where that has "=SECONDS", it stands still there. Other clocks are as they
 * are. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void set(struct timespec *to)
{
	const char *path = getenv("WALL_CLOCK");
	char text[32] = "";
	FILE *f = path ? fopen(path, "re") : NULL;
	if (!f)
		return;
	if (!fgets(text, sizeof text, f))
		text[0] = '\0';
	fclose(f);
	if (text[0] == '=')
		*to = (struct timespec){.tv_sec = atol(text + 1)};
	else
		to->tv_sec += atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(clock, out);
	if (clock == CLOCK_REALTIME)
		set(out);
	return r;
}
