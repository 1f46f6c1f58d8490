#include "portal/assets.h"

#include "base/file.h"
#include "portal/metrics.h"

#include <nettle/sha2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Relative to the folder that make runs in. */
__asm__(".section .rodata\n"
	".global style_css\n"
	".global style_css_end\n"
	"style_css:\n"
	".incbin \"daemon/portal/style.css\"\n"
	"style_css_end:\n"
	".byte 0\n"
	".previous\n");

static char version[9];

static void make_version(void)
{
	struct sha256_ctx ctx;
	uint8_t digest[4];
	sha256_init(&ctx);
	sha256_update(&ctx, (size_t)(style_css_end - style_css), (const uint8_t *)style_css);
	sha256_digest(&ctx, sizeof digest, digest);
	snprintf(version, sizeof version, "%02x%02x%02x%02x", digest[0], digest[1], digest[2],
		 digest[3]);
}

const char *style_version(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_version);
	return version;
}

/* By its first bytes; NULL: none that browsers show. */
static const char *image_type(const char *bytes, size_t len)
{
	if (len > 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0)
		return "image/png";
	if (len > 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0)
		return "image/jpeg";
	if (len > 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0)
		return "image/webp";
	return memmem(bytes, len, "<svg", 4) ? "image/svg+xml" : NULL;
}

static void load_logo(struct assets *a, const char *path, struct errors *errors)
{
	int e = file_read(path, LOGO_MAX, &a->logo, &a->logo_len);
	if (e < 0) {
		errors_add(errors, path, 0, "the logo cannot be read: %s", strerror(-e));
		return;
	}
	a->logo_type = image_type(a->logo, a->logo_len);
	if (!a->logo_type)
		errors_add(errors, path, 0,
			   "the logo is no image; SVG, PNG, JPEG or WebP would be accepted");
}

struct assets *assets_load(const struct portal_config *c, struct errors *errors)
{
	size_t before = errors->count;
	struct assets *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->texts = texts_load(c->texts, c->language, errors);
	if (c->logo)
		load_logo(a, c->logo, errors);
	if (c->metrics.port)
		a->metrics_token = metrics_token(c->metrics_token, errors);
	if (a->texts && errors->count == before)
		return a;
	assets_free(a);
	return NULL;
}

void assets_free(struct assets *a)
{
	if (!a)
		return;
	texts_free(a->texts);
	free(a->logo);
	if (a->metrics_token)
		explicit_bzero(a->metrics_token, strlen(a->metrics_token));
	free(a->metrics_token);
	free(a);
}
