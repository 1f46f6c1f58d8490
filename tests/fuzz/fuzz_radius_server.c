/* The input is datagrams at the accounting server: from a client, another client with a secret of
 * its own, one that must send more, or a stranger; as they are, or signed as one of them would. Who
 * is answered, or moves a session, has proven who it is: both authenticators are computed here
 * once more. An answer is no longer than what asked for it, and is signed. */
#include "base/clock.h"
#include "base/cursor.h"
#include "identity/users.h"
#include "radius/daemon.h"
#include "radius/server.h"
#include "radius/socket.h"
#include "state/store.h"

#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum { HEAD = 20, MESSAGE_AUTHENTICATOR = 80, GUESTS = 16, DATAGRAMS = 64 };
enum { SIGN = 0x10, SEAL = 0x20, BY_ANOTHER = 0x40, AGAIN = 0x80 };

static const char *const from[] = {"192.0.2.1", "192.0.2.77", "2001:db8::5", "198.51.100.1"};
static const char *const secrets[] = {"testing123", "another", "third", "nobody's"};
enum { STRICT = 2, STRANGER = 3, PLACES = 4 };

static struct radius_client clients[3];
static struct config_tier_of tiers[] = {{.value = "staff", .tier = "staff"},
					{.value = "pupils", .tier = "pupils"}};
static struct radius_settings settings = {
	.clients = clients,
	.client_count = 3,
	.attribute = "Class",
	.tiers = tiers,
	.tier_count = 2,
	.interim = 600 * NS_PER_S,
	.window = 300 * NS_PER_S,
	.missed = 3,
	.sessions = 8,
	.repeats = 16,
};

static struct {
	struct cursor in;
	struct datagram now, before; /* what is being judged, and the one before it */
	unsigned place;
	bool judged, genuine, answered, away;
	unsigned count;
} world;

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- who it is, once more ---- */

static void digest(const uint8_t *p, size_t len, const uint8_t authenticator[16],
		   const char *secret, uint8_t out[16])
{
	struct md5_ctx c;
	md5_init(&c);
	md5_update(&c, 4, p);
	md5_update(&c, 16, authenticator);
	md5_update(&c, len - HEAD, p + HEAD);
	md5_update(&c, strlen(secret), (const uint8_t *)secret);
	md5_digest(&c, 16, out);
}

static void sealed(const uint8_t *p, size_t len, const uint8_t authenticator[16], size_t at,
		   const char *secret, uint8_t out[16])
{
	static const uint8_t none[16];
	struct hmac_md5_ctx c;
	hmac_md5_set_key(&c, strlen(secret), (const uint8_t *)secret);
	hmac_md5_update(&c, 4, p);
	hmac_md5_update(&c, 16, authenticator);
	hmac_md5_update(&c, at - HEAD, p + HEAD);
	hmac_md5_update(&c, 16, none);
	hmac_md5_update(&c, len - at - 16, p + at + 16);
	hmac_md5_digest(&c, 16, out);
}

/* The length that the packet says of itself; 0: it is none. */
static size_t said_len(const struct datagram *d)
{
	size_t len = d->len >= HEAD ? (size_t)(d->bytes[2] << 8 | d->bytes[3]) : 0;
	return len >= HEAD && len <= d->len && len <= RADIUS_MAX ? len : 0;
}

/* Where the Message-Authenticator's bytes are; 0: there is none. */
static size_t seal_at(const struct datagram *d, size_t len)
{
	for (size_t at = HEAD; at + 2 <= len && d->bytes[at + 1] >= 2; at += d->bytes[at + 1])
		if (d->bytes[at] == MESSAGE_AUTHENTICATOR && d->bytes[at + 1] == 18 &&
		    at + 18 <= len)
			return at + 2;
	return 0;
}

