#include "dns/dns.h"
#include "base/host.h"

#define CLASS_IN    1
#define CHAIN_MAX   16  /* CNAME and DNAME steps; resolvers themselves stop at 8 to 16 */
#define LOOKED_AT   128 /* records of an answer that may lead to targets; each may be asked again */
#define TTL_MAX     0x7fffffff
#define KEY_HINT4   4
#define KEY_ECH     5
#define KEY_HINT6   6
#define ECH_VERSION 0xfe0d

struct record {
	struct cursor owner, data; /* owner: from the owner's name on */
	uint16_t type, class;
	uint32_t ttl;
};

static bool read_record(struct cursor *c, struct record *r)
{
	r->owner = *c;
	if (!dns_name_skip(c))
		return false;
	struct cursor fields = cursor_sub(c, 10);
	if (fields.bad)
		return false;
	r->type = cursor_u16(&fields);
	r->class = cursor_u16(&fields);
	r->ttl = cursor_u32(&fields);
	if (r->ttl > TTL_MAX) /* RFC 2181 section 8 */
		r->ttl = 0;
	r->data = cursor_sub(c, cursor_u16(&fields));
	return !c->bad;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool follow_cname(struct dns_message *m, struct record *r, bool *followed)
{
	enum parse asked = dns_name_is(&m->whole, r->owner, &m->asked);
	struct dns_name target;
	if (asked != PARSE_OK)
		return asked == PARSE_ABSENT;
	if (!dns_name_read(&m->whole, &r->data, &target))
		return false;
	memcpy(m->asked.wire, target.wire, target.len);
	m->asked.len = target.len;
	m->asked.at = target.at;
	m->asked.ttl = least(m->asked.ttl, r->ttl);
	*followed = m->aliased = true;
	return true;
}

/* Where the asked name is below a DNAME's owner, the owner's labels are replaced by the target. */
static bool follow_dname(struct dns_message *m, struct record *r, bool *followed)
{
	struct dns_name owner, target;
	if (!dns_name_read(&m->whole, &r->owner, &owner) ||
	    !dns_name_read(&m->whole, &r->data, &target))
		return false;
	if (m->asked.len <= owner.len)
		return true;
	unsigned cut = m->asked.len - owner.len, label = 0;
	while (label < cut)
		label += 1u + m->asked.wire[label];
	if (label != cut || memcmp(m->asked.wire + cut, owner.wire, owner.len) != 0)
		return true;
	if (cut + target.len > sizeof m->asked.wire) /* RFC 6672: YXDOMAIN */
		return true;
	memcpy(m->asked.wire + cut, target.wire, target.len);
	m->asked.len = (uint8_t)(cut + target.len);
	m->asked.at = 0;
	m->asked.ttl = least(m->asked.ttl, r->ttl);
	*followed = m->aliased = true;
	return true;
}

/* One pass over the answers: follows what it meets of the chain. Records from the first malformed
 * one on are given up. */
static void follow_once(struct dns_message *m, unsigned *steps, bool *passed_over)
{
	struct cursor c = m->records;
	*passed_over = false;
	for (uint16_t i = 0; i < m->answers; i++) {
		struct record r;
		bool good = read_record(&c, &r), followed = false;
		if (good && r.class == CLASS_IN && *steps <= CHAIN_MAX) {
			if (r.type == DNS_CNAME)
				good = follow_cname(m, &r, &followed);
			else if (r.type == DNS_DNAME)
				good = follow_dname(m, &r, &followed);
		}
		if (!good) {
			m->answers = i;
			m->damaged = true;
			return;
		}
		*steps += followed;
		*passed_over |= !followed && (r.type == DNS_CNAME || r.type == DNS_DNAME);
	}
}

/* Answers may stand in any order, so passes go on while one gets further and passes others over. */
static void follow_chain(struct dns_message *m)
{
	unsigned steps = 0, before;
	bool passed_over;
	do {
		before = steps;
		follow_once(m, &steps, &passed_over);
	} while (passed_over && steps > before && steps <= CHAIN_MAX);
	if (steps > CHAIN_MAX) { /* a loop, or as good as one: no address is trusted */
		m->answers = 0;
		m->damaged = true;
	}
}

static bool is_service(uint16_t type)
{
	return type == DNS_HTTPS || type == DNS_SVCB || type == DNS_SRV || type == DNS_NAPTR;
}

static enum parse read_question(struct dns_message *m, struct cursor *c)
{
	bool good = dns_name_read(&m->whole, c, &m->asked);
	m->type = cursor_u16(c);
	uint16_t class = cursor_u16(c);
	if (!good || c->bad)
		return PARSE_BAD;
	dns_name_host(&m->asked, is_service(m->type) ? dns_name_service(&m->asked) : 0,
		      &m->question);
	return class == CLASS_IN ? PARSE_OK : PARSE_ABSENT;
}

/* What a service's record holds for us. */
struct service {
	struct cursor target, hint4, hint6, ech;
};

/* HTTPS and SVCB (RFC 9460 section 2.2). */
static bool read_binding(struct cursor data, struct service *out)
{
	uint16_t priority = cursor_u16(&data);
	out->target = data;
	if (!dns_name_skip(&data))
		return false;
	int last = -1;
	while (cursor_left(&data)) {
		int key = cursor_u16(&data);
		struct cursor value = cursor_sub(&data, cursor_u16(&data));
		if (data.bad || key <= last)
			return false;
		last = key;
		if (priority == 0) /* alias form: parameters are ignored */
			continue;
		if (key == KEY_HINT4)
			out->hint4 = value;
		else if (key == KEY_HINT6)
			out->hint6 = value;
		else if (key == KEY_ECH)
			out->ech = value;
	}
	return !data.bad && cursor_left(&out->hint4) % 4 == 0 && cursor_left(&out->hint6) % 16 == 0;
}

/* Of SRV priority, weight and port stand before the target; of NAPTR order, preference, flags,
 * services and a regular expression before the replacement. */
static bool read_pointer(uint16_t type, struct cursor data, struct service *out)
{
	cursor_skip(&data, type == DNS_SRV ? 6 : 4);
	for (int text = 0; text < 3 && type == DNS_NAPTR; text++)
		cursor_skip(&data, cursor_u8(&data));
	out->target = data;
	return dns_name_skip(&data) && !data.bad && cursor_left(&data) == 0;
}

/* False where the record is malformed, which clients then ignore. */
static bool read_service(const struct record *r, struct service *out)
{
	*out = (struct service){0};
	return r->type == DNS_SRV || r->type == DNS_NAPTR ? read_pointer(r->type, r->data, out)
							  : read_binding(r->data, out);
}

/* Whose record it is: the asked name's (at the chain's end) or a target's. */
static enum parse owner_of(const struct dns_message *m, const struct record *r,
			   const struct dns_name **out)
{
	*out = &m->asked;
	enum parse parsed = dns_name_is(&m->whole, r->owner, *out);
	for (unsigned i = 0; parsed == PARSE_ABSENT && i < m->targets; i++) {
		*out = &m->target[i];
		parsed = dns_name_is(&m->whole, r->owner, *out);
	}
	return parsed;
}

static void add_target(struct dns_message *m, struct cursor name, uint32_t ttl)
{
	if (m->targets == DNS_TARGETS)
		return;
	struct dns_name *t = &m->target[m->targets];
	if (!dns_name_read(&m->whole, &name, t) || t->len == 1) /* ".": the owner itself */
		return;
	for (unsigned i = 0; i < m->targets; i++)
		if (m->target[i].len == t->len && memcmp(m->target[i].wire, t->wire, t->len) == 0)
			return;
	t->ttl = ttl;
	m->targets++;
}

/* Whether records of a type lead from the answer's question to a service; of NAPTR SRV go on. */
static bool leads(const struct dns_message *m, uint16_t type)
{
	return type == m->type || (m->type == DNS_NAPTR && type == DNS_SRV);
}

/* One pass over all sections: where the records of what is known so far lead. */
static bool follow_services_once(struct dns_message *m)
{
	struct cursor c = m->records;
	for (uint32_t i = 0; i < m->answers + m->beyond && i < LOOKED_AT; i++) {
		struct record r;
		struct service s;
		const struct dns_name *owner;
		if (!read_record(&c, &r))
			return false;
		if (r.class != CLASS_IN || !(leads(m, r.type) || r.type == DNS_CNAME) ||
		    owner_of(m, &r, &owner) != PARSE_OK)
			continue;
		if (leads(m, r.type) && read_service(&r, &s))
			add_target(m, s.target, least(owner->ttl, r.ttl));
		else if (r.type == DNS_CNAME && owner != &m->asked)
			add_target(m, r.data, least(owner->ttl, r.ttl));
	}
	return true;
}

/* RFC 9460 sections 2.4 and 4: a client connects to a target under the name that it asked for, and
 * a resolver adds what it knows of targets. */
static void follow_services(struct dns_message *m)
{
	unsigned before;
	do {
		before = m->targets;
		if (!follow_services_once(m)) {
			m->beyond = 0;
			m->damaged = true;
			return;
		}
	} while (m->targets > before);
}

void dns_rewind(struct dns_message *m)
{
	m->left = (uint32_t)m->answers + m->beyond;
	m->next = m->records;
	m->hint4 = m->hint6 = m->configs = (struct cursor){0};
}

enum parse dns_message(struct cursor c, struct dns_message *m)
{
	m->whole = c;
	m->damaged = m->aliased = false;
	m->question.len = 0;
	m->answers = m->targets = 0;
	m->beyond = 0;
	m->id = cursor_u16(&c);
	uint16_t flags = cursor_u16(&c), questions = cursor_u16(&c), answers = cursor_u16(&c);
	uint32_t beyond = cursor_u16(&c);
	beyond += cursor_u16(&c);
	if (c.bad)
		return PARSE_BAD;
	m->response = flags & 0x8000;
	m->truncated = flags & 0x0200;
	m->rcode = flags & 0x0f;
	if (flags & 0x7800 || questions == 0)
		return PARSE_ABSENT;
	enum parse parsed = questions == 1 ? read_question(m, &c) : PARSE_BAD;
	if (parsed != PARSE_OK)
		return parsed;
	m->asked.ttl = TTL_MAX;
	m->records = c;
	if (m->response && m->rcode == 0 && m->question.len) {
		m->answers = answers;
		follow_chain(m);
		if (is_service(m->type) && m->answers && !m->damaged) {
			m->beyond = beyond;
			follow_services(m);
		}
	}
	dns_rewind(m);
	return PARSE_OK;
}

/* The next good record that answers the question; false at the end. A chain that ends at a name
 * with a CNAME is a loop. */
static bool next_record(struct dns_message *m, struct record *r)
{
	bool services = is_service(m->type);
	while (m->left) {
		bool in_answers = m->left-- > m->beyond;
		if (!read_record(&m->next, r)) {
			m->damaged = true;
			m->left = 0;
			return false;
		}
		bool wanted = r->type == m->type || m->type == DNS_ANY ||
			      (services && (r->type == DNS_A || r->type == DNS_AAAA));
		bool alias = in_answers && r->type == DNS_CNAME && m->type != DNS_CNAME;
		if (r->class != CLASS_IN || !(wanted || alias))
			continue;
		const struct dns_name *owner;
		enum parse asked = owner_of(m, r, &owner);
		if (asked == PARSE_BAD || (asked == PARSE_OK && alias && owner == &m->asked)) {
			m->damaged = true;
			m->left = 0;
		} else if (asked == PARSE_OK && !alias) {
			m->record_ttl = least(owner->ttl, r->ttl);
			return true;
		}
	}
	return false;
}

void dns_target(const struct dns_message *m, unsigned i, struct host *out, uint32_t *ttl)
{
	const struct dns_name *t = &m->target[i];
	dns_name_host(t, m->type == DNS_NAPTR ? dns_name_service(t) : 0, out);
	*ttl = t->ttl;
}

bool dns_alias(const struct dns_message *m, struct host *out, uint32_t *ttl)
{
	if (!m->aliased || m->answers == 0 || m->damaged)
		return false;
	dns_name_host(&m->asked, is_service(m->type) ? dns_name_service(&m->asked) : 0, out);
	*ttl = m->asked.ttl;
	return true;
}

static enum parse take(struct dns_message *m, struct cursor *c, unsigned size, bool hint,
		       struct dns_address *out)
{
	const uint8_t *bytes = cursor_bytes(c, size);
	if (!bytes)
		return PARSE_BAD;
	out->address = size == 4 ? address_from4(bytes) : address_from6(bytes);
	out->ttl = m->record_ttl;
	out->hint = hint;
	return PARSE_OK;
}

enum parse dns_next(struct dns_message *m, struct dns_address *out)
{
	struct record r;
	struct service s;
	for (;;) {
		if (cursor_left(&m->hint4))
			return take(m, &m->hint4, 4, true, out);
		if (cursor_left(&m->hint6))
			return take(m, &m->hint6, 16, true, out);
		if (!next_record(m, &r))
			return m->damaged ? PARSE_BAD : PARSE_ABSENT;
		size_t size = cursor_left(&r.data);
		if (r.type == DNS_A && size == 4)
			return take(m, &r.data, 4, false, out);
		if (r.type == DNS_AAAA && size == 16)
			return take(m, &r.data, 16, false, out);
		if (is_service(r.type) && read_service(&r, &s)) {
			m->hint4 = s.hint4;
			m->hint6 = s.hint6;
		}
	}
}

/* One ECHConfig (RFC 9849 section 4). PARSE_ABSENT: of another version, or without a public name
 * that is a host name. */
static enum parse read_config(struct cursor *list, struct dns_ech *out)
{
	uint16_t version = cursor_u16(list);
	struct cursor c = cursor_sub(list, cursor_u16(list));
	if (list->bad)
		return PARSE_BAD;
	if (version != ECH_VERSION)
		return PARSE_ABSENT;
	out->config_id = cursor_u8(&c);
	cursor_skip(&c, 2);              /* kem_id */
	cursor_skip(&c, cursor_u16(&c)); /* public_key */
	cursor_skip(&c, cursor_u16(&c)); /* cipher_suites */
	cursor_skip(&c, 1);              /* maximum_name_length */
	struct cursor name = cursor_sub(&c, cursor_u8(&c));
	if (c.bad)
		return PARSE_BAD;
	return host_canonical(name.pos, cursor_left(&name), &out->public_name);
}

/* Clients ignore a malformed list whole; its good part is enough for us. */
enum parse dns_next_ech(struct dns_message *m, struct dns_ech *out)
{
	struct record r;
	struct service s;
	for (;;) {
		while (cursor_left(&m->configs)) {
			if (read_config(&m->configs, out) == PARSE_OK) {
				out->ttl = m->record_ttl;
				return PARSE_OK;
			}
		}
		if (!next_record(m, &r))
			return PARSE_ABSENT;
		if (is_service(r.type) && read_service(&r, &s) && cursor_left(&s.ech))
			m->configs = cursor_sub(&s.ech, cursor_u16(&s.ech));
	}
}
