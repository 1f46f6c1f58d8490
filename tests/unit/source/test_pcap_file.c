#include "source/pcap_file.h"

#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* A file under construction, of either byte order. */
struct file {
	uint8_t bytes[2048];
	size_t len;
	bool big;
};

static void put(struct file *f, uint64_t v, int size)
{
	for (int i = 0; i < size; i++)
		f->bytes[f->len++] = (uint8_t)(v >> 8 * (f->big ? size - 1 - i : i));
}

static void block(struct file *f, uint32_t type, const struct file *body)
{
	uint32_t len = 12 + (uint32_t)body->len + (-body->len & 3);
	put(f, type, 4);
	put(f, len, 4);
	memcpy(f->bytes + f->len, body->bytes, body->len);
	f->len += len - 12;
	put(f, len, 4);
}

static void section(struct file *f, bool big, uint16_t version)
{
	struct file body = {.big = big};
	f->big = big;
	put(&body, 0x1a2b3c4d, 4);
	put(&body, version, 2);
	put(&body, 0, 2);
	put(&body, UINT64_MAX, 8);
	block(f, 0x0a0d0d0a, &body);
}

/* resolution: of the time stamps, 0 for none told; offset: of their seconds */
static void interface(struct file *f, uint16_t link, uint32_t snaplen, uint8_t resolution,
		      int64_t offset)
{
	struct file body = {.big = f->big};
	put(&body, link, 2);
	put(&body, 0, 2);
	put(&body, snaplen, 4);
	put(&body, 2, 2); /* its name, to be read over */
	put(&body, 3, 2);
	put(&body, 0, 4);
	if (resolution) {
		put(&body, 9, 2);
		put(&body, 1, 2);
		put(&body, f->big ? (uint32_t)resolution << 24 : resolution, 4);
	}
	if (offset) {
		put(&body, 14, 2);
		put(&body, 8, 2);
		put(&body, (uint64_t)offset, 8);
	}
	put(&body, 0, 4);
	block(f, 1, &body);
}

static void enhanced(struct file *f, uint32_t id, uint64_t ticks, uint32_t caplen, uint32_t len)
{
	struct file body = {.big = f->big};
	put(&body, id, 4);
	put(&body, ticks >> 32, 4);
	put(&body, ticks & UINT32_MAX, 4);
	put(&body, caplen, 4);
	put(&body, len, 4);
	for (uint32_t i = 0; i < caplen; i++)
		put(&body, 'a' + i, 1);
	block(f, 6, &body);
}

static void classic(struct file *f, uint32_t magic, uint32_t link)
{
	put(f, magic, 4);
	put(f, 2, 2);
	put(f, 4, 2);
	put(f, 0, 8);
	put(f, 65535, 4);
	put(f, link, 4);
}

static void record(struct file *f, uint32_t s, uint32_t fraction, uint32_t caplen, uint32_t len)
{
	put(f, s, 4);
	put(f, fraction, 4);
	put(f, caplen, 4);
	put(f, len, 4);
}

