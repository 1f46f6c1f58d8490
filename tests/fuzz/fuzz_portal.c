/* The input is how things stand (a byte), and what a browser sends on a connection to the portal's
 * listener with pages, or to the plain one: through libmicrohttpd as it is, between two ends of a
 * socket. Some bytes stand for what a browser has from the portal (see `write_byte`); one lets the
 * answers come first. What comes back is well-formed HTTP; a page is made of its own markup alone,
 * and nothing of a request or of the daemon's answers is in it as it came; nobody signs in without
 * the form's token and a password, or an address that is not their own out; a cookie is the
 * portal's, and is worth nothing before that. */
#include "base/cursor.h"
#include "base/utf8.h"

#include "../unit/portal/rig_daemon.h"

#include "base/clock.h"
#include "portal/assets.h"
#include "portal/checker.h"
#include "portal/limit.h"
#include "portal/server.h"

#include <crypt.h>
#include <dlfcn.h>
#include <linux/sockios.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PLAIN = 1,
	AWAY = 2,
	HANGS_UP = 4,
	SIGNED_IN = 8, /* the browser's address has a session */
	MOVED = 16,    /* its cookie is of a session at another address */
	SIX = 32,
	REFUSED = 64,
	STRANGER = 128,
};

enum { INPUT_MAX = 4096, SENT_MAX = 65536, GOT_MAX = 1 << 20, ANSWERS = 64 };

#define CANARY   "<x\"'>"
#define PASSWORD "secret"
#define WAS_AT   "10.0.0.99"

static struct portal portal = {.lock = PTHREAD_RWLOCK_INITIALIZER};
static char folder[] = "/tmp/tiergate-fuzz-XXXXXX", conf[64];
static struct MHD_Daemon *daemons[2]; /* of pages, and the plain one */
static const struct token fixed = {"\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17"};

static struct {
	uint8_t how;
	struct token last; /* that the portal has set */
	bool has_last, knew_form, suspended;
	bool refuses;        /* libmicrohttpd takes no answer: it closes the connection */
	char sent[SENT_MAX]; /* all of it */
	char got[GOT_MAX];
	size_t sent_len, got_len;
	struct {
		unsigned status;
		bool head;
	} queued[ANSWERS];
	size_t answers;
	bool asked, head; /* the request that is being answered */
} now;

static const char *peer(void)
{
	return now.how & STRANGER ? "192.0.2.1" : now.how & SIX ? "fd00::5" : "10.0.0.7";
}

/* ---- libmicrohttpd: with no thread of its own, and without TLS ---- */

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

static MHD_AccessHandlerCallback handler[2];

static enum MHD_Result ask(int i, void *ctx, struct MHD_Connection *c, const char *path,
			   const char *method, const char *version, const char *bytes, size_t *len,
			   void **own)
{
	now.head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	now.asked = true;
	enum MHD_Result r = handler[i](ctx, c, path, method, version, bytes, len, own);
	now.asked = false;
	return r;
}

static enum MHD_Result on_page(void *ctx, struct MHD_Connection *c, const char *path,
			       const char *method, const char *version, const char *bytes,
			       size_t *len, void **own)
{
	return ask(0, ctx, c, path, method, version, bytes, len, own);
}

static enum MHD_Result on_plain(void *ctx, struct MHD_Connection *c, const char *path,
				const char *method, const char *version, const char *bytes,
				size_t *len, void **own)
{
	return ask(1, ctx, c, path, method, version, bytes, len, own);
}

static void take_options(struct MHD_OptionItem *to, va_list from)
{
	for (enum MHD_OPTION o; (o = va_arg(from, enum MHD_OPTION)) != MHD_OPTION_END;) {
		switch (o) {
		case MHD_OPTION_LISTEN_SOCKET: close(va_arg(from, int)); break;
		case MHD_OPTION_THREAD_POOL_SIZE: (void)va_arg(from, unsigned); break;
		case MHD_OPTION_ARRAY: (void)va_arg(from, void *); break;
		case MHD_OPTION_CONNECTION_MEMORY_LIMIT:
			*to++ = (struct MHD_OptionItem){o, (intptr_t)va_arg(from, size_t), NULL};
			break;
		case MHD_OPTION_NOTIFY_CONNECTION:
		case MHD_OPTION_NOTIFY_COMPLETED: {
			intptr_t f = (intptr_t)va_arg(from, void *);
			*to++ = (struct MHD_OptionItem){o, f, va_arg(from, void *)};
			break;
		}
		default: *to++ = (struct MHD_OptionItem){o, (intptr_t)va_arg(from, unsigned), NULL};
		}
	}
	*to = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}

