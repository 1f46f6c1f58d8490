#include "portal/checker.h"

#include "base/clock.h"
#include "base/log.h"
#include "portal/limit.h"

#include <stdlib.h>
#include <string.h>

struct checkers {
	struct portal *portal;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct request *queue[CHECKS_WAITING];
	size_t first, count;
	bool stopping;
	unsigned threads;
	pthread_t thread[];
};

static int64_t lasts(const struct request *r, const struct credential_answer *a)
{
	int64_t own = r->config->session;
	return a->lasts && a->lasts < own ? a->lasts : own;
}

static void log_errors(struct errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		LOG_LIMITED(log_error, clock_now(), "%s", errors->lines[i]);
	errors_deinit(errors);
}

/* Where the daemon was asked and did not answer, it may have opened the session: what was used up
 * for it stays used up. */
static void not_opened(const struct request *r)
{
	struct errors errors = {0};
	if (r->gate.unsure)
		log_warn("%s: whether the session was opened is not known",
			 r->sign_in->answer.user);
	else
		credential_undo(r->config, &r->sign_in->answer, &errors);
	log_errors(&errors);
}

static void open_session(struct request *r)
{
	struct sign_in *s = r->sign_in;
	const struct credential_answer *a = &s->answer;
	char address[ADDRESS_TEXT];
	struct cookie cookie = {.until = r->now + lasts(r, a)};
	s->opened = gate_login(&r->gate, &r->peer, a->user, a->tier, a->source, lasts(r, a));
	if (!s->opened) {
		not_opened(r);
		return;
	}
	memcpy(cookie.user, a->user, sizeof cookie.user);
	memcpy(cookie.tier, a->tier, sizeof cookie.tier);
	strncpy(cookie.source, a->source, sizeof cookie.source - 1);
	cookie.at[!address_is4(&r->peer)] = r->peer;
	/* A new token: who knew the old one, knows nothing. */
	cookies_drop(r->portal->cookies, &r->token);
	r->token = token_new();
	cookies_put(r->portal->cookies, &r->token, &cookie, r->now);
	LOG_LIMITED(log_info, r->now, "%s signed in at %s", a->user,
		    address_format(&r->peer, address));
}

static void check(struct request *r)
{
	struct sign_in *s = r->sign_in;
	struct errors errors = {0};
	struct portal *p = r->portal;
	char address[ADDRESS_TEXT];
	struct credential_request request = {.config = r->config,
					     .user = s->user[0] ? s->user : NULL,
					     .password = s->secret,
					     .client = r->peer,
					     .now = r->now};
	s->result = credential_check(&request, &s->answer, &errors);
	explicit_bzero(s->secret, sizeof s->secret);
	if (errors.count)
		tally_error(&p->tally, r->now + r->ahead, errors.lines[0]);
	log_errors(&errors);
	if (s->result == CREDENTIAL_OK)
		limit_good(p->limit, &r->peer, s->user, r->now);
	else if (s->result != CREDENTIAL_WRONG)
		limit_void(p->limit, &r->peer, s->user, r->now);
	else /* without the name: it may be a password in the wrong field */
		LOG_LIMITED(log_info, r->now, "a wrong password from %s",
			    address_format(&r->peer, address));
	if (s->result == CREDENTIAL_OK)
		open_session(r);
	s->done = true;
}

/* Under the lock, and there is one. */
static struct request *take_first(struct checkers *c)
{
	struct request *r = c->queue[c->first];
	c->first = (c->first + 1) % CHECKS_WAITING;
	c->count--;
	return r;
}

static struct request *next(struct checkers *c)
{
	struct request *r = NULL;
	pthread_mutex_lock(&c->lock);
	while (c->count == 0 && !c->stopping)
		pthread_cond_wait(&c->more, &c->lock);
	if (!c->stopping)
		r = take_first(c);
	pthread_mutex_unlock(&c->lock);
	return r;
}

static void *work(void *arg)
{
	struct checkers *c = arg;
	struct request *r;
	while ((r = next(c))) {
		check(r);
		request_resume(r);
	}
	return NULL;
}

struct checkers *checkers_new(struct portal *p, unsigned threads)
{
	struct checkers *c = calloc(1, sizeof *c + threads * sizeof(pthread_t));
	if (!c)
		return NULL;
	c->portal = p;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	while (c->threads < threads && pthread_create(&c->thread[c->threads], NULL, work, c) == 0)
		c->threads++;
	if (c->threads == threads)
		return c;
	checkers_stop(c);
	checkers_free(c);
	return NULL;
}

static void give_back(struct checkers *c, struct request *r)
{
	struct sign_in *s = r->sign_in;
	explicit_bzero(s->secret, sizeof s->secret);
	limit_void(c->portal->limit, &r->peer, s->user, r->now);
	s->busy = s->done = true;
	request_resume(r);
}

unsigned checkers_late(struct checkers *c, int64_t now)
{
	unsigned late = 0;
	struct request *r;
	do {
		pthread_mutex_lock(&c->lock);
		bool is = c->count && now - c->queue[c->first]->now >= CHECK_WAIT_NS;
		r = is ? take_first(c) : NULL;
		pthread_mutex_unlock(&c->lock);
		if (r)
			give_back(c, r);
		late += r != NULL;
	} while (r);
	return late;
}

void checkers_stop(struct checkers *c)
{
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_broadcast(&c->more);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < c->threads; i++)
		pthread_join(c->thread[i], NULL);
	while (c->count)
		give_back(c, take_first(c));
	c->threads = 0;
}

void checkers_free(struct checkers *c)
{
	if (!c)
		return;
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

bool checkers_add(struct checkers *c, struct request *r)
{
	pthread_mutex_lock(&c->lock);
	bool room = c->count < CHECKS_WAITING && !c->stopping;
	if (room) {
		c->queue[(c->first + c->count++) % CHECKS_WAITING] = r;
		pthread_cond_signal(&c->more);
	}
	pthread_mutex_unlock(&c->lock);
	return room;
}
