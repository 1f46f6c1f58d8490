#include "decision/read.h"

#include "base/clock.h"
#include "base/cursor.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* The members, in the order in which record.c writes them. */
#define MEMBER_LIST(X)                                                                             \
	X(TIME, "@timestamp")                                                                      \
	X(ACTION, "event.action")                                                                  \
	X(LOST, "tiergate.lost")                                                                   \
	X(REASON, "event.reason")                                                                  \
	X(ACT, "tiergate.act")                                                                     \
	X(BY, "tiergate.by")                                                                       \
	X(RULE, "rule.name")                                                                       \
	X(USER, "user.name")                                                                       \
	X(TIER, "tiergate.tier")                                                                   \
	X(SOURCE, "source.ip")                                                                     \
	X(SOURCE_PORT, "source.port")                                                              \
	X(MAC, "source.mac")                                                                       \
	X(DESTINATION, "destination.ip")                                                           \
	X(DESTINATION_PORT, "destination.port")                                                    \
	X(DOMAIN, "destination.domain")                                                            \
	X(TRANSPORT, "network.transport")                                                          \
	X(PROTOCOL, "network.protocol")                                                            \
	X(SITE, "tiergate.site")                                                                   \
	X(EVIDENCE, "tiergate.evidence")                                                           \
	X(HELD, "tiergate.held")                                                                   \
	X(MODE, "tiergate.mode")                                                                   \
	X(WOULD, "tiergate.would")                                                                 \
	X(REPEATS, "tiergate.repeats")                                                             \
	X(BYTES, "network.bytes")                                                                  \
	X(PACKETS, "network.packets")                                                              \
	X(DURATION, "event.duration")                                                              \
	X(DETAIL, "tiergate.detail")                                                               \
	X(POLICY, "tiergate.policy")                                                               \
	X(VERSION, "observer.version")

enum member {
#define X(id, name) MEMBER_##id,
	MEMBER_LIST(X)
#undef X
		MEMBERS
};

static const struct name {
	const char *text;
	size_t len;
} names[] = {
#define X(id, name) {name, sizeof name - 1},
	MEMBER_LIST(X)
#undef X
};

/* A member's value; text is a view of the line or of what jansson made of it. */
struct value {
	enum { ABSENT, TEXT, NUMBER, OTHER } kind;
	const char *text;
	size_t len;
	int64_t number;
};

/* ---- a line -> values ---- */

/* Plain ASCII without an escape, as nearly every line is. */
static bool is_plain(const char *line, size_t len)
{
	uint64_t high = UINT64_C(0x8080808080808080), odd = 0, word;
	size_t i = 0;
	for (; i + sizeof word <= len; i += sizeof word) {
		memcpy(&word, line + i, sizeof word);
		odd |= word | ((word - high / 4) & ~word);
	}
	for (; i < len; i++)
		odd |= (uint8_t)line[i] < 0x20 ? high : (uint8_t)line[i];
	return !(odd & high) && !memchr(line, '\\', len);
}

static bool quick_char(struct cursor *c, char want)
{
	const uint8_t *b = cursor_bytes(c, 1);
	return b && *b == (uint8_t)want;
}

/* Up to the quote that ends it, and past that. */
static bool quick_text(struct cursor *c, const char **text, size_t *len)
{
	const uint8_t *end = memchr(c->pos, '"', cursor_left(c));
	*text = (const char *)c->pos;
	*len = end ? (size_t)(end - c->pos) : 0;
	return end && cursor_skip(c, *len + 1);
}

static bool quick_number(struct cursor *c, int64_t *out)
{
	const uint8_t *start = c->pos;
	*out = 0;
	while (c->pos < c->end && *c->pos >= '0' && *c->pos <= '9' && c->pos - start < 18)
		*out = *out * 10 + (*c->pos++ - '0');
	return c->pos > start && (*start != '0' || c->pos == start + 1);
}

