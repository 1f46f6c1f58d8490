/* The input is datagrams of the kernel's, as a queue's and as a log group's: messages with any
 * attributes, whole or not. A packet lies in its datagram; a verdict goes out for each, by its
 * number, and leaves the bits of its mark alone that are not ours. */
#include "../unit/netlink_kernel.h"

#include "base/clock.h"
#include "source/copies.h"
#include "source/nfqueue.h"

#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netfilter/nfnetlink_queue.h>

#define MASK 0x0ff00000u

enum { MOST = 64, VERDICT = 40, ID = 28, MARK = 36 };

static const uint8_t *datagram;
static size_t datagram_len;
static uint8_t verdicts[MOST * VERDICT];
static size_t sent;

static void require(bool holds)
{
	if (!holds)
		abort();
}

bool privilege_net_admin(void)
{
	return true;
}

static void on_sent(int fd, const void *bytes, size_t len, const struct sockaddr *to)
{
	require(sent + len <= sizeof verdicts && len % VERDICT == 0);
	memcpy(verdicts + sent, bytes, len);
	sent += len;
}

static void is_inside(const struct arrival *a)
{
	require(!a->bytes || (a->bytes >= datagram && a->len <= datagram_len &&
			      a->bytes + a->len <= datagram + datagram_len));
}

static uint32_t number_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void judge(struct source *s, const struct arrival *list, int count)
{
	sent = 0;
	for (int i = 0; i < count; i++) {
		is_inside(&list[i]);
		s->ops->verdict(s, list[i].id, (enum verdict)(i % (VERDICT_DROP_DENIED + 1)));
	}
	s->ops->flush(s);
	require(sent == (size_t)count * VERDICT);
	for (int i = 0; i < count; i++) {
		const uint8_t *m = verdicts + i * VERDICT;
		uint32_t was = (uint32_t)(list[i].id >> 32);
		require(number_at(m + ID) == (uint32_t)list[i].id);
		require((number_at(m + MARK) & ~MASK) == (was & ~MASK));
	}
}

static void on_copy(void *ctx, const struct arrival *a)
{
	require(a->kind == ARRIVAL_DNS && a->bytes);
	is_inside(a);
}

static struct source *queue;
static struct copies *copies;

static void set_up(void)
{
	const struct nfqueue_options q = {
		.queue = 7, .length = 4096, .mark_mask = MASK, .kept = -1, .raw4 = -1, .raw6 = -1};
	const struct copies_options c = {.group = 8, .kept = -1, .take = on_copy};
	struct errors errors = {0};
	queue = nfqueue_open(&q, &errors);
	copies = copies_open(&c, &errors);
	errors_print(&errors, stderr);
	require(queue && copies);
}

static void take(struct cursor part, bool queued)
{
	struct arrival list[MOST];
	datagram_len = cursor_left(&part);
	uint8_t *copy =
		malloc(datagram_len ? datagram_len : 1); /* of its size: a byte more is seen */
	require(copy);
	if (datagram_len)
		memcpy(copy, part.pos, datagram_len);
	datagram = copy;
	kernel.log[0] = '\0';
	if (queued)
		judge(queue, list, nfqueue_take(queue, copy, datagram_len, 1, list, MOST));
	else
		copies_take(copies, copy, datagram_len, 1);
	free(copy);
}

/* {queue or group, length 16 bits, a header to be put before, bytes} */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);
	uint8_t bytes[4096 + sizeof(struct nlmsghdr)];
	if (!queue)
		set_up();
	kernel.sent = on_sent;
	while (cursor_left(&in)) {
		uint8_t how = cursor_u8(&in);
		uint16_t len = cursor_u16(&in) % 4096;
		struct cursor part =
			cursor_sub(&in, len < cursor_left(&in) ? len : cursor_left(&in));
		bool queued = how & 1;
		struct nlmsghdr h = {.nlmsg_len = (uint32_t)(sizeof h + cursor_left(&part)),
				     .nlmsg_type =
					     queued ? NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET
						    : NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET};
		memcpy(bytes, &h, sizeof h);
		size_t n = cursor_left(&part);
		if (how & 2 && n)
			cursor_copy(&part, bytes + sizeof h, n);
		take(how & 2 ? cursor_of(bytes, sizeof h + n) : part, queued);
	}
	return 0;
}