struct MHD_Daemon *MHD_start_daemon(unsigned flags, uint16_t port, MHD_AcceptPolicyCallback accept,
				    void *accept_ctx, MHD_AccessHandlerCallback request,
				    void *request_ctx, ...)
{
	struct MHD_OptionItem items[16];
	va_list more;
	int i = flags & MHD_USE_TLS ? 0 : 1;
	handler[i] = request;
	va_start(more, request_ctx);
	take_options(items, more);
	va_end(more);
	return daemons[i] =
		       REAL(MHD_start_daemon)(MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME,
					      0, accept, accept_ctx, i ? on_plain : on_page,
					      request_ctx, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *c, unsigned status,
				   struct MHD_Response *m)
{
	enum MHD_Result r = REAL(MHD_queue_response)(c, status, m);
	if (!now.asked) /* its own, to what is no HTTP */
		return r;
	now.refuses |= r != MHD_YES;
	if (r != MHD_YES)
		return r;
	RIG_MUST(now.answers < ANSWERS);
	now.queued[now.answers].status = status;
	now.queued[now.answers++].head = now.head;
	return r;
}

void MHD_suspend_connection(struct MHD_Connection *c)
{
	__atomic_store_n(&now.suspended, true, __ATOMIC_SEQ_CST);
	REAL(MHD_suspend_connection)(c);
}

void MHD_resume_connection(struct MHD_Connection *c)
{
	REAL(MHD_resume_connection)(c);
	__atomic_store_n(&now.suspended, false, __ATOMIC_SEQ_CST);
}

/* ---- HTTP ---- */

struct answer {
	unsigned status;
	size_t len; /* of the body */
	bool has_len, page, json, policy, nosniff;
	unsigned cookies; /* of sessions */
	char location[600];
};

static bool take_line(struct cursor *c, char *out, size_t size)
{
	const uint8_t *end = cursor_left(c) ? memmem(c->pos, cursor_left(c), "\r\n", 2) : NULL;
	size_t len = end ? (size_t)(end - c->pos) : 0;
	RIG_MUST(end && len < size);
	memcpy(out, c->pos, len);
	out[len] = '\0';
	cursor_skip(c, len + 2);
	for (size_t i = 0; i < len; i++)
		RIG_MUST((uint8_t)out[i] >= 0x20 && out[i] != 0x7f);
	return len;
}

static void take_token(const char *hex, struct token *t)
{
	for (size_t i = 0; i < TOKEN_BYTES; i++)
		RIG_MUST(sscanf(hex + 2 * i, "%2hhx", &t->bytes[i]) == 1);
	RIG_MUST(hex[2 * TOKEN_BYTES] == ';');
}

/* Not for scripts, not for other sites, not without TLS; and it opens nothing. */
static void take_cookie(const char *value, struct answer *a)
{
	static const char name[] = COOKIE_NAME "=";
	struct cookie c;
	RIG_MUST(strstr(value, "; Path=/") && strstr(value, "; Secure") &&
		 strstr(value, "; HttpOnly") && strstr(value, "; SameSite=Lax"));
	if (strncmp(value, name, strlen(name)) != 0) {
		RIG_MUST(strncmp(value, "language=", 9) == 0);
		return;
	}
	RIG_MUST(a->cookies++ == 0);
	now.has_last = value[strlen(name)] != ';';
	if (!now.has_last)
		return;
	take_token(value + strlen(name), &now.last);
	if (cookies_find(portal.cookies, &now.last, clock_now(), &c))
		RIG_MUST(strstr(rig_daemon.log, "login {"));
}

static void take_header(const char *line, struct answer *a)
{
	size_t name = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-");
	const char *value = line + name + 2;
	RIG_MUST(name && line[name] == ':' && line[name + 1] == ' ');
	RIG_MUST(strncasecmp(line, "Transfer-Encoding", name) != 0);
	if (strncasecmp(line, "Content-Length", name) == 0) {
		RIG_MUST(!a->has_len);
		a->has_len = true;
		a->len = strtoul(value, NULL, 10);
	} else if (strncasecmp(line, "Content-Type", name) == 0) {
		a->page = strncmp(value, "text/html", 9) == 0;
		a->json = strstr(value, "json");
	} else if (strncasecmp(line, "Location", name) == 0) {
		RIG_MUST(!a->location[0] && strlen(value) < sizeof a->location);
		strcpy(a->location, value);
	} else if (strncasecmp(line, "Set-Cookie", name) == 0) {
		take_cookie(value, a);
	} else if (strncasecmp(line, "Content-Security-Policy", name) == 0) {
		a->policy = strncmp(value, "default-src 'none'; ", 20) == 0;
	} else if (strncasecmp(line, "X-Content-Type-Options", name) == 0) {
		a->nosniff = strcmp(value, "nosniff") == 0;
	}
}

/* ---- pages ---- */

static const char *const tags[] = {
	"!doctype", "html", "head", "meta",   "link", "title", "body",  "a",      "header", "span",
	"main",     "h1",   "h2",   "p",      "form", "label", "input", "button", "dl",     "div",
	"dt",       "dd",   "time", "footer", "nav",  "ul",    "li",    "img",
};
static const char *const attributes[] = {
	"html",         "lang",      "charset",   "name",      "content",      "rel",
	"href",         "class",     "id",        "method",    "action",       "type",
	"value",        "for",       "required",  "autofocus", "autocomplete", "autocapitalize",
	"spellcheck",   "maxlength", "inputmode", "role",      "datetime",     "aria-label",
	"aria-current", "hreflang",  "src",       "alt",       "height",
};

static bool is_one(const char *word, size_t len, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i]) == len && memcmp(list[i], word, len) == 0)
			return true;
	return false;
}
#define IS_ONE(word, len, list) is_one(word, len, list, sizeof list / sizeof *list)

