/* home: the first page: who you are, and what you may reach. */
#include "portal/request.h"

#include <stdio.h>
#include <string.h>

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
	html_row(r, TEXT_AS, gate_text(who, "user"));
	html_row(r, TEXT_TIER, gate_text(who, "tier"));
	if (gate_signed_in(who)) {
		row_time(r, TEXT_SINCE, gate_time(gate_text(who, "since")));
		row_time(r, TEXT_UNTIL, gate_time(gate_text(who, "until")));
	}
	html_row(r, TEXT_ADDRESS, address_format(&r->peer, address));
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

/* "35 of 90 minutes left today, anew from 2026-11-29 00:00" */
static void left(struct request *r, const json_t *quota)
{
	bool week = strcmp(gate_text(quota, "per"), "week") == 0;
	int64_t until = gate_time(gate_text(quota, "until"));
	char time[32], number[2][24];
	html(r, "<br><span class=\"left\">");
	if (strcmp(gate_text(quota, "unit"), "min") == 0) {
		snprintf(number[0], sizeof number[0], "%lld",
			 (long long)json_integer_value(json_object_get(quota, "left")));
		snprintf(number[1], sizeof number[1], "%lld",
			 (long long)json_integer_value(json_object_get(quota, "amount")));
		html_fill_two(r, week ? TEXT_LEFT_MINUTES_WEEK : TEXT_LEFT_MINUTES_DAY, number[0],
			      number[1]);
	} else {
		html_fill_two(r, week ? TEXT_LEFT_WEEK : TEXT_LEFT_DAY,
			      gate_text(quota, "left_text"), gate_text(quota, "amount_text"));
	}
	if (until) {
		html_time_text(r, until, time, sizeof time);
		html(r, ", ");
		html_fill(r, TEXT_LEFT_ANEW, time);
	}
	html(r, "</span>");
}

#define QUOTAS_SAID 64

/* What `reach` said: sites, until when, and what is left. */
static void reach(struct request *r, const json_t *who)
{
	const json_t *may = json_object_get(who, "may"), *site, *quota;
	size_t i, k, said = 0; /* a page has a bound */
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
		json_array_foreach(json_object_get(site, "quotas"), k, quota)
		{
			if (said++ < QUOTAS_SAID)
				left(r, quota);
		}
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
		html_message(r, say(r, TEXT_OBSERVED));
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
	html_form_end(r, TEXT_SIGN_OUT, true);
	reach(r, who);
	html_link(r, "/why", TEXT_WHY);
	html_end(r);
}

static void page_segment(struct request *r, const json_t *who)
{
	html_begin(r, 200, say(r, TEXT_SIGN_IN));
	html_element(r, "h1", say(r, TEXT_SIGN_IN));
	observed(r, who);
	html_element(r, "p", say(r, TEXT_WITHOUT_SIGNING_IN));
	html_notice(r);
	html_sign_in(r, "");
	who_you_are(r, who);
	reach(r, who);
	html_link(r, "/why", TEXT_WHY);
	html_end(r);
}

void page_home(struct request *r)
{
	json_t *who = gate_reach(&r->gate, &r->peer);
	if (!gate_signed_in(who) && sign_in_again(r)) {
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
