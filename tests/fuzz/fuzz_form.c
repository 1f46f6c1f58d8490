/* Bytes from a browser: a form's body, a Cookie header, Accept-Language, a host to be shown. */
#include "portal/cookie.h"
#include "portal/form.h"
#include "portal/request.h"
#include "portal/text.h"

#include <stdlib.h>

static void languages(const char *text)
{
	static struct texts *t;
	struct errors errors = {0};
	if (!t)
		t = texts_load("/nonexistent", "en", &errors);
	if (!texts_choose(t, text))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char out[16], host[HOST_MAX + 1], again[HOST_MAX + 1];
	struct token token;
	if (form_field(bytes, len, "user", out, sizeof out) == PARSE_OK &&
	    strlen(out) >= sizeof out)
		abort();
	cookie_parse(bytes, len, &token);
	char *text = malloc(len + 1);
	memcpy(text, bytes, len);
	text[len] = '\0';
	languages(text);
	/* What is good is shown, and is good as it is shown. */
	if (host_good(text, host)[0] && strcmp(host_good(host, again), host) != 0)
		abort();
	if (strpbrk(host, "<>\"'& /"))
		abort();
	free(text);
	return 0;
}
