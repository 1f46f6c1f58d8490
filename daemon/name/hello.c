#include "name/hello.h"
#include "base/host.h"

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
