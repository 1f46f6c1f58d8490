/* What diff says of two policies, and its words, against asking both about flow after flow. */
#include "advice/diff.h"
#include "config/value.h"
#include "unit.h"

#include "policy/naive_limits.h"
#include "policy/random_policy.h"

/* ---- a row's words against a flow, by the words alone ---- */

static bool below(const char *host, const char *name)
{
	size_t n = strlen(host), m = strlen(name);
	return n > m && strcmp(host + n - m, name) == 0 && host[n - m - 1] == '.';
}

/* By the longest word that covers the name. */
static bool in_names(const json_t *list, const char *host)
{
	bool in = false;
	size_t best = 0, i;
	json_t *word;
	json_array_foreach(list, i, word)
	{
		const char *text = json_string_value(word);
		bool not = *text == '!';
		text += not ;
		bool tree = *text != '=' && strncmp(text, "below ", 6) != 0;
		bool covers = strcmp(text, "*") == 0;
		if (covers) {
			in = true;
			continue;
		}
		if (*text == '=')
			covers = strcmp(host, ++text) == 0;
		else
			covers = below(host, text += tree ? 0 : 6) ||
				 (tree && strcmp(host, text) == 0);
		if (covers && strlen(text) >= best) {
			best = strlen(text);
			in = !not ;
		}
	}
	return in;
}

static bool in_range(const char *text, const struct address *a)
{
	char first[ADDRESS_TEXT] = "";
	const char *dash = strchr(text, '-');
	struct network n;
	if (!dash) {
		assert_true(network_parse(text, &n));
		return network_has(&n, a);
	}
	memcpy(first, text, (size_t)(dash - text));
	struct address from = build_address(first), to = build_address(dash + 1);
	return address_is4(&from) == address_is4(a) && memcmp(&from, a, sizeof from) <= 0 &&
	       memcmp(a, &to, sizeof to) <= 0;
}

static bool in_addresses(const json_t *row, const struct address *a)
{
	const json_t *but = json_object_get(row, "addresses_but");
	const json_t *list = but ? but : json_object_get(row, "addresses");
	size_t i;
	json_t *word;
	bool in = false;
	if (!list)
		return true;
	json_array_foreach(list, i, word) in |= in_range(json_string_value(word), a);
	return in != !!but;
}

static bool in_ports(const json_t *list, const struct facts *f)
{
	size_t i;
	json_t *word;
	bool in = !list;
	json_array_foreach(list, i, word)
	{
		struct config_port p;
		if (strcmp(json_string_value(word), "other protocols") == 0)
			continue;
		if (!port_parse(json_string_value(word), &p))
			fail_msg("%s", json_string_value(word));
		in |= p.transport == f->transport && p.first <= f->port && f->port <= p.last;
	}
	return in;
}

static bool has_word(const json_t *list, const char *want)
{
	size_t i;
	json_t *word;
	json_array_foreach(list, i,
			   word) if (strcmp(json_string_value(word), want) == 0) return true;
	return false;
}

static const char *evidence_word(const struct facts *f)
{
	static const char *const words[] = {
		"", "address", "", "dns", "name", "name", "name+address", "name+address"};
	if (f->evidence == EVIDENCE_ECH_OUTER)
		return f->mismatch ? "ech-outer" : "ech-outer+address";
	return words[f->evidence];
}

static bool is_in_words(const json_t *row, const struct facts *f)
{
	const json_t *evidence = json_object_get(row, "evidence");
	bool known = f->tier && (f->tier[0] == 't');
	bool who = known ? has_word(json_object_get(row, "tiers"), f->tier)
			 : json_is_true(json_object_get(row, "nobody"));
	bool what = f->host ? in_names(json_object_get(row, "names"), f->host->text)
			    : json_is_true(json_object_get(row, "unnamed"));
	return who && what && in_addresses(row, &f->server) &&
	       in_ports(json_object_get(row, "ports"), f) &&
	       (!evidence || has_word(evidence, evidence_word(f)));
}

