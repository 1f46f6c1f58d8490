#include "advice/left.h"

#include "base/clock.h"
#include "config/value.h"
#include "policy/may.h"

#include <inttypes.h>
#include <stdio.h>

#define QUOTAS 32

/* In the largest unit of which there is one whole, and of what is less than ten a tenth: never more
 * than there is. Powers of 1024 where the amount is said in them. */
static void bytes_format(uint64_t n, bool binary, struct buf *b)
{
	static const char *const units[2][5] = {{"B", "kB", "MB", "GB", "TB"},
						{"B", "KiB", "MiB", "GiB", "TiB"}};
	uint64_t step = binary ? 1024 : 1000, worth = 1;
	unsigned u = 0;
	for (; u < 4 && n / worth >= step; u++)
		worth *= step;
	if (n / worth < 10 && n % worth)
		buf_printf(b, "%" PRIu64 ".%" PRIu64 " %s", n / worth, n % worth * 10 / worth,
			   units[binary][u]);
	else
		buf_printf(b, "%" PRIu64 " %s", n / worth, units[binary][u]);
}

static void set_words(json_t *to, const struct quota *q, uint64_t left)
{
	char text[2][32] = {"", ""};
	struct buf l = BUF_OF(text[0]), a = BUF_OF(text[1]);
	if (q->bytes) {
		quota_amount_format(true, q->amount, &a);
		bytes_format(left, strstr(text[1], "iB"), &l);
	} else {
		buf_printf(&l, "%" PRIu64 " min", left);
		buf_printf(&a, "%" PRIu64 " min", q->amount);
	}
	json_object_set_new(to, "left_text", json_string(text[0]));
	json_object_set_new(to, "amount_text", json_string(text[1]));
}

/* An answer has a bound, and a line any number of sites. */
static void set_sites(json_t *to, const struct snapshot *s, const struct quota *q)
{
	json_t *list = json_array();
	const char *site;
	size_t count = 0;
	for (; (site = snapshot_line_site(s, q->line, count)); count++)
		if (count < LEFT_SITES)
			json_array_append_new(list, json_string(site));
	json_object_set_new(to, "sites", list);
	if (count > LEFT_SITES)
		json_object_set_new(to, "more_sites",
				    json_integer((json_int_t)(count - LEFT_SITES)));
}

json_t *left_of(const struct left_from *from, const struct snapshot *s, const struct quota *q,
		const struct facts *f, int64_t now)
{
	char whose[USER_MAX + 64] = "", until[40] = "";
	struct buf w = BUF_OF(whose), u = BUF_OF(until);
	struct quota_who who;
	int64_t start, end;
	quota_whose(q, f, &who);
	quota_who_format(&who, &w);
	quota_period(q, now, &start, &end);
	clock_format(&u, end);
	uint64_t used = from->used(from->ctx, q, &who),
		 left = used < q->amount ? q->amount - used : 0;
	json_t *j =
		json_pack("{ss ss sI sI ss ss ss}", "rule", snapshot_rule_name(s, q->line), "of",
			  whose, "left", (json_int_t)left, "amount", (json_int_t)q->amount, "unit",
			  q->bytes ? "B" : "min", "per", q->week ? "week" : "day", "until", until);
	set_words(j, q, left);
	return j;
}

json_t *left_all(const struct left_from *from, const struct snapshot *s, const struct facts *f,
		 int64_t now)
{
	const struct quota *quota[QUOTAS];
	size_t count =
		snapshot_has_quotas(s) ? snapshot_tier_quotas(s, f->tier, now, quota, QUOTAS) : 0;
	json_t *list = count ? json_array() : NULL;
	for (size_t i = 0; i < count; i++) {
		json_t *one = left_of(from, s, quota[i], f, now);
		set_sites(one, s, quota[i]);
		json_array_append_new(list, one);
	}
	return list;
}
