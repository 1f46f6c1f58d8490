#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wiring/loaded.h"
#include "wiring/rules.h"
#include "wiring/wiring.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *lan[] = {"lan0", "lan1"};
static struct network nets[3];

static struct config base(void)
{
	assert_true(network_parse("10.0.0.0/8", &nets[0]));
	assert_true(network_parse("fd00::/8", &nets[1]));
	assert_true(network_parse("10.0.0.53", &nets[2]));
	return (struct config){.path = "c",
			       .inside = {lan, 1},
			       .internal = {nets, 2},
			       .resolvers = {nets + 2, 1},
			       .queues = 1,
			       .queue_first = 4,
			       .mark_mask = 0xff00};
}

static char *text(const struct config *c, enum wiring_backend b, unsigned epoch)
{
	struct errors errors = {0};
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	assert_true(wiring_text(c, b, epoch, f, &errors));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(errors.count, 0);
	return out;
}

static void has(const struct config *c, enum wiring_backend b, const char *want, bool there)
{
	char *t = text(c, b, 0);
	if ((strstr(t, want) != NULL) != there)
		fail_msg("%s: \"%s\" %s in:\n%s", wiring_backend_name(b), want,
			 there ? "is not" : "is", t);
	free(t);
}

static void refused(const struct config *c, const char *why)
{
	struct errors errors = {0};
	FILE *f = fopen("/dev/null", "w");
	assert_false(wiring_text(c, WIRING_NFT, 0, f, &errors));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], why));
	errors_deinit(&errors);
	fclose(f);
}

static void a_flowtable_takes_what_is_allowed_and_established(void **state)
{
	char *names[] = {"lan0", "wan0"};
	struct config c = base();
	has(&c, WIRING_NFT, "flowtable", false);
	c.flowtable = (struct strings){names, 2};
	has(&c, WIRING_NFT, "\t\tdevices = { \"lan0\", \"wan0\", \"lo\" }\n", true);
	has(&c, WIRING_NFT,
	    "\tchain skip {\n\t\ttype filter hook forward priority filter + 300; policy accept;\n"
	    "\t\tmeta l4proto tcp ct state established ct expiration > 4m "
	    "ct mark & 0xff00 == 0x400 flow add @flows\n\t}\n",
	    true);
	has(&c, WIRING_IPTABLES, "flow", false);
}

static void unfit_settings_are_refused(void **state)
{
	static const char *const names[] = {"", "lan0; flush ruleset", "a\"b", "abcdefghijklmnop"};
	struct config c = base();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		c.inside = (struct strings){(char **)&names[i], 1};
		refused(&c, "not the name of an interface");
		c.inside = base().inside;
		c.flowtable = (struct strings){(char **)&names[i], 1};
		refused(&c, "`flowtable`: ");
		c.flowtable.count = 0;
	}
	c.inside.count = 0;
	refused(&c, "names no interface");
	c = base();
	static const uint32_t masks[] = {0, 0x3f, 0xf0f0, 0x1ff00ff};
	for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
		c.mark_mask = masks[i];
		refused(&c, "can't hold a mark");
	}
	c.mark_mask = 0xfe000000;
	has(&c, WIRING_NFT, "0xfe000000", true);
	c = base();
	c.queue_first = 65535;
	refused(&c, "not within");
	c = base();
	c.on_deny = CONFIG_REDIRECT;
	refused(&c, "portal");
}

static void closed_and_open(void **state)
{
	struct config c = base();
	has(&c, WIRING_NFT, "\tqueue to 4\n", true);
	has(&c, WIRING_IPTABLES, "-j NFQUEUE --queue-num 4\n", true);
	has(&c, WIRING_IPTABLES, "-j NFLOG --nflog-group 5 --nflog-threshold 1\n", true);
	has(&c, WIRING_NFT, "log group 5 queue-threshold 1 accept\n", true);
	has(&c, WIRING_NFT, "{ 0xd00, 0xf00 } accept\n\t\tcounter drop", true);
	c.when_down = CONFIG_OPEN;
	c.queues = 3;
	has(&c, WIRING_NFT, "\tqueue flags bypass to 4-6\n", true);
	has(&c, WIRING_IPTABLES, "--queue-balance 4:6 --queue-bypass\n", true);
	has(&c, WIRING_NFT, "log group 7 queue-threshold 1 accept\n", true);
	has(&c, WIRING_NFT, "{ 0xd00, 0xf00 } accept\n\t\tcounter accept", true);
	c.when_down = CONFIG_CLOSED;
	c.when_full = CONFIG_OPEN;
	has(&c, WIRING_NFT, "\tqueue to 4-6\n", true);
	has(&c, WIRING_IPTABLES, "-A TIERGATE-SENT -j RETURN", true);
	has(&c, WIRING_NFT, "{ 0xd00, 0xf00 } accept\n\t\tcounter accept", true);
	c.when_full = CONFIG_CLOSED;
	has(&c, WIRING_NFT, "{ 0xd00, 0xf00 } accept\n\t\tcounter drop", true);
	has(&c, WIRING_IPTABLES, "-A TIERGATE-SENT -j RETURN", false);
}

