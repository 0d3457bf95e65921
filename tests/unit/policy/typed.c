#include "typed.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"

static const json_t *member(const json_t *value, const char *name)
{
	const json_t *found = json_object_get(value, name);
	const json_t *inner = json_object_get(found, "__entity");

	return inner ? inner : found;
}

static const char *id_of(const json_t *value, const char *name)
{
	return json_text(member(value, name), "id", "");
}

static const char *argument(const json_t *value, const char *name)
{
	return json_text(json_object_get(member(value, name), "__extn"), "arg",
			 "");
}

static int64_t time_of(const json_t *value, const char *name)
{
	int64_t ms = 0;

	assert(clock_parse(argument(value, name), &ms) == 0);
	return ms;
}

static struct policy_names names_of(struct typed *t, const json_t *value,
				    const char *name)
{
	const json_t *array = json_object_get(value, name);
	struct policy_names names = { .list = t->names + t->name_count };
	const json_t *item;
	size_t at;

	json_array_foreach(array, at, item) {
		assert(t->name_count < ARRAY_LEN(t->names));
		t->names[t->name_count++] =
			json_text(json_object_get(item, "__entity"), "id", "");
		names.count++;
	}
	return names;
}

static bool same_uid(const json_t *a, const json_t *b)
{
	return json_equal((json_t *)(uintptr_t)a, (json_t *)(uintptr_t)b);
}

/* An entity of an array. */
static json_t *entity_in(const json_t *entities, const json_t *uid)
{
	json_t *entity;
	size_t at;

	json_array_foreach(entities, at, entity) {
		if (same_uid(json_object_get(entity, "uid"), uid))
			return entity;
	}
	return NULL;
}

static const json_t *attrs_in(const json_t *ask, const json_t *uid)
{
	return json_object_get(entity_in(json_object_get(ask, "entities"), uid),
			       "attrs");
}

static const json_t *of_type(const json_t *ask, const char *type)
{
	const json_t *entity;
	size_t at;

	json_array_foreach(json_object_get(ask, "entities"), at, entity) {
		if (!strcmp(json_text(json_object_get(entity, "uid"), "type",
				      ""),
			    type))
			return entity;
	}
	return NULL;
}

static bool is_sayable(const json_t *context, const json_t *resource)
{
	const json_t *delegation = json_object_get(context, "delegation");

	return !json_object_get(context, "exception") &&
	       !json_object_get(context, "tool") &&
	       !json_object_get(context, "sourceIp") &&
	       json_flag(context, "chainHealthy", false) &&
	       json_int(delegation, "depth", -1) == 0 &&
	       json_flag(delegation, "attenuated", false) &&
	       json_array_size(json_object_get(delegation, "chain")) == 0 &&
	       (size_t)json_int(context, "planeCount", -1) ==
		       json_array_size(json_object_get(context, "planes")) &&
	       (!resource || json_object_size(resource) == 6);
}

static void read_context(struct typed *t, const json_t *context)
{
	const json_t *local = json_object_get(context, "local");
	const json_t *risk = json_object_get(context, "risk");
	const json_t *counters = json_object_get(context, "counters");
	struct policy_question *q = &t->question;

	q->now_ms = time_of(context, "now");
	q->weekday = json_int(local, "weekday", 0);
	q->hour = json_int(local, "hour", 0);
	assert(clock_parse_duration(argument(context, "ttl"), &q->ttl_s) == 0);
	q->blast_radius = json_int(context, "blastRadius", 0);
	q->risk_score = json_int(risk, "score", 0);
	q->risk_signals = json_int(risk, "signals", 0);
	q->privileged_24h = json_int(counters, "privileged24h", 0);
	q->irreversible_24h = json_int(counters, "irreversible24h", 0);
	q->planes_24h = json_int(counters, "planes24h", 0);
	q->gains_humans = names_of(t, context, "gainsHumans");
	q->gains_agents = names_of(t, context, "gainsAgents");
	q->evidence = names_of(t, context, "evidence");
	q->planes = names_of(t, context, "planes");
	q->change_freeze = json_flag(context, "changeFreeze", false);
	q->attested = json_flag(context, "attested", false);
	q->recommend = !strcmp(id_of(context, "mode"), "recommend");
	q->covered = json_flag(context, "covered", false);
	q->monitored = json_flag(context, "monitored", false);
	q->reversible = json_flag(context, "reversible", false);
	q->self_dealing = json_flag(context, "selfDealing", false);
	q->own_rollback = json_flag(context, "ownRollback", false);
}