static void save(const struct file *f, char path[32])
{
	strcpy(path, "/tmp/tiergate-test-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, f->bytes, f->len) == (ssize_t)f->len);
	close(fd);
}

/* Each frame as "link time caplen/len bytes", and how it ends; where `copy` is given, what a writer
 * makes of it goes there. */
static const char *read_path(const char *path, const char *copy)
{
	static char text[4096];
	struct buf b = BUF_OF(text);
	struct errors errors = {0};
	struct pcap_frame frame;
	struct pcap_reader *r = pcap_reader_open(path, &errors);
	*text = '\0';
	if (!r) {
		buf_printf(&b, "%s", errors.lines[0] + strlen(path) + 2);
		errors_deinit(&errors);
		return text;
	}
	struct pcap_writer *w = copy ? pcap_writer_open(copy, r) : NULL;
	enum pcap_read got;
	while ((got = pcap_reader_next(r, &frame)) == PCAP_READ_FRAME) {
		buf_printf(&b, "%d %lld %u/%u ", (int)frame.link, (long long)frame.time,
			   frame.caplen, frame.len);
		buf_bytes(&b, frame.bytes, frame.caplen);
		buf_char(&b, '\n');
		if (w)
			pcap_writer_add(w, &frame);
	}
	buf_text(&b, got == PCAP_READ_END ? "end" : pcap_reader_why(r));
	if (w)
		assert_int_equal(pcap_writer_close(w), 0);
	pcap_reader_close(r);
	return text;
}

static void assert_read(const struct file *f, const char *want)
{
	char path[32];
	save(f, path);
	assert_string_equal(read_path(path, NULL), want);
	unlink(path);
}

/* And written, it is the same. */
static void assert_kept(const struct file *f, const char *want)
{
	char path[32], copy[32];
	save(f, path);
	save(&(struct file){0}, copy);
	assert_string_equal(read_path(path, copy), want);
	assert_string_equal(read_path(copy, NULL), want);
	unlink(path);
	unlink(copy);
}

static void classic_files_are_read(void **state)
{
	for (int big = 0; big < 2; big++) {
		struct file f = {.big = big};
		classic(&f, 0xa1b2c3d4, 1);
		record(&f, 7, 5, 2, 9);
		put(&f, big ? 0x6162 : 0x6261, 2);
		record(&f, 8, 999999, 0, 0);
		assert_kept(&f, "1 7000005000 2/9 ab\n1 8999999000 0/0 \nend");
	}
	struct file f = {0};
	classic(&f, 0xa1b23c4d, 101 | 0x14000000); /* with a word of the frame check sequence */
	record(&f, 7, 5, 1, 1);
	put(&f, 'x', 1);
	assert_kept(&f, "101 7000000005 1/1 x\nend");
	f = (struct file){0};
	classic(&f, 0xa1b2cd34, 1);
	record(&f, 7, 5, 1, 1);
	put(&f, 0, 8);
	put(&f, 'x', 1);
	assert_read(&f, "1 7000005000 1/1 x\nend");
}

static void interfaces_have_link_types_and_times_of_their_own(void **state)
{
	for (int big = 0; big < 2; big++) {
		struct file f = {0};
		section(&f, big, 1);
		interface(&f, 1, 0, 0, 0);
		enhanced(&f, 0, 7000005, 2, 3);
		interface(&f, 101, 0, 9, 100);
		interface(&f, 113, 0, 0x8a, 0); /* 1024 a second */
		interface(&f, 276, 0, 3, -1);
		enhanced(&f, 1, 7000000005, 0, 0);
		enhanced(&f, 2, 1024 * 3 + 512, 1, 1);
		enhanced(&f, 3, 5250, 1, 1);
		enhanced(&f, 0, 8000000, 1, 1);
		assert_kept(&f, "1 7000005000 2/3 ab\n101 107000000005 0/0 \n"
				"113 3500000000 1/1 a\n276 4250000000 1/1 a\n"
				"1 8000000000 1/1 a\nend");
	}
}

static void times_that_cannot_be_counted_are_zero(void **state)
{
	struct file f = {0};
	section(&f, false, 1);
	interface(&f, 1, 0, 20, 0);
	interface(&f, 1, 0, 0xff, 0);
	interface(&f, 1, 0, 0, -100);
	interface(&f, 1, 0, 0, INT64_MAX);
	for (uint32_t i = 0; i < 4; i++)
		enhanced(&f, i, 99000000, 0, 0);
	enhanced(&f, 2, UINT64_MAX, 0, 0);
	enhanced(&f, 0, UINT64_MAX, 0, 0);
	assert_read(&f, "1 0 0/0 \n1 0 0/0 \n1 0 0/0 \n1 0 0/0 \n1 0 0/0 \n1 0 0/0 \nend");
}

static void other_blocks(struct file *f)
{
	struct file body = {.big = f->big};
	put(&body, 4, 4); /* simple: length before it was cut, and the interface's length */
	put(&body, 0x6161, 2);
	block(f, 3, &body);
	body = (struct file){.big = f->big};
	put(&body, 0x12345678, 4); /* of a kind that nobody knows */
	block(f, 77, &body);
	body = (struct file){.big = f->big};
	put(&body, 0, 2); /* obsolete: interface, drops, time, lengths */
	put(&body, 3, 2);
	put(&body, 0, 4);
	put(&body, 9000000, 4);
	put(&body, 1, 4);
	put(&body, 1, 4);
	put(&body, 'b', 1);
	block(f, 2, &body);
}

static void other_blocks_and_sections_are_read(void **state)
{
	struct file f = {0};
	section(&f, true, 1);
	interface(&f, 1, 2, 0, 0);
	enhanced(&f, 0, 7000000, 0, 0);
	other_blocks(&f);
	section(&f, false, 1);
	enhanced(&f, 0, 10000000, 1, 1); /* of no interface: those above are another section's */
	interface(&f, 101, 0, 0, 0);
	enhanced(&f, 0, 10000000, 1, 1);
	enhanced(&f, 1, 10000000, 1, 1);
	assert_read(&f, "1 7000000000 0/0 \n1 7000000000 2/4 aa\n1 9000000000 1/1 b\n"
			"-1 9000000000 1/1 a\n101 10000000000 1/1 a\n-1 10000000000 1/1 a\nend");
}

/* Wherever it is cut, what was whole is read, and the rest is said. */
static void files_that_break_off_are_said(void **state)
{
	struct file f = {0}, cut;
	section(&f, false, 1);
	interface(&f, 1, 0, 0, 0);
	size_t before = f.len;
	enhanced(&f, 0, 7000000, 5, 5);
	for (cut = f, cut.len = before + 1; cut.len < f.len; cut.len++)
		assert_read(&cut, "it breaks off in the middle of a frame");
	f = (struct file){0};
	classic(&f, 0xa1b2c3d4, 1);
	before = f.len;
	record(&f, 7, 5, 3, 3);
	put(&f, 0x636261, 3);
	for (cut = f, cut.len = before + 1; cut.len < f.len; cut.len++)
		assert_read(&cut, "it breaks off in the middle of a frame");
	for (cut.len = 0; cut.len < before; cut.len++) {
		char path[32];
		save(&cut, path);
		assert_non_null(strstr(read_path(path, NULL), "; want a pcap or pcapng file"));
		unlink(path);
	}
}

static void what_is_not_well_formed_is_said(void **state)
{
	struct file f = {0}, body = {0};
	classic(&f, 0xa1b2c3d4, 1);
	record(&f, 7, 5, (16u << 20) + 1, 0);
	assert_read(&f, "a frame of more than 16 MiB");
	struct file start = {0};
	section(&start, false, 1);
	interface(&start, 1, 0, 0, 0);
	f = start;
	enhanced(&f, 0, 1, 1, 1);
	f.bytes[start.len + 20] = 5; /* its bytes, of which there are four */
	assert_read(&f, "a frame that is longer than its block");
	f = start;
	put(&body, 9, 4); /* simple */
	block(&f, 3, &body);
	assert_read(&f, "a frame that is longer than its block");
	f = start;
	enhanced(&f, 0, 1, 1, 1);
	f.bytes[f.len - 4]++;
	assert_read(&f, "a block that does not end as it begins");
	static const uint32_t lengths[] = {0, 8, 13, (16u << 20) + 4};
	for (int i = 0; i < 4; i++) {
		f = start;
		put(&f, 6, 4);
		put(&f, lengths[i], 4);
		put(&f, 0, 8);
		assert_read(&f, "a block of an impossible length");
	}
	f = start;
	block(&f, 1, &(struct file){0});
	assert_read(&f, "an interface without its description");
	f = start;
	section(&f, false, 2);
	assert_read(&f, "a section of another version of pcapng");
	f = start;
	section(&f, true, 1);
	f.bytes[start.len + 8] = 0;
	f.bytes[start.len + 7] = 28; /* so that it is the length in both orders */
	f.bytes[start.len + 4] = 28;
	assert_read(&f, "a block of an impossible length");
	assert_read(&(struct file){.bytes = "once upon a time there was a capture", .len = 36},
		    "not a capture; want a pcap or pcapng file");
}

static void interfaces_are_bounded(void **state)
{
	char path[32];
	struct file f = {0}, one = {0};
	section(&f, false, 1);
	save(&f, path);
	interface(&one, 1, 0, 0, 0);
	FILE *out = fopen(path, "ab");
	for (int i = 0; i < 65537; i++)
		fwrite(one.bytes, 1, one.len, out);
	fclose(out);
	assert_string_equal(read_path(path, NULL), "too many interfaces");
	unlink(path);
}

static void output_that_is_not_whole_is_said(void **state)
{
	char path[32];
	struct file f = {0};
	struct errors errors = {0};
	struct pcap_frame frame = {.link = 1, .bytes = f.bytes, .caplen = 2000, .len = 2000};
	classic(&f, 0xa1b2c3d4, 1);
	save(&f, path);
	struct pcap_reader *r = pcap_reader_open(path, &errors);
	struct pcap_writer *w = pcap_writer_open("/dev/full", r);
	for (int i = 0; i < 9; i++)
		pcap_writer_add(w, &frame);
	assert_int_equal(pcap_writer_close(w), -ENOSPC);
	pcap_reader_close(r);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classic_files_are_read),
		cmocka_unit_test(interfaces_have_link_types_and_times_of_their_own),
		cmocka_unit_test(times_that_cannot_be_counted_are_zero),
		cmocka_unit_test(other_blocks_and_sections_are_read),
		cmocka_unit_test(files_that_break_off_are_said),
		cmocka_unit_test(what_is_not_well_formed_is_said),
		cmocka_unit_test(interfaces_are_bounded),
		cmocka_unit_test(output_that_is_not_whole_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
