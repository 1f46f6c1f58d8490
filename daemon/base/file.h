/* file: replaces a file as a whole: written beside it, synced, then renamed over it. After a crash
 * there is the old file or the new one, never a part. */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct file_new {
	FILE *to; /* write here */
	char path[PATH_MAX], temp[PATH_MAX];
};

/* Begins; mode, and owner and group, are those of the file that is there, else mode and (gid_t)-1
 * or group. A symbolic link stays, and what it leads to is replaced; not one that somebody else put
 * there than root or who we are: -ELOOP. 0 or -errno. */
int file_new_open(struct file_new *f, const char *path, mode_t mode, gid_t group)
	__attribute__((warn_unused_result));
/* The same of a file that is ours alone: a symbolic link in its place is what is replaced. */
int file_new_open_nofollow(struct file_new *f, const char *path, mode_t mode, gid_t group)
	__attribute__((warn_unused_result));
/* Ends, by taking the place of the old file or by leaving it as it was. Both close; 0 or -errno. */
int file_new_commit(struct file_new *f) __attribute__((warn_unused_result));
void file_new_abandon(struct file_new *f);

/* Waits for the lock of who changes a file. Its folder is what is locked, for the file is replaced:
 * a descriptor to close, or -errno. */
int file_folder_lock(const char *path) __attribute__((warn_unused_result));

/* Reads a whole file of at most max bytes into memory of the caller's (free), NUL-terminated.
 * 0 or -errno; -EFBIG; -EISDIR, or -EOPNOTSUPP for what is no regular file, such as a FIFO, which
 * would be waited for. */
int file_read(const char *path, size_t max, char **bytes, size_t *len)
	__attribute__((warn_unused_result));

/* The same of a text that people edit, on whatever machine: without a byte order mark of UTF-8,
 * each end of a line (LF, CR LF or CR alone) as LF. -EILSEQ: it is UTF-16. */
int file_read_text(const char *path, size_t max, char **text, size_t *len)
	__attribute__((warn_unused_result));
/* Whether it is a regular file that may be read: what is wrong is then what it holds. */
bool file_can_be_read(const char *path);
/* What is wrong, for a message: strerror, and words for what a text file can be. */
const char *file_error(int error);
