#include "identity/vouchers.h"

#include "base/clock.h"
#include "base/file.h"
#include "identity/users.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Without I, L, O and U: nobody mistakes one for another, or finds a word. */
static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
#define LETTERS 16 /* of 5 bits each */

/* ---- codes ---- */

/* The letters of a code as people write it; false where it is none. */
static bool canonical(const char *code, char out[static LETTERS + 1])
{
	size_t len = 0;
	for (; *code; code++) {
		char c = *code;
		if (c == '-' || c == ' ')
			continue;
		if (c >= 'a' && c <= 'z')
			c -= 'a' - 'A';
		if (c == 'O')
			c = '0';
		if (c == 'I' || c == 'L')
			c = '1';
		if (len == LETTERS || !strchr(letters, c))
			return false;
		out[len++] = c;
	}
	out[len] = '\0';
	return len == LETTERS;
}

static void hash_of(const char code[static LETTERS + 1], char out[static 65])
{
	uint8_t bytes[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, LETTERS, (const uint8_t *)code);
	sha256_digest(&ctx, sizeof bytes, bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int make_code(char out[static LETTERS + 1])
{
	uint8_t random[LETTERS];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -EIO;
	for (int i = 0; i < LETTERS; i++)
		out[i] = letters[random[i] & 31];
	out[LETTERS] = '\0';
	return 0;
}

/* ---- lines ---- */

enum parse voucher_parse(const char *line, size_t len, struct voucher *out)
{
	struct cursor c = cursor_of(line, len);
	char seconds[12];
	memset(out, 0, sizeof *out);
	if (len == 0 || line[0] == '#')
		return PARSE_ABSENT;
	if (!cursor_field(&c, ':', out->hash, sizeof out->hash) ||
	    !cursor_field(&c, ':', out->tier, sizeof out->tier) ||
	    !cursor_field(&c, ':', seconds, sizeof seconds) || cursor_left(&c))
		return PARSE_BAD;
	if (strlen(out->hash) != 64 || out->hash[strspn(out->hash, "0123456789abcdef")] ||
	    !tier_name_valid(out->tier) || !seconds[0] || seconds[strspn(seconds, "0123456789")])
		return PARSE_BAD;
	long long n = strtoll(seconds, NULL, 10);
	if (n <= 0 || n > INT64_MAX / NS_PER_S)
		return PARSE_BAD;
	out->lasts = n * NS_PER_S;
	return PARSE_OK;
}

void voucher_user(const struct voucher *v, char out[static VOUCHER_USER])
{
	snprintf(out, VOUCHER_USER, "voucher-%.8s", v->hash);
}

/* ---- the file ---- */

/* What is there; "" where nothing is. */
static int read_all(const char *file, char **text, size_t *len)
{
	int e = file_read_text(file, VOUCHERS_FILE_MAX, text, len);
	if (e != -ENOENT)
		return e;
	*len = 0;
	*text = strdup("");
	return *text ? 0 : -ENOMEM;
}

/* A new file belongs to whom its folder belongs to: the portal, which writes it again. */
static int give_away(struct file_new *new)
{
	struct stat st;
	char copy[PATH_MAX];
	if (access(new->path, F_OK) == 0 || geteuid() != 0)
		return 0;
	snprintf(copy, sizeof copy, "%s", new->path);
	if (stat(dirname(copy), &st) < 0 || fchown(fileno(new->to), st.st_uid, st.st_gid) < 0)
		return -errno;
	return 0;
}

struct batch {
	unsigned count;
	const char *tier;
	int64_t lasts;
	char (*code)[LETTERS + 1];
};

/* The file as it is, open for more; the caller commits or abandons it. */
static int copy_all(const char *file, struct file_new *new)
{
	char *text;
	size_t len;
	int e = read_all(file, &text, &len);
	if (e < 0)
		return e;
	e = file_new_open(new, file, 0600, (gid_t)-1);
	if (e == 0) {
		fwrite(text, 1, len, new->to);
		e = give_away(new);
		if (e < 0)
			file_new_abandon(new);
	}
	free(text);
	return e;
}

static void put_line(FILE *to, const char *hash, const char *tier, int64_t lasts)
{
	fprintf(to, "%s:%s:%lld\n", hash, tier, (long long)(lasts / NS_PER_S));
}

static int append(const char *file, const struct batch *b)
{
	struct file_new new;
	char hash[65];
	int e = copy_all(file, &new);
	if (e < 0)
		return e;
	for (unsigned i = 0; e == 0 && i < b->count; i++) {
		e = make_code(b->code[i]);
		hash_of(b->code[i], hash);
		put_line(new.to, hash, b->tier, b->lasts);
	}
	if (e == 0)
		return file_new_commit(&new);
	file_new_abandon(&new);
	return e;
}

int vouchers_make(const char *file, unsigned count, const char *tier, int64_t lasts,
		  void (*tell)(void *ctx, const char *code), void *ctx, struct errors *errors)
{
	struct batch b = {count, tier, lasts, NULL};
	if (!tier_name_valid(tier) || count == 0 || count > VOUCHERS_MAX || lasts < NS_PER_S)
		return -EINVAL;
	int lock = file_folder_lock(file), e = lock < 0 ? lock : 0;
	b.code = calloc(count, sizeof *b.code);
	if (e == 0)
		e = b.code ? append(file, &b) : -ENOMEM;
	for (unsigned i = 0; e == 0 && i < count; i++) {
		char text[VOUCHER_CODE];
		const char *c = b.code[i];
		snprintf(text, sizeof text, "%.4s-%.4s-%.4s-%.4s", c, c + 4, c + 8, c + 12);
		tell(ctx, text);
	}
	if (e < 0)
		errors_add(errors, file, 0, "vouchers cannot be written: %s", strerror(-e));
	if (b.code)
		explicit_bzero(b.code, count * sizeof *b.code);
	free(b.code);
	if (lock >= 0)
		close(lock);
	return e;
}

/* Copies all lines but one; which it was goes to out. False where it is not there. */
static bool copy_without(FILE *to, const char *file, const char *text, size_t len, const char *hash,
			 struct voucher *out, struct errors *errors)
{
	bool found = false;
	int number = 1;
	for (const char *end = text + len; text < end; number++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t n = stop ? (size_t)(stop - text) : (size_t)(end - text);
		struct voucher v;
		enum parse p = voucher_parse(text, n, &v);
		if (p == PARSE_BAD)
			errors_add(errors, file, number, "this is no voucher");
		if (p == PARSE_OK && !found && strcmp(v.hash, hash) == 0) {
			found = true;
			*out = v;
		} else if (fwrite(text, 1, n, to) == n) {
			fputc('\n', to);
		}
		text += stop ? n + 1 : n;
	}
	return found;
}

/* 0: taken, -ENOENT: it is not there. */
static int take(const char *file, const char *hash, struct voucher *out, struct errors *errors)
{
	struct file_new new;
	char *text;
	size_t len;
	int e = read_all(file, &text, &len);
	if (e < 0)
		return e;
	if (!memmem(text, len, hash, 64)) { /* as most wrong codes: nothing is written */
		free(text);
		return -ENOENT;
	}
	e = file_new_open(&new, file, 0600, (gid_t)-1);
	if (e == 0 && copy_without(new.to, file, text, len, hash, out, errors)) {
		e = file_new_commit(&new);
	} else if (e == 0) {
		file_new_abandon(&new);
		e = -ENOENT;
	}
	free(text);
	return e;
}

enum voucher_check voucher_take(const char *file, const char *code, struct voucher *out,
				struct errors *errors)
{
	char letters_of[LETTERS + 1], hash[65];
	if (!canonical(code, letters_of))
		return VOUCHER_WRONG;
	hash_of(letters_of, hash);
	explicit_bzero(letters_of, sizeof letters_of);
	int lock = file_folder_lock(file);
	int e = lock < 0 ? lock : take(file, hash, out, errors);
	if (lock >= 0)
		close(lock);
	if (e == 0 || e == -ENOENT)
		return e == 0 ? VOUCHER_OK : VOUCHER_WRONG;
	errors_add(errors, file, 0, "vouchers cannot be taken: %s", strerror(-e));
	return VOUCHER_ERROR;
}

int voucher_give_back(const char *file, const struct voucher *v, struct errors *errors)
{
	struct file_new new;
	int lock = file_folder_lock(file), e = lock < 0 ? lock : copy_all(file, &new);
	if (e == 0) {
		put_line(new.to, v->hash, v->tier, v->lasts);
		e = file_new_commit(&new);
	}
	if (lock >= 0)
		close(lock);
	if (e < 0)
		errors_add(errors, file, 0, "a voucher cannot be given back: %s", strerror(-e));
	return e;
}
