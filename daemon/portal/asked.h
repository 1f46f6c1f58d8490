/* asked: a reload that somebody waits for. A signal has no answer: the running portal writes what
 * became of one into its state_dir, and `tiergate-portal --reload PID` reads it there. */
#pragma once
#include "base/error.h"
#include <stdbool.h>

/* Of the running portal: what became of a reload; errors: why it was refused. */
void asked_answer(const char *state_dir, bool done, const struct errors *errors);

/* Sends SIGHUP to the portal of that process and waits for its answer. False with all that it said
 * in errors, or that it said nothing. */
bool asked_reload(const char *state_dir, long pid, struct errors *errors);
