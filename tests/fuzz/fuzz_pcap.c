/* The input is a capture file; what is read of it is written, and reads the same again. */
#include "source/pcap_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *path_of(int fd, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return path;
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* A sum of all frames that have a link type; what comes after it is not written. */
static uint64_t read_all(int fd, int copy)
{
	char path[32];
	uint64_t sum = 0;
	struct errors errors = {0};
	struct pcap_frame f;
	struct pcap_reader *r = pcap_reader_open(path_of(fd, path), &errors);
	errors_deinit(&errors);
	if (!r)
		return 0;
	struct pcap_writer *w = copy >= 0 ? pcap_writer_open(path_of(copy, path), r) : NULL;
	enum pcap_read got;
	while ((got = pcap_reader_next(r, &f)) == PCAP_READ_FRAME) {
		require(f.time >= 0);
		if (f.link == PCAP_LINK_NONE)
			continue;
		sum = sum * 31 + (uint64_t)f.time + f.link + f.len;
		for (uint32_t i = 0; i < f.caplen; i++)
			sum = sum * 31 + f.bytes[i];
		if (w)
			pcap_writer_add(w, &f);
	}
	require(got == PCAP_READ_END || *pcap_reader_why(r));
	require(!w || pcap_writer_close(w) == 0);
	pcap_reader_close(r);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int in = memfd_create("in", 0), out = memfd_create("out", 0);
	require(in >= 0 && out >= 0 && write(in, data, size) == (ssize_t)size);
	require(read_all(in, out) == read_all(out, -1));
	close(in);
	close(out);
	return 0;
}
