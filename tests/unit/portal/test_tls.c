#include "unit.h"
#include "portal/tls.h"

#include "base/clock.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[64];
static struct errors errors;

static const char *path(const char *name)
{
	static char of[4][96];
	static unsigned next;
	char *text = of[next++ % 4];
	snprintf(text, sizeof of[0], "%s/%s", folder, name);
	return text;
}

static void put(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(path(name), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
	assert_int_equal(chmod(path(name), 0640), 0);
}

/* NAME.crt and NAME.key: a new key and its own certificate. */
static void make_until(const char *name, const char *crt, const char *key, time_t until)
{
	gnutls_x509_privkey_t k;
	gnutls_x509_crt_t c;
	gnutls_datum_t pem;
	assert_true(gnutls_x509_privkey_init(&k) >= 0 && gnutls_x509_crt_init(&c) >= 0);
	assert_true(gnutls_x509_privkey_generate(k, GNUTLS_PK_ECDSA,
						 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
						 0) >= 0);
	assert_true(gnutls_x509_crt_set_version(c, 3) >= 0);
	assert_true(gnutls_x509_crt_set_serial(c, "\1", 1) >= 0);
	assert_true(gnutls_x509_crt_set_dn_by_oid(c, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						  (unsigned)strlen(name)) >= 0);
	assert_true(gnutls_x509_crt_set_activation_time(c, 0) >= 0);
	assert_true(gnutls_x509_crt_set_expiration_time(c, until) >= 0);
	assert_true(gnutls_x509_crt_set_key(c, k) >= 0);
	assert_true(gnutls_x509_crt_sign2(c, c, k, GNUTLS_DIG_SHA256, 0) >= 0);
	assert_true(gnutls_x509_crt_export2(c, GNUTLS_X509_FMT_PEM, &pem) >= 0);
	put(crt, pem.data, pem.size);
	gnutls_free(pem.data);
	assert_true(gnutls_x509_privkey_export2(k, GNUTLS_X509_FMT_PEM, &pem) >= 0);
	put(key, pem.data, pem.size);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(c);
	gnutls_x509_privkey_deinit(k);
}

static void make(const char *name, const char *crt, const char *key)
{
	make_until(name, crt, key, 4000000000);
}

/* Whose certificate a handshake would get; "" where there is none. */
static const char *served(void)
{
	static char name[64];
	gnutls_pcert_st *chain;
	unsigned count;
	gnutls_privkey_t key;
	gnutls_x509_crt_t c;
	size_t len = sizeof name;
	if (tls_retrieve(NULL, NULL, 0, NULL, 0, &chain, &count, &key) != 0)
		return "";
	assert_int_equal(count, 1);
	assert_true(gnutls_x509_crt_init(&c) >= 0);
	assert_true(gnutls_x509_crt_import(c, &chain[0].cert, GNUTLS_X509_FMT_DER) >= 0);
	assert_true(gnutls_x509_crt_get_dn_by_oid(c, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
						  &len) >= 0);
	gnutls_x509_crt_deinit(c);
	return name;
}

static bool load(const char *crt, const char *key)
{
	return tls_load(path(crt), path(key), &errors);
}

static void refused(const char *crt, const char *key, const char *why)
{
	assert_false(load(crt, key));
	assert_int_equal(errors.count, 1);
	if (!strstr(errors.lines[0], why))
		fail_msg("said: %s; wanted: %s", errors.lines[0], why);
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	assert_string_equal(served(), "a");
}

static void a_reload_replaces_what_is_served(void **state)
{
	assert_string_equal(served(), "");
	assert_true(load("a.crt", "a.key"));
	assert_string_equal(served(), "a");
	assert_true(load("b.crt", "b.key"));
	assert_string_equal(served(), "b");
	assert_true(load("a.crt", "a.key"));
	assert_string_equal(served(), "a");
	tls_unload();
	assert_string_equal(served(), "");
}

/* The chain that a handshake takes now. */
static gnutls_pcert_st *taken(void)
{
	gnutls_pcert_st *chain;
	unsigned count;
	gnutls_privkey_t key;
	assert_int_equal(tls_retrieve(NULL, NULL, 0, NULL, 0, &chain, &count, &key), 0);
	return chain;
}

static bool is_a(const gnutls_pcert_st *chain)
{
	gnutls_x509_crt_t c;
	char name[64] = "";
	size_t len = sizeof name;
	assert_true(gnutls_x509_crt_init(&c) >= 0);
	assert_true(gnutls_x509_crt_import(c, &chain[0].cert, GNUTLS_X509_FMT_DER) >= 0);
	assert_true(gnutls_x509_crt_get_dn_by_oid(c, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
						  &len) >= 0);
	gnutls_x509_crt_deinit(c);
	return strcmp(name, "a") == 0;
}

/* Of a slow handshake, which needs its key again after any number of reloads. */
static void what_is_held_outlives_reloads(void **state)
{
	tls_drop(tls_hold()); /* nothing is there yet */
	assert_true(load("b.crt", "b.key"));
	struct tls_identity *slow = tls_hold(); /* its hello comes after the first reload */
	assert_true(load("a.crt", "a.key"));
	gnutls_pcert_st *chain = taken();
	for (int i = 0; i < 3; i++) {
		assert_true(load("b.crt", "b.key"));
		tls_drop(tls_hold()); /* a quick one */
		assert_true(is_a(chain));
	}
	tls_drop(slow);
	assert_string_equal(served(), "b");
	tls_unload();
}

static void what_is_wrong_changes_nothing(void **state)
{
	put("junk", "no PEM\n", 7);
	put("empty", "", 0);
	assert_true(load("a.crt", "a.key"));
	refused("a.crt", "b.key", "does not belong");
	refused("junk", "a.key", "no chain of certificates");
	refused("a.crt", "junk", "no private key");
	refused("empty", "a.key", "");
	refused("nowhere", "a.key", "cannot be read");
	refused("a.crt", "nowhere", "cannot be read");
	assert_int_equal(chmod(path("a.key"), 0644), 0);
	refused("a.crt", "a.key", "open to others");
	tls_unload();
}

/* No more of a chain than there is room for is served. */
static void a_chain_has_eight_at_most(void **state)
{
	char one[4096], chain[9 * 4096] = "";
	gnutls_pcert_st *got;
	unsigned count;
	gnutls_privkey_t key;
	FILE *f = fopen(path("a.crt"), "r");
	assert_non_null(f);
	one[fread(one, 1, sizeof one - 1, f)] = '\0';
	fclose(f);
	assert_true(load("a.crt", "a.key"));
	for (int i = 0; i < 9; i++) {
		strcat(chain, one);
		put("junk", chain, strlen(chain));
		assert_true(load("junk", "a.key"));
		assert_int_equal(tls_retrieve(NULL, NULL, 0, NULL, 0, &got, &count, &key), 0);
		assert_int_equal(count, i < 8 ? i + 1 : 8);
	}
	assert_true(load("a.crt", "a.key")); /* and the long one goes */
	tls_unload();
}

static int set_up(void **state)
{
	strcpy(folder, "/tmp/tiergate-tls-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	make("a", "a.crt", "a.key");
	make("b", "b.crt", "b.key");
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"a.crt", "a.key", "b.crt", "b.key", "junk", "empty"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(path(names[i]));
	return rmdir(folder);
}

/* How many lines are said of a certificate, of which the first has this word. */
static size_t looked(const char *authority, int64_t seconds, const char *word)
{
	struct errors said = {0};
	tls_look("gate.crt", authority, seconds * NS_PER_S, &said);
	if (said.count && !strstr(said.lines[0], word))
		fail_msg("said: %s; wanted: %s", said.lines[0], word);
	size_t count = said.count;
	errors_deinit(&said);
	return count;
}

static void what_browsers_will_not_like_is_said(void **state)
{
	const int64_t end = 2000000000, day = 86400;
	make_until("gate.example", "g.crt", "g.key", end);
	assert_true(load("g.crt", "g.key"));
	assert_int_equal(looked("gate.example", end - 15 * day, ""), 0);
	assert_int_equal(looked("gate.example:8443", end - 15 * day, ""), 0);
	assert_int_equal(looked("gate.example", end - 14 * day, ""), 0);
	assert_int_equal(looked("gate.example", end - 14 * day + 1, "ends on 2033-05-18"), 1);
	assert_int_equal(looked("gate.example", end - 1, "ends on"), 1);
	assert_int_equal(looked("gate.example", end, "has ended"), 1);
	assert_int_equal(looked("other.example", end - 15 * day, "not for other.example"), 1);
	assert_int_equal(looked("other.example", end + day, "has ended"), 2);
	assert_int_equal(looked("[fd00::1]:8443", end - 15 * day, "not for fd00::1"), 1);
	assert_int_equal(looked("gate.example", -1, "not valid yet"), 1);
	tls_unload();
	unlink(path("g.crt"));
	unlink(path("g.key"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_browsers_will_not_like_is_said),
		cmocka_unit_test(a_reload_replaces_what_is_served),
		cmocka_unit_test(what_is_held_outlives_reloads),
		cmocka_unit_test(a_chain_has_eight_at_most),
		cmocka_unit_test(what_is_wrong_changes_nothing),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
