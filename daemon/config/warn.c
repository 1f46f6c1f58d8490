#include "config/config.h"

#include "base/clock.h"

#include <stdio.h>

/* At a family's first bits: half of all addresses, and more, is what nobody means. */
enum { WIDE4 = 96 + 1, WIDE6 = 3 };

static bool is_wide(const struct network *n)
{
	return n->bits <= (address_is4(&n->base) ? WIDE4 : WIDE6);
}

static const char *text_of(const struct network *n, char out[static ADDRESS_TEXT + 4])
{
	struct buf b = {.data = out, .cap = ADDRESS_TEXT + 4};
	network_format(n, &b);
	return out;
}

/* How much of all addresses a network is, of 2^32 parts; smaller ones count as none. */
static uint64_t part_of(const struct network *n)
{
	unsigned bits = address_is4(&n->base) ? n->bits - 96U : n->bits;
	return bits > 32 ? 0 : UINT64_C(1) << (32 - bits);
}

/* Half of all addresses in pieces, none of which is wide by itself. */
static void warn_of_pieces(const struct networks *list, bool four, const char *name,
			   const char *means, struct errors *warnings)
{
	uint64_t sum = 0;
	size_t count = 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct network *n = &list->item[i];
		if (address_is4(&n->base) != four)
			continue;
		if (is_wide(n))
			return;
		sum += part_of(n);
		count++;
	}
	if (sum >= (four ? UINT64_C(1) << 31 : UINT64_C(1) << 29))
		errors_add(warnings, NULL, 0,
			   "%s: the %zu networks of IPv%d are half of all addresses or more: %s",
			   name, count, four ? 4 : 6, means);
}

static void warn_of_wide(const struct networks *list, const char *name, const char *means,
			 struct errors *warnings)
{
	char text[ADDRESS_TEXT + 4];
	for (size_t i = 0; i < list->count; i++)
		if (is_wide(&list->item[i]))
			errors_add(warnings, NULL, 0, "%s: %s is half of all addresses or more: %s",
				   name, text_of(&list->item[i], text), means);
	warn_of_pieces(list, true, name, means, warnings);
	warn_of_pieces(list, false, name, means, warnings);
}

/* One address that looks like a network's: nothing set where hosts are told apart. */
static bool lacks_mask(const struct network *n)
{
	size_t host = address_is4(&n->base) ? 1 : 8;
	static const uint8_t zero[8];
	return n->bits == 128 &&
	       memcmp(n->base.bytes + sizeof n->base.bytes - host, zero, host) == 0;
}

static void warn_of_mask(const struct network *n, const struct place *at, const char *name,
			 struct errors *warnings)
{
	char text[ADDRESS_TEXT];
	if (lacks_mask(n))
		errors_add(warnings, at ? at->file : NULL, at ? at->line : 0,
			   "%s: %s is one address and no network; %s/%d would be one", name,
			   address_format(&n->base, text), text, address_is4(&n->base) ? 24 : 64);
}

static void warn_of_masks(const struct config *c, struct errors *warnings)
{
	for (size_t i = 0; i < c->internal.count; i++)
		warn_of_mask(&c->internal.item[i], NULL, "internal", warnings);
	for (size_t i = 0; i < c->segment_count; i++)
		warn_of_mask(&c->segments[i].network, &c->segments[i].place, "segments", warnings);
}

static bool is_loopback(const struct network *n)
{
	static const uint8_t one[16] = {[15] = 1};
	return address_is4(&n->base) ? n->bits >= 96 + 8 && n->base.bytes[12] == 127
				     : n->bits == 128 && memcmp(n->base.bytes, one, 16) == 0;
}

/* 0.0.0.0 and ::, which many a server's own settings have for "all addresses". */
static bool is_unspecified(const struct network *n)
{
	static const uint8_t zero[4];
	return n->bits == 128 && !memcmp(n->base.bytes + 12, zero, 4) &&
	       (address_is4(&n->base) || !memcmp(n->base.bytes, (uint8_t[12]){0}, 12));
}

