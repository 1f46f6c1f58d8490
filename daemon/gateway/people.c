/* Sessions and the kernel: which addresses are one host's, and what passes without a worker. */
#include "gateway/inner.h"

#include "base/clock.h"
#include "base/log.h"

static int on_neighbour(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	neighbours_read(((struct gateway *)ctx)->neighbours, clock_now());
	return 0;
}

static int on_tally(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	tally_read(((struct gateway *)ctx)->tally, clock_now());
	return 0;
}

static void tell_flow(void *ctx, const struct address *client, uint64_t bytes)
{
	session_flow_open(((struct gateway *)ctx)->sessions, client, bytes);
}

static void tell_round(void *ctx, int64_t now)
{
	sessions_round(((struct gateway *)ctx)->sessions, now);
}

static bool open_neighbours(struct gateway *g, const struct config *c, struct errors *errors)
{
	const struct neighbour_options o = {
		.inside = &c->inside,
		.change = c->host_change,
		.capacity = NEIGHBOURS,
		.sessions = g->sessions,
		.onlink = g->onlink,
	};
	g->neighbours = neighbours_new(&o);
	if (!g->neighbours) {
		errors_add(errors, NULL, 0, "not enough memory for the table of neighbours");
		return false;
	}
	return neighbours_follow(g->neighbours, errors) &&
	       sd_event_add_io(g->event, &g->neighbours_io, neighbours_fd(g->neighbours), EPOLLIN,
			       on_neighbour, g) >= 0;
}

static void close_neighbours(struct gateway *g)
{
	g->neighbours_io = sd_event_source_disable_unref(g->neighbours_io);
	neighbours_free(g->neighbours);
	g->neighbours = NULL;
	if (g->onlink)
		onlink_clear(g->onlink);
}

bool identity_open(struct gateway *g, struct errors *errors)
{
	const struct tally_options o = {
		.mark_mask = g->config->mark_mask,
		.flow = tell_flow,
		.round = tell_round,
		.ctx = g,
	};
	g->tally = tally_open(&o, errors);
	return g->tally &&
	       sd_event_add_io(g->event, NULL, tally_fd(g->tally), EPOLLIN, on_tally, g) >= 0 &&
	       open_neighbours(g, g->config, errors);
}

void identity_close(struct gateway *g)
{
	close_neighbours(g);
	tally_close(g->tally);
}

void identity_reload(struct gateway *g, const struct config *c)
{
	struct errors errors = {0};
	if (neighbours_same(g->neighbours, &c->inside, c->host_change))
		return;
	close_neighbours(g);
	if (!open_neighbours(g, c, &errors))
		log_error("%s", errors.count ? errors.lines[0] : "neighbours are not followed");
	errors_deinit(&errors);
}

void identity_opened(struct gateway *g, const struct address *a)
{
	if (g->neighbours)
		neighbours_join(g->neighbours, a, clock_now());
}

void identity_ask(struct gateway *g, struct ring *asks)
{
	const struct address *a;
	while ((a = ring_peek(asks))) {
		if (g->neighbours)
			neighbours_solicit(g->neighbours, a);
		ring_release(asks);
	}
}

void identity_tick(struct gateway *g, int64_t now)
{
	if (sessions_count(g->sessions))
		tally_begin(g->tally, now);
}
