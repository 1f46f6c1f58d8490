#include "lists/entry.h"

#include "base/host.h"

size_t entry_size(const struct site_entry *e)
{
	return e->kind == SITE_NETWORK ? offsetof(struct site_entry, network) + sizeof e->network
				       : offsetof(struct site_entry, host.text) + e->host.len + 1u;
}

bool entry_parse(const char *text, struct site_entry *out)
{
	out->kind = SITE_TREE;
	out->shared = *text == '~';
	text += out->shared;
	if (network_parse(text, &out->network)) {
		out->kind = SITE_NETWORK;
		return true;
	}
	if (*text == '=' || (*text == '!' && !out->shared)) {
		out->kind = *text == '=' ? SITE_EXACT : SITE_NOT_TREE;
		text++;
	} else if (strncmp(text, "*.", 2) == 0) {
		text += 2;
	} else if (*text == '.') {
		text++;
	}
	return host_parse(text, &out->host);
}

void entry_format(const struct site_entry *e, struct buf *b)
{
	if (e->shared)
		buf_char(b, '~');
	switch (e->kind) {
	case SITE_NETWORK: network_format(&e->network, b); return;
	case SITE_EXACT: buf_char(b, '='); break;
	case SITE_NOT_TREE: buf_char(b, '!'); break;
	case SITE_TREE: break;
	}
	buf_text(b, e->host.text);
}
