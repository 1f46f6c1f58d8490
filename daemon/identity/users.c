#include "identity/users.h"

#include "base/file.h"
#include "config/suggest.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <nettle/memops.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(HASH_MAX == CRYPT_OUTPUT_SIZE, "room for any hash");
_Static_assert(PASSWORD_MAX < CRYPT_MAX_PASSPHRASE_SIZE, "crypt takes them");

/* What an unknown user's password is hashed against where the file has no hash to borrow. */
#define DUMMY "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$6foLM1JhGupouWKMU70wxK61Kw9ZnecbACjJwRadqM2"

/* ---- names and lines ---- */

static bool letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool tier_name_valid(const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < len; i++)
		if (!letter_or_digit(name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	return len > 0 && len < TIER_MAX && name[0] != '-';
}

/* What a line of the file can hold. */
static bool name_valid(const char *name)
{
	return user_name_valid(name) && !strchr(name, ':') && name[0] != '#';
}

enum parse users_parse(const char *line, size_t len, struct users_line *out)
{
	struct cursor c = cursor_of(line, len);
	memset(out, 0, sizeof *out);
	if (len == 0 || line[0] == '#')
		return PARSE_ABSENT;
	if (!cursor_field(&c, ':', out->name, sizeof out->name) ||
	    !cursor_field(&c, ':', out->tier, sizeof out->tier))
		return PARSE_BAD;
	out->locked = cursor_peek(&c) == '!';
	cursor_skip(&c, out->locked);
	size_t left = cursor_left(&c);
	if (!cursor_field(&c, ':', out->hash, sizeof out->hash) || strlen(out->hash) != left)
		return PARSE_BAD; /* a further colon, even at the end */
	if (!name_valid(out->name) || !tier_name_valid(out->tier))
		return PARSE_BAD;
	if (out->hash[0] != '$' && !(out->locked && out->hash[0] == '\0'))
		return PARSE_BAD; /* no password at all is never meant; DES hashes are too weak */
	return PARSE_OK;
}

/* The next line of a text, without its newline; false at the end. */
static bool next_line(const char **text, const char **line, size_t *len)
{
	if (!**text)
		return false;
	const char *end = strchrnul(*text, '\n');
	*line = *text;
	*len = (size_t)(end - *text);
	*text = *end ? end + 1 : end;
	return true;
}

static int read_file(const char *file, char **text, struct errors *errors)
{
	struct stat st;
	size_t len;
	int e = file_read_text(file, USERS_FILE_MAX, text, &len);
	if (e < 0) {
		errors_add(errors, file, 0, "the users file cannot be read: %s; %s", file_error(-e),
			   e == -ENOENT ? "tiergatectl passwd --user U --tier T makes it"
					: "users_file or --users names it");
		return e;
	}
	if (stat(file, &st) == 0 && (st.st_mode & 07) == 0 && strlen(*text) == len)
		return 0;
	errors_add(errors, file, 0,
		   strlen(*text) == len
			   ? "the users file is open to others; mode 0640 would be accepted"
			   : "the users file holds a NUL byte");
	free(*text);
	return -EPERM;
}

/* ---- checking ---- */

/* Finds a user; dummy becomes the hash of some other one, so that a miss costs the same. */
static bool look_up(const char *file, const char *text, const char *user, struct users_line *out,
		    char dummy[static HASH_MAX], struct errors *errors)
{
	struct users_line l;
	const char *line;
	size_t len;
	bool found = false;
	strcpy(dummy, "");
	for (int n = 1; next_line(&text, &line, &len); n++) {
		enum parse p = users_parse(line, len, &l);
		if (p == PARSE_BAD)
			errors_add(errors, file, n,
				   "this is no user; name:tier:$y$... would be accepted");
		if (p != PARSE_OK)
			continue;
		if (!dummy[0])
			memcpy(dummy, l.hash, HASH_MAX);
		if (!found && strcmp(l.name, user) == 0) {
			*out = l;
			found = true;
		}
	}
	if (!dummy[0])
		strcpy(dummy, DUMMY);
	return found;
}

/* Hashes once, whatever the answer. -1: the hash is none that crypt knows. */
static int matches(const char *password, const char *hash)
{
	struct crypt_data *data = calloc(1, sizeof *data);
	char *made = data ? crypt_r(password, hash, data) : NULL;
	int answer = -1;
	if (made && made[0] != '*') {
		size_t len = strlen(hash);
		answer = strlen(made) == len && memeql_sec(made, hash, len);
	}
	if (data)
		explicit_bzero(data, sizeof *data);
	free(data);
	return answer;
}

enum users_check users_check(const char *file, const char *user, const char *password,
			     char tier[static TIER_MAX], struct errors *errors)
{
	struct users_line u = {0};
	char *text, dummy[HASH_MAX];
	if (read_file(file, &text, errors) < 0)
		return USERS_ERROR;
	bool found = look_up(file, text, user, &u, dummy, errors) && u.hash[0];
	bool usable = password[0] && strlen(password) <= PASSWORD_MAX;
	int match = matches(usable ? password : "-", found ? u.hash : dummy);
	explicit_bzero(text, strlen(text));
	free(text);
	if (found && match < 0) {
		errors_add(errors, file, 0, "the hash of user %s is of a kind unknown here", user);
		return USERS_ERROR;
	}
	if (!found || !usable || match != 1)
		return USERS_WRONG;
	if (u.locked)
		return USERS_LOCKED;
	memcpy(tier, u.tier, TIER_MAX);
	return USERS_OK;
}

bool users_tier(const char *file, const char *user, char tier[static TIER_MAX])
{
	struct errors errors = {0};
	struct users_line u = {0};
	char *text, dummy[HASH_MAX];
	bool found = false;
	if (read_file(file, &text, &errors) == 0) {
		found = look_up(file, text, user, &u, dummy, &errors);
		explicit_bzero(text, strlen(text));
		free(text);
	}
	errors_deinit(&errors);
	if (found)
		memcpy(tier, u.tier, TIER_MAX);
	return found;
}

bool users_meant(const char *file, const char *user, char out[static USER_MAX])
{
	struct errors errors = {0};
	struct users_line u;
	char *text;
	const char *rest, *line;
	size_t len;
	bool has = false;
	out[0] = '\0';
	if (read_file(file, &text, &errors) != 0) {
		errors_deinit(&errors);
		return false;
	}
	for (rest = text; !has && next_line(&rest, &line, &len);) {
		if (users_parse(line, len, &u) != PARSE_OK)
			continue;
		const char *both[] = {out[0] ? out : u.name, u.name};
		has = strcmp(u.name, user) == 0;
		if (nearest(user, both, 2) == u.name)
			memcpy(out, u.name, USER_MAX);
	}
	explicit_bzero(text, strlen(text));
	free(text);
	return !has && out[0];
}

/* ---- writing ---- */

struct edit {
	const char *tier, *password; /* NULL keeps */
	enum { KEEP, LOCK, UNLOCK } lock;
	bool remove;
};

static int hash_password(const char *password, char out[static HASH_MAX])
{
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *data = calloc(1, sizeof *data);
	int e = -ENOMEM;
	if (data && crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof salt)) {
		char *made = crypt_r(password, salt, data);
		e = made && made[0] != '*' ? 0 : -EINVAL;
		if (e == 0)
			strcpy(out, made);
	}
	if (data)
		explicit_bzero(data, sizeof *data);
	free(data);
	return e;
}

