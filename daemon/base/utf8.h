/* utf8: text that others sent, a character at a time. */
#pragma once
#include <stddef.h>

/* Length of the well-formed UTF-8 sequence at `at` (RFC 3629 section 4), 0 where there is none. */
size_t utf8_len(const void *at, size_t left);