/* ---- a flow's classes ---- */

static uint16_t name_class(const struct atoms *a, const char *host)
{
	const struct name_atom *best = &a->names[0];
	size_t longest = 0;
	for (size_t i = 1; i < a->name_count; i++) {
		const char *text = a->names[i].host->text;
		bool covers = a->names[i].below ? below(host, text) : strcmp(host, text) == 0;
		if (covers && strlen(text) > longest) {
			best = &a->names[i];
			longest = strlen(text);
		}
	}
	return best->class;
}

static void classes(const struct atoms *a, const struct facts *f, int64_t now,
		    uint16_t at[DIMENSIONS])
{
	memset(at, 0, DIMENSIONS * sizeof *at);
	for (uint16_t i = 1; f->tier && i < a->tier_count; i++)
		if (strcmp(a->tiers[i], f->tier) == 0)
			at[BY_TIER] = i;
	at[BY_NAME] = f->host ? name_class(a, f->host->text) : NAMELESS;
	for (size_t i = 0; i < a->address_count; i++)
		if (memcmp(&a->addresses[i].first, &f->server, sizeof f->server) <= 0)
			at[BY_ADDRESS] = a->addresses[i].class;
	for (size_t i = 0; i < a->port_count; i++)
		if (a->ports[i].transport == f->transport && a->ports[i].first <= f->port)
			at[BY_PORT] = a->ports[i].class;
	for (size_t i = 0; i < a->time_count; i++)
		if (a->times[i].first <= now)
			at[BY_TIME] = a->times[i].class;
	at[BY_EVIDENCE] = f->evidence == EVIDENCE_ADDRESS     ? KNOWN_ADDRESS
			  : f->evidence == EVIDENCE_DNS       ? KNOWN_DNS
			  : f->evidence >= EVIDENCE_HOST_DNS  ? KNOWN_NAME_ADDRESS
			  : f->evidence != EVIDENCE_ECH_OUTER ? KNOWN_NAME
			  : f->mismatch                       ? KNOWN_OUTER_ASTRAY
							      : KNOWN_OUTER;
}

/* ---- the comparison ---- */

static bool allows(const struct policy *p, const struct facts *f, int64_t now)
{
	return decide(p->snapshot, f, now).action == ACTION_ALLOW;
}

struct met {
	unsigned differ, limited;
};

/* A row of limits, and one of what is newly allowed, says the flow's quotas before and after. */
static void check_limits(const struct diff *d, size_t row, const json_t *words,
			 const struct policy p[2], const struct facts *f, int64_t now,
			 unsigned *limited)
{
	char *text[2] = {naive_limits(p[0].snapshot, f, now), naive_limits(p[1].snapshot, f, now)};
	bool both = allows(&p[0], f, now) && allows(&p[1], f, now);
	bool otherwise = both && strcmp(text[0], text[1]) != 0;
	assert_int_equal(otherwise, row != SIZE_MAX && diff_row_limits(d, row));
	*limited += otherwise;
	for (int i = 0; i < 2 && row != SIZE_MAX; i++) {
		const json_t *side = json_object_get(words, i ? "is" : "was");
		const json_t *list = json_object_get(side, "quotas");
		if (text[i][0])
			assert_true(has_word(list, text[i]));
		if (otherwise)
			assert_int_equal(json_array_size(list), text[i][0] != '\0');
		free(text[i]);
	}
	if (row == SIZE_MAX) {
		free(text[0]);
		free(text[1]);
	}
}

