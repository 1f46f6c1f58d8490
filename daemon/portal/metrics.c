#include "portal/metrics.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memstream.h"
#include "control/exposition.h"
#include "portal/assets.h"
#include "portal/deadline.h"
#include "portal/gate.h"
#include "portal/portal.h"

#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- the token ---- */

static bool token_good(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x21 || text[i] > 0x7e)
			return false;
	return len >= METRICS_TOKEN_MIN && len <= METRICS_TOKEN_MAX;
}

char *metrics_token(const char *path, struct errors *errors)
{
	char *text = NULL;
	size_t len = 0;
	struct stat st;
	int e = file_read(path, METRICS_TOKEN_MAX + 1, &text, &len);
	if (e < 0) {
		errors_add(errors, path, 0, "the token for metrics cannot be read: %s",
			   strerror(-e));
		return NULL;
	}
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	bool good = token_good(text, len);
	char *token = good ? strndup(text, len) : NULL;
	explicit_bzero(text, len);
	free(text);
	if (!good)
		errors_add(errors, path, 0,
			   "the token for metrics is one word of %d to %d characters; make one: "
			   "openssl rand -hex 32",
			   METRICS_TOKEN_MIN, METRICS_TOKEN_MAX);
	if (stat(path, &st) == 0 && st.st_mode & 07)
		errors_add(errors, path, 0, "the token is open to others; give the file mode 0640");
	return token;
}

static void hash(const char *text, uint8_t out[static SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, strlen(text), (const uint8_t *)text);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, out);
}

bool metrics_authorized(const char *header, const char *token)
{
	static const char scheme[] = "Bearer ";
	uint8_t got[SHA256_DIGEST_SIZE], want[SHA256_DIGEST_SIZE];
	if (!header || !token || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
		return false;
	header += sizeof scheme - 1;
	hash(header + strspn(header, " "), got);
	hash(token, want);
	return memeql_sec(got, want, sizeof got);
}

/* ---- a request ---- */

struct said {
	unsigned status;
	const char *text;
};

static bool authorized(struct portal *p, struct MHD_Connection *connection)
{
	const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_AUTHORIZATION);
	pthread_rwlock_rdlock(&p->lock);
	bool good = metrics_authorized(header, p->assets->metrics_token);
	pthread_rwlock_unlock(&p->lock);
	return good;
}

/* The daemon's numbers (the caller's), or NULL where it does not answer. */
static char *numbers(struct portal *p, size_t *len)
{
	struct portal_config *c = portal_config_now(p);
	struct gate g = gate_of(c);
	json_t *result = gate_ask(&g, "metrics", NULL);
	char *text = NULL;
	FILE *to = result ? memstream_open(&text, len) : NULL;
	if (to) {
		exposition_put(to, result);
		fclose(to);
	}
	json_decref(result);
	gate_close(&g);
	portal_config_free(c);
	return text;
}

/* What is wrong with a request; status 200 where nothing is. */
static struct said look(struct portal *p, struct MHD_Connection *connection, const char *path,
			const char *method)
{
	if (!authorized(p, connection)) /* first: who has no token learns nothing */
		return (struct said){401, "the token is missing or wrong: Authorization: Bearer\n"};
	if (strcmp(path, "/metrics") != 0)
		return (struct said){404, "there is /metrics alone\n"};
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return (struct said){405, "GET it\n"};
	return (struct said){200, NULL};
}

enum MHD_Result metrics_request(void *ctx, struct MHD_Connection *connection, const char *path,
				const char *method, const char *version, const char *bytes,
				size_t *length, void **own)
{
	struct said said = look(ctx, connection, path, method);
	size_t len = 0;
	char *text = said.status == 200 ? numbers(ctx, &len) : NULL;
	if (said.status == 200 && !text)
		said = (struct said){503, "tiergated does not answer\n"};
	struct MHD_Response *m =
		text ? MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE)
		     : MHD_create_response_from_buffer(strlen(said.text), (void *)said.text,
						       MHD_RESPMEM_PERSISTENT);
	if (!m)
		return MHD_NO;
	MHD_add_response_header(m, "Content-Type", EXPOSITION_TYPE);
	MHD_add_response_header(m, "Cache-Control", "no-store");
	if (said.status == 401)
		MHD_add_response_header(m, "WWW-Authenticate", "Bearer realm=\"tiergate\"");
	if (said.status == 405)
		MHD_add_response_header(m, "Allow", "GET, HEAD");
	if (said.status != 200) /* a body that came with it is not read */
		MHD_add_response_header(m, "Connection", "close");
	enum MHD_Result result = MHD_queue_response(connection, said.status, m);
	MHD_destroy_response(m);
	return result;
}

enum MHD_Result metrics_accept(void *ctx, const struct sockaddr *a, socklen_t len)
{
	struct portal *p = ctx;
	struct portal_config *c = portal_config_now(p);
	struct address peer = address_from_socket(a);
	bool served = false;
	for (size_t i = 0; i < c->metrics_clients.count && !served; i++)
		served = network_has(&c->metrics_clients.item[i], &peer);
	served = served && deadline_room(p->deadline, &peer, c->connections);
	portal_config_free(c);
	return served ? MHD_YES : MHD_NO;
}
