/* form: a body of application/x-www-form-urlencoded, as the WHATWG URL standard section 5 reads it,
 * but strict: what is malformed is refused as a whole. */
#pragma once
#include "base/cursor.h"

/* The value of a field, decoded, NUL-terminated. PARSE_BAD: some escape is malformed, a name or
 * value holds a NUL, the field is there twice, or its value does not fit; out is then "". */
enum parse form_field(const void *body, size_t len, const char *name, char *out, size_t size);
