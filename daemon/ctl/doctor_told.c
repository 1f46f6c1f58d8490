/* Doctor on what the portal and the probe say of themselves. */
#include "ctl/doctor.h"

#include "ctl/told.h"

#include <string.h>

static void look_at_portal(struct doctor *d, const json_t *status, const struct config *c)
{
	char text[512] = "";
	struct buf b = BUF_OF(text);
	enum portal_state state = told_portal(status);
	bool needed = c && c->on_deny == CONFIG_REDIRECT;
	told_portal_words(status, &b);
	if (state == PORTAL_RUNS)
		doctor_find(d, GOOD, "portal", "runs at %s", text);
	else if (needed || state == PORTAL_SILENT)
		doctor_find(d, BAD, "portal", "%s%s; systemctl status tiergate-portal", text,
			    needed ? ", and on_deny sends people there" : "");
	else if (state == PORTAL_STOPPED)
		doctor_find(d, LOOK, "portal", "%s; systemctl start tiergate-portal", text);
	text[0] = '\0';
	b = (struct buf)BUF_OF(text);
	told_portal_error(status, &b);
	if (state == PORTAL_RUNS && text[0])
		doctor_find(d, LOOK, "portal", "its %s", text);
}

static void look_at_probe(struct doctor *d, const json_t *status)
{
	size_t i, bad = 0;
	json_t *tier;
	char text[512];
	json_array_foreach(json_object_get(status, "probe"), i, tier)
	{
		struct buf b = BUF_OF(text);
		text[0] = '\0';
		if (told_probe_bad(tier, &b)) {
			doctor_find(d, BAD, "probe", "%s", text);
			bad++;
		}
	}
	struct buf b = BUF_OF(text);
	if (told_probe_silent(status))
		doctor_find(d, LOOK, "probe",
			    "%s: it tries each minute; systemctl status tiergate-probe",
			    told_probe_words(status, &b) ? text : "");
	else if (told_probe_words(status, &b) && !bad)
		doctor_find(d, GOOD, "probe", "%s", text);
}

void doctor_told(struct doctor *d, const json_t *status, const struct config *c)
{
	look_at_portal(d, status, c);
	look_at_probe(d, status);
}
