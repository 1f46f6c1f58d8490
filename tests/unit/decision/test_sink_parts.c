/* The writer of decisions step by step, without its thread, with a file that takes what the test
 * says: no line is lost uncounted, none is written twice, and none begins in the middle. */
#include "no_memory.h"
#include "unit.h"

#include "base/log.h"

/* What the operator hears, each time. */
static unsigned said;
static void say(const char *format, ...)
{
	said++;
}
#define log_error               say
#define log_allowed(limit, now) ((void)(limit), true)
#include "decision/sink.c"

#include <stdio.h>
#include <sys/syscall.h>

static char dir[64], path[96];
static struct errors errors;

/* ---- the file's own calls ---- */

static long takes;        /* bytes of the next write; -errno; LONG_MAX: all */
static unsigned writes;   /* how often it was asked */
static size_t asked;      /* for how many bytes, the last time */
static bool ready = true; /* what poll says */
static int journal_result;
static unsigned journal_records;

ssize_t write(int fd, const void *bytes, size_t len)
{
	if (fd <= 2 && fd != STDOUT_FILENO)
		return syscall(SYS_write, fd, bytes, len);
	writes++;
	asked = len;
	long n = takes;
	takes = n == -EINTR ? LONG_MAX : n; /* a signal comes once */
	if (n < 0) {
		errno = (int)-n;
		return -1;
	}
	return fd == STDOUT_FILENO ? (ssize_t)len
				   : syscall(SYS_write, fd, bytes, (long)len < n ? len : (size_t)n);
}

int poll(struct pollfd *p, nfds_t n, int timeout)
{
	assert_int_equal(n, 1);
	assert_int_equal(p->events, POLLOUT);
	assert_int_equal(timeout, 0);
	return ready;
}

int sd_journal_sendv_with_location(const char *file, const char *line, const char *function,
				   const struct iovec *iov, int n)
{
	journal_records++;
	return journal_result;
}

/* ---- set up ---- */

static unsigned heard;
static char heard_user[USER_MAX];

static void on_written(void *ctx, const struct decision *d)
{
	heard++;
	snprintf(heard_user, sizeof heard_user, "%s", d->user);
}

static struct sink_options options(enum sink_to to)
{
	return (struct sink_options){
		.to = to, .file = path, .rings = 2, .slots = 1024, .written = on_written};
}

static struct sink *make(enum sink_to to)
{
	const struct sink_options o = options(to);
	struct sink *s = sink_new(&o, &errors);
	assert_non_null(s);
	return s;
}

static int begin(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/tiergate-sink-XXXXXX");
	snprintf(path, sizeof path, "%s/log", mkdtemp(dir));
	takes = LONG_MAX;
	said = writes = heard = journal_records = 0;
	ready = true;
	journal_result = 0;
	return 0;
}

static int end(void **state)
{
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	unlink(path);
	return rmdir(dir);
}

