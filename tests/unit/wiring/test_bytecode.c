/* The programs of the iptables rules, as the kernel would run them, beside what they stand for. */
#include "random.h"
#include "unit.h"
#include "name/quic.h"
#include "source/mark.h"
#include "wiring/wiring.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INSNS = 64 };

static char *rules; /* those of IPv4, then those of IPv6 */

static int make_rules(void **state)
{
	static char *lan[] = {"lan0"};
	const struct config c = {
		.path = "c", .inside = {lan, 1}, .queues = 1, .mark_mask = 0x7f000000};
	struct errors errors = {0};
	size_t len = 0;
	FILE *f = open_memstream(&rules, &len);
	bool ok = f && wiring_text(&c, WIRING_IPTABLES, 0, f, &errors);
	return fclose(f) == 0 && ok ? 0 : -1;
}

static int drop_rules(void **state)
{
	free(rules);
	return 0;
}

/* The nth program of a chain, of one family. */
static void program(bool six, const char *chain, int nth, struct bpf_insn out[static INSNS])
{
	const char *at = six ? strstr(rules, "# ip6tables") : rules;
	char line[1024], want[64];
	unsigned count;
	int used;
	snprintf(want, sizeof want, "-A TIERGATE-%s ", chain);
	for (; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
		char *text = strstr(line, "--bytecode \"");
		if (strncmp(line, want, strlen(want)) != 0 || !text || nth--)
			continue;
		text += strlen("--bytecode \"");
		assert_int_equal(sscanf(text, "%u%n", &count, &used), 1);
		assert_in_range(count, 1, INSNS);
		for (unsigned i = 0; i < count; i++) {
			text += used;
			assert_int_equal(sscanf(text, ",%hu %hhu %hhu %u%n", &out[i].code,
						&out[i].jt, &out[i].jf, &out[i].k, &used),
					 4);
		}
		assert_int_equal(text[used], '"');
		assert_true(bpf_validate(out, (int)count));
		return;
	}
	fail_msg("no program %s", chain);
}

struct wire {
	uint8_t bytes[4096];
	size_t len;
};

/* A packet whose headers have options of any length; of IPv6 without extension headers. */
static void build(struct wire *w, bool six, uint8_t protocol, uint8_t flags, const void *payload,
		  size_t len)
{
	size_t ip = six ? 40 : 20 + random_below(11) * 4;
	size_t transport = protocol == 17 ? 8 : 20 + random_below(11) * 4;
	memset(w->bytes, 0xaa, ip + transport);
	w->bytes[0] = (uint8_t)(six ? 0x60 : 0x40 | ip / 4);
	w->bytes[six ? 6 : 9] = protocol;
	if (protocol == 6) {
		w->bytes[ip + 12] = (uint8_t)(transport / 4 << 4 | random_below(16));
		w->bytes[ip + 13] = flags;
	}
	memcpy(w->bytes + ip + transport, payload, len);
	w->len = ip + transport + len;
}

static bool says(const struct bpf_insn *p, const struct wire *w)
{
	return bpf_filter(p, w->bytes, (unsigned)w->len, (unsigned)w->len) != 0;
}

static void check_answer(const uint8_t *payload, size_t len)
{
	struct bpf_insn tells[INSNS], tls[INSNS], http[INSNS], again[INSNS];
	struct wire w;
	for (int six = 0; six < 2; six++) {
		program(six, "HEARD", 0, tells);
		program(six, "TOLD", 0, tls);
		program(six, "TOLD", 1, http);
		program(six, "TOLD", 2, again);
		build(&w, six, 6, 0x18, payload, len);
		enum mark_kind got = !says(tells, &w)                  ? MARK_HEARD
				     : says(tls, &w) || says(http, &w) ? MARK_ALLOWED
				     : says(again, &w)                 ? MARK_ANSWERED
								       : MARK_HEARD;
		assert_int_equal(got, mark_of_answer(443, cursor_of(payload, len)));
	}
}

static const uint8_t server_hello[] = {0x16, 3, 3, 0, 122, 2, 0,    0,    118,  3,
				       3,    1, 2, 3, 4,   5, 0x1e, 0x65, 0xb8, 0x91};
static const uint8_t retry[] = {0x16, 3,    3,    0,    122,  2,    0,    0,    118,  3,
				3,    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe};

