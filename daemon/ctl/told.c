/* What the portal and the probe have told the daemon of themselves, in status and in doctor. */
#include "ctl/told.h"

#include "ctl/ctl.h"

#include <inttypes.h>
#include <string.h>

static json_int_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

enum portal_state told_portal(const json_t *status)
{
	const json_t *p = json_object_get(status, "portal");
	if (!p)
		return PORTAL_UNKNOWN;
	if (*ctl_text(p, "stopped"))
		return PORTAL_STOPPED;
	return number(p, "age") > TOLD_SILENT_S ? PORTAL_SILENT : PORTAL_RUNS;
}

void told_portal_words(const json_t *status, struct buf *b)
{
	const json_t *p = json_object_get(status, "portal");
	char time[32];
	switch (told_portal(status)) {
	case PORTAL_UNKNOWN: buf_text(b, "not running"); return;
	case PORTAL_STOPPED: buf_printf(b, "not running: %s", ctl_text(p, "stopped")); return;
	case PORTAL_SILENT:
		buf_printf(b, "NOT RUNNING: it has said nothing for %" PRIdMAX " s",
			   (intmax_t)number(p, "age"));
		return;
	case PORTAL_RUNS: break;
	}
	buf_printf(b, "%s since %s; today %" PRIdMAX " signed in, %" PRIdMAX " failed",
		   ctl_text(p, "url"), ctl_time(ctl_text(p, "since"), time),
		   (intmax_t)number(p, "signed_in_today"), (intmax_t)number(p, "failed_today"));
}

void told_portal_error(const json_t *status, struct buf *b)
{
	const json_t *p = json_object_get(status, "portal");
	char time[32];
	if (*ctl_text(p, "error"))
		buf_printf(b, "last error, %s: %s", ctl_time(ctl_text(p, "error_at"), time),
			   ctl_text(p, "error"));
}

static bool wrong(const json_t *tier, const char *key)
{
	return strcmp(ctl_text(tier, key), "wrong") == 0;
}

bool told_probe_bad(const json_t *tier, struct buf *b)
{
	if (wrong(tier, "denied"))
		buf_printf(b, "tier %s reaches %s, which it is denied: %s", ctl_text(tier, "tier"),
			   ctl_text(tier, "denied_name"), ctl_text(tier, "why"));
	else if (wrong(tier, "allowed"))
		buf_printf(b, "tier %s does not reach %s, which it is allowed: %s",
			   ctl_text(tier, "tier"), ctl_text(tier, "allowed_name"),
			   ctl_text(tier, "why"));
	return wrong(tier, "denied") || wrong(tier, "allowed");
}

bool told_leak(const json_t *status)
{
	size_t i;
	json_t *tier;
	json_array_foreach(json_object_get(status, "probe"), i, tier)
	{
		if (wrong(tier, "denied"))
			return true;
	}
	return false;
}

void told_trouble(const json_t *status, struct buf *b)
{
	size_t i;
	json_t *tier;
	json_array_foreach(json_object_get(status, "probe"), i, tier)
	{
		if (!wrong(tier, "denied") && !wrong(tier, "allowed"))
			continue;
		buf_text(b, "probe: ");
		told_probe_bad(tier, b);
		buf_text(b, "; ");
	}
	if (told_portal(status) == PORTAL_SILENT)
		buf_printf(b,
			   "the portal has said nothing for %" PRIdMAX " s: systemctl status "
			   "tiergate-portal; ",
			   (intmax_t)number(json_object_get(status, "portal"), "age"));
}

static json_int_t oldest(const json_t *status)
{
	json_int_t age = 0;
	size_t i;
	json_t *tier;
	json_array_foreach(json_object_get(status, "probe"), i, tier)
	{
		if (number(tier, "age") > age)
			age = number(tier, "age");
	}
	return age;
}

bool told_probe_silent(const json_t *status)
{
	return oldest(status) > PROBE_SILENT_S;
}

bool told_probe_words(const json_t *status, struct buf *b)
{
	size_t i, bad = 0;
	json_t *tier;
	json_array_foreach(json_object_get(status, "probe"), i, tier)
	{
		bad += wrong(tier, "denied") || wrong(tier, "allowed");
	}
	buf_printf(b, "%zu tier%s tried, %zu wrong, %sthe last time %" PRIdMAX " s ago", i,
		   i == 1 ? "" : "s", bad, told_probe_silent(status) ? "SILENT: " : "",
		   (intmax_t)oldest(status));
	return i;
}
