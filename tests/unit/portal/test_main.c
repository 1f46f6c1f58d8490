/* The portal's program: its arguments, its start and end, and what SIGHUP replaces. Everything is
 * the program's own but the certificate, which is good or not as the test says, and the rig's. */
#include "rig.h"
#include "unit.h"
#include "portal/readable.h"
#include "portal/tls.h"

#define main portal_main
#include "portal/main.c"
#undef main

#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

/* ---- the certificate ---- */

static bool tls_good;
static unsigned tls_loads, tls_unloads, tls_looks;

bool tls_load(const char *certificate, const char *key, struct errors *errors)
{
	tls_loads++;
	if (!tls_good)
		errors_add(errors, certificate, 0, "no certificate");
	return tls_good;
}

void tls_look(const char *file, const char *authority, int64_t now, struct errors *warnings)
{
	tls_looks++;
	assert_string_equal(authority, "gate.example");
	assert_in_range(now, clock_wall() - 3600 * NS_PER_S, clock_wall());
	errors_add(warnings, file, 0, "ends soon");
}

void tls_unload(void)
{
	tls_unloads++;
}

struct tls_identity *tls_hold(void)
{
	return NULL;
}

void tls_drop(struct tls_identity *i)
{
}

int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *names, int count,
		 const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
		 gnutls_pcert_st **certificates, unsigned *certificate_count, gnutls_privkey_t *key)
{
	return -1;
}

/* What the program gives up for good would be gone for these tests, too. */
bool portal_confine(const struct portal *p, struct errors *errors)
{
	return true;
}

bool portal_outside(const struct portal *p, const struct portal_config *c, struct errors *errors)
{
	return false;
}

/* ---- the program, and what it says ---- */

static char said[8192]; /* on both of its outputs */

