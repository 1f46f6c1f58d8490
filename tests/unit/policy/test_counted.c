/* What lines and entries are hit, by whichever worker, and that it stays with what they say. */
#include "policy/counted.h"
#include "policy/hits.h"
#include "unit.h"

#include "policy/build.h"

#define T0 (INT64_C(1800000000) * NS_PER_S)
#define S0 UINT32_C(1800000000)

static const struct address SERVER = {{[10] = 0xff, 0xff, 203, 0, 113, 9}};

static void hit(struct counted *c, unsigned worker, uint32_t rule, uint32_t site, const char *host,
		int64_t after)
{
	const struct outcome o = {
		.action = ACTION_ALLOW, .reason = REASON_ALLOW_LINE, .rule = rule, .site = site};
	const struct host h = build_host(host);
	counted_hit(c, worker, &o, &h, &SERVER, T0 + after * NS_PER_S);
}

static void counts(const struct counted *c, const char *want)
{
	char text[256] = "";
	struct buf b = BUF_OF(text);
	for (size_t i = 0; i < counted_lines(c) + counted_entries(c); i++)
		buf_printf(&b, "%lu ", counted_sum(c, i).count);
	assert_string_equal(text, want);
}

/* Two sites and three lines: two allow, one deny. */
static void policy(struct config *c)
{
	build_site(c, "a", "x a.x =b.a.x 203.0.113.0/24");
	build_site(c, "b", "x !c.x 203.0.113.9/32");
	build_line(c, ALLOW, "t", "a", "tcp/443");
	build_line(c, ALLOW, "t u", "b a", "tcp/443 tcp/80");
	build_line(c, DENY, "t", "a", "tcp/443");
}

static void each_counts_its_own(void **state)
{
	struct config c = {0};
	policy(&c);
	struct counted *k = counted_new(&c, 2, 99);
	build_free(&c);
	counts(k, "0 0 0 0 0 0 0 0 0 0 ");
	hit(k, 0, 0, 0, "q.x", 1); /* the site's longest, and its network */
	hit(k, 1, 0, 0, "q.x", 3);
	hit(k, 0, 0, 0, "q.x", 2);
	counts(k, "3 0 0 3 0 0 3 0 0 0 ");
	assert_int_equal(counted_sum(k, 0).last, S0 + 3);
	hit(k, 0, 2, 0, "b.a.x", 4); /* exactly, not the one above */
	counts(k, "3 0 1 3 0 1 4 0 0 0 ");
	hit(k, 0, 1, 0, "c.b.a.x", 5); /* below what is meant exactly */
	counts(k, "3 1 1 3 1 1 5 0 0 0 ");
	hit(k, 1, 1, 1, "x", 6);
	counts(k, "3 2 1 3 1 1 5 1 0 1 ");
	hit(k, 1, RULE_NONE, SITE_NONE, "d.c.x", 7); /* "!": whatever decided */
	hit(k, 1, RULE_LOCKDOWN, 1, "", 8);
	counts(k, "3 2 1 3 1 1 5 1 1 2 ");
	hit(k, 0, 1, SITE_NONE, "", 50); /* the last of all, of whichever worker */
	assert_int_equal(counted_sum(k, 1).last, S0 + 50);
	hit(k, 1, 0, SITE_NONE, "", 51);
	assert_int_equal(counted_sum(k, 0).last, S0 + 51);
	counts(k, "4 3 1 3 1 1 5 1 1 2 ");
	const struct outcome lives = {.rule = 2};
	counted_use(k, 1, &lives, T0 + 99 * NS_PER_S);
	counted_use(k, 1, &(struct outcome){.rule = RULE_NONE}, T0);
	counts(k, "4 3 1 3 1 1 5 1 1 2 ");
	assert_int_equal(counted_sum(k, 2).last, S0 + 99);
	counted_free(k);
}

