/* The writer looks at the rings every PAUSE: a producer then needs no system call, and the writer
 * no wake-up a record, which on a busy machine costs more than the record (bench-live: 22 % of the
 * daemon's time at 50 us). It goes on taking decisions while the log can't be written, so that
 * watchers still see them; what does not fit its buffer meanwhile is lost, and counted. */
#include "decision/sink.h"

#include "base/clock.h"
#include "base/log.h"
#include "decision/fold.h"
#include "decision/journal.h"
#include "decision/record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH     (256 * 1024)
#define BURST     256 /* decisions of one ring before the next has its turn */
#define PAUSE     (5 * 1000 * 1000)
#define RETRY     NS_PER_S /* between two tries to open the file */
#define LAST_WAIT NS_PER_S /* for a reader, when the sink stops */

struct sink {
	struct sink_options o;
	char *file;
	struct ring **rings;
	pthread_t thread;
	bool running;
	_Atomic bool stop, reopen, failing;
	_Atomic uint64_t written, lost_write;
	/* the writer's own */
	int fd;
	int64_t next_open;
	char *batch;
	size_t used, off; /* batch[off .. used) is still to be written */
	uint64_t lost_said;
	struct fold *fold; /* NULL: every denial is written */
};

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t lost_ring(const struct sink *s)
{
	uint64_t lost = 0;
	for (unsigned i = 0; i < s->o.rings; i++)
		lost += ring_refused(s->rings[i]);
	return lost;
}

/* ---- the file ---- */

/* Whether a file ends in the middle of a line, as a crash or a full disk leaves it. */
static bool ends_torn(const char *path, const struct stat *st)
{
	char last = '\n';
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (pread(fd, &last, 1, st->st_size - 1) != 1)
		last = '\n';
	close(fd);
	return last != '\n';
}

#define LOG_MODE 0640 /* its group may read it */

static int file_open(const char *path)
{
	struct stat st;
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = open(path, flags | O_EXCL, LOG_MODE);
	if (fd >= 0)
		fchmod(fd, LOG_MODE); /* whatever the umask is */
	else if (errno == EEXIST)
		fd = open(path, flags, LOG_MODE);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && ends_torn(path, &st) &&
	    write(fd, "\n", 1) != 1)
		log_warn("%s ends in the middle of a line", path);
	return fd;
}

/* What was cut in the middle of a line begins again with that line in the new file. */
static void batch_rewind(struct sink *s)
{
	while (s->off > 0 && s->batch[s->off - 1] != '\n')
		s->off--;
}

