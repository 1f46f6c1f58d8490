#include "portal/tls.h"

#include "base/clock.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define CHAIN_MAX 8

struct tls_identity {
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned count;
	gnutls_privkey_t key;
	struct tls_identity *next; /* that replaced it */
	size_t held;
};

/* From the oldest that a connection may still use to the one in use. A handshake takes the one that
 * is in use at its hello, and needs its key once more when the client has answered: so a connection
 * holds what was in use when it began, and what came after that stays too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls_identity *oldest, *current;

static void identity_free(struct tls_identity *i)
{
	if (!i)
		return;
	for (unsigned k = 0; k < i->count; k++)
		gnutls_pcert_deinit(&i->chain[k]);
	gnutls_privkey_deinit(i->key);
	free(i);
}

static void let_go(void)
{
	while (oldest != current && oldest->held == 0) {
		struct tls_identity *i = oldest;
		oldest = i->next;
		identity_free(i);
	}
}

static bool load_file(const char *path, gnutls_datum_t *out, struct errors *errors)
{
	errno = 0;
	if (gnutls_load_file(path, out) >= 0)
		return true;
	errors_add(errors, path, 0, "the file cannot be read: %s",
		   errno ? strerror(errno) : "it is empty or too large");
	return false;
}

static void load_chain(struct tls_identity *i, const char *path, struct errors *errors)
{
	gnutls_datum_t pem;
	if (!load_file(path, &pem, errors))
		return;
	unsigned count = CHAIN_MAX;
	int e = gnutls_pcert_list_import_x509_raw(i->chain, &count, &pem, GNUTLS_X509_FMT_PEM, 0);
	i->count = e >= 0 ? count : 0;
	if (e < 0)
		errors_add(errors, path, 0, "this is no chain of certificates in PEM: %s",
			   gnutls_strerror(e));
	gnutls_free(pem.data);
}

static void load_key(struct tls_identity *i, const char *path, struct errors *errors)
{
	gnutls_datum_t pem;
	struct stat st;
	if (!load_file(path, &pem, errors))
		return;
	if (stat(path, &st) == 0 && (st.st_mode & 07))
		errors_add(errors, path, 0,
			   "the key is open to others; mode 0640 would be accepted");
	int e = gnutls_privkey_import_x509_raw(i->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (e < 0)
		errors_add(errors, path, 0, "this is no private key in PEM: %s",
			   gnutls_strerror(e));
	gnutls_memset(pem.data, 0, pem.size);
	gnutls_free(pem.data);
}

static bool belong_together(const struct tls_identity *i)
{
	gnutls_pubkey_t public;
	unsigned char a[64], b[64];
	size_t a_len = sizeof a, b_len = sizeof b;
	if (gnutls_pubkey_init(&public) < 0)
		return false;
	bool same = gnutls_pubkey_import_privkey(public, i->key, 0, 0) >= 0 &&
		    gnutls_pubkey_get_key_id(public, 0, a, &a_len) >= 0 &&
		    gnutls_pubkey_get_key_id(i->chain[0].pubkey, 0, b, &b_len) >= 0 &&
		    a_len == b_len && memcmp(a, b, a_len) == 0;
	gnutls_pubkey_deinit(public);
	return same;
}

bool tls_load(const char *certificate, const char *key, struct errors *errors)
{
	size_t before = errors->count;
	struct tls_identity *i = calloc(1, sizeof *i);
	if (!i || gnutls_privkey_init(&i->key) < 0) {
		free(i);
		return false;
	}
	load_chain(i, certificate, errors);
	load_key(i, key, errors);
	if (errors->count == before && !belong_together(i))
		errors_add(errors, key, 0, "the key does not belong to %s", certificate);
	if (errors->count != before) {
		identity_free(i);
		return false;
	}
	pthread_mutex_lock(&lock);
	if (current)
		current->next = i;
	else
		oldest = i;
	current = i;
	let_go();
	pthread_mutex_unlock(&lock);
	return true;
}

/* ---- what browsers will say of it ---- */

static void look_at_dates(gnutls_x509_crt_t crt, const char *file, int64_t now,
			  struct errors *warnings)
{
	time_t today = (time_t)(now / NS_PER_S), end = gnutls_x509_crt_get_expiration_time(crt);
	char date[16] = "";
	struct tm tm;
	if (gmtime_r(&end, &tm))
		strftime(date, sizeof date, "%Y-%m-%d", &tm);
	if (gnutls_x509_crt_get_activation_time(crt) > today)
		errors_add(warnings, file, 0,
			   "the certificate is not valid yet; browsers refuse it");
	else if (end <= today)
		errors_add(warnings, file, 0,
			   "the certificate has ended on %s; browsers refuse it: renew it", date);
	else if (end - today < TLS_WARN_DAYS * 86400)
		errors_add(warnings, file, 0, "the certificate ends on %s; renew it", date);
}

void tls_look(const char *file, const char *authority, int64_t now, struct errors *warnings)
{
	gnutls_x509_crt_t crt = NULL;
	char host[256];
	size_t len = *authority == '[' ? strcspn(authority, "]") : strcspn(authority, ":");
	bool six = *authority == '[';
	snprintf(host, sizeof host, "%.*s", (int)(len - six), authority + six);
	pthread_mutex_lock(&lock);
	if (current && gnutls_pcert_export_x509(&current->chain[0], &crt) < 0)
		crt = NULL;
	pthread_mutex_unlock(&lock);
	if (!crt)
		return;
	look_at_dates(crt, file, now, warnings);
	if (!gnutls_x509_crt_check_hostname(crt, host))
		errors_add(warnings, file, 0,
			   "the certificate is not for %s, the name in url; browsers refuse it",
			   host);
	gnutls_x509_crt_deinit(crt);
}

void tls_unload(void)
{
	while (oldest) {
		struct tls_identity *i = oldest;
		oldest = i->next;
		identity_free(i);
	}
	current = NULL;
}

struct tls_identity *tls_hold(void)
{
	pthread_mutex_lock(&lock);
	struct tls_identity *i = current;
	if (i)
		i->held++;
	pthread_mutex_unlock(&lock);
	return i;
}

void tls_drop(struct tls_identity *i)
{
	if (!i)
		return;
	pthread_mutex_lock(&lock);
	i->held--;
	let_go();
	pthread_mutex_unlock(&lock);
}

int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *ca_names, int ca_count,
		 const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
		 gnutls_pcert_st **certificates, unsigned *count, gnutls_privkey_t *key)
{
	pthread_mutex_lock(&lock);
	struct tls_identity *i = current;
	pthread_mutex_unlock(&lock);
	if (!i)
		return -1;
	*certificates = i->chain;
	*count = i->count;
	*key = i->key;
	return 0;
}
