/* Logos: what browsers show, told by its first bytes and by nothing else. */
#include "unit.h"
#include "portal/assets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static struct assets *load(const void *bytes, size_t len, struct errors *errors)
{
	struct portal_config c = {.texts = "/nonexistent", .language = "en", .logo = path};
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
	return assets_load(&c, errors);
}

static void is_image(const char *bytes, size_t len, const char *type)
{
	struct errors errors = {0};
	struct assets *a = load(bytes, len, &errors);
	assert_true(!a == !type);
	assert_int_equal(errors.count, !type);
	if (a) {
		assert_string_equal(a->logo_type, type);
		assert_int_equal(a->logo_len, len);
		assert_memory_equal(a->logo, bytes, len);
	} else {
		assert_non_null(strstr(errors.lines[0], "the logo is no image"));
	}
	errors_deinit(&errors);
	assets_free(a);
}

#define IMAGE(bytes, type) is_image(bytes, sizeof(bytes) - 1, type)

static void an_image_is_told_by_its_first_bytes(void **state)
{
	IMAGE("\x89PNG\r\n\x1a\n.", "image/png");
	IMAGE("\x89PNG\r\n\x1a\n", NULL); /* and nothing behind them */
	IMAGE("\x89PNG\r\n\x1ax..", NULL);
	IMAGE("\xff\xd8\xff.", "image/jpeg");
	IMAGE("\xff\xd8\xff", NULL);
	IMAGE("\xff\xd8x.", NULL);
	IMAGE("RIFF....WEBP.", "image/webp");
	IMAGE("RIFF....WEBP", NULL);
	IMAGE("RIFF....WAVE.", NULL);
	IMAGE("RAFF....WEBP.", NULL);
	IMAGE("<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>",
	      "image/svg+xml");
	IMAGE("<svg", "image/svg+xml");
	IMAGE("<sv", NULL);
	IMAGE("GIF89a.......", NULL);
	IMAGE("", NULL);
}

static void a_logo_has_a_bound(void **state)
{
	static char bytes[LOGO_MAX + 1] = "<svg";
	struct errors errors = {0};
	is_image(bytes, LOGO_MAX, "image/svg+xml");
	assert_null(load(bytes, LOGO_MAX + 1, &errors));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "the logo cannot be read: "));
	errors_deinit(&errors);
}

static void the_style_has_a_version_of_its_bytes(void **state)
{
	const char *version = style_version();
	assert_int_equal(strlen(version), 8);
	assert_int_equal(strspn(version, "0123456789abcdef"), 8);
	char text[32], command[128];
	snprintf(command, sizeof command, "sha256sum daemon/portal/style.css");
	FILE *f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	pclose(f);
	assert_memory_equal(version, text, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_is_told_by_its_first_bytes),
		cmocka_unit_test(a_logo_has_a_bound),
		cmocka_unit_test(the_style_has_a_version_of_its_bytes),
	};
	snprintf(path, sizeof path, "/tmp/tiergate-logo-XXXXXX");
	close(mkstemp(path));
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
