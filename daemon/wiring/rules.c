#include "wiring/rules.h"

#include <ctype.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

enum { MARK_BITS = 7, INTERFACE_MAX = 15 };

void rules_digest(const void *bytes, size_t len, char out[static 9])
{
	struct sha256_ctx sha;
	uint8_t digest[4];
	sha256_init(&sha);
	sha256_update(&sha, len, bytes);
	sha256_digest(&sha, sizeof digest, digest);
	snprintf(out, 9, "%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
}

void rules_name_format(const struct rules_name *n, char out[static RULES_NAME_MAX])
{
	snprintf(out, RULES_NAME_MAX, RULES_PREFIX "%x%d-%.8s%.8s", n->epoch % MARK_EPOCHS, n->acct,
		 n->rules, n->policy);
}

bool rules_name_parse(const char *text, struct rules_name *out)
{
	int end = 0, acct;
	char epoch[2] = "";
	if (sscanf(text, RULES_PREFIX "%1[0-9a-f]%1d-%8[0-9a-f]%8[0-9a-f]%n", epoch, &acct,
		   out->rules, out->policy, &end) != 4 ||
	    text[end] || acct < 0)
		return false;
	out->epoch = (unsigned)strtoul(epoch, NULL, 16);
	out->acct = acct;
	return strlen(out->rules) == 8 && strlen(out->policy) == 8;
}

/* Names go into rule files as they are: nothing that could end a word. */
static bool interface_ok(const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-:@", name[i]))
			return false;
	return len > 0 && len <= INTERFACE_MAX;
}

static bool mask_ok(uint32_t mask)
{
	return __builtin_popcount(mask) >= MARK_BITS &&
	       mask >> __builtin_ctz(mask) ==
		       (uint32_t)((UINT64_C(1) << __builtin_popcount(mask)) - 1);
}

static void check_config(const struct config *c, struct errors *errors)
{
	if (!mask_ok(c->mark_mask))
		errors_add(errors, c->path, 0,
			   "mark_mask %#x can't hold a mark; %d or more bits in a row can",
			   c->mark_mask, MARK_BITS);
	if (!c->inside.count)
		errors_add(errors, c->path, 0,
			   "`inside` names no interface; the names of those whose traffic is "
			   "governed are needed");
	for (size_t i = 0; i < c->inside.count; i++)
		if (!interface_ok(c->inside.item[i]))
			errors_add(errors, c->path, 0,
				   "`inside`: \"%s\" is not the name of an interface",
				   c->inside.item[i]);
	for (size_t i = 0; i < c->flowtable.count; i++)
		if (!interface_ok(c->flowtable.item[i]))
			errors_add(errors, c->path, 0,
				   "`flowtable`: \"%s\" is not the name of an interface",
				   c->flowtable.item[i]);
	if (!c->queues || c->queue_first + c->queues > UINT16_MAX)
		errors_add(errors, c->path, 0, "queues %u from %u on are not within 0 to 65535",
			   c->queues, c->queue_first);
	if (c->on_deny == CONFIG_REDIRECT && !c->portal[0].port && !c->portal[1].port)
		errors_add(errors, c->path, 0, "on_deny = \"redirect\" needs `portal`");
}

bool rules_init(struct rules *r, const struct config *c, unsigned epoch, struct errors *errors)
{
	size_t before = errors->count;
	check_config(c, errors);
	if (errors->count != before)
		return false;
	*r = (struct rules){.config = c,
			    .mask = c->mark_mask,
			    .dns_group = c->queue_first + c->queues,
			    .devices = &c->flowtable};
	r->kind_mask = (uint32_t)(MARK_KINDS - 1) << __builtin_ctz(c->mark_mask);
	for (unsigned k = 0; k < MARK_KINDS; k++) {
		r->kind[k] = mark_value(c->mark_mask, (enum mark_kind)k, 0);
		r->value[k] = mark_value(c->mark_mask, (enum mark_kind)k, epoch);
	}
	return true;
}
