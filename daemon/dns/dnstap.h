/* dnstap: what a resolver itself says that it answered, for answers that never cross the gateway.
 * Not for the packet path: it allocates. */
#pragma once
#include "base/cursor.h"
#include "dns/seen.h"

#define DNSTAP_CONTENT_TYPE "protobuf:dnstap.Dnstap"

/* Notes in `seen` the answer that one Dnstap payload tells of. PARSE_ABSENT: it tells of no answer
 * to a client (CLIENT_RESPONSE with query_address and response_message). PARSE_BAD: no Dnstap, or
 * the DNS message in it is malformed; what stood before the damage counts. */
enum parse dnstap_note(struct seen *seen, struct cursor payload, int64_t now);
