#include "portal/portal_config.h"

#include "base/clock.h"
#include "config/schema.h"
#include "identity/users.h"
#include "radius/radius.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AT(member)                                                                                 \
	.offset = offsetof(struct portal_config, member),                                          \
	.size = sizeof(((struct portal_config *)0)->member)
#define SECOND(member) .second = offsetof(struct portal_config, member)
#define DAY            (86400 * NS_PER_S)

static const struct word credential_words[] = {{"users", CREDENTIALS_USERS},
					       {"pam", CREDENTIALS_PAM},
					       {"vouchers", CREDENTIALS_VOUCHERS},
					       {0}};
static const struct word roaming_words[] = {{"move", ROAMING_MOVE}, {"off", ROAMING_OFF}, {0}};

static const struct word require_words[] = {{"message-authenticator", RADIUS_MESSAGE_AUTHENTICATOR},
					    {"event-timestamp", RADIUS_EVENT_TIMESTAMP},
					    {0}};

static const struct word clock_words[] = {
	{"regard", RADIUS_CLOCK_REGARD}, {"disregard", RADIUS_CLOCK_DISREGARD}, {0}};

#define ROW(type, member)                                                                          \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)
#define TABLE(name, what, type)                                                                    \
	static const struct table name##_table = {what, name##_options,                            \
						  sizeof name##_options / sizeof *name##_options,  \
						  sizeof(struct type)}

static const struct option radius_client_options[] = {
	{"network", OPTION_NETWORK, ROW(radius_client, network), .required = true,
	 .help = "Where the client sends from; the longest network that holds an address counts."},
	{"secret", OPTION_TEXT, ROW(radius_client, secret), .max = 128, .required = true,
	 .help = "What the client and the portal share; 8 bytes at least, 16 or more are better."},
	{"require", OPTION_WORDS, ROW(radius_client, require), .words = require_words,
	 .fallback = "[ ]",
	 .help = "What each packet must hold. Without Event-Timestamp an old packet cannot be told "
		 "from a new one."},
	{"clock", OPTION_WORD, ROW(radius_client, clock), .words = clock_words,
	 .fallback = "\"regard\"",
	 .help = "Whether its Event-Timestamp counts. \"disregard\" is for one whose clock drifts: "
		 "reports then count in the order in which they come."},
};
TABLE(radius_client, "a RADIUS client", radius_client);

static const struct option radius_tier_options[] = {
	{"value", OPTION_TEXT, ROW(config_tier_of, value), .max = 253, .required = true,
	 .help = "The attribute's value, to the letter."},
	{"tier", OPTION_TEXT, ROW(config_tier_of, tier), .max = TIER_MAX - 1, .required = true,
	 .help = "The tier that it stands for."},
};
TABLE(radius_tier, "a value and its tier", config_tier_of);

static const struct option pam_tier_options[] = {
	{"group", OPTION_TEXT, ROW(config_tier_of, value), .max = 253, .required = true,
	 .help = "A group of the system's users (LDAP and others by NSS)."},
	{"tier", OPTION_TEXT, ROW(config_tier_of, tier), .max = TIER_MAX - 1, .required = true,
	 .help = "The tier of its members."},
};
TABLE(pam_tier, "a group and its tier", config_tier_of);

