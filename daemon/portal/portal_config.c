#include "portal/portal_config.h"

#include "base/clock.h"
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

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

static const struct option portal_options[] = {
	{"url", OPTION_TEXT, AT(url), .max = 200, .required = true,
	 .help = "Where browsers find the portal, such as \"https://gate.example\"; its name is "
		 "the "
		 "certificate's."},
	{"certificate", OPTION_PATH, AT(certificate), .max = 4000, .required = true,
	 .help = "The certificate and its chain, PEM; read again on SIGHUP."},
	{"key", OPTION_PATH, AT(key), .max = 4000, .required = true,
	 .help = "The certificate's private key, PEM."},
	{"https", OPTION_ENDPOINT, AT(https), SECOND(https_port), .fallback = "\"[::]:443\"",
	 .help = "Where the pages are served; \"[::]\" takes IPv4 as well."},
	{"http", OPTION_ENDPOINT, AT(http), SECOND(http_port), .fallback = "\"[::]:80\"",
	 .help = "Where plain HTTP is sent to url."},
	{"clients", OPTION_NETWORKS, AT(clients),
	 .fallback = "[ \"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", \"fd00::/8\" ]",
	 .help = "Whom the portal serves; connections of others are closed at once."},
	{"control_socket", OPTION_PATH, AT(control_socket), .max = 107,
	 .fallback = "\"/run/tiergate/control.sock\"", .help = "The daemon's control socket."},
	{"state_dir", OPTION_PATH, AT(state_dir), .max = 4000,
	 .fallback = "\"/var/lib/tiergate-portal\"",
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
	 .help = "Connections at once; further ones are closed."},
	{"connections_per_client", OPTION_NUMBER, AT(connections_per_client), .min = 2, .max = 4096,
	 .fallback = "16", .help = "The same of one address."},
	{"request_bytes", OPTION_NUMBER, AT(request_bytes), .min = 1024, .max = 65536,
	 .fallback = "8192", .help = "Bytes of a form."},
	{"request_time", OPTION_DURATION, AT(request_time), .min = NS_PER_S, .max = 120 * NS_PER_S,
	 .fallback = "\"15s\"",
	 .help = "So long may a connection take for one request; slower ones are closed."},
	{"checkers", OPTION_NUMBER, AT(checkers), .min = 1, .max = 32, .fallback = "2",
	 .help = "Passwords checked at once."},
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

void portal_config_free(struct portal_config *c)
{
	if (!c)
		return;
	config_free_table(&schema_portal, c);
	free(c);
}

const char *portal_authority(const struct portal_config *c)
{
	return c->url + sizeof scheme - 1;
}
