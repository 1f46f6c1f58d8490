#include "portal/request.h"

#include <stdio.h>

/* ---- what is wrong ---- */

void html_link(struct request *r, const char *path, enum text t)
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
	html_link(r, "/", TEXT_HOME);
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

void html_form_end(struct request *r, enum text button, bool quiet)
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
		html_form_end(r, TEXT_SIGN_IN, false);
	}
	if (credentials & CREDENTIALS_VOUCHERS) {
		html_element(r, "h2", say(r, TEXT_VOUCHER_TITLE));
		form_begin(r, to);
		field(r, "voucher", TEXT_VOUCHER,
		      "autocomplete=\"one-time-code\" autocapitalize=\"characters\" "
		      "spellcheck=\"false\" maxlength=\"64\"");
		html_form_end(r, TEXT_VOUCHER_USE, passwords);
	}
}

void html_notice(struct request *r)
{
	if (r->config->notice) {
		html(r, "<p class=\"notice\">");
		html_text(r, r->config->notice);
		html(r, "</p>\n");
	}
}

void html_message(struct request *r, const char *message)
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
	html_message(r, message);
	html_element(r, "p", say(r, TEXT_SIGN_IN_INTRO));
	html_notice(r);
	html_sign_in(r, to);
	html_link(r, "/why", TEXT_WHY);
	html_end(r);
}

void html_row(struct request *r, enum text label, const char *value)
{
	if (!value[0])
		return;
	html(r, "<div><dt>");
	html_text(r, say(r, label));
	html(r, "</dt><dd>");
	html_text(r, value);
	html(r, "</dd></div>\n");
}
