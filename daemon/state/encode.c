#include "state/encode.h"

#include "state/store.h"

#include <errno.h>
#include <stdlib.h>

bool blob_open(struct blob *b)
{
	*b = (struct blob){0};
	b->to = open_memstream(&b->bytes, &b->len);
	return b->to != NULL;
}

int blob_save(struct blob *b, struct store *s, const char *kind, uint32_t version)
{
	int e = ferror(b->to) ? -ENOMEM : 0;
	if (fclose(b->to) != 0 && e == 0)
		e = -errno;
	if (e == 0)
		e = s->ops->save(s, kind, version, b->bytes, b->len);
	free(b->bytes);
	return e;
}
