/* records: the records of log files, one after another: as they are, rotated, or compressed (gzip).
 * Constant memory, whatever the files hold. */
#pragma once
#include "base/decision.h"
#include "base/error.h"

struct records;

#define RECORDS_PLACE (RULE_MAX + 24)

/* What a log held that was no record, and where the first of that is. */
struct records_count {
	uint64_t good;    /* records */
	uint64_t strange; /* lines of another version, or of another program */
	uint64_t damaged; /* lines that can't be read */
	uint64_t torn;    /* last lines without their end: the writer is at them, or was cut off */
	uint64_t cut;     /* files that are cut short or damaged: all before that is read */
	uint64_t gone;    /* files that went while others were read */
	char first[RECORDS_PLACE]; /* the first line that is none, "records.jsonl:12"; "": none */
	char cut_after[RECORDS_PLACE]; /* the first cut file, its last whole line; "": none */
};

/* Files in the order of their first records, whatever their order here; a single one may be a pipe.
 * NULL and an error a file where one can't be read. */
struct records *records_open(const char *const *paths, size_t count, struct errors *errors);

/* A log file with what logrotate made of it: FILE, FILE.1, FILE.2.gz, FILE-20261124.gz. */
struct records *records_open_log(const char *file, struct errors *errors);

/* The next record that is not of `tiergatectl probe`; false at the end. */
bool records_next(struct records *r, struct decision *out) __attribute__((warn_unused_result));

const struct records_count *records_counted(const struct records *r);
void records_free(struct records *r);
