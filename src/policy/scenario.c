#include "policy/scenario.h"

#include "base/error.h"
#include "base/mem.h"

enum { NESTING_MAX = 16 }; /* groups within groups */

#define NAMESPACE "Gov::"

/* How a short value is written out. */
enum form {
	ENTITY,	  /* a name: an entity of the type */
	SET,	  /* names: a set of such */
	DATETIME, /* a text */
	DURATION, /* a text */
	ADDRESS,  /* a text */
	PLAIN,	  /* as it is */
};

/* One member of an entity or of the facts; type NULL stands for the facts and
 * "*" for every kind of resource.  Members that have no row are PLAIN. */
struct row {
	const char *type;
	const char *member;
	enum form form;
	const char *of;	      /* entity type */
	const char *fallback; /* JSON of the value when it is absent */
};

static const struct row rows[] = {
	{ "Human", "status", ENTITY, "Status", "\"active\"" },
	{ "Agent", "owner", ENTITY, "Human", NULL },
	{ "Agent", "status", ENTITY, "Status", "\"active\"" },
	{ "Agent", "capabilities", SET, "Capability", NULL },
	{ "TaskClass", "owner", ENTITY, "Human", NULL },
	{ "TaskClass", "domain", ENTITY, "Domain", NULL },
	{ "TaskClass", "planes", SET, "Plane", NULL },
	{ "TaskClass", "openers", SET, "Agent", NULL },
	{ "TaskClass", "longest", DURATION, NULL, NULL },
	{ "TaskClass", "needsMonitoring", PLAIN, NULL, "false" },
	{ "Task", "class", ENTITY, "TaskClass", NULL },
	{ "Task", "declaredPlanes", SET, "Plane", NULL },
	{ "Task", "expiresAt", DATETIME, NULL, NULL },
	{ "Exception", "expiresAt", DATETIME, NULL, NULL },
	{ "Request", "requester", ENTITY, "Agent", NULL },
	{ "Request", "task", ENTITY, "Task", NULL },
	{ "Request", "barred", SET, "Human", NULL },
	{ "Request", "expiresAt", DATETIME, NULL, NULL },
	{ "Manifest", "kind", ENTITY, "ManifestKind", NULL },
	{ "*", "plane", ENTITY, "Plane", NULL },
	{ "*", "domain", ENTITY, "Domain", NULL },
	{ "*", "environment", ENTITY, "Environment", "\"test\"" },
	{ "*", "signOff", PLAIN, NULL, "false" },
	{ NULL, "now", DATETIME, NULL, NULL },
	{ NULL, "exception", ENTITY, "Exception", NULL },
	{ NULL, "mode", ENTITY, "Mode", NULL },
	{ NULL, "task", ENTITY, "Task", NULL },
	{ NULL, "ttl", DURATION, NULL, NULL },
	{ NULL, "gainsHumans", SET, "Human", NULL },
	{ NULL, "gainsAgents", SET, "Agent", NULL },
	{ NULL, "evidence", SET, "Evidence", NULL },
	{ NULL, "planes", SET, "Plane", NULL },
	{ NULL, "sourceIp", ADDRESS, NULL, NULL },
};

/* Types of the world that are no resources of a change. */
static const char *const other_types[] = {
	"Group", "Human",     "Agent",	   "Plane",   "Domain",
	"Task",	 "TaskClass", "Exception", "Request", "Manifest",
};

static bool is_resource(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(other_types); i++)
		if (!strcmp(type, other_types[i]))
			return false;
	return true;
}

/* ---- values ---- */

static json_t *uid_of(const char *type, const char *id)
{
	CLEANUP(mem_free_p) char *full = mem_format(NAMESPACE "%s", type);

	return json_pack("{s:s, s:s}", "type", full, "id", id);
}

static json_t *entity_of(const char *type, const char *id)
{
	return json_pack("{s:o}", "__entity", uid_of(type, id));
}

static json_t *call_of(const char *function, const char *arg)
{
	return json_pack("{s:{s:s, s:s}}", "__extn", "fn", function, "arg",
			 arg);
}

static json_t *set_of(const char *type, const json_t *names)
{
	json_t *set = json_array();

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		json_array_append_new(set, entity_of(type, name ? name : ""));
	}
	return set;
}

static json_t *write_out(const struct row *row, json_t *value)
{
	const char *text = json_string_value(value);

	if (row->form == SET)
		return set_of(row->of, value);
	if (row->form == PLAIN || !text)
		return json_incref(value);
	if (row->form == ENTITY)
		return entity_of(row->of, text);
	if (row->form == ADDRESS)
		return call_of("ip", text);
	return call_of(row->form == DATETIME ? "datetime" : "duration", text);
}

static bool fits(const struct row *row, const char *type)
{
	if (!row->type || !type)
		return row->type == type;
	if (!strcmp(row->type, "*"))
		return is_resource(type);
	return !strcmp(row->type, type);
}

static const struct row *find_row(const char *type, const char *member)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (fits(&rows[i], type) && !strcmp(rows[i].member, member))
			return &rows[i];
	return NULL;
}

