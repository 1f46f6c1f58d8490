/* Dumps and acknowledgements: only the kernel's own, of our question, and whole. The socket is the
 * test's. */
#include "unit.h"

#include <sys/socket.h>

ssize_t receives(int fd, struct msghdr *m, int flags);
#define recvmsg receives
#include "base/netlink.c"
#undef recvmsg

#include <string.h>

#define OURS 7

static struct datagram {
	_Alignas(4) char bytes[256];
	size_t len;
	unsigned from;
	bool cut;
} coming[8];
static unsigned count, taken, told;

ssize_t receives(int fd, struct msghdr *m, int flags)
{
	struct sockaddr_nl *from = m->msg_name;
	if (taken == count) {
		errno = EAGAIN;
		return -1;
	}
	const struct datagram *d = &coming[taken++];
	*from = (struct sockaddr_nl){.nl_family = AF_NETLINK, .nl_pid = d->from};
	m->msg_namelen = sizeof *from;
	m->msg_flags = d->cut ? MSG_TRUNC : 0;
	assert_true(d->len <= m->msg_iov->iov_len);
	memcpy(m->msg_iov->iov_base, d->bytes, d->len);
	return (ssize_t)d->len;
}

static void begin(void)
{
	memset(coming, 0, sizeof coming);
	count = taken = told = 0;
}

static struct datagram *datagram(void)
{
	return &coming[count++];
}

static void message(struct datagram *d, uint16_t type, uint16_t flags, uint32_t sequence,
		    int32_t value)
{
	struct nlmsghdr h = {sizeof h + sizeof value, type, flags, sequence, 0};
	memcpy(d->bytes + d->len, &h, sizeof h);
	memcpy(d->bytes + d->len + sizeof h, &value, sizeof value);
	d->len += h.nlmsg_len;
}

static void on(void *ctx, const struct netlink_message *m)
{
	assert_int_equal(m->type, 20);
	assert_int_equal(m->sequence, OURS);
	told++;
}

static int dump(void)
{
	return netlink_dump(3, OURS, on, NULL);
}

static void a_dump_is_all_of_ours_to_its_end(void **state)
{
	begin();
	struct datagram *d = datagram();
	message(d, 20, 0, OURS, 1);
	message(d, 20, 0, OURS + 1, 2); /* of another question */
	message(d, 20, 0, OURS, 3);
	d = datagram();
	message(d, NLMSG_DONE, 0, OURS - 1, 0);
	message(d, 20, 0, OURS, 4);
	message(d, NLMSG_DONE, 0, OURS, 0);
	message(d, 20, 0, OURS, 5); /* behind the end */
	assert_int_equal(dump(), 0);
	assert_int_equal(told, 3);
}

/* What changed while it was told is not what there is: to be asked again. */
static void a_dump_that_was_overtaken_is_none(void **state)
{
	for (int where = 0; where < 3; where++) {
		begin();
		message(datagram(), 20, where == 0 ? NLM_F_DUMP_INTR : 0, OURS, 1);
		message(datagram(), 20, where == 1 ? NLM_F_DUMP_INTR : 0, OURS, 2);
		message(datagram(), NLMSG_DONE, where == 2 ? NLM_F_DUMP_INTR : 0, OURS, 0);
		assert_int_equal(dump(), -EINTR);
	}
	begin();
	struct datagram *d = datagram();
	message(d, 20, NLM_F_DUMP_INTR, OURS + 1, 1); /* another's may be */
	message(d, NLMSG_DONE, 0, OURS, 0);
	assert_int_equal(dump(), 0);
}

static void an_error_ends_a_dump(void **state)
{
	begin();
	struct datagram *d = datagram();
	message(d, 20, 0, OURS, 1);
	message(d, NLMSG_ERROR, 0, OURS, -EPERM);
	assert_int_equal(dump(), -EPERM);
	begin();
	message(datagram(), 20, 0, OURS, 1);
	assert_int_equal(dump(), -EAGAIN); /* nothing more came */
	begin();
	d = datagram();
	message(d, NLMSG_DONE, 0, OURS, 0);
	d->cut = true;
	assert_int_equal(dump(), -EMSGSIZE);
}

/* Any program may send to our socket. */
static void only_the_kernel_is_believed(void **state)
{
	begin();
	struct datagram *d = datagram();
	d->from = 4711;
	message(d, 20, 0, OURS, 1);
	message(d, NLMSG_DONE, 0, OURS, 0);
	d = datagram();
	message(d, NLMSG_DONE, 0, OURS, 0);
	assert_int_equal(dump(), 0);
	assert_int_equal(taken, 2);
	assert_int_equal(told, 0);
	begin();
	d = datagram();
	d->from = 4711;
	message(d, NLMSG_ERROR, 0, OURS, 0);
	message(datagram(), NLMSG_ERROR, 0, OURS, -EPERM);
	assert_int_equal(netlink_acknowledged(3, OURS), -EPERM);
}

static void an_acknowledgement_is_of_what_was_asked(void **state)
{
	begin();
	message(datagram(), NLMSG_ERROR, 0, OURS - 1, -ENOENT);
	message(datagram(), 20, 0, OURS, -ENOENT); /* no word of success or error */
	message(datagram(), NLMSG_ERROR, 0, OURS, 0);
	assert_int_equal(netlink_acknowledged(3, OURS), 0);
	begin();
	message(datagram(), NLMSG_ERROR, 0, OURS, 5); /* no error has such a number */
	assert_int_equal(netlink_acknowledged(3, OURS), -EBADMSG);
	begin();
	struct datagram *d = datagram(); /* it quotes more than there is room for */
	message(d, NLMSG_ERROR, 0, OURS, -EBUSY);
	((struct nlmsghdr *)d->bytes)->nlmsg_len = 5000;
	d->cut = true;
	assert_int_equal(netlink_acknowledged(3, OURS), -EBUSY);
	begin();
	assert_int_equal(netlink_acknowledged(3, OURS), -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dump_is_all_of_ours_to_its_end),
		cmocka_unit_test(a_dump_that_was_overtaken_is_none),
		cmocka_unit_test(an_error_ends_a_dump),
		cmocka_unit_test(only_the_kernel_is_believed),
		cmocka_unit_test(an_acknowledgement_is_of_what_was_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
