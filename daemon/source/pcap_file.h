/* pcap_file: captures in files: classic pcap (microseconds, nanoseconds and Kuznetzov's, of either
 * byte order) and pcapng (draft-ietf-opsawg-pcapng) of any number of sections, interfaces and link
 * types, which libpcap refuses. */
#pragma once
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define PCAP_LINK_NONE UINT32_MAX /* of an interface that the file does not describe */

struct pcap_frame {
	int64_t time;    /* nanoseconds since 1970; 0 where the file has none that can be counted */
	uint32_t link;   /* LINKTYPE_*, or PCAP_LINK_NONE */
	uint32_t caplen; /* bytes that are here */
	uint32_t len;    /* and that there were */
	const uint8_t *bytes; /* valid until the next frame is read */
};

struct pcap_reader;

/* NULL with a sentence in errors: no such file, or not a capture. */
struct pcap_reader *pcap_reader_open(const char *path, struct errors *errors);
void pcap_reader_close(struct pcap_reader *r);

enum pcap_read {
	PCAP_READ_FRAME,
	PCAP_READ_END,
	PCAP_READ_BROKEN, /* the file breaks off or is not well-formed here: pcap_reader_why */
};
enum pcap_read pcap_reader_next(struct pcap_reader *r, struct pcap_frame *out);
const char *pcap_reader_why(const struct pcap_reader *r);

struct pcap_writer;

/* A file of the form of what was read, with nanoseconds: pcap has one link type, pcapng as many as
 * come. NULL with errno set. */
struct pcap_writer *pcap_writer_open(const char *path, const struct pcap_reader *like);
void pcap_writer_add(struct pcap_writer *w, const struct pcap_frame *f);
/* 0, or -errno of the first thing that could not be written. */
int pcap_writer_close(struct pcap_writer *w);