/* A client can send itself what a resolver would: an answer is believed by the resolver's own route
 * only, whichever IP version it has. */
static void answers_come_by_the_resolvers_own_route(void **state)
{
	struct config c = base();
	has(&c, WIRING_NFT,
	    "ip saddr @resolvers4 ct state established ct direction reply meta l4proto { tcp, udp "
	    "} "
	    "th sport 53 fib saddr . iif oif exists meta mark set",
	    true);
	has(&c, WIRING_NFT,
	    "ip6 saddr @resolvers6 ct state established ct direction reply meta l4proto { tcp, udp "
	    "} th sport 53 fib saddr . iif oif exists meta mark set",
	    true);
	has(&c, WIRING_IPTABLES, "-A TIERGATE-ANSWERS -m rpfilter --invert -j RETURN\n", true);
	has(&c, WIRING_NFT, "meta nfproto ipv4 fib saddr . iif oif missing counter drop\n", true);
	has(&c, WIRING_NFT, "ip6 saddr != :: fib saddr . iif oif missing counter drop\n", true);
}

static void on_deny_decides_the_answer(void **state)
{
	struct config c = base();
	has(&c, WIRING_NFT, "reject with tcp reset", true);
	has(&c, WIRING_IPTABLES, "icmp6-adm-prohibited", true);
	c.on_deny = CONFIG_DROP;
	has(&c, WIRING_NFT, "reject", false);
	has(&c, WIRING_IPTABLES, "REJECT", false);
	c.on_deny = CONFIG_REDIRECT;
	c.portal[1].port = 80;
	assert_true(address_parse("fd00::1", &c.portal[1].address));
	has(&c, WIRING_NFT, "dnat ip6 to [fd00::1]:80", true);
	has(&c, WIRING_NFT, "meta nfproto ipv4 meta mark & 0xf00 == 0x600 meta mark set", true);
	has(&c, WIRING_IPTABLES, "--to-destination [fd00::1]:80", true);
	c.portal[0].port = 8080;
	assert_true(address_parse("10.0.0.1", &c.portal[0].address));
	for (int b = WIRING_NFT; b <= WIRING_IPTABLES; b++) { /* both IP versions */
		has(&c, b, "10.0.0.1:8080", true);
		has(&c, b, "[fd00::1]:80", true);
	}
	has(&c, WIRING_NFT, "0x600 meta mark set", false); /* none is rejected */
}

static void observe_mode_drops_nothing(void **state)
{
	struct config c = base();
	c.mode = CONFIG_OBSERVE;
	c.when_down = c.when_full = CONFIG_OPEN;
	has(&c, WIRING_NFT, "drop", false);
	char *t = text(&c, WIRING_IPTABLES, 0);
	for (char *at = t; (at = strstr(at, "-j DROP")); at++) /* the backstop of a denied mark */
		assert_memory_equal(at - strlen("-A TIERGATE-DENIED "), "-A TIERGATE-DENIED ", 19);
	free(t);
}

static void every_interface_and_network_has_its_rule(void **state)
{
	struct config c = base();
	c.inside.count = 2;
	has(&c, WIRING_NFT, "iifname { \"lan0\", \"lan1\" } goto from_inside", true);
	has(&c, WIRING_IPTABLES, "-A TIERGATE-PREROUTING -i lan1 -g TIERGATE-INSIDE", true);
	has(&c, WIRING_IPTABLES, "-A TIERGATE-INSIDE -d 10.0.0.0/8 -j RETURN", true);
	has(&c, WIRING_IPTABLES, "-A TIERGATE-INSIDE -d fd00::/8 -j RETURN", true);
	has(&c, WIRING_NFT, "elements = { fd00::/8 }", true);
}

