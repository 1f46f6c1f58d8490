/* people: whose records there are, and how many each has. Constant memory: beyond PEOPLE_MAX users
 * no new one is counted. */
#pragma once
#include "base/decision.h"

#define PEOPLE_MAX 16384

struct people;

struct people *people_new(void);
void people_free(struct people *p);

/* A record of the user. */
void people_count(struct people *p, const char *user);

/* In the order in which they came; NULL behind the last. */
const char *people_at(const struct people *p, size_t i, uint64_t *records);
