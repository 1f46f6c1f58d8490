/* meant: what a mistyped name of a tier, a site or a user is likely to mean. */
#pragma once
#include "base/buf.h"
#include "identity/session.h"
#include "policy/snapshot.h"

/* The i-th name, "" behind the last: snapshot_tier_name, snapshot_site_name. */
typedef const char *name_fn(const struct snapshot *s, uint32_t i);

/* Whether it is a name of the policy. */
bool meant_is_name(const struct snapshot *s, name_fn *name_of, const char *word);

/* "; did you mean "x"?" behind a sentence, or nothing where none is near. */
void meant_name(const struct snapshot *s, name_fn *name_of, const char *word, struct buf *b);

/* The nearest name of those who are signed in; false where none is near, or where it is one of
 * them. sessions may be NULL. Main thread, and not for every packet: it looks at each session. */
bool meant_user(struct sessions *sessions, const char *user, char out[static USER_MAX]);
