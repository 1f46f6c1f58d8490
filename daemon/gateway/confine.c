/* What the running daemon may open: the folders of all that its configuration names, so that a file
 * may be replaced and others come beside it. A reload that names one elsewhere is refused, and says
 * so (config/named.c). */
#include "gateway/inner.h"

#include "base/sandbox.h"
#include "wiring/tool.h"

#include <limits.h>
#include <stdio.h>

static void allow_file(const struct config *c, const char *name)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : c->folder,
		 name[0] == '/' ? "" : "/", name);
	sandbox_allow_around(path, SANDBOX_READ);
}

static void allow_configuration(const struct gateway *g)
{
	const struct config *c = g->config;
	sandbox_allow_around(g->o.config, SANDBOX_READ); /* also where the last good one is used */
	for (size_t i = 0; i < c->files.count; i++)
		allow_file(c, c->files.item[i]);
	if (c->users_file)
		sandbox_allow_around(c->users_file, SANDBOX_READ);
}

bool confine(const struct gateway *g, struct errors *errors)
{
	const struct config *c = g->config;
	sandbox_allow_system();
	allow_configuration(g);
	sandbox_allow(c->state_dir, SANDBOX_WRITE);
	sandbox_allow(c->runtime_dir, SANDBOX_WRITE);
	sandbox_allow_around(c->control_socket, SANDBOX_WRITE);
	if (c->log == CONFIG_LOG_FILE && c->log_file && !g->o.foreground)
		sandbox_allow_around(c->log_file, SANDBOX_WRITE);
	if (c->dnstap_socket)
		sandbox_allow_around(c->dnstap_socket, SANDBOX_WRITE);
	tool_helper_only();
	return sandbox_on(SANDBOX_DAEMON, errors);
}
