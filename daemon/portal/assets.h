/* assets: the files that pages are made of: texts, logo, style. Replaced as a whole by a reload. */
#pragma once
#include "portal/portal_config.h"
#include "portal/text.h"

#define LOGO_MAX (64 * 1024)

struct assets {
	struct texts *texts;
	char *logo; /* or NULL */
	size_t logo_len;
	const char *logo_type;
	char *metrics_token; /* or NULL: nobody reads metrics */
};

/* style.css, which is part of the program, and a word that changes when it does. */
extern const char style_css[];
extern const char style_css_end[];
const char *style_version(void);

struct assets *assets_load(const struct portal_config *c, struct errors *errors);
void assets_free(struct assets *a);
