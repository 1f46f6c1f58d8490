#include "base/host.h"
#include "dns/seen.h"

#define PUBLIC_NAMES 8 /* with one config_id, the newest */

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
	struct host told[PUBLIC_NAMES];
	size_t count = seen_names(s, client, &a, now, told, PUBLIC_NAMES);
	bool found = false;
	for (size_t i = 0; i < count && !found; i++)
		found = host_equal(&told[i], host);
	return found;
}

/* Under the target's hash, which is keyed: no name can be made that meets another's. */
static struct address target_address(const struct seen *s, const struct host *target)
{
	struct address a = {{[0] = 0x01, [7] = 1}};
	uint64_t hash = seen_hash(s, target);
	memcpy(a.bytes + 8, &hash, sizeof hash);
	return a;
}

void seen_add_target(struct seen *s, const struct address *client, const struct host *target,
		     const struct host *origin, int64_t ttl, int64_t now)
{
	struct address a = target_address(s, target);
	if (target->len && !host_equal(target, origin))
		seen_add(s, client, &a, origin, ttl, now);
}

size_t seen_origins(struct seen *s, const struct address *client, const struct host *target,
		    int64_t now, struct host *out, size_t max)
{
	struct address a = target_address(s, target);
	return seen_names(s, client, &a, now, out, max);
}
