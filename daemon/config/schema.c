#include "config/schema.h"
#include "base/clock.h"

#include <string.h>

#define COUNT(a)         (sizeof(a) / sizeof *(a))
#define AT(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define TABLE(name, what, type)                                                                    \
	static const struct table name##_table = {what, name##_options, COUNT(name##_options),     \
						  sizeof(type)}
#define DAY (86400 * NS_PER_S)

static const struct word mode_words[] = {
	{"enforce", CONFIG_ENFORCE}, {"observe", CONFIG_OBSERVE}, {0}};
static const struct word line_mode_words[] = {
	{"enforce", CONFIG_LINE_ENFORCE}, {"observe", CONFIG_LINE_OBSERVE}, {NULL, 0}};
static const struct word open_words[] = {{"closed", CONFIG_CLOSED}, {"open", CONFIG_OPEN}, {0}};
static const struct word flushed_words[] = {
	{"restore", CONFIG_RESTORE}, {"report", CONFIG_REPORT}, {0}};
static const struct word on_deny_words[] = {
	{"reject", CONFIG_REJECT}, {"drop", CONFIG_DROP}, {"redirect", CONFIG_REDIRECT}, {0}};
static const struct word held_words[] = {
	{"until-stuck", CONFIG_HELD_UNTIL_STUCK}, {"until-whole", CONFIG_HELD_UNTIL_WHOLE}, {0}};
static const struct word http_words[] = {
	{"first", CONFIG_HTTP_FIRST}, {"every-request", CONFIG_HTTP_EVERY}, {0}};
static const struct word mismatch_words[] = {
	{"log", CONFIG_MISMATCH_LOG}, {"deny", CONFIG_MISMATCH_DENY}, {0}};
static const struct word audit_words[] = {
	{"normal", CONFIG_AUDIT_NORMAL}, {"strict", CONFIG_AUDIT_STRICT}, {0}};
static const struct word scope_words[] = {{"client", false}, {"network", true}, {0}};
static const struct word host_change_words[] = {
	{"end", CONFIG_HOST_END}, {"move", CONFIG_HOST_MOVE}, {"ignore", CONFIG_HOST_IGNORE}, {0}};
static const struct word log_words[] = {{"file", CONFIG_LOG_FILE},
					{"journal", CONFIG_LOG_JOURNAL},
					{"stdout", CONFIG_LOG_STDOUT},
					{"none", CONFIG_LOG_NONE},
					{0}};
static const struct word evidence_words[] = {{"any", CONFIG_EVIDENCE_ANY},
					     {"dns", CONFIG_EVIDENCE_DNS},
					     {"name", CONFIG_EVIDENCE_NAME},
					     {"name+address", CONFIG_EVIDENCE_NAME_ADDRESS},
					     {0}};
static const struct word known_words[] = {{"strongest", EVIDENCE_COUNT},
					  {"address", EVIDENCE_ADDRESS},
					  {"ech-outer", EVIDENCE_ECH_OUTER},
					  {"dns", EVIDENCE_DNS},
					  {"host", EVIDENCE_HOST},
					  {"sni", EVIDENCE_SNI},
					  {"host+dns", EVIDENCE_HOST_DNS},
					  {"sni+dns", EVIDENCE_SNI_DNS},
					  {0}};
static const struct word outcome_words[] = {{"allow", ACTION_ALLOW}, {"deny", ACTION_DENY}, {0}};

