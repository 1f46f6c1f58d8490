/* The portal's pages: a request goes in, and what a browser gets comes out. Each page is held
 * against tests/unit/portal/pages/NAME, whole: status, headers, markup. `test_pages --update`
 * writes them anew; look at the difference. */
#include "rig.h"
#include "unit.h"
#include "identity/users.h"
#include "identity/vouchers.h"

#include <ftw.h>
#include <regex.h>

#define PAGES "tests/unit/portal/pages"
#define HOST  "Host", "gate.example"
#define FORM  "Content-Type", "application/x-www-form-urlencoded"
#define ANN   "10.0.0.7"

static bool update;

/* ---- pages in files ---- */

/* What differs from one run to the next becomes a word. */
static void mask(char *text, const char *pattern, char with)
{
	regex_t re;
	regmatch_t at[2];
	RIG_MUST(regcomp(&re, pattern, REG_EXTENDED) == 0);
	while (regexec(&re, text, 2, at, 0) == 0) {
		memset(text + at[1].rm_so, with, (size_t)(at[1].rm_eo - at[1].rm_so));
		text += at[0].rm_eo;
	}
	regfree(&re);
}

static char *text_of(const struct rig_got *got)
{
	char *text = NULL;
	RIG_MUST(asprintf(&text, "%u\n%s\n%s", got->status, got->headers, got->body) > 0);
	mask(text, "__Host-tiergate=([0-9a-f]{32})", 'T');
	mask(text, "\"csrf\" value=\"([0-9a-f]{32})", 'C');
	mask(text, "style.css.([0-9a-f]{8})", 'S');
	return text;
}

static char *file_of(const char *path)
{
	char *text = calloc(1, PAGE_MAX * 2);
	FILE *f = fopen(path, "r");
	size_t len = f ? fread(text, 1, PAGE_MAX * 2 - 1, f) : 0;
	if (f)
		fclose(f);
	text[len] = '\0';
	return text;
}

/* The page is that of the file, byte for byte. Takes the body. */
static void is_page(const char *name, struct rig_got got)
{
	char path[128], *text = text_of(&got), *want;
	snprintf(path, sizeof path, PAGES "/%s", name);
	if (update) {
		FILE *f = fopen(path, "w");
		RIG_MUST(f && fputs(text, f) >= 0 && fclose(f) == 0);
	}
	want = file_of(path);
	if (strcmp(text, want) != 0)
		fail_msg("%s: is\n%s\nand was to be\n%s", name, text, want);
	free(want);
	free(text);
	free(got.body);
}

/* ---- a browser with cookies ---- */

struct browser {
	const char *from;
	char cookie[128]; /* of the portal's last Set-Cookie; "": none */
	char csrf[CSRF_TEXT];
};

static void take(const char *text, const char *before, char *out, size_t len)
{
	const char *at = strstr(text, before);
	if (at)
		snprintf(out, len, "%.*s", (int)strspn(at + strlen(before), "0123456789abcdef"),
			 at + strlen(before));
}

static struct rig_got go(struct browser *b, const char *method, const char *path, const char *query,
			 const char *body)
{
	char token[TOKEN_TEXT] = "";
	const char *headers[] = {HOST, b->cookie[0] ? "Cookie" : "X", b->cookie, FORM, NULL};
	struct rig_ask ask = {.method = method,
			      .path = path,
			      .query = query,
			      .from = b->from,
			      .headers = headers,
			      .body = body,
			      .body_len = body ? strlen(body) : 0};
	struct rig_got got = rig_ask(&ask, true);
	assert_false(got.closed);
	if (strstr(got.headers, "Set-Cookie: " COOKIE_NAME "=")) {
		take(got.headers, COOKIE_NAME "=", token, sizeof token);
		snprintf(b->cookie, sizeof b->cookie, "%s%s", token[0] ? COOKIE_NAME "=" : "",
			 token);
		b->csrf[0] = '\0'; /* a form is of its token */
	}
	take(got.body, "\"csrf\" value=\"", b->csrf, sizeof b->csrf);
	return got;
}

static struct rig_got get(struct browser *b, const char *path, const char *query)
{
	return go(b, "GET", path, query, NULL);
}

/* A form of the browser's first page; fields are its other members. */
static struct rig_got post(struct browser *b, const char *path, const char *fields)
{
	char body[1024];
	if (!b->csrf[0])
		free(get(b, "/", NULL).body);
	snprintf(body, sizeof body, "csrf=%s%s", b->csrf, fields);
	return go(b, "POST", path, NULL, body);
}

static struct rig_got sign_in(struct browser *b)
{
	return post(b, "/sign-in", "&user=ann&password=secret");
}

/* Done: signed in, and the daemon's log is empty again. */
static void be_signed_in(struct browser *b)
{
	struct rig_got got = sign_in(b);
	assert_int_equal(got.status, 303);
	rig_daemon.log[0] = '\0';
	free(got.body);
}

static bool has(const struct rig_got *got, const char *text)
{
	return strstr(got->body, text) || strstr(got->headers, text);
}

/* ---- set up ---- */

static char code[VOUCHER_CODE];

