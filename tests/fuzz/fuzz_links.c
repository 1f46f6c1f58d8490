/* The input is what the kernel says of its interfaces: messages with a body of any bytes, or a
 * datagram that is no message. An interface of which nothing was said is never taken for one by
 * which packets arrive, and what is said of it is a line. */
#include "../unit/netlink_kernel.h"

#include "wiring/links.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

enum { RAW = 1, MESSAGES = 64 };

static struct cursor in;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool on_question(int fd, const struct nlmsghdr *asked)
{
	for (unsigned i = 0; i < MESSAGES && cursor_left(&in); i++) {
		uint8_t bytes[sizeof(struct nlmsghdr) + 256], how = cursor_u8(&in);
		uint8_t len = cursor_u8(&in);
		size_t left = cursor_left(&in), size = len < left ? len : left;
		struct nlmsghdr h = {.nlmsg_len = (uint32_t)(sizeof h + size),
				     .nlmsg_type = RTM_NEWLINK,
				     .nlmsg_flags = NLM_F_MULTI,
				     .nlmsg_seq = asked->nlmsg_seq};
		memcpy(bytes, &h, sizeof h);
		if (size)
			cursor_copy(&in, bytes + sizeof h, size);
		kernel_put(fd, how & RAW ? bytes + sizeof h : bytes,
			   how & RAW ? size : sizeof h + size);
	}
	kernel_put_done(fd, asked->nlmsg_seq);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char lan[] = "lan0", wlan[] = "wlan0@x";
	char *names[] = {lan, wlan};
	const struct strings inside = {names, 2};
	struct errors faults = {0};
	kernel_reset();
	kernel.on = on_question;
	in = cursor_of(data, size);
	bool ok = links_check(&inside, &faults), said[2] = {false};
	require(ok || faults.count == 1);
	for (size_t i = 0; i < faults.count; i++) {
		require(strncmp(faults.lines[i], "inside: ", 8) == 0);
		for (int n = 0; n < 2; n++)
			said[n] |= strstr(faults.lines[i], names[n]) != NULL;
	}
	for (int n = 0; ok && n < 2; n++)
		require(said[n] || (size && memmem(data, size, names[n], strlen(names[n]))));
	errors_deinit(&faults);
	kernel_reset();
	return 0;
}