/* What record.c wrote, byte by byte in its form and order. False where anything is otherwise: then
 * jansson says what the line is. Ten times as fast as that, for logs have ten million lines. */
static bool read_quick(const char *line, size_t len, struct value out[MEMBERS])
{
	struct cursor c = cursor_of(line, len);
	struct name key;
	size_t m = 0;
	if (!is_plain(line, len) || !quick_char(&c, '{'))
		return false;
	for (;; m++) {
		if (!quick_char(&c, '"') || !quick_text(&c, &key.text, &key.len))
			return false;
		while (m < MEMBERS &&
		       (names[m].len != key.len || memcmp(names[m].text, key.text, key.len) != 0))
			m++;
		if (m == MEMBERS || !quick_char(&c, ':'))
			return false;
		struct value *v = &out[m];
		v->kind = cursor_left(&c) && *c.pos == '"' ? TEXT : NUMBER;
		if (v->kind == TEXT ? !cursor_skip(&c, 1) || !quick_text(&c, &v->text, &v->len)
				    : !quick_number(&c, &v->number))
			return false;
		if (!quick_char(&c, ','))
			return !c.bad && c.pos[-1] == '}' && cursor_left(&c) == 0;
	}
}

static void read_slowly(const json_t *j, struct value out[MEMBERS])
{
	for (size_t m = 0; m < MEMBERS; m++) {
		const json_t *value = json_object_get(j, names[m].text);
		out[m] = (struct value){.kind = !value                   ? ABSENT
						: json_is_string(value)  ? TEXT
						: json_is_integer(value) ? NUMBER
									 : OTHER,
					.text = json_string_value(value),
					.len = json_string_length(value),
					.number = json_integer_value(value)};
	}
}

/* ---- values; each false where it is there and not what it should be ---- */

static bool take_text(const struct value *v, char *out, size_t room)
{
	if (v->kind == ABSENT)
		return true;
	if (v->kind != TEXT || v->len >= room)
		return false;
	memcpy(out, v->text, v->len);
	out[v->len] = '\0';
	return true;
}

static bool take_number(const struct value *v, int64_t max, uint64_t *out)
{
	if (v->kind == ABSENT)
		return true;
	if (v->kind != NUMBER || v->number < 0 || v->number > max)
		return false;
	*out = (uint64_t)v->number;
	return true;
}

static bool take_port(const struct value *v, uint16_t *out)
{
	uint64_t port = 0;
	bool good = take_number(v, UINT16_MAX, &port);
	*out = (uint16_t)port;
	return good;
}

static bool take_address(const struct value *v, struct address *out)
{
	char text[ADDRESS_TEXT];
	return v->kind == TEXT && take_text(v, text, sizeof text) && address_parse(text, out);
}

static bool is_word(const struct value *v, const char *word)
{
	return v->kind == TEXT && strlen(word) == v->len && memcmp(word, v->text, v->len) == 0;
}

