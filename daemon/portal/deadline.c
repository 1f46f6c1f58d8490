#include "portal/deadline.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define SHARES 1024 /* chains */

/* The connections of an address, or of an IPv6 /64 (an IPv4 address is a network of its own). */
struct share {
	struct share *next;
	struct address address;
	bool net;
	unsigned count;
};

struct watched {
	struct watched *next, **link;
	int fd;
	struct deadline *of;
	struct share *one, *net; /* NULL: shut down; it goes when its owner sees that */
	int64_t until;           /* of clock_now; INT64_MAX: paused, or shut down already */
};

struct deadline {
	pthread_mutex_t lock;
	uint64_t seed; /* nobody can choose addresses that fall together */
	unsigned open;
	struct share *shares[SHARES];
	int64_t limit;
	struct watched *first;
};

struct deadline *deadline_new(int64_t limit)
{
	struct deadline *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->limit = limit;
	if (getrandom(&d->seed, sizeof d->seed, 0) != sizeof d->seed)
		abort();
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

void deadline_free(struct deadline *d)
{
	if (!d)
		return;
	while (d->first)
		deadline_end(d, d->first);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void deadline_limit(struct deadline *d, int64_t limit)
{
	__atomic_store_n(&d->limit, limit, __ATOMIC_RELAXED);
}

static int64_t end(const struct deadline *d)
{
	return clock_now() + __atomic_load_n(&d->limit, __ATOMIC_RELAXED);
}

/* ---- shares ---- */

/* Where a share is, or would be, linked. */
static struct share **share_find(struct deadline *d, const struct address *peer, bool net)
{
	struct address a = *peer;
	uint64_t half[2];
	if (net && !address_is4(&a))
		memset(a.bytes + 8, 0, 8);
	memcpy(half, &a, sizeof half);
	uint64_t hash = (half[0] ^ d->seed) * UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ hash >> 29 ^ half[1]) * UINT64_C(0xbf58476d1ce4e5b9);
	struct share **link = &d->shares[(hash >> 40) % SHARES];
	while (*link && ((*link)->net != net || !address_equal(&(*link)->address, &a)))
		link = &(*link)->next;
	return link;
}

static struct share *share_join(struct deadline *d, const struct address *peer, bool net)
{
	struct share **link = share_find(d, peer, net), *s = *link;
	if (!s && (s = calloc(1, sizeof *s))) {
		s->address = *peer;
		if (net && !address_is4(peer))
			memset(s->address.bytes + 8, 0, 8);
		s->net = net;
		*link = s;
	}
	if (s)
		s->count++;
	return s;
}

static void share_drop(struct deadline *d, struct share *s)
{
	if (!s || --s->count)
		return;
	*share_find(d, &s->address, s->net) = s->next;
	free(s);
}

/* The connection counts no more. */
static void share_leave(struct watched *w)
{
	w->of->open -= w->net != NULL;
	share_drop(w->of, w->one);
	share_drop(w->of, w->net);
	w->one = w->net = NULL;
}

/* ---- deadlines ---- */

struct watched *deadline_begin(struct deadline *d, int fd, const struct address *peer)
{
	struct watched *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->fd = fd;
	w->of = d;
	w->until = end(d);
	pthread_mutex_lock(&d->lock);
	w->next = d->first;
	w->link = &d->first;
	if (w->next)
		w->next->link = &w->next;
	d->first = w;
	w->one = share_join(d, peer, false);
	w->net = w->one ? share_join(d, peer, true) : NULL;
	if (w->net)
		d->open++;
	else
		share_leave(w);
	pthread_mutex_unlock(&d->lock);
	return w;
}

void deadline_end(struct deadline *d, struct watched *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&d->lock);
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	share_leave(w);
	pthread_mutex_unlock(&d->lock);
	free(w);
}

static void set(struct deadline *d, struct watched *w, int64_t until)
{
	if (!w)
		return;
	pthread_mutex_lock(&d->lock);
	w->until = until;
	pthread_mutex_unlock(&d->lock);
}

void deadline_restart(struct deadline *d, struct watched *w)
{
	set(d, w, end(d));
}

void deadline_pause(struct deadline *d, struct watched *w)
{
	set(d, w, INT64_MAX);
}

/* ---- room for a further one ---- */

static void cut(struct watched *w)
{
	shutdown(w->fd, SHUT_RDWR);
	w->until = INT64_MAX;
	share_leave(w);
}

/* The oldest connection of who has the most: of the network that has, and there of the address. The
 * list begins with the newest. */
static struct watched *greediest(const struct deadline *d)
{
	struct watched *found = NULL;
	for (struct watched *w = d->first; w; w = w->next)
		if (w->one &&
		    (!found || w->net->count > found->net->count ||
		     (w->net->count == found->net->count && w->one->count >= found->one->count)))
			found = w;
	return found;
}

/* Whether one more of who has `own` is fairer than one of who has `most`. */
static bool is_fairer(const struct share *own, const struct share *most)
{
	return !own || most->count > own->count + 1;
}

bool deadline_room(struct deadline *d, const struct address *peer, unsigned max)
{
	pthread_mutex_lock(&d->lock);
	bool room = d->open < max;
	struct watched *w = room ? NULL : greediest(d);
	if (w) {
		const struct share *net = *share_find(d, peer, true);
		room = net == w->net ? is_fairer(*share_find(d, peer, false), w->one)
				     : is_fairer(net, w->net);
		if (room)
			cut(w);
	}
	pthread_mutex_unlock(&d->lock);
	return room;
}

unsigned deadline_sweep(struct deadline *d)
{
	int64_t now = clock_now();
	unsigned late = 0;
	pthread_mutex_lock(&d->lock);
	for (struct watched *w = d->first; w; w = w->next) {
		if (w->until > now)
			continue;
		cut(w);
		late++;
	}
	pthread_mutex_unlock(&d->lock);
	return late;
}
