#include "ctl/top_feed.h"

#include "advice/top.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One screen, of what came between two looks. */
static int once(struct feed *f)
{
	static struct top_screen screen;
	const struct top_view v = {80, 44, TOP_NOW, f->trouble};
	feed_look(f);
	if (f->there)
		feed_wait(f, -1, clock_now() + NS_PER_S);
	if (f->there)
		feed_look(f);
	if (!f->there) {
		fprintf(stderr, "tiergatectl: the daemon does not answer at %s\n", f->path);
		return EXIT_CANNOT;
	}
	top_render(f->top, &v, &screen);
	for (size_t i = 0; i < screen.count; i++)
		puts(screen.line[i].text);
	return EXIT_DONE;
}

int ctl_top(int argc, char **argv)
{
	static struct feed f;
	bool one = false;
	const struct ctl_option options[] = {{"once", NULL, &one}, {0}};
	if (!ctl_options(argc, argv, options, NULL) || ctl.help)
		return ctl_usage("top [--once]", NULL);
	if (ctl.json)
		return ctl_usage("top [--once]", "--json: `watch` and `status` have it");
	if (!ctl_socket(f.path))
		return EXIT_CANNOT;
	f.top = top_new(clock_wall());
	if (!f.top) {
		fputs("tiergatectl: there is no memory left\n", stderr);
		return EXIT_CANNOT;
	}
	int status = one || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ? -1 : top_screen(&f);
	if (status < 0)
		status = once(&f);
	feed_close(&f);
	top_free(f.top);
	return status;
}
