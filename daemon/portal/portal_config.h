/* portal_config: portal.conf(5), read by the mechanism of config/schema.h from the table in
 * portal_config.c. */
#pragma once
#include "config/config.h"
#include "radius/settings.h"

struct table;

enum portal_roaming { ROAMING_OFF, ROAMING_MOVE };

/* Bits: which backends are asked, always in this order. */
enum { CREDENTIALS_USERS = 1, CREDENTIALS_PAM = 2, CREDENTIALS_VOUCHERS = 4 };

struct portal_config {
	struct place place; /* unused: every row of a table begins with one */
	char *url;          /* "https://gate.example", without a slash at its end */
	struct endpoint https, http;
	char *certificate, *key;
	struct endpoint metrics; /* port 0: none */
	char *metrics_token;     /* its file */
	struct networks metrics_clients;
	struct networks clients; /* who is served; others are closed at once */
	char *control_socket, *state_dir;

	uint32_t credentials;
	char *users_file;
	int64_t session; /* ns: how long a sign-in and its cookie last */
	enum portal_roaming roaming;

	char *texts, *language;                            /* folder of NAME.text; "en" */
	char *title, *notice, *contact, *logo, *venue_url; /* or NULL, but title */

	uint32_t connections, connections_per_client, request_bytes;
	int64_t request_time; /* ns, from its first byte to the last of its answer */
	uint32_t checkers;    /* threads that check credentials */

	char *pam_service;
	struct config_tier_of *pam_tiers;
	size_t pam_tier_count;
	char *pam_default_tier; /* or NULL: who is in none of the groups is not let in */
	char *vouchers_file;

	struct radius_settings radius;

	unsigned held; /* by how many besides who loaded it */
};

extern const struct table schema_portal; /* config/schema.h */

/* NULL where anything is wrong; all of it is then in errors. */
struct portal_config *portal_config_load(const char *path, struct errors *errors);
/* Freed by the last of those who hold it. */
struct portal_config *portal_config_hold(struct portal_config *c);
void portal_config_free(struct portal_config *c);

/* "gate.example" or "gate.example:8443" of the url. */
const char *portal_authority(const struct portal_config *c);