/* The value of a word in a list of words by value, or -1. */
static int word_of(const struct value *v, const char *(*word)(int value), int count)
{
	for (int i = 0; v->kind == TEXT && i < count; i++)
		if (word(i) && is_word(v, word(i)))
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

static bool take_kind(const struct value *v, struct decision *d)
{
	static const struct {
		const char *action;
		enum decision_kind kind;
		enum action done;
	} words[] = {{"allow", DECISION_DECIDED, ACTION_ALLOW},
		     {"deny", DECISION_DECIDED, ACTION_DENY},
		     {"end", DECISION_ENDED, ACTION_ALLOW},
		     {"lost", DECISION_LOST, ACTION_DENY},
		     {"act", DECISION_ACT, ACTION_DENY}};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (is_word(&v[MEMBER_ACTION], words[i].action)) {
			d->kind = words[i].kind;
			d->action = words[i].done;
			if (v[MEMBER_REPEATS].kind != ABSENT)
				d->kind = DECISION_REPEATED;
			return true;
		}
	return false;
}

/* Two digits, or -1000. */
static int two(const char *at)
{
	return at[0] >= '0' && at[0] <= '9' && at[1] >= '0' && at[1] <= '9'
		       ? (at[0] - '0') * 10 + (at[1] - '0')
		       : -1000;
}

/* Days from 1970-01-01 in the Gregorian calendar, whose year begins with March here. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month < 3 ? year - 1 : year, m = month < 3 ? month + 9 : month - 3;
	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

/* "2026-11-24T10:00:00.123456Z": what clock_format writes. */
static bool take_time(const struct value *v, struct decision *d)
{
	const char *t = v->text;
	int64_t part = 0, unit = NS_PER_S;
	if (v->kind != TEXT || v->len < 20 || t[4] != '-' || t[7] != '-' || t[10] != 'T' ||
	    t[13] != ':' || t[16] != ':')
		return false;
	int year = two(t) * 100 + two(t + 2), month = two(t + 5), day = two(t + 8);
	int hour = two(t + 11), minute = two(t + 14), second = two(t + 17);
	if (year < 1970 || year > 2261 || /* nanoseconds since 1970 end in 2262 */
	    month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
	    minute > 59 || second < 0 || second > 60)
		return false;
	const char *rest = t + 19, *end = t + v->len;
	if (*rest == '.')
		for (rest++; rest < end && *rest >= '0' && *rest <= '9' && unit > 1; rest++)
			part += (*rest - '0') * (unit /= 10);
	int64_t minutes = (days_of(year, month, day) * 24 + hour) * 60 + minute;
	d->time = (minutes * 60 + second) * NS_PER_S + part;
	return rest + 1 == end && *rest == 'Z';
}

static bool take_transport(const struct value *v, uint8_t *out)
{
	static const struct {
		const char *text;
		uint8_t number;
	} words[] = {{"tcp", IPPROTO_TCP},
		     {"udp", IPPROTO_UDP},
		     {"icmp", IPPROTO_ICMP},
		     {"ipv6-icmp", IPPROTO_ICMPV6},
		     {"sctp", IPPROTO_SCTP}};
	char text[4] = "", *end = NULL;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (is_word(v, words[i].text)) {
			*out = words[i].number;
			return true;
		}
	if (v->kind != TEXT || !take_text(v, text, sizeof text))
		return false;
	unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 256;
	*out = (uint8_t)number;
	return number <= 255 && !*end;
}

static bool take_mac(const struct value *v, struct decision *d)
{
	static const char digits[] = "0123456789ABCDEF";
	if (v->kind == ABSENT)
		return true;
	d->has_mac = v->kind == TEXT && v->len == 17;
	for (int i = 0; d->has_mac && i < 6; i++) {
		const char *at = v->text + 3 * i;
		const char *high = memchr(digits, at[0], 16), *low = memchr(digits, at[1], 16);
		d->has_mac = high && low && (i == 5 || at[2] == '-');
		if (d->has_mac)
			d->mac[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return d->has_mac;
}

static bool take_where(const struct value *v, struct decision *d)
{
	const struct value *protocol = &v[MEMBER_PROTOCOL], *domain = &v[MEMBER_DOMAIN];
	int p = word_of(protocol, protocol_word, PROTOCOL_COUNT);
	d->protocol = p < 0 ? PROTOCOL_NONE : (enum protocol)p;
	if (!take_text(domain, d->host.text, sizeof d->host.text))
		return false;
	d->host.len = (uint8_t)domain->len;
	return take_address(&v[MEMBER_SOURCE], &d->client) &&
	       take_address(&v[MEMBER_DESTINATION], &d->server) &&
	       take_port(&v[MEMBER_SOURCE_PORT], &d->client_port) &&
	       take_port(&v[MEMBER_DESTINATION_PORT], &d->server_port) &&
	       take_transport(&v[MEMBER_TRANSPORT], &d->transport) && take_mac(&v[MEMBER_MAC], d) &&
	       (protocol->kind == ABSENT || p >= 0);
}

static bool take_why(const struct value *v, struct decision *d)
{
	int reason = word_of(&v[MEMBER_REASON], reason_word, REASON_COUNT);
	int evidence = word_of(&v[MEMBER_EVIDENCE], evidence_word, EVIDENCE_COUNT);
	int would = word_of(&v[MEMBER_WOULD], reason_word, REASON_COUNT);
	d->would_deny = v[MEMBER_WOULD].kind != ABSENT;
	if (reason < 0 || evidence < 0 || (d->would_deny && would < 0))
		return false;
	d->reason = (enum reason)reason;
	d->evidence = (enum evidence)evidence;
	d->observed = is_word(&v[MEMBER_MODE], "observe");
	d->would = d->would_deny ? (enum reason)would : 0;
	d->stuck = v[MEMBER_HELD].kind != ABSENT;
	return d->observed || is_word(&v[MEMBER_MODE], "enforce");
}

static bool take_who(const struct value *v, struct decision *d)
{
	return take_text(&v[MEMBER_RULE], d->rule, sizeof d->rule) &&
	       take_text(&v[MEMBER_USER], d->user, sizeof d->user) &&
	       take_text(&v[MEMBER_TIER], d->tier, sizeof d->tier) &&
	       take_text(&v[MEMBER_SITE], d->site, sizeof d->site);
}

static bool take_counts(const struct value *v, struct decision *d)
{
	uint64_t duration = 0;
	bool good = take_number(&v[MEMBER_REPEATS], INT64_MAX, &d->count) &&
		    take_number(&v[MEMBER_BYTES], INT64_MAX, &d->bytes) &&
		    take_number(&v[MEMBER_PACKETS], INT64_MAX, &d->packets) &&
		    take_number(&v[MEMBER_DURATION], INT64_MAX, &duration);
	d->duration = (int64_t)duration;
	return good;
}

static bool take_act(const struct value *v, struct decision *d)
{
	return v[MEMBER_ACT].kind == TEXT && take_text(&v[MEMBER_ACT], d->act, sizeof d->act) &&
	       take_text(&v[MEMBER_BY], d->by, sizeof d->by) &&
	       take_text(&v[MEMBER_USER], d->user, sizeof d->user) &&
	       take_text(&v[MEMBER_TIER], d->tier, sizeof d->tier) &&
	       (v[MEMBER_SOURCE].kind == ABSENT || take_address(&v[MEMBER_SOURCE], &d->client)) &&
	       take_text(&v[MEMBER_DETAIL], d->detail, sizeof d->detail);
}

static bool take_record(const struct value *v, struct decision *d)
{
	memset(d, 0, sizeof *d);
	if (!take_kind(v, d) || !take_time(&v[MEMBER_TIME], d) ||
	    !take_text(&v[MEMBER_POLICY], d->policy, sizeof d->policy))
		return false;
	if (d->kind == DECISION_LOST)
		return take_number(&v[MEMBER_LOST], INT64_MAX, &d->count);
	if (d->kind == DECISION_ACT)
		return take_act(v, d);
	return take_where(v, d) && take_why(v, d) && take_who(v, d) && take_counts(v, d);
}

enum record_is record_read(const char *line, size_t len, struct decision *out)
{
	struct value v[MEMBERS] = {0};
	len -= len && line[len - 1] == '\n';
	if (read_quick(line, len, v))
		return take_record(v, out) ? RECORD_GOOD : RECORD_STRANGE;
	json_t *j = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	read_slowly(j, v);
	enum record_is is = json_is_object(j) ? RECORD_STRANGE : RECORD_DAMAGED;
	if (is == RECORD_STRANGE && take_record(v, out))
		is = RECORD_GOOD;
	json_decref(j);
	return is;
}
