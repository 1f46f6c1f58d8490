/* bench_record: ns and bytes of a decision record, as JSON and as text. Prints, never fails by
 * time. */
#include "base/clock.h"
#include "decision/record.h"

#include <netinet/in.h>
#include <stdio.h>

int main(void)
{
	enum { RECORDS = 1000000 };
	struct decision d = {
		.time = INT64_C(1795514400) * NS_PER_S,
		.action = ACTION_ALLOW,
		.evidence = EVIDENCE_SNI_DNS,
		.protocol = PROTOCOL_TLS,
		.client = address_from4((uint8_t[]){10, 0, 1, 7}),
		.server = address_from4((uint8_t[]){203, 0, 113, 80}),
		.client_port = 40112,
		.server_port = 443,
		.transport = IPPROTO_TCP,
		.host = {15, "www.youtube.com"},
		.rule = "policy.conf:12",
		.user = "anna",
		.tier = "press",
		.site = "social",
		.policy = "0123456789abcdef",
	};
	static const uint8_t key[PSEUDONYM_KEY] = {1};
	char line[RECORD_MAX];
	static const char *const name[] = {"json", "json, pseudonym", "text"};
	for (int kind = 0; kind < 3; kind++) {
		struct buf b = BUF_OF(line);
		int64_t start = clock_now();
		for (int i = 0; i < RECORDS; i++) {
			buf_reset(&b);
			d.time += 1234567;
			if (kind < 2)
				record_write(&b, &d, kind ? key : NULL);
			else
				record_write_text(&b, &d, false);
		}
		printf("%-16s %5.0f ns  %zu bytes\n", name[kind],
		       (double)(clock_now() - start) / RECORDS, b.len);
	}
	return 0;
}
