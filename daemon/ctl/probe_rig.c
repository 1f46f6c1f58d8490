#include "ctl/probe.h"

#include "base/handover.h"
#include "base/netset.h"
#include "wiring/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HOST4_IN        "198.18.255.1"
#define CLIENT4         PROBE_CLIENT4
#define HOST4_OUT       "198.18.255.5"
#define SERVER4         "198.18.255.6"
#define HOST6_IN        "2001:2:0:ff10::1"
#define CLIENT6         PROBE_CLIENT6
#define HOST6_OUT       "2001:2:0:ff20::1"
#define SERVER6         "2001:2:0:ff20::2"
#define MANAGER_NS      "/proc/1/ns/net"
#define OLD_LINKS_TRIES 50 /* five seconds */
#define CAN_FORWARD     "/proc/sys/net/ipv6/conf/all/forwarding"

static const struct probe_family families[2] = {
	{true, "IPv4", CLIENT4, SERVER4, -1},
	{true, "IPv6", CLIENT6, SERVER6, -1},
};
static const char *const kept[2] = {"probe-ipv4", "probe-ipv6"}; /* the service's listeners */

static int open_ns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static bool run_ip(const char *batch, struct errors *errors)
{
	static const char *const argv[] = {"ip", "-batch", "-", NULL};
	struct tool t;
	bool done = tool_run(&t, argv, batch, false) && t.status == 0;
	if (!done && t.status == 127)
		errors_add(errors, NULL, 0, "ip is missing; install iproute2");
	else if (!done && t.err && strstr(t.err, "File exists"))
		errors_add(errors, NULL, 0,
			   "%s or %s is there already: another probe runs (systemctl stop "
			   "tiergate-probe)",
			   PROBE_INSIDE, PROBE_OUTSIDE);
	else if (!done)
		errors_add(errors, NULL, 0, "ip says: %s", t.err ? t.err : "nothing");
	tool_deinit(&t);
	return done;
}

/* On the gateway: one link to each namespace. The client has one MAC address for ever: the daemon
 * would end its session where another host came to its address. */
static bool make_links(int client_ns, int server_ns, struct errors *errors)
{
	static const char format[] =
		"link add " PROBE_INSIDE " type veth peer name eth0 address 02:74:67:70:00:02 "
		"netns /proc/%d/fd/%d\n"
		"link add " PROBE_OUTSIDE " type veth peer name eth0 netns /proc/%d/fd/%d\n"
		"addr add " HOST4_IN "/30 dev " PROBE_INSIDE "\n"
		"addr add " HOST4_OUT "/30 dev " PROBE_OUTSIDE "\n"
		"%s"
		"link set " PROBE_INSIDE " up\n"
		"link set " PROBE_OUTSIDE " up\n";
	static const char six[] = "addr add " HOST6_IN "/64 dev " PROBE_INSIDE " nodad\n"
				  "addr add " HOST6_OUT "/64 dev " PROBE_OUTSIDE " nodad\n";
	char batch[1024];
	bool has_six = access(CAN_FORWARD, F_OK) == 0;
	snprintf(batch, sizeof batch, format, getpid(), client_ns, getpid(), server_ns,
		 has_six ? six : "");
	return run_ip(batch, errors);
}

/* In a namespace: its end of a link, and the way to all else. */
static bool settle(int ns, bool server, struct errors *errors)
{
	char batch[1024];
	bool six = access(CAN_FORWARD, F_OK) == 0;
	int n = snprintf(batch, sizeof batch,
			 "link set lo up\naddr add %s/30 dev eth0\n%s%s%slink set eth0 up\n"
			 "route add default via %s\n",
			 server ? SERVER4 : CLIENT4, six ? "addr add " : "",
			 !six     ? ""
			 : server ? SERVER6
				  : CLIENT6,
			 six ? "/64 dev eth0 nodad\n" : "", server ? HOST4_OUT : HOST4_IN);
	if (six)
		snprintf(batch + n, sizeof batch - (size_t)n, "route add default via %s\n",
			 server ? HOST6_OUT : HOST6_IN);
	if (setns(ns, CLONE_NEWNET) == 0)
		return run_ip(batch, errors);
	errors_add(errors, NULL, 0, "the namespace can't be entered: %s", strerror(errno));
	return false;
}

static bool listen_in(struct probe_family *f, struct errors *errors)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(443)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
	bool is4 = inet_pton(AF_INET, f->server, &four.sin_addr) == 1;
	inet_pton(AF_INET6, f->server, &six.sin6_addr);
	f->listener =
		socket(is4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr *at = is4 ? (struct sockaddr *)&four : (struct sockaddr *)&six;
	if (f->listener >= 0 && bind(f->listener, at, is4 ? sizeof four : sizeof six) == 0 &&
	    listen(f->listener, 16) == 0)
		return true;
	errors_add(errors, NULL, 0, "the probe's server can't listen at %s: %s", f->server,
		   strerror(errno));
	return false;
}

