/* Why was I denied? The denials of this device, and a question about any site. */
#include "base/clock.h"
#include "portal/request.h"

#include <stdio.h>

#define ROWS 12

static enum text reason_of(const char *code)
{
	static const struct {
		const char *code;
		enum text text;
	} reasons[] = {
		{"no-line", TEXT_REASON_NO_LINE},
		{"deny-line", TEXT_REASON_DENY_LINE},
		{"lockdown", TEXT_REASON_LOCKDOWN},
		{"quota-spent", TEXT_REASON_QUOTA},
		{"no-tier", TEXT_REASON_NO_TIER},
		{"no-name", TEXT_REASON_NO_NAME},
		{"weak-evidence", TEXT_REASON_WEAK},
		{"name-address-mismatch", TEXT_REASON_MISMATCH},
	};
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (strcmp(reasons[i].code, code) == 0)
			return reasons[i].text;
	return TEXT_REASON_OTHER;
}

/* What the daemon says of a site and this device now; NULL where it cannot. port may be NULL. */
static json_t *explain(struct request *r, const char *to, const char *port)
{
	json_t *m = gate_address(&r->peer);
	json_object_set_new(m, "to", json_string(to));
	if (port)
		json_object_set_new(m, "port", json_string(port));
	return gate_ask(&r->gate, "why", m);
}

static const char *owner_of(const struct request *r, const json_t *why)
{
	const char *owner = gate_text(why, "owner"), *nearest = gate_text(why, "nearest_owner");
	const char *contact = r->config->contact;
	return owner[0] ? owner : nearest[0] ? nearest : contact ? contact : "";
}

/* Of the line that denies; else of the one that would allow. */
static const char *note_of(const json_t *why)
{
	const char *note = gate_text(why, "note");
	return note[0] ? note : gate_text(why, "nearest_note");
}

static void explanation(struct request *r, const char *reason, const char *rule, const json_t *why)
{
	html_row(r, TEXT_WHY_REASON, reason[0] ? say(r, reason_of(reason)) : "");
	html_row(r, TEXT_WHY_RULE, rule);
	html_row(r, TEXT_WHY_NOTE, note_of(why));
	html_row(r, TEXT_CONTACT, owner_of(r, why));
}

/* ---- a question ---- */

static void answer(struct request *r, const char *to)
{
	json_t *why = explain(r, to, NULL), *sentence;
	size_t i;
	if (!why)
		return;
	bool allowed = strcmp(gate_text(why, "action"), "allow") == 0;
	html(r, allowed ? "<p class=\"message good\" role=\"status\">"
			: "<p class=\"message\" role=\"status\">");
	html_fill(r, allowed ? TEXT_WHY_ALLOWED : TEXT_WHY_DENIED, to);
	html(r, "</p>\n");
	const char *rule = gate_text(why, "rule");
	html(r, "<dl>\n");
	explanation(r, allowed ? "" : gate_text(why, "reason"),
		    rule[0] ? rule : gate_text(why, "nearest"), why);
	html(r, "</dl>\n");
	const json_t *obstacles = json_object_get(why, "obstacles");
	if (json_array_size(obstacles)) {
		html(r, "<ul class=\"small\" lang=\"en\">\n");
		json_array_foreach(obstacles, i, sentence)
		{
			html_element(r, "li", json_string_value(sentence));
		}
		html(r, "</ul>\n");
	}
	json_decref(why);
}

static void question(struct request *r, const char *value)
{
	html_element(r, "h2", say(r, TEXT_WHY_ASK));
	html(r, "<form method=\"get\" action=\"/why\">\n<p class=\"field\"><label for=\"to\">");
	html_text(r, say(r, TEXT_SITE));
	html(r,
	     "</label>\n<input id=\"to\" name=\"to\" required maxlength=\"253\" inputmode=\"url\" "
	     "autocapitalize=\"none\" spellcheck=\"false\" value=\"");
	html_text(r, value);
	html(r, "\"></p>\n<p><button class=\"quiet\" type=\"submit\">");
	html_text(r, say(r, TEXT_WHY_ASK_BUTTON));
	html(r, "</button></p>\n</form>\n");
}

/* ---- the denials ---- */

static const char *destination(const json_t *d)
{
	const char *name = gate_text(d, "destination.domain");
	return name[0] ? name : gate_text(d, "destination.ip");
}

/* Those of who was here before are nobody else's to see. */
static bool is_own(const json_t *d, const char *user)
{
	const char *denied = gate_text(d, "user.name");
	return !denied[0] || strcmp(denied, user) == 0;
}

static bool came_before(const json_t *list, size_t until, const char *user)
{
	const json_t *d = json_array_get(list, until), *other;
	for (size_t i = 0; i < until; i++) {
		other = json_array_get(list, i);
		if (is_own(other, user) && strcmp(destination(d), destination(other)) == 0 &&
		    strcmp(gate_text(d, "event.reason"), gate_text(other, "event.reason")) == 0)
			return true;
	}
	return false;
}