static const struct option tier_options[] = {
	{"name", OPTION_NAME, AT(struct config_tier, name), .max = TIER_MAX - 1, .ref = REF_TIER,
	 .required = true, .help = "What the tier is called."},
	{"includes", OPTION_REFS, AT(struct config_tier, includes), .ref = REF_TIER,
	 .help = "Tiers whose allow lines hold for this tier as well."},
	{"evidence", OPTION_WORD, AT(struct config_tier, evidence), .words = evidence_words,
	 .help = "How well a destination must be known for an allow line that does not say; "
		 "without it \"name\"."},
	{"mismatch", OPTION_WORD, AT(struct config_tier, mismatch), .words = mismatch_words,
	 .help = "What becomes of a name that was not resolved to the flow's address, for lines "
		 "that "
		 "do not say."},
	{"idle", OPTION_DURATION, AT(struct config_tier, idle), .min = NS_PER_S, .max = 366 * DAY,
	 .help = "A session without traffic for so long ends."},
	{"absolute", OPTION_DURATION, AT(struct config_tier, absolute), .min = NS_PER_S,
	 .max = 366 * DAY, .help = "A session ends so long after it was opened."},
	{"mode", OPTION_WORD, AT(struct config_tier, mode), .words = mode_words,
	 .fallback = "\"enforce\"",
	 .help = "\"observe\": the policy denies nothing to who has this tier, and the records say "
		 "what "
		 "it would have denied. A lockdown shuts all the same."},
};
TABLE(tier, "a tier", struct config_tier);

static const struct option segment_options[] = {
	{"network", OPTION_NETWORK, AT(struct config_segment, network), .required = true,
	 .help = "Source addresses; the longest network that holds one counts."},
	{"tier", OPTION_REF, AT(struct config_segment, tier), .ref = REF_TIER, .required = true,
	 .help = "The tier of everyone there who has not signed in."},
};
TABLE(segment, "a segment", struct config_segment);

static const struct option host_options[] = {
	{"address", OPTION_ADDRESS, AT(struct config_host, address),
	 .second = offsetof(struct config_host, has_address),
	 .help = "The host, by its address; this or mac."},
	{"mac", OPTION_MAC, AT(struct config_host, mac),
	 .second = offsetof(struct config_host, has_mac),
	 .help = "The host, by its MAC address, which is seen on its own link only and easily "
		 "forged."},
	{"user", OPTION_USER, AT(struct config_host, user), .required = true,
	 .help = "Who is there."},
	{"tier", OPTION_REF, AT(struct config_host, tier), .ref = REF_TIER, .required = true,
	 .help = "The tier, while nobody has signed in there."},
};
TABLE(host, "a host", struct config_host);

static const struct option schedule_options[] = {
	{"name", OPTION_NAME, AT(struct config_schedule, name), .max = TIER_MAX - 1,
	 .ref = REF_SCHEDULE, .required = true, .help = "What the schedule is called."},
	{"days", OPTION_DAYS, AT(struct config_schedule, days), .fallback = "\"all\"",
	 .help = "The days on which it holds."},
	{"hours", OPTION_HOURS, AT(struct config_schedule, hours),
	 .second = offsetof(struct config_schedule, hours_count), .fallback = "\"00:00-24:00\"",
	 .help = "From when until when; past midnight it belongs to the day on which it began."},
	{"zone", OPTION_ZONE, AT(struct config_schedule, zone), .fallback = "\"UTC\"",
	 .help = "The time zone of days and hours."},
	{"dates", OPTION_DATES, AT(struct config_schedule, dates),
	 .second = offsetof(struct config_schedule, dated), .max = DATES_MAX,
	 .help = "The only dates on which it holds, of them the days and hours above. Times, as a "
		 "calendar is printed, count as well."},
	{"calendar", OPTION_CALENDAR, AT(struct config_schedule, calendar),
	 .help = "An .ics file, relative to the file that names it, whose events are dates and "
		 "times on which it holds, as those of dates. Read at every load."},
	{"not", OPTION_REF, AT(struct config_schedule, not_within), .ref = REF_SCHEDULE,
	 .help = "Another schedule, within which this one does not hold."},
	{"except", OPTION_EXCEPT, AT(struct config_schedule, except), .ref = REF_SCHEDULE,
	 .second = offsetof(struct config_schedule, except_dates), .max = DATES_MAX,
	 .help = "Dates on which, and further schedules within which, it does not hold, whatever "
		 "else "
		 "is said here."},
};
TABLE(schedule, "a schedule", struct config_schedule);

