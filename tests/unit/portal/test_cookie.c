#include "portal/cookie.h"
#include "state/store.h"
#include "unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T0   (1000 * INT64_C(1000000000))
#define HOUR (3600 * INT64_C(1000000000))
#define HEX  "00112233445566778899aabbccddeeff"

static enum parse parse(const char *header, struct token *out)
{
	return cookie_parse(header, strlen(header), out);
}

static void headers_are_read(void **state)
{
	struct token t;
	char text[TOKEN_TEXT];
	static const char *const good[] = {
		COOKIE_NAME "=" HEX,
		"language=bg; " COOKIE_NAME "=" HEX,
		COOKIE_NAME "=" HEX "; language=bg",
		"x" COOKIE_NAME "=zz;" COOKIE_NAME "=" HEX,
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		memset(&t, 0, sizeof t);
		assert_int_equal(parse(good[i], &t), PARSE_OK);
		token_format(&t, text);
		assert_string_equal(text, HEX);
	}
}

static void bad_headers_are_told_from_absent_ones(void **state)
{
	struct token t;
	static const char *const absent[] = {"", ";", "; ;", "a=b", COOKIE_NAME, "a=" COOKIE_NAME};
	static const char *const bad[] = {
		COOKIE_NAME "=",
		COOKIE_NAME "=0011",
		COOKIE_NAME "=" HEX "0",
		COOKIE_NAME "=00112233445566778899AABBCCDDEEFF",
		COOKIE_NAME "=00112233445566778899aabbccddeefg",
		COOKIE_NAME "=" HEX "; " COOKIE_NAME "=" HEX,
	};
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
		assert_int_equal(parse(absent[i], &t), PARSE_ABSENT);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(parse(bad[i], &t), PARSE_BAD);
}

static void a_cookie_is_found_until_it_ends(void **state)
{
	struct cookies *c = cookies_new();
	struct token t = token_new(), other = token_new();
	struct cookie what = {.user = "ann", .tier = "press", .until = T0 + HOUR}, got;
	assert_memory_not_equal(&t, &other, sizeof t);
	cookies_put(c, &t, &what, T0);
	assert_true(cookies_find(c, &t, T0, &got));
	assert_string_equal(got.user, "ann");
	assert_true(cookies_find(c, &t, T0 + HOUR - 1, &got));
	assert_false(cookies_find(c, &t, T0 + HOUR, &got));
	assert_false(cookies_find(c, &other, T0, &got));
	cookies_drop(c, &other);
	cookies_drop(c, &t);
	assert_false(cookies_find(c, &t, T0, &got));
	what.until = T0;
	cookies_put(c, &t, &what, T0);
	assert_false(cookies_find(c, &t, T0 - 1, &got));
	cookies_free(c);
}

static void a_full_table_keeps_what_lasts_longest(void **state)
{
	struct cookies *c = cookies_new();
	struct token kept = token_new();
	struct cookie what = {.user = "ann", .until = T0 + 2 * HOUR}, got;
	cookies_put(c, &kept, &what, T0);
	what.until = T0 + HOUR;
	for (int i = 0; i < COOKIES_MAX * 2; i++) {
		struct token t = token_new();
		cookies_put(c, &t, &what, T0);
		assert_true(cookies_find(c, &t, T0, &got));
	}
	assert_true(cookies_find(c, &kept, T0, &got));
	cookies_free(c);
}