static void read_resource(struct policy_question *q, const json_t *attrs)
{
	q->classified = attrs != NULL;
	q->plane = id_of(attrs, "plane");
	q->domain = id_of(attrs, "domain");
	q->environment = id_of(attrs, "environment");
	q->tier = json_int(attrs, "tier", 0);
	q->sensitivity = json_int(attrs, "sensitivity", 0);
	q->sign_off = json_flag(attrs, "signOff", false);
}

static void read_people(struct typed *t, const json_t *ask)
{
	const json_t *request =
		json_object_get(of_type(ask, "Gov::Request"), "attrs");
	json_t *tags = json_object_get(of_type(ask, "Gov::Ledger"), "tags");
	struct policy_question *q = &t->question;
	const char *group;
	const json_t *count;

	q->barred = names_of(t, request, "barred");
	if (request)
		q->request_expires_ms = time_of(request, "expiresAt");
	q->approvals.list = t->counts;
	json_object_foreach(tags, group, count) {
		assert(q->approvals.count < ARRAY_LEN(t->counts));
		t->counts[q->approvals.count++] =
			(struct policy_count){ group,
					       json_integer_value(count) };
	}
}

bool typed_of(const json_t *ask, struct typed *ret)
{
	const json_t *context = json_object_get(ask, "context");
	const json_t *task = attrs_in(ask, member(context, "task"));
	const json_t *resource = attrs_in(ask, member(ask, "resource"));
	const char *type = json_text(member(ask, "resource"), "type", "");

	*ret = (struct typed){ .question.size = sizeof(ret->question) };
	if (!is_sayable(context, resource) || !task)
		return false;
	ret->question.agent = id_of(ask, "principal");
	ret->question.action = json_text(ask, "action", "");
	ret->question.resource_type = type + strlen("Gov::");
	ret->question.resource = id_of(ask, "resource");
	ret->question.task = id_of(context, "task");
	ret->question.task_class = id_of(task, "class");
	ret->question.declared_planes = names_of(ret, task, "declaredPlanes");
	ret->question.task_expires_ms = time_of(task, "expiresAt");
	read_context(ret, context);
	read_resource(&ret->question, resource);
	read_people(ret, ask);
	return true;
}

static bool is_inventory(const json_t *entity)
{
	static const char *const types[] = { "Gov::Group",  "Gov::Human",
					     "Gov::Agent",  "Gov::Plane",
					     "Gov::Domain", "Gov::TaskClass" };
	const char *type =
		json_text(json_object_get(entity, "uid"), "type", "");

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (!strcmp(types[i], type))
			return true;
	}
	return false;
}

json_t *typed_world(const json_t *entities)
{
	json_t *world = json_array();
	json_t *entity;
	size_t at;

	json_array_foreach(entities, at, entity) {
		if (is_inventory(entity))
			json_array_append(world, entity);
	}
	return world;
}

static void bring(json_t *ask, const json_t *entities, const json_t *uid)
{
	json_t *entity = uid ? entity_in(entities, uid) : NULL;

	if (entity && !is_inventory(entity))
		json_array_append(json_object_get(ask, "entities"), entity);
}

void typed_bring(json_t *ask, const json_t *entities)
{
	const json_t *context = json_object_get(ask, "context");

	bring(ask, entities, member(context, "task"));
	bring(ask, entities, member(ask, "resource"));
	bring(ask, entities, member(context, "exception"));
}
