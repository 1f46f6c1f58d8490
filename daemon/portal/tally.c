#include "portal/tally.h"

#include "base/clock.h"
#include "control/call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECONDS 1 /* for the daemon to take a connection */

/* Counts of today begin at midnight. Locked. */
static void turn(struct tally *t, int64_t wall)
{
	time_t now = (time_t)(wall / NS_PER_S);
	struct tm tm = {0};
	localtime_r(&now, &tm);
	int day = tm.tm_year * 1000 + tm.tm_yday;
	if (day != t->day)
		t->signed_in_today = t->failed_today = 0;
	t->day = day;
}

void tally_try(struct tally *t, bool good, int64_t wall)
{
	pthread_mutex_lock(&t->lock);
	turn(t, wall);
	*(good ? &t->signed_in : &t->failed) += 1;
	*(good ? &t->signed_in_today : &t->failed_today) += 1;
	pthread_mutex_unlock(&t->lock);
}

void tally_error(struct tally *t, int64_t wall, const char *text)
{
	pthread_mutex_lock(&t->lock);
	snprintf(t->error, sizeof t->error, "%s", text);
	t->error_at = wall;
	pthread_mutex_unlock(&t->lock);
}

static void set_time(json_t *to, const char *key, int64_t time)
{
	char text[40] = "";
	struct buf b = BUF_OF(text);
	clock_format(&b, time);
	json_object_set_new(to, key, json_string(text));
}

static json_t *members(struct tally *t, const char *url, const char *stopped, int64_t wall)
{
	pthread_mutex_lock(&t->lock);
	turn(t, wall);
	json_t *m = json_pack("{s:s, s:I, s:I, s:I, s:I}", "url", url, "signed_in",
			      (json_int_t)t->signed_in, "failed", (json_int_t)t->failed,
			      "signed_in_today", (json_int_t)t->signed_in_today, "failed_today",
			      (json_int_t)t->failed_today);
	set_time(m, "since", t->since);
	if (t->error[0]) {
		/* not UTF-8, or cut in a letter: then without it */
		json_t *error = json_string(t->error);
		json_object_set_new(m, "error", error ? error : json_string("see the journal"));
		set_time(m, "error_at", t->error_at);
	}
	pthread_mutex_unlock(&t->lock);
	if (stopped)
		json_object_set_new(m, "stopped", json_string(stopped));
	return m;
}

/* The daemon acts on a line also where nobody waits for its answer. */
void tally_tell(struct tally *t, const char *socket, const char *url, const char *stopped,
		int64_t wall)
{
	struct call *c = call_open(socket, SECONDS);
	if (!c)
		return;
	json_t *m = json_pack("{s:o}", "portal", members(t, url, stopped, wall));
	bool sent = call_send(c, "tell", m);
	(void)sent; /* the next one comes soon */
	call_close(c);
}