static const struct option portal_options[] = {
	{"url", OPTION_TEXT, AT(url), .max = 200, .required = true,
	 .help = "Where browsers find the portal, such as \"https://gate.example\"; its name is "
		 "the "
		 "certificate's."},
	{"certificate", OPTION_PATH, AT(certificate), .max = 4000, .required = true,
	 .help = "The certificate and its chain, PEM; read again on SIGHUP."},
	{"key", OPTION_PATH, AT(key), .max = 4000, .required = true,
	 .help = "The certificate's private key, PEM."},
	{"https", OPTION_ENDPOINT, AT(https), .fallback = "\"[::]:443\"", .at_start = true,
	 .help = "Where the pages are served; \"[::]\" takes IPv4 as well."},
	{"http", OPTION_ENDPOINT, AT(http), .fallback = "\"[::]:80\"", .at_start = true,
	 .help = "Where plain HTTP is sent to url."},
	{"metrics", OPTION_ENDPOINT, AT(metrics), .at_start = true,
	 .help = "Where Prometheus reads metrics, such as \"[::]:9834\", by HTTPS at /metrics with "
		 "the "
		 "token; without it nowhere."},
	{"metrics_token", OPTION_PATH, AT(metrics_token), .max = 4000,
	 .fallback = "\"/etc/tiergate/metrics.token\"",
	 .help = "A file with the token, one word of 16 characters or more: who shows it reads "
		 "metrics. "
		 "Read again on SIGHUP."},
	{"metrics_clients", OPTION_NETWORKS, AT(metrics_clients),
	 .fallback = "[ \"127.0.0.0/8\", \"::1\" ]",
	 .help = "Who may ask for metrics; connections of others are closed at once."},
	{"clients", OPTION_NETWORKS, AT(clients),
	 .fallback = "[ \"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", \"fd00::/8\" ]",
	 .help = "Whom the portal serves; connections of others are closed at once."},
	{"control_socket", OPTION_PATH, AT(control_socket), .max = 107,
	 .fallback = "\"/run/tiergate/control.sock\"", .help = "The daemon's control socket."},
	{"state_dir", OPTION_PATH, AT(state_dir), .max = 4000,
	 .fallback = "\"/var/lib/tiergate-portal\"", .at_start = true,
	 .help = "Cookies, by their hashes, that outlive the portal."},
	{"credentials", OPTION_WORDS, AT(credentials), .words = credential_words,
	 .fallback = "[ \"users\" ]", .help = "Who is asked whether a password is right."},
	{"users_file", OPTION_PATH, AT(users_file), .max = 4000,
	 .fallback = "\"/etc/tiergate/users\"", .help = "Users, tiers and password hashes."},
	{"session", OPTION_DURATION, AT(session), .min = 60 * NS_PER_S, .max = 366 * DAY,
	 .fallback = "\"12h\"",
	 .help = "So long lasts a sign-in, and its browser's cookie; a tier's own limit may end it "
		 "earlier."},
	{"roaming", OPTION_WORD, AT(roaming), .words = roaming_words, .fallback = "\"move\"",
	 .help = "\"move\" signs a browser in again that comes from another address, and out at "
		 "the "
		 "old one; an address of the other IP version is added."},
	{"texts", OPTION_PATH, AT(texts), .max = 4000, .fallback = "\"/etc/tiergate/portal\"",
	 .help = "The folder of the translations, LANGUAGE.text."},
	{"language", OPTION_TEXT, AT(language), .max = 8, .fallback = "\"en\"",
	 .help = "The language of those whose browser asks for none that is there."},
	{"title", OPTION_TEXT, AT(title), .max = 80, .fallback = "\"Network access\"",
	 .help = "The name over every page."},
	{"notice", OPTION_TEXT, AT(notice), .max = 1000,
	 .help = "A text of your own on the page where people sign in."},
	{"contact", OPTION_TEXT, AT(contact), .max = 200,
	 .help = "Whom to ask where no line of the policy says it."},
	{"logo", OPTION_PATH, AT(logo), .max = 4000,
	 .help = "An SVG, PNG, JPEG or WebP file of at most 64 kB over every page."},
	{"venue_url", OPTION_TEXT, AT(venue_url), .max = 400,
	 .help = "A page about the place, for the captive portal API."},
	{"connections", OPTION_NUMBER, AT(connections), .min = 16, .max = 65536, .fallback = "512",
	 .help = "Connections at once. Where there are that many, a further one takes the place of "
		 "the "
		 "oldest of who has the most, or is closed where that would be no fairer."},
	{"connections_per_client", OPTION_NUMBER, AT(connections_per_client), .min = 2, .max = 4096,
	 .fallback = "16", .help = "The same of one address."},
	{"request_bytes", OPTION_NUMBER, AT(request_bytes), .min = 1024, .max = 65536,
	 .fallback = "8192", .help = "Bytes of a form."},
	{"request_time", OPTION_DURATION, AT(request_time), .min = NS_PER_S, .max = 120 * NS_PER_S,
	 .fallback = "\"15s\"",
	 .help = "So long may a connection take for one request; slower ones are closed."},
	{"checkers", OPTION_NUMBER, AT(checkers), .min = 1, .max = 32, .fallback = "2",
	 .at_start = true,
	 .help = "Passwords checked at once. Who waits 20 seconds for a turn is told to try "
		 "again."},
	{"pam_service", OPTION_TEXT, AT(pam_service), .max = 64, .fallback = "\"tiergate\"",
	 .help = "The PAM service that credentials = [ \"pam\" ] asks."},
	{"pam_tiers", OPTION_TABLE, AT(pam_tiers), SECOND(pam_tier_count), .table = &pam_tier_table,
	 .help = "Which group has which tier; of several the first counts."},
	{"pam_default_tier", OPTION_TEXT, AT(pam_default_tier), .max = TIER_MAX - 1,
	 .help = "The tier of who is in none of the groups; without it they are not let in."},
	{"vouchers_file", OPTION_PATH, AT(vouchers_file), .max = 4000,
	 .fallback = "\"/var/lib/tiergate-portal/vouchers\"",
	 .help = "Vouchers by the hashes of their codes."},
	{"radius", OPTION_ENDPOINT, AT(radius.listen), .at_start = true,
	 .help = "Where RADIUS accounting is received, such as \"[::]:1813\"; without it none is."},
	{"radius_clients", OPTION_TABLE, AT(radius.clients), SECOND(radius.client_count),
	 .table = &radius_client_table, .help = "Who may report sessions."},
	{"radius_attribute", OPTION_TEXT, AT(radius.attribute), .max = 32, .fallback = "\"Class\"",
	 .help = "The attribute that says a user's tier: \"Class\", \"Filter-Id\" or "
		 "\"vendor:NUMBER:TYPE\"."},
	{"radius_tiers", OPTION_TABLE, AT(radius.tiers), SECOND(radius.tier_count),
	 .table = &radius_tier_table,
	 .help = "Which value has which tier; without any a value is a tier's name."},
	{"radius_default_tier", OPTION_TEXT, AT(radius.default_tier), .max = TIER_MAX - 1,
	 .help = "The tier where the attribute says none; without it no session is opened."},
	{"radius_interim", OPTION_DURATION, AT(radius.interim), .min = 5 * NS_PER_S, .max = DAY,
	 .fallback = "\"10m\"",
	 .help = "How often clients send interim updates, where Acct-Interim-Interval does not "
		 "say."},
	{"radius_missed", OPTION_NUMBER, AT(radius.missed), .min = 1, .max = 1000, .fallback = "3",
	 .help = "A session ends after so many updates have not come."},
	{"radius_window", OPTION_DURATION, AT(radius.window), .min = 5 * NS_PER_S, .max = DAY,
	 .fallback = "\"5m\"", .at_start = true,
	 .help = "So far may an Event-Timestamp be from the portal's clock for a session to open."},
	{"radius_sessions", OPTION_NUMBER, AT(radius.sessions), .min = 16, .max = 4194304,
	 .fallback = "65536", .at_start = true,
	 .help = "Sessions that clients have reported; packets of further ones are not answered."},
	{"radius_repeats", OPTION_NUMBER, AT(radius.repeats), .min = 64, .max = 1048576,
	 .fallback = "8192", .at_start = true,
	 .help = "Packets remembered, so that a repeated one is only answered."},
};
const struct table schema_portal = {"the configuration", portal_options,
				    sizeof portal_options / sizeof *portal_options,
				    sizeof(struct portal_config)};

