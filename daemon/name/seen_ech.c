#include "name/seen.h"

/* Entries for public names stand under addresses of their own, so that they live and are kept as
 * others. */
static struct address ech_address(int config_id)
{
	struct address a = {{[0] = 0x01, [12] = 'e', [13] = 'c'}};
	if (config_id >= 0) {
		a.bytes[14] = 1;
		a.bytes[15] = (uint8_t)config_id;
	}
	return a;
}

void seen_add_ech(struct seen *s, const struct address *client, const struct host *public_name,
		  uint8_t config_id, int64_t ttl, int64_t now)
{
	struct address any = ech_address(-1), one = ech_address(config_id);
	seen_add(s, client, &any, public_name, ttl, now);
	seen_add(s, client, &one, public_name, ttl, now);
}

bool seen_public_name(struct seen *s, const struct address *client, const struct host *host,
		      int config_id, int64_t now)
{
	struct address a = ech_address(config_id);
	return seen_agrees(s, client, &a, host, now);
}
