#include "name/hello.h"
#include "name/http.h"
#include "base/host.h"
#include "name/proxy.h"
#include "name/starttls.h"
#include "name/tls.h"

void hello_no_name(struct hello *h, enum hello_name why)
{
	h->name = why;
	h->host.len = 0;
	h->host.text[0] = 0;
}

void hello_reset(struct hello *h)
{
	h->protocol = PROTOCOL_NONE;
	hello_no_name(h, HELLO_NAME_ABSENT);
	h->ech = false;
	h->ech_config = 0;
	h->version = 0;
	h->alpn_len = 0;
	h->alpn[0] = 0;
	h->server_next = false;
	h->another_may_come = false;
	h->early_data = false;
	h->end = 0;
}

void hello_name(const void *text, size_t len, struct hello *h)
{
	switch (host_canonical(text, len, &h->host)) {
	case PARSE_OK: h->name = HELLO_NAME_OK; break;
	case PARSE_ABSENT: h->name = HELLO_NAME_ABSENT; break;
	default: h->name = HELLO_NAME_BAD;
	}
}

enum parse hello_tcp(struct cursor bytes, struct hello *out)
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

enum parse hello_starttls(uint16_t port, struct cursor bytes, struct hello *out)
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
