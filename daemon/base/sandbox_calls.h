/* sandbox_calls: the system calls of our programs, by libseccomp. For sandbox.c only. */
#pragma once
#include "base/sandbox.h"

/* log: what would be refused passes and is logged. 0 or -errno. */
int sandbox_calls(enum sandbox_program program, bool log);
