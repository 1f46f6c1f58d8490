#include "dns/intern.h"
#include "base/table.h"
#include "base/seqlock.h"

#include <stdlib.h>

#define PIECE_WORDS 8
#define HEAD_WORDS  2 /* of the first piece: next and length, hash */
#define NEXT_WORDS  1 /* of the others: next */
#define FIRST_TEXT  (PIECE_WORDS - HEAD_WORDS)
#define OTHER_TEXT  (PIECE_WORDS - NEXT_WORDS)

struct piece {
	_Atomic uint64_t word[PIECE_WORDS];
};

struct use { /* of the first piece of a name; the writer's own */
	uint32_t count, next;
};

struct intern {
	uint64_t seed[2];
	struct piece *piece; /* 1 .. pieces; 0 is none */
	struct use *use;
	uint32_t *bucket;
	uint32_t mask, pieces, fresh, free, available;
};

static uint64_t pack(uint32_t next, uint32_t len)
{
	return (uint64_t)next << 32 | len;
}

static uint32_t next_piece(const struct intern *in, uint32_t i)
{
	return (uint32_t)(seq_load(&in->piece[i].word[0]) >> 32);
}

struct intern *intern_new(uint32_t pieces, const uint64_t seed[static 2])
{
	uint32_t buckets = 8;
	while (buckets < pieces && buckets < 1u << 31)
		buckets *= 2;
	struct intern *in = calloc(1, sizeof *in);
	if (!in)
		return NULL;
	memcpy(in->seed, seed, sizeof in->seed);
	in->mask = buckets - 1;
	in->pieces = in->available = pieces;
	in->fresh = 1;
	in->piece = table_new(pieces + 1ul, sizeof *in->piece);
	in->use = table_new(pieces + 1ul, sizeof *in->use);
	in->bucket = table_new(buckets, sizeof *in->bucket);
	if (in->piece && in->use && in->bucket)
		return in;
	intern_free(in);
	return NULL;
}

void intern_free(struct intern *in)
{
	if (!in)
		return;
	table_free(in->piece, in->pieces + 1ul, sizeof *in->piece);
	table_free(in->use, in->pieces + 1ul, sizeof *in->use);
	table_free(in->bucket, in->mask + 1ul, sizeof *in->bucket);
	free(in);
}

void intern_key(const struct intern *in, const struct host *host, struct intern_key *out)
{
	out->len = host->len;
	out->words = (host->len + 7u) / 8;
	if (out->words)
		out->text[out->words - 1] = 0; /* what the copy leaves of the last word */
	memcpy(out->text, host->text, host->len);
	out->hash = hash_words(in->seed, out->text, out->words, host->len);
}

static uint32_t take_piece(struct intern *in)
{
	uint32_t i = in->free;
	if (i)
		in->free = next_piece(in, i);
	else
		i = in->fresh++;
	in->available--;
	return i;
}

static uint32_t pieces_of(const struct intern_key *key)
{
	if (key->words <= FIRST_TEXT)
		return 1;
	return 1 + (key->words - FIRST_TEXT + OTHER_TEXT - 1) / OTHER_TEXT;
}

/* Writes the name into pieces of its own; the later pieces first, so that each knows its next. */
static uint32_t write_name(struct intern *in, const struct intern_key *key)
{
	uint32_t next = 0;
	for (uint32_t p = pieces_of(key); p-- > 1;) {
		uint32_t i = take_piece(in), from = FIRST_TEXT + (p - 1) * OTHER_TEXT;
		for (uint32_t w = 0; w < OTHER_TEXT && from + w < key->words; w++)
			seq_store(&in->piece[i].word[NEXT_WORDS + w], key->text[from + w]);
		seq_store(&in->piece[i].word[0], pack(next, 0));
		next = i;
	}
	uint32_t i = take_piece(in);
	for (uint32_t w = 0; w < FIRST_TEXT && w < key->words; w++)
		seq_store(&in->piece[i].word[HEAD_WORDS + w], key->text[w]);
	seq_store(&in->piece[i].word[1], key->hash);
	seq_store(&in->piece[i].word[0], pack(next, key->len));
	return i;
}

uint32_t intern_get(struct intern *in, const struct intern_key *key)
{
	uint32_t *bucket = &in->bucket[key->hash & in->mask];
	for (uint32_t i = *bucket; i; i = in->use[i].next) {
		if (intern_is(in, i, key)) {
			in->use[i].count++;
			return i;
		}
	}
	if (pieces_of(key) > in->available)
		return INTERN_NONE;
	uint32_t i = write_name(in, key);
	in->use[i] = (struct use){1, *bucket};
	*bucket = i;
	return i;
}

void intern_hold(struct intern *in, uint32_t name)
{
	in->use[name].count++;
}

void intern_put(struct intern *in, uint32_t name)
{
	if (--in->use[name].count)
		return;
	uint32_t *link = &in->bucket[seq_load(&in->piece[name].word[1]) & in->mask];
	while (*link != name)
		link = &in->use[*link].next;
	*link = in->use[name].next;
	for (uint32_t i = name, next; i; i = next) {
		next = next_piece(in, i);
		seq_store(&in->piece[i].word[0], pack(in->free, 0));
		in->free = i;
		in->available++;
	}
}

/* Copies the text's words; what a reader meets may be of a name that is being replaced, so nothing
 * is believed beyond the bounds. */
static void read_words(const struct intern *in, uint32_t name, uint64_t *to, uint32_t words)
{
	uint32_t at = HEAD_WORDS;
	for (uint32_t w = 0; w < words; w++) {
		if (at == PIECE_WORDS) {
			name = next_piece(in, name);
			at = NEXT_WORDS;
		}
		to[w] = seq_load(&in->piece[name].word[at++]);
	}
}

bool intern_is(const struct intern *in, uint32_t name, const struct intern_key *key)
{
	const struct piece *first = &in->piece[name];
	if (seq_load(&first->word[1]) != key->hash ||
	    (uint32_t)seq_load(&first->word[0]) != key->len)
		return false;
	uint64_t text[32];
	read_words(in, name, text, key->words);
	return memcmp(text, key->text, key->words * sizeof *text) == 0;
}

void intern_copy(const struct intern *in, uint32_t name, struct host *out)
{
	uint32_t len = (uint32_t)seq_load(&in->piece[name].word[0]);
	if (len > HOST_MAX)
		len = HOST_MAX;
	uint64_t text[32];
	read_words(in, name, text, (len + 7) / 8);
	out->len = (uint8_t)len;
	memcpy(out->text, text, len);
	out->text[len] = '\0';
}