static bool is_genuine(const struct datagram *d, unsigned place)
{
	static const uint8_t none[16];
	uint8_t want[16];
	size_t len = said_len(d), at = len ? seal_at(d, len) : 0;
	bool asks = len && d->bytes[0] == RADIUS_STATUS_SERVER;
	if (!len || place == STRANGER || (!asks && d->bytes[0] != RADIUS_ACCOUNTING_REQUEST) ||
	    ((asks || place == STRICT) && !at))
		return false;
	digest(d->bytes, len, none, secrets[place], want);
	if (!asks && memcmp(want, d->bytes + 4, 16) != 0)
		return false;
	if (!at)
		return true;
	sealed(d->bytes, len, asks ? d->bytes + 4 : none, at, secrets[place], want);
	return memcmp(want, d->bytes + at, 16) == 0;
}

/* As a client does that has the secret. */
static void sign(struct datagram *d, uint8_t how, const char *secret)
{
	static const uint8_t none[16];
	size_t len = said_len(d), at = len ? seal_at(d, len) : 0;
	bool asks = len && d->bytes[0] == RADIUS_STATUS_SERVER;
	if (len && at && how & SEAL)
		sealed(d->bytes, len, asks ? d->bytes + 4 : none, at, secret, d->bytes + at);
	if (len && !asks && how & SIGN)
		digest(d->bytes, len, none, secret, d->bytes + 4);
}

/* ---- sockets ---- */

int radius_listen(const struct address *a, uint16_t port)
{
	return eventfd(1, EFD_CLOEXEC); /* there is always something to read */
}

static void settle(void)
{
	if (world.judged && !world.genuine)
		require(!world.answered);
	world.before = world.now;
	world.judged = world.answered = false;
}

bool radius_receive(int fd, struct datagram *d)
{
	settle();
	if (!cursor_left(&world.in) || world.count++ == DATAGRAMS)
		return false;
	uint8_t how = cursor_u8(&world.in), len = cursor_u8(&world.in);
	struct datagram *n = &world.now;
	world.place = how % PLACES;
	world.away = (how & 0xc) == 0xc;
	if (!(how & AGAIN)) {
		struct cursor bytes = cursor_sub(
			&world.in, cursor_left(&world.in) < len ? cursor_left(&world.in) : len);
		*n = (struct datagram){.len = cursor_left(&bytes)};
		if (n->len)
			cursor_copy(&bytes, n->bytes, n->len);
		if (n->len >= 4 && !(how & 4)) { /* a length that is right */
			n->bytes[2] = 0;
			n->bytes[3] = (uint8_t)n->len;
		}
	}
	require(address_parse(from[world.place], &n->from));
	n->port = 1813;
	sign(n, how, secrets[how & BY_ANOTHER ? (world.place + 1) % PLACES : world.place]);
	world.genuine = is_genuine(n, world.place);
	world.judged = true;
	*d = *n;
	return true;
}

bool radius_send(int fd, const struct datagram *d, const void *bytes, size_t len)
{
	const uint8_t *out = bytes;
	uint8_t want[16];
	require(world.judged && world.genuine && !world.answered);
	require(d->len == world.now.len && memcmp(d->bytes, world.now.bytes, d->len) == 0);
	require(len >= HEAD && len <= said_len(d) && len == (size_t)(out[2] << 8 | out[3]));
	require(out[0] == RADIUS_ACCOUNTING_RESPONSE && out[1] == d->bytes[1]);
	digest(out, len, d->bytes + 4, secrets[world.place], want);
	require(memcmp(want, out + 4, 16) == 0);
	world.answered = true;
	return true;
}

/* ---- the daemon ---- */

struct guest {
	struct address address;
	char user[USER_MAX], tier[TIER_MAX];
};

static struct guest guests[GUESTS];

/* Nothing happens but by a report of somebody known, unless it is by time. */
static void on_command(void)
{
	require(!world.judged || world.genuine);
}

static struct guest *guest_at(const struct address *a)
{
	for (unsigned i = 0; i < GUESTS; i++)
		if (guests[i].user[0] && address_equal(&guests[i].address, a))
			return &guests[i];
	return NULL;
}