static void check_flow(const struct diff *d, json_t *const *words, const struct policy p[2],
		       const struct facts *f, int64_t now, struct met *met)
{
	uint16_t at[DIMENSIONS];
	bool was = allows(&p[0], f, now), is = allows(&p[1], f, now);
	classes(diff_atoms(d), f, now, at);
	size_t row = diff_row_of(d, at);
	if (was != is)
		assert_true(row != SIZE_MAX && !diff_row_limits(d, row));
	if (row != SIZE_MAX)
		assert_int_equal(diff_row_gains(d, row), !was && is);
	check_limits(d, row, row == SIZE_MAX ? NULL : words[row], p, f, now, &met->limited);
	met->differ += was != is;
	for (size_t i = 0; i < diff_rows(d); i++)
		if (diff_row_has(d, i, BY_TIME, at[BY_TIME]))
			if (is_in_words(words[i], f) != (i == row)) {
				char t[50];
				fail_msg("tier %s, host %s, server %s, port %d/%d, evidence %d, "
					 "mismatch %d: in row %zu, not %s",
					 f->tier, f->host ? f->host->text : "-",
					 address_format(&f->server, t), f->transport, f->port,
					 f->evidence, f->mismatch, row, json_dumps(words[i], 0));
			}
}

static int64_t some_edge(const struct atoms *a)
{
	return a->times[random_below((uint32_t)a->time_count)].first;
}

static void check(const struct policy p[2], struct met *met)
{
	struct diff *d = diff_new(&p[0], &p[1], NOW);
	assert_non_null(d);
	json_t **words = calloc(diff_rows(d) + 1, sizeof *words);
	for (size_t i = 0; i < diff_rows(d); i++)
		words[i] = diff_row_words(d, i);
	for (int i = 0; i < 150; i++) {
		struct flow_facts x;
		random_facts(&x);
		x.f.host = x.f.host ? &x.host : NULL;
		x.f.port += x.f.port == 0;
		x.f.mismatch =
			x.f.evidence == EVIDENCE_ECH_OUTER
				? chance(50)
				: x.f.evidence == EVIDENCE_SNI || x.f.evidence == EVIDENCE_HOST;
		int64_t now = chance(30) ? NOW + random_below(3)
					 : NOW + (int64_t)random_below(14 * 86400) * NS_PER_S;
		if (chance(30)) /* about an edge, however far */
			now = some_edge(diff_atoms(d)) + random_below(2) * NS_PER_S;
		check_flow(d, words, p, &x.f, now, met);
	}
	for (size_t i = 0; i < diff_rows(d); i++)
		json_decref(words[i]);
	free(words);
	diff_free(d);
}

/* The default of ports written out, as the loader does it. */
static void write_ports(struct config_line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct config_line *l = &lines[i];
		static const char *const usual[] = {"tcp/80", "tcp/443", "udp/443"};
		for (size_t k = 0; k < 3 && (k || !l->port_count); k++)
			*GROW(l->ports, l->port_count) = build_port(usual[k]);
	}
}

static void usual_ports(struct config *c)
{
	for (size_t i = 0; i < c->allow_count; i++)
		if (!c->allow[i].port_count)
			write_ports(&c->allow[i], 1);
	for (size_t i = 0; i < c->deny_count; i++)
		if (!c->deny[i].port_count)
			write_ports(&c->deny[i], 1);
}

/* One thing is otherwise. */
static void add_entry(struct config_site *s, const char *word)
{
	struct site_entry e = build_entry(word);
	list_add(&s->list[0], &e);
}

