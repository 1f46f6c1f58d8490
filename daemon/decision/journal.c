#include "decision/journal.h"

#include "decision/record.h"

#include <sys/uio.h>
#include <systemd/sd-journal.h>

#define FIELDS 16

struct fields {
	struct iovec iov[FIELDS];
	int count;
	struct buf text;
};

static void field(struct fields *f, const char *name, const char *value)
{
	if (!value || !value[0] || f->count == FIELDS)
		return;
	char *start = f->text.data + f->text.len;
	buf_text(&f->text, name);
	buf_text(&f->text, value);
	size_t len = (size_t)(f->text.data + f->text.len - start);
	if (!f->text.full)
		f->iov[f->count++] = (struct iovec){start, len};
}

int journal_send(const struct decision *d, const char *json, size_t len)
{
	char space[RECORD_MAX * 2], message[RECORD_MAX], address[ADDRESS_TEXT];
	struct fields f = {.text = BUF_OF(space)};
	struct buf b = BUF_OF(message);
	record_write_message(&b, d, false);
	field(&f, "MESSAGE=", message);
	field(&f, "PRIORITY=", d->kind == DECISION_LOST ? "4" : "6");
	field(&f, "SYSLOG_IDENTIFIER=", "tiergate");
	field(&f, "TIERGATE_ACTION=", record_action(d));
	if (d->kind == DECISION_ACT) {
		field(&f, "TIERGATE_ACT=", d->act);
		field(&f, "TIERGATE_BY=", d->by);
		field(&f, "TIERGATE_USER=", d->user);
		field(&f, "TIERGATE_DETAIL=", d->detail);
	} else if (d->kind != DECISION_LOST) {
		field(&f, "TIERGATE_REASON=", reason_text(d->reason));
		field(&f, "TIERGATE_RULE=", d->rule);
		field(&f, "TIERGATE_USER=", d->user);
		field(&f, "TIERGATE_TIER=", d->tier);
		field(&f, "TIERGATE_SITE=", d->site);
		field(&f, "TIERGATE_SOURCE=", address_format(&d->client, address));
		field(&f, "TIERGATE_DESTINATION=", address_format(&d->server, address));
		field(&f, "TIERGATE_DOMAIN=", d->host.len ? d->host.text : NULL);
	}
	static const char name[] = "TIERGATE_RECORD=";
	char *start = f.text.data + f.text.len;
	buf_text(&f.text, name);
	buf_bytes(&f.text, json, len ? len - 1 : 0);
	if (!f.text.full)
		f.iov[f.count++] = (struct iovec){start, sizeof name - 1 + (len ? len - 1 : 0)};
	return sd_journal_sendv(f.iov, f.count);
}
