#include "dns/dnstap.h"
#include "dns/dns_watch.h"
#include "dns/dnstap.pb-c.h"

static enum parse note(struct seen *seen, const Dnstap__Message *tap, int64_t now)
{
	if (!tap || tap->type != DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE ||
	    !tap->has_response_message || !tap->has_query_address)
		return PARSE_ABSENT;
	struct address client;
	if (tap->query_address.len == 4)
		client = address_from4(tap->query_address.data);
	else if (tap->query_address.len == 16)
		client = address_from6(tap->query_address.data);
	else
		return PARSE_BAD;
	if (tap->response_message.len == 0) /* its data is NULL then */
		return PARSE_BAD;
	struct dns_message m;
	struct cursor bytes = cursor_of(tap->response_message.data, tap->response_message.len);
	enum parse parsed = dns_message(bytes, &m);
	if (parsed != PARSE_OK)
		return parsed;
	if (!m.response)
		return PARSE_ABSENT;
	dns_note(seen, &client, &m, now);
	return m.damaged ? PARSE_BAD : PARSE_OK;
}

enum parse dnstap_note(struct seen *seen, struct cursor payload, int64_t now)
{
	Dnstap__Dnstap *tap = dnstap__dnstap__unpack(NULL, cursor_left(&payload), payload.pos);
	if (!tap)
		return PARSE_BAD;
	enum parse parsed = note(seen, tap->message, now);
	dnstap__dnstap__free_unpacked(tap, NULL);
	return parsed;
}
