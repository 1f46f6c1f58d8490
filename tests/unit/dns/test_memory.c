/* The memories of DNS are all given back, also those that were begun and could not be made. */
#include "no_memory.h"
#include "unit.h"

#include "base/clock.h"
#include "dns/dns_tcp.h"
#include "dns/seen.h"

static bool seen_once(void)
{
	struct seen *s = seen_new(64, 60 * NS_PER_S, false);
	seen_free(s);
	return s;
}

static bool tcp_once(void)
{
	struct dns_tcp *t = dns_tcp_new(16);
	dns_tcp_free(t);
	return t;
}

static void nothing_is_kept(void **state)
{
	bool (*const of[])(void) = {seen_once, tcp_once};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		bool failed = true;
		for (long n = 0; failed; n++) {
			long before = memory_held();
			no_memory_at(n);
			bool made = of[i]();
			failed = no_memory_failed;
			no_memory_end();
			assert_true(made != failed || !NO_MEMORY);
			assert_int_equal(memory_held(), before);
		}
	}
	seen_free(NULL);
	dns_tcp_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
