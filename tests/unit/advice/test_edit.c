/* The smallest edit flips the outcome, and no smaller one does: of small random policies all that
 * are smaller are tried. */
#include "advice/edit.h"
#include "unit.h"

#include "policy/random_policy.h"

static unsigned sizes[EDIT_MAX + 1], none;

static bool complete(const struct edit *a, const struct edit *b)
{
	bool makes = a->kind == EDIT_SITE_NEW || b->kind == EDIT_SITE_NEW;
	return makes || (a->arg != EDIT_SITE && b->arg != EDIT_SITE);
}

static void none_smaller(const struct policy *p, const struct facts *f, size_t size)
{
	size_t count;
	struct edit *all = edit_all(p, f, &count);
	assert_true(count > 0);
	for (size_t i = 0; i < count && size > 1; i++) {
		assert_false(edit_flips(p, f, NOW, &all[i], 1));
		for (size_t k = i + 1; k < count && size > 2; k++) {
			const struct edit both[] = {all[i], all[k]};
			if (complete(&both[0], &both[1]))
				assert_false(edit_flips(p, f, NOW, both, 2));
		}
	}
	free(all);
}

static void check(const struct policy *p, const struct flow_facts *x)
{
	struct edits e;
	bool tier = x->f.tier && snapshot_has_tier(p->snapshot, x->f.tier);
	if (!edit_find(p, &x->f, NOW, &e)) {
		/* nobody, or what no line decides */
		none += tier;
		assert_true(!tier || snapshot_internal(p->snapshot, &x->f.server));
		return;
	}
	assert_true(tier && e.count > 0 && e.count <= EDIT_MAX);
	assert_true(edit_flips(p, &x->f, NOW, e.item, e.count));
	json_t *words = edit_words(p, &x->f, &e);
	assert_int_equal(json_array_size(words), e.count);
	json_decref(words);
	if (e.smallest && (e.count < 3 || sizes[3] < 12))
		none_smaller(p, &x->f, e.count);
	assert_true(e.smallest || e.count > 2);
	sizes[e.count]++;
}

static void none_is_smaller(void **state)
{
	for (int round = 0; round < 40; round++) {
		struct config c;
		struct errors errors = {0};
		random_config(&c);
		struct policy p = {&c, snapshot_compile(&c, &errors)};
		for (int i = 0; p.snapshot && i < 12; i++) {
			struct flow_facts x;
			random_facts(&x);
			x.f.host = x.f.host ? &x.host : NULL;
			check(&p, &x);
		}
		snapshot_free(p.snapshot);
		build_free(&c);
		errors_deinit(&errors);
	}
	assert_true(sizes[1] > 60 && sizes[2] > 20 && none > 0);
}

/* Two deny lines by other sites stand in the way, and the allow line is for another tier. */
static void three_steps(void **state)
{
	struct config c = {0};
	struct errors errors = {0};
	struct flow_facts x = {.host = build_host("a.x")};
	struct edits e;
	build_tier(&c, "t0", "", 0, 0);
	build_tier(&c, "t1", "", 0, 0);
	build_site(&c, "s0", "x");
	build_site(&c, "s1", "a.x");
	build_site(&c, "s2", "=a.x");
	build_line(&c, ALLOW, "t1", "s0", "tcp/443");
	build_line(&c, DENY, "t0", "s1", "tcp/443");
	build_line(&c, DENY, "t1 t0", "s2", "tcp/1-1000");
	struct policy p = {&c, snapshot_compile(&c, &errors)};
	x.f = (struct facts){.server = build_address("203.0.113.1"),
			     .port = 443,
			     .transport = IPPROTO_TCP,
			     .tier = "t0",
			     .host = &x.host,
			     .evidence = EVIDENCE_SNI_DNS};
	assert_true(edit_find(&p, &x.f, NOW, &e));
	assert_int_equal(e.count, 3);
	assert_true(e.smallest);
	assert_int_equal(e.item[0].kind, EDIT_LINE_DROP); /* of t0 alone */
	assert_int_equal(e.item[1].kind, EDIT_TIER_REMOVE);
	assert_int_equal(e.item[1].at, 2);
	assert_int_equal(e.item[2].kind, EDIT_TIER_ADD);
	check(&p, &x);
	assert_int_equal(sizes[3], 1);
	snapshot_free(p.snapshot);
	build_free(&c);
}

/* Two deny lines by one site stand in the way: each could be left out, but an exception in the site
 * is one step. */
static void one_step_for_two_lines(void **state)
{
	struct config c = {0};
	struct errors errors = {0};
	struct flow_facts x = {.host = build_host("a.x")};
	struct edits e;
	build_tier(&c, "t0", "", 0, 0);
	build_site(&c, "s0", "x");
	build_site(&c, "s1", "a.x");
	build_line(&c, ALLOW, "t0", "s0", "tcp/443");
	build_line(&c, DENY, "t0", "s1", "tcp/443");
	build_line(&c, DENY, "t0", "s1", "tcp/1-1000");
	struct policy p = {&c, snapshot_compile(&c, &errors)};
	x.f = (struct facts){.server = build_address("203.0.113.1"),
			     .port = 443,
			     .transport = IPPROTO_TCP,
			     .tier = "t0",
			     .host = &x.host,
			     .evidence = EVIDENCE_SNI_DNS};
	assert_true(edit_find(&p, &x.f, NOW, &e));
	assert_int_equal(e.count, 1);
	assert_true(e.smallest);
	assert_int_equal(e.item[0].kind, EDIT_ENTRY_EXCEPT);
	assert_int_equal(e.item[0].at, 1);
	check(&p, &x);
	snapshot_free(p.snapshot);
	build_free(&c);
}

/* Four deny lines by two sites: an exception in each is the smallest, and the two stand side by
 * side among all steps. */
static void two_steps_side_by_side(void **state)
{
	struct config c = {0};
	struct errors errors = {0};
	struct flow_facts x = {.host = build_host("a.x")};
	struct edits e;
	build_tier(&c, "t0", "", 0, 0);
	build_site(&c, "s0", "x");
	build_site(&c, "s1", "a.x");
	build_site(&c, "s2", "x");
	build_line(&c, ALLOW, "t0", "s0", "tcp/443");
	build_line(&c, DENY, "t0", "s1", "tcp/443");
	build_line(&c, DENY, "t0", "s1", "tcp/1-1000");
	build_line(&c, DENY, "t0", "s2", "tcp/443");
	build_line(&c, DENY, "t0", "s2", "tcp/1-1000");
	struct policy p = {&c, snapshot_compile(&c, &errors)};
	x.f = (struct facts){.server = build_address("203.0.113.1"),
			     .port = 443,
			     .transport = IPPROTO_TCP,
			     .tier = "t0",
			     .host = &x.host,
			     .evidence = EVIDENCE_SNI_DNS};
	assert_true(edit_find(&p, &x.f, NOW, &e));
	assert_int_equal(e.count, 2);
	assert_true(e.smallest);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(e.item[i].kind, EDIT_ENTRY_EXCEPT);
		assert_int_equal(e.item[i].at, i + 1);
	}
	check(&p, &x);
	snapshot_free(p.snapshot);
	build_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_steps),
		cmocka_unit_test(one_step_for_two_lines),
		cmocka_unit_test(two_steps_side_by_side),
		cmocka_unit_test(none_is_smaller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
