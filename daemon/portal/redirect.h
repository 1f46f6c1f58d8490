/* redirect: what plain HTTP is answered, whatever it asked for: where the portal is. */
#pragma once
#include <microhttpd.h>

/* An MHD_AccessHandlerCallback; ctx is the struct server. */
enum MHD_Result redirect_request(void *ctx, struct MHD_Connection *connection, const char *path,
				 const char *method, const char *version, const char *bytes,
				 size_t *len, void **own);
