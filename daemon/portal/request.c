#include "portal/request.h"

#include <microhttpd.h>

const char *request_query(struct request *r, const char *name)
{
	const char *value = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
	return value && strlen(value) < QUERY_MAX ? value : "";
}
