/* Accounting packets: parsed for each kind of tier attribute; what was parsed lies in the packet,
 * and the answer to it is no longer than it, and well-formed. */
#include "radius/radius.h"
#include <stdlib.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void inside(const struct radius_request *r, const struct radius_text *text)
{
	require(!text->len ||
		(text->bytes >= r->bytes && text->bytes + text->len <= r->bytes + r->len));
}

static void look(const struct radius_request *r)
{
	uint8_t out[RADIUS_MAX];
	require(r->len <= RADIUS_MAX && r->addresses <= RADIUS_ADDRESSES);
	inside(r, &r->user);
	inside(r, &r->session);
	inside(r, &r->nas_name);
	for (unsigned i = 0; i < r->values; i++)
		inside(r, &r->value[i]);
	bool genuine = radius_genuine(r, "testing123");
	size_t len = radius_answer(r, "testing123", out);
	require(len >= 20 && len <= r->len && out[0] == RADIUS_ACCOUNTING_RESPONSE);
	require(len == (size_t)(out[2] << 8 | out[3]) && out[1] == r->id);
	(void)genuine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const kinds[] = {"Class", "Filter-Id", "vendor:9:1"};
	struct radius_attribute tier;
	struct radius_request r;
	for (int i = 0; i < 3; i++) {
		require(radius_attribute_parse(kinds[i], &tier));
		if (radius_parse(data, size, &tier, &r) == PARSE_OK)
			look(&r);
	}
	return 0;
}