static void tell(void *ctx, const char *text)
{
	strcpy(code, text);
}

static int begin_with(const char *more)
{
	struct errors errors = {0};
	char users[96], vouchers[96];
	snprintf(users, sizeof users, "%s/users", rig_folder);
	snprintf(vouchers, sizeof vouchers, "%s/vouchers", rig_folder);
	rig_begin(more, 1);
	RIG_MUST(users_write(users, "ann", "staff", "secret", &errors) == 0);
	RIG_MUST(vouchers_make(vouchers, 1, "guest", 60 * NS_PER_S, tell, NULL, &errors) == 0);
	return 0;
}

static int begin(void **state)
{
	return begin_with("credentials = [ \"users\", \"vouchers\" ];");
}

static int end(void **state)
{
	char path[96];
	rig_end();
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", rig_folder, i ? "users" : "vouchers");
		unlink(path);
	}
	return 0;
}

/* ---- who is not signed in ---- */

static void the_first_page_is_a_form_and_gives_a_cookie_that_scripts_cannot_read(void **state)
{
	struct browser b = {.from = ANN};
	is_page("first", get(&b, "/", NULL));
	assert_int_equal(strlen(b.cookie), strlen(COOKIE_NAME) + 33);
	struct rig_got got = get(&b, "/", NULL);
	assert_false(has(&got, "Set-Cookie")); /* it has one */
	free(got.body);
	strcpy(b.cookie, COOKIE_NAME "=none");
	got = get(&b, "/", NULL); /* what is no token is replaced */
	assert_true(has(&got, "Set-Cookie: " COOKIE_NAME));
	free(got.body);
}

static void a_form_shows_what_is_asked_for_only(void **state)
{
	struct browser b = {.from = ANN};
	rig_portal.config->credentials = CREDENTIALS_VOUCHERS;
	is_page("first-vouchers", get(&b, "/", NULL));
	rig_portal.config->credentials = CREDENTIALS_PAM;
	is_page("first-pam", get(&b, "/", NULL));
}

static void a_segments_page_says_what_is_open_without_signing_in(void **state)
{
	struct browser b = {.from = ANN};
	rig_daemon.reach =
		"{\"tier\": \"room\", \"mode\": \"observe\", \"may\": ["
		"{\"site\": \"docs\", \"now\": true},"
		"{\"site\": \"*\", \"now\": true, \"until\": \"2098-01-02T03:04:05Z\"},"
		"{\"site\": \"<b>\", \"now\": false, \"from\": \"2097-01-02T03:04:05Z\"},"
		"{\"site\": \"never\", \"now\": false}]}";
	is_page("segment", get(&b, "/", NULL));
}

static void a_daemon_that_is_away_is_said_on_each_page(void **state)
{
	static const char *const path[] = {"/", "/why", "/blocked", "/api"};
	for (size_t i = 0; i < sizeof path / sizeof *path; i++) {
		struct browser b = {.from = ANN};
		rig_daemon.away = true;
		is_page("away", get(&b, path[i], NULL));
		rig_daemon.away = false;
		rig_daemon.hangs_up = true;
		is_page("away", get(&b, path[i], NULL));
		rig_daemon.hangs_up = false;
	}
}

/* ---- signing in ---- */

static void who_signs_in_has_a_session_and_a_cookie_that_nobody_knew_before(void **state)
{
	struct browser b = {.from = ANN}, old;
	free(get(&b, "/", NULL).body);
	old = b;
	struct rig_got got = sign_in(&b);
	assert_true(got.waited);
	is_page("signed-in-303", got);
	assert_string_equal(rig_daemon.log, "login {\"address\":\"10.0.0.7\",\"for\":\"12h\","
					    "\"source\":\"portal\",\"tier\":\"staff\",\"user\":"
					    "\"ann\"}\n");
	assert_string_not_equal(b.cookie, old.cookie);
	is_page("home", get(&b, "/", NULL));
	is_page("home-to", get(&b, "/", "to=www.example.com"));
	is_page("home-to6", get(&b, "/", "to=2001:db8::1"));
	got = get(&b, "/", "to=a\"<b");
	assert_false(has(&got, "Continue"));
	free(got.body);
}

/* As much as the daemon may say: the page has room for it. */
static void the_largest_page(struct browser *b)
{
	char *text = calloc(1, 1 << 20);
	strcpy(text, "{\"may\": [");
	for (int i = 0; i < 64; i++) {
		sprintf(text + strlen(text),
			"%s{\"site\": \"a-name-of-a-site-that-is-as-long-as-it-may-be-%03d\", "
			"\"now\": true, \"quotas\": [",
			i ? ", " : "", i);
		for (int k = 0; k < 4; k++)
			sprintf(text + strlen(text),
				"%s{\"left\": 1300000, \"amount\": 3000000, \"unit\": \"min\", "
				"\"per\": \"week\", \"until\": \"2026-11-29T00:00:00Z\"}",
				k ? ", " : "");
		strcat(text, "]}");
	}
	strcat(text, "]}");
	rig_daemon.reach = text;
	struct rig_got got = get(b, "/", NULL);
	assert_int_equal(got.status, 200);
	assert_non_null(strstr(got.body, "be-063<"));
	free(got.body);
	free(text);
}

