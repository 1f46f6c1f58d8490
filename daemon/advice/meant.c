#include "advice/meant.h"

#include "config/suggest.h"

#include <string.h>

bool meant_is_name(const struct snapshot *s, name_fn *name_of, const char *word)
{
	const char *name;
	for (uint32_t i = 0; *(name = name_of(s, i)); i++)
		if (strcmp(name, word) == 0)
			return true;
	return false;
}

/* The nearer of the two; best may be NULL. */
static const char *nearer(const char *word, const char *best, const char *other)
{
	const char *both[] = {best ? best : other, other};
	const char *near = nearest(word, both, 2);
	return near ? near : best;
}

void meant_name(const struct snapshot *s, name_fn *name_of, const char *word, struct buf *b)
{
	const char *name, *best = NULL;
	for (uint32_t i = 0; *(name = name_of(s, i)); i++)
		best = nearer(word, best, name);
	if (best)
		buf_printf(b, "; did you mean \"%.48s\"?", best);
}

bool meant_user(struct sessions *sessions, const char *user, char out[static USER_MAX])
{
	struct session_view v;
	uint32_t slot = 0;
	out[0] = '\0';
	while (sessions && session_each(sessions, &slot, &v)) {
		const char *name = v.session.user;
		if (strcmp(name, user) == 0)
			return out[0] = '\0', false;
		if (nearer(user, out[0] ? out : NULL, name) == name)
			memcpy(out, name, USER_MAX);
	}
	return out[0];
}
