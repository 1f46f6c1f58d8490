#include "base/clock.h"
#include "portal/assets.h"
#include "portal/request.h"

#include <stdio.h>

/* ---- what is wrong ---- */

static void page_link(struct request *r, const char *path, enum text t)
{
	html(r, "<p><a href=\"");
	html(r, path);
	html(r, "\">");
	html_text(r, say(r, t));
	html(r, "</a></p>\n");
}

void page_error(struct request *r, unsigned status, enum text title, enum text what)
{
	html_begin(r, status, say(r, title));
	html_element(r, "h1", say(r, title));
	if (what != title)
		html_element(r, "p", say(r, what));
	page_link(r, "/", TEXT_HOME);
	html_end(r);
}

void page_away(struct request *r)
{
	r->reply.retry_after = 10;
	page_error(r, 503, TEXT_DAEMON_AWAY, TEXT_DAEMON_AWAY_INTRO);
}

void page_see(struct request *r, const char *path)
{
	r->reply.status = 303;
	snprintf(r->reply.location, sizeof r->reply.location, "%s", path);
}

/* ---- sign in ---- */

static void field(struct request *r, const char *name, enum text label, const char *attributes)
{
	html(r, "<p class=\"field\"><label for=\"");
	html(r, name);
	html(r, "\">");
	html_text(r, say(r, label));
	html(r, "</label>\n<input id=\"");
	html(r, name);
	html(r, "\" name=\"");
	html(r, name);
	html(r, "\" required ");
	html(r, attributes);
	html(r, "></p>\n");
}

static void form_begin(struct request *r, const char *to)
{
	html(r, "<form method=\"post\" action=\"/sign-in\">\n");
	html_csrf(r);
	if (to[0])
		html_hidden(r, "to", to);
}

static void form_end(struct request *r, enum text button, bool quiet)
{
	html(r,
	     quiet ? "<p><button class=\"quiet\" type=\"submit\">" : "<p><button type=\"submit\">");
	html_text(r, say(r, button));
	html(r, "</button></p>\n</form>\n");
}

void html_sign_in(struct request *r, const char *to)
{
	uint32_t credentials = r->config->credentials;
	bool passwords = credentials & ~(uint32_t)CREDENTIALS_VOUCHERS;
	if (passwords) {
		form_begin(r, to);
		field(r, "user", TEXT_USER,
		      "autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" "
		      "maxlength=\"63\"");
		field(r, "password", TEXT_PASSWORD,
		      "type=\"password\" autocomplete=\"current-password\" maxlength=\"256\"");
		form_end(r, TEXT_SIGN_IN, false);
	}
	if (credentials & CREDENTIALS_VOUCHERS) {
		html_element(r, "h2", say(r, TEXT_VOUCHER_TITLE));
		form_begin(r, to);
		field(r, "voucher", TEXT_VOUCHER,
		      "autocomplete=\"one-time-code\" autocapitalize=\"characters\" "
		      "spellcheck=\"false\" maxlength=\"64\"");
		form_end(r, TEXT_VOUCHER_USE, passwords);
	}
}

static void notice(struct request *r)
{
	if (r->config->notice) {
		html(r, "<p class=\"notice\">");
		html_text(r, r->config->notice);
		html(r, "</p>\n");
	}
}

static void message_box(struct request *r, const char *message)
{
	if (!message)
		return;
	html(r, "<p class=\"message\" role=\"alert\">");
	html_text(r, message);
	html(r, "</p>\n");
}

void page_sign_in(struct request *r, unsigned status, const char *message, const char *to)
{
	html_begin(r, status, say(r, TEXT_SIGN_IN));
	html_element(r, "h1", say(r, TEXT_SIGN_IN));
	message_box(r, message);
	html_element(r, "p", say(r, TEXT_SIGN_IN_INTRO));
	notice(r);
	html_sign_in(r, to);
	page_link(r, "/why", TEXT_WHY);
	html_end(r);
}

