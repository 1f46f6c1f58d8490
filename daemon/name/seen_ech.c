#include "name/seen.h"

/* Entries for public names stand under addresses of their own, so that they live and are kept as
 * others. */
static struct address ech_address(uint8_t config_id)
{
	return (struct address){{[0] = 0x01, [13] = 'e', [14] = 'c', [15] = config_id}};
}

void seen_add_ech(struct seen *s, const struct address *client, const struct host *public_name,
		  uint8_t config_id, int64_t ttl, int64_t now)
{
	struct address a = ech_address(config_id);
	seen_add(s, client, &a, public_name, ttl, now);
}

bool seen_public_name(struct seen *s, const struct address *client, const struct host *host,
		      uint8_t config_id, int64_t now)
{
	struct address a = ech_address(config_id);
	return seen_agrees(s, client, &a, host, now);
}
