#include "govern/ask.h"

#include "base/mem.h"
#include "govern/entity.h"

const struct fact_row *facts_table(size_t *ret_count)
{
	static const struct fact_row rows[] = {
#define FACT_ROW(name, source, unknown) { name, source, unknown },
		FACTS(FACT_ROW)
#undef FACT_ROW
	};

	*ret_count = ARRAY_LEN(rows);
	return rows;
}

void facts_init(struct facts *f)
{
	*f = (struct facts){
		.weekday = 7,
		.change_freeze = true,
		.blast_radius = INT32_MAX,
		.self_dealing = true,
		.risk_score = 100,
		.privileged_24h = INT32_MAX,
		.irreversible_24h = INT32_MAX,
		.planes_24h = INT32_MAX,
	};
}

static json_t *record(const char *name, int64_t value)
{
	json_t *object = json_object();

	json_set_int(object, name, value);
	return object;
}

static json_t *facts_local(const struct facts *f)
{
	json_t *local = record("weekday", f->weekday);

	json_set_int(local, "hour", f->hour);
	return local;
}

static json_t *facts_risk(const struct facts *f)
{
	json_t *risk = record("score", f->risk_score);

	json_set_int(risk, "signals", f->risk_signals);
	return risk;
}

static json_t *facts_counters(const struct facts *f)
{
	json_t *counters = record("privileged24h", f->privileged_24h);

	json_set_int(counters, "irreversible24h", f->irreversible_24h);
	json_set_int(counters, "planes24h", f->planes_24h);
	return counters;
}

static json_t *facts_delegation(const struct facts *f)
{
	json_t *delegation = record("depth", f->depth);

	json_set_flag(delegation, "attenuated", f->attenuated);
	json_set_new(delegation, "chain", entity_refs("Agent", f->chain));
	return delegation;
}

/* Planes of the whole chain, of which a task alone may have touched fewer. */
static int64_t facts_plane_count(const struct facts *f)
{
	int64_t own = (int64_t)json_array_size(f->planes);

	return f->plane_count > own ? f->plane_count : own;
}

static json_t *context_of(const struct facts *f, const char *task)
{
	json_t *c = json_object();

	json_set_new(c, "now", entity_time(f->now_ms));
	json_set_new(c, "local", facts_local(f));
	json_set_flag(c, "changeFreeze", f->change_freeze);
	json_set_flag(c, "attested", f->attested);
	json_set_new(
		c, "mode",
		entity_ref("Mode", f->recommend ? "recommend" : "execute"));
	json_set_new(c, "task", entity_ref("Task", task));
	json_set_flag(c, "covered", f->covered);
	json_set_flag(c, "monitored", f->monitored);
	json_set_new(c, "ttl", entity_seconds(f->ttl_s));
	json_set_flag(c, "reversible", f->reversible);
	json_set_int(c, "blastRadius", f->blast_radius);
	json_set_new(c, "gainsHumans", entity_refs("Human", f->gains_humans));
	json_set_new(c, "gainsAgents", entity_refs("Agent", f->gains_agents));
	json_set_flag(c, "selfDealing", f->self_dealing);
	json_set_flag(c, "ownRollback", f->own_rollback);
	json_set_new(c, "evidence", entity_refs("Evidence", f->evidence));
	json_set_new(c, "approvals", entity_ref("Ledger", "this"));
	json_set_new(c, "risk", facts_risk(f));
	if (f->exception)
		json_set_new(c, "exception",
			     entity_ref("Exception",
					json_text(f->exception, "id", "")));
	json_set_new(c, "delegation", facts_delegation(f));
	json_set_flag(c, "chainHealthy", f->chain_healthy);
	json_set_new(c, "planes", entity_refs("Plane", f->planes));
	json_set_int(c, "planeCount", facts_plane_count(f));
	json_set_new(c, "counters", facts_counters(f));
	return c;
}

static json_t *task_entity(const struct ask_task *task)
{
	json_t *e = entity_new("Task", task->task);

	entity_attr(e, "class", entity_ref("TaskClass", task->class));
	entity_attr(e, "declaredPlanes", entity_refs("Plane", task->planes));
	entity_attr(e, "expiresAt", entity_time(task->expires_ms));
	return e;
}

static json_t *ledger_entity(const json_t *counts)
{
	json_t *e = entity_new("Ledger", "this");

	json_set_new(e, "tags",
		     counts ? json_deep_copy(counts) : json_object());
	return e;
}

