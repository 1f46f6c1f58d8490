#include "state/encode.h"
#include "state/state.h"

#include <errno.h>
#include <stdlib.h>

#define KIND    "swept"
#define VERSION 1

int state_save_swept(struct store *to, const struct state_swept *s)
{
	struct blob b;
	if (!blob_open(&b))
		return -ENOMEM;
	put_u64(b.to, (uint64_t)s->wall);
	put_text(b.to, s->policy);
	return blob_save(&b, to, KIND, VERSION);
}

bool state_load_swept(struct store *from, struct state_swept *s)
{
	struct cursor c;
	int64_t shift; /* of another clock than its */
	char *bytes = blob_load(from, KIND, VERSION, &c, &shift);
	*s = (struct state_swept){0};
	if (bytes) {
		s->wall = (int64_t)cursor_u64(&c);
		take_text(&c, s->policy, sizeof s->policy);
	}
	bool good = bytes && !c.bad && !cursor_left(&c);
	if (!good)
		*s = (struct state_swept){0};
	free(bytes);
	return good;
}
