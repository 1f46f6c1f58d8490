#include "name/first.h"

#include "name/http.h"
#include "name/proxy.h"
#include "name/starttls.h"
#include "name/tls.h"

enum parse first_hello(struct cursor bytes, struct hello *out)
{
	size_t have = cursor_left(&bytes);
	hello_reset(out);
	enum parse answer = proxy_header(&bytes);
	if (answer == PARSE_MORE || answer == PARSE_BAD)
		return answer;
	answer = tls_records(bytes, out);
	out->end += have - cursor_left(&bytes);
	return answer == PARSE_ABSENT ? http_request(bytes, out) : answer;
}

enum parse first_starttls(uint16_t port, struct cursor bytes, struct hello *out)
{
	enum parse answer = PARSE_OK;
	size_t have = cursor_left(&bytes);
	hello_reset(out);
	/* TLS at once, as on the port's twin */
	if (!tls_may_begin(cursor_peek(&bytes)))
		answer = starttls_prelude(port, &bytes);
	bool whole = cursor_left(&bytes) == 0;
	if (answer == PARSE_OK) {
		answer = tls_records(bytes, out);
		out->end += have - cursor_left(&bytes);
	}
	out->server_next = answer == PARSE_MORE && whole;
	out->another_may_come |= answer == PARSE_ABSENT;
	return answer;
}