static bool starts(const char *at, const char *with)
{
	return strncmp(at, with, strlen(with)) == 0;
}

/* Text is UTF-8, and what would be markup is written out. */
static const char *pass_text(const char *at, const char *ends)
{
	while (*at && !strchr(ends, *at)) {
		size_t n = utf8_len(at, strlen(at));
		RIG_MUST(n && *at != '<' && *at != '>');
		if (*at == '&')
			RIG_MUST(starts(at, "&lt;") || starts(at, "&gt;") || starts(at, "&amp;") ||
				 starts(at, "&#34;") || starts(at, "&#39;"));
		at += n;
	}
	return at;
}

/* Within the portal, or to a host. */
static void is_link(const char *value, bool form)
{
	bool own = (value[0] == '/' && value[1] != '/') || value[0] == '#';
	RIG_MUST(own || (!form && (starts(value, "http://") || starts(value, "https://"))));
}

static const char *pass_attribute(const char *at)
{
	const char *name = at;
	size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz-");
	RIG_MUST(IS_ONE(name, len, attributes));
	at += len;
	if (*at != '=')
		return at;
	RIG_MUST(*++at == '"');
	if (starts(name, "href=") || starts(name, "src=") || starts(name, "action="))
		is_link(at + 1, name[0] == 'a');
	at = pass_text(at + 1, "\"");
	RIG_MUST(*at == '"');
	return at + 1;
}

static const char *pass_tag(const char *at)
{
	at += *at == '/';
	size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz!0123456789");
	RIG_MUST(IS_ONE(at, len, tags));
	for (at += len; *at == ' ';)
		at = pass_attribute(at + 1);
	RIG_MUST(*at == '>');
	return at + 1;
}

static void is_page(const char *at)
{
	while (*(at = pass_text(at, "<")))
		at = pass_tag(at + 1);
}

/* ---- what came back ---- */

