/* time-machine: the daemon through a week of a school, in seconds (README.md). */
#include "base/clock.h"
#include "school.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
	uint64_t seed;
	struct event event[EVENTS_MAX];
	bool keep[EVENTS_MAX];
	size_t count;
	int64_t days;
	char folder[64], why[512];
	char *log; /* of the week, the caller's */
	size_t log_len;
};

struct wish {
	uint64_t first, count;
	int64_t days;
	const char *only;
	bool twice, keep, shrinks, print;
};

/* ---- a week, in a process of its own ---- */

static void prepare(const struct run *r, int answer)
{
	int err = open("operator.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	FILE *boot = fopen("boot_id", "w"), *log = fopen("week.log", "w");
	if (err < 0 || !boot || !log || mkdir("state", 0700) < 0 || mkdir("run", 0700) < 0)
		abort();
	dup2(err, STDERR_FILENO);
	fprintf(boot, "00000000-0000-4000-8000-000000000000\n");
	fclose(boot);
	school.answer_fd = answer;
	sim_begin(r->seed, script_begins(r->seed), "boot_id");
	kernel_begin(&connect_world);
	school_begin(r->seed, log);
	policy_write(&school.policy, "tiergate.conf");
	policy_write_list(&school.policy, "video.sites");
}

static void live(const struct run *r)
{
	const int64_t end = r->days * 86400 * NS_PER_S;
	daemon_start();
	for (size_t i = 0; i <= r->count; i++) {
		int64_t at = i < r->count ? r->event[i].at * NS_PER_MS : end;
		if (i < r->count && (!r->keep[i] || at > end))
			continue;
		for (int64_t next; (next = connect_next()) < at;) {
			school_wait(next);
			connect_turn();
		}
		school_wait(at);
		if (i < r->count)
			act(&r->event[i]);
		connect_turn();
	}
	daemon_stop(false);
	connect_end();
	say("the week is over: %lu records", school.records);
	fclose(school.log);
	_exit(0);
}

/* ---- runs ---- */

static void make_folder(struct run *r)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(r->folder, sizeof r->folder, "%s/tiergate-week-XXXXXX", base);
	if (!mkdtemp(r->folder)) {
		perror(r->folder);
		exit(3);
	}
}

static void remove_folder(const struct run *r)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", r->folder);
	if (system(command) != 0)
		fprintf(stderr, "%s stays\n", r->folder);
}

static void read_log(struct run *r)
{
	char path[96];
	struct stat st;
	snprintf(path, sizeof path, "%s/week.log", r->folder);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	free(r->log);
	r->log = NULL;
	r->log_len = 0;
	if (fd < 0 || fstat(fd, &st) < 0 || !(r->log = malloc((size_t)st.st_size + 1)))
		return;
	ssize_t n = read(fd, r->log, (size_t)st.st_size);
	r->log_len = n > 0 ? (size_t)n : 0;
	close(fd);
}

/* True where nothing was broken; else r->why says what. */
static bool run(struct run *r, bool keep)
{
	int pipe_fd[2], status;
	make_folder(r);
	if (pipe(pipe_fd) < 0)
		exit(3);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		close(pipe_fd[0]);
		if (chdir(r->folder) < 0)
			_exit(3);
		prepare(r, pipe_fd[1]);
		live(r);
	}
	close(pipe_fd[1]);
	ssize_t n = read(pipe_fd[0], r->why, sizeof r->why - 1);
	r->why[n > 0 ? n : 0] = '\0';
	close(pipe_fd[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		snprintf(r->why, sizeof r->why, "the process ended by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) && !*r->why)
		snprintf(r->why, sizeof r->why, "the process ended with status %d",
			 WEXITSTATUS(status));
	read_log(r);
	if (!keep)
		remove_folder(r);
	return !*r->why;
}

/* ---- shrinking ---- */

static size_t kept(const struct run *r)
{
	size_t n = 0;
	for (size_t i = 0; i < r->count; i++)
		n += r->keep[i];
	return n;
}

/* Numbers are not what makes a failure another one. */
static bool same_kind(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a >= '0' && *a <= '9')
			a++;
		while (*b >= '0' && *b <= '9')
			b++;
		if (*a != *b)
			return false;
		if (!*a)
			return true;
	}
}

/* Without `size` events from the `from`-th kept one on; true where that fails the same way. */
static bool without(struct run *r, const char *why, size_t from, size_t size)
{
	bool before[EVENTS_MAX];
	size_t at = 0;
	memcpy(before, r->keep, sizeof before);
	for (size_t i = 0; i < r->count; i++)
		if (before[i]) {
			r->keep[i] = at < from || at >= from + size;
			at++;
		}
	if (!run(r, false) && same_kind(r->why, why))
		return true;
	memcpy(r->keep, before, sizeof before);
	return false;
}