static int apply(struct users_line *u, const struct edit *edit)
{
	if (edit->tier)
		strcpy(u->tier, edit->tier);
	if (edit->lock != KEEP)
		u->locked = edit->lock == LOCK;
	if (edit->password)
		return hash_password(edit->password, u->hash);
	return u->locked || u->hash[0] ? 0 : -EINVAL; /* unlocked without a password */
}

static void put_user(FILE *to, const struct users_line *u)
{
	fprintf(to, "%s:%s:%s%s\n", u->name, u->tier, u->locked ? "!" : "", u->hash);
}

/* Copies the file with one user changed; a user that is not there is appended. */
static int copy_edited(FILE *to, const char *text, const char *user, const struct edit *edit)
{
	struct users_line u;
	const char *line;
	size_t len;
	bool found = false;
	int e = 0;
	while (e == 0 && next_line(&text, &line, &len)) {
		bool ours = users_parse(line, len, &u) == PARSE_OK && strcmp(u.name, user) == 0;
		if (!ours) {
			fprintf(to, "%.*s\n", (int)len, line);
		} else if (!edit->remove && !found) {
			e = apply(&u, edit);
			put_user(to, &u);
		}
		found |= ours;
	}
	if (e < 0 || found)
		return e;
	if (!edit->tier || !edit->password)
		return -ENOENT;
	memset(&u, 0, sizeof u);
	strcpy(u.name, user);
	e = apply(&u, edit);
	put_user(to, &u);
	return e;
}

static int replace(const char *file, const char *text, const char *user, const struct edit *edit)
{
	struct file_new new;
	struct group *readers = getgrnam("tiergate-portal");
	int e = file_new_open(&new, file, 0640, readers ? readers->gr_gid : (gid_t)-1);
	if (e < 0)
		return e;
	e = copy_edited(new.to, text, user, edit);
	if (e == 0)
		return file_new_commit(&new);
	file_new_abandon(&new);
	return e;
}

static int edit_user(const char *file, const char *user, const struct edit *edit,
		     struct errors *errors)
{
	char *text = NULL;
	size_t before = errors->count;
	int lock = file_folder_lock(file), e = lock < 0 ? lock : 0;
	if (e == 0 && access(file, F_OK) == 0)
		e = read_file(file, &text, errors);
	else if (e == 0)
		text = strdup("");
	if (e == 0)
		e = text ? replace(file, text, user, edit) : -ENOMEM;
	if (e == -ENOENT)
		errors_add(errors, file, 0, "there is no user %s", user);
	else if (e < 0 && errors->count == before)
		errors_add(errors, file, 0, "the users file cannot be written: %s", strerror(-e));
	if (lock >= 0)
		close(lock);
	free(text);
	return e;
}

int users_write(const char *file, const char *user, const char *tier, const char *password,
		struct errors *errors)
{
	size_t before = errors->count;
	if (!name_valid(user))
		errors_add(errors, NULL, 0,
			   "this is no user name; 1 to %d bytes of text without a colon would be "
			   "accepted",
			   USER_MAX - 1);
	if (tier && !tier_name_valid(tier))
		errors_add(errors, NULL, 0, "this is no tier name");
	if (password && (!password[0] || strlen(password) > PASSWORD_MAX))
		errors_add(errors, NULL, 0, "a password has 1 to %d bytes", PASSWORD_MAX);
	if (errors->count > before)
		return -EINVAL;
	struct edit edit = {.tier = tier, .password = password};
	return edit_user(file, user, &edit, errors);
}

int users_lock(const char *file, const char *user, bool locked, struct errors *errors)
{
	struct edit edit = {.lock = locked ? LOCK : UNLOCK};
	return edit_user(file, user, &edit, errors);
}

int users_remove(const char *file, const char *user, struct errors *errors)
{
	struct edit edit = {.remove = true};
	return edit_user(file, user, &edit, errors);
}