static const char *content(void)
{
	static char text[BATCH * 2];
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void put_content(const char *text)
{
	FILE *f = fopen(path, "w");
	assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static bool add_line(struct sink *s, const char *line)
{
	return batch_add(s, line, strlen(line));
}

static bool offer(struct sink *s, unsigned ring, const char *user)
{
	struct decision *d = ring_claim(sink_ring(s, ring));
	if (!d)
		return false;
	*d = (struct decision){.time = 1, .transport = 6};
	snprintf(d->user, sizeof d->user, "%s", user);
	ring_publish(sink_ring(s, ring));
	return true;
}

static struct sink_counters counters(const struct sink *s)
{
	struct sink_counters c;
	sink_count(s, &c);
	return c;
}

/* ---- what waits to be written ---- */

static void lines_wait_until_there_is_no_room(void **state)
{
	struct sink *s = make(SINK_FILE);
	static char line[BATCH];
	memset(line, 'a', BATCH - 1);
	line[BATCH - 1] = '\n';
	assert_true(batch_add(s, line, BATCH));
	assert_false(batch_add(s, "\n", 1));
	assert_int_equal(s->used, BATCH);
	assert_true(flush(s));
	assert_true(add_line(s, "x\n"));
	assert_int_equal(s->used, 2);
	assert_int_equal(s->off, 0);
	assert_int_equal(counters(s).written, 1);
	sink_free(s);
}

/* What is written makes room; a line that is half written stays whole, and is written on. */
static void what_is_written_makes_room(void **state)
{
	struct sink *s = make(SINK_FILE);
	static char line[BATCH];
	assert_true(add_line(s, "one\ntwo\nthree\n"));
	takes = 9; /* "one\ntwo\nt" */
	ready = true;
	assert_int_equal(write_some(s), 9);
	s->off += 9;
	size_t rest = BATCH - 14 + 8; /* all but "three\n" */
	memset(line, 'a', rest);
	line[rest - 1] = '\n';
	assert_true(batch_add(s, line, rest));
	assert_int_equal(s->off, 1);
	assert_int_equal(s->used, BATCH);
	assert_memory_equal(s->batch, "three\na", 7);
	assert_false(batch_add(s, "\n", 1));
	takes = LONG_MAX;
	assert_true(flush(s));
	assert_memory_equal(content(), "one\ntwo\nthree\naaaa", 18);
	sink_free(s);
}

static void a_cut_line_begins_again_where_it_began(void **state)
{
	struct sink *s = make(SINK_NONE);
	assert_true(add_line(s, "one\ntwo\n"));
	static const size_t back[][2] = {{0, 0}, {1, 0}, {3, 0}, {4, 4}, {5, 4}, {7, 4}, {8, 8}};
	for (size_t i = 0; i < sizeof back / sizeof *back; i++) {
		s->off = back[i][0];
		batch_rewind(s);
		assert_int_equal(s->off, back[i][1]);
	}
	sink_free(s);
}

/* ---- writing ---- */

static void lines_are_counted_as_they_are_written(void **state)
{
	struct sink *s = make(SINK_FILE);
	assert_true(add_line(s, "one\ntwo\nthree\n"));
	takes = 6;
	ready = true;
	assert_true(flush(s)); /* in parts */
	assert_int_equal(writes, 3);
	assert_string_equal(content(), "one\ntwo\nthree\n");
	assert_int_equal(counters(s).written, 3);
	assert_int_equal(s->used + s->off, 0);
	assert_int_equal(lines_in("\n\na\n", 3), 2);
	sink_free(s);
}

static void a_signal_is_no_failure_and_a_full_pipe_is_waited_for(void **state)
{
	struct sink *s = make(SINK_FILE);
	assert_true(add_line(s, "one\n"));
	takes = -EINTR;
	assert_true(flush(s));
	assert_int_equal(counters(s).written, 1);
	assert_true(add_line(s, "two\n"));
	takes = -EAGAIN;
	assert_false(flush(s));
	assert_false(counters(s).failing);
	takes = LONG_MAX;
	ready = false;
	writes = 0;
	assert_false(flush(s));
	assert_int_equal(writes, 0);
	assert_false(counters(s).failing);
	ready = true;
	assert_true(flush(s));
	assert_string_equal(content(), "one\ntwo\n");
	assert_int_equal(said, 0);
	sink_free(s);
}

static void a_disk_that_is_full_is_said_until_it_is_not(void **state)
{
	struct sink *s = make(SINK_FILE);
	assert_true(add_line(s, "one\n"));
	takes = -ENOSPC;
	assert_false(flush(s));
	assert_true(counters(s).failing);
	assert_int_equal(counters(s).written, 0);
	assert_int_equal(said, 1);
	takes = LONG_MAX;
	assert_true(flush(s));
	assert_false(counters(s).failing);
	sink_free(s);
}

/* A pipe that polls writable takes no more than PIPE_BUF without blocking. */
static void standard_output_never_blocks(void **state)
{
	struct sink *s = make(SINK_STDOUT);
	static char line[PIPE_BUF + 1];
	memset(line, 'a', PIPE_BUF);
	line[PIPE_BUF] = '\n';
	assert_true(batch_add(s, line, sizeof line));
	assert_int_equal(write_some(s), PIPE_BUF);
	assert_int_equal(asked, PIPE_BUF);
	s->used = PIPE_BUF;
	assert_int_equal(write_some(s), PIPE_BUF);
	s->used = 5;
	assert_int_equal(write_some(s), 5);
	sink_free(s); /* which leaves it open */
	assert_true(fcntl(STDOUT_FILENO, F_GETFD) >= 0);
	s = make(SINK_FILE);
	assert_true(batch_add(s, line, sizeof line));
	assert_int_equal(write_some(s), sizeof line);
	sink_free(s);
}

/* ---- the file ---- */

static void a_torn_end_is_mended_and_a_whole_one_left(void **state)
{
	static const struct {
		const char *before, *after;
	} of[] = {{"", "x\n"}, {"one\n", "one\nx\n"}, {"one", "one\nx\n"}, {"\n", "\nx\n"}};
	for (size_t i = 0; i < 4; i++) {
		put_content(of[i].before);
		struct sink *s = make(SINK_FILE);
		assert_true(add_line(s, "x\n"));
		assert_true(flush(s));
		assert_string_equal(content(), of[i].after);
		sink_free(s);
	}
}

static void a_log_is_for_its_group(void **state)
{
	struct stat st;
	mode_t before = umask(0777);
	struct sink *s = make(SINK_FILE);
	umask(before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(fcntl(s->fd, F_GETFL) & O_APPEND);
	assert_true(fcntl(s->fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(s->fd, F_GETFD) & FD_CLOEXEC);
	sink_free(s);
	chmod(path, 0600); /* the operator's own mode stays */
	sink_free(make(SINK_FILE));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_log_that_cannot_be_opened_is_said(void **state)
{
	struct sink_options o = options(SINK_FILE);
	o.file = "/nonexistent/log";
	assert_null(sink_new(&o, &errors));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "/nonexistent/log: the decision log cannot be "
						"opened: No such file"));
	o.to = SINK_NONE; /* the file is of no use then */
	struct sink *s = sink_new(&o, &errors);
	assert_non_null(s);
	sink_free(s);
}

/* The new file after a rotation begins with the line that was cut, whole. */
static void a_new_file_begins_with_a_whole_line(void **state)
{
	struct sink *s = make(SINK_FILE);
	char other[128];
	assert_true(add_line(s, "one\ntwo\n"));
	takes = 6;
	write_some(s);
	s->off = 6;
	takes = LONG_MAX;
	snprintf(other, sizeof other, "%s.1", path);
	assert_int_equal(rename(path, other), 0);
	int before = s->fd;
	file_reopen(s);
	assert_true(s->fd >= 0);
	assert_true(flush(s));
	assert_string_equal(content(), "two\n");
	assert_true(s->fd == before || fcntl(before, F_GETFD) < 0);
	unlink(other);
	sink_free(s);
}

static void an_emptied_file_begins_with_a_whole_line(void **state)
{
	struct sink *s = make(SINK_FILE);
	assert_true(add_line(s, "one\ntwo\n"));
	takes = 6;
	write_some(s);
	s->off = 6;
	takes = LONG_MAX;
	begin_anew(s);
	assert_int_equal(s->off, 6); /* it has what was written */
	assert_int_equal(truncate(path, 0), 0);
	assert_true(flush(s));
	assert_string_equal(content(), "two\n");
	sink_free(s);
}

/* The old file is written on where the new one can't be opened; one that could not be opened at all
 * is tried again, once a second. */
static void a_file_that_cannot_be_opened_again_is_tried_again(void **state)
{
	struct sink *s = make(SINK_FILE);
	char kept[96];
	int fd = s->fd;
	strcpy(kept, s->file);
	strcpy(s->file, "/dev/x/y");
	file_reopen(s);
	assert_int_equal(s->fd, fd);
	assert_false(counters(s).failing);
	close(fd);
	s->fd = -1;
	s->next_open = 0;
	assert_true(add_line(s, "one\n"));
	int64_t before = clock_now();
	assert_false(flush(s));
	assert_true(counters(s).failing);
	assert_in_range(s->next_open, before + RETRY, clock_now() + RETRY);
	strcpy(s->file, kept);
	s->next_open = INT64_MAX;
	assert_false(flush(s)); /* not yet */
	assert_int_equal(s->fd, -1);
	s->next_open = clock_now();
	assert_true(flush(s));
	assert_string_equal(content(), "one\n");
	sink_free(s);
	s = make(SINK_STDOUT);
	file_reopen(s); /* has none */
	assert_int_equal(s->fd, STDOUT_FILENO);
	sink_free(s);
}

/* ---- decisions ---- */

static void each_decision_is_written_and_heard(void **state)
{
	struct sink *s = make(SINK_FILE);
	assert_true(offer(s, 0, "ann") && offer(s, 1, "bob"));
	assert_int_equal(turn(s), 2);
	assert_int_equal(heard, 2);
	assert_int_equal(counters(s).written, 2);
	assert_non_null(strstr(content(), "\"user.name\":\"bob\""));
	assert_int_equal(turn(s), 0);
	sink_free(s);
}

static void users_are_hidden_from_the_log_and_from_who_watches(void **state)
{
	static const uint8_t key[PSEUDONYM_KEY] = {1};
	char want[PSEUDONYM_TEXT];
	struct sink_options o = options(SINK_FILE);
	o.pseudonym = key;
	struct sink *s = sink_new(&o, &errors);
	assert_true(offer(s, 0, "ann"));
	turn(s);
	record_pseudonym(key, "ann", want);
	assert_string_equal(heard_user, want);
	assert_null(strstr(content(), "ann"));
	assert_non_null(strstr(content(), want));
	assert_true(offer(s, 0, ""));
	turn(s);
	assert_string_equal(heard_user, "");
	sink_free(s);
}

static void one_ring_keeps_no_other_waiting(void **state)
{
	struct sink *s = make(SINK_NONE);
	for (int i = 0; i < BURST + 5; i++)
		assert_true(offer(s, 0, "ann"));
	assert_true(offer(s, 1, "bob"));
	assert_int_equal(turn(s), BURST + 1);
	assert_int_equal(turn(s), 5);
	assert_int_equal(heard, BURST + 6);
	assert_int_equal(counters(s).written, 0);
	sink_free(s);
}

/* What neither the file nor the batch takes is lost, counted, and told when the log is well. */
static void what_is_lost_is_told_once(void **state)
{
	struct sink *s = make(SINK_FILE);
	takes = -ENOSPC;
	s->used = BATCH;
	memset(s->batch, '\n', BATCH);
	assert_true(offer(s, 0, "ann") && offer(s, 0, "bob"));
	turn(s);
	assert_int_equal(counters(s).lost_write, 2);
	assert_true(counters(s).failing);
	assert_int_equal(heard, 2); /* who watches has heard them */
	takes = LONG_MAX;
	turn(s);
	assert_int_equal(heard, 3);
	assert_non_null(strstr(content(), "\"event.action\":\"lost\",\"tiergate.lost\":2,"));
	turn(s);
	assert_int_equal(heard, 3);
	while (offer(s, 0, "ann")) /* and those that found the ring full */
		;
	assert_int_equal(counters(s).lost_ring, 1);
	while (turn(s))
		;
	assert_non_null(strstr(content(), "\"event.action\":\"lost\",\"tiergate.lost\":1,"));
	sink_free(s);
}

static void a_batch_that_is_full_is_written_for_the_next(void **state)
{
	struct sink *s = make(SINK_FILE);
	s->used = BATCH;
	memset(s->batch, '\n', BATCH);
	assert_true(offer(s, 0, "ann"));
	turn(s);
	assert_int_equal(counters(s).lost_write, 0);
	assert_int_equal(counters(s).written, BATCH + 1);
	sink_free(s);
}

static void the_journal_has_each_record_or_it_is_lost(void **state)
{
	struct sink *s = make(SINK_JOURNAL);
	assert_true(offer(s, 0, "ann"));
	turn(s);
	assert_int_equal(journal_records, 1);
	assert_int_equal(counters(s).written, 1);
	journal_result = -ENOENT;
	assert_true(offer(s, 0, "ann"));
	drain(s, s->rings[0]);
	assert_true(counters(s).failing);
	assert_int_equal(counters(s).lost_write, 1);
	assert_int_equal(counters(s).written, 1);
	assert_int_equal(s->used, 0);
	sink_free(s);
}

static void folded_denials_are_told_when_their_window_ends(void **state)
{
	struct sink_options o = options(SINK_FILE);
	o.fold = NS_PER_S * 3600;
	struct sink *s = sink_new(&o, &errors);
	for (int i = 0; i < 3; i++) {
		struct decision d = {.action = ACTION_DENY, .transport = 6};
		put(s, &d);
	}
	assert_int_equal(heard, 3);
	say_folded(s, clock_now());
	assert_true(flush(s));
	assert_int_equal(counters(s).written, 1);
	say_folded(s, INT64_MAX);
	assert_true(flush(s));
	assert_non_null(strstr(content(), "\"tiergate.repeats\":2"));
	assert_int_equal(counters(s).written, 2);
	sink_free(s);
}

static void without_memory_there_is_no_log_and_it_is_said(void **state)
{
	struct sink_options o = options(SINK_FILE);
	bool failed = NO_MEMORY;
	o.fold = NS_PER_S;
	for (long n = 0; failed; n++) {
		no_memory_at(n);
		struct sink *s = sink_new(&o, &errors);
		failed = no_memory_failed;
		no_memory_end();
		assert_true(!s == failed);
		if (n > 0 && failed)
			assert_true(errors.count > 0);
		sink_free(s);
		errors_deinit(&errors);
		memset(&errors, 0, sizeof errors);
	}
	sink_free(NULL);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(lines_wait_until_there_is_no_room),
		WITH(what_is_written_makes_room),
		WITH(a_cut_line_begins_again_where_it_began),
		WITH(lines_are_counted_as_they_are_written),
		WITH(a_signal_is_no_failure_and_a_full_pipe_is_waited_for),
		WITH(a_disk_that_is_full_is_said_until_it_is_not),
		WITH(standard_output_never_blocks),
		WITH(a_torn_end_is_mended_and_a_whole_one_left),
		WITH(a_log_is_for_its_group),
		WITH(a_log_that_cannot_be_opened_is_said),
		WITH(a_new_file_begins_with_a_whole_line),
		WITH(an_emptied_file_begins_with_a_whole_line),
		WITH(a_file_that_cannot_be_opened_again_is_tried_again),
		WITH(each_decision_is_written_and_heard),
		WITH(users_are_hidden_from_the_log_and_from_who_watches),
		WITH(one_ring_keeps_no_other_waiting),
		WITH(what_is_lost_is_told_once),
		WITH(a_batch_that_is_full_is_written_for_the_next),
		WITH(the_journal_has_each_record_or_it_is_lost),
		WITH(folded_denials_are_told_when_their_window_ends),
		WITH(without_memory_there_is_no_log_and_it_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