/* Zeller's delta debugging: halves first, then ever smaller parts, until no event can go. */
static void shrink(struct run *r)
{
	char why[512];
	snprintf(why, sizeof why, "%s", r->why);
	for (size_t size = kept(r) / 2; size; size /= 2)
		for (bool less = true; less;) {
			less = false;
			for (size_t from = 0; from < kept(r);)
				if (without(r, why, from, size))
					less = true;
				else
					from += size;
			if (size > 1)
				break;
		}
	run(r, true);
}

static void print_failure(struct run *r, bool shrinks)
{
	printf("seed %lu: %s\n", r->seed, r->why);
	fflush(stdout);
	if (!shrinks)
		return;
	shrink(r);
	printf("the smallest script that fails so (%s), of %zu events:\n", r->why, kept(r));
	printf("  time-machine --seed %lu --days %ld --only ", r->seed, r->days);
	for (size_t i = 0, n = 0; i < r->count; i++)
		if (r->keep[i])
			printf("%s%zu", n++ ? "," : "", i);
	printf("\n");
	for (size_t i = 0; i < r->count; i++)
		if (r->keep[i]) {
			printf("  %zu ", i);
			event_print(&r->event[i], stdout);
		}
	printf("what happened is in %s (week.log, operator.log)\n", r->folder);
}

static void start_with(struct run *r, const struct wish *w, uint64_t i)
{
	const char *only = w->only;
	r->seed = w->first + i;
	r->days = w->days;
	r->count = script_make(r->seed, r->event);
	for (size_t e = 0; e < r->count; e++)
		r->keep[e] = !only;
	while (only && *only) {
		size_t e = strtoul(only, (char **)&only, 10);
		if (e < r->count)
			r->keep[e] = true;
		only += *only == ',';
	}
}

static bool same_twice(struct run *r)
{
	char *first = r->log;
	size_t len = r->log_len;
	r->log = NULL;
	bool same = run(r, false) && r->log_len == len && memcmp(r->log, first, len) == 0;
	free(first);
	return same;
}

static int usage(void)
{
	fprintf(stderr,
		"time-machine [--seeds N] [--seed FIRST] [--days N] [--only EVENT,...] [--twice] "
		"[--keep] [--no-shrink]\n"
		"time-machine --seed N --print: the script of a seed\n");
	return 2;
}

static bool read_wish(int argc, char **argv, struct wish *w)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, 'n'},
		{"seed", required_argument, NULL, 's'},
		{"only", required_argument, NULL, 'o'},
		{"twice", no_argument, NULL, 't'},
		{"keep", no_argument, NULL, 'k'},
		{"no-shrink", no_argument, NULL, 'x'},
		{"days", required_argument, NULL, 'd'},
		{"print", no_argument, NULL, 'p'},
		{NULL, 0, NULL, 0},
	};
	*w = (struct wish){.first = 1, .count = 1, .days = 7, .shrinks = true};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
		switch (c) {
		case 'n': w->count = strtoull(optarg, NULL, 10); break;
		case 's': w->first = strtoull(optarg, NULL, 10); break;
		case 'o': w->only = optarg; break;
		case 'd': w->days = strtoll(optarg, NULL, 10); break;
		case 't': w->twice = true; break;
		case 'k': w->keep = true; break;
		case 'x': w->shrinks = false; break;
		case 'p': w->print = true; break;
		default: return false;
		}
	return optind == argc;
}

int main(int argc, char **argv)
{
	static struct run r;
	struct wish w;
	unsigned failed = 0;
	uint64_t bytes = 0;
	if (!read_wish(argc, argv, &w))
		return usage();
	for (uint64_t i = 0; i < w.count; i++) {
		start_with(&r, &w, i);
		for (size_t e = 0; w.print && e < r.count; e++)
			event_print(&r.event[e], stdout);
		if (w.print)
			continue;
		bool good = run(&r, w.keep);
		if (w.keep)
			printf("%s\n", r.folder);
		if (good && w.twice && !same_twice(&r)) {
			snprintf(r.why, sizeof r.why,
				 "the same seed ran otherwise the second time");
			printf("seed %lu: %s\n", r.seed, r.why);
			failed++;
		} else if (!good) {
			print_failure(&r, w.shrinks && !w.keep);
			failed++;
		}
		bytes += r.log_len;
	}
	printf("%lu weeks from seed %lu, %u failed, %lu bytes of log\n", w.count, w.first, failed,
	       bytes);
	return failed > 0;
}
