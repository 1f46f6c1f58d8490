#include "wiring/fallback.h"

#include "base/file.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* It belongs to whom its folder belongs to, who has to read it at a boot, also where root writes
 * it. */
static int give_away(struct file_new *f)
{
	struct stat folder, now;
	char copy[PATH_MAX];
	strcpy(copy, f->path);
	if (stat(dirname(copy), &folder) < 0 || fstat(fileno(f->to), &now) < 0)
		return -errno;
	if (folder.st_uid == now.st_uid && folder.st_gid == now.st_gid)
		return 0; /* the service may not call chown */
	return fchown(fileno(f->to), folder.st_uid, folder.st_gid) < 0 ? -errno : 0;
}

int fallback_save(const char *path, const struct config *c)
{
	struct file_new f;
	struct config settings = *c;
	settings.tier_count = settings.segment_count = settings.host_count = 0;
	settings.schedule_count = settings.site_count = settings.expect_count = 0;
	settings.allow_count = settings.deny_count = 0;
	int e = file_new_open_nofollow(&f, path, 0600, (gid_t)-1);
	if (e < 0)
		return e;
	if ((e = give_away(&f)) < 0) {
		file_new_abandon(&f);
		return e;
	}
	config_print(&settings, f.to);
	return file_new_commit(&f);
}

struct config *fallback_load(const char *path, struct errors *errors)
{
	if (access(path, F_OK) < 0)
		return NULL;
	return config_load(path, CONFIG_FOR_CHECK, errors);
}
