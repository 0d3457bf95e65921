/*
 * The snapshot keeps manifests in one JSON object and beside it the maps that
 * look-ups need: identities, accounts, and for each human the closed set of
 * groups.
 */
#include "govern/inventory.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "crypto/sshsig.h"
#include "govern/credential.h"
#include "govern/entity.h"
#include "govern/identity.h"

enum { NESTING_MAX = 16 }; /* levels of groups above a group */

struct inventory {
	atomic_uint references;
	json_t *manifests;  /* "Kind/name" -> manifest */
	json_t *identities; /* SPIFFE ID -> agent name */
	json_t *accounts;   /* "target/id" -> "Human/name" or "Agent/name" */
	json_t *members;    /* group -> array of humans, closed over nesting */
	json_t *rules;	    /* target -> array of "match", in one spelling */
	json_t *freezes;    /* array of specs */
	struct identities *oidc; /* owned */
};

const json_t *inventory_manifests(const struct inventory *inv)
{
	return inv->manifests;
}

const json_t *inventory_find(const struct inventory *inv,
			     enum manifest_kind kind, const char *name)
{
	char key[128];

	if (!name)
		return NULL;
	snprintf(key, sizeof(key), "%s/%s", manifest_kind_name(kind), name);
	return json_object_get(inv->manifests, key);
}

const json_t *inventory_spec(const struct inventory *inv,
			     enum manifest_kind kind, const char *name)
{
	return json_object_get(inventory_find(inv, kind, name), "spec");
}

/* The name behind "Kind/". */
static const char *name_of(const char *id)
{
	const char *slash = id ? strchr(id, '/') : NULL;

	return slash ? slash + 1 : NULL;
}

/* The names of all manifests of a kind, owned. */
static json_t *names_of(const struct inventory *inv, enum manifest_kind kind)
{
	json_t *names = json_array();
	const char *id;
	const json_t *manifest;

	json_object_foreach(inv->manifests, id, manifest) {
		if (!strcmp(json_text(manifest, "kind", ""),
			    manifest_kind_name(kind)))
			json_array_append_new(names, json_string(name_of(id)));
	}
	return names;
}

/* ---- references ------------------------------------------------------------
 */

enum shape { ONE, MANY };

/* Members of a spec that name another manifest. */
static const struct {
	enum manifest_kind kind;
	const char *member;
	enum shape shape;
	enum manifest_kind refers_to;
} references[] = {
	{ MANIFEST_DOMAIN, "approvers", ONE, MANIFEST_GROUP },
	{ MANIFEST_GROUP, "parents", MANY, MANIFEST_GROUP },
	{ MANIFEST_HUMAN, "groups", MANY, MANIFEST_GROUP },
	{ MANIFEST_AGENT, "owner", ONE, MANIFEST_HUMAN },
	{ MANIFEST_TARGET, "owner", ONE, MANIFEST_HUMAN },
	{ MANIFEST_TARGET, "plane", ONE, MANIFEST_PLANE },
	{ MANIFEST_TARGET, "domain", ONE, MANIFEST_DOMAIN },
	{ MANIFEST_TASK_CLASS, "owner", ONE, MANIFEST_HUMAN },
	{ MANIFEST_TASK_CLASS, "domain", ONE, MANIFEST_DOMAIN },
	{ MANIFEST_TASK_CLASS, "planes", MANY, MANIFEST_PLANE },
	{ MANIFEST_TASK_CLASS, "openers", MANY, MANIFEST_AGENT },
	{ MANIFEST_DETECTOR, "owner", ONE, MANIFEST_HUMAN },
	{ MANIFEST_DETECTOR, "agent", ONE, MANIFEST_AGENT },
	{ MANIFEST_CHANGE_FREEZE, "domains", MANY, MANIFEST_DOMAIN },
};

static void fault(json_t *faults, const char *at, char *detail)
{
	json_t *row = json_object();

	json_set_text(row, "at", at);
	json_set_text(row, "detail", detail);
	json_array_append_new(faults, row);
	free(detail);
}

static void check_one(const struct inventory *inv, const char *id,
		      const char *member, enum manifest_kind kind,
		      const char *name, json_t *faults)
{
	if (name && !inventory_find(inv, kind, name))
		fault(faults, id,
		      mem_format("spec.%s: there is no %s '%s'", member,
				 manifest_kind_name(kind), name));
}

