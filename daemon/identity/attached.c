#include "identity/attached.h"

#include <ifaddrs.h>
#include <netinet/in.h>

static bool is_within(const struct ifaddrs *i, const struct address *a)
{
	int family = i->ifa_addr && i->ifa_netmask ? i->ifa_addr->sa_family : AF_UNSPEC;
	struct address own = address_from_socket(i->ifa_addr);
	struct address mask = address_from_socket(i->ifa_netmask);
	if ((family != AF_INET && family != AF_INET6) || address_is4(&own) != address_is4(a))
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
