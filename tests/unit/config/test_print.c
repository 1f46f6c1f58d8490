/* Every configuration that is accepted prints one that is accepted, and prints the same: random
 * ones, made from the schema, of values at the edges of their ranges and within. */
#include "unit.h"

#include "config/files.h"
#include "config/schema.h"
#include "config/value.h"
#include "random.h"

static long long in_range(const struct option *o)
{
	switch (random_below(4)) {
	case 0: return o->min;
	case 1: return o->max;
	default: return o->min + (long long)(random_below(1u << 31) % (uint64_t)(o->max - o->min));
	}
}

/* Of durations a whole number of milliseconds. */
static void put_value(const struct option *o, struct buf *b)
{
	static const char *const masks[] = {"0x7f000000", "0x0000007f", "0xffffffff", "0x00ff0000"};
	size_t words = 0;
	switch (o->type) {
	case OPTION_WORD:
		while (o->words[words].text)
			words++;
		buf_printf(b, "\"%s\"", o->words[random_below((uint32_t)words)].text);
		break;
	case OPTION_NUMBER: buf_printf(b, "%lld", in_range(o)); break;
	case OPTION_MASK: buf_text(b, masks[random_below(4)]); break;
	case OPTION_DURATION: buf_printf(b, "\"%lldms\"", in_range(o) / 1000000); break;
	case OPTION_PATH: buf_text(b, "\"/a path\""); break;
	case OPTION_INTERFACES: buf_text(b, "[ \"lan0\" ]"); break;
	case OPTION_NETWORKS: buf_text(b, "[ \"192.0.2.0/24\", \"::/0\" ]"); break;
	case OPTION_ENDPOINTS: buf_text(b, "\"10.0.0.2:8080\""); break;
	default: buf_text(b, "[ ]"); break;
	}
}

static void put_table(const struct table *t, struct buf *b)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option *o = &t->options[i];
		if (option_is_policy(o) || random_below(3) == 0)
			continue;
		buf_printf(b, "%s = ", o->name);
		if (o->type == OPTION_GROUP) {
			buf_text(b, "{ ");
			put_table(o->table, b);
			buf_char(b, '}');
		} else {
			put_value(o, b);
		}
		buf_text(b, "; ");
	}
}

static struct config *load(const char *text)
{
	struct errors errors = {0};
	files_write("main.conf", text);
	struct config *c = config_load(files_path("main.conf"), CONFIG_FOR_CHECK, &errors);
	errors_deinit(&errors);
	return c;
}

static void what_is_accepted_prints_what_is(void **state)
{
	unsigned accepted = 0;
	for (int i = 0; i < 1500; i++) {
		char text[8192] = "";
		struct buf b = BUF_OF(text);
		put_table(&schema_main, &b);
		struct config *c = load(text);
		if (!c)
			continue; /* more is held than a queue has, and the like */
		accepted++;
		char *printed = files_print(c);
		struct config *again = load(printed);
		if (!again)
			fail_msg("accepted: %s\nand not what it prints: %s", text, printed);
		char *second = files_print(again);
		assert_string_equal(second, printed);
		free(second);
		free(printed);
		config_free(again);
		config_free(c);
	}
	assert_true(accepted > 200);
}

/* The widest queue gives the most that may be held, the narrowest the least. */
static void defaults_stay_within_their_ranges(void **state)
{
	struct config *c = load("queue_length = 1048576;");
	assert_int_equal(c->held, 65536);
	assert_int_equal(c->held_per_client, 4096);
	config_free(c);
	c = load("queue_length = 64;");
	assert_int_equal(c->held, 16);
	assert_int_equal(c->held_per_client, 4);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_accepted_prints_what_is),
		cmocka_unit_test(defaults_stay_within_their_ranges),
	};
	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