/* An agent that may do nothing may have lost its owner. */
static bool may_dangle(enum manifest_kind kind, const json_t *spec)
{
	return kind == MANIFEST_AGENT &&
	       strcmp(json_text(spec, "status", "active"), "active") != 0;
}

/* References that lie deeper than a member. */
static void check_nested(const struct inventory *inv, const char *id,
			 const json_t *spec, json_t *faults)
{
	const json_t *name;
	size_t at;

	check_one(inv, id, "escalation.to", MANIFEST_GROUP,
		  json_text(json_object_in(spec, "escalation"), "to", NULL),
		  faults);
	json_array_foreach(json_object_get(json_object_in(spec, "monitoring"),
					   "detectors"),
			   at, name)
		check_one(inv, id, "monitoring.detectors", MANIFEST_DETECTOR,
			  json_string_value(name), faults);
	json_array_foreach(
		json_object_get(json_object_in(spec, "issues"), "verifiers"),
		at, name)
		check_one(inv, id, "issues.verifiers", MANIFEST_AGENT,
			  json_string_value(name), faults);
}

static void check_references(const struct inventory *inv, const char *id,
			     enum manifest_kind kind, const json_t *spec,
			     json_t *faults)
{
	for (size_t i = 0; i < ARRAY_LEN(references); i++) {
		const json_t *value;
		const json_t *element;
		size_t at;

		if (references[i].kind != kind || may_dangle(kind, spec))
			continue;
		value = json_object_get(spec, references[i].member);
		if (references[i].shape == ONE)
			check_one(inv, id, references[i].member,
				  references[i].refers_to,
				  json_string_value(value), faults);
		json_array_foreach(value, at, element)
			check_one(inv, id, references[i].member,
				  references[i].refers_to,
				  json_string_value(element), faults);
	}
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* What separates in a distinguished name (RFC 4514): '=' once in each part, for
 * it is an ordinary character of a value. */
static bool separates(char c, bool in_value)
{
	return c == ',' || c == '+' || (c == '=' && !in_value);
}

/*
 * The one spelling in which names of accounts and resources are compared:
 * without case and without blanks around separators, as directories compare
 * them.  What a backslash protects stays.
 */
static char *folded(const char *name)
{
	char *copy = mem_str(name);
	char *out = copy;
	char *kept = copy; /* the end of what is not a blank */
	bool in_value = false;
	bool after = true; /* a separator or the beginning, and blanks since */

	for (const char *c = name; *c; c++) {
		bool escapes = *c == '\\' && c[1];

		if (*c == ' ' && after)
			continue;
		after = separates(*c, in_value);
		if (after) {
			out = kept;
			in_value = *c == '=';
		}
		*out++ = lower(*c);
		if (escapes)
			*out++ = lower(*++c);
		if (escapes || *c != ' ')
			kept = out;
	}
	*kept = '\0';
	return copy;
}

/* Enters names that only one manifest may have. */
static void claim(json_t *map, const json_t *names, const char *id,
		  const char *what, json_t *faults)
{
	const json_t *element;
	size_t at;

	json_array_foreach(names, at, element) {
		CLEANUP(mem_free_p)
		char *name = folded(json_string_value(element));
		const char *holder = json_text(map, name, NULL);

		if (holder && strcmp(holder, id) != 0)
			fault(faults, id,
			      mem_format("%s '%s' is already that of %s", what,
					 name, holder));
		json_set_text(map, name, id);
	}
}

/* ---- groups ---- */

static const json_t *parents_of(const struct inventory *inv, const char *group)
{
	return json_object_get(inventory_spec(inv, MANIFEST_GROUP, group),
			       "parents");
}

/* Whether every parent that there is has a level below this one. */
static bool parents_are_below(const struct inventory *inv, const json_t *levels,
			      const char *group, int level)
{
	const json_t *parent;
	size_t at;

	json_array_foreach(parents_of(inv, group), at, parent) {
		const char *name = json_string_value(parent);

		if (inventory_find(inv, MANIFEST_GROUP, name) &&
		    json_int(levels, name, INT64_MAX) >= level)
			return false;
	}
	return true;
}

static void settle_level(const struct inventory *inv, const json_t *groups,
			 json_t *levels, int level)
{
	const json_t *group;
	size_t at;

	json_array_foreach(groups, at, group) {
		const char *name = json_string_value(group);

		if (!json_object_get(levels, name) &&
		    parents_are_below(inv, levels, name, level))
			json_set_int(levels, name, level);
	}
}

/*
 * Groups without parents have level 0, others are one above their highest
 * parent.  What has no level then is in a cycle or too deep.  This takes the
 * same time however the groups are nested.
 */
static bool check_nesting(const struct inventory *inv, json_t *faults)
{
	CLEANUP(json_put_p) json_t *groups = names_of(inv, MANIFEST_GROUP);
	CLEANUP(json_put_p) json_t *levels = json_object();
	const json_t *group;
	bool sound = true;
	size_t at;

	for (int level = 0; level <= NESTING_MAX; level++)
		settle_level(inv, groups, levels, level);
	json_array_foreach(groups, at, group) {
		const char *name = json_string_value(group);
		CLEANUP(mem_free_p) char *id = mem_format("Group/%s", name);

		if (json_object_get(levels, name))
			continue;
		sound = false;
		fault(faults, id,
		      mem_format("spec.parents: a cycle of groups, or more "
				 "than %d deep",
				 NESTING_MAX));
	}
	return sound;
}

static void add_member(struct inventory *inv, const char *group,
		       const char *human)
{
	json_t *list = json_object_get(inv->members, group);

	if (!list) {
		list = json_array();
		json_set_new(inv->members, group, list);
	}
	json_array_append_new(list, json_string(human));
}

/* done: the groups that have this human already.  Groups are not cyclic. */
static void add_to_groups(struct inventory *inv, const char *human,
			  const json_t *groups, json_t *done)
{
	const json_t *element;
	size_t at;

	json_array_foreach(groups, at, element) {
		const char *group = json_string_value(element);

		if (json_object_get(done, group))
			continue;
		json_set_flag(done, group, true);
		add_member(inv, group, human);
		add_to_groups(inv, human, parents_of(inv, group), done);
	}
}

static void fill_members(struct inventory *inv)
{
	CLEANUP(json_put_p) json_t *humans = names_of(inv, MANIFEST_HUMAN);
	const json_t *human;
	size_t at;

	json_array_foreach(humans, at, human) {
		CLEANUP(json_put_p) json_t *done = json_object();
		const char *name = json_string_value(human);
		const json_t *spec = inventory_spec(inv, MANIFEST_HUMAN, name);

		add_to_groups(inv, name, json_object_get(spec, "groups"), done);
	}
}

/* ---- building ---- */

/* A key that nobody can sign with must not pass for one. */
static void check_keys(const char *id, const json_t *keys, json_t *faults)
{
	const json_t *line;
	struct ssh_key key;
	size_t at;

	json_array_foreach(keys, at, line) {
		if (ssh_key_parse(json_string_value(line), &key) < 0)
			fault(faults, id,
			      mem_format("spec.keys[%zu]: %s", at,
					 error_message()));
	}
}

static void check_times(const char *id, const json_t *spec, json_t *faults)
{
	int64_t begin = 0;
	int64_t end = 0;

	if (clock_parse(json_text(spec, "begin", ""), &begin) < 0 ||
	    clock_parse(json_text(spec, "end", ""), &end) < 0 || end <= begin)
		fault(faults, id, mem_str("spec.end: must be after begin"));
}

/* What the rules of a target match, in the spelling that is compared. */
static json_t *folded_rules(const json_t *spec)
{
	static const char *const members[] = { "resource", "suffix" };
	json_t *rules = json_array();
	const json_t *rule;
	size_t at;

	json_array_foreach(json_array_in(spec, "classification"), at, rule) {
		const json_t *match = json_object_in(rule, "match");
		json_t *row = json_object();

		json_array_append_new(rules, row);
		for (size_t i = 0; i < ARRAY_LEN(members); i++) {
			const char *text = json_text(match, members[i], NULL);
			CLEANUP(mem_free_p)
			char *name = text ? folded(text) : NULL;

			json_set_text(row, members[i], name);
		}
		json_set_text(row, "type", json_text(match, "type", NULL));
	}
	return rules;
}

static void enter_human(struct inventory *inv, const char *id,
			const json_t *spec, json_t *faults)
{
	check_keys(id, json_object_get(spec, "keys"), faults);
	claim(inv->accounts, json_object_get(spec, "accounts"), id, "account",
	      faults);
}

static void enter_agent(struct inventory *inv, const char *id,
			const json_t *spec, json_t *faults)
{
	claim(inv->identities, json_object_get(spec, "identities"), id,
	      "identity", faults);
	claim(inv->accounts, json_object_get(spec, "accounts"), id, "account",
	      faults);
}

static void enter(struct inventory *inv, const char *id, const json_t *manifest,
		  json_t *faults)
{
	enum manifest_kind kind = MANIFEST_AGENT;
	const json_t *spec = json_object_get(manifest, "spec");

	manifest_kind_find(json_text(manifest, "kind", NULL), &kind);
	check_references(inv, id, kind, spec, faults);
	check_nested(inv, id, spec, faults);
	if (kind == MANIFEST_DETECTOR)
		check_keys(id, json_object_get(spec, "keys"), faults);
	if (kind == MANIFEST_CHANGE_FREEZE) {
		check_times(id, spec, faults);
		json_array_append(inv->freezes, (json_t *)(uintptr_t)spec);
	}
	if (kind == MANIFEST_HUMAN)
		enter_human(inv, id, spec, faults);
	if (kind == MANIFEST_AGENT)
		enter_agent(inv, id, spec, faults);
	if (kind == MANIFEST_TARGET) {
		credential_check(id, spec, faults);
		json_set_new(inv->rules, name_of(id), folded_rules(spec));
	}
}

void inventory_build(json_t *manifests, struct inventory **ret_inventory,
		     json_t **ret_faults)
{
	CLEANUP(inventory_unref_p)
	struct inventory *inv = mem_new(struct inventory);
	json_t *faults = json_array();
	const char *id;
	json_t *manifest;

	inv->references = 1;
	inv->manifests = json_incref(manifests);
	inv->identities = json_object();
	inv->accounts = json_object();
	inv->members = json_object();
	inv->rules = json_object();
	inv->freezes = json_array();
	json_object_foreach(manifests, id, manifest)
		enter(inv, id, manifest, faults);
	inv->oidc = identities_new(manifests, faults);
	if (check_nesting(inv, faults))
		fill_members(inv);
	*ret_inventory = json_array_size(faults) ? NULL : TAKE(inv);
	*ret_faults = faults;
}

struct inventory *inventory_ref(struct inventory *inv)
{
	inv->references++;
	return inv;
}

void inventory_unref(struct inventory *inv)
{
	if (!inv || --inv->references > 0)
		return;
	json_decref(inv->manifests);
	json_decref(inv->identities);
	json_decref(inv->accounts);
	json_decref(inv->members);
	json_decref(inv->rules);
	json_decref(inv->freezes);
	identities_free(inv->oidc);
	free(inv);
}

/* ---- look-ups ---- */

const char *inventory_agent_of(const struct inventory *inv,
			       const char *spiffe_id)
{
	CLEANUP(mem_free_p) char *name = folded(spiffe_id);
	const char *id = json_text(inv->identities, name, NULL);

	/* Found without case, but its path is compared with it (SPIFFE-ID
	 * section 2.4). */
	if (!id ||
	    !json_has_text(
		    json_object_get(
			    json_object_get(json_object_get(inv->manifests, id),
					    "spec"),
			    "identities"),
		    spiffe_id))
		return NULL;
	return name_of(id);
}

const char *inventory_agent_of_claims(const struct inventory *inv,
				      const char *issuer, const json_t *claims,
				      bool *ret_several)
{
	return identities_agent(inv->oidc, issuer, claims, ret_several);
}

const char *inventory_owner_of_account(const struct inventory *inv,
				       const char *account, bool *ret_agent)
{
	CLEANUP(mem_free_p) char *name = folded(account);
	const char *id = json_text(inv->accounts, name, NULL);

	*ret_agent = id && !strncmp(id, "Agent/", 6);
	return name_of(id);
}

static bool spec_is_active(const json_t *spec)
{
	return spec && !strcmp(json_text(spec, "status", "active"), "active");
}

bool inventory_human_is_active(const struct inventory *inv, const char *human)
{
	return spec_is_active(inventory_spec(inv, MANIFEST_HUMAN, human));
}

const char *inventory_agent_fault(const struct inventory *inv,
				  const char *agent, int64_t now_ms)
{
	const json_t *spec = inventory_spec(inv, MANIFEST_AGENT, agent);
	int64_t expires;

	if (!spec)
		return "no such agent";
	if (!spec_is_active(spec))
		return "the agent is not active";
	if (clock_parse(json_text(spec, "expires", ""), &expires) < 0 ||
	    now_ms >= expires)
		return "the agent has expired";
	if (!inventory_human_is_active(inv, json_text(spec, "owner", "")))
		return "the agent has no active owner";
	return NULL;
}

char *inventory_spelling(const char *name)
{
	return folded(name);
}

bool inventory_is_frozen(const struct inventory *inv, const char *domain,
			 int64_t now_ms)
{
	const json_t *spec;
	size_t at;

	json_array_foreach(inv->freezes, at, spec) {
		const json_t *domains = json_object_get(spec, "domains");
		int64_t begin;
		int64_t end;

		if (domains && !json_has_text(domains, domain))
			continue;
		/* What cannot be read is in force. */
		if (clock_parse(json_text(spec, "begin", ""), &begin) < 0 ||
		    clock_parse(json_text(spec, "end", ""), &end) < 0 ||
		    (now_ms >= begin && now_ms < end))
			return true;
	}
	return false;
}

bool inventory_is_member(const struct inventory *inv, const char *human,
			 const char *group)
{
	return human && group &&
	       json_has_text(json_object_get(inv->members, group), human);
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

size_t inventory_members(const struct inventory *inv, const char *group,
			 const char **names, size_t max)
{
	const json_t *list = json_object_get(inv->members, group);
	const json_t *element;
	size_t count = 0;
	size_t at;

	json_array_foreach(list, at, element) {
		if (count < max)
			names[count++] = json_string_value(element);
	}
	qsort(names, count, sizeof(*names), compare_names);
	return count;
}

size_t inventory_administrators(const struct inventory *inv)
{
	const json_t *list = json_object_get(inv->members, "administrators");
	const json_t *element;
	size_t count = 0;
	size_t at;

	json_array_foreach(list, at, element) {
		const json_t *spec = inventory_spec(inv, MANIFEST_HUMAN,
						    json_string_value(element));

		if (spec_is_active(spec) &&
		    json_array_size(json_object_get(spec, "keys")) > 0)
			count++;
	}
	return count;
}

/* ---- classification ---- */

/* Whether the character at is one that a backslash protects. */
static bool is_escaped(const char *text, const char *at)
{
	const char *c = at;

	while (c > text && c[-1] == '\\')
		c--;
	return (at - c) % 2;
}

/* Whether text ends in suffix as a name below it does: at a comma. */
static bool ends_in(const char *text, const char *suffix)
{
	size_t length = strlen(text);
	size_t tail = strlen(suffix);
	const char *end;

	if (length < tail || strcmp(text + length - tail, suffix) != 0)
		return false;
	if (length == tail)
		return true;
	end = text + length - tail;
	if (*suffix != ',')
		end--;
	return *end == ',' && !is_escaped(text, end);
}

/* rule: of folded_rules(); resource is folded. */
static bool rule_fits(const json_t *rule, const char *type,
		      const char *resource)
{
	const char *exact = json_text(rule, "resource", NULL);
	const char *suffix = json_text(rule, "suffix", NULL);
	const char *wanted = json_text(rule, "type", NULL);

	return (!exact || !strcmp(exact, resource)) &&
	       (!suffix || ends_in(resource, suffix)) &&
	       (!wanted || !strcmp(wanted, type));
}

/* The first rule of a target that fits, or NULL. */
static const json_t *find_rule(const struct inventory *inv, const char *target,
			       const char *type, const char *resource)
{
	CLEANUP(mem_free_p) char *name = folded(resource);
	const json_t *rule;
	size_t at;

	json_array_foreach(json_object_get(inv->rules, target), at, rule) {
		if (rule_fits(rule, type, name))
			return json_array_get(
				json_object_get(inventory_spec(inv,
							       MANIFEST_TARGET,
							       target),
						"classification"),
				at);
	}
	return NULL;
}

static void raise_to(struct classification *c, const json_t *rule)
{
	int tier = (int)json_int(rule, "tier", TIER_HIGHEST);
	int sensitivity =
		(int)json_int(rule, "sensitivity", SENSITIVITY_HIGHEST);

	c->matched = c->matched && rule;
	c->tier = tier > c->tier ? tier : c->tier;
	c->sensitivity =
		sensitivity > c->sensitivity ? sensitivity : c->sensitivity;
	c->sign_off = c->sign_off || json_flag(rule, "signOff", false);
}

bool inventory_classify(const struct inventory *inv, const char *target,
			const char *type, const char *resource,
			const json_t *nested_in, struct classification *ret)
{
	const json_t *spec = inventory_spec(inv, MANIFEST_TARGET, target);
	const json_t *rule;
	const json_t *above;
	size_t at;

	if (!spec)
		return false;
	rule = find_rule(inv, target, type, resource);
	*ret = (struct classification){
		.environment =
			json_text(rule, "environment",
				  json_text(spec, "environment", "prod")),
		.plane = json_text(spec, "plane", ""),
		.domain = json_text(spec, "domain", ""),
		.matched = true,
	};
	raise_to(ret, rule);
	json_array_foreach(nested_in, at, above)
		raise_to(ret, find_rule(inv, target, type,
					json_string_value(above)));
	return true;
}

/* ---- entities ---- */

static void add_group(json_t *out, const char *name, const json_t *spec)
{
	json_t *e = entity_new("Group", name);

	entity_parents(e, "Group", json_object_get(spec, "parents"));
	json_array_append_new(out, e);
}

static void add_human(json_t *out, const char *name, const json_t *spec)
{
	json_t *e = entity_new("Human", name);

	entity_attr(e, "status",
		    entity_ref("Status", json_text(spec, "status", "active")));
	entity_parents(e, "Group", json_object_get(spec, "groups"));
	json_array_append_new(out, e);
}

static void add_agent(json_t *out, const char *name, const json_t *spec)
{
	json_t *e = entity_new("Agent", name);

	entity_attr(e, "owner",
		    entity_ref("Human", json_text(spec, "owner", "")));
	entity_attr(e, "status",
		    entity_ref("Status", json_text(spec, "status", "active")));
	entity_attr(e, "capabilities",
		    entity_refs("Capability",
				json_object_get(spec, "capabilities")));
	entity_attr(e, "clearance",
		    json_integer(json_int(spec, "clearance", 0)));
	entity_attr(e, "maxDelegationDepth",
		    json_integer(json_int(spec, "maxDelegationDepth", 0)));
	json_array_append_new(out, e);
}

static void add_plane(json_t *out, const char *name, const json_t *spec)
{
	json_t *e = entity_new("Plane", name);

	entity_attr(e, "sensitivity",
		    json_integer(json_int(spec, "sensitivity",
					  SENSITIVITY_HIGHEST)));
	json_array_append_new(out, e);
}

static void add_domain(json_t *out, const char *name, const json_t *spec)
{
	json_t *e = entity_new("Domain", name);

	entity_attr(e, "approvers",
		    json_string(json_text(spec, "approvers", "")));
	json_array_append_new(out, e);
}

static void add_task_class(json_t *out, const char *name, const json_t *spec)
{
	json_t *e = entity_new("TaskClass", name);

	entity_attr(e, "owner",
		    entity_ref("Human", json_text(spec, "owner", "")));
	entity_attr(e, "domain",
		    entity_ref("Domain", json_text(spec, "domain", "")));
	entity_attr(e, "planes",
		    entity_refs("Plane", json_object_get(spec, "planes")));
	entity_attr(e, "maxTier", json_integer(json_int(spec, "maxTier", 0)));
	entity_attr(e, "openers",
		    entity_refs("Agent", json_object_get(spec, "openers")));
	entity_attr(e, "longest",
		    entity_duration(json_text(spec, "longest", "0s")));
	entity_attr(e, "needsMonitoring",
		    json_boolean(json_object_in(spec, "monitoring") != NULL));
	json_array_append_new(out, e);
}

static const struct {
	enum manifest_kind kind;
	void (*add)(json_t *out, const char *name, const json_t *spec);
} entity_makers[] = {
	{ MANIFEST_GROUP, add_group },
	{ MANIFEST_HUMAN, add_human },
	{ MANIFEST_AGENT, add_agent },
	{ MANIFEST_PLANE, add_plane },
	{ MANIFEST_DOMAIN, add_domain },
	{ MANIFEST_TASK_CLASS, add_task_class },
};

json_t *inventory_class_entity(const char *name, const json_t *spec)
{
	CLEANUP(json_put_p) json_t *list = json_array();

	add_task_class(list, name, spec);
	return json_incref(json_array_get(list, 0));
}

json_t *inventory_entities(const struct inventory *inv)
{
	json_t *out = json_array();
	const char *id;
	json_t *manifest;

	json_object_foreach(inv->manifests, id, manifest) {
		enum manifest_kind kind = MANIFEST_KIND_COUNT;

		manifest_kind_find(json_text(manifest, "kind", NULL), &kind);
		for (size_t i = 0; i < ARRAY_LEN(entity_makers); i++) {
			if (entity_makers[i].kind == kind)
				entity_makers[i].add(
					out, name_of(id),
					json_object_get(manifest, "spec"));
		}
	}
	return out;
}