static void forms_are_bound_to_the_token_and_the_process(void **state)
{
	struct cookies *c = cookies_new(), *after = cookies_new();
	struct token t = token_new(), other = token_new();
	char csrf[CSRF_TEXT], text[TOKEN_TEXT];
	cookies_csrf(c, &t, csrf);
	token_format(&t, text);
	assert_string_not_equal(csrf, text);
	assert_true(cookies_csrf_good(c, &t, csrf));
	assert_false(cookies_csrf_good(c, &other, csrf));
	assert_false(cookies_csrf_good(after, &t, csrf));
	assert_false(cookies_csrf_good(c, &t, ""));
	csrf[31] = (char)(csrf[31] == '0' ? '1' : '0');
	assert_false(cookies_csrf_good(c, &t, csrf));
	csrf[31] = '\0';
	assert_false(cookies_csrf_good(c, &t, csrf));
	cookies_free(c);
	cookies_free(after);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static void the_store_has_hashes_and_no_token(void **state)
{
	char dir[] = "/tmp/tiergate-cookie-XXXXXX", path[64], bytes[4096];
	assert_non_null(mkdtemp(dir));
	struct store *s = store_folder_new(dir);
	struct cookies *c = cookies_new(), *after = cookies_new();
	struct token t = token_new(), old = token_new();
	struct cookie what = {.user = "ann", .tier = "press", .until = T0 + HOUR}, got;
	cookies_put(c, &t, &what, T0);
	what.until = T0 + 1;
	cookies_put(c, &old, &what, T0);
	assert_int_equal(cookies_save(c, s), 0);
	snprintf(path, sizeof path, "%s/cookies.state", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t len = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	assert_non_null(memmem(bytes, len, "ann", 3));
	assert_null(memmem(bytes, len, t.bytes, sizeof t.bytes));
	cookies_load(after, s, T0 + 1);
	assert_true(cookies_find(after, &t, T0 + 1, &got));
	assert_string_equal(got.tier, "press");
	assert_false(cookies_find(after, &old, T0, &got));
	remove(path);
	assert_int_equal(cookies_save(c, s), 0);
	assert_null(fopen(path, "r")); /* nothing has changed: nothing is written */
	cookies_free(c);
	cookies_free(after);
	s->ops->free(s);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* What was written by who knows whom ends where its room does. */
static void texts_of_a_file_end(void **state)
{
	char dir[] = "/tmp/tiergate-cookies-XXXXXX";
	size_t len = 0;
	assert_non_null(mkdtemp(dir));
	struct store *s = store_folder_new(dir);
	struct cookies *c = cookies_new(), *after = cookies_new();
	struct token t = token_new();
	struct cookie what = {.user = "ann", .tier = "press", .source = "why", .until = T0 + HOUR},
		      got;
	cookies_put(c, &t, &what, T0);
	assert_int_equal(cookies_save(c, s), 0);
	char *bytes = s->ops->load(s, "cookies", 2, &len);
	char *user = bytes ? memmem(bytes, len, "ann", 4) : NULL;
	assert_non_null(user);
	char *cookie = user - offsetof(struct cookie, user);
	memset(cookie + offsetof(struct cookie, user), 'u', sizeof what.user);
	memset(cookie + offsetof(struct cookie, tier), 't', sizeof what.tier);
	memset(cookie + offsetof(struct cookie, source), 's', sizeof what.source);
	assert_int_equal(s->ops->save(s, "cookies", 2, bytes, len), 0);
	free(bytes);
	cookies_load(after, s, T0 + 1);
	assert_true(cookies_find(after, &t, T0 + 1, &got));
	assert_int_equal(strnlen(got.user, sizeof got.user), sizeof got.user - 1);
	assert_int_equal(strnlen(got.tier, sizeof got.tier), sizeof got.tier - 1);
	assert_int_equal(strnlen(got.source, sizeof got.source), sizeof got.source - 1);
	cookies_free(c);
	cookies_free(after);
	s->ops->free(s);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* All 128 bits of a token are random: nobody guesses one. */
static void tokens_are_random_in_every_bit(void **state)
{
	uint8_t set[TOKEN_BYTES] = {0}, clear[TOKEN_BYTES] = {0};
	for (int i = 0; i < 256; i++) {
		struct token t = token_new();
		for (size_t k = 0; k < TOKEN_BYTES; k++) {
			set[k] |= t.bytes[k];
			clear[k] |= (uint8_t)~t.bytes[k];
		}
	}
	for (size_t k = 0; k < TOKEN_BYTES; k++) {
		assert_int_equal(set[k], 0xff);
		assert_int_equal(clear[k], 0xff);
	}
}

/* A token whose hash begins as a good one's does is none: 300,000 guesses hit the first two bytes
 * four or five times. */
static void a_cookie_is_told_by_its_whole_hash(void **state)
{
	struct cookies *c = cookies_new();
	struct cookie what = {.user = "ann", .tier = "press", .until = T0 + HOUR}, got;
	struct token t = token_new();
	cookies_put(c, &t, &what, T0);
	for (int i = 0; i < 300000; i++) {
		struct token guess = t;
		memcpy(guess.bytes, &i, sizeof i);
		if (memcmp(&guess, &t, sizeof t) != 0)
			assert_false(cookies_find(c, &guess, T0, &got));
	}
	cookies_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_a_file_end),
		cmocka_unit_test(tokens_are_random_in_every_bit),
		cmocka_unit_test(a_cookie_is_told_by_its_whole_hash),
		cmocka_unit_test(headers_are_read),
		cmocka_unit_test(bad_headers_are_told_from_absent_ones),
		cmocka_unit_test(a_cookie_is_found_until_it_ends),
		cmocka_unit_test(a_full_table_keeps_what_lasts_longest),
		cmocka_unit_test(forms_are_bound_to_the_token_and_the_process),
		cmocka_unit_test(the_store_has_hashes_and_no_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
