/* naive_limits: what limits a flow, found by really using up one quota after the other. */
#pragma once
#include "policy/decide.h"
#include "policy/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWAP(array, i, k)                                                                          \
	do {                                                                                       \
		size_t one = (i), other = (k);                                                     \
		__typeof__(*(array)) kept = (array)[one];                                          \
		(array)[one] = (array)[other];                                                     \
		(array)[other] = kept;                                                             \
	} while (0)

/* The quotas that a flow is under, in words, by using up one after the other as the daemon would;
 * "": it is without end. */
static inline char *naive_limits(struct snapshot *s, const struct facts *f, int64_t now)
{
	struct quota_account used[16];
	const char *words[16];
	size_t count = 0;
	char *text = NULL;
	for (struct outcome o; (o = decide(s, f, now)).action == ACTION_ALLOW;) {
		const struct quota *q = snapshot_quota(s, o.rule);
		if (!q) {
			count = 0;
			break;
		}
		struct spent *spent = spent_new(16, 1);
		words[count] = q->words;
		used[count].id = q->id;
		quota_whose(q, f, &used[count++].who);
		for (size_t i = 0; i < count; i++)
			spent_add(spent, &used[i], INT64_MAX);
		spent_free(snapshot_spend(s, spent));
	}
	spent_free(snapshot_spend(s, NULL));
	for (size_t i = 1; i < count; i++) /* in order */
		for (size_t k = i; k && strcmp(words[k - 1], words[k]) > 0; k--)
			SWAP(words, k - 1, k);
	size_t size;
	FILE *out = open_memstream(&text, &size);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s%s", i ? "; and " : "", words[i]);
	fclose(out);
	return text;
}