static void mutate(struct config *c)
{
	struct config_line *l = c->allow_count ? &c->allow[random_below(c->allow_count)] : NULL;
	struct config_site *s = &c->sites[random_below(c->site_count)];
	struct config_dates *dates =
		chance(50) ? &c->schedules[4].dates : &c->schedules[5].except_dates;
	int64_t day = TODAY + (chance(50) ? (int64_t)random_below(14) : 400 + random_below(700));
	switch (random_below(15)) {
	case 0: random_line(c, ALLOW); break;
	case 1: random_line(c, DENY); break;
	case 2: add_entry(s, PICK(hosts)); break;
	case 3: add_entry(s, PICK(networks)); break;
	case 4: c->schedules[0].hours[0].to = 1000; break;
	case 5:
		if (l)
			l->evidence = CONFIG_EVIDENCE_UNSET + random_below(5);
		break;
	case 6: build_network(&c->internal, "203.0.113.0/25"); break;
	case 7:
		*GROW(dates->day, dates->days) = (struct span){day, day + 1 + random_below(2)};
		dates->days = spans_join(dates->day, dates->days);
		break;
	case 8:
		dates->days -= dates->days > 0;
		dates->times -= dates->times > 0;
		break;
	case 9:
	case 10:
		if (l)
			l->quota = (struct config_quota){.amount = random_below(2) * 30};
		break;
	case 11: /* which of two flows by an outer name are otherwise hangs on their addresses */
		if (l) {
			l->evidence = CONFIG_EVIDENCE_ANY;
			l->mismatch = CONFIG_MISMATCH_LOG + random_below(2);
		}
		break;
	default:
		if (l && l->quota.amount)
			l->quota.amount *= 2;
		break;
	}
}

static bool compile(struct config *c, struct policy *out)
{
	struct errors errors = {0};
	usual_ports(c);
	*out = (struct policy){c, snapshot_compile(c, &errors)};
	errors_deinit(&errors);
	return out->snapshot;
}

static void test_against_asking(void **state)
{
	unsigned compared = 0;
	struct met met = {0};
	for (int round = 0; round < 600; round++) {
		struct config c[2];
		struct policy p[2];
		uint64_t seed = random_state;
		random_config(&c[0]);
		if (round % 3) /* the same, but for something; else another */
			random_state = seed;
		random_config(&c[1]);
		if (round % 3)
			mutate(&c[1]);
		bool good = compile(&c[0], &p[0]);
		if (compile(&c[1], &p[1]) && good) {
			compared++;
			check(p, &met);
		}
		for (int i = 0; i < 2; i++) {
			snapshot_free(p[i].snapshot);
			build_free(&c[i]);
		}
	}
	assert_true(compared > 350);
	assert_true(met.differ > 2000);
	assert_true(met.limited > 200);
}

/* Lines, sites, tiers and entries in another order are the same policy. */
static void test_reordered(void **state)
{
	unsigned compared = 0;
	for (int round = 0; round < 300; round++) {
		struct config c[2];
		struct policy p[2];
		uint64_t seed = random_state;
		random_config(&c[0]);
		random_state = seed;
		random_config(&c[1]);
		for (uint32_t i = 0; i < c[1].allow_count; i++)
			SWAP(c[1].allow, i, random_below(c[1].allow_count));
		for (uint32_t i = 0; i < c[1].deny_count; i++)
			SWAP(c[1].deny, i, random_below(c[1].deny_count));
		for (size_t i = 0; i < c[1].allow_count; i++)
			if (c[1].allow[i].port_count)
				SWAP(c[1].allow[i].ports, 0, c[1].allow[i].port_count - 1);
		SWAP(c[1].sites, random_below(5), random_below(5));
		SWAP(c[1].tiers, random_below(4), random_below(4));
		SWAP(c[1].schedules, 0, 1);
		for (size_t s = 0; s < 5; s++) {
			struct site_list *l = &c[1].sites[s].list[0];
			if (l->count > 1)
				SWAP(l->item, 0, l->count - 1);
		}
		bool good = compile(&c[0], &p[0]);
		if (compile(&c[1], &p[1]) && good) {
			struct diff *d = diff_new(&p[0], &p[1], NOW);
			json_t *others = diff_others(&p[0], &p[1]);
			assert_int_equal(diff_rows(d), 0);
			assert_int_equal(json_array_size(others), 0);
			json_decref(others);
			diff_free(d);
			compared++;
		}
		for (int i = 0; i < 2; i++) {
			snapshot_free(p[i].snapshot);
			build_free(&c[i]);
		}
	}
	assert_true(compared > 150);
}

/* ---- words that people read ---- */

