/* tls: the portal's certificate, which a reload replaces under running connections. */
#pragma once
#include "base/error.h"
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>

/* Reads both files; where they are good and belong together, handshakes from now on use them, else
 * what was in use stays. Main thread. */
bool tls_load(const char *certificate, const char *key, struct errors *errors);
/* Nothing may be held any more. */
/* Adds what browsers will not like of the certificate in use: its name is not the authority's, it
 * has ended, or it ends within TLS_WARN_DAYS. file: to be named; now: of clock_wall. */
#define TLS_WARN_DAYS 14
void tls_look(const char *file, const char *authority, int64_t now, struct errors *warnings);
void tls_unload(void);

/* A connection holds from its begin to its end what it may be served with: reloads free nothing of
 * it. NULL (nothing is loaded) may be dropped. Any thread. */
struct tls_identity *tls_hold(void);
void tls_drop(struct tls_identity *i);

/* A gnutls_certificate_retrieve_function2, for libmicrohttpd. */
int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *ca_names, int ca_count,
		 const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
		 gnutls_pcert_st **certificates, unsigned *count, gnutls_privkey_t *key);