static json_t *request_entity(const struct ask_task *task, const json_t *barred,
			      int64_t expires_ms)
{
	json_t *e = entity_new("Request", "pending");

	entity_attr(e, "requester", entity_ref("Agent", task->agent));
	entity_attr(e, "task", entity_ref("Task", task->task));
	entity_attr(e, "barred", entity_refs("Human", barred));
	entity_attr(e, "expiresAt", entity_time(expires_ms));
	return e;
}

static json_t *exception_entity(const json_t *exception)
{
	json_t *e = entity_new("Exception", json_text(exception, "id", ""));

	entity_attr(e, "tierCap",
		    json_integer(json_int(exception, "tierCap", 0)));
	entity_attr(e, "expiresAt",
		    entity_time(json_int(exception, "expiresMs", 0)));
	entity_attr(e, "signers",
		    json_integer(json_int(exception, "signers", 0)));
	return e;
}

static char *resource_uid(const struct ask_resource *r)
{
	return mem_format("%s/%s", r->target, r->id);
}

static json_t *resource_entity(const struct ask_resource *r)
{
	CLEANUP(mem_free_p) char *id = resource_uid(r);
	json_t *e = entity_new(r->type, id);

	entity_attr(e, "plane", entity_ref("Plane", r->class.plane));
	entity_attr(e, "domain", entity_ref("Domain", r->class.domain));
	entity_attr(e, "environment",
		    entity_ref("Environment", r->class.environment));
	entity_attr(e, "tier", json_integer(r->class.tier));
	entity_attr(e, "sensitivity", json_integer(r->class.sensitivity));
	entity_attr(e, "signOff", json_boolean(r->class.sign_off));
	return e;
}

static json_t *ask_new(const char *principal_type, const char *principal,
		       const char *action, const char *resource_type,
		       const char *resource, json_t *context)
{
	json_t *ask = json_object();

	json_set_new(ask, "principal", entity_uid(principal_type, principal));
	json_set_text(ask, "action", action);
	json_set_new(ask, "resource", entity_uid(resource_type, resource));
	json_set_new(ask, "context", context);
	json_set_new(ask, "entities", json_array());
	return ask;
}

static void ask_entity(json_t *ask, json_t *entity)
{
	json_array_append_new(json_object_get(ask, "entities"), entity);
}

json_t *ask_action(const char *action, const struct ask_task *task,
		   const struct ask_resource *resource, const struct facts *f,
		   const json_t *barred, int64_t request_expires_ms)
{
	CLEANUP(mem_free_p) char *id = resource_uid(resource);
	json_t *ask = ask_new("Agent", task->agent, action, resource->type, id,
			      context_of(f, task->task));

	ask_entity(ask, task_entity(task));
	ask_entity(ask, resource_entity(resource));
	ask_entity(ask, ledger_entity(f->approvals));
	ask_entity(ask, request_entity(task, barred, request_expires_ms));
	if (f->exception)
		ask_entity(ask, exception_entity(f->exception));
	return ask;
}

/* A fact that is new belongs into ask_typed_init(), too. */
#define FACT_ONE(name, source, unknown) +1
_Static_assert(0 FACTS(FACT_ONE) == 24, "a fact that has no typed form");
#undef FACT_ONE

/* Takes the texts of an array into room, which moves on. */
static struct policy_names names_in(const json_t *array, const char ***room)
{
	struct policy_names names = { .list = *room };
	const json_t *name;
	size_t at;

	json_array_foreach(array, at, name)
		(*room)[names.count++] = json_string_value(name);
	*room += names.count;
	return names;
}

static struct policy_counts counts_in(const json_t *object,
				      struct policy_count *room)
{
	struct policy_counts counts = { .list = room };
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
		room[counts.count++] =
			(struct policy_count){ name,
					       json_integer_value(value) };
	return counts;
}

static void put_lists(struct ask_typed *t, const struct ask_task *task,
		      const struct facts *f, const json_t *barred)
{
	size_t total = json_array_size(task->planes) +
		       json_array_size(f->gains_humans) +
		       json_array_size(f->gains_agents) +
		       json_array_size(f->evidence) +
		       json_array_size(f->planes) + json_array_size(barred);
	struct policy_question *q = &t->question;
	const char **room = mem_array(total + 1, sizeof(*room));

	t->names = room;
	t->counts = mem_array(json_object_size(f->approvals) + 1,
			      sizeof(*t->counts));
	q->declared_planes = names_in(task->planes, &room);
	q->gains_humans = names_in(f->gains_humans, &room);
	q->gains_agents = names_in(f->gains_agents, &room);
	q->evidence = names_in(f->evidence, &room);
	q->planes = names_in(f->planes, &room);
	q->barred = names_in(barred, &room);
	q->approvals = counts_in(f->approvals, t->counts);
}