static void the_page_says_what_a_user_may_reach(void **state)
{
	struct browser b = {.from = ANN};
	be_signed_in(&b);
	rig_daemon.reach = "{\"may\": [{\"site\": \"docs\", \"now\": true}]}";
	is_page("home-sites", get(&b, "/", NULL));
	rig_daemon.reach =
		"{\"may\": [{\"site\": \"video\", \"now\": true, \"quotas\": [{\"left\": 35, "
		"\"amount\": 90, "
		"\"unit\": \"min\", \"per\": \"day\", \"until\": \"2026-11-29T00:00:00Z\"}, "
		"{\"left\": "
		"1300000, \"amount\": 3000000, \"unit\": \"B\", \"per\": \"week\", \"left_text\": "
		"\"1.3 "
		"MB\", \"amount_text\": \"3 MB\", \"until\": 7}]}, {\"site\": \"*\", \"now\": "
		"false, "
		"\"quotas\": [{\"left\": \"<b>\", \"unit\": \"<b>\", \"left_text\": \"<b>\"}]}]}";
	is_page("home-quotas", get(&b, "/", NULL));
	the_largest_page(&b);
	rig_daemon.reach = "{\"mode\": \"observe\", \"until\": null}";
	is_page("home-observe", get(&b, "/", NULL));
}

/* A token of before the sign-in is worth nothing after it. */
static void the_token_of_before_is_dropped(void **state)
{
	struct browser b = {.from = ANN}, old;
	be_signed_in(&b);
	old = b;
	free(get(&b, "/", NULL).body);
	be_signed_in(&b);
	old.from = "10.0.0.8";
	b.from = "10.0.0.9";
	free(get(&old, "/", NULL).body);
	assert_string_equal(rig_daemon.log, "");
	free(get(&b, "/", NULL).body);
	assert_non_null(strstr(rig_daemon.log, "login {\"address\":\"10.0.0.9\""));
}

static void where_one_was_going_is_kept(void **state)
{
	struct browser b = {.from = ANN};
	is_page("to-303", post(&b, "/sign-in", "&user=ann&password=secret&to=WWW.example.com"));
	is_page("to-wrong", post(&b, "/sign-in", "&user=ann&password=x&to=www.example.com"));
	struct rig_got got = post(&b, "/sign-in", "&user=ann&password=secret&to=a%0d%0ab");
	assert_true(has(&got, "Location: /\n"));
	free(got.body);
}

static void what_is_wrong_is_said_and_never_which_half(void **state)
{
	struct browser b = {.from = ANN};
	is_page("wrong", post(&b, "/sign-in", "&user=ann&password=wrong"));
	is_page("wrong", post(&b, "/sign-in", "&user=bob&password=secret"));
	is_page("wrong", post(&b, "/sign-in", "&user=no+such%40%40name&password=secret"));
	assert_string_equal(rig_daemon.log, "");
}

/* None of them comes as far as a check, or past the room of a name that can be: all are one user,
 * whom nobody is, and who has been guessed at already. */
static void a_name_that_no_user_can_have_is_one_that_nobody_has(void **state)
{
	static const char *const names[] = {"-ann", "an%01n", "an%7fn", "an%ffn", NULL, NULL};
	struct address a;
	for (uint8_t i = 0; i < LIMIT_USER; i++) {
		a = address_from4((const uint8_t[]){10, 0, 2, i});
		assert_int_equal(limit_begin(rig_portal.limit, &a, "nobody@-", clock_now()), 0);
	}
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		char from[16], name[QUERY_MAX], fields[QUERY_MAX + 64];
		memset(name, 'x', sizeof name);
		name[i == 4 ? USER_MAX : QUERY_MAX - 1] = '\0'; /* too long by one, by far */
		snprintf(from, sizeof from, "10.0.1.%u", i);
		snprintf(fields, sizeof fields, "&user=%s&password=secret",
			 names[i] ? names[i] : name);
		struct browser b = {.from = from};
		is_page("wrong", post(&b, "/sign-in", fields));
		struct rig_got got = post(&b, "/sign-in", fields);
		assert_int_equal(got.status, 429);
		free(got.body);
	}
}

static void fields_are_read_as_they_are_written_but_for_spaces_around_a_name(void **state)
{
	static const char *const bad[] = {"",
					  "&user=ann",
					  "&password=secret",
					  "&user=&password=secret",
					  "&user=++&password=secret",
					  "&user=ann&password=",
					  "&user=ann&user=ann&password=secret",
					  "&voucher=",
					  "&voucher=++"};
	struct browser b = {.from = ANN};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		is_page("empty", post(&b, "/sign-in", bad[i]));
	struct rig_got got = post(&b, "/sign-in", "&user=++ann+&password=secret");
	assert_int_equal(got.status, 303);
	free(got.body);
	got = post(&b, "/sign-in", "&user=ann&password=+secret");
	assert_int_equal(got.status, 403);
	free(got.body);
}

