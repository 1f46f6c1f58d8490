/* What the running daemon may open: the folders of all that its configuration names, so that a file
 * may be replaced and others come beside it. A reload that names one elsewhere is refused, and says
 * so (config/named.c). */
#include "gateway/inner.h"

#include "base/sandbox.h"
#include "wiring/tool.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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

/* Whoever clears the disk may take the log's folder, too: what is made in its place is another one.
 */
static void allow_log(const char *file)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s", file);
	const char *above = dirname(dirname(path));
	sandbox_allow_around(file, SANDBOX_WRITE);
	if (strcmp(above, "/") != 0 && strcmp(above, ".") != 0)
		sandbox_allow(above, SANDBOX_MAKE);
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
		allow_log(c->log_file);
	if (c->dnstap_socket)
		sandbox_allow_around(c->dnstap_socket, SANDBOX_WRITE);
	tool_helper_only();
	return sandbox_on(SANDBOX_DAEMON, errors);
}