static const struct option site_options[] = {
	{"name", OPTION_NAME, AT(struct config_site, name), .max = SITE_MAX - 1, .ref = REF_SITE,
	 .required = true, .help = "What the set of sites is called."},
	{"lists", OPTION_LISTS, AT(struct config_site, list),
	 .second = offsetof(struct config_site, count),
	 .help = "Files of host names and networks, relative to the file that names them."},
	{"hosts", OPTION_HOSTS, AT(struct config_site, list),
	 .second = offsetof(struct config_site, count),
	 .help = "Entries written in place, in the form of a list's lines."},
	{"max_age", OPTION_DURATION, AT(struct config_site, max_age), .min = NS_PER_S,
	 .max = 366 * DAY,
	 .help = "How old the files of its lists may be: older ones stay in force, and check and "
		 "doctor say that they were not fetched anew."},
};
TABLE(site, "a site", struct config_site);

static const struct option line_options[] = {
	{"tiers", OPTION_REFS, AT(struct config_line, tiers), .ref = REF_TIER, .star = true,
	 .required = true,
	 .help = "For whom; an allow line also holds for tiers that include these, a deny line "
		 "does "
		 "not."},
	{"sites", OPTION_REFS, AT(struct config_line, sites), .ref = REF_SITE, .star = true,
	 .required = true, .help = "Where to."},
	{"except", OPTION_REFS, AT(struct config_line, except), .ref = REF_SITE,
	 .help = "Sites for which the line does not hold: all but these."},
	{"ports", OPTION_PORTS, AT(struct config_line, ports),
	 .second = offsetof(struct config_line, port_count),
	 .fallback = "[ \"tcp/80\", \"tcp/443\", \"udp/443\" ]",
	 .help = "The destination's ports."},
	{"when", OPTION_REF, AT(struct config_line, when), .ref = REF_SCHEDULE,
	 .help = "The schedule within which the line holds; without it always."},
	{"evidence", OPTION_WORD, AT(struct config_line, evidence), .words = evidence_words,
	 .help = "How well the destination must be known; without it as the tier says."},
	{"mismatch", OPTION_WORD, AT(struct config_line, mismatch), .words = mismatch_words,
	 .help = "What becomes of a name that was not resolved to the flow's address; without it "
		 "as "
		 "the tier says."},
	{"mode", OPTION_WORD, AT(struct config_line, mode), .words = line_mode_words,
	 .help = "\"observe\", of a deny line: it denies nothing, and the records say what it "
		 "would "
		 "have denied."},
	{"owner", OPTION_TEXT, AT(struct config_line, owner), .max = 63,
	 .help = "Whom to ask about the line; shown to who is denied by it."},
	{"note", OPTION_TEXT, AT(struct config_line, note), .max = 200,
	 .help = "Why the line is there; shown to who is denied by it."},
	{"expires", OPTION_DATE, AT(struct config_line, expires),
	 .help = "The last day (UTC) on which the line holds."},
	{"quota", OPTION_QUOTA, AT(struct config_line, quota),
	 .help = "How much of what the line allows each user has a day or a week; not of a deny "
		 "line."},
};
TABLE(line, "a line", struct config_line);

static const struct option expect_options[] = {
	{"tier", OPTION_REF, AT(struct config_expect, tier), .ref = REF_TIER,
	 .help = "Who asks, by tier."},
	{"from", OPTION_ADDRESS, AT(struct config_expect, from),
	 .second = offsetof(struct config_expect, has_from),
	 .help = "Who asks, by address: the segment gives the tier."},
	{"to", OPTION_DESTINATION, AT(struct config_expect, to), .required = true,
	 .help = "Where to."},
	{"port", OPTION_PORT, AT(struct config_expect, port), .fallback = "\"tcp/443\"",
	 .help = "The destination's port."},
	{"evidence", OPTION_WORD, AT(struct config_expect, evidence), .words = known_words,
	 .fallback = "\"strongest\"", .help = "How the destination is known."},
	{"at", OPTION_WEEKTIME, AT(struct config_expect, at),
	 .help = "When, in the schedule's zone: in a week without dates, or at a date; without it "
		 "the "
		 "outcome must hold at all times."},
	{"outcome", OPTION_WORD, AT(struct config_expect, outcome), .words = outcome_words,
	 .required = true, .help = "What must come out."},
};
TABLE(expect, "an expectation", struct config_expect);

