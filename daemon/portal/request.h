/* request: one request of a browser and what is answered. Pages see nothing of libmicrohttpd. */
#pragma once
#include "portal/cookie.h"
#include "portal/gate.h"
#include "portal/portal.h"
#include "portal/text.h"

#define PAGE_MAX     (30 * 1024) /* bytes of a page */
#define QUERY_MAX    256         /* bytes of a value in a URL */
#define LOCATION_MAX 512

struct reply {
	unsigned status;
	const char *type;  /* NULL: text/html */
	const char *fixed; /* bytes that outlive the request, instead of the page */
	size_t fixed_len;
	struct buf page;
	char location[LOCATION_MAX];
	char cookie[160]; /* Set-Cookie */
	char language[64];
	unsigned retry_after; /* s */
	const char *allow;    /* of 405 */
	bool cacheable;
};

struct request {
	struct portal *portal;
	struct portal_config *config; /* as it was when the request began */
	void *connection;             /* of libmicrohttpd */
	struct watched *watched;      /* by the server's deadlines */
	struct address peer;
	int64_t now, ahead; /* base/clock.h */
	bool post, head;
	char *path; /* without the query */
	char *body;
	size_t body_len, body_cap, passed_over; /* bytes of a body that is too large */
	bool refused;                           /* before the body was read */
	const struct language *language;
	enum parse has_token; /* PARSE_OK: token is the browser's */
	struct token token;
	struct gate gate;
	struct sign_in *sign_in; /* while a checker has it, and after */
	struct reply reply;
};

/* The query's value of a name; "" where there is none or it does not fit. */
const char *request_query(struct request *r, const char *name);

/* A request waits for a checker, and goes on: its page is asked for once more. (suspend.c) */
void request_suspend(struct request *r);
void request_resume(struct request *r);

static inline const char *say(const struct request *r, enum text t)
{
	return r->language->text[t];
}

/* Finds the page and makes the reply. True: it goes on when a checker is done; then once more.
 * (route.c) */
bool route_answer(struct request *r);

/* A page that says what is wrong. */
void page_error(struct request *r, unsigned status, enum text title, enum text what);
/* The first page, as a form with a message (NULL: none) over it. */
void page_sign_in(struct request *r, unsigned status, const char *message, const char *to);
/* 303 to a path of the portal. */
void page_see(struct request *r, const char *path);
/* The daemon does not answer: 503. */
void page_away(struct request *r);

/* The pages. */
void page_home(struct request *r);          /* home.c */
void page_signed_out(struct request *r);    /* home.c */
void page_why(struct request *r);           /* page_why.c */
void page_blocked(struct request *r);       /* page_why.c */
void page_api(struct request *r);           /* api.c */
bool page_post_sign_in(struct request *r);  /* sign.c */
void page_post_sign_out(struct request *r); /* sign.c */

/* Signs a browser in again that has moved, where its session still is (sign.c). */
bool sign_in_again(struct request *r);

/* ---- what pages are made of (html.c) ---- */

/* Everything around a page's content. A title without a hole. */
void html_begin(struct request *r, unsigned status, const char *title);
void html_end(struct request *r);
/* Markup of our own, and text of anybody's. */
void html(struct request *r, const char *markup);
void html_text(struct request *r, const char *text);
/* A text with a value in its hole, both escaped. */
void html_fill(struct request *r, enum text t, const char *value);
/* The same, of a text with two. */
void html_fill_two(struct request *r, enum text t, const char *first, const char *second);
/* <time> with the local time of day, or the day too where it is another. */
void html_time(struct request *r, int64_t time);
void html_time_text(struct request *r, int64_t time, char *out, size_t size);
/* <tag>text</tag> */
void html_element(struct request *r, const char *tag, const char *text);
/* The hidden field that a form needs; gives the browser a cookie where it has none. */
void html_csrf(struct request *r);
void html_hidden(struct request *r, const char *name, const char *value);

/* A host name or address that may be shown and linked; else "". */
const char *host_good(const char *text, char out[static HOST_MAX + 1]);

/* ---- parts of several pages (pages.c) ---- */

void html_sign_in(struct request *r, const char *to);
/* A paragraph with a link to another page. */
void html_link(struct request *r, const char *path, enum text t);
/* The button and the end of a form; quiet: one that is not what the page is for. */
void html_form_end(struct request *r, enum text button, bool quiet);
/* What the operator says to all (nothing: nothing), and what is said of this request (or NULL). */
void html_notice(struct request *r);
void html_message(struct request *r, const char *message);
/* A label and its value, in a list of them; nothing where the value is "". */
void html_row(struct request *r, enum text label, const char *value);
