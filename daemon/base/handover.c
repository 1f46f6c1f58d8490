#include "base/handover.h"

#include "base/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static struct {
	bool asked;
	int count;
	char **names; /* by descriptor from SD_LISTEN_FDS_START on; "" when taken */
} kept;

static void ask(void)
{
	if (kept.asked)
		return;
	kept.asked = true;
	kept.count = sd_listen_fds_with_names(1, &kept.names);
	if (kept.count < 0) {
		log_warn("what the daemon before left can't be taken over: %s",
			 strerror(-kept.count));
		kept.count = 0;
	}
}

int handover_take(const char *name)
{
	ask();
	for (int i = 0; i < kept.count; i++) {
		if (strcmp(kept.names[i], name) != 0)
			continue;
		*kept.names[i] = '\0';
		return SD_LISTEN_FDS_START + i;
	}
	return -1;
}

void handover_keep(const char *name, int fd)
{
	char text[128];
	snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
	sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

void handover_forget(const char *name)
{
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void handover_end(void)
{
	ask();
	for (int i = 0; i < kept.count; i++) {
		if (*kept.names[i]) {
			handover_forget(kept.names[i]);
			close(SD_LISTEN_FDS_START + i);
		}
		free(kept.names[i]);
	}
	free(kept.names);
	kept.count = 0;
	kept.names = NULL;
}

#define WAIT_USEC (10 * 1000 * 1000ULL)

int handover_wait(void)
{
	int e = sd_notify_barrier(0, WAIT_USEC);
	return e < 0 ? e : 0;
}
