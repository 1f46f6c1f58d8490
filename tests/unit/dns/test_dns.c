#include "unit.h"
#include "dns/dns_build.h"

#include <stdio.h>

static struct dns_message good(const struct build *b)
{
	struct dns_message m;
	assert_int_equal(dns_message(cursor_of(b->bytes, b->len), &m), PARSE_OK);
	return m;
}

static enum parse parsed(const struct build *b)
{
	struct dns_message m;
	return dns_message(cursor_of(b->bytes, b->len), &m);
}

/* All addresses as text: "192.0.2.1/60 2001:db8::1/60h", then "!" where the rest is bad. */
static const char *addresses(const struct build *b)
{
	static char out[8192];
	struct buf text = BUF_OF(out);
	buf_reset(&text);
	struct dns_message m = good(b);
	struct dns_address d;
	enum parse p;
	while ((p = dns_next(&m, &d)) == PARSE_OK) {
		char address[ADDRESS_TEXT];
		buf_printf(&text, "%s%s/%u%s", text.len ? " " : "",
			   address_format(&d.address, address), d.ttl, d.hint ? "h" : "");
	}
	if (p == PARSE_BAD)
		buf_text(&text, "!");
	else
		assert_int_equal(p, PARSE_ABSENT);
	return out;
}

static struct build B;

static void test_query(void **state)
{
	head(&B, 0x0100, 0, "www.Example.COM", DNS_A);
	struct dns_message m = good(&B);
	assert_int_equal(m.id, 0x1234);
	assert_false(m.response);
	assert_string_equal(m.question.text, "www.example.com");
	assert_int_equal(m.question.len, 15);
	assert_int_equal(m.type, DNS_A);
	assert_string_equal(addresses(&B), "");
}

static void test_query_with_edns(void **state)
{
	head(&B, 0x0100, 0, "a.example", DNS_AAAA);
	B.bytes[11] = 1;
	u8(&B, 0);
	u16(&B, 41);
	u16(&B, 1232);
	u32(&B, 0);
	u16(&B, 0);
	assert_string_equal(good(&B).question.text, "a.example");
}

static void test_addresses(void **state)
{
	head(&B, 0x8180, 2, "www.example.com", DNS_A);
	a(&B, "@12", 60, 1);
	a(&B, "WWW.EXAMPLE.COM", 30, 2);
	assert_string_equal(addresses(&B), "192.0.2.1/60 192.0.2.2/30");
	head(&B, 0x8180, 1, "www.example.com", DNS_AAAA);
	aaaa(&B, "www@16", 60, 1);
	assert_string_equal(addresses(&B), "2001:db8::1/60");
}

static void test_0x20_case(void **state)
{
	head(&B, 0x8180, 2, "wWw.eXaMpLe.CoM", DNS_A);
	alias(&B, "Www.example.COM", DNS_CNAME, 60, "CDN.Example.net");
	a(&B, "cdn.EXAMPLE.net", 60, 1);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
	assert_string_equal(good(&B).question.text, "www.example.com");
}

static void test_only_the_asked_name_and_type_count(void **state)
{
	head(&B, 0x8180, 4, "www.example.com", DNS_A);
	a(&B, "other.example.com", 60, 1);
	aaaa(&B, "@12", 60, 2);
	a(&B, "@16", 60, 3);
	a(&B, "@12", 60, 4);
	assert_string_equal(addresses(&B), "192.0.2.4/60");
	head(&B, 0x8180, 2, "www.example.com", DNS_ANY);
	aaaa(&B, "@12", 60, 2);
	a(&B, "@12", 60, 4);
	assert_string_equal(addresses(&B), "2001:db8::2/60 192.0.2.4/60");
}

static void test_cname_chain(void **state)
{
	head(&B, 0x8180, 4, "a.example", DNS_A);
	alias(&B, "@12", DNS_CNAME, 300, "b.example");
	alias(&B, "b.example", DNS_CNAME, 20, "c@14");
	a(&B, "c.example", 100, 1);
	a(&B, "c@14", 10, 2);
	assert_string_equal(addresses(&B), "192.0.2.1/20 192.0.2.2/10");
	assert_string_equal(good(&B).question.text, "a.example");
}

