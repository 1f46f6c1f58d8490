#include "wiring/fallback.h"

#include "base/file.h"

#include <unistd.h>

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
	config_print(&settings, f.to);
	return file_new_commit(&f);
}

struct config *fallback_load(const char *path, struct errors *errors)
{
	if (access(path, F_OK) < 0)
		return NULL;
	return config_load(path, CONFIG_FOR_CHECK, errors);
}