static void all_of_one_version_holds_none_of_the_other(void **state)
{
	struct config c = base();
	assert_true(network_parse("::/0", &nets[1]));
	has(&c, WIRING_NFT, "elements = { 10.0.0.0/8 }", true);
	has(&c, WIRING_IPTABLES, "-A TIERGATE-INSIDE -d ::/0 -j RETURN", true);
	has(&c, WIRING_IPTABLES, "0.0.0.0/0", false);
	assert_true(network_parse("0.0.0.0/0", &nets[1]));
	has(&c, WIRING_IPTABLES, "-A TIERGATE-INSIDE -d 0.0.0.0/0 -j RETURN", true);
	has(&c, WIRING_IPTABLES, "::/0", false);
}

/* Every rule of the shipped modes, as tests/conf/wiring/base.* has them; conf's own test holds each
 * mode beside it. */
static void the_rules_are_as_written(void **state)
{
	static const char settings[] =
		"inside = [ \"lan0\", \"lan1\" ]; internal = [ \"10.0.0.0/8\", \"fd00::/8\" ];"
		"resolvers = [ \"10.0.0.53\", \"fd00::53\" ]; queues = 2; tiers = ( );";
	char path[] = "/tmp/tiergate-rules-XXXXXX", want[32768];
	struct errors errors = {0};
	FILE *f = fdopen(mkstemp(path), "w");
	assert_true(f && fputs(settings, f) >= 0 && fclose(f) == 0);
	struct config *c = config_load(path, CONFIG_FOR_CHECK, &errors);
	assert_non_null(c);
	for (int b = WIRING_NFT; b <= WIRING_IPTABLES; b++) {
		snprintf(want, sizeof want, "tests/conf/wiring/base.%s", wiring_backend_name(b));
		assert_non_null(f = fopen(want, "r"));
		want[fread(want, 1, sizeof want - 1, f)] = '\0';
		fclose(f);
		char *is = text(c, b, 0), *name;
		while ((name = strstr(is, "TIERGATE-00-")) != NULL) {
			memcpy(name, "TIERGATE-NAME", 13); /* as the file has it */
			memmove(name + 13, name + 28, strlen(name + 28) + 1);
		}
		assert_string_equal(is, want);
		free(is);
	}
	config_free(c);
	unlink(path);
}

/* What later hooks match must not change with the epoch, or a change would open a hole. */
static void the_epoch_is_in_flow_marks_alone(void **state)
{
	struct config c = base();
	char *a = text(&c, WIRING_IPTABLES, 0), *b = text(&c, WIRING_IPTABLES, 7);
	size_t filter = (size_t)(strstr(a, "*mangle") - a);
	assert_memory_equal(a, b, filter);
	assert_non_null(strstr(b, "--mark 0x7400/0xff00"));
	free(a);
	free(b);
}

static void names_keep_what_they_say(void **state)
{
	struct rules_name in = {
		.epoch = 5, .acct = true, .rules = "0123abcd", .policy = "ffff0000"};
	struct rules_name out;
	char name[RULES_NAME_MAX];
	rules_name_format(&in, name);
	assert_string_equal(name, "TIERGATE-51-0123abcdffff0000");
	assert_true(rules_name_parse(name, &out));
	assert_int_equal(out.epoch, 5);
	assert_true(out.acct);
	assert_string_equal(out.rules, in.rules);
	assert_string_equal(out.policy, in.policy);
	static const char *const bad[] = {
		"TIERGATE-INSIDE", "TIERGATE-b1-0123abcdffff000",  "TIERGATE-b1-0123abcdffff00001",
		"TIERGATE-",       "tiergate-b1-0123abcdffff0000", ""};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(rules_name_parse(bad[i], &out));
}

static const char save[] = "*filter\n:FORWARD DROP [0:0]\n:other - [0:0]\n:TIERGATE-A - [0:0]\n"
			   "-A FORWARD -j other\n-A FORWARD -m x -j TIERGATE-A\n"
			   "-A TIERGATE-A -j DROP\nCOMMIT\n"
			   "*nat\n:TIERGATE-B - [0:0]\n-A PREROUTING -j TIERGATE-B\nCOMMIT\n";