static void base(struct config *c)
{
	*c = (struct config){0};
	build_tier(c, "staff", "", 0, 0);
	build_tier(c, "press", "staff", 0, 0);
	build_schedule(c, "office", 0x1f, 480, 1080, "Europe/Sofia");
	build_schedule(c, "shop", 0x7f, 1320, 360, "America/New_York");
	build_site(c, "social", "instagram.com =youtube.com !bad.instagram.com");
	build_line(c, ALLOW, "staff", "social", "tcp/443");
}

/* Compares the base, with a change, with another change of it; the first row, as JSON without its
 * spaces. */
static void says_of(void (*was)(struct config *c), void (*is)(struct config *c), size_t rows,
		    const char *want)
{
	struct config c[2];
	struct policy p[2];
	base(&c[0]);
	base(&c[1]);
	was(&c[0]);
	is(&c[1]);
	assert_true(compile(&c[0], &p[0]) && compile(&c[1], &p[1]));
	struct diff *d = diff_new(&p[0], &p[1], NOW);
	json_t *words = rows ? diff_row_words(d, 0) : json_null();
	char *text = json_dumps(words, JSON_COMPACT | JSON_ENCODE_ANY);
	assert_string_equal(text, want);
	assert_int_equal(diff_rows(d), rows);
	free(text);
	json_decref(words);
	diff_free(d);
	for (int i = 0; i < 2; i++) {
		snapshot_free(p[i].snapshot);
		build_free(&c[i]);
	}
}

static void as_it_is(struct config *c)
{
}

static void says(void (*change)(struct config *c), size_t rows, const char *want)
{
	says_of(as_it_is, change, rows, want);
}

#define ROW(change, tiers, names, rest, was, is)                                                   \
	"{\"change\":\"" change "\",\"tiers\":[" tiers "],\"names\":[" names                       \
	"],\"ports\":[\"tcp/443\"]," rest                                                          \
	"\"evidence\":[\"name\",\"name+address\"],\"sites\":[\"social\"],\"was\":{" was            \
	"},\"is\":{" is "}}"
#define NONE    "\"reasons\":[\"no-line\"]"
#define ALLOWED "\"reasons\":[\"allow-line\"],\"rules\":[\"t.conf:101\"]"
#define BOTH    "\"staff\",\"press\""
#define SOCIAL  "\"!bad.instagram.com\",\"instagram.com\",\"=youtube.com\""

static void in_office(struct config *c)
{
	c->allow[0].when = strdup("office");
}

static void in_the_shop(struct config *c)
{
	c->allow[0].when = strdup("shop");
}

static void until_summer(struct config *c)
{
	c->allow[0].expires = INT64_C(1814313600) * NS_PER_S; /* 2027-06-30 00:00 UTC */
}

/* The same hours in winter alone. */
static void base_in_office(struct config *c)
{
	c->allow[0].when = strdup("office");
}

static void office_by_utc(struct config *c)
{
	base_in_office(c);
	free(c->schedules[0].zone);
	c->schedules[0].zone = strdup("UTC");
	c->schedules[0].hours[0].from = 360;
	c->schedules[0].hours[0].to = 960;
}

static void office_until_summer(struct config *c)
{
	base_in_office(c);
	c->allow[0].expires = INT64_C(1814313600) * NS_PER_S;
}

static void for_press(struct config *c)
{
	build_words_free(&c->allow[0].tiers);
	c->allow[0].tiers = build_words("press");
}

static void press_until_summer(struct config *c)
{
	for_press(c);
	office_until_summer(c);
}

static void a_name_more(struct config *c)
{
	add_entry(&c->sites[0], "bad.instagram.com");
	add_entry(&c->sites[0], "youtube.com");
}

/* ---- dates ---- */

#define CHRISTMAS (TODAY + 186) /* 2026-12-25, a Friday */

static void not_on(struct config *c, int64_t from, int64_t over)
{
	struct config_dates *d = &c->schedules[0].except_dates;
	*GROW(d->day, d->days) = (struct span){from, over};
	d->days = spans_join(d->day, d->days);
}

