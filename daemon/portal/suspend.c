/* suspend: a request waits for a checker, and goes on. */
#include "portal/deadline.h"
#include "portal/request.h"

#include <microhttpd.h>

void request_suspend(struct request *r)
{
	deadline_pause(r->portal->deadline, r->watched);
	MHD_suspend_connection(r->connection);
}

void request_resume(struct request *r)
{
	deadline_restart(r->portal->deadline, r->watched);
	MHD_resume_connection(r->connection);
}
