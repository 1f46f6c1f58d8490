#include "base/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool has(int cap)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	return syscall(SYS_capget, &head, data) == 0 && data[cap / 32].permitted >> cap % 32 & 1;
}

/* CAP_NET_RAW was for the raw sockets; nothing but CAP_NET_ADMIN stays, in any set of any later
 * thread. */
bool privilege_keep_net_admin(struct errors *errors)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct keep[2] = {0};
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (cap != CAP_NET_ADMIN)
			prctl(PR_CAPBSET_DROP, cap, 0, 0,
			      0); /* only with CAP_SETPCAP: the unit bounds it */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_NET_RAW, 0, 0);
	keep[0].permitted = keep[0].effective = keep[0].inheritable = 1U << CAP_NET_ADMIN;
	/* A service that never had it may not call capset at all. */
	if (syscall(SYS_capset, &header, keep) == 0 || !has(CAP_NET_RAW))
		return true;
	errors_add(errors, NULL, 0, "CAP_NET_RAW could not be dropped: %s", strerror(errno));
	return false;
}

bool privilege_net_admin(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	return syscall(SYS_capget, &head, data) == 0 &&
	       data[CAP_NET_ADMIN / 32].effective >> CAP_NET_ADMIN % 32 & 1;
}