static void test_cname_chain_in_any_order(void **state)
{
	head(&B, 0x8180, 5, "a.example", DNS_A);
	a(&B, "d.example", 100, 1);
	alias(&B, "c.example", DNS_CNAME, 30, "d.example");
	alias(&B, "b.example", DNS_CNAME, 20, "c.example");
	alias(&B, "a.example", DNS_CNAME, 40, "b.example");
	a(&B, "d.example", 5, 2);
	assert_string_equal(addresses(&B), "192.0.2.1/20 192.0.2.2/5");
}

static void chain_of(unsigned steps, bool backwards)
{
	head(&B, 0x8180, steps + 1, "n0.example", DNS_A);
	for (unsigned i = 0; i < steps; i++) {
		char from[16], to[16];
		unsigned step = backwards ? steps - 1 - i : i;
		snprintf(from, sizeof from, "n%u.example", step);
		snprintf(to, sizeof to, "n%u.example", step + 1);
		alias(&B, from, DNS_CNAME, 60, to);
	}
	char last[16];
	snprintf(last, sizeof last, "n%u.example", steps);
	a(&B, last, 60, 1);
}

static void test_chain_bound(void **state)
{
	for (int backwards = 0; backwards < 2; backwards++) {
		chain_of(16, backwards);
		assert_string_equal(addresses(&B), "192.0.2.1/60");
		chain_of(17, backwards);
		assert_string_equal(addresses(&B), "!");
	}
}

static void test_cname_loop(void **state)
{
	head(&B, 0x8180, 3, "a.example", DNS_A);
	alias(&B, "a.example", DNS_CNAME, 60, "b.example");
	alias(&B, "b.example", DNS_CNAME, 60, "a.example");
	a(&B, "a.example", 60, 1);
	assert_string_equal(addresses(&B), "!");
}

static void test_dname(void **state)
{
	head(&B, 0x8180, 2, "www.shop.example.com", DNS_A);
	alias(&B, "example.com", DNS_DNAME, 50, "example.net");
	a(&B, "www.shop.example.net", 60, 1);
	assert_string_equal(addresses(&B), "192.0.2.1/50");
	/* with the CNAME that servers make from it */
	head(&B, 0x8180, 3, "www.example.com", DNS_A);
	alias(&B, "@16", DNS_DNAME, 50, "example.net");
	alias(&B, "@12", DNS_CNAME, 40, "www.example.net");
	a(&B, "www.example.net", 60, 1);
	assert_string_equal(addresses(&B), "192.0.2.1/50");
	/* not at its owner itself, nor in the middle of a label */
	head(&B, 0x8180, 2, "example.com", DNS_A);
	alias(&B, "example.com", DNS_DNAME, 50, "example.net");
	a(&B, "example.com", 60, 1);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
	head(&B, 0x8180, 2, "www.anexample.com", DNS_A);
	alias(&B, "example.com", DNS_DNAME, 50, "example.net");
	a(&B, "www.anexample.com", 60, 1);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
	/* whose target can't be read: what else the message says is not believed */
	head(&B, 0x8180, 2, "www.example.com", DNS_A);
	alias(&B, "example.com", DNS_DNAME, 50, "@999");
	a(&B, "@12", 60, 1);
	assert_string_equal(addresses(&B), "!");
	/* where a digit looks like the length of a label: '0' is 48 */
#define LABEL48 "abcdefghijklmnopqrstuvwxabcdefghijklmnopqrstuvwx"
	head(&B, 0x8180, 2, "www.a0" LABEL48 ".com", DNS_A);
	alias(&B, LABEL48 ".com", DNS_DNAME, 50, LABEL48 ".net");
	a(&B, "www.a0" LABEL48 ".net", 60, 1);
	assert_string_equal(addresses(&B), "");
}

static void test_dname_that_grows_without_end(void **state)
{
	head(&B, 0x8180, 3, "x.a.example", DNS_A);
	alias(&B, "a.example", DNS_DNAME, 50, "b.a.example");
	alias(&B, "b.example", DNS_DNAME, 50, "b.a.example");
	a(&B, "x.a.example", 60, 1);
	assert_string_equal(addresses(&B), "!");
}

static void test_too_long_dname_is_not_followed(void **state)
{
	char label[62], from[256], to[256];
	memset(label, 'x', 61);
	label[61] = '\0';
	snprintf(from, sizeof from, "%s.%s.a.example", label, label);
	snprintf(to, sizeof to, "%s.%s.example", label, label);
	head(&B, 0x8180, 2, from, DNS_A);
	alias(&B, "a.example", DNS_DNAME, 50, to);
	a(&B, "@12", 60, 1);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
}

