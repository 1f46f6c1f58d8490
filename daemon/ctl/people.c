#include "ctl/ctl.h"

#include "base/clock.h"
#include "advice/explain.h"
#include "identity/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

void ctl_put(FILE *to, const char *text)
{
	for (; text && *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, to);
}

void ctl_put_json(const json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
}

const char *ctl_text(const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));
	return text ? text : "";
}

const char *ctl_time(const char *rfc3339, char out[static 32])
{
	int64_t ns;
	struct tm tm;
	out[0] = '\0';
	if (!when_parse(rfc3339, 0, &ns))
		return out;
	time_t t = (time_t)(ns / NS_PER_S);
	if (localtime_r(&t, &tm))
		strftime(out, 32, "%Y-%m-%d %H:%M", &tm);
	return out;
}

void ctl_set(json_t *j, const char *key, const char *text)
{
	if (text)
		json_object_set_new(j, key, json_string(text));
}

char *ctl_users_file(const char *given)
{
	struct errors errors = {0};
	const char *path = ctl.config ? ctl.config : CTL_CONFIG;
	if (given || (!ctl.config && access(path, R_OK) != 0))
		return strdup(given ? given : CTL_USERS);
	struct config *c = config_load(path, CONFIG_FOR_CHECK, &errors);
	char *file = c ? strdup(c->users_file) : NULL;
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	config_free(c);
	return file;
}

void ctl_hint_user(const char *file, const char *user)
{
	char meant[USER_MAX], *own = NULL;
	if (!file && access(ctl.config ? ctl.config : CTL_CONFIG, R_OK) == 0)
		file = own = ctl_users_file(NULL);
	if (file && users_meant(file, user, meant)) {
		fputs("tiergatectl: did you mean ", stderr);
		ctl_put(stderr, meant);
		fprintf(stderr, ", of %s?\n", file);
	}
	free(own);
}

/* ---- passwords ---- */

static bool read_line(char out[static CTL_PASSWORD])
{
	size_t len = 0;
	char c = '\0';
	ssize_t n;
	/* By single bytes: what follows the line is for others. */
	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n' && len < CTL_PASSWORD - 1)
		out[len++] = c;
	out[len] = '\0';
	if (n < 0 || (n == 1 && c != '\n') || len == 0 || memchr(out, '\0', len)) {
		fputs(n < 0      ? "tiergatectl: the password cannot be read\n"
		      : len == 0 ? "tiergatectl: no password was given\n"
				 : "tiergatectl: this is no password\n",
		      stderr);
		return false;
	}
	return true;
}

bool ctl_password(const char *prompt, char out[static CTL_PASSWORD])
{
	struct termios was, quiet;
	if (tcgetattr(STDIN_FILENO, &was) < 0)
		return read_line(out);
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	fputs(prompt, stderr);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	bool read = read_line(out);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	fputc('\n', stderr);
	return read;
}
