#include "sim.h"

#include "base/clock.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { FIBERS = 80, SOURCES = 160, STACK = 1 << 20, ROUNDS = 64 };

struct fiber {
	bool used, done;
	ucontext_t context;
	jmp_buf at;
	bool begun;
	void *(*run)(void *);
	void *arg;
	char *stack;
};

static struct {
	uint64_t seed, random, steps, ticks;
	int64_t wall, boottime;
	const char *boot_id;
	bool killed;
	struct fiber fiber[FIBERS];
	struct fiber *current; /* NULL: the test itself */
	ucontext_t test;
	jmp_buf test_at;
	void (*process)(void);
	pthread_t main;
	uint64_t pending; /* signals */
	pthread_once_t *once[64];
	unsigned once_count;
} sim;

/* SplitMix64. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t sim_number(uint64_t seed, uint64_t what, uint64_t more)
{
	return mix(mix(mix(seed) ^ what) ^ more);
}

/* ---- clocks ---- */

void sim_begin(uint64_t seed, int64_t wall, const char *boot_id_file)
{
	memset(&sim, 0, sizeof sim);
	sim.seed = seed;
	sim.random = mix(seed);
	sim.wall = wall;
	sim.boottime = 1000 * NS_PER_S;
	sim.boot_id = boot_id_file;
}

int64_t sim_wall(void)
{
	return sim.wall;
}

int64_t sim_boottime(void)
{
	return sim.boottime;
}

void sim_set_wall(int64_t by)
{
	sim.wall += by;
}

void sim_reboot(void)
{
	sim.boottime = 20 * NS_PER_S;
}

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME && clock != CLOCK_MONOTONIC)
		return __real_clock_gettime(clock, ts);
	int64_t t = clock == CLOCK_REALTIME ? sim.wall : sim.boottime;
	*ts = (struct timespec){t / NS_PER_S, t % NS_PER_S};
	return 0;
}

ssize_t __wrap_getrandom(void *to, size_t len, unsigned flags)
{
	for (size_t i = 0; i < len; i++) {
		sim.random = mix(sim.random);
		((uint8_t *)to)[i] = (uint8_t)sim.random;
	}
	return (ssize_t)len;
}

/* ---- the disk ---- */

void sim_kill(void)
{
	sim.killed = true;
}

bool sim_killed(void)
{
	return sim.killed;
}

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
		path = sim.boot_id;
	return __real_open(path, flags, mode);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
	if (!sim.killed)
		return __real_rename(from, to);
	errno = EIO;
	return -1;
}

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
	return sim.killed ? (ssize_t)len : __real_write(fd, bytes, len);
}

/* A disk that is as good as its word: nobody pulls the plug here. */
int __wrap_fsync(int fd)
{
	return 0;
}

int __wrap_setpriority(int which, id_t who, int value)
{
	return 0;
}

/* ---- fibers ---- */

/* swapcontext asks the kernel for the signal mask each time, which would be half of a week's time;
 * a jump does not, but AddressSanitizer does not know it. */
#if defined(__SANITIZE_ADDRESS__)
#define JUMPS false
#else
#define JUMPS true
#endif

static void switch_to_test(void)
{
	struct fiber *f = sim.current;
	if (!JUMPS)
		swapcontext(&f->context, &sim.test);
	else if (_setjmp(f->at) == 0)
		_longjmp(sim.test_at, 1);
}

static void fiber_main(void)
{
	struct fiber *f = sim.current;
	f->run(f->arg);
	f->done = true;
	switch_to_test();
}

static void run_fiber(struct fiber *f)
{
	sim.current = f;
	if (!JUMPS)
		swapcontext(&sim.test, &f->context);
	else if (_setjmp(sim.test_at) == 0) {
		if (f->begun)
			_longjmp(f->at, 1);
		f->begun = true;
		setcontext(&f->context);
	}
	sim.current = NULL;
}

void sim_wait(void)
{
	switch_to_test();
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	struct fiber *f = NULL;
	for (int i = 0; i < FIBERS && !f; i++)
		if (!sim.fiber[i].used)
			f = &sim.fiber[i];
	if (!f)
		return EAGAIN;
	char *stack = f->stack ? f->stack : malloc(STACK);
	*f = (struct fiber){.used = true, .run = run, .arg = arg, .stack = stack};
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = stack;
	f->context.uc_stack.ss_size = STACK;
	makecontext(&f->context, fiber_main, 0);
	*out = (pthread_t)(f - sim.fiber + 1);
	return 0;
}

