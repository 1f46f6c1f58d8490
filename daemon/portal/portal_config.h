/* portal_config: portal.conf(5), read by the mechanism of config/schema.h from the table in
 * portal_config.c. */
#pragma once
#include "config/config.h"

struct table;

enum portal_roaming { ROAMING_OFF, ROAMING_MOVE };

/* Bits: which backends are asked, always in this order. */
enum { CREDENTIALS_USERS = 1, CREDENTIALS_PAM = 2, CREDENTIALS_VOUCHERS = 4 };

struct portal_config {
	struct place place; /* unused: every row of a table begins with one */
	char *url;          /* "https://gate.example", without a slash at its end */
	struct address https, http;
	uint16_t https_port, http_port;
	char *certificate, *key;
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
};

extern const struct table schema_portal; /* config/schema.h */

/* NULL where anything is wrong; all of it is then in errors. */
struct portal_config *portal_config_load(const char *path, struct errors *errors);
void portal_config_free(struct portal_config *c);

/* "gate.example" or "gate.example:8443" of the url. */
const char *portal_authority(const struct portal_config *c);