#define BOUND(name, least, most, def, text)                                                        \
	{                                                                                          \
#name, OPTION_NUMBER, AT(struct config, name), .min = least, .max = most,          \
							       .fallback = #def, .at_start = true, \
							       .help = text                        \
	}

static const struct option bound_options[] = {
	BOUND(flows, 1024, 16777216, 262144,
	      "Flows remembered; the least recently used goes, of a host that has an eighth its "
	      "own."),
	BOUND(sessions, 16, 4194304, 65536, "Sessions open at once; a further login is refused."),
	BOUND(names, 1024, 16777216, 262144,
	      "Pairs of address and name remembered; the least recently used goes, of a host that "
	      "has most."),
	BOUND(streams, 64, 1048576, 8192,
	      "Flows whose first bytes are being gathered; a further one is denied, table-full. "
	      "One host has a sixteenth; its further one is denied, held-full."),
	{"held", OPTION_NUMBER, AT(struct config, held), .min = 16, .max = 65536, .at_start = true,
	 .help = "Packets held for a name, a further one is denied, held-full; without it a "
		 "quarter of "
		 "queue_length."},
	{"held_per_client", OPTION_NUMBER, AT(struct config, held_per_client), .min = 4,
	 .max = 65536, .at_start = true,
	 .help = "The same for one host; without it a sixteenth of held. A host is a MAC address "
		 "where the neighbour table of a segment of ours has it, else an IPv4 address or "
		 "an IPv6 /64; the unconfirmed addresses of our segments together are one."},
	BOUND(quotas, 16, 4194304, 65536,
	      "Users and hosts whose use of a quota is counted, each line for itself; one without "
	      "an open flow goes, of a few the one that used least."),
	BOUND(log_ring, 64, 4194304, 16384,
	      "Decision records waiting for the log; a further one is lost and counted."),
	{"hello_timeout", OPTION_DURATION, AT(struct config, hello_timeout), .min = 100 * NS_PER_MS,
	 .max = 60 * NS_PER_S, .fallback = "\"2s\"", .at_start = true,
	 .help = "So long may a hello stay unfinished after its first byte; fifteen times that "
		 "where packets "
		 "of its sender are lost."},
};
TABLE(bound, "bounds", struct config);

#define ROWS(member, number) AT(struct config, member), .second = offsetof(struct config, number)

