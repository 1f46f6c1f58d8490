/* config: the configuration as the administrator wrote it, checked, with a place for each line.
 *
 * Everything is owned by struct config; names (tiers, sites, schedules) are still text here, and
 * policy/compile.c turns them into a snapshot. */
#pragma once
#include "base/address.h"
#include "base/decision.h"
#include "base/error.h"
#include "base/span.h"
#include "base/zone.h"
#include "lists/list.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where something was written; file is relative to the main file's folder, owned by the config. */
struct place {
	const char *file;
	int line;
};

struct strings {
	char **item;
	size_t count;
};

struct networks {
	struct network *item;
	size_t count;
};

enum config_evidence {
	CONFIG_EVIDENCE_UNSET,
	CONFIG_EVIDENCE_ANY,
	CONFIG_EVIDENCE_DNS,
	CONFIG_EVIDENCE_NAME,
	CONFIG_EVIDENCE_NAME_ADDRESS
};
enum config_mismatch { CONFIG_MISMATCH_UNSET, CONFIG_MISMATCH_LOG, CONFIG_MISMATCH_DENY };

enum config_mode { CONFIG_ENFORCE, CONFIG_OBSERVE };
enum config_line_mode { CONFIG_LINE_UNSET, CONFIG_LINE_ENFORCE, CONFIG_LINE_OBSERVE };

struct config_tier {
	struct place place;
	char *name;
	struct strings includes;
	enum config_evidence evidence;
	enum config_mismatch mismatch;
	int64_t idle, absolute; /* ns; 0: no limit */
	enum config_mode mode;
};

/* A value that somebody else says of a user (a RADIUS attribute, a group), and its tier. */
struct config_tier_of {
	struct place place;
	char *value, *tier;
};

struct config_segment {
	struct place place;
	struct network network;
	char *tier;
};

struct config_host { /* who is at an address, or behind a MAC address, without signing in */
	struct place place;
	struct address address;
	bool has_address; /* one of the two */
	uint8_t mac[6];
	bool has_mac;
	char *user, *tier;
};

#define HOURS_MAX 8     /* ranges of a day */
#define DATES_MAX 10000 /* dates and times of a schedule, ranges as one */

struct config_hours { /* minutes of the day; to may be 1440; from > to passes midnight */
	uint16_t from, to;
};

struct config_dates {
	struct span *day;  /* days since 1970-01-01; joined */
	struct span *time; /* seconds since 1970, UTC; joined */
	size_t days, times;
};

struct config_schedule {
	struct place place;
	char *name;
	uint8_t days; /* bit 0 Monday .. bit 6 Sunday */
	uint8_t hours_count;
	struct config_hours hours[HOURS_MAX];
	char *zone;       /* IANA name */
	char *not_within; /* another schedule, within which this one does not hold; or NULL */
	bool dated;       /* `dates` or `calendar` is given: it holds on these alone */
	struct config_dates dates; /* those of the calendar, too */
	char *calendar;            /* its file, or NULL */
	int64_t calendar_over;     /* ns: when its last event ends; INT64_MAX: one has no end */
	struct strings except;     /* further schedules within which it does not hold, */
	struct config_dates except_dates; /* and dates */
};

struct config_site {
	struct place place;
	char *name;
	struct site_list *list; /* its lists, then its inline hosts as a list of their own */
	size_t count;
	int64_t max_age; /* of its lists' files, ns; 0: no limit */
};

struct config_port {
	uint8_t transport; /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t first, last;
};

struct config_quota {    /* how much of it there is, until when */
	uint64_t amount; /* bytes, or minutes in which traffic moved; 0: no quota */
	bool bytes;
	bool week;           /* of a week; else of a day */
	bool together;       /* all whom the line is for have it together; else each */
	uint8_t day;         /* of the week, on which it begins anew: 0 Monday */
	uint16_t minute;     /* of the day, at which it does */
	char zone[ZONE_MAX]; /* IANA name; "": UTC */
};

struct config_line { /* of allow or deny */
	struct place place;
	struct strings tiers, sites; /* "*" stays as the single item "*" */
	struct strings except;       /* sites for which the line does not hold */
	struct config_port *ports;   /* never empty: the default is written out */
	size_t port_count;
	char *when; /* schedule, or NULL */
	enum config_evidence evidence;
	enum config_mismatch mismatch;
	enum config_line_mode mode; /* observe: of deny lines alone */
	char *owner, *note;         /* or NULL */
	int64_t expires;            /* ns since the epoch, start of the day after, UTC; 0: never */
	struct config_quota quota;  /* of allow */
};