static void a_voucher_signs_in_once(void **state)
{
	struct browser b = {.from = ANN};
	char fields[64];
	snprintf(fields, sizeof fields, "&voucher=+%s+", code);
	struct rig_got got = post(&b, "/sign-in", fields);
	assert_int_equal(got.status, 303);
	assert_non_null(strstr(rig_daemon.log, "\"for\":\"1m\",\"source\":\"voucher\",\"tier\":"
					       "\"guest\",\"user\":\"voucher-"));
	free(got.body);
	is_page("wrong-voucher", post(&b, "/sign-in", fields));
}

/* A voucher of a day is no day where the portal's sessions are shorter. */
static void a_session_is_as_long_as_both_the_voucher_and_the_portal_allow(void **state)
{
	static const struct {
		int64_t hours;
		const char *lasts;
	} of[] = {{11, "\"for\":\"11h\""}, {12, "\"for\":\"12h\""}, {24, "\"for\":\"12h\""}};
	struct browser b = {.from = ANN};
	struct errors errors = {0};
	char fields[64], vouchers[96];
	snprintf(vouchers, sizeof vouchers, "%s/vouchers", rig_folder);
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		RIG_MUST(vouchers_make(vouchers, 1, "guest", of[i].hours * 3600 * NS_PER_S, tell,
				       NULL, &errors) == 0);
		snprintf(fields, sizeof fields, "&voucher=%s", code);
		rig_daemon.log[0] = '\0';
		free(post(&b, "/sign-in", fields).body);
		assert_non_null(strstr(rig_daemon.log, of[i].lasts));
	}
}

/* What the daemon refuses is told, and a voucher that was used up for it is good again. */
static void a_session_that_is_refused_is_no_sign_in(void **state)
{
	static const char *const codes[][3] = {
		{"full", "full", "raise bounds.sessions"},
		{"blocked", "blocked-user", NULL},
		{"not-found", "no-tier", "tier is not in the policy"}};
	struct browser b = {.from = ANN};
	char fields[64];
	snprintf(fields, sizeof fields, "&voucher=%s", code);
	for (size_t i = 0; i < 3; i++) {
		rig_daemon.refuse = codes[i][0];
		rig_portal.tally.error[0] = '\0';
		is_page(codes[i][1], post(&b, "/sign-in", fields));
		/* and what an administrator can mend is told: status shows it */
		const char *told = rig_portal.tally.error;
		if (codes[i][2] ? !strstr(told, codes[i][2]) : *told)
			fail_msg("%s: told \"%s\"", codes[i][0], told);
	}
	rig_daemon.refuse = NULL;
	struct rig_got got = post(&b, "/sign-in", fields);
	assert_int_equal(got.status, 303);
	free(got.body);
}

/* Who got the command and hung up may have done it: the voucher stays used up. */
static void a_voucher_is_not_good_again_where_nobody_knows(void **state)
{
	struct browser b = {.from = ANN};
	char fields[64];
	snprintf(fields, sizeof fields, "&voucher=%s", code);
	free(get(&b, "/", NULL).body);
	rig_daemon.hangs_up = true;
	is_page("away", post(&b, "/sign-in", fields));
	rig_daemon.hangs_up = false;
	is_page("wrong-voucher", post(&b, "/sign-in", fields));
}

static void what_cannot_be_checked_is_no_failure_of_who_tries(void **state)
{
	struct browser b = {.from = ANN};
	char users[96];
	snprintf(users, sizeof users, "%s/users", rig_folder);
	free(get(&b, "/", NULL).body);
	unlink(users);
	for (int i = 0; i < LIMIT_FREE * 2; i++)
		is_page("cannot-check", sign_in(&b));
}

static void who_guesses_waits(void **state)
{
	struct browser b = {.from = ANN}, other = {.from = "10.0.0.8"};
	struct address a;
	assert_true(address_parse(ANN, &a));
	for (int64_t i = 0; i < LIMIT_FREE; i++) /* the last of them in an hour, so to say */
		limit_begin(rig_portal.limit, &a, "ann", clock_now() + i * 300 * NS_PER_S);
	free(post(&b, "/sign-in", "&user=ann&password=wrong").body);
	struct rig_got got = post(&b, "/sign-in", "&user=ann&password=secret&to=www.example.com");
	assert_false(got.waited);
	assert_int_equal(got.status, 429);
	const char *retry = strstr(got.headers, "Retry-After: ");
	assert_non_null(retry);
	unsigned seconds = (unsigned)strtoul(retry + 13, NULL, 10);
	char text[64];
	assert_in_range(seconds, 1, 601); /* of what is left, the next whole second */
	snprintf(text, sizeof text, "Too many attempts. Try again in %u seconds.", seconds);
	assert_true(has(&got, text));
	assert_true(has(&got, "value=\"www.example.com\""));
	free(got.body);
	be_signed_in(&other);
}

static void who_signs_in_right_has_no_failures_any_more(void **state)
{
	struct browser b = {.from = ANN};
	for (int i = 0; i < 4 * LIMIT_FREE; i++)
		be_signed_in(&b);
}

