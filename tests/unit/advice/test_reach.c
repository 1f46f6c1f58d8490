/* Who is at an address is one thing to packets, to "why" and to the portal's pages. */
#include "advice/explain.h"
#include "advice/reach.h"
#include "worker/rig.h"

#define HOSTS                                                                                      \
	"hosts = ( { address = \"10.9.0.20\"; user = \"printer\"; tier = \"press\"; },\n"          \
	"          { mac = \"02:00:00:00:00:1e\"; user = \"scanner\"; tier = \"press\"; } );\n"

static const uint8_t SCANNER[6] = {2, 0, 0, 0, 0, 0x1e}, ANN[6] = {2, 0, 0, 0, 0, 0xa};

static const struct {
	const char *address, *user, *tier;
	bool signed_in;
} cases[] = {
	{"10.9.0.5", "", "guest", false},         /* the segment's */
	{"10.9.0.20", "printer", "press", false}, /* a host by its address, before the segment */
	{"10.9.0.30", "scanner", "press", false}, /* by its MAC address */
	{"10.9.0.7", "ann", "press", true},       /* signed in */
	{"10.9.0.8", "ann", "press", true},       /* another address of her host */
	{"10.8.0.5", "", "", false},
};

static void at(struct rig *r, const char *text, const uint8_t mac[6])
{
	struct address a;
	assert_true(address_parse(text, &a));
	onlink_set(r->onlink, &a, mac);
}

static struct rig *make(void)
{
	struct rig *r = rig_on(POLICY HOSTS, true);
	struct session s = {.user = "ann", .tier = "press", .source = "login"}, out;
	struct address a, six;
	struct network n;
	assert_true(network_parse("10.9.0.0/24", &n));
	onlink_route(r->onlink, &n, 1, true);
	assert_true(address_parse("10.9.0.7", &a) && address_parse("2001:db8::7", &six));
	at(r, "10.9.0.7", ANN);
	at(r, "10.9.0.8", ANN);
	at(r, "10.9.0.20", (const uint8_t[6]){2, 0, 0, 0, 0, 0x14});
	at(r, "10.9.0.30", SCANNER);
	assert_int_equal(session_open(r->sessions, &a, &s, r->source.now), 0);
	assert_true(session_at(r->sessions, &a, r->source.now, &out));
	assert_true(address_parse("10.9.0.8", &a));
	assert_int_equal(session_add_address(r->sessions, out.id, &a), 0);
	return r;
}

static void check_text(const json_t *j, const char *key, const char *want)
{
	const char *text = json_string_value(json_object_get(j, key));
	assert_string_equal(text ? text : "", want);
}

static void check_reach(struct rig *r, size_t i)
{
	const struct who_from from = {r->snapshot, r->sessions, r->onlink};
	struct address a;
	json_t *to = json_object();
	assert_true(address_parse(cases[i].address, &a));
	reach(&from, NULL, &a, r->source.now, 0, to);
	check_text(to, "user", cases[i].user);
	check_text(to, "tier", cases[i].tier);
	check_text(to, "source", cases[i].signed_in ? "login" : "");
	assert_int_equal(json_object_get(to, "session") != NULL, cases[i].signed_in);
	assert_int_equal(json_array_size(json_object_get(to, "may")),
			 cases[i].tier[0] ? 1 + (cases[i].tier[0] == 'p') : 0);
	json_decref(to);
}

static void check_why(struct rig *r, size_t i)
{
	const struct who_from from = {r->snapshot, r->sessions, r->onlink};
	char wrong[200] = "";
	struct buf b = BUF_OF(wrong);
	json_t *to = json_object(),
	       *q = json_pack("{ssss}", "address", cases[i].address, "to", "social.example");
	assert_true(explain(&from, q, r->source.now, 0, to, &b));
	check_text(to, "user", cases[i].user);
	check_text(to, "tier", cases[i].tier);
	check_text(to, "action", cases[i].tier[0] == 'p' ? "allow" : "deny");
	assert_int_equal(json_is_true(json_object_get(to, "signed_in")), cases[i].signed_in);
	json_decref(to);
	json_decref(q);
}

static void check_packet(struct rig *r, size_t i)
{
	r->logged = 0;
	syn(r, cases[i].address, 4000);
	if (cases[i].tier[0])
		hello(r, cases[i].address, 4000, "social.example");
	assert_int_equal(r->logged, 1);
	assert_string_equal(r->log[0].user, cases[i].user);
	assert_string_equal(r->log[0].tier, cases[i].tier);
}

static void all_three_agree(void **state)
{
	struct rig *r = make();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		check_reach(r, i);
		check_why(r, i);
		check_packet(r, i);
	}
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_three_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