struct config_expect {
	struct place place;
	char *tier; /* or NULL: by `from` */
	struct address from;
	bool has_from;
	char *to; /* name or address */
	struct config_port port;
	enum evidence evidence; /* EVIDENCE_COUNT: the strongest */
	char *at;               /* "mon 10:00" or NULL */
	enum action outcome;
};

enum config_open { CONFIG_CLOSED, CONFIG_OPEN };
enum config_flushed { CONFIG_RESTORE, CONFIG_REPORT };
enum config_on_deny { CONFIG_REJECT, CONFIG_DROP, CONFIG_REDIRECT };
enum config_held { CONFIG_HELD_UNTIL_STUCK, CONFIG_HELD_UNTIL_WHOLE };
enum config_http { CONFIG_HTTP_FIRST, CONFIG_HTTP_EVERY };
enum config_audit { CONFIG_AUDIT_NORMAL, CONFIG_AUDIT_STRICT };
enum config_host_change { CONFIG_HOST_END, CONFIG_HOST_MOVE, CONFIG_HOST_IGNORE };
enum config_log { CONFIG_LOG_FILE, CONFIG_LOG_JOURNAL, CONFIG_LOG_STDOUT, CONFIG_LOG_NONE };

struct config {
	char *path, *folder;   /* of the main file */
	struct strings files;  /* all that was read: the main file, policy files, lists */
	struct strings inside; /* interfaces */
	struct networks internal, resolvers;
	enum config_mode mode;
	enum config_open when_down, when_full;
	enum config_flushed when_flushed;
	enum config_on_deny on_deny;
	struct endpoint portal[2]; /* of IPv4 and of IPv6 */
	enum config_http http;
	enum config_held held_until;
	enum config_mismatch mismatch; /* default of tiers and lines */
	enum config_audit audit;
	bool dns_any_client; /* dns_scope = "network": an answer for one client counts for all */
	int64_t name_grace;  /* ns after a TTL */
	enum config_host_change host_change;

	enum config_log log;
	char *log_file;
	int64_t log_fold;         /* 0: off */
	char *pseudonym_key_file; /* NULL: user names are logged as they are */
	char *users_file, *control_socket, *state_dir, *runtime_dir;
	char *dnstap_socket; /* NULL: none */

	/* queues and marks */
	unsigned queues,
		queue_first; /* queue_first .. +queues-1; DNS: NFLOG group queue_first+queues */
	unsigned queue_length;
	uint32_t mark_mask;
	struct strings flowtable; /* interfaces between which allowed TCP skips the rules */
	/* bounds, each a table's or buffer's size */
	uint32_t flows, sessions, names, streams, held, held_per_client, log_ring, quotas;
	int64_t hello_timeout; /* ns after the first held payload byte */

	struct config_tier *tiers;
	size_t tier_count;
	struct config_segment *segments;
	size_t segment_count;
	struct config_host *hosts;
	size_t host_count;
	struct config_schedule *schedules;
	size_t schedule_count;
	struct config_site *sites;
	size_t site_count;
	struct config_line *allow, *deny;
	size_t allow_count, deny_count;
	struct config_expect *expects;
	size_t expect_count;

	struct errors notes; /* what is no error and should be looked at, in words */
	size_t faults;       /* lists that a start took in spite of a fault; the notes say which */
};

/* What the configuration is for decides which keys are required. At a start no list keeps the rest
 * from coming up: one with a fault (a line that is none, an empty file where there was content, a
 * file that is not there) is replaced by the last good one, else what is good of it counts, and the
 * notes say so. */
enum config_use { CONFIG_FOR_CHECK, CONFIG_FOR_REPLAY, CONFIG_FOR_RUN, CONFIG_FOR_START };

/* Reads a file and all that it names. Forms, ranges, names that dangle or are given twice and tiers
 * that include themselves are checked here; lines that can never match and `expect` by policy/.
 * NULL where anything is wrong: every error is then in `errors`, file by file and line by line. */
struct config *config_load(const char *path, enum config_use use, struct errors *errors);
void config_free(struct config *c);

/* What is no error but opens or closes everything, or does nothing; now: ns since the epoch. */
void config_warn(const struct config *c, int64_t now, struct errors *warnings);

/* Adds each list whose file is older than its site's max_age. now: of clock_wall. */
void config_old_lists(const struct config *c, int64_t now, struct errors *warnings);

/* A line for each site: how many entries each of its lists holds. */
void config_count(const struct config *c, FILE *to);

/* Keeps the lists of a configuration that is in force in its state_dir, for the next start. False
 * (and an error a list) where one could not be written. */
bool config_keep(const struct config *c, struct errors *errors);

/* Writes the normalised configuration, which loads again to the same. */
void config_print(const struct config *c, FILE *to);
