/* frames: captured frames kept as they were, until it is known whether they pass. */
#pragma once
#include "source/pcap_file.h"

#include <stdbool.h>
#include <stddef.h>

struct frames {
	unsigned char *data; /* each a struct pcap_frame and its bytes */
	size_t len, cap;
};

/* False where memory ran out, or more than `max` bytes would be kept. */
bool frames_add(struct frames *f, const struct pcap_frame *frame, size_t max)
	__attribute__((warn_unused_result));
bool frames_append(struct frames *f, const struct frames *more) __attribute__((warn_unused_result));
void frames_write(const struct frames *f, struct pcap_writer *to);
void frames_deinit(struct frames *f);
