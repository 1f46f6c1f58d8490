#include "decision/sink.h"
#include "base/clock.h"
#include "decision/record.h"
#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[64], path[96];

static int make_dir(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/tiergate-sink-XXXXXX");
	snprintf(path, sizeof path, "%s/log", mkdtemp(dir));
	return 0;
}

static int remove_dir(void **state)
{
	char other[128];
	snprintf(other, sizeof other, "%s.1", path);
	unlink(other);
	unlink(path);
	return rmdir(dir);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static bool offer(struct ring *r, uint16_t port)
{
	struct decision *d = ring_claim(r);
	if (!d)
		return false;
	*d = (struct decision){.time = port, .transport = IPPROTO_TCP, .client_port = port};
	snprintf(d->user, sizeof d->user, "anna");
	ring_publish(r);
	return true;
}

static char *content(const char *file)
{
	static char text[4 * 1024 * 1024];
	FILE *f = fopen(file, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static unsigned count_of(const char *text, const char *word)
{
	unsigned n = 0;
	for (; (text = strstr(text, word)); text++)
		n++;
	return n;
}

static struct sink *start(struct sink_options o)
{
	struct errors errors = {0};
	o.file = path;
	struct sink *s = sink_new(&o, &errors);
	assert_non_null(s);
	assert_int_equal(sink_start(s), 0);
	return s;
}

/* Waits for what must come; the test's runner bounds it. */
#define WAIT_FOR(s, c, condition)                                                                  \
	do {                                                                                       \
		sink_count(s, &(c));                                                               \
		if (!(condition))                                                                  \
			nap();                                                                     \
	} while (!(condition))

static void writes_every_ring_to_the_file(void **state)
{
	struct sink *s = start((struct sink_options){.to = SINK_FILE, .rings = 3, .slots = 64});
	for (uint16_t i = 0; i < 300; i++)
		while (!offer(sink_ring(s, i % 3), i))
			nap();
	sink_stop(s);
	struct sink_counters c;
	sink_count(s, &c);
	const char *text = content(path);
	assert_int_equal(count_of(text, "\"event.action\":\"deny\""), 300);
	for (uint16_t i = 0; i < 300; i++) {
		char word[40];
		snprintf(word, sizeof word, "\"source.port\":%u,", i);
		assert_int_equal(count_of(text, word), 1);
	}
	assert_int_equal(c.written, count_of(text, "\n"));
	assert_int_equal(c.lost_write, 0);
	assert_false(c.failing);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777 & ~0640, 0);
	sink_free(s);
}

struct heard {
	_Atomic unsigned lines;
	_Atomic bool hidden;
};

static void hear(void *ctx, const struct decision *d)
{
	struct heard *h = ctx;
	h->lines++;
	h->hidden = strcmp(d->user, "anna") != 0 && strlen(d->user) == 16;
}

static void watchers_hear_pseudonyms(void **state)
{
	struct heard h = {0};
	uint8_t key[32] = {1};
	struct sink *s = start((struct sink_options){.to = SINK_NONE,
						     .rings = 1,
						     .slots = 8,
						     .pseudonym = key,
						     .written = hear,
						     .ctx = &h});
	assert_true(offer(sink_ring(s, 0), 1));
	sink_stop(s);
	assert_int_equal(h.lines, 1);
	assert_true(h.hidden);
	sink_free(s);
}

static void reopens_for_logrotate(void **state)
{
	char old[128];
	struct sink_counters c;
	snprintf(old, sizeof old, "%s.1", path);
	struct sink *s = start((struct sink_options){.to = SINK_FILE, .rings = 1, .slots = 64});
	offer(sink_ring(s, 0), 1);
	WAIT_FOR(s, c, c.written == 1);
	assert_int_equal(rename(path, old), 0);
	sink_reopen(s);
	while (access(path, F_OK) != 0)
		nap();
	offer(sink_ring(s, 0), 2);
	sink_stop(s);
	assert_non_null(strstr(content(old), "\"source.port\":1,"));
	assert_non_null(strstr(content(path), "\"source.port\":2,"));
	sink_free(s);
}

static void mends_a_torn_end(void **state)
{
	FILE *f = fopen(path, "w");
	fputs("{\"torn", f);
	fclose(f);
	struct sink *s = start((struct sink_options){.to = SINK_FILE, .rings = 1, .slots = 64});
	offer(sink_ring(s, 0), 1);
	sink_stop(s);
	assert_int_equal(strncmp(content(path), "{\"torn\n{\"@timestamp\"", 20), 0);
	sink_free(s);
}

/* A file that may not grow stands for a full disk: the same short writes, another errno. */
static void the_group_reads_the_log_whatever_the_umask(void **state)
{
	struct stat st;
	mode_t before = umask(077);
	sink_free(start((struct sink_options){.to = SINK_FILE, .rings = 1, .slots = 16}));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	chmod(path, 0600); /* the administrator's own */
	sink_free(start((struct sink_options){.to = SINK_FILE, .rings = 1, .slots = 16}));
	umask(before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_full_disk_loses_counted_records_only(void **state)
{
	enum { RECORDS = 3000 };
	struct heard h = {0};
	struct sink_counters c;
	struct rlimit was, small;
	struct sink *s = start((struct sink_options){
		.to = SINK_FILE, .rings = 1, .slots = 8192, .written = hear, .ctx = &h});
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = 10000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (uint16_t i = 0; i < RECORDS; i++)
		assert_true(
			offer(sink_ring(s, 0), i)); /* never refused: it is drained all the same */
	while (h.lines < RECORDS)
		nap();
	WAIT_FOR(s, c, c.lost_write > 0);
	assert_true(c.failing);
	assert_int_equal(c.lost_ring, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	WAIT_FOR(s, c, !c.failing);
	sink_stop(s);
	sink_count(s, &c);

	const char *text = content(path);
	char lost[64];
	snprintf(lost, sizeof lost, "\"event.action\":\"lost\",\"tiergate.lost\":%lu,",
		 (unsigned long)c.lost_write);
	assert_int_equal(count_of(text, lost), 1);
	assert_int_equal(count_of(text, "\"event.action\":\"deny\"") + c.lost_write, RECORDS);
	assert_int_equal(count_of(text, "\n{\"@timestamp\""),
			 count_of(text, "\n") - 1); /* none torn */
	sink_free(s);
}

/* The operator makes room by emptying it, in the middle of a line of ours. */
static void an_emptied_file_begins_with_a_whole_line(void **state)
{
	enum { RECORDS = 3000 };
	struct heard h = {0};
	struct sink_counters c;
	struct rlimit was, small;
	struct sink *s = start((struct sink_options){
		.to = SINK_FILE, .rings = 1, .slots = 8192, .written = hear, .ctx = &h});
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = 10001;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (uint16_t i = 0; i < RECORDS; i++)
		assert_true(offer(sink_ring(s, 0), i));
	while (h.lines < RECORDS) /* more than are kept: the batch was moved, too */
		nap();
	WAIT_FOR(s, c, c.failing && c.lost_write > 0);
	const char *text = content(path);
	assert_int_not_equal(text[strlen(text) - 1], '\n');
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	WAIT_FOR(s, c, !c.failing);
	sink_stop(s);
	text = content(path);
	assert_int_equal(text[0], '{');
	assert_int_equal(count_of(text, "\n{\"@timestamp\""), count_of(text, "\n") - 1);
	sink_free(s);
}

static void dev_full_fails_at_once(void **state)
{
	struct errors errors = {0};
	struct sink_counters c;
	struct sink *s = sink_new(
		&(struct sink_options){
			.to = SINK_FILE, .file = "/dev/full", .rings = 1, .slots = 8},
		&errors);
	assert_non_null(s);
	assert_int_equal(sink_start(s), 0);
	offer(sink_ring(s, 0), 1);
	WAIT_FOR(s, c, c.failing);
	sink_free(s);
}

/* The reader of standard output sleeps, then wakes. */
static void a_blocked_pipe_never_blocks_the_producer(void **state)
{
	enum { RECORDS = 5000 };
	int p[2], out = dup(STDOUT_FILENO);
	char text[65536];
	struct sink_counters c;
	struct heard h = {0};
	size_t lines = 0, n;
	assert_int_equal(pipe(p), 0);
	fflush(stdout);
	dup2(p[1], STDOUT_FILENO);
	struct sink *s = start((struct sink_options){
		.to = SINK_STDOUT, .rings = 1, .slots = 8192, .written = hear, .ctx = &h});
	for (uint16_t i = 0; i < RECORDS; i++)
		assert_true(offer(sink_ring(s, 0), i));
	while (h.lines < RECORDS)
		nap();
	WAIT_FOR(s, c, c.lost_write > 0);
	assert_true(c.failing); /* audit = "strict" goes by it */
	assert_int_equal(c.lost_ring, 0);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	bool said = false;
	while (!said) {
		ssize_t got = read(p[0], text, sizeof text);
		for (n = 0; got > 0 && n < (size_t)got; n++)
			lines += text[n] == '\n';
		said = got > 0 && memmem(text, (size_t)got, "tiergate.lost", 13);
		if (got <= 0)
			nap();
	}
	dup2(out, STDOUT_FILENO);
	close(p[1]);
	sink_stop(s);
	sink_count(s, &c);
	while (read(p[0], text, 1) > 0)
		lines += text[0] == '\n';
	assert_int_equal(lines + c.lost_write, RECORDS + 1);
	close(p[0]);
	sink_free(s);
}

static void a_full_ring_becomes_a_lost_record(void **state)
{
	struct errors errors = {0};
	struct sink *s = sink_new(
		&(struct sink_options){.to = SINK_FILE, .file = path, .rings = 1, .slots = 8},
		&errors);
	for (uint16_t i = 0; i < 8; i++)
		assert_true(offer(sink_ring(s, 0), i));
	for (uint16_t i = 0; i < 5; i++)
		assert_false(offer(sink_ring(s, 0), i));
	assert_int_equal(sink_start(s), 0);
	sink_stop(s);
	struct sink_counters c;
	sink_count(s, &c);
	assert_int_equal(c.lost_ring, 5);
	assert_non_null(strstr(content(path), "\"tiergate.lost\":5,"));
	sink_free(s);
}

static void equal_denials_are_folded(void **state)
{
	struct heard h = {0};
	struct sink *s = start((struct sink_options){.to = SINK_FILE,
						     .rings = 1,
						     .slots = 64,
						     .fold = 3600 * NS_PER_S,
						     .written = hear,
						     .ctx = &h});
	for (uint16_t i = 0; i < 40; i++)
		assert_true(offer(sink_ring(s, 0), i));
	sink_stop(s);
	const char *text = content(path);
	assert_int_equal(count_of(text, "\n"), 2);
	assert_int_equal(count_of(text, "\"tiergate.repeats\":39,"), 1);
	assert_int_equal(h.lines, 40);
	sink_free(s);
}

static void says_why_it_cannot_open(void **state)
{
	struct errors errors = {0};
	struct sink_options o = {.to = SINK_FILE, .file = "/nowhere/log", .rings = 1, .slots = 8};
	assert_null(sink_new(&o, &errors));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "/nowhere/log: "));
	errors_deinit(&errors);
}

#define IN_DIR(test)  cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
#define NO_FILE(test) cmocka_unit_test(test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(writes_every_ring_to_the_file),
		NO_FILE(watchers_hear_pseudonyms),
		IN_DIR(reopens_for_logrotate),
		IN_DIR(mends_a_torn_end),
		IN_DIR(the_group_reads_the_log_whatever_the_umask),
		IN_DIR(a_full_disk_loses_counted_records_only),
		IN_DIR(an_emptied_file_begins_with_a_whole_line),
		NO_FILE(dev_full_fails_at_once),
		NO_FILE(a_blocked_pipe_never_blocks_the_producer),
		IN_DIR(a_full_ring_becomes_a_lost_record),
		IN_DIR(equal_denials_are_folded),
		NO_FILE(says_why_it_cannot_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
