#include "ctl/try.h"

#include "base/array.h"
#include "base/file.h"
#include "identity/users.h"

#include <stdlib.h>
#include <string.h>

struct names {
	char (*item)[USER_MAX];
	size_t count;
};

static void add(struct names *n, const char *name)
{
	n->item = array_grow(n->item, &n->count, sizeof *n->item);
	memcpy(n->item[n->count - 1], name, strnlen(name, USER_MAX - 1)); /* zeros are behind */
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool read_names(const char *path, struct names *n)
{
	struct users_line user;
	char *text;
	size_t len;
	if (file_read(path, USERS_FILE_MAX, &text, &len) < 0)
		return false;
	for (char *line = text, *end; line < text + len; line = end + 1) {
		end = memchr(line, '\n', (size_t)(text + len - line));
		end = end ? end : text + len;
		if (users_parse(line, (size_t)(end - line), &user) == PARSE_OK)
			add(n, user.name);
	}
	free(text);
	return true;
}

bool try_unknown_users(const struct trial *t, const struct config *c, uint64_t *users,
		       uint64_t *records)
{
	struct names known = {0};
	const char *name;
	uint64_t of;
	*users = *records = 0;
	if (c->pseudonym_key_file || !read_names(c->users_file, &known))
		return false;
	for (size_t i = 0; i < c->host_count; i++)
		if (c->hosts[i].user)
			add(&known, c->hosts[i].user);
	if (known.count)
		qsort(known.item, known.count, sizeof *known.item, by_name);
	for (size_t i = 0; (name = try_user(t, i, &of)); i++) {
		bool voucher = strncmp(name, "voucher-", 8) == 0; /* of no file */
		if (voucher || (known.count && bsearch(name, known.item, known.count,
						       sizeof *known.item, by_name)))
			continue;
		++*users;
		*records += of;
	}
	free(known.item);
	return true;
}
