#include "dns/nat64.h"

static const struct network well_known = {{{[1] = 0x64, [2] = 0xff, [3] = 0x9b}}, 96};
static const uint8_t lengths[] = {32, 40, 48, 56, 64, 96};

/* RFC 6052 section 2.2: the IPv4 address follows the prefix, around byte 8, which is zero. */
static struct address embedded(const struct address *a, unsigned bits)
{
	uint8_t four[4];
	unsigned at = bits / 8;
	for (int i = 0; i < 4; i++) {
		at += at == 8;
		four[i] = a->bytes[at++];
	}
	return address_from4(four);
}

/* ipv4only.arpa has 192.0.0.170 and 192.0.0.171. */
static bool is_asked_for(const struct address *a)
{
	static const uint8_t both[3] = {192, 0, 0};
	return memcmp(a->bytes + 12, both, 3) == 0 && (a->bytes[15] & 0xfe) == 170;
}

static bool is_known(const struct nat64 *n, const struct address *a)
{
	struct address plain = nat64_plain(n, a);
	return !address_equal(&plain, a);
}

/* RFC 7050 section 3: the prefix is what stands before the address; a length for which it is not
 * the only one is no answer. */
void nat64_told(struct nat64 *n, const struct host *host, const struct address *a)
{
	static const char asked[] = "ipv4only.arpa";
	uint32_t count = atomic_load_explicit(&n->count, memory_order_relaxed);
	unsigned bits = 0;
	if (host->len != sizeof asked - 1 || memcmp(host->text, asked, sizeof asked - 1) != 0 ||
	    address_is4(a) || count == NAT64_PREFIXES || is_known(n, a))
		return;
	for (size_t i = 0; i < sizeof lengths; i++) {
		struct address four = embedded(a, lengths[i]);
		if (!is_asked_for(&four))
			continue;
		if (bits)
			return;
		bits = lengths[i];
	}
	if (!bits)
		return;
	struct network *p = &n->prefix[count];
	*p = (struct network){*a, (uint8_t)bits};
	memset(p->base.bytes + bits / 8, 0, 16 - bits / 8);
	atomic_store_explicit(&n->count, count + 1, memory_order_release);
}

struct address nat64_plain(const struct nat64 *n, const struct address *a)
{
	uint32_t count = atomic_load_explicit(&n->count, memory_order_acquire);
	if (address_is4(a))
		return *a;
	if (network_has(&well_known, a))
		return embedded(a, well_known.bits);
	for (uint32_t i = 0; i < count; i++)
		if (network_has(&n->prefix[i], a))
			return embedded(a, n->prefix[i].bits);
	return *a;
}