static enum daemon_answer put(const struct address *a, const char *user, const char *tier)
{
	struct guest *h = guest_at(a);
	for (unsigned i = 0; i < GUESTS && !h; i++)
		if (!guests[i].user[0])
			h = &guests[i];
	if (!h)
		return DAEMON_REFUSED;
	h->address = *a;
	snprintf(h->user, sizeof h->user, "%s", user);
	snprintf(h->tier, sizeof h->tier, "%s", tier);
	return DAEMON_DONE;
}

struct daemon *daemon_new(const char *socket, const char *source)
{
	require(strcmp(source, "radius") == 0);
	return (struct daemon *)guests;
}

void daemon_free(struct daemon *d)
{
}

enum daemon_answer daemon_login(struct daemon *d, const struct address *a, const char *user,
				const char *tier, const uint8_t mac[6], int64_t now)
{
	on_command();
	require(world.judged);
	require(user[0] && user_name_valid(user));
	require(strcmp(tier, "staff") == 0 || strcmp(tier, "pupils") == 0);
	if (world.away)
		return DAEMON_AWAY;
	return strcmp(user, "blocked") == 0 ? DAEMON_BLOCKED : put(a, user, tier);
}

enum daemon_answer daemon_add(struct daemon *d, const struct address *with, const struct address *a,
			      int64_t now)
{
	on_command();
	struct guest *h = guest_at(with);
	if (world.away)
		return DAEMON_AWAY;
	return h ? put(a, h->user, h->tier) : DAEMON_NOT_FOUND;
}

static enum daemon_answer remove_at(const struct address *a)
{
	struct guest *h = guest_at(a);
	on_command();
	if (world.away)
		return DAEMON_AWAY;
	if (h)
		*h = (struct guest){0};
	return DAEMON_DONE;
}

enum daemon_answer daemon_drop(struct daemon *d, const struct address *a, int64_t now)
{
	return remove_at(a);
}

enum daemon_answer daemon_logout(struct daemon *d, const struct address *a, int64_t now)
{
	return remove_at(a);
}

enum daemon_answer daemon_ping(struct daemon *d, int64_t now)
{
	on_command();
	return world.away ? DAEMON_AWAY : DAEMON_DONE;
}

enum daemon_answer daemon_sessions(struct daemon *d, daemon_session_fn *each, void *ctx,
				   int64_t now)
{
	for (unsigned i = 0; i < GUESTS; i++)
		if (guests[i].user[0])
			each(ctx, guests[i].user, guests[i].tier, &guests[i].address, 1);
	return DAEMON_DONE;
}

struct store *store_folder_new(const char *folder)
{
	return NULL; /* what is kept is fuzz_accounting's */
}

/* ---- */

static void set_up(void)
{
	for (unsigned i = 0; i < 3; i++) {
		clients[i].secret = (char *)secrets[i];
		require(address_parse(from[i], &clients[i].network.base));
		clients[i].network.bits = 128;
	}
	clients[STRICT].require = RADIUS_MESSAGE_AUTHENTICATOR;
	require(address_parse("127.0.0.1", &settings.listen.address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct errors errors = {0};
	sd_event *event = NULL;
	if (!clients[0].secret)
		set_up();
	memset(guests, 0, sizeof guests);
	memset(&world, 0, sizeof world);
	world.in = cursor_of(data, size);
	require(put(&(struct address){.bytes = {[10] = 0xff, 0xff, 10, 0, 0, 9}}, "before",
		    "staff") == DAEMON_DONE);
	require(sd_event_new(&event) >= 0);
	struct radius_server *s = radius_server_new(&settings, "", "/nonexistent", event, &errors);
	require(s);
	for (unsigned i = 0; i < 4; i++)
		require(sd_event_run(event, 0) >= 0);
	settle();
	require(!cursor_left(&world.in) || world.count >= DATAGRAMS);
	radius_server_free(s);
	sd_event_unref(event);
	return 0;
}