static const struct option main_options[] = {
	{"inside", OPTION_INTERFACES, AT(struct config, inside),
	 .help = "Interfaces whose traffic is governed, each by the name of its own that packets "
		 "arrive by (the bridge, not its ports; no altname); needed to run. One that comes "
		 "later is governed from then on."},
	{"internal", OPTION_NETWORKS, AT(struct config, internal),
	 .fallback = "[ \"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", \"fd00::/8\" ]",
	 .in_digest = true, .help = "Destinations that all may reach."},
	{"resolvers", OPTION_NETWORKS, AT(struct config, resolvers), .fallback = "[ ]",
	 .in_digest = true,
	 .help = "Resolvers whose answers are believed; queries to them always pass."},
	{"mode", OPTION_WORD, AT(struct config, mode), .words = mode_words,
	 .fallback = "\"enforce\"", .in_digest = true,
	 .help = "\"observe\" denies nothing and logs what would be denied."},
	{"when_down", OPTION_WORD, AT(struct config, when_down), .words = open_words,
	 .fallback = "\"closed\"",
	 .help = "Undecided traffic while the daemon is away; \"open\" in observe mode."},
	{"when_full", OPTION_WORD, AT(struct config, when_full), .words = open_words,
	 .fallback = "\"closed\"",
	 .help = "What a full queue can't take; \"open\" in observe mode."},
	{"when_flushed", OPTION_WORD, AT(struct config, when_flushed), .words = flushed_words,
	 .fallback = "\"restore\"",
	 .help = "Where another program takes away or changes the kernel's rules: \"restore\" puts "
		 "them back at once, with growing pauses where it happens again; \"report\" says "
		 "so alone."},
	{"on_deny", OPTION_WORD, AT(struct config, on_deny), .words = on_deny_words,
	 .fallback = "\"reject\"",
	 .help = "\"redirect\" sends plain HTTP on port 80 to portal and rejects the rest. What is "
		 "rejected and is no TCP gets an ICMP error, of which the kernel sends a client "
		 "six "
		 "at once and one a second then (icmp_ratelimit)."},
	{"portal", OPTION_ENDPOINTS, AT(struct config, portal),
	 .help = "Where \"redirect\" sends to. An IP version that has none is rejected."},
	{"held", OPTION_WORD, AT(struct config, held_until), .words = held_words,
	 .fallback = "\"until-stuck\"",
	 .help = "How long what came of a hello waits in the gateway for the rest: until it is "
		 "whole, or until its sender waits for an acknowledgement (at most 14 KiB go on "
		 "then, and nothing that shows a denied name). Where part of a name shows, or "
		 "where "
		 "every line that could allow it wants name+address or denies a mismatch, silence "
		 "is not enough: its sender has to begin it again."},
	{"http", OPTION_WORD, AT(struct config, http), .words = http_words, .fallback = "\"first\"",
	 .in_digest = true, .help = "Which requests of a plain HTTP connection are looked at."},
	{"mismatch", OPTION_WORD, AT(struct config, mismatch), .words = mismatch_words,
	 .fallback = "\"log\"", .in_digest = true,
	 .help = "What becomes of a name that was not resolved to the flow's address, where "
		 "neither "
		 "line nor tier says."},
	{"audit", OPTION_WORD, AT(struct config, audit), .words = audit_words,
	 .fallback = "\"normal\"", .help = "\"strict\" denies what can't be recorded."},
	{"dns_scope", OPTION_WORD, AT(struct config, dns_any_client), .words = scope_words,
	 .fallback = "\"client\"", .at_start = true, .in_digest = true,
	 .help = "For whom a DNS answer counts: the client that got it, or the whole network."},
	{"name_grace", OPTION_DURATION, AT(struct config, name_grace), .min = 0, .max = 7 * DAY,
	 .fallback = "\"1h\"", .at_start = true, .in_digest = true,
	 .help = "So long after its TTL a DNS answer still counts."},
	{"host_change", OPTION_WORD, AT(struct config, host_change), .words = host_change_words,
	 .fallback = "\"end\"",
	 .help = "A session has all addresses of a host, told by the MAC address in the neighbour "
		 "table, unless that has several IPv4 addresses; and a new IPv6 address of it, in "
		 "a /64 where the host is known, from its first packet on. Where an address gets "
		 "another "
		 "MAC address the session ends there with \"end\" and stays with \"move\", "
		 "which also takes it along to the host's next IPv4 address. \"ignore\" does "
		 "not look: a session has the address that signed in. A frame with another MAC "
		 "address than that table has for its address is nobody's session's."},
	{"log", OPTION_WORD, AT(struct config, log), .words = log_words, .fallback = "\"file\"",
	 .at_start = true, .help = "Where decision records go."},
	{"log_file", OPTION_PATH, AT(struct config, log_file), .max = 4000,
	 .fallback = "\"/var/log/tiergate/decisions.jsonl\"", .at_start = true,
	 .help = "The file of log = \"file\"."},
	{"log_fold", OPTION_DURATION, AT(struct config, log_fold), .min = NS_PER_S,
	 .max = 3600 * NS_PER_S, .at_start = true,
	 .help = "Denials within this time that are equal but for the client's port, by one user "
		 "to "
		 "one name, are one record at once and one with their number at its end. Without "
		 "it each has its own."},
	{"pseudonym_key", OPTION_PATH, AT(struct config, pseudonym_key_file), .max = 4000,
	 .at_start = true,
	 .help = "File with the key by which user names are replaced in records; without it they "
		 "are "
		 "written as they are."},
	{"users_file", OPTION_PATH, AT(struct config, users_file), .max = 4000,
	 .fallback = "\"/etc/tiergate/users\"", .help = "Users, tiers and password hashes."},
	{"control_socket", OPTION_PATH, AT(struct config, control_socket), .max = 107,
	 .fallback = "\"/run/tiergate/control.sock\"", .at_start = true,
	 .help = "The socket of tiergatectl and the portal."},
	{"dnstap_socket", OPTION_PATH, AT(struct config, dnstap_socket), .max = 107,
	 .at_start = true,
	 .help = "Socket to which resolvers write what they answered (dnstap), for answers that do "
		 "not cross the gateway."},
	{"state_dir", OPTION_PATH, AT(struct config, state_dir), .max = 4000,
	 .fallback = "\"/var/lib/tiergate\"", .at_start = true,
	 .help = "State that outlives the daemon."},
	{"runtime_dir", OPTION_PATH, AT(struct config, runtime_dir), .max = 4000,
	 .fallback = "\"/run/tiergate\"", .at_start = true,
	 .help = "State that does not outlive the machine."},
	{"queues", OPTION_NUMBER, AT(struct config, queues), .min = 1, .max = 64, .fallback = "2",
	 .at_start = true,
	 .help = "Queues, each with a worker thread; the number after theirs is the NFLOG group of "
		 "DNS."},
	{"queue_first", OPTION_NUMBER, AT(struct config, queue_first), .min = 0, .max = 65471,
	 .fallback = "0", .at_start = true, .help = "Number of the first queue."},
	{"queue_length", OPTION_NUMBER, AT(struct config, queue_length), .min = 64, .max = 1048576,
	 .fallback = "8192", .at_start = true, .help = "Packets that a queue holds."},
	{"mark_mask", OPTION_MASK, AT(struct config, mark_mask), .fallback = "0x7f000000",
	 .at_start = true,
	 .help = "The bits of the packet mark and the conntrack mark that are tiergate's."},
	{"flowtable", OPTION_INTERFACES, AT(struct config, flowtable), .at_start = true,
	 .help = "With nft's rules alone: the interfaces, inside and outside, between which the "
		 "kernel forwards TCP flows that are allowed past all rules of the gateway (a "
		 "flowtable), also those of other firewalls. Not the ports of a bridge. A flow "
		 "that is allowed no longer leaves it at once."},
	{"bounds", OPTION_GROUP, .table = &bound_table, .help = "Sizes of tables and buffers."},
	{"policy", OPTION_FILES, AT(struct config, files),
	 .help = "Further files with the tables below, relative to the file that names them."},
	{"tiers", OPTION_TABLE, ROWS(tiers, tier_count), .table = &tier_table,
	 .help = "Groups of users."},
	{"segments", OPTION_TABLE, ROWS(segments, segment_count), .table = &segment_table,
	 .help = "Networks whose users have a tier without signing in."},
	{"hosts", OPTION_TABLE, ROWS(hosts, host_count), .table = &host_table,
	 .help = "Single machines with a user and a tier without signing in, before segments."},
	{"schedules", OPTION_TABLE, ROWS(schedules, schedule_count), .table = &schedule_table,
	 .help = "Hours of the week."},
	{"sites", OPTION_TABLE, ROWS(sites, site_count), .table = &site_table,
	 .help = "Sets of destinations."},
	{"allow", OPTION_TABLE, ROWS(allow, allow_count), .table = &line_table,
	 .help = "What is allowed; nothing else is. The lines have no order."},
	{"deny", OPTION_TABLE, ROWS(deny, deny_count), .table = &line_table,
	 .help = "What is denied whatever is allowed."},
	{"expect", OPTION_TABLE, ROWS(expects, expect_count), .table = &expect_table,
	 .help = "What must come out; checked at every load."},
};
const struct table schema_main = {"the configuration", main_options, COUNT(main_options),
				  sizeof(struct config)};

const struct option *table_find(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->options[i].name, name) == 0)
			return &t->options[i];
	return NULL;
}