static void but_at_christmas(struct config *c)
{
	base_in_office(c);
	not_on(c, CHRISTMAS - 1, CHRISTMAS + 1);
}

static void but_for_holidays(struct config *c)
{
	but_at_christmas(c);
	not_on(c, CHRISTMAS + 2, CHRISTMAS + 12);
	not_on(c, CHRISTMAS + 700, CHRISTMAS + 701); /* a Thursday */
	not_on(c, CHRISTMAS + 702, CHRISTMAS + 703); /* a Saturday: no hours */
}

static void but_every_month(struct config *c)
{
	base_in_office(c);
	for (int i = 0; i < 30; i++)
		not_on(c, CHRISTMAS + i * 35, CHRISTMAS + i * 35 + 1);
}

/* Whole days, of a line that has no hours. */
static struct config_schedule *on_days(struct config *c)
{
	struct config_schedule *s = &c->schedules[0];
	base_in_office(c);
	s->days = 0x7f;
	s->hours[0] = (struct config_hours){0, 1440};
	return s;
}

static void but_on_days(struct config *c)
{
	on_days(c);
	not_on(c, CHRISTMAS, CHRISTMAS + 2);
	not_on(c, CHRISTMAS + 9, CHRISTMAS + 10);
}

static void on_dates(struct config *c)
{
	struct config_schedule *s = on_days(c);
	s->dated = true;
	s->dates = s->except_dates;
	s->except_dates = (struct config_dates){0};
	*GROW(s->dates.day, s->dates.days) = (struct span){TODAY, TODAY + 1};
	*GROW(s->dates.day, s->dates.days) = (struct span){CHRISTMAS, CHRISTMAS + 2};
	*GROW(s->dates.time, s->dates.times) = (struct span){(CHRISTMAS + 9) * DAY_S + 12 * 3600,
							     (CHRISTMAS + 9) * DAY_S + 40 * 3600};
}

static void on_nights(struct config *c)
{
	on_dates(c);
	c->schedules[0].hours[0] = (struct config_hours){1320, 360};
}

static void test_dates(void **state)
{
	says_of(base_in_office, but_at_christmas, 1,
		ROW("loses", BOTH, SOCIAL,
		    "\"when\":\"on 2026-12-24..2026-12-25 08:00-18:00 (Europe/Sofia)\",", ALLOWED,
		    NONE));
	says_of(but_at_christmas, but_for_holidays, 1,
		ROW("loses", BOTH, SOCIAL,
		    "\"when\":\"on 2026-12-28..2027-01-01 08:00-18:00, 2027-01-04..2027-01-05 "
		    "08:00-18:00, 2028-11-24 08:00-18:00 (Europe/Sofia)\",",
		    ALLOWED, NONE));
	says_of(but_every_month, base_in_office, 1,
		ROW("gains", BOTH, SOCIAL,
		    "\"when\":\"on 2026-12-25 08:00-18:00, 2027-01-29 08:00-18:00, 2027-03-05 "
		    "08:00-18:00, 2027-04-09 08:00-18:00, 2027-05-14 08:00-18:00, 2027-06-18 "
		    "08:00-18:00, 2027-07-23 08:00-18:00, 2027-08-27 08:00-18:00 and 22 more, the "
		    "last 2029-10-05 (Europe/Sofia)\",",
		    NONE, ALLOWED));
	says(but_on_days, 1,
	     ROW("loses", BOTH, SOCIAL,
		 "\"when\":\"on 2026-12-25..2026-12-26, 2027-01-03 (Europe/Sofia)\",", ALLOWED,
		 NONE));
	says(on_dates, 1,
	     ROW("loses", BOTH, SOCIAL,
		 "\"when\":\"from 2026-06-23 on, not on 2026-12-25..2026-12-26, 2027-01-03 14:00 "
		 "to 2027-01-04 18:00 (Europe/Sofia)\",",
		 ALLOWED, NONE));
	says_of(on_dates, on_nights, 2,
		ROW("loses", BOTH, SOCIAL,
		    "\"when\":\"until 2026-06-22 22:00, on 2026-12-25 00:00-22:00, 2026-12-26 "
		    "06:00-22:00, 2027-01-03 14:00-22:00, 2027-01-04 06:00-18:00 (Europe/Sofia)\",",
		    ALLOWED, NONE));
}

