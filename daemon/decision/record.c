#include "decision/record.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/version.h"

#include <netinet/in.h>
#include <nettle/hmac.h>
#include <string.h>
#include <time.h>

void record_pseudonym(const uint8_t *key, const char *user, char out[static PSEUDONYM_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	struct hmac_sha256_ctx hmac;
	uint8_t digest[(PSEUDONYM_TEXT - 1) / 2];
	hmac_sha256_set_key(&hmac, PSEUDONYM_KEY, key);
	hmac_sha256_update(&hmac, strlen(user), (const uint8_t *)user);
	hmac_sha256_digest(&hmac, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[PSEUDONYM_TEXT - 1] = '\0';
}

const char *record_action(const struct decision *d)
{
	switch (d->kind) {
	case DECISION_ENDED: return "end";
	case DECISION_LOST: return "lost";
	case DECISION_ACT: return "act";
	case DECISION_DECIDED:
	case DECISION_REPEATED: break;
	}
	return d->action == ACTION_ALLOW ? "allow" : "deny";
}

static bool has_ports(uint8_t transport)
{
	return transport == IPPROTO_TCP || transport == IPPROTO_UDP || transport == IPPROTO_SCTP ||
	       transport == IPPROTO_DCCP || transport == IPPROTO_UDPLITE;
}

static void uint_text(struct buf *b, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	buf_bytes(b, digits + at, sizeof digits - at);
}

/* IANA's keywords in lower case, as ECS wants them; others by number. */
static const char *transport_text(uint8_t transport, char out[static 4])
{
	switch (transport) {
	case IPPROTO_TCP: return "tcp";
	case IPPROTO_UDP: return "udp";
	case IPPROTO_ICMP: return "icmp";
	case IPPROTO_ICMPV6: return "ipv6-icmp";
	case IPPROTO_SCTP: return "sctp";
	}
	struct buf b = {.data = out, .cap = 4};
	uint_text(&b, transport);
	return out;
}

static void text_unless_empty(struct json *j, const char *key, const char *value)
{
	if (value[0])
		json_text(j, key, value);
}

/* ECS asks for upper case and hyphens (RFC 7042 section 2.1). */
static void mac_out(struct json *j, const uint8_t mac[6])
{
	static const char digits[] = "0123456789ABCDEF";
	char text[18];
	for (int i = 0; i < 6; i++) {
		text[3 * i] = digits[mac[i] >> 4];
		text[3 * i + 1] = digits[mac[i] & 15];
		text[3 * i + 2] = i < 5 ? '-' : '\0';
	}
	json_word(j, "source.mac", text);
}

static void addresses_out(struct json *j, const struct decision *d)
{
	char text[ADDRESS_TEXT], number[4];
	bool ports = has_ports(d->transport);
	json_word(j, "source.ip", address_format(&d->client, text));
	if (ports)
		json_uint(j, "source.port", d->client_port);
	if (d->has_mac)
		mac_out(j, d->mac);
	json_word(j, "destination.ip", address_format(&d->server, text));
	if (ports)
		json_uint(j, "destination.port", d->server_port);
	if (d->host.len)
		json_text_n(j, "destination.domain", d->host.text, d->host.len);
	json_word(j, "network.transport", transport_text(d->transport, number));
	if (protocol_text(d->protocol))
		json_word(j, "network.protocol", protocol_text(d->protocol));
}

static void person_out(struct json *j, const struct decision *d, const uint8_t *pseudonym)
{
	char hidden[PSEUDONYM_TEXT];
	if (d->user[0] && pseudonym) {
		record_pseudonym(pseudonym, d->user, hidden);
		json_text(j, "user.name", hidden);
	} else {
		text_unless_empty(j, "user.name", d->user);
	}
	text_unless_empty(j, "tiergate.tier", d->tier);
}

static void act_out(struct json *j, const struct decision *d, const uint8_t *pseudonym)
{
	char text[ADDRESS_TEXT];
	static const struct address none;
	json_text(j, "tiergate.act", d->act);
	json_text(j, "tiergate.by", d->by);
	person_out(j, d, pseudonym);
	if (!address_equal(&d->client, &none))
		json_word(j, "source.ip", address_format(&d->client, text));
	text_unless_empty(j, "tiergate.detail", d->detail);
}

static void kind_out(struct json *j, const struct decision *d)
{
	if (d->kind == DECISION_REPEATED)
		json_uint(j, "tiergate.repeats", d->count);
	if (d->kind != DECISION_ENDED)
		return;
	json_uint(j, "network.bytes", d->bytes);
	json_uint(j, "network.packets", d->packets);
	json_uint(j, "event.duration", d->duration > 0 ? (uint64_t)d->duration : 0);
}

void record_write(struct buf *out, const struct decision *d, const uint8_t *pseudonym)
{
	struct json j;
	json_open(&j, out);
	json_time(&j, "@timestamp", d->time);
	json_word(&j, "event.action", record_action(d));
	if (d->kind == DECISION_LOST) {
		json_uint(&j, "tiergate.lost", d->count);
	} else if (d->kind == DECISION_ACT) {
		act_out(&j, d, pseudonym);
	} else {
		json_word(&j, "event.reason", reason_text(d->reason));
		text_unless_empty(&j, "rule.name", d->rule);
		person_out(&j, d, pseudonym);
		addresses_out(&j, d);
		text_unless_empty(&j, "tiergate.site", d->site);
		json_word(&j, "tiergate.evidence", evidence_text(d->evidence));
		if (d->stuck)
			json_word(&j, "tiergate.held", "until-stuck");
		json_word(&j, "tiergate.mode", d->observed ? "observe" : "enforce");
		if (d->observed && d->would_deny)
			json_word(&j, "tiergate.would", reason_text(d->would));
		kind_out(&j, d);
	}
	text_unless_empty(&j, "tiergate.policy", d->policy);
	json_word(&j, "observer.version", version);
	json_close(&j);
	buf_char(out, '\n');
}

/* ---- for people ---- */

/* No byte that a terminal could take for a command. */
static void plain(struct buf *b, const char *text)
{
	for (; *text; text++)
		buf_char(b, *text >= 0x20 && *text < 0x7f ? *text : '?');
}

static void clock_out(struct buf *b, int64_t time)
{
	char text[16];
	time_t seconds = (time_t)(time / NS_PER_S);
	struct tm tm;
	if (localtime_r(&seconds, &tm) && strftime(text, sizeof text, "%H:%M:%S", &tm))
		buf_text(b, text);
}

static void destination_out(struct buf *b, const struct decision *d)
{
	char text[ADDRESS_TEXT], number[4];
	if (d->host.len) {
		plain(b, d->host.text);
		buf_char(b, '/');
	}
	bool brackets = has_ports(d->transport) && !address_is4(&d->server);
	buf_text(b, brackets ? "[" : "");
	buf_text(b, address_format(&d->server, text));
	buf_text(b, brackets ? "]" : "");
	if (has_ports(d->transport)) {
		buf_char(b, ':');
		uint_text(b, d->server_port);
	}
	if (d->transport != IPPROTO_TCP) {
		buf_char(b, ' ');
		buf_text(b, transport_text(d->transport, number));
	}
}

static void action_out(struct buf *b, const struct decision *d, bool colour)
{
	bool odd = d->kind == DECISION_LOST || d->kind == DECISION_ACT;
	const char *start = odd                         ? "\033[33m"
			    : d->kind == DECISION_ENDED ? "\033[2m"
			    : d->action == ACTION_ALLOW ? "\033[32m"
							: "\033[31m";
	buf_text(b, colour ? start : "");
	buf_printf(b, "%-5s", record_action(d));
	buf_text(b, colour ? "\033[0m" : "");
}

static void end_out(struct buf *b, const struct decision *d)
{
	if (d->observed && d->would_deny)
		buf_printf(b, "  would deny: %s", reason_text(d->would));
	if (d->rule[0]) {
		buf_text(b, "  ");
		plain(b, d->rule);
	}
	if (d->kind == DECISION_REPEATED)
		buf_printf(b, "  %llu more times", (unsigned long long)d->count);
	if (d->kind == DECISION_ENDED)
		buf_printf(b, "  %llu bytes in %.1f s", (unsigned long long)d->bytes,
			   (double)d->duration / (double)NS_PER_S);
}

static void act_words(struct buf *b, const struct decision *d)
{
	static const struct address none;
	char client[ADDRESS_TEXT];
	plain(b, d->by);
	buf_text(b, ": ");
	plain(b, d->act);
	const char *const words[] = {
		d->user, d->tier,
		address_equal(&d->client, &none) ? "" : address_format(&d->client, client),
		d->detail};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		buf_text(b, words[i][0] ? "  " : "");
		plain(b, words[i]);
	}
}

void record_write_message(struct buf *out, const struct decision *d, bool colour)
{
	char client[ADDRESS_TEXT];
	action_out(out, d, colour);
	buf_text(out, "  ");
	if (d->kind == DECISION_LOST) {
		buf_printf(out, "%llu records were lost", (unsigned long long)d->count);
		return;
	}
	if (d->kind == DECISION_ACT) {
		act_words(out, d);
		return;
	}
	if (user_name_valid(d->user))
		buf_text(out, d->user);
	else if (d->user[0])
		plain(out, d->user);
	else
		buf_text(out, address_format(&d->client, client));
	if (d->tier[0]) {
		buf_char(out, '(');
		plain(out, d->tier);
		buf_char(out, ')');
	}
	buf_text(out, "  ");
	destination_out(out, d);
	buf_printf(out, "  %s", reason_text(d->reason));
	end_out(out, d);
}

void record_write_text(struct buf *out, const struct decision *d, bool colour)
{
	clock_out(out, d->time);
	buf_text(out, "  ");
	record_write_message(out, d, colour);
	buf_char(out, '\n');
}
