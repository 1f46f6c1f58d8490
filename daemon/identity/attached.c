#include "identity/attached.h"

#include <ifaddrs.h>
#include <netinet/in.h>

static bool read_address(const struct sockaddr *from, struct address *out)
{
	if (from && from->sa_family == AF_INET)
		*out = address_from4(
			(const uint8_t *)&((const struct sockaddr_in *)from)->sin_addr);
	else if (from && from->sa_family == AF_INET6)
		*out = address_from6(
			(const uint8_t *)&((const struct sockaddr_in6 *)from)->sin6_addr);
	else
		return false;
	return true;
}

static bool is_within(const struct ifaddrs *i, const struct address *a)
{
	struct address own, mask;
	if (!read_address(i->ifa_addr, &own) || !read_address(i->ifa_netmask, &mask) ||
	    address_is4(&own) != address_is4(a))
		return false;
	for (size_t k = address_is4(a) ? 12 : 0; k < sizeof own.bytes; k++)
		if ((own.bytes[k] ^ a->bytes[k]) & mask.bytes[k])
			return false;
	return true;
}

bool attached(const struct address *a)
{
	struct ifaddrs *list;
	bool found = false;
	if (getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next)
		found = is_within(i, a);
	freeifaddrs(list);
	return found;
}