static struct fiber *fiber_of(pthread_t t)
{
	return &sim.fiber[(size_t)t - 1];
}

int __wrap_pthread_join(pthread_t t, void **result)
{
	struct fiber *f = fiber_of(t);
	while (!f->done)
		sim_wait();
	f->used = false;
	return 0;
}

int __wrap_pthread_cancel(pthread_t t)
{
	fiber_of(t)->done = true;
	return 0;
}

int __wrap_pthread_setname_np(pthread_t t, const char *name)
{
	return 0;
}

/* Once a process, of which several follow one another here. */
int __wrap_pthread_once(pthread_once_t *once, void (*run)(void))
{
	for (unsigned i = 0; i < sim.once_count; i++)
		if (sim.once[i] == once)
			return 0;
	sim.once[sim.once_count++] = once;
	run();
	return 0;
}

int __wrap_nanosleep(const struct timespec *want, struct timespec *left)
{
	sim_wait();
	return 0;
}

void __real_urcu_memb_register_thread(void);
void __wrap_urcu_memb_register_thread(void)
{
	static bool known; /* all fibers are one thread to RCU: none waits inside a read section */
	if (!known)
		__real_urcu_memb_register_thread();
	known = true;
}

void __wrap_urcu_memb_unregister_thread(void)
{
}

void sim_step(int64_t ns)
{
	sim.wall += ns;
	sim.boottime += ns;
	sim.ticks += ns >= NS_PER_S;
	unsigned first = (unsigned)(sim_number(sim.seed, 0x57e9, sim.steps++) % FIBERS);
	for (unsigned i = 0; i < FIBERS; i++) {
		struct fiber *f = &sim.fiber[(first + i) % FIBERS];
		if (f->used && !f->done)
			run_fiber(f);
	}
}

/* ---- the process ---- */

static void *process_run(void *arg)
{
	sim.process();
	return NULL;
}

void sim_process(void (*run)(void))
{
	sim.process = run;
	sim.killed = false;
	sim.pending = sim.ticks = 0;
	sim.once_count = 0;
	if (__wrap_pthread_create(&sim.main, NULL, process_run, NULL) != 0)
		abort();
}

bool sim_runs(void)
{
	if (!sim.main)
		return false;
	if (!fiber_of(sim.main)->done)
		return true;
	fiber_of(sim.main)->used = false;
	sim.main = 0;
	return false;
}

void sim_signal(int signal)
{
	sim.pending |= UINT64_C(1) << signal;
}

uint64_t sim_ticks(void)
{
	return sim.ticks;
}

/* ---- the event loop ---- */

struct sd_event_source {
	enum { IO, SIGNAL, TIME, POST } kind;
	bool used;
	int enabled, fd, signal;
	uint32_t events;
	int64_t due;
	sd_event *event;
	void *ctx;
	union {
		sd_event_io_handler_t io;
		sd_event_signal_handler_t signal_fn;
		sd_event_time_handler_t time;
		sd_event_handler_t post;
	};
};

struct sd_event {
	struct sd_event_source source[SOURCES];
	bool over;
};

static sd_event the_event;

int sd_event_default(sd_event **out)
{
	memset(&the_event, 0, sizeof the_event);
	*out = &the_event;
	return 1;
}

sd_event *sd_event_unref(sd_event *e)
{
	return NULL;
}

static sd_event_source *add(sd_event *e, sd_event_source **out, sd_event_source what)
{
	for (int i = 0; i < SOURCES; i++) {
		if (e->source[i].used)
			continue;
		what.used = true;
		what.event = e;
		e->source[i] = what;
		if (out)
			*out = &e->source[i];
		return &e->source[i];
	}
	abort();
}

int sd_event_add_io(sd_event *e, sd_event_source **out, int fd, uint32_t events,
		    sd_event_io_handler_t io, void *ctx)
{
	add(e, out,
	    (sd_event_source){.kind = IO,
			      .enabled = SD_EVENT_ON,
			      .fd = fd,
			      .events = events,
			      .io = io,
			      .ctx = ctx});
	return 0;
}

