#include "ctl/ctl.h"
#include "ctl/wiring.h"

#include "base/version.h"
#include "config/suggest.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"init", ctl_init, "write a first configuration, from what this machine shows"},
	{"status", ctl_status, "what the daemon does and counts"},
	{"doctor", ctl_doctor, "look at all that a gateway needs, and say what is wrong"},
	{"metrics", ctl_metrics, "all that it counts, as Prometheus reads it"},
	{"probe", ctl_probe,
	 "send packets of each tier through the gateway: is denied still denied?"},
	{"sessions", ctl_sessions, "who is signed in, where, until when"},
	{"login", ctl_login, "sign a user in at an address"},
	{"logout", ctl_logout, "sign a user or an address out"},
	{"lockdown", ctl_lockdown, "leave only some sites open for a while: an exam, an incident"},
	{"block", ctl_block, "shut all that is outside for a user, who can't sign in any more"},
	{"unblock", ctl_unblock, "take that back"},
	{"why", ctl_why, "explain what the policy says of a destination"},
	{"diff", ctl_diff, "what two configurations decide otherwise"},
	{"try", ctl_try, "what another configuration would do with what was recorded"},
	{"suggest", ctl_suggest, "the allow lines that what was denied would need"},
	{"unused", ctl_unused, "lines and list entries that nothing was decided by"},
	{"coverage", ctl_coverage, "which lines no expect touches"},
	{"expect", ctl_expect, "write expect lines from what is true today"},
	{"denials", ctl_denials, "what was denied at an address of late"},
	{"reach", ctl_reach, "what may be reached from an address, now and later"},
	{"watch", ctl_watch, "follow decisions as they are made"},
	{"names", ctl_names, "tiers, sites and users by their first letters, for shells"},
	{"top", ctl_top, "what happens now: top users, sites, denials, reasons"},
	{"reload", ctl_reload, "load the configuration again"},
	{"report", ctl_report, "what was decided, by hour, tier, site, reason, user and name"},
	{"history", ctl_history, "the policies that were in force, and who loaded them"},
	{"rollback", ctl_rollback, "put one of them in force again"},
	{"passwd", ctl_passwd, "write a user, tier and password into the users file"},
	{"vouchers", ctl_vouchers, "make codes that sign in once, and print them"},
	{"backup", ctl_backup, "put all that makes this gateway into a file"},
	{"restore", ctl_restore, "take it from there"},
	{"wiring", ctl_wiring, "set, check, print or remove the kernel's rules"},
};

static void usage(FILE *to)
{
	fputs("usage: tiergatectl [--socket PATH] [--config FILE] [--json] COMMAND [OPTION...]\n\n",
	      to);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n`tiergatectl COMMAND --help` and tiergatectl(8) say more; --version says which "
	      "one "
	      "this is.\n",
	      to);
}

static int unknown(const char *word)
{
	const char *names[sizeof commands / sizeof *commands];
	size_t count = sizeof commands / sizeof *commands;
	for (size_t i = 0; i < count; i++)
		names[i] = commands[i].name;
	const char *near = nearest(word, names, count);
	fprintf(stderr, "tiergatectl: there is no command %s", word);
	if (near)
		fprintf(stderr, "; did you mean %s?", near);
	fputs("\n`tiergatectl --help` names them all\n", stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	int next = 0;
	signal(SIGPIPE, SIG_IGN);
	if (!ctl_options(argc, argv, none, &next))
		return EXIT_USAGE;
	if (ctl.help || ctl.version) {
		ctl.version ? version_print("tiergatectl") : usage(stdout);
		return EXIT_DONE;
	}
	for (size_t i = 0; next < argc && i < sizeof commands / sizeof *commands; i++)
		if (strcmp(argv[next], commands[i].name) == 0)
			return commands[i].run(argc - next, argv + next);
	if (next < argc)
		return unknown(argv[next]);
	usage(stderr);
	return EXIT_USAGE;
}
