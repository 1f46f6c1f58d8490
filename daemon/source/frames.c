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

bool frames_add(struct frames *f, const struct pcap_pkthdr *header, const unsigned char *bytes,
		size_t max)
{
	if (!reserve(f, f->len + sizeof *header + header->caplen, max))
		return false;
	memcpy(f->data + f->len, header, sizeof *header);
	memcpy(f->data + f->len + sizeof *header, bytes, header->caplen);
	f->len += sizeof *header + header->caplen;
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

void frames_write(const struct frames *f, pcap_dumper_t *to)
{
	for (size_t at = 0; at < f->len;) {
		struct pcap_pkthdr header;
		memcpy(&header, f->data + at, sizeof header);
		pcap_dump((unsigned char *)to, &header, f->data + at + sizeof header);
		at += sizeof header + header.caplen;
	}
}

void frames_deinit(struct frames *f)
{
	free(f->data);
	*f = (struct frames){0};
}