static void file_reopen(struct sink *s)
{
	int64_t now = clock_now();
	if (s->o.to != SINK_FILE || (s->fd < 0 && now < s->next_open))
		return;
	s->next_open = now + RETRY;
	int fd = file_open(s->file);
	if (fd < 0) {
		LOG_LIMITED(log_error, now, "decision log %s: %s", s->file, strerror(-fd));
		s->failing = s->fd < 0;
		return;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fd;
	batch_rewind(s);
}

/* ---- writing ---- */

static uint64_t lines_in(const char *text, size_t len)
{
	uint64_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* A blocking pipe that polls writable takes PIPE_BUF bytes without blocking (pipe(7)); our own
 * files are non-blocking. */
static ssize_t write_some(struct sink *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	size_t len = s->used - s->off;
	if (s->o.to == SINK_STDOUT && len > PIPE_BUF)
		len = PIPE_BUF;
	if (poll(&p, 1, 0) == 0)
		return -EAGAIN;
	ssize_t n = write(s->fd, s->batch + s->off, len);
	return n < 0 ? -errno : n;
}

/* Writes what the file takes now. True where nothing is left. */
/* A file that was emptied after a line was cut (a full disk, then copytruncate or an operator's
 * hand) begins with that line, whole. */
static void begin_anew(struct sink *s)
{
	struct stat st;
	if (s->off > 0 && s->batch[s->off - 1] != '\n' && fstat(s->fd, &st) == 0 &&
	    S_ISREG(st.st_mode) && st.st_size == 0)
		batch_rewind(s);
}

static bool flush(struct sink *s)
{
	if (s->fd < 0)
		file_reopen(s);
	begin_anew(s);
	while (s->off < s->used) {
		ssize_t n = s->fd < 0 ? -EBADF : write_some(s);
		if (n == -EINTR)
			continue;
		if (n < 0) {
			if (n != -EAGAIN)
				s->failing = true;
			if (n != -EAGAIN && n != -EBADF)
				LOG_LIMITED(log_error, clock_now(), "decision log: %s",
					    strerror((int)-n));
			return false;
		}
		add(&s->written, lines_in(s->batch + s->off, (size_t)n));
		s->off += (size_t)n;
	}
	s->used = s->off = 0;
	s->failing = false;
	return true;
}

static bool batch_add(struct sink *s, const char *json, size_t len)
{
	if (s->off > 0 && len > BATCH - s->used) {
		size_t off = s->off;
		batch_rewind(s); /* the line that is half written is kept whole */
		memmove(s->batch, s->batch + s->off, s->used - s->off);
		s->used -= s->off;
		s->off = off - s->off;
	}
	if (len > BATCH - s->used)
		return false;
	memcpy(s->batch + s->used, json, len);
	s->used += len;
	return true;
}

static void keep(struct sink *s, const struct decision *d)
{
	char json[RECORD_MAX];
	struct buf b = BUF_OF(json);
	bool kept = true;
	if (s->o.to != SINK_NONE)
		record_write(&b, d, NULL);
	if (s->o.to == SINK_JOURNAL) {
		kept = journal_send(d, json, b.len) == 0;
		s->failing = !kept;
		add(&s->written, kept);
	} else if (s->o.to != SINK_NONE) {
		kept = batch_add(s, json, b.len) || (flush(s) && batch_add(s, json, b.len));
	}
	if (!kept) {
		s->failing = true;
		add(&s->lost_write, 1);
	}
}

/* Watchers hear what is folded too. */
static void put(struct sink *s, const struct decision *d)
{
	if (!s->fold || !fold_takes(s->fold, d, clock_now()))
		keep(s, d);
	if (s->o.written)
		s->o.written(s->o.ctx, d);
}

static unsigned drain(struct sink *s, struct ring *r)
{
	const struct decision *d;
	unsigned n = 0;
	for (; n < BURST && (d = ring_peek(r)); n++) {
		if (s->o.pseudonym && d->user[0]) {
			struct decision hidden = *d;
			record_pseudonym(s->o.pseudonym, d->user, hidden.user);
			put(s, &hidden);
		} else {
			put(s, d);
		}
		ring_release(r);
	}
	return n;
}

/* Once the log can be written again, it says what it has missed. */
static void say_lost(struct sink *s)
{
	uint64_t lost = lost_ring(s) + s->lost_write;
	if (lost == s->lost_said || s->failing)
		return;
	struct decision d = {
		.kind = DECISION_LOST, .time = clock_wall(), .count = lost - s->lost_said};
	s->lost_said = lost;
	put(s, &d);
	flush(s);
}

static void say_folded(struct sink *s, int64_t now)
{
	struct decision d;
	while (s->fold && fold_due(s->fold, now, &d))
		keep(s, &d);
}

static unsigned turn(struct sink *s)
{
	say_folded(s, clock_now());
	unsigned n = 0;
	for (unsigned i = 0; i < s->o.rings; i++)
		n += drain(s, s->rings[i]);
	if (flush(s))
		say_lost(s);
	return n;
}

static void *writer(void *arg)
{
	struct sink *s = arg;
	pthread_setname_np(pthread_self(), "decision log");
	while (!s->stop) {
		if (atomic_exchange(&s->reopen, false)) {
			flush(s);
			file_reopen(s);
		}
		if (turn(s) < BURST)
			nanosleep(&(struct timespec){.tv_nsec = PAUSE}, NULL);
	}
	while (turn(s))
		;
	say_folded(s, INT64_MAX);
	flush(s);
	for (int64_t end = clock_now() + LAST_WAIT; s->off < s->used && clock_now() < end;) {
		nanosleep(&(struct timespec){.tv_nsec = PAUSE}, NULL);
		flush(s);
	}
	add(&s->lost_write, lines_in(s->batch + s->off, s->used - s->off));
	return NULL;
}

/* ---- for the others ---- */

static bool open_first(struct sink *s, struct errors *errors)
{
	s->fd = s->o.to == SINK_STDOUT ? STDOUT_FILENO : -1;
	if (s->o.to != SINK_FILE)
		return true;
	s->fd = file_open(s->file);
	if (s->fd >= 0)
		return true;
	errors_add(errors, s->file, 0, "the decision log cannot be opened: %s", strerror(-s->fd));
	return false;
}

struct sink *sink_new(const struct sink_options *o, struct errors *errors)
{
	struct sink *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->o = *o;
	s->fd = -1;
	s->file = o->file ? strdup(o->file) : NULL;
	s->batch = malloc(BATCH);
	s->rings = calloc(o->rings, sizeof *s->rings);
	s->fold = o->fold ? fold_new(o->fold) : NULL;
	bool good =
		s->batch && s->rings && (s->fold || !o->fold) && (s->file || o->to != SINK_FILE);
	for (unsigned i = 0; good && i < o->rings; i++)
		good = (s->rings[i] = ring_new(o->slots, sizeof(struct decision))) != NULL;
	if (!good)
		errors_add(errors, NULL, 0, "no memory for the decision log");
	if (good && open_first(s, errors))
		return s;
	sink_free(s);
	return NULL;
}

struct ring *sink_ring(struct sink *s, unsigned i)
{
	return s->rings[i];
}

int sink_start(struct sink *s)
{
	sigset_t all, before;
	sigfillset(&all); /* SIGPIPE and SIGXFSZ too: their errno is enough */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int e = pthread_create(&s->thread, NULL, writer, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->running = e == 0;
	return -e;
}

void sink_reopen(struct sink *s)
{
	s->reopen = true;
}

void sink_stop(struct sink *s)
{
	if (!s->running)
		return;
	s->stop = true;
	pthread_join(s->thread, NULL);
	s->running = false;
}

void sink_free(struct sink *s)
{
	if (!s)
		return;
	sink_stop(s);
	if (s->fd >= 0 && s->o.to == SINK_FILE)
		close(s->fd);
	for (unsigned i = 0; s->rings && i < s->o.rings; i++)
		ring_free(s->rings[i]);
	free(s->rings);
	free(s->batch);
	fold_free(s->fold);
	free(s->file);
	free(s);
}

void sink_count(const struct sink *s, struct sink_counters *out)
{
	*out = (struct sink_counters){
		.written = s->written,
		.lost_ring = lost_ring(s),
		.lost_write = s->lost_write,
		.failing = s->failing,
	};
}

static const struct metric rows[] = {
	METRIC(sink_counters, written, COUNTER, "records", "records written"),
	METRIC(sink_counters, lost_ring, COUNTER, "records",
	       "records lost, the log being too slow"),
	METRIC(sink_counters, lost_write, COUNTER, "records", "records lost, the log taking none"),
	METRIC(sink_counters, failing, GAUGE, "", "1 while the log takes none"),
};
METRICS(sink_metrics, "log", sink_counters, rows);