/* ---- who you are ---- */

static void row_text(struct request *r, enum text label, const char *value)
{
	if (!value[0])
		return;
	html(r, "<div><dt>");
	html_text(r, say(r, label));
	html(r, "</dt><dd>");
	html_text(r, value);
	html(r, "</dd></div>\n");
}

static void row_time(struct request *r, enum text label, int64_t time)
{
	html(r, "<div><dt>");
	html_text(r, say(r, label));
	html(r, "</dt><dd>");
	if (time)
		html_time(r, time);
	else
		html_text(r, say(r, TEXT_NO_END));
	html(r, "</dd></div>\n");
}

static void who_you_are(struct request *r, const json_t *who)
{
	char address[ADDRESS_TEXT];
	html(r, "<dl>\n");
	row_text(r, TEXT_AS, gate_text(who, "user"));
	row_text(r, TEXT_TIER, gate_text(who, "tier"));
	if (gate_signed_in(who)) {
		row_time(r, TEXT_SINCE, gate_time(gate_text(who, "since")));
		row_time(r, TEXT_UNTIL, gate_time(gate_text(who, "until")));
	}
	row_text(r, TEXT_ADDRESS, address_format(&r->peer, address));
	html(r, "</dl>\n");
}

static void when(struct request *r, const json_t *site)
{
	bool now = json_is_true(json_object_get(site, "now"));
	int64_t edge = gate_time(gate_text(site, now ? "until" : "from"));
	char time[32];
	if (edge) {
		html_time_text(r, edge, time, sizeof time);
		html_fill(r, now ? TEXT_NOW_UNTIL : TEXT_FROM, time);
	} else {
		html_text(r, say(r, now ? TEXT_NOW : TEXT_NOT_NOW));
	}
}

void html_reach(struct request *r, const json_t *who)
{
	const json_t *may = json_object_get(who, "may"), *site;
	size_t i;
	html_element(r, "h2", say(r, TEXT_REACH));
	if (json_array_size(may) == 0) {
		html_element(r, "p", say(r, TEXT_REACH_NOTHING));
		return;
	}
	html(r, "<ul class=\"sites\">\n");
	json_array_foreach(may, i, site)
	{
		const char *name = gate_text(site, "site");
		bool now = json_is_true(json_object_get(site, "now"));
		html(r, now ? "<li><span>" : "<li class=\"later\"><span>");
		html_text(r, strcmp(name, "*") == 0 ? say(r, TEXT_EVERYTHING) : name);
		html(r, "</span> <span class=\"when\">");
		when(r, site);
		html(r, "</span></li>\n");
	}
	html(r, "</ul>\n<p class=\"small\">");
	html_text(r, say(r, TEXT_REACH_INTERNAL));
	html(r, "</p>\n");
}

static void go_on(struct request *r)
{
	char host[HOST_MAX + 1];
	if (!host_good(request_query(r, "to"), host)[0])
		return;
	bool six = strchr(host, ':');
	html(r, "<p><a class=\"button\" rel=\"noreferrer\" href=\"http://");
	html(r, six ? "[" : "");
	html_text(r, host);
	html(r, six ? "]/\">" : "/\">");
	html_fill(r, TEXT_CONTINUE, host);
	html(r, "</a></p>\n");
}

static void observed(struct request *r, const json_t *who)
{
	if (strcmp(gate_text(who, "mode"), "observe") == 0)
		message_box(r, say(r, TEXT_OBSERVED));
}

static void page_signed_in(struct request *r, const json_t *who)
{
	html_begin(r, 200, say(r, TEXT_SIGNED_IN));
	html_element(r, "h1", say(r, TEXT_SIGNED_IN));
	observed(r, who);
	who_you_are(r, who);
	go_on(r);
	html(r, "<form method=\"post\" action=\"/sign-out\">\n");
	html_csrf(r);
	form_end(r, TEXT_SIGN_OUT, true);
	html_reach(r, who);
	page_link(r, "/why", TEXT_WHY);
	html_end(r);
}