/* Members of an entity or of the facts; owned object. */
static json_t *members_of(const char *type, json_t *value)
{
	json_t *members = json_object();
	const char *name;
	json_t *member;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (fits(&rows[i], type) && rows[i].fallback &&
		    !json_object_get(value, rows[i].member)) {
			CLEANUP(json_put_p)
			json_t *fallback = json_loads(rows[i].fallback,
						      JSON_DECODE_ANY, NULL);

			json_object_set_new(members, rows[i].member,
					    write_out(&rows[i], fallback));
		}
	json_object_foreach(value, name, member) {
		const struct row *row = find_row(type, name);

		json_object_set_new(members, name,
				    row ? write_out(row, member)
					: json_incref(member));
	}
	return members;
}

/* ---- entities ---- */

static json_t *write_entity(const char *type, const char *id, json_t *value)
{
	CLEANUP(json_put_p) json_t *own = json_copy(value);
	json_t *parents = set_of("Group", json_object_get(value, "parents"));

	json_object_del(own, "parents");
	return json_pack("{s:o, s:o, s:o}", "uid", uid_of(type, id), "attrs",
			 members_of(type, own), "parents", parents);
}

int scenario_entities(const json_t *file, json_t **ret_entities)
{
	json_t *types = json_object_in(file, "entities");
	CLEANUP(json_put_p) json_t *entities = json_array();
	const char *type;
	const char *id;
	json_t *all;
	json_t *one;

	if (!types)
		return error_set(ERR_SYNTAX, "scenarios without entities");
	json_object_foreach(types, type, all) {
		if (!json_is_object(all))
			return error_set(ERR_SYNTAX, "entities of %s", type);
		json_object_foreach(all, id, one) {
			if (!json_is_object(one))
				return error_set(ERR_SYNTAX, "%s %s", type, id);
			json_array_append_new(entities,
					      write_entity(type, id, one));
		}
	}
	*ret_entities = TAKE(entities);
	return 0;
}

/* A member of an entity of the file, NULL if there is none. */
static const json_t *lookup(const json_t *file, const char *type,
			    const char *id, const char *member)
{
	const json_t *all =
		json_object_get(json_object_get(file, "entities"), type);

	return json_object_get(json_object_get(all, id), member);
}

/* ---- facts and asks ---- */

int scenario_facts(const json_t *file, const json_t *scenario,
		   json_t **ret_facts)
{
	const json_t *with = json_object_get(scenario, "with");
	CLEANUP(json_put_p)
	json_t *facts = json_copy(json_object_get(file, "defaults"));
	json_t *own = json_object_get(scenario, "ctx");

	if (!facts)
		return error_set(ERR_SYNTAX, "scenarios without defaults");
	for (size_t i = 0; i < json_array_size(with); i++) {
		const char *name = json_string_value(json_array_get(with, i));
		json_t *preset =
			name ? json_object_get(json_object_get(file, "presets"),
					       name)
			     : NULL;

		if (!preset)
			return error_set(ERR_SYNTAX, "no preset '%s'",
					 name ? name : "");
		json_object_update(facts, preset);
	}
	if (own)
		json_object_update(facts, own);
	*ret_facts = TAKE(facts);
	return 0;
}

static void add_once(json_t *names, const json_t *name)
{
	const char *text = json_string_value(name);

	if (text && !json_has_text(names, text))
		json_array_append_new(names, json_string(text));
}

static void add_owner(json_t *barred, const json_t *file, const json_t *agent)
{
	const char *name = json_string_value(agent);

	if (name)
		add_once(barred, lookup(file, "Agent", name, "owner"));
}

/* Owners of the agent, of the task and of the chain, who gains, who vouched. */
static json_t *barred_of(const json_t *file, const json_t *scenario,
			 const json_t *facts)
{
	const json_t *chain =
		json_object_get(json_object_get(facts, "delegation"), "chain");
	const json_t *humans = json_object_get(facts, "gainsHumans");
	const json_t *agents = json_object_get(facts, "gainsAgents");
	const json_t *vouched = json_object_get(facts, "vouched");
	const json_t *class =
		lookup(file, "Task", json_text(facts, "task", ""), "class");
	json_t *barred = json_array();

	add_owner(barred, file, json_object_get(scenario, "p"));
	if (class)
		add_once(barred, lookup(file, "TaskClass",
					json_string_value(class), "owner"));
	for (size_t i = 0; i < json_array_size(chain); i++)
		add_owner(barred, file, json_array_get(chain, i));
	for (size_t i = 0; i < json_array_size(humans); i++)
		add_once(barred, json_array_get(humans, i));
	for (size_t i = 0; i < json_array_size(agents); i++)
		add_owner(barred, file, json_array_get(agents, i));
	for (size_t i = 0; i < json_array_size(vouched); i++)
		add_once(barred, json_array_get(vouched, i));
	return barred;
}