static void a_form_of_another_browser_does_nothing(void **state)
{
	struct browser b = {.from = ANN}, thief = {.from = "10.0.0.8"};
	free(get(&b, "/", NULL).body);
	free(get(&thief, "/", NULL).body);
	strcpy(b.csrf, thief.csrf);
	is_page("stale", post(&b, "/sign-in", "&user=ann&password=secret"));
	free(get(&b, "/", NULL).body);
	struct browser bare = b;
	bare.cookie[0] = '\0'; /* the form, without the cookie */
	struct rig_got got = post(&bare, "/sign-in", "&user=ann&password=secret");
	assert_int_equal(got.status, 403);
	free(got.body);
	got = go(&b, "POST", "/sign-in", NULL, "user=ann&password=secret"); /* without its field */
	assert_int_equal(got.status, 403);
	free(got.body);
	assert_string_equal(rig_daemon.log, "");
}

static void no_room_for_a_check_is_told_and_no_failure(void **state)
{
	struct browser b = {.from = ANN};
	free(get(&b, "/", NULL).body);
	checkers_stop(rig_portal.checkers); /* takes nothing */
	for (int i = 0; i < LIMIT_FREE * 2; i++)
		is_page("busy", sign_in(&b));
}

/* ---- signing out ---- */

static void who_signs_out_has_no_session_and_no_cookie(void **state)
{
	struct browser b = {.from = ANN}, old;
	be_signed_in(&b);
	free(get(&b, "/", NULL).body);
	old = b;
	is_page("signed-out-303", post(&b, "/sign-out", ""));
	assert_string_equal(rig_daemon.log, "logout {\"address\":\"10.0.0.7\"}\n");
	assert_string_equal(b.cookie, "");
	is_page("signed-out", get(&b, "/signed-out", NULL));
	rig_open(ANN, "ann", "staff");
	old.from = "10.0.0.8";
	rig_daemon.log[0] = '\0';
	free(get(&old, "/", NULL).body);
	assert_string_equal(rig_daemon.log, ""); /* the cookie is worth nothing */
}

static void nobody_is_signed_out_by_another_page(void **state)
{
	struct browser b = {.from = ANN};
	be_signed_in(&b);
	strcpy(b.csrf, "00112233445566778899aabbccddeeff");
	is_page("stale", post(&b, "/sign-out", ""));
	assert_string_equal(rig_daemon.log, "");
	free(get(&b, "/", NULL).body);
	rig_daemon.away = true;
	is_page("away", post(&b, "/sign-out", ""));
	rig_daemon.away = false;
	struct browser there = b;
	there.from = "10.0.0.9";
	free(get(&there, "/", NULL).body); /* and its cookie is good as before */
	assert_non_null(strstr(rig_daemon.log, "login {\"address\":\"10.0.0.9\""));
}

/* ---- somewhere else ---- */

static void who_moves_is_signed_in_there_and_no_longer_here(void **state)
{
	struct browser b = {.from = ANN};
	be_signed_in(&b);
	b.from = "10.0.0.9";
	struct rig_got got = get(&b, "/", NULL);
	assert_true(has(&got, "You are signed in"));
	free(got.body);
	assert_non_null(strstr(rig_daemon.log, "logout {\"address\":\"10.0.0.7\"}\nlogin "
					       "{\"address\":\"10.0.0.9\","));
	/* for what is left of its time */
	const char *lasts = strstr(rig_daemon.log, "\"for\":\"");
	assert_in_range(strtoul(lasts + 7, NULL, 10), 12 * 3600 - 1800, 12 * 3600 - 1);
	assert_non_null(strstr(rig_daemon.log, "\"source\":\"portal\",\"tier\":\"staff\",\"user\":"
					       "\"ann\"}"));
	rig_daemon.log[0] = '\0';
	b.from = ANN; /* and back again, by the page of what is denied */
	got = get(&b, "/blocked", "to=www.example.com");
	assert_non_null(strstr(rig_daemon.log, "logout {\"address\":\"10.0.0.9\"}\nlogin "
					       "{\"address\":\"10.0.0.7\""));
	assert_false(has(&got, "action=\"/sign-in\""));
	free(got.body);
}

static void the_other_family_is_added(void **state)
{
	struct browser b = {.from = ANN};
	be_signed_in(&b);
	b.from = "2001:db8::7";
	struct rig_got got = get(&b, "/", NULL);
	assert_true(has(&got, "You are signed in"));
	assert_string_equal(rig_daemon.log, "add {\"address\":\"2001:db8::7\",\"session\":1}\n");
	free(got.body);
	b.from = "2001:db8::8"; /* and moves by itself */
	free(get(&b, "/", NULL).body);
	assert_non_null(strstr(rig_daemon.log, "logout {\"address\":\"2001:db8::7\"}"));
}