static void warn_of_loopback(const struct networks *resolvers, struct errors *warnings)
{
	char text[ADDRESS_TEXT + 4];
	for (size_t i = 0; i < resolvers->count; i++)
		if (is_unspecified(&resolvers->item[i]))
			errors_add(warnings, NULL, 0,
				   "resolvers: %s is nobody's address; write the one that the "
				   "clients ask",
				   text_of(&resolvers->item[i], text));
		else if (is_loopback(&resolvers->item[i]))
			errors_add(warnings, NULL, 0,
				   "resolvers: %s is the gateway's loopback, which no client can "
				   "ask; write the address that the clients ask",
				   text_of(&resolvers->item[i], text));
}

static void warn_of_expired(const struct config_line *lines, size_t count, const char *what,
			    int64_t now, struct errors *warnings)
{
	char text[40];
	for (size_t i = 0; i < count; i++) {
		struct buf b = BUF_OF(text);
		if (!lines[i].expires || lines[i].expires > now)
			continue;
		clock_format(&b, lines[i].expires - NS_PER_S);
		errors_add(warnings, lines[i].place.file, lines[i].place.line,
			   "expires: this line %s nothing since %.10s; take it out, or give it a "
			   "later day",
			   what, text);
	}
}

static void warn_of_calendars(const struct config *c, int64_t now, struct errors *warnings)
{
	char text[40];
	for (size_t i = 0; i < c->schedule_count; i++) {
		const struct config_schedule *s = &c->schedules[i];
		struct buf b = BUF_OF(text);
		if (!s->calendar || !s->calendar_over || s->calendar_over > now)
			continue;
		clock_format(&b, s->calendar_over);
		errors_add(warnings, s->calendar, 0,
			   "its last event was over on %.10s: schedule \"%s\" has no date of it to "
			   "come; put a newer calendar there",
			   text, s->name);
	}
}

static void count_families(const struct network *n, unsigned count[2])
{
	count[!address_is4(&n->base)]++;
}

static void warn_of_family(const char *name, const unsigned count[2], const char *means,
			   struct errors *warnings)
{
	if (!count[0] != !count[1])
		errors_add(warnings, NULL, 0, "%s: IPv%d networks and none of IPv%d: %s", name,
			   count[0] ? 4 : 6, count[0] ? 6 : 4, means);
}

static void warn_of_families(const struct config *c, struct errors *warnings)
{
	unsigned internal[2] = {0}, resolvers[2] = {0}, segments[2] = {0};
	for (size_t i = 0; i < c->internal.count; i++)
		count_families(&c->internal.item[i], internal);
	for (size_t i = 0; i < c->resolvers.count; i++)
		count_families(&c->resolvers.item[i], resolvers);
	for (size_t i = 0; i < c->segment_count; i++)
		count_families(&c->segments[i].network, segments);
	warn_of_family("internal", internal,
		       "there nobody reaches an internal host unless a line "
		       "allows it",
		       warnings);
	warn_of_family("resolvers", resolvers,
		       "queries over it are traffic like any other, and "
		       "what they resolve is not known",
		       warnings);
	warn_of_family("segments", segments, "a host that speaks it has no tier by segment",
		       warnings);
}

static void warn_of_sites(const struct config *c, struct errors *warnings)
{
	char text[ADDRESS_TEXT + 4];
	for (size_t i = 0; i < c->site_count; i++)
		for (size_t j = 0; j < c->sites[i].count; j++) {
			const struct site_list *l = &c->sites[i].list[j];
			if (!l->count && !l->changed) /* of files the notes say it */
				errors_add(warnings, c->sites[i].place.file, c->sites[i].place.line,
					   "site \"%s\": %s holds nothing", c->sites[i].name,
					   l->file);
			for (size_t k = 0; k < l->count; k++)
				if (l->item[k]->kind == SITE_NETWORK &&
				    is_wide(&l->item[k]->network))
					errors_add(warnings, l->file, l->item[k]->line,
						   "%s is half of all addresses or more: site "
						   "\"%s\" is nearly everywhere",
						   text_of(&l->item[k]->network, text),
						   c->sites[i].name);
		}
}

