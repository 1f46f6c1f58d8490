/* sim: a process whose clocks, threads, random numbers and event loop are the test's. The daemon's
 * code is linked as it is; what it asks of the system is answered here (the linker's --wrap, and
 * sd_event's functions by their own names). One thread runs: a thread of the daemon is a fiber that
 * runs until it would wait. Nothing moves but by sim_step. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Times in ns. The wall clock goes on as the machine's does, and can be set. */
int64_t sim_wall(void);
int64_t sim_boottime(void);
void sim_begin(uint64_t seed, int64_t wall, const char *boot_id_file);
void sim_set_wall(int64_t by);
/* Another boot: the clock that never steps begins anew. What the kernel had is kernel.h's. */
void sim_reboot(void);

/* Lets time pass, then has every fiber run until it waits, in an order of the seed's. */
void sim_step(int64_t ns);

/* A process begins: `run` is its main thread. */
void sim_process(void (*run)(void));
bool sim_runs(void); /* its main thread has not ended */
/* From here on nothing that the process does reaches the disk: it was killed, and what follows only
 * gives back its memory. */
void sim_kill(void);
bool sim_killed(void);
void sim_signal(int signal);
/* Ticks of at least a second that the process's loop has had since it began. */
uint64_t sim_ticks(void);

/* Of the running fiber: waits for the next step. */
void sim_wait(void);

/* A number of the seed's, for `what`: the same whatever else happened. */
uint64_t sim_number(uint64_t seed, uint64_t what, uint64_t more);
