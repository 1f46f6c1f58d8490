#include "source/frames.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct frames *f, size_t need, size_t max)
{
	if (need > max)
		return false;
	if (need <= f->cap)
		return true;
	size_t cap = f->cap ? f->cap : 2048;
	while (cap < need)
		cap *= 2;
	unsigned char *data = realloc(f->data, cap);
	if (!data)
		return false;
	f->data = data;
	f->cap = cap;
	return true;
}

bool frames_add(struct frames *f, const struct pcap_frame *frame, size_t max)
{
	if (!reserve(f, f->len + sizeof *frame + frame->caplen, max))
		return false;
	memcpy(f->data + f->len, frame, sizeof *frame);
	memcpy(f->data + f->len + sizeof *frame, frame->bytes, frame->caplen);
	f->len += sizeof *frame + frame->caplen;
	return true;
}

bool frames_append(struct frames *f, const struct frames *more)
{
	if (!reserve(f, f->len + more->len, SIZE_MAX))
		return false;
	memcpy(f->data + f->len, more->data, more->len);
	f->len += more->len;
	return true;
}

void frames_write(const struct frames *f, struct pcap_writer *to)
{
	for (size_t at = 0; at < f->len;) {
		struct pcap_frame frame;
		memcpy(&frame, f->data + at, sizeof frame);
		frame.bytes = f->data + at + sizeof frame;
		pcap_writer_add(to, &frame);
		at += sizeof frame + frame.caplen;
	}
}

void frames_deinit(struct frames *f)
{
	free(f->data);
	*f = (struct frames){0};
}
