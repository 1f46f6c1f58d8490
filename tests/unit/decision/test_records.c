/* Log files as logrotate leaves them: in order, compressed, torn, cut, with other lines between. */
#include "base/clock.h"
#include "decision/record.h"
#include "decision/records.h"
#include "unit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[8][96];
	static unsigned next;
	char *p = path[next++ % 8];
	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

static int start(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/tiergate-records-XXXXXX");
	return mkdtemp(dir) ? 0 : 1;
}

static int stop(void **state)
{
	static const char *const names[] = {"log",       "log.1",        "log.2.gz",
					    "log.10.gz", "log-20261101", "log.old",
					    "logger",    "pipe",         "log.3.xz"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(in_dir(names[i]));
	return rmdir(dir);
}

/* A record of a second, as text. */
static size_t record(int64_t second, char out[static RECORD_MAX])
{
	struct decision d = {.time = second * NS_PER_S,
			     .reason = REASON_NO_LINE,
			     .evidence = EVIDENCE_SNI_DNS,
			     .transport = IPPROTO_TCP,
			     .client = address_from4((uint8_t[]){10, 0, 0, 7}),
			     .server = address_from4((uint8_t[]){203, 0, 113, 80})};
	struct buf b = {.data = out, .cap = RECORD_MAX};
	record_write(&b, &d, NULL);
	return b.len;
}

/* `count` records from a second on, then some text. */
static void put(const char *name, int64_t second, int count, const char *behind)
{
	char line[RECORD_MAX];
	bool zipped = strstr(name, ".gz");
	gzFile f = gzopen(in_dir(name), zipped ? "wb" : "wbT");
	assert_non_null(f);
	for (int i = 0; i < count; i++)
		gzwrite(f, line, (unsigned)record(second + i, line));
	gzwrite(f, behind, (unsigned)strlen(behind));
	assert_int_equal(gzclose(f), Z_OK);
}

/* Reads all; the seconds must rise by one from `second` on. */
static void read_all(struct records *r, int64_t second, int count)
{
	struct decision d;
	assert_non_null(r);
	for (int i = 0; i < count; i++) {
		assert_true(records_next(r, &d));
		assert_int_equal(d.time / NS_PER_S, second + i);
	}
	assert_false(records_next(r, &d));
	assert_int_equal(records_counted(r)->good, count);
}

static void a_log_and_what_was_rotated(void **state)
{
	struct errors errors = {0};
	put("log.10.gz", 1000, 3000, "");
	put("log.2.gz", 4000, 2, "");
	put("log.1", 4002, 1, "");
	put("log", 4003, 2, "");
	put("log.old", 9000, 1, ""); /* somebody's copy */
	put("logger", 9000, 1, "");
	struct records *r = records_open_log(in_dir("log"), &errors);
	read_all(r, 1000, 3005);
	assert_int_equal(records_counted(r)->first[0], 0);
	records_free(r);
	unlink(in_dir("log")); /* rotated, and no record since */
	r = records_open_log(in_dir("log"), &errors);
	read_all(r, 1000, 3003);
	records_free(r);
	const char *const given[] = {in_dir("log.1"), in_dir("log.2.gz"), in_dir("log.10.gz")};
	r = records_open(given, 3, &errors);
	read_all(r, 1000, 3003);
	records_free(r);
	assert_int_equal(errors.count, 0);
}

static void what_is_no_record_is_counted(void **state)
{
	struct errors errors = {0};
	char *wide = calloc(1, 600000);
	memset(wide, 'x', 599999);
	put("log.1", 5000, 2,
	    "{\"@timestamp\":\"2030-01-01T00:00:00Z\",\"event.action\":\"quarantine\"}\n"
	    "tiergated: a line of another program\n{}\n\n");
	const char *one = in_dir("log.1");
	FILE *f = fopen(one, "a");
	fprintf(f, "%s\n", wide);
	char line[RECORD_MAX];
	size_t len = record(5002, line);
	fwrite(line, 1, len, f);
	fwrite(line, 1, len - 10, f); /* torn */
	fclose(f);
	struct records *r = records_open(&one, 1, &errors);
	read_all(r, 5000, 3);
	const struct records_count *c = records_counted(r);
	assert_int_equal(c->strange, 2);
	assert_int_equal(c->damaged, 3);
	assert_int_equal(c->torn, 1);
	assert_int_equal(c->cut, 0);
	assert_string_equal(c->first, "log.1:3");
	records_free(r);
	free(wide);
}

/* A last line that lacks only its newline is whole; an endless one is torn. */
static void the_last_line(void **state)
{
	struct errors errors = {0};
	char line[RECORD_MAX];
	size_t len = record(6001, line);
	line[len - 1] = '\0';
	put("log", 6000, 1, line);
	const char *path = in_dir("log");
	struct records *r = records_open(&path, 1, &errors);
	read_all(r, 6000, 2);
	assert_int_equal(records_counted(r)->torn, 0);
	records_free(r);
	char *wide = calloc(1, 600000);
	memset(wide, '{', 599999);
	put("log", 6000, 1, wide);
	r = records_open(&path, 1, &errors);
	read_all(r, 6000, 1);
	assert_int_equal(records_counted(r)->torn, 1);
	assert_string_equal(records_counted(r)->first, "log:2");
	records_free(r);
	free(wide);
}

static void a_compressed_file_that_ends_early(void **state)
{
	struct errors errors = {0};
	put("log.2.gz", 7000, 20000, "");
	FILE *f = fopen(in_dir("log.2.gz"), "r");
	fseek(f, 0, SEEK_END);
	assert_int_equal(truncate(in_dir("log.2.gz"), ftell(f) / 2), 0);
	fclose(f);
	put("log.1", 9000000, 5, "");
	const char *const paths[] = {in_dir("log.1"), in_dir("log.2.gz")};
	struct records *r = records_open(paths, 2, &errors);
	struct decision d;
	int64_t count = 0;
	for (; records_next(r, &d); count++)
		if (d.time / NS_PER_S < 9000000)
			assert_int_equal(d.time / NS_PER_S, 7000 + count);
	assert_true(count > 5000 && count < 15000);
	char after[64];
	snprintf(after, sizeof after, "log.2.gz:%lld", (long long)count - 5);
	assert_int_equal(records_counted(r)->cut, 1);
	assert_string_equal(records_counted(r)->cut_after, after);
	assert_int_equal(d.time / NS_PER_S, 9000004);
	records_free(r);
}

/* The bytes of the folder's log.2.gz; the caller's. */
static unsigned char *packed(size_t *len)
{
	FILE *f = fopen(in_dir("log.2.gz"), "r");
	unsigned char *bytes = malloc(1 << 20);
	assert_non_null(f);
	*len = fread(bytes, 1, 1 << 20, f);
	fclose(f);
	return bytes;
}

static void put_bytes(const char *name, const void *bytes, size_t len, const char *mode)
{
	FILE *f = fopen(in_dir(name), mode);
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

/* Reads a file whose records are of the seconds from 1 on; how many there are. */
static unsigned whole_lines(const char *name, uint64_t cut, uint64_t torn, const char *after)
{
	struct errors errors = {0};
	struct decision d;
	const char *path = in_dir(name);
	unsigned n = 0;
	struct records *r = records_open(&path, 1, &errors);
	assert_non_null(r);
	while (records_next(r, &d))
		assert_int_equal(d.time / NS_PER_S, ++n);
	const struct records_count *c = records_counted(r);
	assert_int_equal(c->good, n);
	assert_int_equal(c->cut, cut);
	assert_int_equal(c->torn, torn);
	assert_int_equal(c->damaged + c->strange + c->gone, 0);
	if (after)
		assert_string_equal(c->cut_after, after);
	assert_int_equal(!c->first[0], !torn);
	records_free(r);
	return n;
}

/* What was unpacked before a fault counts to the last byte of it: the sum at the end tells of a
 * fault when all has been unpacked. */
static void nothing_read_before_a_fault_is_lost(void **state)
{
	size_t len;
	put("log.2.gz", 1, 300, "");
	unsigned char *bytes = packed(&len);
	assert_int_equal(whole_lines("log.2.gz", 0, 0, ""), 300);
	for (size_t back = 1; back <= 8; back++) { /* length and sum */
		put_bytes("log.2.gz", bytes, len - back, "w");
		assert_int_equal(whole_lines("log.2.gz", 1, 0, "log.2.gz:300"), 300);
		bytes[len - back] ^= 1;
		put_bytes("log.2.gz", bytes, len, "w");
		assert_int_equal(whole_lines("log.2.gz", 1, 0, "log.2.gz:300"), 300);
		bytes[len - back] ^= 1;
	}
	free(bytes);
}

static void a_cut_at_every_byte(void **state)
{
	size_t len;
	unsigned before = 0;
	put("log.2.gz", 1, 40, "");
	unsigned char *bytes = packed(&len);
	for (size_t cut = 1; cut < len; cut++) {
		struct errors errors = {0};
		struct decision d;
		char after[64];
		unsigned n = 0;
		const char *path = in_dir("log.2.gz");
		put_bytes("log.2.gz", bytes, cut, "w");
		struct records *r = records_open(&path, 1, &errors);
		while (records_next(r, &d))
			assert_int_equal(d.time / NS_PER_S, ++n);
		snprintf(after, sizeof after, "log.2.gz:%u", n);
		assert_int_equal(records_counted(r)->cut, 1);
		/* the last may lack its newline alone: it is read, and behind the last whole line
		 */
		if (strcmp(records_counted(r)->cut_after, after) != 0) {
			snprintf(after, sizeof after, "log.2.gz:%u", n - 1);
			assert_string_equal(records_counted(r)->cut_after, after);
			assert_int_equal(records_counted(r)->torn, 0);
		}
		assert_true(n >= before);
		before = n;
		records_free(r);
	}
	assert_int_equal(before, 40);
	free(bytes);
}

/* gzip files one behind another are one, wherever a line is parted; zeros may follow, and nothing
 * else. */
static void members_one_behind_another(void **state)
{
	static const char zeros[100000];
	size_t len, more;
	char line[RECORD_MAX], head[RECORD_MAX];
	size_t one = record(3, line);
	snprintf(head, sizeof head, "%.10s", line);
	put("log.2.gz", 4, 2, "");
	unsigned char *tail = packed(&more);
	line[one] = '\0';
	put("log.2.gz", 0, 0, line + 10); /* the rest of a line */
	unsigned char *rest = packed(&len);
	put("log.2.gz", 1, 2, head);
	put_bytes("log.2.gz", rest, len, "a");
	put_bytes("log.2.gz", "\0\0\0", 3, "a");
	put_bytes("log.2.gz", tail, more, "a");
	assert_int_equal(whole_lines("log.2.gz", 0, 0, ""), 5);
	put_bytes("log.2.gz", zeros, sizeof zeros, "a");
	assert_int_equal(whole_lines("log.2.gz", 0, 0, ""), 5);
	put_bytes("log.2.gz", "x", 1, "a");
	assert_int_equal(whole_lines("log.2.gz", 1, 0, "log.2.gz:5"), 5);
	free(tail);
	free(rest);
}

/* By its name it should be one: a full disk, or another program, made it. */
static void what_is_no_compressed_file(void **state)
{
	static const unsigned char xz[] = {0xfd, '7', 'z', 'X', 'Z', 0, '\n', 4, '\n'};
	put_bytes("log.2.gz", "", 0, "w");
	assert_int_equal(whole_lines("log.2.gz", 1, 0, "log.2.gz:0"), 0);
	put_bytes("log.2.gz", "\x1f", 1, "w");
	assert_int_equal(whole_lines("log.2.gz", 1, 0, "log.2.gz:0"), 0);
	put_bytes("log.2.gz", "\x1f\x8b", 2, "w");
	assert_int_equal(whole_lines("log.2.gz", 1, 0, "log.2.gz:0"), 0);
	put_bytes("log.2.gz", "garbage\nand more\n", 17, "w");
	assert_int_equal(whole_lines("log.2.gz", 1, 0, "log.2.gz:0"), 0);
	put_bytes("log.3.xz", xz, sizeof xz, "w");
	assert_int_equal(whole_lines("log.3.xz", 1, 0, "log.3.xz:0"), 0);
	put_bytes("log", "", 0, "w"); /* a log just begun */
	assert_int_equal(whole_lines("log", 0, 0, ""), 0);
	put("log", 1, 2, "");
	assert_int_equal(rename(in_dir("log"), in_dir("log.2.gz")), 0);
	assert_int_equal(whole_lines("log.2.gz", 0, 0, ""), 2); /* unpacked in its place */
}

static void what_cannot_be_read(void **state)
{
	struct errors errors = {0};
	const char *const paths[] = {in_dir("absent"), dir};
	assert_null(records_open(paths, 2, &errors));
	assert_int_equal(errors.count, 2);
	assert_non_null(strstr(errors.lines[0], "absent: records can't be read: No such file"));
	assert_non_null(strstr(errors.lines[1], "directory"));
	assert_null(records_open_log(in_dir("absent"), &errors));
	errors_deinit(&errors);
}

/* A pipe is read once. */
static void a_pipe(void **state)
{
	struct errors errors = {0};
	char path[32], line[RECORD_MAX];
	int both[2];
	assert_int_equal(pipe(both), 0);
	for (int i = 0; i < 3; i++) {
		size_t len = record(8000 + i, line);
		assert_int_equal(write(both[1], line, len), len);
	}
	close(both[1]);
	snprintf(path, sizeof path, "/dev/fd/%d", both[0]);
	const char *one = path;
	struct records *r = records_open(&one, 1, &errors);
	read_all(r, 8000, 3);
	records_free(r);
	close(both[0]);
}

/* A record in a line of so many bytes, its newline among them. */
static void put_wide(FILE *f, int64_t second, size_t bytes, bool newline)
{
	char line[RECORD_MAX];
	size_t len = record(second, line);
	fwrite(line, 1, len - 2, f);
	fprintf(f, "%*s", (int)(bytes - len + 1), "}");
	if (newline)
		fputc('\n', f);
}

/* 256 KiB are a line, a byte more is none; what stands behind it is read, and lines are counted on.
 */
static void a_line_has_a_bound(void **state)
{
	enum { BOUND = 256 * 1024 };
	struct errors errors = {0};
	const char *path = in_dir("log");
	for (size_t more = 0; more < 3; more++) {
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		put_wide(f, 1, 1000, true);
		put_wide(f, 2, BOUND, true);
		put_wide(f, more ? 99 : 3, BOUND + more, true);
		put_wide(f, more ? 3 : 4, 1000, true);
		fputs("odd\n", f);
		fclose(f);
		struct records *r = records_open(&path, 1, &errors);
		read_all(r, 1, more ? 3 : 4);
		const struct records_count *c = records_counted(r);
		assert_int_equal(c->damaged, more ? 2 : 1);
		assert_int_equal(c->torn + c->strange + c->cut, 0);
		assert_string_equal(c->first, more ? "log:3" : "log:5");
		records_free(r);
	}
	/* the last, without its newline: whole to its bound, else torn */
	for (size_t more = 0; more < 3; more++) {
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		put_wide(f, 1, BOUND + more, false); /* a byte less */
		fclose(f);
		struct records *r = records_open(&path, 1, &errors);
		read_all(r, 1, more < 1 ? 1 : 0);
		assert_int_equal(records_counted(r)->torn, more < 1 ? 0 : 1);
		assert_int_equal(records_counted(r)->damaged, 0);
		assert_string_equal(records_counted(r)->first, more < 1 ? "" : "log:1");
		records_free(r);
	}
}

/* Of the same time in the order in which they were given; one without any comes last. */
static void files_are_read_in_the_order_of_their_first_records(void **state)
{
	struct errors errors = {0};
	struct decision d;
	put("log", 50, 1, "x\n");
	put("log.1", 50, 1, "y\nz\n");
	put("log.2.gz", 0, 0, "w\n");
	put("log.old", 10, 2, "");
	const char *const paths[] = {in_dir("log.2.gz"), in_dir("log.1"), in_dir("log"),
				     in_dir("log.old")};
	static const int64_t times[] = {10, 11, 50, 50};
	static const uint64_t damaged[] = {0, 0, 0, 2};
	struct records *r = records_open(paths, 4, &errors);
	for (size_t i = 0; i < 4; i++) {
		assert_true(records_next(r, &d));
		assert_int_equal(d.time / NS_PER_S, times[i]);
		assert_int_equal(records_counted(r)->damaged, damaged[i]);
	}
	assert_false(records_next(r, &d));
	assert_int_equal(records_counted(r)->damaged, 4);
	assert_string_equal(records_counted(r)->first, "log.1:2");
	records_free(r);
}

/* A file that went since it was opened is counted, and the others are read. */
static void a_file_that_goes_is_counted(void **state)
{
	struct errors errors = {0};
	put("log.1", 1, 1, "");
	put("log", 2, 1, "");
	const char *const paths[] = {in_dir("log.1"), in_dir("log")};
	struct records *r = records_open(paths, 2, &errors);
	unlink(in_dir("log.1"));
	read_all(r, 2, 1);
	assert_int_equal(records_counted(r)->gone, 1);
	assert_int_equal(records_counted(r)->cut, 0);
	records_free(r);
	records_free(NULL);
}

/* A person of that name is told of, and whoever is at the probe's address later. */
static void a_probe_is_left_out(void **state)
{
	static const struct {
		const char *user, *client;
		bool probe;
	} made[] = {{"tiergate-probe", "198.18.255.2", true},
		    {"tiergate-probe", "2001:2:0:ff10::2", true},
		    {"tiergate-probe", "198.18.255.3", false},
		    {"ann", "198.18.255.2", false},
		    {"", "2001:2:0:ff10::2", false}};
	struct errors errors = {0};
	char line[RECORD_MAX];
	FILE *f = fopen(in_dir("log"), "w");
	assert_non_null(f);
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		struct decision d = {.time = (int64_t)(i + 1) * NS_PER_S, .reason = REASON_NO_LINE};
		struct buf b = BUF_OF(line);
		strcpy(d.user, made[i].user);
		assert_true(address_parse(made[i].client, &d.client));
		record_write(&b, &d, NULL);
		fwrite(line, 1, b.len, f);
	}
	fclose(f);
	const char *const path[] = {in_dir("log")};
	struct records *r = records_open(path, 1, &errors);
	struct decision d;
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		if (made[i].probe)
			continue;
		assert_true(records_next(r, &d));
		assert_int_equal(d.time / NS_PER_S, i + 1);
	}
	assert_false(records_next(r, &d));
	assert_int_equal(records_counted(r)->good, 5);
	records_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_log_and_what_was_rotated, start, stop),
		cmocka_unit_test_setup_teardown(what_is_no_record_is_counted, start, stop),
		cmocka_unit_test_setup_teardown(the_last_line, start, stop),
		cmocka_unit_test_setup_teardown(a_probe_is_left_out, start, stop),
		cmocka_unit_test_setup_teardown(a_line_has_a_bound, start, stop),
		cmocka_unit_test_setup_teardown(files_are_read_in_the_order_of_their_first_records,
						start, stop),
		cmocka_unit_test_setup_teardown(a_file_that_goes_is_counted, start, stop),
		cmocka_unit_test_setup_teardown(a_compressed_file_that_ends_early, start, stop),
		cmocka_unit_test_setup_teardown(nothing_read_before_a_fault_is_lost, start, stop),
		cmocka_unit_test_setup_teardown(a_cut_at_every_byte, start, stop),
		cmocka_unit_test_setup_teardown(members_one_behind_another, start, stop),
		cmocka_unit_test_setup_teardown(what_is_no_compressed_file, start, stop),
		cmocka_unit_test_setup_teardown(what_cannot_be_read, start, stop),
		cmocka_unit_test_setup_teardown(a_pipe, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
