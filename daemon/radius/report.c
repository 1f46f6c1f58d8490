#include "radius/report.h"

#include "base/clock.h"
#include "identity/users.h"

#include <nettle/sha2.h>
#include <stdio.h>

/* No clock of a client was right before this: 2020-01-01. One that says an earlier time has not
 * been set since its machine came up. */
#define CLOCK_SET (INT64_C(1577836800) * NS_PER_S)

int64_t radius_lasts(const struct radius_settings *c, uint32_t interim)
{
	int64_t each = c->interim;
	if (interim >= 60 && interim <= 86400)
		each = interim * NS_PER_S;
	return each * c->missed;
}

static void digest(struct sha256_ctx *ctx, uint8_t out[ACCOUNTING_KEY])
{
	sha256_digest(ctx, ACCOUNTING_KEY, out);
}

/* Who reports: told by all that it says of itself (RFC 2866 section 5.4) and by where it comes
 * from, whatever the order: neither an address that many have, nor a name that all of a make have,
 * makes one of two. A client speaks for those behind it, and never for those behind another. */
static void nas_keys(const struct radius_request *r, const struct network *client,
		     const struct address *from, struct accounting_report *out)
{
	struct sha256_ctx ctx, both;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof client->base, client->base.bytes); /* a row may move */
	sha256_update(&ctx, sizeof client->bits, (const uint8_t *)&client->bits);
	sha256_update(&ctx, sizeof r->nas4, r->nas4.bytes);
	sha256_update(&ctx, sizeof r->nas6, r->nas6.bytes);
	if (r->nas_name.len)
		sha256_update(&ctx, r->nas_name.len, r->nas_name.bytes);
	both = ctx;
	digest(&ctx, out->behind);
	sha256_update(&both, sizeof from->bytes, from->bytes);
	digest(&both, out->nas);
}

/* "" where the bytes are no user name. */
static void user_of(const struct radius_request *r, char out[static USER_MAX])
{
	size_t len = r->user.len < USER_MAX ? r->user.len : 0;
	memcpy(out, r->user.bytes ? r->user.bytes : (const uint8_t *)"", len);
	out[len] = '\0';
	if (strlen(out) != len || !user_name_valid(out))
		out[0] = '\0';
}

static const char *tier_of_value(const struct radius_settings *c, const struct radius_text *value,
				 char room[static TIER_MAX])
{
	for (size_t i = 0; i < c->tier_count; i++)
		if (strlen(c->tiers[i].value) == value->len &&
		    memcmp(c->tiers[i].value, value->bytes, value->len) == 0)
			return c->tiers[i].tier;
	if (c->tier_count || value->len >= TIER_MAX)
		return NULL;
	memcpy(room, value->bytes, value->len);
	room[value->len] = '\0';
	return strlen(room) == value->len && tier_name_valid(room) ? room : NULL;
}

static void tier_of(const struct radius_settings *c, const struct radius_request *r,
		    char out[static TIER_MAX])
{
	char room[TIER_MAX];
	const char *tier = NULL;
	for (unsigned i = 0; i < r->values && !tier; i++)
		tier = tier_of_value(c, &r->value[i], room);
	if (!tier)
		tier = c->default_tier;
	snprintf(out, TIER_MAX, "%s", tier ? tier : "");
}

/* When it happened, by the client's clock: where that is to be regarded, and has been set. What
 * ends sessions counts even where it has not been (a machine that has just come up says so). */
static int64_t said_of(const struct radius_client *row, const struct radius_request *r)
{
	int64_t said = r->time * NS_PER_S;
	bool ends = r->status != RADIUS_START && r->status != RADIUS_INTERIM;
	if (!r->has_time || row->clock == RADIUS_CLOCK_DISREGARD || (ends && said < CLOCK_SET))
		return 0;
	return said ? said : 1;
}

void radius_report(const struct radius_settings *c, const struct radius_client *row,
		   const struct radius_request *r, const struct address *from, int64_t wall,
		   int64_t now, struct accounting_report *out)
{
	struct sha256_ctx ctx;
	*out = (struct accounting_report){
		.status = (enum radius_status)r->status,
		.addresses = r->addresses,
		.time = {.said = said_of(row, r), .heard = now - r->delay * NS_PER_S},
		.delayed = r->delay > 0,
		.arrived = wall,
		.has_session_time = r->has_session_time,
		.session_time = r->session_time,
		.lasts = radius_lasts(c, r->interim),
		.user_told = r->user.len > 0,
		.tier_told = r->values > 0,
		.has_mac = r->has_mac,
	};
	memcpy(out->mac, r->mac, sizeof out->mac);
	memcpy(out->address, r->address, sizeof out->address);
	nas_keys(r, &row->network, from, out);
	sha256_init(&ctx);
	if (r->session.len)
		sha256_update(&ctx, r->session.len, r->session.bytes);
	digest(&ctx, out->session);
	user_of(r, out->user);
	tier_of(c, r, out->tier);
}
