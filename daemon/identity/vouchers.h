/* vouchers: codes that sign in once, without a user. The file has a line for each that is left,
 * `SHA-256 of the code:tier:seconds`; a code has 80 random bits, so nothing slower is needed.
 * Written by tiergatectl, used up by the portal. */
#pragma once
#include "base/cursor.h"
#include "base/decision.h"
#include "base/error.h"

#define VOUCHER_CODE      20    /* "XXXX-XXXX-XXXX-XXXX" and its NUL */
#define VOUCHER_USER      17    /* "voucher-" and 8 digits of the hash, and its NUL */
#define VOUCHERS_MAX      10000 /* made at once */
#define VOUCHERS_FILE_MAX (64 * 1024 * 1024)

struct voucher {
	char hash[65];
	char tier[TIER_MAX];
	int64_t lasts; /* ns */
};

enum voucher_check { VOUCHER_OK, VOUCHER_WRONG, VOUCHER_ERROR };

/* Makes count vouchers and tells each code once they are all in the file; 0 or -errno. */
int vouchers_make(const char *file, unsigned count, const char *tier, int64_t lasts,
		  void (*tell)(void *ctx, const char *code), void *ctx, struct errors *errors);

/* Uses a code up: of several at once one is right. Case, spaces and hyphens do not matter. */
enum voucher_check voucher_take(const char *file, const char *code, struct voucher *out,
				struct errors *errors);

/* One that was taken and then not used is good again; 0 or -errno, with a line of errors. */
int voucher_give_back(const char *file, const struct voucher *v, struct errors *errors)
	__attribute__((warn_unused_result));

/* Whom a voucher signs in: "voucher-1a2b3c4d". */
void voucher_user(const struct voucher *v, char out[static VOUCHER_USER]);

/* One line without its newline. PARSE_ABSENT: empty or a comment. */
enum parse voucher_parse(const char *line, size_t len, struct voucher *out);
