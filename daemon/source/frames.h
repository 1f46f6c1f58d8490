/* frames: captured frames kept as they were, until it is known whether they pass. */
#pragma once
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>

struct frames {
	unsigned char *data; /* each a struct pcap_pkthdr and its bytes */
	size_t len, cap;
};

/* False where memory ran out, or more than `max` bytes would be kept. */
bool frames_add(struct frames *f, const struct pcap_pkthdr *header, const unsigned char *bytes,
		size_t max) __attribute__((warn_unused_result));
bool frames_append(struct frames *f, const struct frames *more) __attribute__((warn_unused_result));
void frames_write(const struct frames *f, pcap_dumper_t *to);
void frames_deinit(struct frames *f);
