#include "decision/read.h"

#include "base/clock.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- members; each false where it is there and not what it should be ---- */

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static bool take_text(const json_t *j, const char *key, char *out, size_t room)
{
	const json_t *value = json_object_get(j, key);
	const char *text = json_string_value(value);
	if (!value)
		return true;
	if (!text || json_string_length(value) >= room || strlen(text) != json_string_length(value))
		return false;
	strcpy(out, text);
	return true;
}

static bool take_number(const json_t *j, const char *key, uint64_t max, uint64_t *out)
{
	const json_t *value = json_object_get(j, key);
	if (!value)
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) > max)
		return false;
	*out = (uint64_t)json_integer_value(value);
	return true;
}

static bool take_port(const json_t *j, const char *key, uint16_t *out)
{
	uint64_t port = 0;
	bool good = take_number(j, key, UINT16_MAX, &port);
	*out = (uint16_t)port;
	return good;
}

/* The value of a word in a list of words by value, or -1. */
static int word_of(const char *text, const char *(*word)(int value), int count)
{
	for (int i = 0; text && i < count; i++)
		if (word(i) && strcmp(word(i), text) == 0)
			return i;
	return -1;
}

static const char *reason_word(int value)
{
	return reason_text((enum reason)value);
}

static const char *evidence_word(int value)
{
	return evidence_text((enum evidence)value);
}

static const char *protocol_word(int value)
{
	return protocol_text((enum protocol)value);
}

/* ---- groups of members ---- */

static bool take_kind(const json_t *j, struct decision *d)
{
	static const struct {
		const char *action;
		enum decision_kind kind;
		enum action done;
	} words[] = {{"allow", DECISION_DECIDED, ACTION_ALLOW},
		     {"deny", DECISION_DECIDED, ACTION_DENY},
		     {"end", DECISION_ENDED, ACTION_ALLOW},
		     {"lost", DECISION_LOST, ACTION_DENY}};
	const char *action = text_of(j, "event.action");
	for (size_t i = 0; action && i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i].action, action) == 0) {
			d->kind = words[i].kind;
			d->action = words[i].done;
			if (json_object_get(j, "tiergate.repeats"))
				d->kind = DECISION_REPEATED;
			return true;
		}
	return false;
}

/* "2026-11-24T10:00:00.123456Z": what clock_format writes. */
static bool take_time(const json_t *j, struct decision *d)
{
	const char *text = text_of(j, "@timestamp"), *rest;
	struct tm tm = {0};
	int64_t part = 0, unit = NS_PER_S;
	if (!text || !(rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm)) || tm.tm_year < 70 ||
	    tm.tm_year > 361) /* nanoseconds since 1970 end in 2262 */
		return false;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9' && unit > 1; rest++)
			part += (*rest - '0') * (unit /= 10);
	d->time = (int64_t)timegm(&tm) * NS_PER_S + part;
	return strcmp(rest, "Z") == 0;
}

static bool take_transport(const json_t *j, uint8_t *out)
{
	static const struct {
		const char *text;
		uint8_t number;
	} words[] = {{"tcp", IPPROTO_TCP},
		     {"udp", IPPROTO_UDP},
		     {"icmp", IPPROTO_ICMP},
		     {"ipv6-icmp", IPPROTO_ICMPV6},
		     {"sctp", IPPROTO_SCTP}};
	const char *text = text_of(j, "network.transport");
	for (size_t i = 0; text && i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i].text, text) == 0) {
			*out = words[i].number;
			return true;
		}
	char *end = NULL;
	unsigned long number = text && *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 256;
	*out = (uint8_t)number;
	return number <= 255 && !*end;
}

static bool take_mac(const json_t *j, struct decision *d)
{
	const char *text = text_of(j, "source.mac");
	unsigned b[6];
	int used = 0;
	if (!json_object_get(j, "source.mac"))
		return true;
	d->has_mac = text && strlen(text) == 17 &&
		     sscanf(text, "%2x-%2x-%2x-%2x-%2x-%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4],
			    &b[5], &used) == 6 &&
		     used == 17;
	for (int i = 0; d->has_mac && i < 6; i++)
		d->mac[i] = (uint8_t)b[i];
	return d->has_mac;
}

static bool take_where(const json_t *j, struct decision *d)
{
	const char *source = text_of(j, "source.ip"), *destination = text_of(j, "destination.ip");
	const char *protocol = text_of(j, "network.protocol");
	int p = word_of(protocol, protocol_word, PROTOCOL_COUNT);
	d->protocol = p < 0 ? PROTOCOL_NONE : (enum protocol)p;
	if (!take_text(j, "destination.domain", d->host.text, sizeof d->host.text))
		return false;
	d->host.len = (uint8_t)strlen(d->host.text);
	return source && address_parse(source, &d->client) && destination &&
	       address_parse(destination, &d->server) &&
	       take_port(j, "source.port", &d->client_port) &&
	       take_port(j, "destination.port", &d->server_port) &&
	       take_transport(j, &d->transport) && take_mac(j, d) && (!protocol || p >= 0);
}

static bool take_why(const json_t *j, struct decision *d)
{
	const char *would = text_of(j, "tiergate.would"), *mode = text_of(j, "tiergate.mode");
	int reason = word_of(text_of(j, "event.reason"), reason_word, REASON_COUNT);
	int evidence = word_of(text_of(j, "tiergate.evidence"), evidence_word, EVIDENCE_COUNT);
	int w = word_of(would, reason_word, REASON_COUNT);
	if (reason < 0 || evidence < 0 || (would && w < 0) || !mode)
		return false;
	d->reason = (enum reason)reason;
	d->evidence = (enum evidence)evidence;
	d->observed = strcmp(mode, "observe") == 0;
	d->would_deny = would;
	d->would = would ? (enum reason)w : 0;
	d->stuck = json_object_get(j, "tiergate.held");
	return d->observed || strcmp(mode, "enforce") == 0;
}

static bool take_who(const json_t *j, struct decision *d)
{
	return take_text(j, "rule.name", d->rule, sizeof d->rule) &&
	       take_text(j, "user.name", d->user, sizeof d->user) &&
	       take_text(j, "tiergate.tier", d->tier, sizeof d->tier) &&
	       take_text(j, "tiergate.site", d->site, sizeof d->site);
}

static bool take_counts(const json_t *j, struct decision *d)
{
	uint64_t duration = 0;
	bool good = take_number(j, "tiergate.repeats", INT64_MAX, &d->count) &&
		    take_number(j, "network.bytes", INT64_MAX, &d->bytes) &&
		    take_number(j, "network.packets", INT64_MAX, &d->packets) &&
		    take_number(j, "event.duration", INT64_MAX, &duration);
	d->duration = (int64_t)duration;
	return good;
}

static bool take_record(const json_t *j, struct decision *d)
{
	memset(d, 0, sizeof *d);
	if (!take_kind(j, d) || !take_time(j, d) ||
	    !take_text(j, "tiergate.policy", d->policy, sizeof d->policy))
		return false;
	if (d->kind == DECISION_LOST)
		return take_number(j, "tiergate.lost", INT64_MAX, &d->count);
	return take_where(j, d) && take_why(j, d) && take_who(j, d) && take_counts(j, d);
}

bool record_read(const char *line, size_t len, struct decision *out)
{
	json_t *j = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	bool good = j && take_record(j, out);
	json_decref(j);
	return good;
}
