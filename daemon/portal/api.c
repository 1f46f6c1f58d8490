/* The captive portal API: RFC 8908 section 5. */
#include "base/clock.h"
#include "base/json.h"
#include "portal/request.h"

#include <stdlib.h>

#define API_MAX 2048

void page_api(struct request *r)
{
	const struct portal_config *c = r->config;
	json_t *who = gate_reach(&r->gate, &r->peer);
	char *text = malloc(API_MAX);
	struct buf b = {.data = text, .cap = text ? API_MAX : 0};
	struct json j;
	if (!who || !text) {
		free(text);
		json_decref(who);
		page_away(r);
		return;
	}
	bool observe = strcmp(gate_text(who, "mode"), "observe") == 0;
	int64_t until = gate_time(gate_text(who, "until")), now = r->now + r->ahead;
	json_open(&j, &b);
	json_bool(&j, "captive", !gate_text(who, "tier")[0] && !observe);
	json_text(&j, "user-portal-url", c->url);
	json_text(&j, "venue-info-url", c->venue_url);
	if (until)
		json_uint(&j, "seconds-remaining",
			  until > now ? (uint64_t)((until - now) / NS_PER_S) : 0);
	json_bool(&j, "can-extend-session", true);
	json_close(&j);
	r->reply.status = 200;
	r->reply.type = "application/captive+json";
	r->reply.page = b;
	json_decref(who);
}
