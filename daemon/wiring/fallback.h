/* fallback: the settings whose rules were loaded last, kept for a boot whose configuration has an
 * error. Without rules everything would pass; with these nothing new gets out that needs a decision
 * (or it does, where when_down = "open" was meant). */
#pragma once
#include "base/error.h"
#include "config/config.h"

/* In a folder that the daemon's sandbox does not reach: what stands there becomes rules. */
#define FALLBACK_FILE "/var/lib/tiergate-wiring/settings.conf"

/* Keeps what rules are made of: all settings, and nothing of the policy. 0 or -errno; -ENOENT where
 * there is no folder for it, as where no service is installed. */
int fallback_save(const char *path, const struct config *c) __attribute__((warn_unused_result));

/* What was kept; the caller's (config_free). NULL, and the reason in errors where there is a file.
 */
struct config *fallback_load(const char *path, struct errors *errors);
