/* text: what the pages say, in each language. English is built in; LANGUAGE.text files, `key =
 * text` a line in UTF-8, add languages or replace words of it. "{}" in a text is where a value
 * goes. */
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

#define TEXT_LIST(X)                                                                               \
	X(LANGUAGE, "language", "English")                                                         \
	X(SIGN_IN, "sign-in", "Sign in")                                                           \
	X(SIGN_IN_INTRO, "sign-in-intro", "Sign in to reach sites outside this network.")          \
	X(USER, "user", "User name")                                                               \
	X(PASSWORD, "password", "Password")                                                        \
	X(VOUCHER_TITLE, "voucher-title", "With a voucher")                                        \
	X(VOUCHER, "voucher", "Voucher code")                                                      \
	X(VOUCHER_USE, "voucher-use", "Use voucher")                                               \
	X(SIGN_OUT, "sign-out", "Sign out")                                                        \
	X(SIGNED_OUT, "signed-out", "You are signed out")                                          \
	X(SIGNED_OUT_INTRO, "signed-out-intro",                                                    \
	  "Connections that only you were allowed have been ended.")                               \
	X(SIGNED_IN, "signed-in", "You are signed in")                                             \
	X(WITHOUT_SIGNING_IN, "without-signing-in", "This device has access without signing in.")  \
	X(OBSERVED, "observed", "This network is being tried out: nothing is denied at present.")  \
	X(AS, "as", "Signed in as")                                                                \
	X(TIER, "tier", "Tier")                                                                    \
	X(SINCE, "since", "Since")                                                                 \
	X(UNTIL, "until", "Until")                                                                 \
	X(NO_END, "no-end", "no end is set")                                                       \
	X(ADDRESS, "address", "This device")                                                       \
	X(REACH, "reach", "What you may reach")                                                    \
	X(REACH_NOTHING, "reach-nothing", "Internal sites only.")                                  \
	X(REACH_INTERNAL, "reach-internal", "Internal sites are always open.")                     \
	X(EVERYTHING, "everything", "Everything")                                                  \
	X(SITE, "site", "Site")                                                                    \
	X(NOW, "now", "now")                                                                       \
	X(NOW_UNTIL, "now-until", "now, until {}")                                                 \
	X(FROM, "from", "from {}")                                                                 \
	X(NOT_NOW, "not-now", "not now")                                                           \
	X(LEFT_MINUTES_DAY, "left-minutes-day", "{} of {} minutes left today")                     \
	X(LEFT_MINUTES_WEEK, "left-minutes-week", "{} of {} minutes left this week")               \
	X(LEFT_DAY, "left-day", "{} of {} left today")                                             \
	X(LEFT_WEEK, "left-week", "{} of {} left this week")                                       \
	X(LEFT_ANEW, "left-anew", "anew from {}")                                                  \
	X(CONTACT, "contact", "Whom to ask")                                                       \
	X(CONTINUE, "continue", "Continue to {}")                                                  \
	X(WHY, "why", "Why was I denied?")                                                         \
	X(WHY_INTRO, "why-intro", "What this device was last denied, newest first.")               \
	X(WHY_NONE, "why-none", "Nothing was denied to this device lately.")                       \
	X(WHY_ADDRESS, "why-address", "Address")                                                   \
	X(WHY_NOTE, "why-note", "Note")                                                            \
	X(WHY_RULE, "why-rule", "Rule")                                                            \
	X(WHY_REASON, "why-reason", "Reason")                                                      \
	X(WHY_TIME, "why-time", "Time")                                                            \
	X(WHY_ASK, "why-ask", "Ask about a site")                                                  \
	X(WHY_ASK_BUTTON, "why-ask-button", "Ask")                                                 \
	X(WHY_ASK_BAD, "why-ask-bad", "This is neither a host name nor an address.")               \
	X(WHY_ALLOWED, "why-allowed", "{} is allowed to you now.")                                 \
	X(WHY_DENIED, "why-denied", "{} is not allowed to you now.")                               \
	X(BLOCKED, "blocked", "{} is not open to you")                                             \
	X(BLOCKED_SITE, "blocked-site", "This site")                                               \
	X(BLOCKED_INTRO, "blocked-intro",                                                          \
	  "This network decides by user which sites can be reached. You were sent here because "   \
	  "this one is not open to you at present.")                                               \
	X(WRONG, "wrong", "User name or password is wrong.")                                       \
	X(WRONG_VOUCHER, "wrong-voucher", "This code is not valid, or has been used.")             \
	X(LOCKED, "locked", "This account is locked.")                                             \
	X(EMPTY, "empty", "Fill in both fields.")                                                  \
	X(TOO_OFTEN, "too-often", "Too many attempts. Try again in {} seconds.")                   \
	X(BUSY, "busy", "Too many people are signing in just now. Try again in a moment.")         \
	X(CANNOT_CHECK, "cannot-check", "Passwords cannot be checked just now. Try again later.")  \
	X(NO_TIER, "no-tier", "Your tier is not known to this network any more.")                  \
	X(USER_BLOCKED, "user-blocked", "The operators of this network have blocked this name.")   \
	X(FULL, "full", "No more people can sign in just now.")                                    \
	X(STALE, "stale", "This page was open for too long, or cookies are off. Try again.")       \
	X(DAEMON_AWAY, "daemon-away", "The gateway is not answering")                              \
	X(DAEMON_AWAY_INTRO, "daemon-away-intro",                                                  \
	  "Nobody can sign in or out at present. Try again in a minute.")                          \
	X(NOT_FOUND, "not-found", "There is no such page")                                         \
	X(BAD_REQUEST, "bad-request", "This request cannot be understood")                         \
	X(TOO_LARGE, "too-large", "This request is too large")                                     \
	X(BAD_METHOD, "bad-method", "This page takes no such request")                             \
	X(ELSEWHERE, "elsewhere", "This is not the address of this page")                          \
	X(HOME, "home", "Back to the first page")                                                  \
	X(SKIP, "skip", "Skip to content")                                                         \
	X(LANGUAGES, "languages", "Languages")                                                     \
	X(REASON_NO_LINE, "no-line", "no rule allows it")                                          \
	X(REASON_DENY_LINE, "deny-line", "a rule denies it")                                       \
	X(REASON_LOCKDOWN, "reason-lockdown", "only some sites are open for now")                  \
	X(REASON_QUOTA, "reason-quota", "what you have of it for this day or week is used up")     \
	X(REASON_NO_TIER, "reason-no-tier", "nobody is signed in on this device")                  \
	X(REASON_NO_NAME, "no-name", "the connection does not name its site")                      \
	X(REASON_WEAK, "weak-evidence", "the site's name is not known well enough")                \
	X(REASON_MISMATCH, "name-address-mismatch",                                                \
	  "the name does not belong to the address, as far as this network knows")                 \
	X(REASON_OTHER, "reason-other", "the connection could not be recognised")

