/* One meaning for every cut: what the first bytes of a connection are found to be, all of them are,
 * for every prefix of every entry of the fuzz targets' corpora and every reader. */
#include "../../http_requests.h"
#include "bytes.h"
#include "name/first.h"
#include "name/starttls.h"
#include "name/hello.h"
#include "name/http.h"
#include "base/host.h"
#include "name/tls.h"
#include "unit.h"

#include <glob.h>
#include <stdio.h>

enum { BIGGEST = 6000 }; /* of an entry that is cut everywhere */

struct verdict {
	enum parse parse;
	enum hello_name name;
	struct host host;
};

static struct verdict read_as(int reader, const uint8_t *bytes, size_t len)
{
	struct hello h;
	uint32_t early = reader == 1 ? TLS_EARLY_MAX : 0;
	uint64_t used;
	struct cursor c = cursor_of(bytes, len);
	enum parse answer = reader == 0   ? first_hello(c, &h)
			    : reader == 1 ? tls_next_hello(c, &early, &used, &h)
			    : reader == 2 ? tls_next_hello(c, &early, &used, &h)
			    : reader == 3 ? http_request(c, &h)
					  : first_starttls(starttls_ports[reader - 4], c, &h);
	struct verdict v = {.parse = answer, .name = HELLO_NAME_ABSENT};
	if (answer == PARSE_OK) {
		v.name = h.name;
		v.host = h.host;
	}
	return v;
}

static bool same(const struct verdict *a, const struct verdict *b)
{
	return a->parse == b->parse && a->name == b->name &&
	       (a->name != HELLO_NAME_OK || host_equal(&a->host, &b->host));
}

static void check_prefixes(const char *path, const uint8_t *bytes, size_t len)
{
	for (int reader = 0; reader < 4 + (int)starttls_port_count; reader++) {
		struct verdict whole = read_as(reader, bytes, len);
		for (size_t i = 0; i < len; i++) {
			uint8_t *copy = exact(bytes, i);
			struct verdict part = read_as(reader, copy, i);
			free(copy);
			if (part.parse != PARSE_MORE && !same(&part, &whole))
				fail_msg("%s: reader %d finds %d after %zu bytes, %d after all",
					 path, reader, part.parse, i, whole.parse);
		}
	}
}

struct told {
	enum parse end;
	unsigned requests;
	char hosts[4096];
};

/* All requests of a connection that comes in pieces. */
static void follow(const uint8_t *bytes, size_t len, size_t piece, struct told *t)
{
	struct http_follow f = {0};
	uint64_t at = 0;
	memset(t, 0, sizeof *t);
	for (size_t have = piece < len ? piece : len;;) {
		uint64_t used = 0;
		struct hello h;
		t->end = at > have ? PARSE_MORE
				   : next_request(&f, cursor_of(bytes + at, have - at), &used, &h);
		at += used;
		if (t->end == PARSE_OK) {
			t->requests++;
			if (strlen(t->hosts) + h.host.len + 2 < sizeof t->hosts)
				strcat(strcat(t->hosts, h.host.text), ",");
		} else if (t->end != PARSE_MORE || have == len) {
			return;
		} else {
			have = len - have < piece ? len : have + piece;
		}
	}
}

static void check_requests(const char *path, const uint8_t *bytes, size_t len)
{
	static struct told whole, cut;
	follow(bytes, len, len, &whole);
	for (size_t piece = 1; piece < 40 && piece < len; piece++) {
		follow(bytes, len, piece, &cut);
		if (cut.end != whole.end || cut.requests != whole.requests ||
		    strcmp(cut.hosts, whole.hosts) != 0)
			fail_msg("%s in pieces of %zu: %u %s, not %u %s", path, piece, cut.requests,
				 cut.hosts, whole.requests, whole.hosts);
	}
}

static void check_file(const char *path, bool has_port)
{
	static uint8_t bytes[BIGGEST + 1];
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t len = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	if (len <= has_port || len > BIGGEST)
		return;
	check_prefixes(path, bytes + has_port, len - has_port);
	check_requests(path, bytes + has_port, len - has_port);
}

static void check_corpus(const char *pattern, bool has_port)
{
	glob_t found;
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_file(found.gl_pathv[i], has_port);
	globfree(&found);
}

static void test_http_corpus(void **state)
{
	check_corpus("tests/fuzz/corpus/http/*", true);
}

static void test_tls_corpus(void **state)
{
	check_corpus("tests/fuzz/corpus/tls/*", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_corpus),
		cmocka_unit_test(test_tls_corpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