/* A session that ended, another's, one of another tier: a password is needed. */
static void a_cookie_alone_opens_nothing(void **state)
{
	struct browser b = {.from = ANN};
	be_signed_in(&b);
	b.from = "10.0.0.9";
	struct rig_session *s = rig_session_at(ANN), kept = *s;
	for (int i = 0; i < 4; i++) {
		*s = kept;
		if (i == 0)
			*s = (struct rig_session){0};
		else if (i == 1)
			strcpy(s->user, "bob");
		else if (i == 2)
			strcpy(s->tier, "press");
		rig_portal.config->roaming = i == 3 ? ROAMING_OFF : ROAMING_MOVE;
		struct rig_got got = get(&b, "/", NULL);
		assert_true(has(&got, "action=\"/sign-in\""));
		assert_string_equal(rig_daemon.log, "");
		free(got.body);
	}
	rig_portal.config->roaming = ROAMING_MOVE;
	*s = kept; /* where all is as it was it moves, as if nothing had been tried */
	struct rig_got got = get(&b, "/", NULL);
	assert_true(has(&got, "You are signed in"));
	free(got.body);
	b.from = "10.0.0.10";
	rig_daemon.refuse = "full"; /* it is not signed in where the daemon refuses */
	got = get(&b, "/", NULL);
	assert_true(has(&got, "action=\"/sign-in\""));
	free(got.body);
}

/* ---- why ---- */

struct denial {
	const char *user, *name, *ip;
	int port;
	const char *transport, *reason;
};

/* The daemon's answer with so many denials. */
static const char *answer_of(const struct denial *d, size_t count)
{
	static char text[4096];
	char *at = text + sprintf(text, "{\"denials\": [");
	for (; count; count--, d++)
		at += sprintf(
			at,
			"{\"@timestamp\": \"2001-02-03T04:05:06.789Z\", \"user.name\": \"%s\", "
			"\"destination.domain\": \"%s\", \"destination.ip\": \"%s\", "
			"\"destination.port\": %d, \"network.transport\": \"%s\", "
			"\"event.reason\": \"%s\", \"rule.name\": \"policy.conf:7\"},",
			d->user, d->name, d->ip, d->port, d->transport, d->reason);
	strcpy(at - 1, "]}");
	return text;
}

static void a_devices_denials_are_shown_once_each_and_nobody_elses(void **state)
{
	static const struct denial denials[] = {
		{"ann", "a.example", "192.0.2.1", 443, "tcp", "no-line"},
		{"ann", "a.example", "192.0.2.9", 443, "tcp", "no-line"},
		{"ann", "a.example", "192.0.2.1", 443, "tcp", "deny-line"},
		{"bob", "b.example", "192.0.2.2", 443, "udp", "no-line"},
		{"", "b.example", "192.0.2.2", 65535, "udp", "no-line"},
		{"ann", "", "2001:db8::3", 0, "icmp", "no-name"},
		{"ann", "c.example", "192.0.2.4", 0, "tcp", "lockdown"},
		{"ann", "d.example", "192.0.2.5", 65536, "tcp", "no-tier"},
	};
	struct browser b = {.from = ANN};
	be_signed_in(&b);
	is_page("why-none", get(&b, "/why", NULL));
	rig_daemon.denials = answer_of(denials, sizeof denials / sizeof *denials);
	rig_daemon.why = "{\"owner\": \"the <owner>\", \"note\": \"a note\", \"nearest_owner\": "
			 "\"x\", \"nearest_note\": \"y\"}";
	rig_daemon.asked[0] = '\0';
	is_page("why", get(&b, "/why", NULL));
	is_page("why-commands", (struct rig_got){.body = strdup(rig_daemon.asked)});
}

static void a_denial_says_what_it_would_be_and_whom_to_ask(void **state)
{
	struct browser b = {.from = ANN};
	rig_portal.config->contact = strdup("room & board");
	rig_daemon.denials = "{\"denials\": [{\"@timestamp\": \"2001-02-03T04:05:06Z\", "
			     "\"destination.ip\": \"192.0.2.1\", \"tiergate.would\": "
			     "\"weak-evidence\", \"event.reason\": \"no-line\"},"
			     "{\"destination.domain\": \"x.example\", \"event.reason\": "
			     "\"name-address-mismatch\"},"
			     "{\"destination.domain\": \"x.example\", \"event.reason\": \"odd\"}]}";
	is_page("why-would", get(&b, "/why", NULL));
	rig_daemon.why = "{\"nearest_owner\": \"the other\", \"nearest_note\": \"y\"}";
	is_page("why-nearest", get(&b, "/why", NULL));
}

static void no_more_than_twelve_denials_are_shown(void **state)
{
	struct browser b = {.from = ANN};
	char text[4096] = "{\"denials\": [", *at = text + strlen(text);
	for (int i = 0; i < 14; i++)
		at += sprintf(at, "{\"destination.domain\": \"n%d.example\"},", i);
	strcpy(at - 1, "]}");
	rig_daemon.denials = text;
	struct rig_got got = get(&b, "/why", NULL);
	assert_true(has(&got, "<h2>n11.example"));
	assert_false(has(&got, "n12.example"));
	free(got.body);
}