void config_old_lists(const struct config *c, int64_t now, struct errors *warnings)
{
	for (size_t i = 0; i < c->site_count; i++)
		for (size_t j = 0; j < c->sites[i].count; j++) {
			const struct site_list *l = &c->sites[i].list[j];
			int64_t age = now - l->changed;
			if (!l->changed || !c->sites[i].max_age || age <= c->sites[i].max_age)
				continue;
			errors_add(warnings, l->file, 0,
				   "was changed %lld hours ago, longer than max_age of site "
				   "\"%s\": does what fetches it still run?",
				   (long long)(age / NS_PER_S / 3600), c->sites[i].name);
		}
}

static bool is_all(const struct strings *s)
{
	return s->count == 1 && strcmp(s->item[0], "*") == 0;
}

/* Everything to everybody: no decision is left. */
static void warn_of_all(const struct config *c, struct errors *warnings)
{
	for (size_t i = 0; i < c->allow_count && !c->deny_count; i++) {
		const struct config_line *l = &c->allow[i];
		if (is_all(&l->tiers) && is_all(&l->sites) && !l->except.count && !l->when)
			errors_add(warnings, l->place.file, l->place.line,
				   "every site is allowed to every tier, and no line denies any");
	}
}

/* Where no answer of a resolver is known, a line that wants one never holds. */
static void warn_of_agreement(const struct config_line *lines, size_t count,
			      struct errors *warnings)
{
	for (size_t i = 0; i < count; i++)
		if (lines[i].evidence == CONFIG_EVIDENCE_NAME_ADDRESS ||
		    lines[i].mismatch == CONFIG_MISMATCH_DENY)
			errors_add(warnings, lines[i].place.file, lines[i].place.line,
				   "evidence: no resolver is named and none writes dnstap, so that "
				   "no name agrees with an address: this line allows nothing");
}

/* What is missing closes everything, or opens it. */
static void warn_of_nothing(const struct config *c, struct errors *warnings)
{
	if (!c->inside.count)
		errors_add(warnings, NULL, 0,
			   "inside: no interface is named, so nobody's traffic is governed, and "
			   "`tiergated run` refuses it; name those of the clients");
	if (!c->allow_count)
		errors_add(warnings, NULL, 0,
			   "allow: no line%s: nobody reaches more than `internal`",
			   c->tier_count ? "" : ", and no tier");
	if (!c->resolvers.count && !c->dnstap_socket)
		warn_of_agreement(c->allow, c->allow_count, warnings);
}

void config_warn(const struct config *c, int64_t now, struct errors *warnings)
{
	warn_of_nothing(c, warnings);
	warn_of_wide(&c->internal, "internal", "all may reach them, whatever the policy says",
		     warnings);
	warn_of_wide(&c->resolvers, "resolvers",
		     "whatever is sent there to port 53 passes, and every answer is believed",
		     warnings);
	warn_of_loopback(&c->resolvers, warnings);
	warn_of_masks(c, warnings);
	warn_of_families(c, warnings);
	warn_of_sites(c, warnings);
	warn_of_all(c, warnings);
	warn_of_expired(c->allow, c->allow_count, "allows", now, warnings);
	warn_of_expired(c->deny, c->deny_count, "denies", now, warnings);
	warn_of_calendars(c, now, warnings);
}

void config_count(const struct config *c, FILE *to)
{
	for (size_t i = 0; i < c->site_count; i++) {
		const struct config_site *s = &c->sites[i];
		fprintf(to, "site %s:", s->name);
		for (size_t j = 0; j < s->count; j++)
			fprintf(to, "%s %zu in %s", j ? "," : "", s->list[j].count,
				s->list[j].file);
		fputs(s->count ? "\n" : " nothing\n", to);
	}
}
