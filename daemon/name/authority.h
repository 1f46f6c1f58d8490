/* authority: the host of an HTTP request, by Host, :authority or an absolute-form target. */
#pragma once
#include "name/hello.h"

/* Sets out's name from uri-host [ ":" port ] (RFC 9110 7.2, RFC 9113 8.3.1). */
void authority_name(struct cursor authority, struct hello *out);
