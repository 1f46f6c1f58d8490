/* Signing in, again, and out. */
#include "base/clock.h"
#include "identity/users.h"
#include "portal/checker.h"
#include "portal/form.h"
#include "portal/limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the form ---- */

static enum parse field(const struct request *r, const char *name, char *out, size_t size)
{
	return form_field(r->body ? r->body : "", r->body_len, name, out, size);
}

/* False, and a page says so, where a form is not one that this browser was given. */
static bool csrf_good(struct request *r)
{
	char csrf[CSRF_TEXT];
	bool good = r->has_token == PARSE_OK && field(r, "csrf", csrf, sizeof csrf) == PARSE_OK &&
		    cookies_csrf_good(r->portal->cookies, &r->token, csrf);
	if (!good)
		page_sign_in(r, 403, say(r, TEXT_STALE), "");
	return good;
}

static char *trim(char *text)
{
	size_t len = strlen(text), skip = strspn(text, " ");
	while (len > skip && text[len - 1] == ' ')
		len--;
	memmove(text, text + skip, len - skip);
	text[len - skip] = '\0';
	return text;
}

/* False where a field is missing or malformed. A name that no user can have goes on as one that no
 * user has: the answer takes as long and is the same. */
static bool read_form(const struct request *r, struct sign_in *s)
{
	char user[QUERY_MAX], to[HOST_MAX + 1];
	const char *name = user;
	if (field(r, "to", to, sizeof to) == PARSE_OK)
		host_good(to, s->to);
	if (field(r, "voucher", s->secret, sizeof s->secret) == PARSE_OK)
		return trim(s->secret)[0];
	if (field(r, "user", user, sizeof user) != PARSE_OK ||
	    field(r, "password", s->secret, sizeof s->secret) != PARSE_OK || !trim(user)[0] ||
	    !s->secret[0])
		return false;
	if (!user_name_valid(user))
		name = "nobody@-";
	memcpy(s->user, name, strlen(name) + 1); /* a valid one fits */
	return true;
}

/* ---- sign in ---- */

static void set_cookie(struct request *r)
{
	char text[TOKEN_TEXT];
	token_format(&r->token, text);
	snprintf(r->reply.cookie, sizeof r->reply.cookie,
		 COOKIE_NAME "=%s; Path=/; Max-Age=%lld; Secure; HttpOnly; SameSite=Lax", text,
		 (long long)(r->config->session / NS_PER_S));
}

static void refuse(struct request *r, unsigned status, enum text t)
{
	page_sign_in(r, status, say(r, t), r->sign_in->to);
}

/* What only an administrator can mend is shown by status. */
static void trouble(struct request *r, const char *text)
{
	tally_error(&r->portal->tally, r->now + r->ahead, text);
}

static void cannot_open(struct request *r)
{
	if (r->gate.away) {
		trouble(r, "tiergated does not answer: nobody can sign in");
		page_away(r);
	} else if (strcmp(r->gate.code, "blocked") == 0) {
		refuse(r, 403, TEXT_USER_BLOCKED);
	} else if (strcmp(r->gate.code, "full") == 0) {
		trouble(r, "the table of sessions is full: raise bounds.sessions");
		refuse(r, 503, TEXT_FULL);
	} else {
		trouble(r, "somebody's tier is not in the policy: see the journal");
		refuse(r, 503, TEXT_NO_TIER);
	}
}

static void finish(struct request *r)
{
	const struct sign_in *s = r->sign_in;
	char path[LOCATION_MAX];
	tally_try(&r->portal->tally, !s->busy && s->opened, r->now + r->ahead);
	if (s->busy) {
		trouble(r,
			"sign-ins wait too long for a checker: raise `checkers`, or is PAM slow?");
		r->reply.retry_after = 2;
		refuse(r, 503, TEXT_BUSY);
	} else if (s->result == CREDENTIAL_WRONG) {
		refuse(r, 403, s->user[0] ? TEXT_WRONG : TEXT_WRONG_VOUCHER);
	} else if (s->result == CREDENTIAL_LOCKED) {
		refuse(r, 403, TEXT_LOCKED);
	} else if (s->result == CREDENTIAL_ERROR) {
		refuse(r, 503, TEXT_CANNOT_CHECK);
	} else if (!s->opened) {
		cannot_open(r);
	} else {
		set_cookie(r);
		snprintf(path, sizeof path, s->to[0] ? "/?to=%s" : "/", s->to);
		page_see(r, path);
	}
}

