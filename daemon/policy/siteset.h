/* siteset: sets of site indices, each kept once, so that a set is a number and two equal sets are
 * the same number. Filled while compiling, then read by any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define SITES_MAX    4096
#define SITESET_NONE UINT32_MAX /* memory ran out */

struct siteset;

struct siteset *siteset_new(void); /* holds the empty set, which is number 0 */
void siteset_free(struct siteset *s);

/* The number of the set of these sites, which are ascending and without repeats. */
uint32_t siteset_number(struct siteset *s, const uint16_t *sites, size_t count)
	__attribute__((warn_unused_result));

/* The sites of a set, ascending. */
const uint16_t *siteset_sites(const struct siteset *s, uint32_t number, size_t *count);