static void check_body(const struct answer *a, const uint8_t *bytes)
{
	char *text = malloc(a->len + 1);
	RIG_MUST(text);
	memcpy(text, bytes, a->len);
	text[a->len] = '\0';
	if (a->page && a->len) {
		RIG_MUST(strlen(text) == a->len);
		RIG_MUST(!strstr(text, "<x"));
		is_page(text);
	}
	if (a->json && a->len) {
		json_t *j = json_loadb(text, a->len, 0, NULL);
		RIG_MUST(j);
		json_decref(j);
	}
	free(text);
}

static void check_ours(const struct answer *a, size_t i)
{
	RIG_MUST(a->status == now.queued[i].status && a->has_len);
	if (a->location[0] && now.how & PLAIN)
		RIG_MUST(starts(a->location, "https://gate.example/"));
	else if (a->location[0])
		RIG_MUST(a->status == 303 && a->location[0] == '/' && a->location[1] != '/');
	RIG_MUST(now.how & PLAIN ? !a->cookies : a->policy && a->nosniff);
}

/* HEAD's answer has no body. What has a NUL behind that word is HEAD to us, who read it to its NUL,
 * and another method to libmicrohttpd, which sends one. */
static bool is_body(const struct cursor *c)
{
	return memmem(now.sent, now.sent_len, "HEAD", sizeof "HEAD") && cursor_left(c) > 7 &&
	       memcmp(c->pos, "HTTP/1.", 7) != 0;
}

/* Those of libmicrohttpd itself (of what is no HTTP) come last, and its 100 at any time. */
static void check_answers(void)
{
	struct cursor c = cursor_of(now.got, now.got_len);
	char line[4096];
	size_t ours = 0;
	while (cursor_left(&c)) {
		struct answer a = {0};
		RIG_MUST(take_line(&c, line, sizeof line) &&
			 sscanf(line, "HTTP/1.%*1[01] %3u ", &a.status) == 1);
		while (take_line(&c, line, sizeof line))
			take_header(line, &a);
		if (a.status == 100)
			continue;
		/* the library's own, to what is no HTTP: to a bad length its head comes twice */
		if (ours == now.answers) {
			RIG_MUST(a.status >= 400);
			return;
		}
		check_ours(&a, ours);
		size_t len = now.queued[ours++].head && !is_body(&c) ? 0 : a.len;
		RIG_MUST(len <= cursor_left(&c));
		a.len = len;
		check_body(&a, c.pos);
		cursor_skip(&c, len);
	}
	RIG_MUST(ours == now.answers);
}

/* ---- what was done ---- */

static bool sent_has(const char *text)
{
	char *plain = malloc(now.sent_len + 1), *to = plain;
	unsigned byte;
	RIG_MUST(plain);
	for (size_t i = 0; i < now.sent_len; i++) {
		if (now.sent[i] == '%' && i + 2 < now.sent_len &&
		    sscanf(&now.sent[i + 1], "%2x", &byte) == 1 && ++i && ++i)
			*to++ = (char)byte;
		else
			*to++ = now.sent[i];
	}
	bool has = memmem(plain, (size_t)(to - plain), text, strlen(text));
	free(plain);
	return has;
}

static void check_done(void)
{
	char own[64], was[64];
	snprintf(own, sizeof own, "\"address\":\"%s\"", peer());
	snprintf(was, sizeof was, "\"address\":\"%s\"", WAS_AT);
	bool moves = now.how & MOVED, form = now.knew_form;
	for (char *at = rig_daemon.log, *line; (line = strsep(&at, "\n")) && *line;) {
		bool of_own = strstr(line, own);
		if (starts(line, "login "))
			RIG_MUST(of_own && strstr(line, "\"user\":\"ann\"") &&
				 (moves || (form && sent_has(PASSWORD))));
		else if (starts(line, "logout "))
			RIG_MUST((of_own && form) || (moves && strstr(line, was)));
		else
			RIG_MUST(starts(line, "add ") && moves && of_own);
	}
}

/* ---- a browser ---- */

static void write_text(const char *text, size_t len)
{
	RIG_MUST(now.sent_len + len < SENT_MAX);
	memcpy(now.sent + now.sent_len, text, len);
	now.sent_len += len;
}

static void write_csrf(const struct token *t)
{
	char csrf[CSRF_TEXT];
	cookies_csrf(portal.cookies, t, csrf);
	write_text(csrf, strlen(csrf));
	now.knew_form = true;
}

