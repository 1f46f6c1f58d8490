/* log: the operator's log (standard error; the journal reads its levels). Decisions go elsewhere.
 *
 * Four verbs and no more. A message that traffic can cause goes through LOG_LIMITED, so that no
 * client can flood the log. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Debug messages are off until this is called. */
void log_set_debug(bool on);

struct log_limit {
	int64_t until;
	unsigned long held_back;
};
/* True at most once a second for each limit; adds nothing but the count to the message. */
bool log_allowed(struct log_limit *limit, int64_t now);

#define LOG_LIMITED(verb, now, ...)                                                                \
	do {                                                                                       \
		static _Thread_local struct log_limit limit_;                                      \
		if (log_allowed(&limit_, now))                                                     \
			verb(__VA_ARGS__);                                                         \
	} while (0)
