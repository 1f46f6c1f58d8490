/* version: of the program that runs, from packaging/VERSION: "0.9.0". */
#pragma once
extern const char *const version;

/* "NAME 0.9.0" and a line's end on standard output. */
void version_print(const char *name);