/* A deny line in observe mode, and what of its site it would be by; what both lines name, once. */
static void watched_lines_count(void **state)
{
	struct config c = {0};
	policy(&c);
	struct counted *k = counted_new(&c, 1, 99);
	build_free(&c);
	const struct host h = build_host("q.x");
	struct outcome o = {.action = ACTION_ALLOW,
			    .rule = 0,
			    .site = 0,
			    .watched = true,
			    .watched_rule = 2,
			    .watched_site = 1};
	counted_hit(k, 0, &o, &h, &SERVER, T0);
	counts(k, "1 0 1 1 0 0 1 1 0 1 ");
	o.watched_site = 0;
	counted_hit(k, 0, &o, &h, &SERVER, T0);
	counts(k, "2 0 2 2 0 0 2 1 0 1 ");
	o.watched_site = SITE_NONE; /* a line for all */
	counted_hit(k, 0, &o, &h, &SERVER, T0);
	counts(k, "3 0 3 3 0 0 3 1 0 1 ");
	counted_use(k, 0, &o, T0 + 9 * NS_PER_S);
	counts(k, "3 0 3 3 0 0 3 1 0 1 ");
	assert_int_equal(counted_sum(k, 2).last, S0 + 9);
	o.watched_rule = RULE_NONE;
	counted_hit(k, 0, &o, &h, &SERVER, T0);
	counted_use(k, 0, &o, T0);
	counts(k, "4 0 3 4 0 0 4 1 0 1 ");
	counted_free(k);
}

/* An excepted site matters to flows that it does not decide. */
static void of_excepted_sites_any_flow_counts(void **state)
{
	struct config c = {0};
	policy(&c);
	c.allow[0].except = build_words("b");
	struct counted *k = counted_new(&c, 1, 99);
	build_free(&c);
	hit(k, 0, 0, 0, "q.x", 1);
	counts(k, "1 0 0 1 0 0 1 1 0 1 ");
	hit(k, 0, 0, 0, "c.x", 1); /* of "b" the longest is the "!" */
	counts(k, "2 0 0 2 0 0 2 1 1 2 ");
	counted_free(k);
}

static void entries_have_a_bound(void **state)
{
	struct config c = {0};
	policy(&c);
	struct counted *k = counted_new(&c, 1, 2);
	build_free(&c);
	assert_int_equal(counted_entries(k), 2);
	assert_int_equal(counted_left_out(k), 5);
	hit(k, 0, 0, 0, "b.a.x", 1); /* left out: the one above is its longest */
	counts(k, "1 0 0 0 1 ");
	hit(k, 0, 0, 1, "x", 1);
	counts(k, "2 0 0 0 1 ");
	counted_free(k);
}

static uint64_t key_of(void (*change)(struct config *c))
{
	struct config c = {0};
	policy(&c);
	if (change)
		change(&c);
	struct counted *k = counted_new(&c, 1, 0);
	uint64_t key = counted_key(k, 1);
	counted_free(k);
	build_free(&c);
	return key;
}

static void order(struct config *c)
{
	struct config_line *l = &c->allow[1];
	build_words_free(&l->tiers);
	build_words_free(&l->sites);
	l->tiers = build_words("u t");
	l->sites = build_words("a b");
	struct config_port first = l->ports[0];
	l->ports[0] = l->ports[1];
	l->ports[1] = first;
	l->place.line = 7;
	l->owner = strdup("desk");
	l->note = strdup("why");
	l->expires = T0;
}
static void tiers(struct config *c)
{
	build_words_free(&c->allow[1].tiers);
	c->allow[1].tiers = build_words("t");
}
static void sites(struct config *c)
{
	build_words_free(&c->allow[1].sites);
	c->allow[1].sites = build_words("b t u");
}
static void except(struct config *c)
{
	c->allow[1].except = build_words("a");
}
static void ports(struct config *c)
{
	c->allow[1].ports[0].last++;
}
static void udp(struct config *c)
{
	c->allow[1].ports[0].transport = IPPROTO_UDP;
}
static void when(struct config *c)
{
	c->allow[1].when = strdup("office");
}
static void evidence(struct config *c)
{
	c->allow[1].evidence++;
}
static void mismatch(struct config *c)
{
	c->allow[1].mismatch++;
}