static void a_question_has_its_answer(void **state)
{
	struct browser b = {.from = ANN};
	rig_daemon.why = "{\"action\": \"allow\", \"rule\": \"policy.conf:3\", \"reason\": "
			 "\"no-line\"}";
	is_page("why-allowed", get(&b, "/why", "to=WWW.example.com"));
	rig_daemon.why = "{\"action\": \"deny\", \"nearest\": \"policy.conf:9\", \"reason\": "
			 "\"no-line\", \"obstacles\": [\"one <i>\", \"two\"]}";
	is_page("why-denied", get(&b, "/why", "to=192.0.2.1"));
	is_page("why-bad", get(&b, "/why", "to=\"><script>"));
	assert_non_null(strstr(rig_daemon.asked,
			       "why {\"address\":\"10.0.0.7\",\"to\":\"www.example.com\"}\n"));
	rig_daemon.why = NULL; /* the daemon refuses: the page is there without an answer */
	is_page("why-none-asked", get(&b, "/why", "to=www.example.com"));
}

static void a_blocked_site_is_named_and_a_form_is_there(void **state)
{
	struct browser b = {.from = ANN};
	rig_daemon.why = "{\"action\": \"deny\", \"reason\": \"no-tier\"}";
	is_page("blocked", get(&b, "/blocked", "to=www.example.com"));
	is_page("blocked-nameless", get(&b, "/blocked", "to=<b>"));
	be_signed_in(&b);
	is_page("blocked-signed-in", get(&b, "/blocked", "to=www.example.com"));
}

/* ---- the rest ---- */

static void the_api_says_whether_one_is_captive(void **state)
{
	struct browser b = {.from = ANN};
	is_page("api", get(&b, "/api", NULL));
	rig_daemon.reach = "{\"tier\": \"room\"}";
	rig_portal.config->venue_url = strdup("https://venue.example");
	is_page("api-tier", get(&b, "/api", NULL));
	rig_daemon.reach = "{\"mode\": \"observe\", \"until\": \"2001-01-01T00:00:00Z\"}";
	is_page("api-observe", get(&b, "/api", NULL));
	rig_daemon.reach = "{\"until\": \"2099-01-01T00:00:00Z\"}";
	struct rig_got got = get(&b, "/api", NULL);
	const char *left = strstr(got.body, "\"seconds-remaining\":");
	assert_non_null(left);
	assert_in_range(strtoull(left + 20, NULL, 10), 31536000, 31536000ull * 80);
	free(got.body);
}

static void files_may_be_kept(void **state)
{
	struct browser b = {.from = ANN};
	struct rig_got got = get(&b, "/style.css", NULL);
	assert_int_equal(got.len, style_css_end - style_css);
	assert_memory_equal(got.body, style_css, got.len);
	got.body[0] = '\0';
	is_page("style", got);
	is_page("not-found", get(&b, "/logo", NULL));
	is_page("not-found", get(&b, "/style", NULL));
	is_page("not-found", get(&b, "/whyy", NULL));
	rig_portal.assets->logo = strdup("<svg>");
	rig_portal.assets->logo_len = 5;
	rig_portal.assets->logo_type = "image/svg+xml";
	is_page("logo", get(&b, "/logo", NULL));
	rig_portal.config->notice = strdup("Mind the <gap>");
	rig_portal.config->contact = strdup("room & board");
	is_page("first-notice", get(&b, "/", NULL));
}

static void each_page_takes_its_own_methods_only(void **state)
{
	struct browser b = {.from = ANN};
	is_page("get-only", post(&b, "/why", ""));
	is_page("post-only", get(&b, "/sign-in", NULL));
	is_page("post-only", get(&b, "/sign-out", NULL));
	struct rig_got head = go(&b, "HEAD", "/why", NULL, NULL), got = get(&b, "/why", NULL);
	assert_string_equal(head.headers, got.headers);
	assert_int_equal(head.status, 200);
	free(head.body);
	free(got.body);
	assert_string_equal(rig_daemon.log, "");
}

static void a_language_is_chosen_by_hand_or_by_the_browser(void **state)
{
	static const char *const wants[] = {HOST, "Accept-Language", "bg", NULL},
				 *const chose[] = {HOST,     "Accept-Language", "bg",
						   "Cookie", "language=en",     NULL},
				 *const odd[] = {HOST, "Cookie", "language=xx", NULL};
	struct errors errors = {0};
	char folder[96], file[128];
	snprintf(folder, sizeof folder, "%s/texts", rig_folder);
	snprintf(file, sizeof file, "%s/bg.text", folder);
	mkdir(folder, 0700);
	rig_write("texts/bg.text", "language = Български\nsign-in = Вход\n");
	assets_free(rig_portal.assets);
	rig_portal.assets = assets_load(rig_portal.config, &errors);
	struct rig_ask ask = {.method = "GET", .path = "/", .headers = wants};
	is_page("first-bg", rig_ask(&ask, true));
	ask.headers = chose;
	is_page("first-of-two", rig_ask(&ask, true));
	ask.headers = odd;
	is_page("first-of-two", rig_ask(&ask, true));
	struct browser b = {.from = ANN};
	is_page("language-303", get(&b, "/language", "is=bg"));
	is_page("language-none-303", get(&b, "/language", "is=xx"));
	unlink(file);
	rmdir(folder);
}

