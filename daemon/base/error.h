/* error: a list of what is wrong with a configuration, so that all of it is said at once. */
#pragma once
#include <stddef.h>
#include <stdio.h>

struct errors {
	char **lines; /* "file:line: what is wrong; what would be accepted", owned */
	size_t count, cap;
};

/* file may be NULL and line 0 where there is none. */
void errors_add(struct errors *e, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void errors_print(const struct errors *e, FILE *to);
void errors_deinit(struct errors *e);