static void a_server_answers(void **state)
{
	static const char banner[] = "220 mail.example ESMTP", http[] = "HTTP/1.1 200 OK\r\n";
	assert_int_equal(mark_of_answer(443, cursor_of(server_hello, sizeof server_hello)),
			 MARK_ALLOWED);
	assert_int_equal(mark_of_answer(443, cursor_of(retry, sizeof retry)), MARK_ANSWERED);
	assert_int_equal(mark_of_answer(443, cursor_of(http, sizeof http)), MARK_ALLOWED);
	assert_int_equal(mark_of_answer(443, cursor_of(banner, sizeof banner)), MARK_HEARD);
	assert_int_equal(mark_of_answer(443, cursor_of(NULL, 0)), MARK_HEARD);
	assert_int_equal(mark_of_answer(25, cursor_of(http, sizeof http)), MARK_HEARD);
	assert_int_equal(mark_of_answer(25, cursor_of(server_hello, sizeof server_hello)),
			 MARK_ALLOWED);
	/* a first segment that the client's window made short: who knows what follows */
	for (size_t len = 1; len < 15; len++) {
		assert_int_equal(mark_of_answer(443, cursor_of(retry, len)), MARK_ANSWERED);
		assert_int_equal(mark_of_answer(443, cursor_of(server_hello, len)), MARK_ANSWERED);
	}
	for (size_t len = 0; len < 20; len++) {
		check_answer(server_hello, len);
		check_answer(retry, len);
		check_answer((const uint8_t *)http, len < sizeof http ? len : sizeof http);
		check_answer((const uint8_t *)banner, len);
	}
}

/* Damaged in a place or two, so that each branch is met from both sides. */
static void damaged_answers(void **state)
{
	uint8_t bytes[20];
	for (int i = 0; i < 20000; i++) {
		memcpy(bytes, random_below(2) ? server_hello : retry, sizeof bytes);
		for (unsigned n = random_below(3); n > 0; n--)
			bytes[random_below(sizeof bytes)] = (uint8_t)random_below(256);
		check_answer(bytes, random_below(sizeof bytes + 1));
	}
}

static void empty_is_told_exactly(void **state)
{
	struct bpf_insn empty[INSNS];
	struct wire w;
	uint8_t payload[2] = {0};
	for (int i = 0; i < 4000; i++) {
		bool six = random_below(2);
		uint8_t flags = random_below(2) ? 0x10 : (uint8_t)random_below(256);
		size_t len = random_below(3);
		program(six, "SAID", 0, empty);
		build(&w, six, 6, flags, payload, len);
		assert_int_equal(says(empty, &w), (flags & 0xfa) == 0x10 && len == 0);
	}
	program(true, "SAID", 0, empty);
	build(&w, true, 60, 0x10, payload, 0); /* an extension header */
	assert_false(says(empty, &w));
}

/* A QUIC packet with a long header, and a DTLS handshake record. */
static void what_opens_comes_up(void **state)
{
	struct bpf_insn opens[INSNS];
	struct wire w;
	for (unsigned start = 0; start < 0x10000; start += start % 0x100 == 0xff ? 1 : 0x55)
		for (int six = 0; six < 2; six++) {
			uint8_t payload[2] = {(uint8_t)(start >> 8), (uint8_t)start};
			program(six, "REOPENED", 0, opens);
			build(&w, six, 17, 0, payload, 2);
			assert_int_equal(says(opens, &w), quic_may_open(cursor_of(payload, 2)));
		}
	for (int six = 0; six < 2; six++) {
		program(six, "REOPENED", 0, opens);
		build(&w, six, 17, 0, (const uint8_t *)"\x16\xfe\xfd", 3);
		assert_true(says(opens, &w));
		build(&w, six, 17, 0, (const uint8_t *)"\x80", 1); /* nothing opens in a byte */
		assert_false(says(opens, &w));
	}
	program(true, "REOPENED", 0, opens);
	build(&w, true, 60, 0, (const uint8_t *)"", 1); /* an extension header hides it */
	assert_true(says(opens, &w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_answers),
		cmocka_unit_test(damaged_answers),
		cmocka_unit_test(empty_is_told_exactly),
		cmocka_unit_test(what_opens_comes_up),
	};
	return cmocka_run_group_tests(tests, make_rules, drop_rules);
}
