/* The input is a state file: as it is, and with the checksum that it should have. What loads is
 * what stands between a header of that kind and version and a checksum that is right; all else is
 * none. */
#include "state/store.h"

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 8 + STATE_KIND_MAX + 4, INPUT_MAX = 65536 };

static char folder[] = "/tmp/tiergate-fuzz-XXXXXX", path[64];
static struct store *store;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void remove_folder(void)
{
	store->ops->free(store);
	unlink(path);
	rmdir(folder);
}

static void set_up(void)
{
	require(mkdtemp(folder) && (store = store_folder_new(folder)));
	snprintf(path, sizeof path, "%s/flows.state", folder);
	atexit(remove_folder);
}

static void try(const uint8_t *data, size_t size, bool summed)
{
	static const uint8_t head[HEADER] = "TGSTATE\nflows";
	size_t len = 0;
	FILE *f = fopen(path, "w");
	require(f && fwrite(data, 1, size, f) == size);
	fclose(f);
	char *bytes = store->ops->load(store, "flows", 1, &len);
	bool headed =
		size >= HEADER && memcmp(data, head, HEADER - 1) == 0 && data[HEADER - 1] == 1;
	if (summed)
		require((bytes != NULL) == headed);
	if (bytes)
		require(headed && len == size - HEADER - SHA256_DIGEST_SIZE &&
			memcmp(bytes, data + HEADER, len) == 0);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t whole[INPUT_MAX + SHA256_DIGEST_SIZE];
	struct sha256_ctx c;
	if (!store)
		set_up();
	if (size > INPUT_MAX)
		return 0;
	try(data, size, false);
	if (size < HEADER)
		return 0;
	memcpy(whole, data, size);
	sha256_init(&c);
	sha256_update(&c, size, data);
	sha256_digest(&c, SHA256_DIGEST_SIZE, whole + size);
	try(whole, size + SHA256_DIGEST_SIZE, true);
	return 0;
}