static void too_often(struct request *r, int64_t wait)
{
	char seconds[16], message[TEXT_MAX + sizeof seconds];
	const char *text = say(r, TEXT_TOO_OFTEN), *hole = strstr(text, "{}");
	tally_try(&r->portal->tally, false, r->now + r->ahead);
	r->reply.retry_after = (unsigned)(wait / NS_PER_S + 1);
	snprintf(seconds, sizeof seconds, "%u", r->reply.retry_after);
	snprintf(message, sizeof message, "%.*s%s%s", (int)(hole - text), text, seconds, hole + 2);
	page_sign_in(r, 429, message, r->sign_in->to);
}

bool page_post_sign_in(struct request *r)
{
	if (r->sign_in) {
		finish(r);
		return false;
	}
	if (!csrf_good(r))
		return false;
	struct sign_in *s = r->sign_in = calloc(1, sizeof *s);
	if (!s || !read_form(r, s)) {
		page_sign_in(r, 400, say(r, TEXT_EMPTY), s ? s->to : "");
		return false;
	}
	int64_t wait = limit_begin(r->portal->limit, &r->peer, s->user, r->now);
	if (wait) {
		too_often(r, wait);
		return false;
	}
	request_suspend(r);
	if (!checkers_add(r->portal->checkers, r)) {
		limit_void(r->portal->limit, &r->peer, s->user, r->now);
		s->busy = s->done = true;
		request_resume(r);
	}
	return true;
}

/* ---- again ---- */

/* Whether the user of the cookie still has a session at an address, and as the cookie says: a tier
 * that was taken away does not come back by an older cookie. Its id goes to *id. */
static bool is_there(struct request *r, const struct address *a, const struct cookie *c,
		     json_int_t *id)
{
	static const struct address none;
	if (address_equal(a, &none))
		return false;
	json_t *who = gate_reach(&r->gate, a);
	bool same = gate_signed_in(who) && strcmp(gate_text(who, "user"), c->user) == 0 &&
		    strcmp(gate_text(who, "tier"), c->tier) == 0;
	*id = json_integer_value(json_object_get(who, "session"));
	json_decref(who);
	return same;
}

static bool add_address(struct request *r, json_int_t id)
{
	json_t *m = gate_address(&r->peer);
	json_object_set_new(m, "session", json_integer(id));
	json_t *result = gate_ask(&r->gate, "add", m);
	json_decref(result);
	return result;
}

/* The address that was left has no session any more, before the new one has. */
static bool move(struct request *r, const struct cookie *c, const struct address *from)
{
	return gate_logout(&r->gate, from) &&
	       gate_login(&r->gate, &r->peer, c->user, c->tier, c->source, c->until - r->now);
}

bool sign_in_again(struct request *r)
{
	struct cookie c;
	json_int_t id;
	bool six = !address_is4(&r->peer), done = false;
	if (r->config->roaming == ROAMING_OFF || r->has_token != PARSE_OK ||
	    !cookies_find(r->portal->cookies, &r->token, r->now, &c))
		return false;
	/* A session that has ended, by itself or by an operator, comes back by a password alone. */
	if (is_there(r, &c.at[six], &c, &id))
		done = move(r, &c, &c.at[six]);
	else if (is_there(r, &c.at[!six], &c, &id))
		done = add_address(r, id);
	if (!done)
		return false;
	c.at[six] = r->peer;
	cookies_put(r->portal->cookies, &r->token, &c, r->now);
	return true;
}

/* ---- out ---- */

void page_post_sign_out(struct request *r)
{
	if (!csrf_good(r))
		return;
	if (!gate_logout(&r->gate, &r->peer)) {
		page_away(r);
		return;
	}
	cookies_drop(r->portal->cookies, &r->token);
	snprintf(r->reply.cookie, sizeof r->reply.cookie,
		 COOKIE_NAME "=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
	page_see(r, "/signed-out");
}