int sd_event_add_signal(sd_event *e, sd_event_source **out, int signal,
			sd_event_signal_handler_t fn, void *ctx)
{
	add(e, out,
	    (sd_event_source){.kind = SIGNAL,
			      .enabled = SD_EVENT_ON,
			      .signal = signal,
			      .signal_fn = fn,
			      .ctx = ctx});
	return 0;
}

int sd_event_add_time_relative(sd_event *e, sd_event_source **out, clockid_t clock, uint64_t usec,
			       uint64_t accuracy, sd_event_time_handler_t time, void *ctx)
{
	add(e, out,
	    (sd_event_source){.kind = TIME,
			      .enabled = SD_EVENT_ONESHOT,
			      .time = time,
			      .ctx = ctx,
			      .due = sim.boottime + (int64_t)usec * 1000});
	return 0;
}

int sd_event_add_post(sd_event *e, sd_event_source **out, sd_event_handler_t post, void *ctx)
{
	add(e, out,
	    (sd_event_source){.kind = POST, .enabled = SD_EVENT_ON, .post = post, .ctx = ctx});
	return 0;
}

int sd_event_source_set_enabled(sd_event_source *s, int enabled)
{
	s->enabled = enabled;
	return 0;
}

int sd_event_source_set_time_relative(sd_event_source *s, uint64_t usec)
{
	s->due = sim.boottime + (int64_t)usec * 1000;
	return 0;
}

int sd_event_source_set_io_events(sd_event_source *s, uint32_t events)
{
	s->events = events;
	return 0;
}

sd_event *sd_event_source_get_event(sd_event_source *s)
{
	return s->event;
}

sd_event_source *sd_event_source_disable_unref(sd_event_source *s)
{
	if (s)
		s->used = false;
	return NULL;
}

int sd_event_exit(sd_event *e, int code)
{
	e->over = true;
	return 0;
}

/* What is ready of the descriptors that are the system's: one call. */
static void look(sd_event *e, short ready[static SOURCES])
{
	struct pollfd p[SOURCES];
	int at[SOURCES], n = 0;
	memset(ready, 0, SOURCES * sizeof *ready);
	for (int i = 0; i < SOURCES; i++) {
		const struct sd_event_source *s = &e->source[i];
		if (!s->used || s->kind != IO || s->enabled == SD_EVENT_OFF)
			continue;
		if (s->fd >= KERNEL_FD) {
			ready[i] = kernel_ready(s->fd) ? POLLIN : 0;
			continue;
		}
		p[n] = (struct pollfd){.fd = s->fd, .events = (short)s->events};
		at[n++] = i;
	}
	if (n && poll(p, (nfds_t)n, 0) > 0)
		for (int i = 0; i < n; i++)
			ready[at[i]] = p[i].revents;
}

static bool dispatch(sd_event_source *s, short ready)
{
	if (!s->used || s->enabled == SD_EVENT_OFF)
		return false;
	if (s->kind == IO && ready) {
		s->io(s, s->fd, (uint32_t)ready, s->ctx);
		return true;
	}
	if (s->kind == SIGNAL && sim.pending >> s->signal & 1) {
		sim.pending &= ~(UINT64_C(1) << s->signal);
		s->signal_fn(s, &(struct signalfd_siginfo){0}, s->ctx);
		return true;
	}
	if (s->kind == TIME && sim.boottime >= s->due) {
		s->enabled = SD_EVENT_OFF;
		s->time(s, (uint64_t)(sim.boottime / 1000), s->ctx);
		return true;
	}
	return false;
}

static bool turn(sd_event *e)
{
	short ready[SOURCES];
	bool any = false;
	look(e, ready);
	for (int i = 0; i < SOURCES && !e->over; i++) {
		if (!dispatch(&e->source[i], ready[i]))
			continue;
		any = true;
		for (int j = 0; j < SOURCES; j++)
			if (e->source[j].used && e->source[j].kind == POST &&
			    e->source[j].enabled != SD_EVENT_OFF)
				e->source[j].post(&e->source[j], e->source[j].ctx);
	}
	return any;
}

int sd_event_loop(sd_event *e)
{
	while (!e->over) {
		for (int i = 0; i < ROUNDS && turn(e); i++)
			;
		if (!e->over)
			sim_wait();
	}
	return 0;
}