static void test_words(void **state)
{
	says(in_office, 1,
	     ROW("loses", BOTH, SOCIAL,
		 "\"when\":\"mon-thu 18:00-08:00, fri 18:00 to mon 08:00 (Europe/Sofia)\",",
		 ALLOWED, NONE));
	says(in_the_shop, 1,
	     ROW("loses", BOTH, SOCIAL, "\"when\":\"mon-sun 06:00-22:00 (America/New_York)\",",
		 ALLOWED, NONE));
	says(until_summer, 1,
	     ROW("loses", BOTH, SOCIAL, "\"when\":\"from 2027-06-30 03:00 on (Europe/Sofia)\",",
		 ALLOWED, NONE));
	says_of(in_office, office_by_utc, 2,
		ROW("gains", BOTH, SOCIAL,
		    "\"when\":\"mon-fri 15:00-16:00; from 2026-10-25 not at all; from 2027-03-29 "
		    "mon-fri 15:00-16:00 (UTC)\",",
		    NONE, ALLOWED));
	says_of(in_office, office_until_summer, 1,
		ROW("loses", BOTH, SOCIAL,
		    "\"when\":\"from 2027-06-30 08:00 on, mon-fri 08:00-18:00 (Europe/Sofia)\",",
		    ALLOWED, NONE));
	says_of(office_until_summer, press_until_summer, 1,
		ROW("loses", "\"staff\"", SOCIAL,
		    "\"when\":\"until 2027-06-29 18:00, mon-fri 08:00-18:00 (Europe/Sofia)\",",
		    ALLOWED, NONE));
	says(for_press, 1, ROW("loses", "\"staff\"", SOCIAL, "", ALLOWED, NONE));
	says(a_name_more, 1, ROW("gains", BOTH, "\"below youtube.com\"", "", NONE, ALLOWED));
}

/* ---- what a policy decides by beside its lines ---- */

