/* sandbox: what a program takes from itself once it is up, for the case that somebody takes it
 * over: files outside of named folders (Landlock, landlock(7)) and the system calls that it has no
 * use for (seccomp(2)). Neither can be taken back; the process, its later threads and children have
 * it. What a kernel without one of them does is the other one.
 *
 * TIERGATE_SANDBOX in the environment: "off", or "log": no Landlock, and what the filter would
 * refuse the kernel logs (audit type SECCOMP) and lets pass. */
#pragma once
#include "base/error.h"
#include <stdbool.h>

enum sandbox_use {
	SANDBOX_READ,    /* files and lists of folders */
	SANDBOX_WRITE,   /* and all that makes, changes and removes them */
	SANDBOX_EXECUTE, /* read, and run */
	SANDBOX_MAKE,    /* make files and write them */
};

enum sandbox_program {
	SANDBOX_DAEMON,     /* sockets of AF_UNIX, AF_NETLINK; no program is run, no child made */
	SANDBOX_PORTAL,     /* and of AF_INET, AF_INET6, none of them raw */
	SANDBOX_PORTAL_PAM, /* and a module of PAM may run a program */
	SANDBOX_TOOL,       /* no filter: what runs nft and the like */
};

/* Before sandbox_on: a folder with all below it, or a file. What is not there is left out. */
void sandbox_allow(const char *path, enum sandbox_use use);
/* The same of the folder that a file is in, and of the one that it really is in where it is a link,
 * so that another file may come in its place; of the file alone where that folder is the root. */
void sandbox_allow_around(const char *file, enum sandbox_use use);
/* What the C library and name services read. */
void sandbox_allow_system(void);

/* For this thread and those that it starts: so it is called before any other. What could not be had
 * is said in the log. False (and a sentence in errors) only where the kernel has a thing and
 * refuses it. */
bool sandbox_on(enum sandbox_program program, struct errors *errors)
	__attribute__((warn_unused_result));

/* Whether this process has no right to a path, or to make it, since sandbox_on. */
bool sandbox_shuts(const char *path, enum sandbox_use use);
/* strerror() of what opening a path for reading led to, and what to do where it lies outside; the
 * thread's own until its next call. */
const char *sandbox_error(const char *path, int error);

/* The kernel's version of Landlock; 0: none. */
int sandbox_landlock(void);

/* Since sandbox_on: what of it there is not, and why; "" where all is. */
const char *sandbox_lacks(void);
