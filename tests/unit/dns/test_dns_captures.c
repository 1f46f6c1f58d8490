/* DNS answers of the captures in ../shared/captures (or TIERGATE_CAPTURES), as tshark reads them
 * (expected_dns.jsonl); skipped where they are not there. */
#include "unit.h"
#include "dns/dns_tcp.h"
#include "base/host.h"
#include "source/link.h"

#include <jansson.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

static const char *folder = "../shared/captures";
static char **lines;
static size_t line_count;

static void read_lines(FILE *f)
{
	char *line = NULL;
	size_t cap = 0;
	while (getline(&line, &cap, f) > 0) {
		lines = realloc(lines, (line_count + 1) * sizeof *lines);
		lines[line_count++] = strdup(line);
	}
	free(line);
}

/* What is expected of a capture's frame; NULL: nothing is said of it. */
static json_t *expected(json_t *all, long frame)
{
	size_t i;
	json_t *one;
	json_array_foreach(all, i, one) if (json_integer_value(json_object_get(one, "frame")) ==
					    frame) return one;
	return NULL;
}

static bool lists(json_t *addresses, const struct address *a)
{
	size_t i;
	json_t *text;
	struct address b;
	json_array_foreach(addresses, i, text) if (address_parse(json_string_value(text), &b) &&
						   address_equal(a, &b)) return true;
	return false;
}

struct run {
	json_t *all;
	long frame;
	unsigned compared;
};

static void compare(struct run *r, struct cursor bytes)
{
	struct dns_message m;
	struct dns_address d;
	struct host asked = {0};
	json_t *want = expected(r->all, r->frame);
	if (!want || dns_message(bytes, &m) != PARSE_OK || !m.response)
		return;
	const char *name = json_string_value(json_object_get(want, "qname"));
	json_t *addresses = json_object_get(want, "addresses");
	if (host_canonical(name, strlen(name), &asked) == PARSE_OK)
		assert_string_equal(m.question.text, asked.text);
	assert_int_equal(m.rcode, json_integer_value(json_object_get(want, "rcode")));
	size_t count = 0;
	uint32_t least = UINT32_MAX;
	for (; dns_next(&m, &d) == PARSE_OK; count++) {
		assert_true(lists(addresses, &d.address));
		least = d.ttl < least ? d.ttl : least;
	}
	assert_int_equal(count, json_array_size(addresses));
	uint32_t ttl = (uint32_t)json_integer_value(json_object_get(want, "ttl"));
	if (count && json_array_size(json_object_get(want, "cnames")) == 0)
		assert_int_equal(least, ttl);
	else if (count) /* theirs is the address records' own */
		assert_true(least <= ttl);
	r->compared++;
}

static void tcp_message(void *ctx, const struct dns_peers *peers, bool from_client,
			struct cursor message)
{
	compare(ctx, message);
}

static void frame(struct run *r, struct dns_tcp *tcp, int dlt, const uint8_t *bytes, size_t len)
{
	const struct host_key host = {{1}};
	struct link_frame link;
	struct packet p;
	if (link_parse(dlt, bytes, len, &link) != LINK_IP ||
	    packet_parse(link.ip, link.len, &p) != PACKET_OK)
		return;
	if (p.transport == IPPROTO_UDP && p.src_port == 53)
		compare(r, p.payload);
	else if (p.transport == IPPROTO_TCP)
		dns_tcp_packet(tcp, &p, p.dst_port == 53, &host, 0, tcp_message, r);
}

static void capture(struct run *r, const char *name)
{
	char path[512], error[PCAP_ERRBUF_SIZE];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	pcap_t *pcap = pcap_open_offline(path, error);
	assert_non_null(pcap);
	struct dns_tcp *tcp = dns_tcp_new(16);
	struct pcap_pkthdr *header;
	const u_char *bytes;
	for (r->frame = 1; pcap_next_ex(pcap, &header, &bytes) == 1; r->frame++)
		frame(r, tcp, pcap_datalink(pcap), bytes, header->caplen);
	dns_tcp_free(tcp);
	pcap_close(pcap);
}

/* DNS over port 53 that is not malformed: what the gateway reads. Two captures it means not to
 * read: answers that have two questions, and a connection without its start. */
static bool is_ours(json_t *one)
{
	const char *name = json_string_value(json_object_get(one, "pcap"));
	return strcmp(name, "ndpi_malformed_dns.pcap") != 0 &&
	       strcmp(name, "sv_dns-reversed-tcp-1__dns.pcap") != 0 &&
	       json_integer_value(json_object_get(one, "sport")) == 53 &&
	       !json_boolean_value(json_object_get(one, "malformed"));
}

static void test_captures(void **state)
{
	if (!line_count)
		skip();
	unsigned compared = 0, wanted = 0;
	for (size_t i = 0; i < line_count;) {
		struct run r = {.all = json_array()};
		char name[256] = "";
		for (; i < line_count; i++) {
			json_t *one = json_loads(lines[i], 0, NULL);
			const char *of = json_string_value(json_object_get(one, "pcap"));
			if (*name && strcmp(of, name) != 0) {
				json_decref(one);
				break;
			}
			snprintf(name, sizeof name, "%s", of);
			wanted += is_ours(one);
			if (is_ours(one))
				json_array_append(r.all, one);
			json_decref(one);
		}
		if (json_array_size(r.all))
			capture(&r, name);
		compared += r.compared;
		json_decref(r.all);
	}
	print_message("%u of %u answers compared\n", compared, wanted);
	assert_int_equal(compared, wanted);
}

int main(void)
{
	char path[512];
	if (getenv("TIERGATE_CAPTURES"))
		folder = getenv("TIERGATE_CAPTURES");
	snprintf(path, sizeof path, "%s/expected_dns.jsonl", folder);
	FILE *f = fopen(path, "r");
	if (f) {
		read_lines(f);
		fclose(f);
	}
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_captures)};
	return cmocka_run_group_tests_name("dns_captures", tests, NULL, NULL);
}
