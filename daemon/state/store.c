#include "state/store.h"

#include "base/cursor.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "TGSTATE\n"

struct header {
	char magic[8], kind[STATE_KIND_MAX];
	uint8_t version[4]; /* most significant byte first */
};

struct folder {
	struct store store;
	char path[];
};

static int path_of(struct store *s, const char *kind, char out[static PATH_MAX])
{
	struct folder *f = (struct folder *)s;
	int n = snprintf(out, PATH_MAX, "%s/%s.state", f->path, kind);
	return n < PATH_MAX && strlen(kind) < STATE_KIND_MAX ? 0 : -ENAMETOOLONG;
}

static struct header header_of(const char *kind, uint32_t version)
{
	struct header h = {.version = {(uint8_t)(version >> 24), (uint8_t)(version >> 16),
				       (uint8_t)(version >> 8), (uint8_t)version}};
	memcpy(h.magic, MAGIC, sizeof h.magic);
	strncpy(h.kind, kind, sizeof h.kind - 1);
	return h;
}

static void checksum(const void *header, const void *bytes, size_t len,
		     uint8_t out[static SHA256_DIGEST_SIZE])
{
	struct sha256_ctx c;
	sha256_init(&c);
	sha256_update(&c, sizeof(struct header), header);
	sha256_update(&c, len, bytes);
	sha256_digest(&c, SHA256_DIGEST_SIZE, out);
}

static int folder_save(struct store *s, const char *kind, uint32_t version, const void *bytes,
		       size_t len)
{
	char path[PATH_MAX];
	struct file_new f;
	struct header h = header_of(kind, version);
	uint8_t sum[SHA256_DIGEST_SIZE];
	int e = len > STATE_MAX ? -EFBIG : path_of(s, kind, path);
	if (e == 0)
		e = file_new_open_nofollow(&f, path, 0600, (gid_t)-1);
	if (e < 0)
		return e;
	checksum(&h, bytes, len, sum);
	fwrite(&h, sizeof h, 1, f.to);
	fwrite(bytes, 1, len, f.to);
	fwrite(sum, sizeof sum, 1, f.to);
	return file_new_commit(&f);
}

/* What is wrong with a file, or NULL; *body is what it holds. */
static const char *inspect(const char *file, size_t len, const char *kind, uint32_t version,
			   struct cursor *body)
{
	struct cursor c = cursor_of(file, len);
	struct header want = header_of(kind, version), h;
	uint8_t sum[SHA256_DIGEST_SIZE];
	if (len < sizeof h + sizeof sum)
		return "is cut short";
	cursor_copy(&c, &h, sizeof h);
	*body = cursor_sub(&c, len - sizeof h - sizeof sum);
	if (memcmp(h.magic, want.magic, sizeof h.magic) != 0 ||
	    memcmp(h.kind, want.kind, sizeof h.kind) != 0)
		return "is no such state file";
	checksum(&h, body->pos, cursor_left(body), sum);
	if (memcmp(sum, c.pos, sizeof sum) != 0)
		return "is cut or damaged: its checksum is wrong";
	return memcmp(h.version, want.version, sizeof h.version) != 0 ? "is of another version"
								      : NULL;
}

static char *folder_load(struct store *s, const char *kind, uint32_t version, size_t *len)
{
	char path[PATH_MAX], *file = NULL;
	struct cursor body = {0};
	size_t size;
	int e = path_of(s, kind, path);
	*len = 0;
	if (e == 0)
		e = file_read(path, STATE_MAX, &file, &size);
	if (e == -ENOENT)
		return NULL;
	const char *wrong = e < 0 ? strerror(-e) : inspect(file, size, kind, version, &body);
	if (wrong) {
		log_warn("state file %s %s; it counts as empty", path, wrong);
		free(file);
		*len = 1;
		return NULL;
	}
	*len = cursor_left(&body);
	memmove(file, body.pos, *len);
	return file;
}

static uint32_t folder_version(struct store *s, const char *kind)
{
	char path[PATH_MAX], *file = NULL;
	size_t size = 0;
	struct header h = {0};
	if (path_of(s, kind, path) < 0 || file_read(path, STATE_MAX, &file, &size) < 0)
		return 0;
	struct cursor c = cursor_of(file, size), version = cursor_of(h.version, sizeof h.version);
	cursor_copy(&c, &h, sizeof h);
	free(file);
	return c.bad ? 0 : cursor_u32(&version);
}

static void folder_free(struct store *s)
{
	free(s);
}

struct store *store_folder_new(const char *folder)
{
	static const struct store_ops ops = {folder_save, folder_load, folder_version, folder_free};
	struct folder *f = malloc(sizeof *f + strlen(folder) + 1);
	if (!f)
		return NULL;
	f->store.ops = &ops;
	strcpy(f->path, folder);
	return &f->store;
}