static json_t *pending_of(const json_t *file, const json_t *scenario,
			  const json_t *facts)
{
	CLEANUP(json_put_p)
	json_t *value = json_pack("{s:O, s:O, s:o, s:s}", "requester",
				  json_object_get(scenario, "p"), "task",
				  json_object_get(facts, "task"), "barred",
				  barred_of(file, scenario, facts), "expiresAt",
				  "2999-01-01T00:00:00Z");

	return write_entity("Request", "pending", value);
}

static json_t *ledger_of(json_t *tags)
{
	return json_pack("{s:o, s:{}, s:[], s:O}", "uid",
			 uid_of("Ledger", "this"), "attrs", "parents", "tags",
			 tags);
}

/* The context of an agent's action. */
static json_t *agent_context(const json_t *facts)
{
	json_t *context = members_of(NULL, (json_t *)(uintptr_t)facts);
	const json_t *delegation = json_object_get(facts, "delegation");
	json_t *written = json_copy(json_object_get(facts, "delegation"));

	json_object_del(context, "vouched");
	json_object_set_new(context, "approvals", entity_of("Ledger", "this"));
	json_object_set_new(
		written, "chain",
		set_of("Agent", json_object_get(delegation, "chain")));
	json_object_set_new(context, "delegation", written);
	return context;
}

static json_t *human_context(const json_t *scenario, const json_t *facts)
{
	json_t *now = call_of("datetime", json_text(facts, "now", ""));

	if (!strcmp(json_text(scenario, "a", ""), "Approve"))
		return json_pack(
			"{s:o, s:o, s:b}", "now", now, "forGroup",
			entity_of("Group", json_text(scenario, "forGroup", "")),
			"stepUp", json_flag(scenario, "stepUp", true));
	return json_pack("{s:o, s:o, s:b}", "now", now, "signatures",
			 entity_of("Ledger", "this"), "containing",
			 json_flag(scenario, "containing", false));
}

int scenario_ask(const json_t *file, const json_t *scenario,
		 const json_t *facts, json_t **ret_ask)
{
	const json_t *r = json_array_in(scenario, "r");
	const char *type = json_string_value(json_array_get(r, 0));
	const char *id = json_string_value(json_array_get(r, 1));
	const char *human = json_text(scenario, "human", NULL);
	const char *agent = json_text(scenario, "p", NULL);
	json_t *tags = json_object_get(scenario, "signatures");
	json_t *entities;

	if (!type || !id || !human == !agent || !json_text(scenario, "a", NULL))
		return error_set(ERR_SYNTAX,
				 "a case needs a, r, and p or human");
	tags = tags ? tags : json_object_get(facts, "approvals");
	if (!json_is_object(tags))
		return error_set(ERR_SYNTAX, "a case without approvals");
	entities = json_pack("[o]", ledger_of(tags));
	if (agent)
		json_array_append_new(entities,
				      pending_of(file, scenario, facts));
	*ret_ask = json_pack(
		"{s:o, s:s, s:o, s:o, s:o}", "principal",
		human ? uid_of("Human", human) : uid_of("Agent", agent),
		"action", json_text(scenario, "a", ""), "resource",
		uid_of(type, id), "context",
		human ? human_context(scenario, facts) : agent_context(facts),
		"entities", entities);
	return *ret_ask ? 0 : error_set(ERR_SYNTAX, "a case that is no ask");
}

json_t *scenario_links(const json_t *scenario)
{
	const json_t *links = json_object_get(scenario, "links");
	json_t *written = json_array();

	for (size_t i = 0; i < json_array_size(links); i++) {
		const json_t *link = json_array_get(links, i);
		const char *template = json_text(link, "template", "");
		CLEANUP(mem_free_p)
		char *id = mem_format("link%zu-%s", i, template);
		json_t *out =
			json_pack("{s:s, s:s}", "id", id, "template", template);
		static const char *const slots[] = { "principal", "resource" };

		for (size_t k = 0; k < ARRAY_LEN(slots); k++) {
			const json_t *to = json_object_get(link, slots[k]);
			const char *type =
				json_string_value(json_array_get(to, 0));
			const char *name =
				json_string_value(json_array_get(to, 1));

			if (type && name)
				json_object_set_new(out, slots[k],
						    uid_of(type, name));
		}
		json_array_append_new(written, out);
	}
	return written;
}

static bool is_within(const json_t *file, const json_t *parents,
		      const char *group, int depth)
{
	if (depth == 0)
		return false;
	for (size_t i = 0; i < json_array_size(parents); i++) {
		const char *parent =
			json_string_value(json_array_get(parents, i));

		if (!parent)
			continue;
		if (!strcmp(parent, group) ||
		    is_within(file, lookup(file, "Group", parent, "parents"),
			      group, depth - 1))
			return true;
	}
	return false;
}

size_t scenario_members(void *cookie, const char *group, const char **names,
			size_t max)
{
	const json_t *file = cookie;
	json_t *humans =
		json_object_get(json_object_get(file, "entities"), "Human");
	const char *name;
	json_t *human;
	size_t count = 0;

	json_object_foreach(humans, name, human) {
		if (count < max &&
		    is_within(file, json_object_get(human, "parents"), group,
			      NESTING_MAX))
			names[count++] = name;
	}
	return count;
}