/* Bytes that are no text are shown as such, and markup never. */
static void what_others_wrote_is_escaped(void **state)
{
	struct browser b = {.from = ANN};
	struct rig_got got = get(&b, "/why", "to=<>'\"\xff\xc3\xa9");
	assert_true(has(&got, "value=\"&lt;&gt;&#39;&#34;\xef\xbf\xbd\xc3\xa9\""));
	free(got.body);
}

static void a_page_that_is_too_large_is_an_error(void **state)
{
	struct browser b = {.from = ANN};
	char *text = malloc(PAGE_MAX + 64), *at = text;
	at += sprintf(at, "{\"owner\": \"");
	memset(at, 'x', PAGE_MAX);
	strcpy(at + PAGE_MAX, "\"}");
	rig_daemon.why = text;
	struct rig_got got = get(&b, "/why", "to=www.example.com");
	assert_int_equal(got.status, 500);
	free(got.body);
	free(text);
}

/* "07:08" of today, and with its day of any other. */
static void a_time_has_its_day_where_it_is_another(void **state)
{
	static const struct {
		const char *time, *says;
	} of[] = {{"2030-05-06T07:08:09Z", "07:08"},
		  {"2030-05-07T07:08:09Z", "2030-05-07 07:08"},
		  {"2031-05-06T07:08:09Z", "2031-05-06 07:08"}};
	struct request r = {.now = gate_time("2030-05-05T23:00:00Z"), .ahead = 3600 * NS_PER_S};
	char text[32];
	for (size_t i = 0; i < 3; i++) {
		html_time_text(&r, gate_time(of[i].time), text, sizeof text);
		assert_string_equal(text, of[i].says);
	}
}

static void a_value_of_the_query_that_is_too_long_is_none(void **state)
{
	struct MHD_Connection c = {0};
	struct request r = {.connection = &c};
	char query[QUERY_MAX + 8] = "to=";
	memset(query + 3, 'a', QUERY_MAX);
	c.query = query;
	assert_string_equal(request_query(&r, "to"), "");
	query[3 + QUERY_MAX - 1] = '\0';
	assert_int_equal(strlen(request_query(&r, "to")), QUERY_MAX - 1);
	assert_string_equal(request_query(&r, "from"), "");
}

int main(int argc, char **argv)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(the_first_page_is_a_form_and_gives_a_cookie_that_scripts_cannot_read),
		WITH(a_form_shows_what_is_asked_for_only),
		WITH(a_segments_page_says_what_is_open_without_signing_in),
		WITH(a_daemon_that_is_away_is_said_on_each_page),
		WITH(who_signs_in_has_a_session_and_a_cookie_that_nobody_knew_before),
		WITH(the_page_says_what_a_user_may_reach),
		WITH(the_token_of_before_is_dropped),
		WITH(where_one_was_going_is_kept),
		WITH(what_is_wrong_is_said_and_never_which_half),
		WITH(a_name_that_no_user_can_have_is_one_that_nobody_has),
		WITH(fields_are_read_as_they_are_written_but_for_spaces_around_a_name),
		WITH(a_voucher_signs_in_once),
		WITH(a_session_is_as_long_as_both_the_voucher_and_the_portal_allow),
		WITH(a_session_that_is_refused_is_no_sign_in),
		WITH(a_voucher_is_not_good_again_where_nobody_knows),
		WITH(what_cannot_be_checked_is_no_failure_of_who_tries),
		WITH(who_guesses_waits),
		WITH(who_signs_in_right_has_no_failures_any_more),
		WITH(a_form_of_another_browser_does_nothing),
		WITH(no_room_for_a_check_is_told_and_no_failure),
		WITH(who_signs_out_has_no_session_and_no_cookie),
		WITH(nobody_is_signed_out_by_another_page),
		WITH(who_moves_is_signed_in_there_and_no_longer_here),
		WITH(the_other_family_is_added),
		WITH(a_cookie_alone_opens_nothing),
		WITH(a_devices_denials_are_shown_once_each_and_nobody_elses),
		WITH(a_denial_says_what_it_would_be_and_whom_to_ask),
		WITH(no_more_than_twelve_denials_are_shown),
		WITH(a_question_has_its_answer),
		WITH(a_blocked_site_is_named_and_a_form_is_there),
		WITH(the_api_says_whether_one_is_captive),
		WITH(files_may_be_kept),
		WITH(each_page_takes_its_own_methods_only),
		WITH(a_language_is_chosen_by_hand_or_by_the_browser),
		WITH(what_others_wrote_is_escaped),
		WITH(a_page_that_is_too_large_is_an_error),
		cmocka_unit_test(a_time_has_its_day_where_it_is_another),
		cmocka_unit_test(a_value_of_the_query_that_is_too_long_is_none),
	};
	char conf[96];
	update = argc > 1 && strcmp(argv[1], "--update") == 0;
	setenv("TZ", "UTC", 1);
	RIG_MUST(mkdtemp(rig_folder));
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(conf, sizeof conf, "%s/portal.conf", rig_folder);
	unlink(conf);
	rmdir(rig_folder);
	return failed;
}