/* "tcp/443"; NULL for protocols without ports. */
static const char *port_of(const json_t *d, char out[static 16])
{
	const char *transport = gate_text(d, "network.transport");
	long long port = json_integer_value(json_object_get(d, "destination.port"));
	if (strcmp(transport, "tcp") != 0 && strcmp(transport, "udp") != 0)
		return NULL;
	snprintf(out, 16, "%s/%lld", transport, port);
	return port > 0 && port <= UINT16_MAX ? out : NULL;
}

static void denial(struct request *r, const json_t *d)
{
	char port[16], address[ADDRESS_TEXT + 16];
	const char *where = port_of(d, port);
	json_t *why = explain(r, destination(d), where);
	const char *would = gate_text(d, "tiergate.would");
	html(r, "<li>\n<h2>");
	html_text(r, destination(d));
	html(r, "</h2>\n<dl>\n<div><dt>");
	html_text(r, say(r, TEXT_WHY_TIME));
	html(r, "</dt><dd>");
	html_time(r, gate_time(gate_text(d, "@timestamp")));
	html(r, "</dd></div>\n");
	snprintf(address, sizeof address, "%s %s", gate_text(d, "destination.ip"),
		 where ? where : gate_text(d, "network.transport"));
	html_row(r, TEXT_WHY_ADDRESS, address);
	explanation(r, would[0] ? would : gate_text(d, "event.reason"), gate_text(d, "rule.name"),
		    why);
	html(r, "</dl>\n</li>\n");
	json_decref(why);
}

static void denials(struct request *r, const json_t *list, const char *user)
{
	size_t shown = 0;
	for (size_t i = 0; i < json_array_size(list) && shown < ROWS; i++) {
		const json_t *d = json_array_get(list, i);
		if (!is_own(d, user) || came_before(list, i, user))
			continue;
		if (shown++ == 0) {
			html_element(r, "p", say(r, TEXT_WHY_INTRO));
			html(r, "<ul class=\"denials\">\n");
		}
		denial(r, d);
	}
	if (shown)
		html(r, "</ul>\n");
	else
		html_element(r, "p", say(r, TEXT_WHY_NONE));
}

/* ---- the pages ---- */

/* All addresses of the session: a browser may ask over IPv4 what was denied over IPv6. */
static json_t *own_addresses(const struct request *r)
{
	json_t *m = gate_address(&r->peer);
	json_object_set_new(m, "session", json_true());
	return m;
}

void page_why(struct request *r)
{
	char to[HOST_MAX + 1];
	const char *asked = request_query(r, "to");
	json_t *who = gate_reach(&r->gate, &r->peer);
	json_t *answered = who ? gate_ask(&r->gate, "denials", own_addresses(r)) : NULL;
	if (!answered) {
		page_away(r);
		json_decref(who);
		return;
	}
	html_begin(r, 200, say(r, TEXT_WHY));
	html_element(r, "h1", say(r, TEXT_WHY));
	if (asked[0] && host_good(asked, to)[0])
		answer(r, to);
	else if (asked[0])
		html_element(r, "p", say(r, TEXT_WHY_ASK_BAD));
	denials(r, json_object_get(answered, "denials"), gate_text(who, "user"));
	question(r, asked);
	html(r, "<p><a href=\"/\">");
	html_text(r, say(r, TEXT_HOME));
	html(r, "</a></p>\n");
	html_end(r);
	json_decref(answered);
	json_decref(who);
}

void page_blocked(struct request *r)
{
	char to[HOST_MAX + 1], title[TEXT_MAX + HOST_MAX];
	const char *host = host_good(request_query(r, "to"), to);
	json_t *who = gate_reach(&r->gate, &r->peer);
	if (!gate_signed_in(who) && sign_in_again(r)) {
		json_decref(who);
		who = gate_reach(&r->gate, &r->peer);
	}
	if (!who) {
		page_away(r);
		return;
	}
	const char *text = say(r, TEXT_BLOCKED), *hole = strstr(text, "{}");
	snprintf(title, sizeof title, "%.*s%s%s", (int)(hole - text), text,
		 host[0] ? host : say(r, TEXT_BLOCKED_SITE), hole + 2);
	html_begin(r, 200, title);
	html_element(r, "h1", title);
	html_element(r, "p", say(r, TEXT_BLOCKED_INTRO));
	if (host[0])
		answer(r, host);
	if (!gate_signed_in(who)) {
		html_element(r, "h2", say(r, TEXT_SIGN_IN));
		html_sign_in(r, host);
	}
	html(r, "<p><a href=\"/why\">");
	html_text(r, say(r, TEXT_WHY));
	html(r, "</a></p>\n");
	html_end(r);
	json_decref(who);
}
