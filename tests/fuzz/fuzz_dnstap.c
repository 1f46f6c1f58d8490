/* A Dnstap payload, as a resolver's frame holds it. */
#include "base/clock.h"
#include "dns/dnstap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seen *seen;
	if (!seen)
		seen = seen_new(64, 3600 * NS_PER_S, false);
	dnstap_note(seen, cursor_of(data, size), 0);
	return 0;
}
