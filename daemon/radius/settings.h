/* settings: what an administrator says of RADIUS accounting (portal.conf(5)). */
#pragma once
#include "config/config.h"

/* What a client must send for a report to count. */
enum { RADIUS_MESSAGE_AUTHENTICATOR = 1, RADIUS_EVENT_TIMESTAMP = 2 };

enum radius_clock { RADIUS_CLOCK_REGARD, RADIUS_CLOCK_DISREGARD };

struct radius_client {
	struct place place;
	struct network network;
	char *secret;
	uint32_t require;
	enum radius_clock clock;
};

struct radius_settings {
	struct endpoint listen; /* port 0: no RADIUS */
	struct radius_client *clients;
	size_t client_count;
	char *attribute; /* radius_attribute_parse takes it */
	struct config_tier_of *tiers;
	size_t tier_count;
	char *default_tier;      /* or NULL */
	int64_t interim, window; /* ns */
	uint32_t missed, sessions, repeats;
};