/* What typed facts have no place for: they are of a task that nobody delegated
 * and that delegates nothing. */
static bool has_chain(const struct facts *f)
{
	return f->depth != 0 || !f->attenuated || !f->chain_healthy ||
	       json_array_size(f->chain) ||
	       facts_plane_count(f) != (int64_t)json_array_size(f->planes);
}

bool ask_typed_init(struct ask_typed *ret, const char *action,
		    const struct ask_task *task,
		    const struct ask_resource *resource, const struct facts *f,
		    const json_t *barred, int64_t request_expires_ms)
{
	const struct classification *class = &resource->class;

	*ret = (struct ask_typed){ .resource = resource_uid(resource) };
	ret->question = (struct policy_question){
		.size = sizeof(struct policy_question),
		.agent = task->agent,
		.action = action,
		.resource_type = resource->type,
		.resource = ret->resource,
		.plane = class->plane,
		.domain = class->domain,
		.environment = class->environment,
		.tier = class->tier,
		.sensitivity = class->sensitivity,
		.task = task->task,
		.task_class = task->class,
		.task_expires_ms = task->expires_ms,
		.now_ms = f->now_ms,
		.weekday = f->weekday,
		.hour = f->hour,
		.ttl_s = f->ttl_s,
		.blast_radius = f->blast_radius,
		.risk_score = f->risk_score,
		.risk_signals = f->risk_signals,
		.privileged_24h = f->privileged_24h,
		.irreversible_24h = f->irreversible_24h,
		.planes_24h = f->planes_24h,
		.request_expires_ms = request_expires_ms,
		.classified = true,
		.sign_off = class->sign_off,
		.change_freeze = f->change_freeze,
		.attested = f->attested,
		.recommend = f->recommend,
		.covered = f->covered,
		.monitored = f->monitored,
		.reversible = f->reversible,
		.self_dealing = f->self_dealing,
		.own_rollback = f->own_rollback,
	};
	put_lists(ret, task, f, barred);
	return !f->exception && !has_chain(f);
}

void ask_typed_clear(struct ask_typed *t)
{
	free(t->names);
	free(t->counts);
	free(t->resource);
	*t = (struct ask_typed){ 0 };
}

json_t *ask_open_task(const struct ask_task *task, const struct facts *f)
{
	json_t *ask = ask_new("Agent", task->agent, "OpenTask", "TaskClass",
			      task->class, context_of(f, task->task));

	ask_entity(ask, task_entity(task));
	ask_entity(ask, ledger_entity(NULL));
	return ask;
}

json_t *ask_delegate(const struct ask_task *task, const char *receiver,
		     const struct facts *f)
{
	json_t *ask = ask_new("Agent", task->agent, "Delegate", "Agent",
			      receiver, context_of(f, task->task));

	ask_entity(ask, task_entity(task));
	ask_entity(ask, ledger_entity(f->approvals));
	ask_entity(ask, request_entity(task, NULL, task->expires_ms));
	return ask;
}

json_t *ask_approve(const char *human, const char *group, bool step_up,
		    const struct ask_task *task, const json_t *barred,
		    int64_t now_ms, int64_t request_expires_ms)
{
	json_t *context = json_object();
	json_t *ask;

	json_set_new(context, "now", entity_time(now_ms));
	json_set_new(context, "forGroup", entity_ref("Group", group));
	json_set_flag(context, "stepUp", step_up);
	ask = ask_new("Human", human, "Approve", "Request", "pending", context);
	ask_entity(ask, task_entity(task));
	ask_entity(ask, request_entity(task, barred, request_expires_ms));
	return ask;
}

json_t *ask_administer(const char *human, const char *kind, bool containing,
		       int64_t now_ms, int64_t signatures)
{
	CLEANUP(json_put_p)
	json_t *counts = record("administrators", signatures);
	json_t *manifest = entity_new("Manifest", "this");
	json_t *context = json_object();
	json_t *ask;

	json_set_new(context, "now", entity_time(now_ms));
	json_set_new(context, "signatures", entity_ref("Ledger", "this"));
	json_set_flag(context, "containing", containing);
	entity_attr(manifest, "kind", entity_ref("ManifestKind", kind));
	ask = ask_new("Human", human, "Administer", "Manifest", "this",
		      context);
	ask_entity(ask, manifest);
	ask_entity(ask, ledger_entity(counts));
	return ask;
}
