/* handover: sockets that outlive their daemon. The service manager keeps them while one daemon
 * ends and the next one begins (sd_notify(3) FDSTORE, sd_listen_fds(3)), so that what the kernel
 * puts into them meanwhile waits there. Without a service manager nothing is kept. Main thread. */
#pragma once

/* What the daemon before kept by that name, now the caller's; -1 where there is none. */
int handover_take(const char *name);

/* From now on the service manager has it, too; fd stays the caller's. Names are short words. */
void handover_keep(const char *name, int fd);

/* The service manager has it no longer, under whatever number of descriptors. */
void handover_forget(const char *name);

/* Closes what nobody took, and has the service manager forget it. */
void handover_end(void);

/* Waits until the service manager has read all that was sent to it; 0 where there is none. -errno.
 */
int handover_wait(void) __attribute__((warn_unused_result));
