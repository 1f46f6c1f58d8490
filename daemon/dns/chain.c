#include "dns/chain.h"
#include "base/table.h"

bool chains_init(struct chains *c, uint32_t slots)
{
	uint32_t buckets = 8;
	while (buckets < slots && buckets < 1u << 31)
		buckets *= 2;
	c->slots = slots;
	c->mask = buckets - 1;
	c->fresh = 1;
	c->free = 0;
	c->bucket = table_new(buckets, sizeof *c->bucket);
	c->link = table_new(slots + 1ul, sizeof *c->link);
	return c->bucket && c->link;
}

void chains_deinit(struct chains *c)
{
	table_free(c->bucket, c->mask + 1ul, sizeof *c->bucket);
	table_free(c->link, c->slots + 1ul, sizeof *c->link);
}
