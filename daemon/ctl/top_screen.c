/* top_screen: the model of advice/top.h on a terminal, by ncurses, and its keys. */
#include "ctl/top_feed.h"

#include "advice/top.h"
#include "base/clock.h"

#include <curses.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_NS NS_PER_S /* between two looks at the status */
#define ESCAPE  27

struct screen {
	struct feed *feed;
	struct top_view view;
	char filter[TOP_FILTER], before[TOP_FILTER]; /* before: it was changed */
	bool colour, editing, paused, help, quit;
};

static const char *const sort_text[TOP_SORTS] = {
	[TOP_NOW] = "now",     [TOP_DENIED] = "denied", [TOP_ALLOWED] = "allowed",
	[TOP_BYTES] = "bytes", [TOP_NAME] = "name",
};

/* ---- signals ---- */

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
	signalled = number;
}

/* Those that end a program come as they would have, once the terminal is as it was. */
static void catch_signals(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	const struct sigaction a = {.sa_handler = on_signal};
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		sigaction(ends[i], &a, NULL);
}

static void die_of(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

/* ---- drawing ---- */

static const char *const help_text[] = {
	"q        quit",
	"p        pause: what is shown stays, and is caught up with afterwards",
	"/        filter: only what has the text in user, client, tier, site or name;",
	"         Enter keeps it, Escape takes it back; an empty one shows all",
	"s        sort: now (flows of late), denied, allowed, bytes, name",
	"?        this, and away again",
	"",
	"allowed and denied are counted since this began; a denial that is only",
	"observed is one. bytes come with the ends of flows.",
};

static void draw_help(unsigned height)
{
	for (unsigned i = 0; i < sizeof help_text / sizeof *help_text && i + 2 < height; i++)
		mvaddnstr((int)i + 1, 0, help_text[i], COLS);
}

static void draw_lines(const struct top_screen *s, bool colour)
{
	static const attr_t attribute[] = {[TOP_PLAIN] = A_NORMAL,
					   [TOP_GOOD] = A_NORMAL,
					   [TOP_BAD] = A_BOLD,
					   [TOP_TITLE] = A_BOLD};
	for (size_t i = 0; i < s->count; i++) {
		enum top_look look = s->line[i].look;
		short pair = colour ? look == TOP_GOOD ? 1 : look == TOP_BAD ? 2 : 0 : 0;
		attr_set(attribute[look], pair, NULL);
		mvaddstr((int)i, 0, s->line[i].text);
	}
	attr_set(A_NORMAL, 0, NULL);
}

/* The last line: what the keys do, or the filter that is being typed. */
static void draw_foot(const struct screen *s)
{
	char line[TOP_FILTER + 160];
	if (s->editing)
		snprintf(line, sizeof line, "filter: %s", s->filter);
	else
		snprintf(line, sizeof line, "q quit  p %s  / filter%s%s  s sort: %s  ? help",
			 s->paused ? "go on (PAUSED)" : "pause", s->filter[0] ? ": " : "",
			 s->filter, sort_text[s->view.sort]);
	move(LINES - 1, 0);
	clrtoeol();
	attr_set(s->editing ? A_NORMAL : A_REVERSE, 0, NULL);
	addnstr(line, COLS - 1); /* in the last place of all it would scroll */
	attr_set(A_NORMAL, 0, NULL);
	curs_set(s->editing);
}

static void draw(struct screen *s)
{
	static struct top_screen lines;
	erase();
	s->view.width = COLS > 0 ? (unsigned)COLS : 1;
	s->view.height = LINES > 1 ? (unsigned)LINES - 1 : 0;
	s->view.trouble = s->feed->trouble;
	top_render(s->feed->top, &s->view, &lines);
	if (s->help)
		lines.count = lines.count ? 1 : 0;
	draw_lines(&lines, s->colour);
	if (s->help)
		draw_help(s->view.height);
	draw_foot(s);
	refresh();
}

/* ---- keys ---- */

static void set_filter(struct screen *s, const char *text)
{
	snprintf(s->filter, sizeof s->filter, "%s", text);
	top_filter(s->feed->top, s->filter);
}

/* The last character, however many bytes it has. */
static void take_back(struct screen *s)
{
	size_t len = strlen(s->filter);
	while (len && (s->filter[--len] & 0xc0) == 0x80)
		;
	s->filter[len] = '\0';
	top_filter(s->feed->top, s->filter);
}

static void edit(struct screen *s, int key)
{
	size_t len = strlen(s->filter);
	if (key == '\r' || key == '\n' || key == KEY_ENTER) {
		s->editing = false;
	} else if (key == ESCAPE) {
		s->editing = false;
		set_filter(s, s->before);
	} else if (key == KEY_BACKSPACE || key == '\b' || key == 127) {
		take_back(s);
	} else if (key >= ' ' && key < 256 && len + 1 < sizeof s->filter) {
		s->filter[len] = (char)key;
		s->filter[len + 1] = '\0';
		top_filter(s->feed->top, s->filter);
	}
}

static void press(struct screen *s, int key)
{
	if (s->editing) {
		edit(s, key);
		return;
	}
	switch (key) {
	case 'q': s->quit = true; break;
	case 'p':
		s->paused = !s->paused;
		top_pause(s->feed->top, s->paused);
		break;
	case '/':
		s->editing = true;
		strcpy(s->before, s->filter);
		set_filter(s, "");
		break;
	case 's': s->view.sort = (s->view.sort + 1) % TOP_SORTS; break;
	case '?': s->help = !s->help; break;
	case ESCAPE: s->help = false; break;
	case 'L' & 0x1f: clearok(curscr, TRUE); break; /* another program wrote on it */
	}
}

/* All keys that have come; false where the terminal has gone. */
static bool take_keys(struct screen *s)
{
	int key;
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	while (!s->quit && (key = getch()) != ERR)
		if (key != KEY_RESIZE)
			press(s, key);
	return poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* ---- the terminal ---- */

static bool begin(struct screen *s, SCREEN **out)
{
	const char *no = getenv("NO_COLOR"); /* an empty one is none (no-color.org) */
	setlocale(LC_CTYPE, "");
	if (MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
	const char *term = getenv("TERM");
	*out = term && *term && strcmp(term, "dumb") != 0 ? newterm(NULL, stdout, stdin) : NULL;
	if (!*out)
		return false;
	catch_signals();
	set_term(*out);
	cbreak();
	noecho();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	set_escdelay(25);
	s->colour = (!no || !*no) && has_colors();
	if (s->colour) {
		start_color();
		use_default_colors();
		init_pair(1, COLOR_GREEN, -1);
		init_pair(2, COLOR_RED, -1);
	}
	return true;
}

int top_screen(struct feed *f)
{
	struct screen s = {.feed = f, .view = {.sort = TOP_NOW}};
	SCREEN *terminal;
	int64_t next = 0;
	if (!begin(&s, &terminal))
		return -1;
	while (!s.quit && !signalled) {
		if (clock_now() >= next) {
			next = clock_now() + LOOK_NS;
			feed_look(f);
		}
		draw(&s);
		feed_wait(f, STDIN_FILENO, next);
		if (!take_keys(&s))
			break;
	}
	endwin();
	delscreen(terminal);
	if (signalled)
		die_of(signalled);
	return EXIT_DONE;
}
