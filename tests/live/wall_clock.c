/* Preloaded: the wall clock of one process is as many seconds from the machine's as the file
 * $WALL_CLOCK says. Other clocks are as they are. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long set_by(void)
{
	const char *path = getenv("WALL_CLOCK");
	long seconds = 0;
	FILE *f = path ? fopen(path, "re") : NULL;
	if (!f)
		return 0;
	if (fscanf(f, "%ld", &seconds) != 1)
		seconds = 0;
	fclose(f);
	return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(clock, out);
	if (clock == CLOCK_REALTIME)
		out->tv_sec += set_by();
	return r;
}
