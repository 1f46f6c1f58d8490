/* The input is what rtnetlink or conntrack might tell, interface 1 being inside. */
#include "identity/neighbour.h"
#include "source/meter.h"
#include "source/tally.h"

#include <stdlib.h>
#include <string.h>

static void flow(void *ctx, const struct address *client, uint64_t bytes)
{
	session_flow_open(ctx, client, bytes);
}

static void moved(void *ctx, uint32_t tag, uint64_t bytes)
{
}

static void left(void *ctx, uint32_t tag)
{
}

static void round_over(void *ctx, int64_t now)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *lo = "lo";
	const struct strings inside = {&lo, 1};
	struct sessions *sessions = sessions_new(16);
	struct onlink *onlink = onlink_new(16);
	struct address a = address_from4((const uint8_t[]){10, 0, 0, 1});
	const struct session anna = {.user = "anna", .tier = "press"};
	const struct neighbour_options o = {&inside, size % 2 ? CONFIG_HOST_MOVE : CONFIG_HOST_END,
					    4, sessions, onlink};
	const struct tally_options t = {0x7f000000, flow, round_over, sessions};
	struct neighbours *n = neighbours_new(&o);
	struct tally *tally = tally_open(&t, &(struct errors){0});
	const struct meter_options w = {4, moved, left, NULL};
	struct meter *meter = meter_open(&w, &(struct errors){0});
	const struct flow_key key = {.client = a, .transport = 6};
	void *bytes = malloc(size + 1); /* aligned as a socket's buffer */
	if (!n || !tally || !meter || !bytes || session_open(sessions, &a, &anna, 1) < 0)
		abort();
	memcpy(bytes, data, size);
	neighbours_take(n, bytes, size, 2);
	neighbours_join(n, &a, 3);
	neighbours_take(n, bytes, size, 4);
	tally_take(tally, bytes, size);
	meter_watch(meter, &key, 0, true, 1);
	meter_take(meter, bytes, size, 2);
	free(bytes);
	tally_close(tally);
	meter_close(meter);
	neighbours_free(n);
	sessions_free(sessions);
	onlink_free(onlink);
	return 0;
}
