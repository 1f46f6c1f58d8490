#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool debug_on;

void log_set_debug(bool on)
{
	debug_on = on;
}

/* One write a line, so that lines of several threads never mix; <N> is systemd's level prefix. */
static void say(int level, const char *word, const char *format, va_list args)
{
	char line[2048];
	int n = getenv("JOURNAL_STREAM") ? snprintf(line, sizeof line, "<%d>", level)
					 : snprintf(line, sizeof line, "tiergate: %s", word);
	int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	if (m > 0)
		n += m < (int)sizeof line - n - 1 ? m : (int)sizeof line - n - 2;
	line[n++] = '\n';
	fwrite(line, 1, (size_t)n, stderr);
}

#define VERB(name, level, word)                                                                    \
	void name(const char *format, ...)                                                         \
	{                                                                                          \
		va_list args;                                                                      \
		va_start(args, format);                                                            \
		say(level, word, format, args);                                                    \
		va_end(args);                                                                      \
	}

VERB(log_error, 3, "error: ")
VERB(log_warn, 4, "warning: ")
VERB(log_info, 6, "")

void log_debug(const char *format, ...)
{
	va_list args;
	if (!debug_on)
		return;
	va_start(args, format);
	say(7, "debug: ", format, args);
	va_end(args);
}

bool log_allowed(struct log_limit *limit, int64_t now)
{
	if (now < limit->until) {
		limit->held_back++;
		return false;
	}
	if (limit->held_back)
		log_info("%lu messages like the next one were held back", limit->held_back);
	*limit = (struct log_limit){.until = now + NS_PER_S};
	return true;
}