static void page_segment(struct request *r, const json_t *who)
{
	html_begin(r, 200, say(r, TEXT_SIGN_IN));
	html_element(r, "h1", say(r, TEXT_SIGN_IN));
	observed(r, who);
	html_element(r, "p", say(r, TEXT_WITHOUT_SIGNING_IN));
	notice(r);
	html_sign_in(r, "");
	who_you_are(r, who);
	html_reach(r, who);
	page_link(r, "/why", TEXT_WHY);
	html_end(r);
}

void page_home(struct request *r)
{
	json_t *who = gate_reach(&r->gate, &r->peer);
	if (who && !gate_signed_in(who) && sign_in_again(r)) {
		json_decref(who);
		who = gate_reach(&r->gate, &r->peer);
	}
	if (!who)
		page_away(r);
	else if (gate_signed_in(who))
		page_signed_in(r, who);
	else if (gate_text(who, "tier")[0])
		page_segment(r, who);
	else
		page_sign_in(r, 200, NULL, "");
	json_decref(who);
}

void page_signed_out(struct request *r)
{
	html_begin(r, 200, say(r, TEXT_SIGNED_OUT));
	html_element(r, "h1", say(r, TEXT_SIGNED_OUT));
	html_element(r, "p", say(r, TEXT_SIGNED_OUT_INTRO));
	html(r, "<p><a class=\"button\" href=\"/\">");
	html_text(r, say(r, TEXT_SIGN_IN));
	html(r, "</a></p>\n");
	html_end(r);
}

static void page_language(struct request *r)
{
	const char *name = request_query(r, "is");
	if (texts_named(r->portal->assets->texts, name))
		snprintf(r->reply.language, sizeof r->reply.language, "%s", name);
	page_see(r, "/");
}

/* ---- files ---- */

static void page_style(struct request *r)
{
	r->reply.status = 200;
	r->reply.type = "text/css; charset=utf-8";
	r->reply.fixed = style_css;
	r->reply.fixed_len = (size_t)(style_css_end - style_css);
	r->reply.cacheable = true;
}

static void page_logo(struct request *r)
{
	const struct assets *a = r->portal->assets;
	if (!a->logo) {
		page_error(r, 404, TEXT_NOT_FOUND, TEXT_NOT_FOUND);
		return;
	}
	r->reply.status = 200;
	r->reply.type = a->logo_type;
	r->reply.fixed = a->logo;
	r->reply.fixed_len = a->logo_len;
	r->reply.cacheable = true;
}

/* ---- which page ---- */

static const struct route {
	const char *path;
	void (*get)(struct request *r);
	bool (*post_later)(struct request *r);
	void (*post)(struct request *r);
} routes[] = {
	{"/", page_home, NULL, NULL},
	{"/sign-in", NULL, page_post_sign_in, NULL},
	{"/sign-out", NULL, NULL, page_post_sign_out},
	{"/signed-out", page_signed_out, NULL, NULL},
	{"/why", page_why, NULL, NULL},
	{"/blocked", page_blocked, NULL, NULL},
	{"/language", page_language, NULL, NULL},
	{"/api", page_api, NULL, NULL},
	{"/style.css", page_style, NULL, NULL},
	{"/logo", page_logo, NULL, NULL},
};

bool pages_answer(struct request *r)
{
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		const struct route *route = &routes[i];
		if (strcmp(route->path, r->path) != 0)
			continue;
		if (r->post && route->post_later)
			return route->post_later(r);
		if (r->post && route->post) {
			route->post(r);
		} else if (!r->post && route->get) {
			route->get(r);
		} else {
			r->reply.allow = route->get ? "GET, HEAD" : "POST";
			page_error(r, 405, TEXT_BAD_METHOD, TEXT_BAD_METHOD);
		}
		return false;
	}
	page_error(r, 404, TEXT_NOT_FOUND, TEXT_NOT_FOUND);
	return false;
}