static void write_cookie(const struct token *t)
{
	char text[TOKEN_TEXT];
	token_format(t, text);
	write_text("Cookie: " COOKIE_NAME "=", strlen("Cookie: " COOKIE_NAME "="));
	write_text(text, strlen(text));
}

/* rest: what is to come before the answers. */
static void write_byte(uint8_t byte, size_t rest)
{
	static const char head[] = "Host: gate.example\r\n"
				   "Content-Type: application/x-www-form-urlencoded\r\n";
	char text[64];
	switch (byte) {
	case 1: write_csrf(&fixed); break;
	case 2: write_cookie(&fixed); break;
	case 3: write_csrf(now.has_last ? &now.last : &fixed); break;
	case 4: write_cookie(now.has_last ? &now.last : &fixed); break;
	case 5:
		write_text(text, (size_t)snprintf(text, sizeof text, "Content-Length: %zu", rest));
		break;
	case 6: write_text(CANARY, strlen(CANARY)); break;
	case 8: write_text(head, strlen(head)); break;
	default: write_text((const char *)&byte, 1);
	}
}

/* How many bytes of a body a part has: behind the first blank line. */
static size_t body_of(const uint8_t *part, size_t len)
{
	const uint8_t *blank = len ? memmem(part, len, "\r\n\r\n", 4) : NULL;
	size_t body = 0;
	for (const uint8_t *at = blank ? blank + 4 : part + len; at < part + len; at++)
		body += *at == 1 || *at == 3 ? CSRF_TEXT - 1 : *at == 6 ? strlen(CANARY) : 1;
	return body;
}

/* Until nothing more comes back. */
static bool settle(struct MHD_Daemon *d, int fd)
{
	for (int idle = 0; idle < 4;) {
		int unread = 0;
		bool waits = __atomic_load_n(&now.suspended, __ATOMIC_SEQ_CST);
		RIG_MUST(MHD_run_wait(d, waits ? 20 : 0) == MHD_YES);
		ssize_t n = recv(fd, now.got + now.got_len, GOT_MAX - now.got_len, MSG_DONTWAIT);
		RIG_MUST(now.got_len < GOT_MAX);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		now.got_len += n > 0 ? (size_t)n : 0;
		ioctl(fd, SIOCOUTQ, &unread);
		idle = n > 0 || waits || unread ? 0 : idle + 1;
	}
	return true;
}

