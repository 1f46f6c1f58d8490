/* ctl: what the commands of tiergatectl share. A command is one file and one line of the table in
 * main.c; its argv[0] is its own name, and it returns the exit status. */
#pragma once
#include "base/exit.h"
#include "config/config.h"
#include "control/call.h"
#include "decision/records.h"
#include "policy/load.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CTL_CONFIG   "/etc/tiergate/tiergate.conf"
#define CTL_SOCKET   "/run/tiergate/control.sock"
#define CTL_USERS    "/etc/tiergate/users"
#define CTL_VOUCHERS "/var/lib/tiergate-portal/vouchers"

int ctl_status(int argc, char **argv);
int ctl_report(int argc, char **argv);
int ctl_backup(int argc, char **argv);
int ctl_restore(int argc, char **argv);
int ctl_init(int argc, char **argv);
int ctl_history(int argc, char **argv);
int ctl_rollback(int argc, char **argv);
int ctl_doctor(int argc, char **argv);
int ctl_metrics(int argc, char **argv);
int ctl_probe(int argc, char **argv);
int ctl_sessions(int argc, char **argv);
int ctl_login(int argc, char **argv);
int ctl_logout(int argc, char **argv);
int ctl_names(int argc, char **argv);
int ctl_lockdown(int argc, char **argv);
int ctl_block(int argc, char **argv);
int ctl_unblock(int argc, char **argv);
int ctl_why(int argc, char **argv);
int ctl_denials(int argc, char **argv);
int ctl_reach(int argc, char **argv);
int ctl_watch(int argc, char **argv);
int ctl_top(int argc, char **argv);
int ctl_diff(int argc, char **argv);
int ctl_coverage(int argc, char **argv);
int ctl_expect(int argc, char **argv);
int ctl_suggest(int argc, char **argv);
int ctl_unused(int argc, char **argv);
int ctl_try(int argc, char **argv);
int ctl_reload(int argc, char **argv);
int ctl_passwd(int argc, char **argv);
int ctl_vouchers(int argc, char **argv);

/* ---- options, before or after the command's name ---- */

struct ctl_common {
	const char *socket, *config; /* NULL: not given */
	bool json, help, version;
};
extern struct ctl_common ctl;

/* --name VALUE (text) or --name (flag); a NULL name ends the list. */
struct ctl_option {
	const char *name;
	const char **text;
	bool *flag;
};

/* Reads argv[1..]; the common ones are always known. *next is the first word that is no option,
 * where `words` allows one. False after saying what is wrong. */
bool ctl_options(int argc, char **argv, const struct ctl_option *options, int *next);

/* The same with up to `max` words between and behind the options; *count is how many there are. */
bool ctl_words(int argc, char **argv, const struct ctl_option *options, const char **words,
	       size_t max, size_t *count);

/* Says how the command is called (and why, if given) on standard error; EXIT_USAGE. */
int ctl_usage(const char *usage, const char *wrong);

/* ---- the daemon ---- */

/* Where the daemon listens: as given, else as the given configuration says, else the default. False
 * after saying why there is no such path. */
#define CTL_SOCKET_MAX 108 /* sun_path */
bool ctl_socket(char out[static CTL_SOCKET_MAX]);

/* Connects to the daemon; NULL after saying why not. The caller closes (call_close). */
struct call *ctl_connect(void);

/* Sends a command with its members (taken over; may be NULL); false after saying why not. */
bool ctl_send(struct call *c, const char *command, json_t *members);

/* The next line of the answer (the caller's): "more" lines, then one with "ok". NULL where the
 * daemon has gone; that is said. */
json_t *ctl_receive(struct call *c);

/* Both for a single answer: its result (the caller's), or NULL with *status set, after saying every
 * error. */
json_t *ctl_ask(const char *command, json_t *members, int *status);

/* Says an answer's error and returns the exit status that goes with it. */
int ctl_refused(const json_t *answer);

/* "X is not signed in", with who may have been meant by the daemon's answer, and what to do. */
void ctl_not_signed_in(const char *who, const json_t *result, const char *otherwise);

/* Asks at an address; or, where it is NULL, at the first address of each session of a user. The
 * greatest exit status; EXIT_NO after saying it where the user has none. */
int ctl_where(const char *address, const char *user, int (*ask)(const char *address));

/* ---- for people ---- */

/* Text from elsewhere without what a terminal could take for a command. */
void ctl_put(FILE *to, const char *text);
void ctl_put_json(const json_t *j); /* one line */
/* A member's text, "" where there is none. */
const char *ctl_text(const json_t *j, const char *key);
/* An RFC 3339 time as local "2026-11-24 10:00", "" for "". */
const char *ctl_time(const char *rfc3339, char out[static 32]);
/* What an administrator has to know of a status, the worst first; "" where all is well. */
void ctl_trouble(const json_t *status, char out[static 512]);
/* Sets a member unless the text is NULL. */
void ctl_set(json_t *j, const char *key, const char *text);

/* The users file: given, or as the configuration says. Owned by the caller; NULL after saying why.
 */
char *ctl_users_file(const char *given);
/* Says which user of the file may have been meant, where it has no such one and we may read it;
 * nothing otherwise. NULL: the file of ctl_users_file. */
void ctl_hint_user(const char *file, const char *user);

/* Loads a configuration to ask it; false after saying all that is wrong with it. What was made is
 * policy_free's. */
bool ctl_policy(const char *path, struct policy *out);
/* shipped.c: whether a file is byte for byte the one that was installed by that name: nobody has
 * made it his own. False where that can't be told. */
bool ctl_as_shipped(const char *path, const char *name);

/* The records of files, else of the log that the configuration says; NULL after saying why not. */
struct records *ctl_records(const char *const *files, size_t count, const struct config *c);

/* What there is to know of what was read: into an object, and in words after "# ". */
void ctl_records_words(const struct records_count *r, json_t *to);
void ctl_records_say(const struct records_count *r);
/* Where the first of each is, a line each after `before`. */
void ctl_records_places(const struct records_count *r, const char *before);

/* Reads options with `--since TIME` and `--against FILE...`, whose further files are words. *since
 * is INT64_MIN unless given. False after saying what is wrong, or with nothing said where the usage
 * is wanted. */
#define CTL_FILES 1024
struct ctl_against {
	const char *file[CTL_FILES];
	size_t count;
	int64_t since;
};
bool ctl_against(int argc, char **argv, const struct ctl_option *options, struct ctl_against *out);

/* Whether the policy has a tier, by the configuration, else by the daemon. EXIT_DONE, also where
 * neither can be asked; EXIT_NO after saying what to do. */
int ctl_tier(const char *tier);

/* A password from the terminal without echo, or a line from standard input. False after saying why
 * there is none. */
#define CTL_PASSWORD 320
bool ctl_password(const char *prompt, char out[static CTL_PASSWORD]);