/* What is internal is open to all, and would say nothing of a tier. */
static bool check_config(const struct config *c, struct errors *errors)
{
	bool named = false;
	for (size_t i = 0; i < c->inside.count; i++)
		named |= strcmp(c->inside.item[i], PROBE_INSIDE) == 0;
	if (!named)
		errors_add(errors, NULL, 0,
			   "inside does not name \"" PROBE_INSIDE
			   "\": add it, then systemctl reload tiergated");
	for (int i = 0; i < 2; i++) {
		struct address a;
		bool internal = false;
		if (!address_parse(families[i].server, &a))
			continue;
		for (size_t n = 0; n < c->internal.count; n++)
			internal |= network_has(&c->internal.item[n], &a);
		if (internal)
			errors_add(errors, NULL, 0,
				   "internal holds %s, where the probe's server is: what is "
				   "internal is open to all, and can't be probed",
				   families[i].server);
	}
	return errors->count == 0;
}

static bool forwards6(void)
{
	char c = '0';
	int fd = open(CAN_FORWARD, O_RDONLY | O_CLOEXEC);
	bool on = fd >= 0 && read(fd, &c, 1) == 1 && c != '0';
	if (fd >= 0)
		close(fd);
	return on;
}

/* Root's files can be read without any. */
static void give_up(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {0};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_capset, &header, none);
}

/* Links, addresses, and the server's listeners; ends in the client's namespace. */
static bool make(struct probe_rig *rig, int host, int client, struct errors *errors)
{
	bool good = setns(host, CLONE_NEWNET) == 0;
	if (!good)
		errors_add(errors, NULL, 0, "the gateway's own namespace can't be entered: %s",
			   strerror(errno));
	good = good && make_links(client, rig->server_ns, errors) &&
	       settle(rig->server_ns, true, errors);
	for (int i = 0; good && i < 2; i++)
		good = !rig->family[i].on || listen_in(&rig->family[i], errors);
	return good && settle(client, false, errors);
}

static bool begin(struct probe_rig *rig, const struct config *c, struct errors *errors)
{
	memcpy(rig->family, families, sizeof families);
	rig->family[1].on = forwards6();
	rig->server_ns = -1;
	return check_config(c, errors);
}

static void say_no_namespace(struct errors *errors)
{
	errors_add(errors, NULL, 0, "no network namespace can be made: %s; run it as root",
		   strerror(errno));
}

bool probe_rig_make(struct probe_rig *rig, const struct config *c, struct errors *errors)
{
	int host = open_ns(), client = -1;
	if (!begin(rig, c, errors))
		return false;
	if (host >= 0 && unshare(CLONE_NEWNET) == 0 && (client = open_ns()) >= 0 &&
	    unshare(CLONE_NEWNET) == 0)
		rig->server_ns = open_ns();
	bool good = rig->server_ns >= 0;
	if (!good)
		say_no_namespace(errors);
	good = good && make(rig, host, client, errors);
	close(host);
	close(client);
	give_up();
	return good;
}

/* Both are the same where the unit has no PrivateNetwork=. */
static bool same_ns(int a, int b)
{
	struct stat one, other;
	return fstat(a, &one) < 0 || fstat(b, &other) < 0 || one.st_ino == other.st_ino;
}

static bool keep_listeners(const struct probe_rig *rig, struct errors *errors)
{
	for (int i = 0; i < 2; i++) {
		if (!rig->family[i].on)
			continue;
		handover_keep(kept[i], rig->family[i].listener);
		close(rig->family[i].listener);
	}
	int e = handover_wait();
	if (e < 0)
		errors_add(errors, NULL, 0, "the listeners can't be handed over: %s", strerror(-e));
	return e == 0;
}

/* The links of a service that has just ended go a moment later; where it ended before it took its
 * listeners, these keep them. */
static void wait_for_old_links(void)
{
	for (int i = 0; i < 2; i++)
		handover_forget(kept[i]);
	for (int i = 0; i < OLD_LINKS_TRIES; i++) {
		if (!if_nametoindex(PROBE_INSIDE) && !if_nametoindex(PROBE_OUTSIDE))
			return;
		usleep(100 * 1000);
	}
}

bool probe_rig_hand_over(const struct config *c, struct errors *errors)
{
	struct probe_rig rig;
	int host = open(MANAGER_NS, O_RDONLY | O_CLOEXEC), client = open_ns();
	bool good = begin(&rig, c, errors);
	if (good && (host < 0 || client < 0 || same_ns(host, client))) {
		errors_add(
			errors, NULL, 0,
			"--rig is for tiergate-probe.service, run as root in a network of its own");
		good = false;
	}
	if (good && (unshare(CLONE_NEWNET) < 0 || (rig.server_ns = open_ns()) < 0)) {
		say_no_namespace(errors);
		good = false;
	}
	if (good && setns(host, CLONE_NEWNET) == 0)
		wait_for_old_links();
	good = good && make(&rig, host, client, errors) && keep_listeners(&rig, errors);
	close(host);
	close(client);
	return good;
}

bool probe_rig_take(struct probe_rig *rig)
{
	memcpy(rig->family, families, sizeof families);
	rig->server_ns = -1; /* the listeners keep it */
	for (int i = 0; i < 2; i++) {
		rig->family[i].listener = handover_take(kept[i]);
		rig->family[i].on = rig->family[i].listener >= 0;
		/* with the process that has it all is gone, and nothing is in a next one's way */
		if (rig->family[i].on)
			handover_forget(kept[i]);
	}
	return rig->family[0].on;
}