enum text {
#define X(id, key, english) TEXT_##id,
	TEXT_LIST(X)
#undef X
		TEXT_COUNT
};

#define TEXT_MAX       600 /* bytes of one text */
#define TEXT_FILE_MAX  (256 * 1024)
#define LANGUAGES_MAX  64
#define LANGUAGE_BYTES 9

struct language {
	char name[LANGUAGE_BYTES];    /* "bg", "pt-br" */
	const char *text[TEXT_COUNT]; /* of the file, or English; never NULL */
	char *bytes;                  /* the file's, which the texts point into */
};

struct texts {
	struct language language[LANGUAGES_MAX];
	size_t count;    /* at least one */
	size_t fallback; /* the language of those who ask for none that is there */
};

/* All LANGUAGE.text files of a folder. NULL where one is wrong, or the fallback is not among them
 * and is not "en"; a folder that is not there has none. */
struct texts *texts_load(const char *folder, const char *fallback, struct errors *errors);
void texts_free(struct texts *t);

/* Reads the bytes of a file (taken over, NUL-terminated) into a language, whose texts it replaces.
 * False where a line is wrong; all of them are in errors. */
bool language_parse(struct language *l, char *bytes, size_t len, const char *file,
		    struct errors *errors);

/* By an Accept-Language header (RFC 9110 section 12.5.4; NULL: none). */
const struct language *texts_choose(const struct texts *t, const char *header);
/* By name; NULL where there is none. */
const struct language *texts_named(const struct texts *t, const char *name);

const char *text_key(enum text t);
const char *text_english(enum text t);