static void browse(struct MHD_Daemon *d, int fd, const uint8_t *data, size_t size)
{
	bool open = true;
	for (size_t at = 0; open && at < size;) {
		const uint8_t *end = memchr(data + at, 7, size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at, from = now.sent_len;
		size_t body = body_of(data + at, len);
		for (size_t i = 0; i < len; i++)
			write_byte(data[at + i], body);
		size_t count = now.sent_len - from;
		open = send(fd, now.sent + from, count, MSG_NOSIGNAL) == (ssize_t)count &&
		       settle(d, fd);
		RIG_MUST(!open || !now.refuses);
		check_answers();
		at += len + 1;
	}
}

static void close_all(struct MHD_Daemon *d, int fd)
{
	close(fd);
	for (int idle = 0; idle < 1000;) {
		const union MHD_DaemonInfo *info =
			MHD_get_daemon_info(d, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
		bool waits = __atomic_load_n(&now.suspended, __ATOMIC_SEQ_CST);
		if (!info->num_connections)
			return;
		MHD_run_wait(d, waits ? 20 : 0);
		idle += !waits; /* a checker takes the time that it takes */
	}
	abort();
}

static void connect_and_browse(const uint8_t *data, size_t size)
{
	struct MHD_Daemon *d = daemons[now.how & PLAIN];
	struct address a;
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(40000)};
	int fd[2];
	RIG_MUST(address_parse(peer(), &a));
	memcpy(&at.sin6_addr, a.bytes, 16);
	RIG_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	bool served = MHD_add_connection(d, fd[1], (struct sockaddr *)&at, sizeof at) == MHD_YES;
	RIG_MUST(served == !(now.how & STRANGER));
	if (served)
		browse(d, fd[0], data, size);
	close_all(d, fd[0]);
}

/* ---- */

static void write_file(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	RIG_MUST(f && fchmod(fileno(f), 0600) == 0 && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void remove_folder(void)
{
	char command[64];
	checkers_stop(portal.checkers);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	RIG_MUST(system(command) == 0);
}

static void write_files(void)
{
	char text[2048];
	RIG_MUST(mkdtemp(folder));
	snprintf(text, sizeof text, "ann:staff:%s\n", crypt(PASSWORD, "$5$rounds=1000$salt$"));
	write_file("users", text);
	snprintf(text, sizeof text, "%s/texts", folder);
	RIG_MUST(mkdir(text, 0700) == 0);
	write_file("texts/bg.text", "language = Bulgarian\nsign-in = Вход\n");
	snprintf(
		text, sizeof text,
		"url = \"https://gate.example\"; certificate = \"%1$s/crt\"; key = \"%1$s/key\";\n"
		"https = \"127.0.0.1:1\"; http = \"127.0.0.1:1\"; users_file = \"%1$s/users\";\n"
		"vouchers_file = \"%1$s/vouchers\"; state_dir = \"%1$s\"; texts = \"%1$s/texts\";\n"
		"clients = [ \"10.0.0.0/8\", \"fd00::/8\" ]; request_bytes = 1024;\n"
		"credentials = [ \"users\", \"vouchers\" ]; contact = \"ask <us> & them\";\n",
		folder);
	write_file("portal.conf", text);
	snprintf(conf, sizeof conf, "%s/portal.conf", folder);
}

static void set_up(void)
{
	struct errors errors = {0};
	struct portal *p = &portal;
	write_files();
	p->config = portal_config_load(conf, &errors);
	errors_print(&errors, stderr);
	RIG_MUST(p->config);
	p->config->https.port = p->config->http.port = 0; /* any that is free */
	p->config_file = conf;
	p->assets = assets_load(p->config, &errors);
	p->cookies = cookies_new();
	RIG_MUST(sd_event_new(&p->event) >= 0 && p->assets && p->cookies);
	p->checkers = checkers_new(p, 1);
	RIG_MUST(p->checkers && server_new(p, &errors) && daemons[0] && daemons[1]);
	atexit(remove_folder);
}

static void stand(uint8_t how)
{
	struct cookie c = {.user = "ann",
			   .tier = "staff",
			   .source = "portal",
			   .until = clock_now() + 3600 * NS_PER_S};
	memset(&now, 0, offsetof(typeof(now), sent));
	now.sent_len = now.got_len = now.answers = 0;
	now.how = how;
	memset(&rig_daemon, 0, sizeof rig_daemon);
	rig_daemon.away = how & AWAY;
	rig_daemon.hangs_up = how & HANGS_UP;
	rig_daemon.refuse = how & REFUSED ? "blocked" : NULL;
	rig_daemon.reach = "{\"may\": [{\"site\": \"<x>\", \"now\": false, "
			   "\"from\": \"2097-01-02T03:04:05Z\"}]}";
	rig_daemon.why = "{\"action\": \"deny\", \"nearest\": \"<x>.conf:9\", \"reason\": "
			 "\"no-line\", \"obstacles\": [\"one <x>\"], \"owner\": \"<x>\", "
			 "\"note\": \"a <x>\"}";
	rig_daemon.denials = "{\"denials\": [{\"destination.domain\": \"<x>\", \"event.reason\": "
			     "\"<x>\", \"destination.ip\": \"192.0.2.1\"}]}";
	if (how & SIGNED_IN)
		rig_open(peer(), "ann", "st<x>ff");
	if (how & MOVED) {
		rig_open(WAS_AT, "ann", "staff");
		RIG_MUST(address_parse(WAS_AT, &c.at[0]));
		cookies_put(portal.cookies, &fixed, &c, clock_now());
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!portal.server)
		set_up();
	if (size < 1 || size > INPUT_MAX)
		return 0;
	portal.limit = limit_new();
	RIG_MUST(portal.limit);
	stand(data[0]);
	connect_and_browse(data + 1, size - 1);
	check_done();
	cookies_drop(portal.cookies, &fixed);
	if (now.has_last)
		cookies_drop(portal.cookies, &now.last);
	limit_free(portal.limit);
	return 0;
}
