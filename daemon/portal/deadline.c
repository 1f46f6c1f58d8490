#include "portal/deadline.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

struct watched {
	struct watched *next, **link;
	int fd;
	int64_t until; /* of clock_now; INT64_MAX: paused, or shut down already */
};

struct deadline {
	pthread_mutex_t lock;
	int64_t limit;
	struct watched *first;
};

struct deadline *deadline_new(int64_t limit)
{
	struct deadline *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->limit = limit;
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

struct watched *deadline_begin(struct deadline *d, int fd)
{
	struct watched *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->fd = fd;
	w->until = end(d);
	pthread_mutex_lock(&d->lock);
	w->next = d->first;
	w->link = &d->first;
	if (w->next)
		w->next->link = &w->next;
	d->first = w;
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

unsigned deadline_sweep(struct deadline *d)
{
	int64_t now = clock_now();
	unsigned late = 0;
	pthread_mutex_lock(&d->lock);
	for (struct watched *w = d->first; w; w = w->next) {
		if (w->until > now)
			continue;
		shutdown(w->fd, SHUT_RDWR);
		w->until = INT64_MAX;
		late++;
	}
	pthread_mutex_unlock(&d->lock);
	return late;
}