static void add_mac(struct config *c, const char *user, const char *tier)
{
	struct config_host *h = build_fixed(c, user, tier);
	h->has_mac = true;
	memcpy(h->mac, (uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
}

static void add_host(struct config *c, const char *address, const char *user, const char *tier)
{
	struct config_host *h = build_fixed(c, user, tier);
	h->has_address = true;
	h->address = build_address(address);
}

static void test_others(void **state)
{
	static const char want[][3][64] = {
		{"10.1.0.0/16", "nobody", "tier staff"},
		{"10.9.0.7", "tier staff, user scanner", "tier press, user scanner"},
		{"10.9.2.0/24", "tier staff", "tier press"},
		{"10.9.4.0-10.9.4.9", "tier staff", "tier press"},
		{"host 02:00:00:00:00:01", "nobody", "tier press, user printer"},
		{"sessions of tier press", "idle without limit, absolute 8h",
		 "idle 2h, absolute 8h"},
		{"what would be denied press at social", "not observed", "observed"},
	};
	struct config c[2];
	struct policy p[2];
	for (int i = 0; i < 2; i++) {
		base(&c[i]);
		build_segment(&c[i], "10.9.0.0/16", "staff");
		add_host(&c[i], "10.9.0.7", "scanner", i ? "press" : "staff");
		c[i].tiers[1].absolute = 8 * 3600 * NS_PER_S;
	}
	c[1].tiers[1].idle = 2 * 3600 * NS_PER_S;
	for (int i = 0; i < 2; i++) /* in both, wherever it stands */
		build_line(&c[i], DENY, "staff", "social", "tcp/443")->mode = CONFIG_LINE_OBSERVE;
	build_line(&c[1], DENY, "press", "social", "tcp/443")->mode = CONFIG_LINE_OBSERVE;
	SWAP(c[1].deny, 0, 1);
	build_segment(&c[1], "10.9.2.0/24", "press");
	build_segment(&c[1], "10.1.0.0/16", "staff");
	build_segment(&c[1], "10.9.4.0/29", "press"); /* .0 to .7, and two more */
	build_segment(&c[1], "10.9.4.8/31", "press");
	add_mac(&c[1], "printer", "press");
	assert_true(compile(&c[0], &p[0]) && compile(&c[1], &p[1]));
	json_t *others = diff_others(&p[0], &p[1]), *j;
	size_t i;
	assert_int_equal(json_array_size(others), sizeof want / sizeof *want);
	json_array_foreach(others, i, j)
	{
		assert_string_equal(json_string_value(json_object_get(j, "what")), want[i][0]);
		assert_string_equal(json_string_value(json_object_get(j, "was")), want[i][1]);
		assert_string_equal(json_string_value(json_object_get(j, "is")), want[i][2]);
	}
	json_decref(others);
	for (int k = 0; k < 2; k++) {
		snapshot_free(p[k].snapshot);
		build_free(&c[k]);
	}
}

/* An observed line is another one where any part of it is: each is told. */
static void test_observed_lines_that_differ(void **state)
{
	for (int change = 0; change < 9; change++) {
		struct config c[2];
		struct policy p[2];
		for (int i = 0; i < 2; i++) {
			base(&c[i]);
			build_site(&c[i], "extra", "extra.example");
			build_schedule(&c[i], "nights", 0x7f, 1200, 1440, "UTC");
			struct config_line *l =
				build_line(&c[i], DENY, "staff", "social", "tcp/443");
			l->mode = CONFIG_LINE_OBSERVE;
			if (i == 0)
				continue;
			switch (change) {
			case 0: l->ports[0].transport = IPPROTO_UDP; break;
			case 1: l->ports[0].first--; break;
			case 2: l->ports[0].last++; break;
			case 3: l->when = strdup("nights"); break;
			case 4: l->expires = NOW + 86400 * NS_PER_S; break;
			case 5: build_words_free(&l->tiers), l->tiers = build_words("press"); break;
			case 6: build_words_free(&l->sites), l->sites = build_words("extra"); break;
			case 7: l->except = build_words("extra"); break;
			default: break;
			}
		}
		assert_true(compile(&c[0], &p[0]) && compile(&c[1], &p[1]));
		json_t *others = diff_others(&p[0], &p[1]);
		if ((json_array_size(others) > 0) != (change < 8))
			fail_msg("change %d: %zu rows", change, json_array_size(others));
		json_decref(others);
		for (int k = 0; k < 2; k++) {
			snapshot_free(p[k].snapshot);
			build_free(&c[k]);
		}
	}
}

/* A host that both know is told once, by what it was and is; one that stays is not told. */
static void test_a_known_host_is_told_once(void **state)
{
	struct config c[2];
	struct policy p[2];
	for (int i = 0; i < 2; i++) {
		base(&c[i]);
		add_mac(&c[i], "printer", i ? "press" : "staff");
		assert_true(compile(&c[i], &p[i]));
	}
	json_t *others = diff_others(&p[0], &p[1]), *j = json_array_get(others, 0);
	assert_int_equal(json_array_size(others), 1);
	assert_string_equal(json_string_value(json_object_get(j, "was")),
			    "tier staff, user printer");
	assert_string_equal(json_string_value(json_object_get(j, "is")),
			    "tier press, user printer");
	json_decref(others);
	others = diff_others(&p[0], &p[0]);
	assert_int_equal(json_array_size(others), 0);
	json_decref(others);
	for (int k = 0; k < 2; k++) {
		snapshot_free(p[k].snapshot);
		build_free(&c[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_asking),
		cmocka_unit_test(test_reordered),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_observed_lines_that_differ),
		cmocka_unit_test(test_a_known_host_is_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
