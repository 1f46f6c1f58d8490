#include "unit.h"

#include "policy/build.h"
#include "policy/hostset.h"
#include "random.h"

static void add(struct hostset *h, const char *entry, uint16_t site)
{
	struct site_entry e = build_entry(entry);
	assert_true(hostset_add(h, &e, site));
}

/* The sites that hold a host, as "0 3~ ": ~ what is shared; those that except it count not. */
static const char *find(const struct hostset *h, const struct siteset *sets, const char *name)
{
	static char text[256];
	struct buf b = BUF_OF(text);
	struct host host = build_host(name);
	size_t count;
	const uint16_t *sites = siteset_sites(sets, hostset_find(h, &host), &count);
	buf_reset(&b);
	for (size_t i = 0; i < count; i++)
		if (member_hold(sites[i]) != HOLD_NOT)
			buf_printf(&b, "%u%s ", member_site(sites[i]),
				   member_hold(sites[i]) == HOLD_SHARED ? "~" : "");
	return text;
}

static void test_kinds(void **state)
{
	struct siteset *sets = siteset_new();
	struct hostset *h = hostset_new(sets);
	add(h, "example.org", 0);
	add(h, "!ads.example.org", 0);
	add(h, "good.ads.example.org", 0);
	add(h, "=example.org", 1);
	add(h, "org", 2);
	add(h, "!example.org", 2);
	add(h, "both.net", 3);
	add(h, "!both.net", 3);
	add(h, "=only.net", 4);
	add(h, "!only.net", 4);
	assert_true(hostset_seal(h));
	assert_string_equal(find(h, sets, "example.org"), "0 1 ");
	assert_string_equal(find(h, sets, "www.example.org"), "0 ");
	assert_string_equal(find(h, sets, "ads.example.org"), "");
	assert_string_equal(find(h, sets, "x.ads.example.org"), "");
	assert_string_equal(find(h, sets, "x.good.ads.example.org"), "0 ");
	assert_string_equal(find(h, sets, "other.org"), "2 ");
	assert_string_equal(find(h, sets, "org"), "2 ");
	assert_string_equal(find(h, sets, "both.net"), "");
	assert_string_equal(find(h, sets, "only.net"), "4 ");
	assert_string_equal(find(h, sets, "x.only.net"), "");
	hostset_free(h);
	siteset_free(sets);
}

static void test_no_match(void **state)
{
	struct siteset *sets = siteset_new();
	struct hostset *h = hostset_new(sets);
	assert_true(hostset_seal(h));
	assert_string_equal(find(h, sets, "example.org"), "");
	hostset_free(h);
	h = hostset_new(sets);
	add(h, "example.org", 0);
	assert_true(hostset_seal(h));
	assert_string_equal(find(h, sets, "xexample.org"), "");
	assert_string_equal(find(h, sets, "example.or"), "");
	assert_string_equal(find(h, sets, "example.org.net"), "");
	assert_string_equal(find(h, sets, "org"), "");
	assert_string_equal(find(h, sets, ""), "");
	assert_string_equal(find(h, sets, ".example.org"), "0 ");
	hostset_free(h);
	siteset_free(sets);
	hostset_free(NULL);
	siteset_free(NULL);
}

/* The longest name there is, and one of as many labels as there can be. */
static void test_bounds(void **state)
{
	struct siteset *sets = siteset_new();
	struct hostset *h = hostset_new(sets);
	char deep[HOST_MAX + 1], dots[HOST_MAX + 1];
	for (int i = 0; i < HOST_MAX; i++) {
		deep[i] = i % 2 ? '.' : 'a';
		dots[i] = '.';
	}
	deep[HOST_MAX] = dots[HOST_MAX] = '\0';
	add(h, deep, 5);
	add(h, dots, 6); /* no host name, and harmless */
	add(h, "a.a", 1);
	assert_true(hostset_seal(h));
	assert_string_equal(find(h, sets, deep), "1 5 ");
	assert_string_equal(find(h, sets, deep + 2), "1 ");
	assert_string_equal(find(h, sets, dots), "6 ");
	hostset_free(h);
	siteset_free(sets);
}

struct owned {
	struct site_entry entry;
	uint16_t site;
};

static bool covers(const struct site_entry *e, const struct host *host)
{
	size_t n = e->host.len, m = host->len;
	if (n > m || memcmp(e->host.text, host->text + m - n, n) != 0)
		return false;
	if (e->kind == SITE_EXACT)
		return n == m;
	return n == m || host->text[m - n - 1] == '.';
}

/* How much an entry has to say: its length, then its kind. */
static unsigned rank(const struct site_entry *e)
{
	static const unsigned kind[] = {[SITE_TREE] = 0, [SITE_NOT_TREE] = 1, [SITE_EXACT] = 2};
	return e->host.len * 4u + kind[e->kind];
}

static bool naive(const struct owned *all, size_t count, uint16_t site, const struct host *host)
{
	const struct site_entry *best = NULL;
	for (size_t i = 0; i < count; i++)
		if (all[i].site == site && covers(&all[i].entry, host) &&
		    (!best || rank(&all[i].entry) > rank(best)))
			best = &all[i].entry;
	return best && best->kind != SITE_NOT_TREE;
}

static struct host random_host(void)
{
	char text[64] = "";
	struct buf b = BUF_OF(text);
	for (uint32_t labels = 1 + random_below(5); labels; labels--)
		buf_printf(&b, "%c%s", 'a' + (char)random_below(3), labels > 1 ? "." : "");
	return build_host(text);
}

static void test_twin(void **state)
{
	static const enum site_kind kinds[] = {SITE_TREE, SITE_EXACT, SITE_NOT_TREE};
	for (int round = 0; round < 300; round++) {
		struct siteset *sets = siteset_new();
		struct hostset *h = hostset_new(sets);
		struct owned all[128];
		size_t count = random_below(128);
		for (size_t i = 0; i < count; i++) {
			all[i].entry = (struct site_entry){.kind = kinds[random_below(3)],
							   .host = random_host()};
			all[i].site = (uint16_t)random_below(6);
			assert_true(hostset_add(h, &all[i].entry, all[i].site));
		}
		assert_true(hostset_seal(h));
		for (int i = 0; i < 100; i++) {
			struct host host = random_host();
			char want[64] = "";
			struct buf b = BUF_OF(want);
			for (uint16_t site = 0; site < 6; site++)
				if (naive(all, count, site, &host))
					buf_printf(&b, "%u ", site);
			assert_string_equal(find(h, sets, host.text), want);
		}
		hostset_free(h);
		siteset_free(sets);
	}
}

static void test_many(void **state)
{
	struct siteset *sets = siteset_new();
	struct hostset *h = hostset_new(sets);
	char name[64];
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof name, "h%d.example.net", i);
		add(h, name, (uint16_t)(i % 4096));
	}
	assert_true(hostset_seal(h));
	for (int i = 0; i < 100000; i += 7) {
		char want[16];
		snprintf(name, sizeof name, "www.h%d.example.net", i);
		snprintf(want, sizeof want, "%d ", i % 4096);
		assert_string_equal(find(h, sets, name), want);
	}
	assert_string_equal(find(h, sets, "h100000.example.net"), "");
	hostset_free(h);
	siteset_free(sets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),  cmocka_unit_test(test_no_match),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_twin),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
