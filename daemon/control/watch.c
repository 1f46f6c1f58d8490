#include "control/watch.h"

#include "base/clock.h"
#include "control/client.h"
#include "decision/record.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_SLOTS 2048
#define BURST      512 /* decisions a turn, so that requests have theirs */

static bool is_denial(const struct decision *d)
{
	return d->kind == DECISION_DECIDED && (d->action == ACTION_DENY || d->would_deny);
}

void control_decided(void *ctx, const struct decision *d)
{
	struct watching *w = &((struct control *)ctx)->watching;
	if (!is_denial(d) && atomic_load(&w->watchers) == 0)
		return;
	struct decision *slot = ring_claim(w->ring);
	if (!slot)
		return;
	*slot = *d;
	ring_publish(w->ring);
	if (!atomic_exchange(&w->woken, true))
		eventfd_write(w->event_fd, 1);
}

/* `example.org` is itself and all below it. */
static bool name_below(const struct host *host, const char *name)
{
	size_t len = strlen(name);
	if (host->len < len || memcmp(host->text + host->len - len, name, len) != 0)
		return false;
	return host->len == len || host->text[host->len - len - 1] == '.';
}

bool watch_wants(const struct watch *w, const struct decision *d)
{
	if (d->kind == DECISION_LOST)
		return true;
	if (w->user[0] && strcmp(w->user, d->user) != 0)
		return false;
	if (w->tier[0] && strcmp(w->tier, d->tier) != 0)
		return false;
	if (w->action[0] && strcmp(w->action, record_action(d)) != 0)
		return false;
	if (w->name[0] && !name_below(&d->host, w->name))
		return false;
	return !w->has_address || address_equal(&w->address, &d->client) ||
	       address_equal(&w->address, &d->server);
}

static bool put_text(struct client *cl, const struct decision *d)
{
	char text[RECORD_MAX];
	struct buf b = BUF_OF(text);
	record_write_text(&b, d, cl->watch.colour);
	json_t *j = json_pack("{sI sb ss#}", "id", cl->watch.id, "more", 1, "text", text,
			      (int)b.len - 1);
	bool put = j && client_put_json(cl, j);
	json_decref(j);
	return put;
}

static bool put_record(struct client *cl, const struct decision *d)
{
	char line[RECORD_MAX + 128];
	struct buf b = BUF_OF(line);
	buf_printf(&b, "{\"id\":%" JSON_INTEGER_FORMAT ",\"more\":true,\"record\":", cl->watch.id);
	record_write(&b, d, NULL);
	b.len--; /* the record's newline */
	buf_char(&b, '}');
	return client_put(cl, line, b.len);
}

/* A watcher that reads too slowly loses lines, and is told how many once it has room again (for
 * this and a line, else the two would take turns). */
static bool put_lost(struct client *cl)
{
	struct watch *w = &cl->watch;
	if (w->lost == 0)
		return true;
	if (client_room(cl) < 2 * RECORD_MAX)
		return false;
	json_t *j = json_pack("{sI sb sI}", "id", w->id, "more", 1, "lost", (json_int_t)w->lost);
	bool put = j && client_put_json(cl, j);
	json_decref(j);
	if (put)
		w->lost = 0;
	return put;
}

static void show(struct client *cl, const struct decision *d)
{
	struct watch *w = &cl->watch;
	uint64_t refused = ring_refused(cl->control->watching.ring);
	w->lost += refused - w->ring_lost_seen;
	w->ring_lost_seen = refused;
	if (!watch_wants(w, d))
		return;
	if (put_lost(cl) && (w->text ? put_text(cl, d) : put_record(cl, d)))
		return;
	w->lost++;
	cl->control->counters.lost_lines++;
}

static void hand_out(struct control *c, const struct decision *d)
{
	if (is_denial(d))
		c->watching.denials[c->watching.denied++ % CONTROL_DENIALS] = *d;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i] && c->clients[i]->watch.on)
			show(c->clients[i], d);
}

static int on_decisions(sd_event_source *io, int fd, uint32_t events, void *ctx)
{
	struct control *c = ctx;
	struct watching *w = &c->watching;
	const struct decision *d;
	eventfd_t ignored;
	eventfd_read(fd, &ignored);
	atomic_store(&w->woken, false);
	unsigned n = 0;
	for (; n < BURST && (d = ring_peek(w->ring)); n++) {
		hand_out(c, d);
		ring_release(w->ring);
	}
	if (n == BURST && !atomic_exchange(&w->woken, true))
		eventfd_write(fd, 1);
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i] && c->clients[i]->watch.on)
			client_flush(c->clients[i]);
	return 0;
}

static bool is_one(const struct address *a, size_t count, const struct address *of)
{
	size_t i = 0;
	while (i < count && !address_equal(&a[i], of))
		i++;
	return i < count;
}

json_t *watching_denials(const struct control *c, const struct address *a, size_t count, size_t max)
{
	const struct watching *w = &c->watching;
	uint64_t kept = w->denied < CONTROL_DENIALS ? w->denied : CONTROL_DENIALS;
	json_t *list = json_array();
	for (uint64_t i = 1; list && i <= kept && json_array_size(list) < max; i++) {
		const struct decision *d = &w->denials[(w->denied - i) % CONTROL_DENIALS];
		char line[RECORD_MAX];
		struct buf b = BUF_OF(line);
		if (!is_one(a, count, &d->client))
			continue;
		record_write(&b, d, NULL);
		json_array_append_new(list, json_loadb(line, b.len, 0, NULL));
	}
	return list;
}

int watching_init(struct control *c)
{
	struct watching *w = &c->watching;
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->ring = ring_new(RING_SLOTS, sizeof(struct decision));
	w->denials = calloc(CONTROL_DENIALS, sizeof *w->denials);
	if (w->event_fd < 0 || !w->ring || !w->denials)
		return -ENOMEM;
	return sd_event_add_io(c->o.event, &w->io, w->event_fd, EPOLLIN, on_decisions, c);
}

void watching_deinit(struct control *c)
{
	struct watching *w = &c->watching;
	sd_event_source_disable_unref(w->io);
	if (w->event_fd >= 0)
		close(w->event_fd);
	ring_free(w->ring);
	free(w->denials);
}
