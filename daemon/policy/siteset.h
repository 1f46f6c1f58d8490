/* siteset: sets of members (a site and how it holds something), each kept once, so that a set is a
 * number and two equal sets are the same number. Filled while compiling, then read by any thread.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define SITES_MAX    4096
#define SITESET_NONE UINT32_MAX /* memory ran out */

/* How a site holds a host or network: as its own; as needed by it and not of it ("~"), which only
 * what opens takes; or not at all, whatever else of the site holds it ("!"). */
enum hold { HOLD_OWN, HOLD_SHARED, HOLD_NOT, HOLD_NONE };

static inline uint16_t member(uint16_t site, enum hold hold)
{
	return (uint16_t)(site << 2 | hold);
}
static inline uint16_t member_site(uint16_t m)
{
	return m >> 2;
}
static inline enum hold member_hold(uint16_t m)
{
	return (enum hold)(m & 3);
}

struct siteset;

struct siteset *siteset_new(void); /* holds the empty set, which is number 0 */
void siteset_free(struct siteset *s);

/* The number of the set of these members, by site ascending, each site once. */
uint32_t siteset_number(struct siteset *s, const uint16_t *sites, size_t count)
	__attribute__((warn_unused_result));

/* The members of a set, by site ascending. */
const uint16_t *siteset_sites(const struct siteset *s, uint32_t number, size_t *count);
/* How a site is in a set. */
enum hold siteset_hold(const struct siteset *s, uint32_t number, uint16_t site);