static const char scheme[] = "https://";

/* "https://name[:port]", with nothing behind it. */
static bool url_good(const char *url)
{
	const char *host = url + sizeof scheme - 1;
	if (strncmp(url, scheme, sizeof scheme - 1) != 0 || !*host)
		return false;
	return !host[strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-.:[]")];
}

static void check_tiers(const struct config_tier_of *rows, size_t count, const char *fallback,
			const char *path, struct errors *errors)
{
	for (size_t i = 0; i < count; i++)
		if (!tier_name_valid(rows[i].tier))
			errors_add(errors, path, rows[i].place.line,
				   "tier = \"%s\" is no tier's name", rows[i].tier);
	if (fallback && !tier_name_valid(fallback))
		errors_add(errors, path, 0, "\"%s\" is no tier's name", fallback);
}

static void check_radius(const struct portal_config *c, const char *path, struct errors *errors)
{
	struct radius_attribute attribute;
	struct stat st;
	check_tiers(c->radius.tiers, c->radius.tier_count, c->radius.default_tier, path, errors);
	check_tiers(c->pam_tiers, c->pam_tier_count, c->pam_default_tier, path, errors);
	if (!radius_attribute_parse(c->radius.attribute, &attribute))
		errors_add(
			errors, path, 0,
			"radius_attribute = \"%s\" is none; write \"Class\", \"Filter-Id\" or one "
			"such as \"vendor:9:1\"",
			c->radius.attribute);
	if (c->radius.listen.port && !c->radius.client_count)
		errors_add(errors, path, 0, "radius without radius_clients; nobody could report");
	for (size_t i = 0; i < c->radius.client_count; i++)
		if (strlen(c->radius.clients[i].secret) < 8)
			errors_add(errors, path, c->radius.clients[i].place.line,
				   "the secret is too short; write 16 bytes or more");
	for (size_t i = 0; i < c->radius.client_count; i++)
		if (c->radius.clients[i].clock == RADIUS_CLOCK_DISREGARD &&
		    (c->radius.clients[i].require & RADIUS_EVENT_TIMESTAMP))
			errors_add(errors, path, c->radius.clients[i].place.line,
				   "require names event-timestamp, which clock = \"disregard\" "
				   "disregards; leave one of them out");
	if (c->radius.client_count && stat(path, &st) == 0 && st.st_mode & 07)
		errors_add(errors, path, 0,
			   "the file holds secrets and is open to others; give it mode 0640");
}

static void config_check_all(const struct portal_config *c, const char *path, struct errors *errors)
{
	if (!url_good(c->url))
		errors_add(errors, path, 0,
			   "url = \"%s\" is none; write one such as \"https://gate.example\"",
			   c->url);
	if (c->language[strspn(c->language, "abcdefghijklmnopqrstuvwxyz-")])
		errors_add(errors, path, 0,
			   "language = \"%s\" is none; write one such as \"en\" or \"bg\"",
			   c->language);
	if (!c->credentials)
		errors_add(errors, path, 0, "credentials names none; write [ \"users\" ]");
	check_radius(c, path, errors);
	if (c->venue_url && strncmp(c->venue_url, scheme, sizeof scheme - 1) != 0)
		errors_add(errors, path, 0, "venue_url = \"%s\" is no https URL", c->venue_url);
}

struct portal_config *portal_config_load(const char *path, struct errors *errors)
{
	struct portal_config *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	size_t before = errors->count;
	if (config_load_table(path, &schema_portal, c, errors))
		config_check_all(c, path, errors);
	if (errors->count == before)
		return c;
	portal_config_free(c);
	return NULL;
}

struct portal_config *portal_config_hold(struct portal_config *c)
{
	__atomic_add_fetch(&c->held, 1, __ATOMIC_RELAXED);
	return c;
}

void portal_config_free(struct portal_config *c)
{
	if (!c || __atomic_fetch_sub(&c->held, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	config_free_table(&schema_portal, c);
	free(c);
}

const char *portal_authority(const struct portal_config *c)
{
	return c->url + sizeof scheme - 1;
}
