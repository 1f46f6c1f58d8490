/* accounting_table: the sessions of accounting.c by their keys and by their addresses. For
 * accounting*.c alone. */
#pragma once
#include "radius/accounting.h"

#define ACCOUNTING_NONE UINT32_MAX

enum entry_state { ENTRY_FREE, ENTRY_OPEN, ENTRY_ENDED };

struct entry {
	uint8_t nas[ACCOUNTING_KEY], behind[ACCOUNTING_KEY], session[ACCOUNTING_KEY];
	char user[USER_MAX], tier[TIER_MAX];
	uint8_t mac[6];
	bool has_mac;
	struct accounting_moment started, last; /* of reports */
	uint32_t session_time;
	uint32_t next; /* with the same hash; or next free one */
	uint8_t state;
	uint8_t addresses;
	bool adopted;  /* not under its key yet */
	bool lost;     /* somebody else ended it: only a new Start opens it again */
	bool revives;  /* ended for want of reports: any later one opens it again */
	bool unproven; /* read from the store; the daemon has not yet told that it has it */
	struct {
		struct address address;
		uint32_t next; /* entry * RADIUS_ADDRESSES + index */
	} at[RADIUS_ADDRESSES];
};

struct accounting {
	struct entry *entries;
	int64_t *deadline; /* of each entry; INT64_MAX: free */
	uint32_t *by_key, *by_address;
	uint32_t capacity, mask, used_to, free;
	int64_t window, remembers;
	const struct accounting_ops *ops;
	void *ctx;
	struct accounting_counters counters;
	bool changed; /* since the last save */
	int journal;  /* or -1 */
	uint64_t journal_len;
};

/* The entry of a key, or of an address; ACCOUNTING_NONE. */
uint32_t entry_find(const struct accounting *a, const uint8_t nas[ACCOUNTING_KEY],
		    const uint8_t session[ACCOUNTING_KEY]);
uint32_t entry_find_address(const struct accounting *a, const struct address *address);

/* A zeroed entry under no key; where all are taken what ended longest ago goes, an open session
 * never does. ACCOUNTING_NONE: all are open. */
uint32_t entry_new(struct accounting *a);
void entry_free(struct accounting *a, uint32_t i);

/* Gives the entry its key; one that had another leaves that. */
void entry_key(struct accounting *a, uint32_t i, const uint8_t nas[ACCOUNTING_KEY],
	       const uint8_t behind[ACCOUNTING_KEY], const uint8_t session[ACCOUNTING_KEY]);
void entry_state_set(struct accounting *a, uint32_t i, enum entry_state state, int64_t deadline);

/* The entry must not have RADIUS_ADDRESSES, and nobody the address. */
void entry_address_add(struct accounting *a, uint32_t i, const struct address *address);
void entry_address_drop(struct accounting *a, uint32_t i, const struct address *address);
void entry_addresses_clear(struct accounting *a, uint32_t i);

/* Puts the entry as it is now into the journal (accounting_state.c). */
void entry_note(struct accounting *a, uint32_t i, int64_t now);