static void replacing_takes_ours_alone(void **state)
{
	struct loaded l = {.save = {(char *)save, ""}};
	char *whole = loaded_replace(&l, 4, "*filter\n:TIERGATE-A - [0:0]\nCOMMIT\n");
	assert_string_equal(whole, "*filter\n-D FORWARD -m x -j TIERGATE-A\n-F TIERGATE-A\n"
				   "-X TIERGATE-A\n:TIERGATE-A - [0:0]\nCOMMIT\n"
				   "*nat\n-D PREROUTING -j TIERGATE-B\n-F TIERGATE-B\n"
				   "-X TIERGATE-B\nCOMMIT\n");
	free(whole);
	whole = loaded_replace(&l, 6, "");
	assert_string_equal(whole, "");
	free(whole);
}

static void differences_are_said(void **state)
{
	struct loaded l = {.iptables = true, .save = {(char *)save, ""}};
	struct errors errors = {0};
	loaded_compare(&l, 4, save, &errors);
	assert_int_equal(errors.count, 0);
	loaded_compare(&l, 4,
		       "*filter\n:TIERGATE-A - [0:0]\n-A FORWARD -m x -j TIERGATE-A\n"
		       "-A TIERGATE-A -j DROP\n-A TIERGATE-A -j REJECT\n*nat\n"
		       ":TIERGATE-B - [0:0]\n",
		       &errors);
	assert_int_equal(errors.count, 2);
	assert_string_equal(errors.lines[0],
			    "missing from the kernel: filter: -A TIERGATE-A -j REJECT");
	assert_string_equal(errors.lines[1],
			    "not ours, but among our rules: nat: -A PREROUTING -j TIERGATE-B");
	errors_deinit(&errors);
	/* the same words in another chain are another rule */
	l = (struct loaded){.nft = true,
			    .table = (char *)"table inet tiergate {\n\tchain a {\n\t\taccept\n\t}\n"
					     "\tchain b {\n\t\taccept\n\t}\n}\n"};
	loaded_compare(&l, 4,
		       "table inet tiergate {\n\tchain a {\n\t\taccept\n\t}\n\tchain b {\n\t}\n}\n",
		       &errors);
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.lines[0], "not ours, but among our rules: b: accept");
	errors_deinit(&errors);
}

static void order_is_checked(void **state)
{
	struct loaded l = {.iptables = true, .save = {(char *)save, ""}};
	struct errors errors = {0};
	loaded_check_order(&l, &errors);
	assert_int_equal(errors.count, 1);
	assert_non_null(
		strstr(errors.lines[0], "table filter a rule stands before ours in FORWARD"));
	l.save[0] =
		"*mangle\n-A PREROUTING -j x\n-A PREROUTING -j TIERGATE-P\n-A INPUT -j TIERGATE-D\n"
		"-A INPUT -j y\n";
	loaded_check_order(&l, &errors);
	assert_int_equal(errors.count, 1);
	l.save[0] = "*mangle\n-A PREROUTING -j TIERGATE-P\n-A PREROUTING -j x\n";
	loaded_check_order(&l, &errors);
	assert_int_equal(errors.count, 2);
	assert_non_null(strstr(errors.lines[1], "must be last"));
	errors_deinit(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flowtable_takes_what_is_allowed_and_established),
		cmocka_unit_test(unfit_settings_are_refused),
		cmocka_unit_test(closed_and_open),
		cmocka_unit_test(answers_come_by_the_resolvers_own_route),
		cmocka_unit_test(on_deny_decides_the_answer),
		cmocka_unit_test(observe_mode_drops_nothing),
		cmocka_unit_test(every_interface_and_network_has_its_rule),
		cmocka_unit_test(all_of_one_version_holds_none_of_the_other),
		cmocka_unit_test(the_rules_are_as_written),
		cmocka_unit_test(the_epoch_is_in_flow_marks_alone),
		cmocka_unit_test(names_keep_what_they_say),
		cmocka_unit_test(replacing_takes_ours_alone),
		cmocka_unit_test(differences_are_said),
		cmocka_unit_test(order_is_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
