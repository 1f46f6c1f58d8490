#include "base/clock.h"
#include "base/utf8.h"
#include "base/host.h"
#include "portal/assets.h"
#include "portal/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct buf *page(struct request *r)
{
	if (!r->reply.page.data) {
		r->reply.page.data = malloc(PAGE_MAX);
		r->reply.page.cap = r->reply.page.data ? PAGE_MAX : 0;
		buf_reset(&r->reply.page);
	}
	return &r->reply.page;
}

void html(struct request *r, const char *markup)
{
	buf_text(page(r), markup);
}

static const char *escape_of(char c)
{
	switch (c) {
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '&': return "&amp;";
	case '"': return "&#34;";
	case '\'': return "&#39;";
	default: return NULL;
	}
}

void html_text(struct request *r, const char *text)
{
	struct buf *b = page(r);
	for (size_t left = strlen(text), n; left; text += n, left -= n) {
		const char *escape = escape_of(*text);
		n = utf8_len(text, left);
		if (n == 0) { /* what a URL brought need not be text */
			escape = "\ufffd";
			n = 1;
		}
		if (escape)
			buf_text(b, escape);
		else
			buf_bytes(b, text, n);
	}
}

/* The text up to its next hole, and a value in it; what is behind it. */
static const char *fill_one(struct request *r, const char *text, const char *value)
{
	const char *hole = strstr(text, "{}");
	char before[TEXT_MAX + 1];
	if (!hole)
		return text;
	snprintf(before, sizeof before, "%.*s", (int)(hole - text), text);
	html_text(r, before);
	html_text(r, value);
	return hole + 2;
}

void html_fill(struct request *r, enum text t, const char *value)
{
	html_text(r, fill_one(r, say(r, t), value));
}

void html_fill_two(struct request *r, enum text t, const char *first, const char *second)
{
	html_text(r, fill_one(r, fill_one(r, say(r, t), first), second));
}

void html_element(struct request *r, const char *tag, const char *text)
{
	buf_printf(page(r), "<%s>", tag);
	html_text(r, text);
	buf_printf(page(r), "</%s>\n", tag);
}

void html_time_text(struct request *r, int64_t time, char *out, size_t size)
{
	time_t t = (time_t)(time / NS_PER_S), now = (time_t)((r->now + r->ahead) / NS_PER_S);
	struct tm at, today;
	localtime_r(&t, &at);
	localtime_r(&now, &today);
	bool same = at.tm_year == today.tm_year && at.tm_yday == today.tm_yday;
	strftime(out, size, same ? "%H:%M" : "%Y-%m-%d %H:%M", &at);
}

void html_time(struct request *r, int64_t time)
{
	char text[32], machine[40];
	struct buf b = BUF_OF(machine);
	html_time_text(r, time, text, sizeof text);
	clock_format(&b, time);
	buf_printf(page(r), "<time datetime=\"%.19sZ\">%s</time>", machine, text);
}

void html_hidden(struct request *r, const char *name, const char *value)
{
	buf_printf(page(r), "<input type=\"hidden\" name=\"%s\" value=\"", name);
	html_text(r, value);
	html(r, "\">\n");
}

void html_csrf(struct request *r)
{
	char csrf[CSRF_TEXT], text[TOKEN_TEXT];
	if (r->has_token != PARSE_OK) {
		r->token = token_new();
		r->has_token = PARSE_OK;
		token_format(&r->token, text);
		snprintf(r->reply.cookie, sizeof r->reply.cookie,
			 COOKIE_NAME "=%s; Path=/; Secure; HttpOnly; SameSite=Lax", text);
	}
	cookies_csrf(r->portal->cookies, &r->token, csrf);
	html_hidden(r, "csrf", csrf);
}

void html_begin(struct request *r, unsigned status, const char *title)
{
	struct buf *b = page(r);
	const struct portal *p = r->portal;
	buf_reset(b);
	r->reply.status = status;
	buf_printf(b,
		   "<!doctype html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
		   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		   "<meta name=\"color-scheme\" content=\"light dark\">\n"
		   "<link rel=\"stylesheet\" href=\"/style.css?%s\">\n<title>",
		   r->language->name, style_version());
	html_text(r, title);
	html(r, " · ");
	html_text(r, r->config->title);
	html(r, "</title>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">");
	html_text(r, say(r, TEXT_SKIP));
	html(r, "</a>\n<header>\n<a class=\"brand\" href=\"/\">");
	if (p->assets->logo)
		html(r, "<img src=\"/logo\" alt=\"\" height=\"36\">");
	html(r, "<span>");
	html_text(r, r->config->title);
	html(r, "</span></a>\n</header>\n<main id=\"main\">\n");
}

static void languages(struct request *r)
{
	const struct texts *t = r->portal->assets->texts;
	if (t->count < 2)
		return;
	html(r, "<nav aria-label=\"");
	html_text(r, say(r, TEXT_LANGUAGES));
	html(r, "\">\n<ul>\n");
	for (size_t i = 0; i < t->count; i++) {
		const struct language *l = &t->language[i];
		buf_printf(page(r),
			   "<li><a href=\"/language?is=%s\" lang=\"%s\" hreflang=\"%s\"%s>",
			   l->name, l->name, l->name,
			   l == r->language ? " aria-current=\"true\"" : "");
		html_text(r, l->text[TEXT_LANGUAGE]);
		html(r, "</a></li>\n");
	}
	html(r, "</ul>\n</nav>\n");
}

void html_end(struct request *r)
{
	html(r, "</main>\n<footer>\n");
	if (r->config->contact) {
		html(r, "<p>");
		html_text(r, say(r, TEXT_CONTACT));
		html(r, ": ");
		html_text(r, r->config->contact);
		html(r, "</p>\n");
	}
	languages(r);
	html(r, "</footer>\n</body>\n</html>\n");
}

const char *host_good(const char *text, char out[static HOST_MAX + 1])
{
	struct address a;
	struct host h;
	out[0] = '\0';
	if (address_parse(text, &a))
		address_format(&a, out);
	else if (host_canonical(text, strlen(text), &h) == PARSE_OK)
		memcpy(out, h.text, (size_t)h.len + 1);
	return out;
}
