#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int keep_owner(int fd, const struct file_new *f, mode_t mode, gid_t group)
{
	struct stat old, now;
	if (fstat(fd, &now) < 0)
		return -errno;
	if (stat(f->path, &old) < 0)
		old = (struct stat){.st_uid = now.st_uid, .st_gid = group, .st_mode = mode};
	if (old.st_gid == (gid_t)-1)
		old.st_gid = now.st_gid;
	if ((old.st_uid != now.st_uid || old.st_gid != now.st_gid) &&
	    fchown(fd, old.st_uid, old.st_gid) < 0)
		return -errno;
	return fchmod(fd, old.st_mode & 07777) < 0 ? -errno : 0;
}

/* Where a path leads to. Who may write the folder of a link must not choose for another what that
 * one overwrites. */
static int follow(const char *path, char out[static PATH_MAX])
{
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
		if (st.st_uid != 0 && st.st_uid != geteuid())
			return -ELOOP;
		return realpath(path, out) ? 0 : -errno;
	}
	return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int open_beside(struct file_new *f, mode_t mode, gid_t group)
{
	if (snprintf(f->temp, sizeof f->temp, "%s.XXXXXX", f->path) >= (int)sizeof f->temp)
		return -ENAMETOOLONG;
	int fd = mkostemp(f->temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int e = keep_owner(fd, f, mode, group);
	if (e == 0 && !(f->to = fdopen(fd, "w")))
		e = -errno;
	if (e < 0) {
		close(fd);
		unlink(f->temp);
	}
	return e;
}

int file_new_open(struct file_new *f, const char *path, mode_t mode, gid_t group)
{
	f->to = NULL;
	int e = follow(path, f->path);
	return e < 0 ? e : open_beside(f, mode, group);
}

int file_new_open_nofollow(struct file_new *f, const char *path, mode_t mode, gid_t group)
{
	f->to = NULL;
	if (snprintf(f->path, sizeof f->path, "%s", path) >= (int)sizeof f->path)
		return -ENAMETOOLONG;
	return open_beside(f, mode, group);
}

/* The rename itself is on the disk once its folder is. */
static void sync_folder(const char *path)
{
	char copy[PATH_MAX];
	strcpy(copy, path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

int file_new_commit(struct file_new *f)
{
	int e = 0;
	if (ferror(f->to) || fflush(f->to) != 0 || fsync(fileno(f->to)) < 0)
		e = errno ? -errno : -EIO;
	if (fclose(f->to) != 0 && e == 0)
		e = -errno;
	if (e == 0 && rename(f->temp, f->path) < 0)
		e = -errno;
	if (e < 0)
		unlink(f->temp);
	else
		sync_folder(f->path);
	return e;
}

void file_new_abandon(struct file_new *f)
{
	fclose(f->to);
	unlink(f->temp);
}

/* Reads until the end or the bound; the size that stat tells is a hint only. */
static int read_all(int fd, size_t max, char **bytes, size_t *len)
{
	struct stat st;
	size_t cap = fstat(fd, &st) == 0 && st.st_size > 0 && (size_t)st.st_size <= max
			     ? (size_t)st.st_size + 1
			     : 4096;
	char *text = NULL;
	for (*len = 0;;) {
		char *more = realloc(text, cap + 1);
		ssize_t n = -1;
		if (more) {
			text = more;
			n = read(fd, text + *len, cap - *len);
		}
		if (n < 0 && more && errno == EINTR)
			continue;
		if (n < 0 || (*len += (size_t)n) > max) {
			int e = n < 0 ? -errno : -EFBIG;
			free(text);
			return e;
		}
		if (n == 0)
			break;
		if (*len == cap)
			cap *= 2;
	}
	text[*len] = '\0';
	*bytes = text;
	return 0;
}

int file_read(const char *path, size_t max, char **bytes, size_t *len)
{
	struct stat st;
	/* O_NONBLOCK: else whoever may put a FIFO in its place could stop us for good. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int e = fstat(fd, &st) < 0     ? -errno
		: S_ISDIR(st.st_mode)  ? -EISDIR
		: !S_ISREG(st.st_mode) ? -EOPNOTSUPP
				       : read_all(fd, max, bytes, len);
	close(fd);
	return e;
}

/* Shortens the text in place; a mark and a CR before LF are what goes. */
static size_t plain_lines(char *text, size_t len)
{
	size_t from = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, to = 0;
	for (; from < len; from++)
		if (text[from] != '\r')
			text[to++] = text[from];
		else if (text[from + 1] != '\n') /* behind the last byte there is a zero */
			text[to++] = '\n';
	text[to] = '\0';
	return to;
}

int file_read_text(const char *path, size_t max, char **text, size_t *len)
{
	int e = file_read(path, max, text, len);
	if (e < 0)
		return e;
	if (*len >= 2 && (memcmp(*text, "\xff\xfe", 2) == 0 || memcmp(*text, "\xfe\xff", 2) == 0)) {
		free(*text);
		*text = NULL;
		return -EILSEQ;
	}
	*len = plain_lines(*text, *len);
	return 0;
}

bool file_can_be_read(const char *path)
{
	struct stat st;
	return access(path, R_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

const char *file_error(int error)
{
	switch (error) {
	case EILSEQ: return "it is UTF-16, not UTF-8";
	case EFBIG: return "it is larger than such a file can be";
	case EOPNOTSUPP: return "it is no ordinary file";
	}
	return strerror(error);
}

int file_folder_lock(const char *file)
{
	char copy[PATH_MAX];
	if (strlen(file) >= sizeof copy)
		return -ENAMETOOLONG;
	strcpy(copy, file);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX) == 0)
		return fd;
	int e = -errno;
	if (fd >= 0)
		close(fd);
	return e;
}
