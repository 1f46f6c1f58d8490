/* snapshot: a configuration compiled for deciding. Immutable; workers hold it under RCU. */
#pragma once
#include "base/decision.h"
#include "config/config.h"

struct snapshot;

/* What is read of a policy beside its lines. */
struct settings {
	enum config_mode mode;
	enum config_audit audit;
	enum config_held held_until;
	enum config_http http;
	enum config_on_deny on_deny;
	enum config_mismatch mismatch; /* where neither line nor tier says */
	struct endpoint portal[2];     /* of IPv4 and of IPv6 */
};

/* Compiles a loaded configuration: dangling names, unreachable lines and include loops are added to
 * errors with their place. NULL where there was an error. The config may be freed afterwards. */
struct snapshot *snapshot_compile(const struct config *c, struct errors *errors);
void snapshot_free(struct snapshot *s);

/* First 16 hex digits of a SHA-256 over the normalised configuration and every list it names. */
const char *snapshot_digest(const struct snapshot *s);

bool snapshot_internal(const struct snapshot *s, const struct address *a);
bool snapshot_resolver(const struct snapshot *s, const struct address *a);

/* The tier that an address has without signing in, or NULL; longest prefix first. */
const char *snapshot_segment(const struct snapshot *s, const struct address *a);

/* Who is at an address without signing in: the tier of a host of the configuration (by address,
 * else by MAC address where that is known; NULL: it is not), else the segment's, or NULL. *user is
 * the host's, else "". */
const char *snapshot_static(const struct snapshot *s, const struct address *a, const uint8_t mac[6],
			    const char **user);

bool snapshot_has_tier(const struct snapshot *s, const char *tier);

/* A tier's number in this snapshot and no other, from 1 on, for who asks again and again; 0 where
 * there is none. */
uint32_t snapshot_tier_number(const struct snapshot *s, const char *tier);
void snapshot_tier_limits(const struct snapshot *s, const char *tier, int64_t *idle,
			  int64_t *absolute);

/* Place and names of an outcome's line and site; "" where there is none. */
const char *snapshot_rule_name(const struct snapshot *s, uint32_t rule);  /* "policy.conf:12" */
const char *snapshot_rule_owner(const struct snapshot *s, uint32_t rule); /* or "" */
const char *snapshot_rule_note(const struct snapshot *s, uint32_t rule);  /* or "" */
const char *snapshot_tier_name(const struct snapshot *s, uint32_t tier);
const char *snapshot_site_name(const struct snapshot *s, uint32_t site);

/* Next time after now at which a schedule, an `expires`, a lockdown's end or a quota that begins
 * anew could change an outcome; 0: never. */
int64_t snapshot_next_edge(const struct snapshot *s, int64_t now);

/* What counts its lines and entries; NULL: nothing does. It is the snapshot's from then on; to be
 * set before any worker sees the snapshot. */
struct counted;
void snapshot_count(struct snapshot *s, struct counted *c);
struct counted *snapshot_counted(const struct snapshot *s);

/* Whether nothing is denied: to anybody; to a tier, where the whole denies or where nothing is. */
enum config_mode snapshot_mode(const struct snapshot *s);
bool snapshot_observes(const struct snapshot *s, const char *tier);
bool snapshot_tier_observes(const struct snapshot *s, uint32_t number);
const struct settings *snapshot_settings(const struct snapshot *s);

/* Runs the `expect` lines; adds one error a failure. Returns how many failed. */
size_t snapshot_expect(const struct snapshot *s, struct errors *errors, int64_t now);

/* Whether an expectation holds, which the policy need not have. *touched has a place for each line,
 * those of allow first: set where the line decides one of its times. */
bool snapshot_expected(const struct snapshot *s, const struct config_expect *e, int64_t now,
		       bool *touched);