static void test_ttl_with_the_high_bit_is_zero(void **state)
{
	head(&B, 0x8180, 2, "a.example", DNS_A);
	a(&B, "@12", 0x80000000, 1);
	a(&B, "@12", 0x7fffffff, 2);
	assert_string_equal(addresses(&B), "192.0.2.1/0 192.0.2.2/2147483647");
}

static void test_errors_give_nothing(void **state)
{
	head(&B, 0x8183, 1, "a.example", DNS_A);
	a(&B, "@12", 60, 1);
	assert_string_equal(addresses(&B), "");
	assert_int_equal(good(&B).rcode, 3);
}

static void test_truncated_counts(void **state)
{
	head(&B, 0x8380, 1, "a.example", DNS_A);
	a(&B, "@12", 60, 1);
	assert_true(good(&B).truncated);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
}

static void test_mapped_address_is_its_ipv4(void **state)
{
	head(&B, 0x8180, 1, "a.example", DNS_AAAA);
	size_t start = record_begin(&B, "@12", DNS_AAAA, 60);
	raw(&B, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	record_end(&B, start);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
}

/* HTTPS and SVCB */

static void parameter(struct build *b, unsigned key, const void *value, size_t len)
{
	u16(b, key);
	u16(b, (unsigned)len);
	raw(b, value, len);
}

static size_t service_begin(struct build *b, const char *owner, unsigned priority,
			    const char *target)
{
	size_t start = record_begin(b, owner, DNS_HTTPS, 60);
	u16(b, priority);
	name(b, target);
	return start;
}

static void test_hints(void **state)
{
	head(&B, 0x8180, 2, "www.example.com", DNS_HTTPS);
	size_t start = service_begin(&B, "@12", 1, "");
	parameter(&B, 1, "\2h2\2h3", 6);
	parameter(&B, 4, "\xc0\0\2\1\xc0\0\2\2", 8);
	parameter(&B, 6, " \1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	record_end(&B, start);
	start = service_begin(&B, "@12", 2, "pool.example.net");
	parameter(&B, 4, "\xc0\0\2\3", 4);
	record_end(&B, start);
	assert_string_equal(addresses(&B),
			    "192.0.2.1/60h 192.0.2.2/60h 2001:db8::1/60h 192.0.2.3/60h");
}

static void test_hints_of_malformed_records_are_ignored(void **state)
{
	head(&B, 0x8180, 5, "www.example.com", DNS_HTTPS);
	size_t start = service_begin(&B, "@12", 1, "");
	parameter(&B, 6, " \1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	parameter(&B, 4, "\xc0\0\2\1", 4); /* keys must rise */
	record_end(&B, start);
	start = service_begin(&B, "@12", 1, "");
	parameter(&B, 4, "\xc0\0\2\1\xc0", 5); /* not a multiple of 4 */
	record_end(&B, start);
	start = service_begin(&B, "@12", 0, "alias.example"); /* alias form has none */
	parameter(&B, 4, "\xc0\0\2\1", 4);
	record_end(&B, start);
	start = service_begin(&B, "@12", 1, "");
	u16(&B, 4);
	u16(&B, 400); /* past the record's end */
	record_end(&B, start);
	start = service_begin(&B, "@12", 1, "");
	parameter(&B, 4, "\xc0\0\2\7", 4);
	record_end(&B, start);
	assert_string_equal(addresses(&B), "192.0.2.7/60h");
}

/* The counts of the header: answers and additional records. */
static void sections(struct build *b, unsigned answers, unsigned additional)
{
	b->bytes[6] = (uint8_t)(answers >> 8);
	b->bytes[7] = (uint8_t)answers;
	b->bytes[10] = (uint8_t)(additional >> 8);
	b->bytes[11] = (uint8_t)additional;
}

static void service(struct build *b, const char *owner, unsigned priority, const char *target)
{
	record_end(b, service_begin(b, owner, priority, target));
}

static void test_other_class(void **state)
{
	head(&B, 0x8180, 1, "www.example.com", DNS_A);
	size_t record = B.len;
	a(&B, "@12", 60, 1);
	B.bytes[record + 5] = 3;
	assert_string_equal(addresses(&B), "");
	B.bytes[record - 1] = 3;
	assert_int_equal(parsed(&B), PARSE_ABSENT);
	head(&B, 0x8180, 2, "www.example.com", DNS_HTTPS);
	record = B.len;
	service(&B, "@12", 1, "pool.example.net");
	a(&B, "pool.example.net", 60, 1);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
	B.bytes[record + 5] = 3; /* another class's service leads nowhere */
	assert_string_equal(addresses(&B), "");
}

static void test_addresses_of_targets(void **state)
{
	head(&B, 0x8180, 2, "www.example.com", DNS_HTTPS);
	service(&B, "@12", 1, "pool.example.net");
	service(&B, "@12", 2, "");
	a(&B, "POOL.example.net", 30, 1);
	aaaa(&B, "www.example.com", 90, 2); /* the target is the owner */
	a(&B, "other.example.net", 30, 3);
	u8(&B, 0); /* EDNS */
	u16(&B, 41);
	u16(&B, 1232);
	u32(&B, 0);
	u16(&B, 0);
	sections(&B, 2, 4);
	assert_string_equal(addresses(&B), "192.0.2.1/30 2001:db8::2/90");
	B.bytes[B.len++] = 0; /* what the counts do not say is not looked at */
	assert_string_equal(addresses(&B), "192.0.2.1/30 2001:db8::2/90");
	sections(&B, 2, 5); /* a record that is cut: the rest is given up, the answers stay good */
	assert_string_equal(addresses(&B), "!");
	head(&B, 0x8180, 1, "www.example.com", DNS_A);
	a(&B, "@12", 60, 1);
	a(&B, "@12", 60, 2);
	sections(&B, 1, 1); /* beside an answer to A nothing is added */
	assert_string_equal(addresses(&B), "192.0.2.1/60");
}

static void test_alias_and_cname_of_targets(void **state)
{
	head(&B, 0x8180, 2, "www.example.com", DNS_HTTPS);
	alias(&B, "@12", DNS_CNAME, 300, "front.example");
	service(&B, "front.example", 0, "svc.example");
	a(&B, "n1.example", 200, 1); /* before what leads to it */
	alias(&B, "node.example", DNS_CNAME, 20, "n1.example");
	service(&B, "svc.example", 1, "node.example");
	sections(&B, 2, 3);
	assert_string_equal(addresses(&B), "192.0.2.1/20");
	struct dns_message m = good(&B);
	const char *want[] = {"svc.example", "node.example", "n1.example"};
	const uint32_t ttls[] = {60, 60, 20};
	assert_int_equal(m.targets, 3);
	for (unsigned i = 0; i < 3; i++) {
		struct host target;
		uint32_t ttl;
		dns_target(&m, i, &target, &ttl);
		assert_string_equal(target.text, want[i]);
		assert_int_equal(ttl, ttls[i]);
	}
}

static void test_targets_are_bounded(void **state)
{
	char from[16] = "n0.example", to[16];
	head(&B, 0x8180, 1, from, DNS_HTTPS);
	for (unsigned i = 0; i <= DNS_TARGETS; i++, strcpy(from, to)) {
		snprintf(to, sizeof to, "n%u.example", i + 1);
		service(&B, from, 0, to);
	}
	a(&B, "n8.example", 60, 8);
	a(&B, "n9.example", 60, 9);
	sections(&B, 1, DNS_TARGETS + 2);
	assert_string_equal(addresses(&B), "192.0.2.8/60");
	assert_int_equal(good(&B).targets, DNS_TARGETS);
	head(&B, 0x8180, 130, "www.example.com", DNS_HTTPS);
	service(&B, "@12", 1, "a.example");
	for (unsigned i = 0; i < 127; i++)
		a(&B, "a.example", 60, 1);
	service(&B, "@12", 1, "b.example"); /* the 129th record */
	a(&B, "b.example", 60, 1);
	assert_int_equal(good(&B).targets, 1);
	head(&B, 0x8180, 2, "www.example.com", DNS_HTTPS); /* a loop ends */
	service(&B, "@12", 0, "b.example");
	service(&B, "b.example", 0, "www.example.com");
	a(&B, "b.example", 60, 1);
	sections(&B, 2, 1);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
}

/* Behind the records that are looked at for targets, too. */
static void test_damage_is_told_wherever_it_is(void **state)
{
	for (unsigned before = 126; before < 131; before++) {
		head(&B, 0x8180, before, "www.example.com", DNS_HTTPS);
		for (unsigned i = 0; i < before; i++)
			service(&B, "@12", 1, "");
		a(&B, "@12", 60, 1);
		u8(&B, 63); /* a name that is not there */
		sections(&B, before, 2);
		struct dns_message m = good(&B);
		struct dns_address d;
		while (dns_next(&m, &d) == PARSE_OK)
			;
		assert_int_equal(dns_next(&m, &d), PARSE_BAD);
		assert_true(m.damaged);
	}
}

static void pointer(struct build *b, const char *owner, unsigned type, const char *target)
{
	size_t start = record_begin(b, owner, type, 60);
	raw(b, "\0\1\0\1", 4);
	if (type == DNS_SRV)
		u16(b, 5060);
	else
		raw(b, "\1s\7SIP+D2T", 11); /* and no regular expression */
	name(b, target);
	record_end(b, start);
}

static const char *target(const struct build *b, unsigned i)
{
	static struct host host;
	struct dns_message m = good(b);
	uint32_t ttl;
	assert_true(i < m.targets);
	dns_target(&m, i, &host, &ttl);
	return host.text;
}

static void test_srv_and_naptr_lead(void **state)
{
	head(&B, 0x8180, 2, "_sip._tcp.example.com", DNS_SRV);
	pointer(&B, "@12", DNS_SRV, "pbx.example.net");
	pointer(&B, "@12", DNS_SRV, ""); /* no such service */
	a(&B, "pbx.example.net", 60, 1);
	a(&B, "other.example.net", 60, 2);
	sections(&B, 2, 2);
	assert_string_equal(good(&B).question.text, "example.com");
	assert_string_equal(addresses(&B), "192.0.2.1/60");
	assert_string_equal(target(&B, 0), "pbx.example.net");
	head(&B, 0x8180, 1, "example.com", DNS_NAPTR);
	pointer(&B, "@12", DNS_NAPTR, "_sip._tcp.example.net");
	pointer(&B, "_sip._tcp.example.net", DNS_SRV, "pbx.example.net");
	a(&B, "pbx.example.net", 60, 1);
	sections(&B, 1, 2);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
	assert_string_equal(target(&B, 0), "example.net");
	assert_string_equal(target(&B, 1), "pbx.example.net");
	head(&B, 0x8180, 1, "_sip._tcp.example.com", DNS_SRV);
	pointer(&B, "@12", DNS_SRV, "pbx.example.net");
	u8(&B, 0); /* a byte too many in the record */
	record_end(&B, B.len - 24);
	assert_int_equal(good(&B).targets, 0);
}

static void test_where_a_chain_ends(void **state)
{
	struct host end;
	uint32_t ttl;
	head(&B, 0x8180, 2, "www.example.com", DNS_A);
	alias(&B, "@12", DNS_CNAME, 60, "a.example");
	alias(&B, "a.example", DNS_CNAME, 30, "b.example");
	struct dns_message m = good(&B);
	assert_true(dns_alias(&m, &end, &ttl));
	assert_string_equal(end.text, "b.example");
	assert_int_equal(ttl, 30);
	head(&B, 0x8180, 1, "www.example.com", DNS_A);
	a(&B, "@12", 60, 1);
	m = good(&B);
	assert_false(dns_alias(&m, &end, &ttl));
	head(&B, 0x8180, 2, "www.example.com", DNS_A); /* a loop */
	alias(&B, "@12", DNS_CNAME, 60, "a.example");
	alias(&B, "a.example", DNS_CNAME, 30, "www.example.com");
	m = good(&B);
	struct dns_address d;
	assert_int_equal(dns_next(&m, &d), PARSE_BAD);
	assert_false(dns_alias(&m, &end, &ttl));
}

static void test_service_names_lose_their_prefix(void **state)
{
	head(&B, 0x0100, 0, "_8443._https.www.example.com", DNS_HTTPS);
	assert_string_equal(good(&B).question.text, "www.example.com");
	head(&B, 0x0100, 0, "_8443._https.www.example.com", DNS_A);
	assert_string_equal(good(&B).question.text, "_8443._https.www.example.com");
	head(&B, 0x0100, 0, "_dmarc.example.com", DNS_HTTPS);
	assert_string_equal(good(&B).question.text, "_dmarc.example.com");
	head(&B, 0x0100, 0, "_8443._https", DNS_HTTPS);
	assert_int_equal(good(&B).question.len, 0);
}

/* One ECHConfig; version 0xfe0d but where told otherwise. */
static void ech_config(struct build *b, unsigned version, unsigned id, const char *public_name)
{
	size_t len = strlen(public_name);
	u16(b, version);
	u16(b, (unsigned)(1 + 2 + 2 + 32 + 2 + 4 + 1 + 1 + len + 2));
	u8(b, id);
	u16(b, 0x20);
	u16(b, 32);
	for (int i = 0; i < 32; i++)
		u8(b, 0xaa);
	u16(b, 4);
	u32(b, 0x00010001);
	u8(b, 0);
	u8(b, (unsigned)len);
	raw(b, public_name, len);
	u16(b, 0);
}

static void ech_parameter(struct build *b, const struct build *configs)
{
	u16(b, 5);
	u16(b, (unsigned)configs->len + 2);
	u16(b, (unsigned)configs->len);
	raw(b, configs->bytes, configs->len);
}

static size_t prefix_of(const char *wire, size_t len)
{
	struct dns_name n = {.len = (uint8_t)len};
	memcpy(n.wire, wire, len);
	return dns_name_service(&n);
}

static void test_a_prefix_has_two_labels_of_two_bytes(void **state)
{
	assert_int_equal(prefix_of("\2_a\2_b\7example", 15), 6);
	assert_int_equal(prefix_of("\1_\2_b\7example", 14), 0);
	assert_int_equal(prefix_of("\2_a\1_\7example", 14), 0);
	assert_int_equal(prefix_of("\2_a\2b_\7example", 15), 0);
	assert_int_equal(prefix_of("\2_a", 4), 0);
	assert_int_equal(prefix_of("", 1), 0);
}

static void test_ech_public_names(void **state)
{
	static struct build configs;
	configs.len = 0;
	ech_config(&configs, 0xfe0d, 7, "cloudflare-ech.com");
	ech_config(&configs, 0xfe0a, 8, "old.example");
	ech_config(&configs, 0xfe0d, 9, "192.0.2.1");
	ech_config(&configs, 0xfe0d, 10, "Second.Example");
	head(&B, 0x8180, 2, "www.example.com", DNS_HTTPS);
	size_t start = service_begin(&B, "@12", 1, "");
	parameter(&B, 4, "\xc0\0\2\1", 4);
	ech_parameter(&B, &configs);
	record_end(&B, start);
	start = service_begin(&B, "@12", 2, "");
	ech_parameter(&B, &configs);
	record_end(&B, start);
	assert_string_equal(addresses(&B), "192.0.2.1/60h");

	struct dns_message m = good(&B);
	struct dns_ech e;
	for (int record = 0; record < 2; record++) {
		assert_int_equal(dns_next_ech(&m, &e), PARSE_OK);
		assert_string_equal(e.public_name.text, "cloudflare-ech.com");
		assert_int_equal(e.config_id, 7);
		assert_int_equal(e.ttl, 60);
		assert_int_equal(dns_next_ech(&m, &e), PARSE_OK);
		assert_string_equal(e.public_name.text, "second.example");
		assert_int_equal(e.config_id, 10);
	}
	assert_int_equal(dns_next_ech(&m, &e), PARSE_ABSENT);
	dns_rewind(&m);
	assert_int_equal(dns_next_ech(&m, &e), PARSE_OK);
}

/* Malformed */

static void test_counts(void **state)
{
	head(&B, 0x8180, 3, "a.example", DNS_A);
	a(&B, "@12", 60, 1);
	a(&B, "@12", 60, 2);
	assert_string_equal(addresses(&B), "192.0.2.1/60 192.0.2.2/60!");
	B.bytes[7] = 1; /* fewer than there are: the rest is not the answer's */
	assert_string_equal(addresses(&B), "192.0.2.1/60");
	B.bytes[6] = 0xff;
	assert_string_equal(addresses(&B), "192.0.2.1/60 192.0.2.2/60!");
	B.bytes[5] = 0;
	assert_int_equal(parsed(&B), PARSE_ABSENT);
	B.bytes[5] = 2;
	assert_int_equal(parsed(&B), PARSE_BAD);
}

static void test_other_opcodes(void **state)
{
	for (unsigned opcode = 1; opcode < 16; opcode++) {
		head(&B, opcode << 11, 0, "a.example", DNS_A);
		assert_int_equal(parsed(&B), PARSE_ABSENT);
	}
}

static void test_names_that_are_no_hosts(void **state)
{
	static const char *const names[] = {
		"",      "a b.example",         "*.example",   "1.2.3.4",
		"a\\.b", "caf\xc3\xa9.example", "a.example.8", "a.0x7f",
		"0x"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		head(&B, 0x8180, 1, names[i], DNS_A);
		a(&B, "@12", 60, 1);
		assert_int_equal(good(&B).question.len, 0);
		assert_string_equal(addresses(&B), "");
	}
	head(&B, 0x0100, 0, "_a-b.0.1x", DNS_A);
	assert_string_equal(good(&B).question.text, "_a-b.0.1x");
	/* a dot and a NUL within a label */
	head(&B, 0x0100, 0, "aXb.example", DNS_A);
	B.bytes[14] = '.';
	assert_int_equal(good(&B).question.len, 0);
	B.bytes[14] = '\0';
	assert_int_equal(good(&B).question.len, 0);
}

static void test_longest_name(void **state)
{
	char text[300];
	for (int i = 0; i < 300; i++)
		text[i] = i % 64 == 63 ? '.' : 'a';
	text[253] = '\0';
	head(&B, 0x0100, 0, text, DNS_A);
	assert_int_equal(good(&B).question.len, 253);
	assert_string_equal(good(&B).question.text, text);
	text[253] = 'a';
	text[254] = '\0';
	head(&B, 0x0100, 0, text, DNS_A);
	assert_int_equal(parsed(&B), PARSE_BAD);
}

static void test_label_types(void **state)
{
	for (unsigned first = 64; first < 0xc0; first += 21) {
		head(&B, 0x0100, 0, "a.example", DNS_A);
		B.bytes[12] = (uint8_t)first;
		assert_int_equal(parsed(&B), PARSE_BAD);
	}
}

static void test_compression_loops(void **state)
{
	static const char *const owners[] = {"@27", "a@27", "@28", "@30", "@16383", "@0", "@11"};
	for (size_t i = 0; i < sizeof owners / sizeof *owners; i++) {
		head(&B, 0x8180, 2, "a.example", DNS_A);
		assert_int_equal(B.len, 27);
		a(&B, owners[i], 60, 1);
		a(&B, "@12", 60, 2);
		assert_string_equal(addresses(&B), "!");
	}
	/* a question that points at itself, and two pointers at each other */
	head(&B, 0x8180, 0, "@12", DNS_A);
	assert_int_equal(parsed(&B), PARSE_BAD);
	head(&B, 0x8180, 2, "a.example", DNS_A);
	a(&B, "@12", 60, 1);
	alias(&B, "@12", DNS_CNAME, 60, "@57");
	assert_string_equal(addresses(&B), "192.0.2.1/60!");
}

static void test_pointers_chained_backwards_are_good(void **state)
{
	head(&B, 0x8180, 3, "a.example", DNS_A);
	alias(&B, "@12", DNS_CNAME, 60, "b@14"); /* target at 39 */
	alias(&B, "@39", DNS_CNAME, 60, "@39");  /* to itself: a loop of the chain */
	assert_string_equal(addresses(&B), "!");
	head(&B, 0x8180, 2, "a.example", DNS_A);
	alias(&B, "@12", DNS_CNAME, 60, "b@14");
	a(&B, "@39", 60, 1);
	assert_string_equal(addresses(&B), "192.0.2.1/60");
}

static void test_records_of_wrong_size_are_ignored(void **state)
{
	head(&B, 0x8180, 3, "a.example", DNS_A);
	for (size_t size = 3; size <= 5; size++) {
		size_t start = record_begin(&B, "@12", DNS_A, 60);
		raw(&B, "\xc0\0\2\1\1", size);
		record_end(&B, start);
	}
	assert_string_equal(addresses(&B), "192.0.2.1/60");
}

static void walk(const uint8_t *bytes, size_t len)
{
	struct dns_message m;
	struct dns_address d;
	struct dns_ech e;
	if (dns_message(cursor_of(bytes, len), &m) != PARSE_OK)
		return;
	while (dns_next(&m, &d) == PARSE_OK)
		;
	dns_rewind(&m);
	while (dns_next_ech(&m, &e) == PARSE_OK)
		;
}

/* Each cut in memory of its own size, so that the sanitizers see a read past it. */
static void test_cut_at_every_byte(void **state)
{
	static struct build configs;
	configs.len = 0;
	ech_config(&configs, 0xfe0d, 7, "outer.example");
	head(&B, 0x8180, 3, "www.example.com", DNS_ANY);
	alias(&B, "@12", DNS_CNAME, 60, "b.example");
	a(&B, "b.example", 60, 1);
	size_t start = service_begin(&B, "b.example", 1, "");
	parameter(&B, 4, "\xc0\0\2\2", 4);
	ech_parameter(&B, &configs);
	record_end(&B, start);
	assert_string_equal(addresses(&B), "192.0.2.1/60 192.0.2.2/60h");
	for (size_t len = 0; len < B.len; len++) {
		uint8_t *copy = malloc(len + !len);
		memcpy(copy, B.bytes, len);
		struct dns_message m;
		struct dns_address d;
		enum parse p = dns_message(cursor_of(copy, len), &m);
		assert_int_equal(p, len < 33 ? PARSE_BAD : PARSE_OK);
		if (p == PARSE_OK) {
			while ((p = dns_next(&m, &d)) == PARSE_OK)
				;
			assert_int_equal(p, PARSE_BAD);
		}
		walk(copy, len);
		free(copy);
	}
}

static void test_every_byte_changed(void **state)
{
	head(&B, 0x8180, 3, "www.example.com", DNS_A);
	alias(&B, "@12", DNS_CNAME, 60, "b@16");
	alias(&B, "example.com", DNS_DNAME, 60, "example.net");
	a(&B, "b.example.com", 60, 1);
	for (size_t at = 0; at < B.len; at++) {
		uint8_t *copy = malloc(B.len);
		memcpy(copy, B.bytes, B.len);
		for (unsigned value = 0; value < 256; value++) {
			copy[at] = (uint8_t)value;
			walk(copy, B.len);
		}
		free(copy);
	}
}

static void test_a_full_size_answer(void **state)
{
	head(&B, 0x8180, 4000, "a.example", DNS_A);
	for (unsigned i = 0; i < 4000; i++)
		a(&B, "@12", 60, i & 0xff);
	struct dns_message m = good(&B);
	struct dns_address d;
	unsigned n = 0;
	while (dns_next(&m, &d) == PARSE_OK)
		n++;
	assert_int_equal(n, 4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_with_edns),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_0x20_case),
		cmocka_unit_test(test_only_the_asked_name_and_type_count),
		cmocka_unit_test(test_other_class),
		cmocka_unit_test(test_cname_chain),
		cmocka_unit_test(test_cname_chain_in_any_order),
		cmocka_unit_test(test_chain_bound),
		cmocka_unit_test(test_cname_loop),
		cmocka_unit_test(test_dname),
		cmocka_unit_test(test_dname_that_grows_without_end),
		cmocka_unit_test(test_too_long_dname_is_not_followed),
		cmocka_unit_test(test_ttl_with_the_high_bit_is_zero),
		cmocka_unit_test(test_errors_give_nothing),
		cmocka_unit_test(test_truncated_counts),
		cmocka_unit_test(test_mapped_address_is_its_ipv4),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_hints_of_malformed_records_are_ignored),
		cmocka_unit_test(test_addresses_of_targets),
		cmocka_unit_test(test_alias_and_cname_of_targets),
		cmocka_unit_test(test_targets_are_bounded),
		cmocka_unit_test(test_damage_is_told_wherever_it_is),
		cmocka_unit_test(test_srv_and_naptr_lead),
		cmocka_unit_test(test_where_a_chain_ends),
		cmocka_unit_test(test_service_names_lose_their_prefix),
		cmocka_unit_test(test_a_prefix_has_two_labels_of_two_bytes),
		cmocka_unit_test(test_ech_public_names),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_other_opcodes),
		cmocka_unit_test(test_names_that_are_no_hosts),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_label_types),
		cmocka_unit_test(test_compression_loops),
		cmocka_unit_test(test_pointers_chained_backwards_are_good),
		cmocka_unit_test(test_records_of_wrong_size_are_ignored),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_every_byte_changed),
		cmocka_unit_test(test_a_full_size_answer),
	};
	return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
