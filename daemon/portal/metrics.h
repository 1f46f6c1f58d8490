/* metrics: what a Prometheus that shows the token gets at the portal's port for that. */
#pragma once
#include <microhttpd.h>
#include <stdbool.h>

#define METRICS_TOKEN_MIN 16
#define METRICS_TOKEN_MAX 512

struct errors;

/* Reads the one line of a file; NULL after saying what is wrong, and never what stands there. The
 * caller wipes and frees it. */
char *metrics_token(const char *path, struct errors *errors);

/* Whether the value of an Authorization header (or NULL) is "Bearer TOKEN", in the same time
 * wherever they differ. */
bool metrics_authorized(const char *header, const char *token);

/* An MHD_AccessHandlerCallback and an MHD_AcceptPolicyCallback; ctx is the struct portal. */
enum MHD_Result metrics_request(void *ctx, struct MHD_Connection *connection, const char *path,
				const char *method, const char *version, const char *bytes,
				size_t *len, void **own);
enum MHD_Result metrics_accept(void *ctx, const struct sockaddr *a, socklen_t len);
