/* route: which page answers a path. */
#include "portal/assets.h"
#include "portal/request.h"

#include <stdio.h>
#include <string.h>

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

bool route_answer(struct request *r)
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