static void quota(struct config *c)
{
	c->allow[1].quota = (struct config_quota){.amount = 90};
}
static void another_quota(struct config *c)
{
	c->allow[1].quota = (struct config_quota){.amount = 60};
}
static void quota_together(struct config *c)
{
	c->allow[1].quota = (struct config_quota){.amount = 60, .together = true};
}
static void observed(struct config *c)
{
	c->allow[1].mode = CONFIG_LINE_OBSERVE;
}

static void a_key_is_what_a_line_says(void **state)
{
	static void (*const others[])(struct config * c) = {
		tiers,    sites, except,        ports,          udp,      when, evidence,
		mismatch, quota, another_quota, quota_together, observed,
	};
	enum { OTHERS = sizeof others / sizeof *others };
	uint64_t key[OTHERS + 1] = {key_of(NULL)};
	assert_int_equal(key_of(order), key[0]);
	for (size_t i = 1; i <= OTHERS; i++) {
		key[i] = key_of(others[i - 1]);
		for (size_t k = 0; k < i; k++)
			if (key[i] == key[k])
				fail_msg("change %zu is the same line as %zu", i, k);
	}
	struct config c = {0};
	policy(&c);
	build_line(&c, ALLOW, "t", "a", "tcp/443");
	struct counted *k = counted_new(&c, 1, 99);
	for (size_t i = 0; i < counted_lines(k) + counted_entries(k); i++)
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(counted_key(k, i), counted_key(k, j));
	counted_free(k);
	build_free(&c);
}

/* Another policy: the lines are in another order, one is new, one gone; so are entries. */
static void counts_follow_what_moves(void **state)
{
	struct config c = {0};
	struct hits h = {0};
	policy(&c);
	struct counted *k = counted_new(&c, 1, 99);
	build_free(&c);
	assert_true(hits_follow(&h, k, T0));
	hit(k, 0, 0, 0, "a.x", 5);
	hit(k, 0, 2, 0, "a.x", 6);
	hits_fold(&h);
	hits_fold(&h); /* once */
	counted_free(k);
	c = (struct config){0};
	build_site(&c, "b", "x");
	build_site(&c, "a", "new a.x");
	build_line(&c, ALLOW, "t", "b", "tcp/443");
	build_line(&c, ALLOW, "t", "a", "tcp/443");
	k = counted_new(&c, 1, 99);
	build_free(&c);
	assert_true(hits_follow(&h, k, T0 + 50 * NS_PER_S));
	hit(k, 0, 1, 1, "a.x", 60);
	static const struct hit want[] = {{0, 0, S0 + 50, 0},
					  {0, 2, S0, S0 + 60},
					  {0, 0, S0, 0},
					  {0, 0, S0 + 50, 0},
					  {0, 3, S0, S0 + 60}};
	assert_int_equal(h.count, 5);
	assert_int_equal(h.since, T0);
	for (size_t i = 0; i < h.count; i++) {
		struct hit got = hits_at(&h, i);
		assert_int_equal(got.count, want[i].count);
		assert_int_equal(got.since, want[i].since);
		assert_int_equal(got.last, want[i].last);
		assert_int_equal(got.key, counted_key(k, i));
	}
	hits_free(&h);
	counted_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_counts_its_own),
		cmocka_unit_test(watched_lines_count),
		cmocka_unit_test(of_excepted_sites_any_flow_counts),
		cmocka_unit_test(entries_have_a_bound),
		cmocka_unit_test(a_key_is_what_a_line_says),
		cmocka_unit_test(counts_follow_what_moves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