/* Its exit status, as one of its own: what it does to signals and to itself is gone with it. */
static int run_program(const char *const *arguments)
{
	char *argv[8] = {(char *)"tiergate-portal"}, path[64];
	int argc = 1;
	while (*arguments)
		argv[argc++] = (char *)*arguments++;
	snprintf(path, sizeof path, "%s/said", rig_folder);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		optind = 1;
		int status = portal_main(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	int status = 0;
	waitpid(child, &status, 0);
	FILE *f = fopen(path, "r");
	said[fread(said, 1, sizeof said - 1, f)] = '\0';
	fclose(f);
	unlink(path);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RUN(...) run_program((const char *const[]){__VA_ARGS__, NULL})

static void has_said(const char *text)
{
	if (!strstr(said, text))
		fail_msg("said\n%sand not %s", said, text);
}

/* ---- arguments ---- */

static void arguments_are_those_of_the_manual(void **state)
{
	assert_int_equal(RUN("--help"), EXIT_DONE);
	has_said("usage: tiergate-portal [--config FILE] [--check | --reload PID]\n");
	assert_int_equal(RUN("-h"), EXIT_DONE);
	assert_int_equal(RUN("--version"), EXIT_DONE);
	has_said("tiergate-portal ");
	assert_int_equal(RUN("--nonsense"), EXIT_USAGE);
	has_said("usage: ");
	assert_int_equal(RUN("--check", "more"), EXIT_USAGE);
	assert_int_equal(RUN("--config"), EXIT_USAGE);
	assert_int_equal(RUN("--config", "/nonexistent/portal.conf"), EXIT_NO);
	has_said("/nonexistent/portal.conf");
	assert_int_equal(RUN("--check", "--config", "/nonexistent/portal.conf"), EXIT_NO);
}

/* ---- --check ---- */

static void make_files(bool there)
{
	static const char *const names[] = {"users", "crt", "key"};
	char path[96];
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", rig_folder, names[i]);
		if (there)
			rig_write(names[i], "");
		else
			unlink(path);
		chmod(path, 0644);
	}
	chmod(rig_folder, 0755);
}

static void check_says_all_that_a_start_would_find(void **state)
{
	portal_config_free(rig_config("logo = \"/nonexistent/logo\";"));
	tls_good = false;
	make_files(false);
	assert_int_equal(RUN("--check", "--config", rig_conf), EXIT_NO);
	has_said("no certificate");
	has_said("/nonexistent/logo: the logo cannot be read");
	has_said("/users: ");
	has_said("warning: ");
	has_said("ends soon");
	assert_null(strstr(said, ": good"));
	portal_config_free(rig_config(""));
	tls_good = true;
	assert_int_equal(RUN("--check", "--config", rig_conf), EXIT_NO); /* for users alone */
	make_files(true);
	assert_int_equal(RUN("--check", "--config", rig_conf), EXIT_DONE);
	has_said("portal.conf: good\n");
	has_said("warning: ");
	tls_good = false;
	assert_int_equal(RUN("--check", "--config", rig_conf), EXIT_NO);
	make_files(false);
}

/* ---- its life ---- */

static char heard[512]; /* what the service manager is told */

static int manager_open(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%s/notify", rig_folder);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	RIG_MUST(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	return fd;
}

static void manager_close(int fd)
{
	char text[256], path[96];
	heard[0] = '\0';
	for (ssize_t n; (n = recv(fd, text, sizeof text - 1, 0)) > 0;) {
		text[n] = '\0';
		strcat(strcat(heard, text), " ");
	}
	close(fd);
	snprintf(path, sizeof path, "%s/notify", rig_folder);
	unlink(path);
	unsetenv("NOTIFY_SOCKET");
}

/* The program as it runs, with the ports that are free, until it has taken the signals that wait
 * for it. In this process: its struct is looked at. */
static int live(struct portal *p, const char *more, const int *signals, struct errors *errors)
{
	sigset_t set, before;
	sigemptyset(&set);
	for (const int *s = signals; *s; s++)
		sigaddset(&set, *s);
	sigprocmask(SIG_BLOCK, &set, &before);
	for (const int *s = signals; *s; s++)
		kill(getpid(), *s);
	*p = (struct portal){.lock = PTHREAD_RWLOCK_INITIALIZER};
	p->config = rig_config(more);
	p->config_file = rig_conf;
	int manager = manager_open(), status = run(p, errors);
	manager_close(manager);
	sd_event_unref(p->event);
	portal_config_free(p->config);
	sigprocmask(SIG_SETMASK, &before, NULL);
	for (unsigned i = 0; i < rig_started; i++) {
		assert_true(rig_daemons[i]->stopped);
		free(rig_daemons[i]);
	}
	rig_started = 0;
	return status;
}

static bool is_there(const char *name)
{
	char path[96];
	snprintf(path, sizeof path, "%s/%s", rig_folder, name);
	return access(path, F_OK) == 0;
}

static void forget(const char *name)
{
	char path[96];
	snprintf(path, sizeof path, "%s/%s", rig_folder, name);
	unlink(path);
}

static void it_is_ready_until_it_is_told_to_stop(void **state)
{
	static const int ends[][2] = {{SIGTERM, 0}, {SIGINT, 0}};
	for (size_t i = 0; i < 2; i++) {
		struct portal p;
		struct errors errors = {0};
		tls_good = true;
		tls_loads = tls_unloads = tls_looks = 0;
		assert_int_equal(live(&p, "", ends[i], &errors), EXIT_DONE);
		assert_string_equal(heard, "READY=1 STOPPING=1 ");
		assert_int_equal(errors.count, 0);
		assert_int_equal(tls_loads, 1);
		assert_int_equal(tls_looks, 1);
		assert_int_equal(tls_unloads, 1);
	}
}

static void a_start_that_fails_is_never_ready_and_leaves_nothing(void **state)
{
	static const int none[] = {0};
	struct portal p;
	struct errors errors = {0};
	tls_good = false;
	assert_int_equal(live(&p, "", none, &errors), EXIT_CANNOT);
	assert_string_equal(heard, "");
	assert_int_equal(errors.count, 1);
	errors_deinit(&errors);
	tls_good = true;
	rig_cannot_start = true;
	assert_int_equal(live(&p, "", none, &errors), EXIT_CANNOT);
	assert_string_equal(heard, "");
	rig_cannot_start = false;
	errors_deinit(&errors);
	assert_int_equal(live(&p, "logo = \"/nonexistent/logo\";", none, &errors), EXIT_CANNOT);
	errors_deinit(&errors);
	/* an address of nobody's, for RADIUS */
	assert_int_equal(live(&p,
			      "radius = \"192.0.2.1:1813\"; radius_clients = ( { network = "
			      "\"10.0.0.2\"; secret = \"16 bytes or more\"; } );",
			      none, &errors),
			 EXIT_CANNOT);
	assert_string_equal(heard, "");
	assert_true(errors.count > 0);
	errors_deinit(&errors);
}

/* Told once that it reads, and once that it is done, whatever comes of it. */
static void a_hangup_reloads(void **state)
{
	static const int both[] = {SIGHUP, SIGTERM, 0};
	struct portal p;
	struct errors errors = {0};
	tls_good = true;
	tls_loads = tls_looks = 0;
	assert_int_equal(live(&p, "", both, &errors), EXIT_DONE);
	assert_string_equal(heard, "READY=1 RELOADING=1 READY=1 STOPPING=1 ");
	assert_int_equal(tls_loads, 2);
	assert_int_equal(tls_looks, 2); /* a certificate that ends soon is said anew */
}

static void what_people_have_outlives_it(void **state)
{
	static const int end[] = {SIGTERM, 0};
	struct address a;
	struct portal p = {.cookies = cookies_new(), .limit = limit_new()};
	struct errors errors = {0};
	struct token t = token_new();
	struct cookie c = {.user = "ann", .tier = "staff", .until = clock_now() + 3600 * NS_PER_S};
	portal_config_free(rig_config(""));
	p.config = rig_config("");
	p.store = store_folder_new(rig_folder);
	cookies_put(p.cookies, &t, &c, clock_now());
	assert_true(address_parse("10.0.0.7", &a));
	for (int i = 0; i < 4; i++)
		limit_begin(p.limit, &a, "ann", clock_now() + i * NS_PER_S * 100);
	save(&p);
	assert_true(is_there("cookies.state") && is_there("limit.state"));
	p.store->ops->free(p.store);
	cookies_free(p.cookies);
	limit_free(p.limit);
	portal_config_free(p.config);
	struct portal q;
	assert_int_equal(live(&q, "", end, &errors), EXIT_DONE); /* reads them */
	struct cookies *cookies = cookies_new();
	struct store *store = store_folder_new(rig_folder);
	cookies_load(cookies, store, clock_now());
	assert_true(cookies_find(cookies, &t, clock_now(), &c));
	cookies_free(cookies);
	store->ops->free(store);
	forget("cookies.state");
	forget("limit.state");
}

static void timers_come_again(void **state)
{
	struct portal p = {.config = rig_config("")};
	sd_event_source *s;
	uint64_t at;
	int on;
	assert_true(sd_event_new(&p.event) >= 0);
	assert_true(sd_event_add_time(p.event, &s, CLOCK_MONOTONIC, 1, 0, on_save, &p) >= 0);
	assert_true(on_save(s, 5, &p) >= 0);
	sd_event_source_get_time(s, &at);
	assert_int_equal(at, 5 + 2000000);
	assert_true(sd_event_source_get_enabled(s, &on) > 0 && on == SD_EVENT_ONESHOT);
	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	tls_looks = 0;
	assert_true(on_day(s, 5, &p) >= 0);
	sd_event_source_get_time(s, &at);
	assert_int_equal(at, 5 + UINT64_C(86400000000));
	assert_true(sd_event_source_get_enabled(s, &on) > 0 && on == SD_EVENT_ONESHOT);
	assert_int_equal(tls_looks, 1);
	sd_event_source_unref(s);
	sd_event_unref(p.event);
	portal_config_free(p.config);
}

/* ---- what a reload replaces ---- */

static void reload_to(const char *more, bool good)
{
	struct portal *p = &rig_portal;
	struct errors errors = {0};
	struct portal_config *before = portal_config_hold(p->config), *c = rig_config(more);
	struct assets *assets = p->assets;
	portal_config_free(c);
	assert_int_equal(portal_reload(p, &errors), good);
	assert_int_equal(!errors.count, good);
	assert_int_equal(p->config != before, good);
	assert_int_equal(p->assets != assets, good);
	errors_deinit(&errors);
	portal_config_free(before);
}

static void all_of_a_reload_is_in_force_or_nothing(void **state)
{
	tls_good = true;
	rig_begin("title = \"one\";", 1);
	reload_to("title = \"two\";", true);
	assert_string_equal(rig_portal.config->title, "two");
	tls_good = false;
	reload_to("title = \"three\";", false);
	tls_good = true;
	reload_to("title = \"three\"; logo = \"/nonexistent/logo\";", false);
	assert_string_equal(rig_portal.config->title, "two");
	rig_write("portal.conf", "nonsense");
	struct errors errors = {0};
	assert_false(portal_reload(&rig_portal, &errors));
	assert_string_equal(rig_portal.config->title, "two");
	errors_deinit(&errors);
	/* bounds of connections go to the listeners */
	reload_to("connections = 17;", true);
	assert_int_equal(rig_started, 4);
	rig_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_those_of_the_manual),
		cmocka_unit_test(check_says_all_that_a_start_would_find),
		cmocka_unit_test(it_is_ready_until_it_is_told_to_stop),
		cmocka_unit_test(a_start_that_fails_is_never_ready_and_leaves_nothing),
		cmocka_unit_test(a_hangup_reloads),
		cmocka_unit_test(what_people_have_outlives_it),
		cmocka_unit_test(timers_come_again),
		cmocka_unit_test(all_of_a_reload_is_in_force_or_nothing),
	};
	RIG_MUST(mkdtemp(rig_folder));
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	forget("portal.conf");
	forget("cookies.state");
	forget("limit.state");
	forget("radius.journal");
	forget("radius.state");
	rmdir(rig_folder);
	return failed;
}
