/* school: the world around the daemon as the test knows it: who has signed in where, what is shut,
 * which policy is in force, which connections there are; and what must hold at every step. */
#pragma once
#include "kernel.h"
#include "policy.h"
#include "script.h"
#include "sim.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CONNECTIONS = 2048, FIRST_PORT = 2000 };
/* Ticks of the daemon's loop until what changed has to be so for all that is open: a tick sees it,
 * workers decide again, a sweep takes three more. */
#define CALM 5

struct seat { /* of a host: who is signed in there */
	bool live;
	int user, tier;
	int64_t since, until, idle; /* of school.elapsed; until 0: no end; idle ns or 0 */
	int64_t sure, last;         /* traffic: that the daemon has seen for sure; any */
	int64_t saved;              /* of what it has seen: the last that its state file has, too */
	uint64_t sure_tick;
};

enum phase { PHASE_SYN, PHASE_HELLO, PHASE_ANSWER, PHASE_OPEN, PHASE_OVER };

struct connection {
	bool used;
	unsigned host, name;
	enum phase phase;
	int64_t due, ends, pause;
	uint32_t sent, passed; /* bytes of the client behind its SYN */
	unsigned tries, hello_len, cut;
	bool http;
	bool syn_passed, hello_passed, refused, reset;
	bool allowed;            /* the oracle's word now, */
	uint64_t since;          /* and the tick since when */
	bool doubted;            /* the oracle has denied it at some time, or it may be forgotten */
	bool calm;               /* nothing changed from before its SYN until it was decided */
	bool expected;           /* the oracle's word at its SYN */
	int64_t decided;         /* of school.elapsed; 0: not yet */
	bool judged, unrecorded; /* unrecorded: a kill may have taken its record along */
	unsigned allows, denies, ends_said; /* records */
};

struct school {
	uint64_t seed;
	FILE *log; /* all that happens: equal for equal seeds */
	int64_t elapsed, first_day;
	struct school_policy policy; /* in force */
	unsigned version, list;      /* on the disk */
	struct lock lock[LOCKS];
	struct seat seat[HOSTS];
	struct connection connection[CONNECTIONS];
	unsigned connections;
	bool up;
	uint64_t changed, changes; /* the tick of the last change; how many there were */
	int64_t down_since;
	uint64_t edges;  /* what held at the last step, as bits */
	uint64_t seated; /* the tick of the last sign-in, or end that nobody asked for */
	bool rotated;    /* the log has been renamed */
	uint64_t records;
	int answer_fd;
};

extern struct school school;

/* An invariant is broken: says so, and ends the run. */
void broken(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

void school_begin(uint64_t seed, FILE *log);
/* Lets time pass and checks all that must hold. */
void school_step(int64_t ns);
/* Until a time (of elapsed), in ticks and then in strides, as a machine that is left alone. */
void school_killed(void); /* what the daemon has seen since its last save is forgotten */
void school_wait(int64_t until);
void school_changed(const char *what);
bool school_calm(void);
bool school_open(unsigned host, unsigned name); /* the oracle's word */
int seat_tier(unsigned host, int *user);
/* Its session may have ended for want of traffic that the daemon has seen for sure. */
bool seat_may_idle(unsigned host);
void seat_seen(unsigned host); /* traffic that the daemon sees */
void host_address(unsigned host, char out[static 16]);
int user_tier(unsigned user);
bool school_last_good(void); /* the daemon is run with --last-good */

/* daemon.c */
void daemon_start(void);
void daemon_stop(bool killed);
/* Asks at the control socket; 1 ok, 0 refused, -1 no answer. code: why it was refused. */
int daemon_ask(const char *request, char code[static 32]);
void daemon_check(void);
void log_follow(void);

/* connect.c */
void connect_begin(unsigned host, unsigned name, int64_t length, uint64_t more);
void connect_probe(unsigned host, unsigned name);
void connect_flood(unsigned host, unsigned name, unsigned count);
void connect_doubted(void); /* flows may be forgotten: a full table, a kill */
void connect_forgotten(bool (*knows)(const struct flow_key *key)); /* a full table has dropped */
int64_t connect_next(void); /* when something is due; INT64_MAX */
void connect_turn(void);
void connect_changed(void); /* the oracle may say another thing now */
void connect_up(void);      /* a daemon has begun */
void connect_lost(void);    /* the machine was started anew */
void connect_end(void);
extern const struct kernel_world connect_world;

/* acts.c */
void act(const struct event *e);
