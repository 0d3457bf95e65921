/*
 * Deciding: facts of the authority in, route out.  The verdict of policy is
 * turned into one of the four routes; time is lowered and evidence demanded
 * before anybody is asked to sign.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "flow/state.h"
#include "govern/approval.h"
#include "govern/cited.h"

static const char *const route_names[] = {
	[ROUTE_DENY] = "deny",
	[ROUTE_APPROVAL] = "approval",
	[ROUTE_AUTO] = "auto",
	[ROUTE_RECOMMEND] = "recommend",
};

const char *route_name(enum route route)
{
	return route_names[route];
}

void decided_clear(struct decided *d)
{
	json_decref(d->decision);
	json_decref(d->facts);
	json_decref(d->lacks);
	*d = (struct decided){ 0 };
}

/* ---- who gains ---- */

/* Whether a gainer of something lent is who is to use it: the login that the
 * plan names, or the agent itself. */
static bool is_lent_to(const json_t *gainer, const char *agent,
		       const json_t *found)
{
	const char *id = json_text(gainer, "id", "");
	const char *login =
		json_text(json_object_in(found, "parameters"), "login", NULL);

	if (!strcmp(json_text(gainer, "type", ""), "agent"))
		return !strcmp(id, agent);
	return login && !strcmp(id, login);
}

/*
 * Who gains by something lent: the agent that asked for it, and whom else the
 * target names.  Before the target was asked that is the agent alone.
 * ret_others: who is left to look at, owned.
 */
static void gather_lent(const json_t *doc, const json_t *found, json_t *agents,
			json_t **ret_others)
{
	const char *agent = json_text(doc, "agent", "");
	bool is_its = !found;
	const json_t *gainer;
	size_t at;

	*ret_others = json_array();
	json_array_foreach(json_object_get(found, "gains"), at, gainer) {
		if (is_lent_to(gainer, agent, found))
			is_its = true;
		else
			json_array_append(*ret_others,
					  (json_t *)(uintptr_t)gainer);
	}
	if (is_its)
		json_array_append_new(agents, json_string(agent));
}

static void gather_gainers(const struct inventory *inv, const char *target,
			   const json_t *list, json_t *humans, json_t *agents)
{
	CLEANUP(json_put_p) json_t *seen_humans = json_object();
	CLEANUP(json_put_p) json_t *seen_agents = json_object();
	const json_t *gainer;
	size_t at;

	json_array_foreach(list, at, gainer) {
		CLEANUP(mem_free_p)
		char *account = mem_format("%s/%s", target,
					   json_text(gainer, "id", ""));
		bool agent = false;
		const char *name =
			inventory_owner_of_account(inv, account, &agent);

		if (name)
			cited_add_once(agent ? agents : humans,
				       agent ? seen_agents : seen_humans, name);
	}
}

/* Names of those who vouched for the evidence of a request. */
static json_t *vouched_by(struct flow *f, const json_t *doc);

void decide_people(struct flow *f, const json_t *doc, const json_t *found,
		   json_t **ret_humans, json_t **ret_agents,
		   json_t **ret_barred)
{
	CLEANUP(json_put_p) json_t *vouched = vouched_by(f, doc);
	const struct task *task = task_find(f, json_text(doc, "task", ""));

	const struct action *action =
		action_find(json_text(doc, "action", NULL));
	CLEANUP(json_put_p)
	json_t *gains = json_incref(json_object_get(found, "gains"));

	*ret_humans = json_array();
	*ret_agents = json_array();
	if (action && action->lends) {
		json_decref(TAKE(gains));
		gather_lent(doc, found, *ret_agents, &gains);
	}
	gather_gainers(f->inventory, json_text(doc, "target", ""), gains,
		       *ret_humans, *ret_agents);
	*ret_barred =
		approval_barred(f->inventory, json_text(doc, "agent", ""),
				task ? json_text(task->doc, "class", "") : "",
				*ret_humans, *ret_agents, vouched);
	if (json_text(doc, "sponsor", NULL) &&
	    !json_has_text(*ret_barred, json_text(doc, "sponsor", "")))
		json_array_append(*ret_barred, json_object_get(doc, "sponsor"));
	/* Whoever answered for the class when the task was opened, too. */
	if (task && json_text(task->doc, "classOwner", NULL) &&
	    !json_has_text(*ret_barred, json_text(task->doc, "classOwner", "")))
		json_array_append(*ret_barred,
				  json_object_get(task->doc, "classOwner"));
	if (task)
		delegation_bar(task, *ret_barred);
}

/* Whether the target could not tell who gains: then it may be anybody. */
static bool is_unresolved(const json_t *gains)
{
	const json_t *gainer;
	size_t at;

	json_array_foreach(gains, at, gainer) {
		if (!strcmp(json_text(gainer, "type", ""), "unresolved"))
			return true;
	}
	return false;
}

/* Power to oneself, one's owner, or a sibling of the same owner. */
static bool is_self_dealing(const struct flow *f, const char *agent,
			    const json_t *humans, const json_t *agents)
{
	const char *owner =
		json_text(inventory_spec(f->inventory, MANIFEST_AGENT, agent),
			  "owner", "");
	const json_t *name;
	size_t at;

	if (json_has_text(humans, owner))
		return true;
	json_array_foreach(agents, at, name) {
		const json_t *spec = inventory_spec(
			f->inventory, MANIFEST_AGENT, json_string_value(name));

		if (!strcmp(json_text(spec, "owner", owner), owner))
			return true;
	}
	return false;
}

/* The same for each agent of the chain: what none above may give itself is not
 * given through those below. */
static bool is_dealing_in_chain(const struct flow *f, const struct task *task,
				const json_t *humans, const json_t *agents)
{
	const json_t *chain = task_chain(task);
	const json_t *name;
	size_t at;

	json_array_foreach(chain, at, name) {
		if (is_self_dealing(f, json_string_value(name), humans, agents))
			return true;
	}
	return false;
}

/* ---- evidence ---- */

static bool voucher_holds(const struct flow *f, const json_t *voucher,
			  int64_t now_ms)
{
	return now_ms < json_int(voucher, "expiresMs", 0) &&
	       inventory_human_is_active(f->inventory,
					 json_text(voucher, "human", ""));
}

static json_t *vouched_by(struct flow *f, const json_t *doc)
{
	const json_t *vouchers = vouchers_of(f, json_text(doc, "subject", ""));
	json_t *names = json_array();
	int64_t now_ms = clock_wall_ms();
	const char *key;
	json_t *voucher;

	json_object_foreach((json_t *)(uintptr_t)vouchers, key, voucher) {
		if (voucher_holds(f, voucher, now_ms))
			json_array_append(names,
					  json_object_get(voucher, "human"));
	}
	return names;
}

/* What people vouch for, as statements say it.  Policy cannot be asked about
 * another word. */
static bool is_vouched_kind(const char *kind)
{
	static const char *const kinds[] = {
		"ticket",	    "justification", "change_plan",
		"rollback_plan",    "risk_report",   "owner_ack",
		"session_recording"
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!strcmp(kinds[i], kind))
			return true;
	}
	return false;
}

static void have(json_t *kinds, const char *kind)
{
	if (!json_has_text(kinds, kind))
		json_array_append_new(kinds, json_string(kind));
}

/*
 * Kinds of evidence that stand for this request: vouched for by people, made by
 * the authority (a plan that can be undone is its own change and rollback
 * plan), or attached to the task.
 */
static json_t *evidence_kinds(struct flow *f, const struct task *task,
			      const json_t *doc, const json_t *found,
			      int64_t now_ms)
{
	const json_t *vouchers = vouchers_of(f, json_text(doc, "subject", ""));
	const json_t *records = json_object_get(task->doc, "records");
	json_t *kinds = json_array();
	const char *key;
	json_t *voucher;

	json_object_foreach((json_t *)(uintptr_t)vouchers, key, voucher) {
		const char *kind = json_text(voucher, "kind", "");

		if (is_vouched_kind(kind) && voucher_holds(f, voucher, now_ms))
			have(kinds, kind);
	}
	lookup_kinds(doc, kinds);
	if (!found || json_is_object(json_object_get(found, "undo"))) {
		have(kinds, "change_plan");
		have(kinds, "rollback_plan");
	}
	if (json_int(records, "prompt", 0) > 0)
		have(kinds, "prompt");
	if (json_int(records, "tool_trace", 0) > 0)
		have(kinds, "tool_trace");
	return kinds;
}

static void add_lacking(const json_t *demanded, const json_t *kinds,
			json_t *missing)
{
	json_t *kind;
	size_t at;

	json_array_foreach(demanded, at, kind) {
		const char *name = json_string_value(kind);

		if (!json_has_text(kinds, name) &&
		    !json_has_text(missing, name))
			json_array_append(missing, kind);
	}
}

/* Kinds the class demands of every request, or did when the task was opened,
 * and that are not there; those of the tasks above, too. */
static json_t *class_lacks(const struct task *task, const json_t *class,
			   const json_t *kinds)
{
	json_t *missing = json_array();

	add_lacking(json_object_get(class, "requiresEvidence"), kinds, missing);
	add_lacking(json_object_get(task->doc, "requiresEvidence"), kinds,
		    missing);
	while ((task = task_parent(task))) {
		class = inventory_spec(task->flow->inventory,
				       MANIFEST_TASK_CLASS,
				       json_text(task->doc, "class", ""));
		add_lacking(json_object_get(class, "requiresEvidence"), kinds,
			    missing);
		add_lacking(json_object_get(task->doc, "requiresEvidence"),
			    kinds, missing);
	}
	return missing;
}

/* ---- classification ---- */

bool decide_classify(const struct flow *f, const json_t *doc,
		     const json_t *found, struct classification *ret)
{
	const struct action *action =
		action_find(json_text(doc, "action", NULL));
	const char *resource = json_text(found ? found : doc, "resource", "");
	const struct task *task;

	if (!action ||
	    !inventory_classify(f->inventory, json_text(doc, "target", ""),
				action->resource_type, resource,
				json_object_get(found, "nestedIn"), ret))
		return false;
	if (!found && !ret->matched) {
		/* The name may be another spelling of a lower resource. */
		ret->tier = 0;
		ret->sensitivity = 0;
		ret->sign_off = false;
	}
	task = task_find((struct flow *)(uintptr_t)f,
			 json_text(doc, "task", ""));
	if (task)
		ret->tier = delegation_tier(task, ret->tier);
	return true;
}

/* ---- facts ---- */

/* Facts with the values they borrow. */
struct gathered {
	struct facts facts;
	json_t *humans;
	json_t *agents;
	json_t *barred;
	json_t *evidence;
	json_t *approvals;
	json_t *planes;
	json_t *lacks; /* evidence of the class that is missing */
	char *looked;  /* words on what was looked up in vain */
	json_t *risk;  /* for the decision: score, signals, who said what */
	json_t *exception;
	json_t *class; /* entity in the place of the class's, or NULL */
};

static void gathered_clear(struct gathered *g)
{
	json_decref(g->humans);
	json_decref(g->agents);
	json_decref(g->barred);
	json_decref(g->evidence);
	json_decref(g->approvals);
	json_decref(g->planes);
	json_decref(g->lacks);
	free(g->looked);
	json_decref(g->risk);
	json_decref(g->exception);
	json_decref(g->class);
}

static void gather_time(const struct flow *f, const json_t *class,
			struct facts *facts)
{
	const json_t *owner = inventory_spec(f->inventory, MANIFEST_HUMAN,
					     json_text(class, "owner", ""));

	/* An unknown zone leaves the hour that permits least. */
	if (clock_local(facts->now_ms, json_text(owner, "timezone", "UTC"),
			&facts->weekday, &facts->hour) < 0) {
		facts->weekday = 7;
		facts->hour = 0;
	}
}

/* Whether a way back exists and was tried; in the place of what was lent
 * another is lent. */
static bool is_reversible(struct flow *f, const json_t *doc,
			  const json_t *found, int64_t now_ms)
{
	const char *action = json_text(doc, "action", "");

	if (action_takes_back_lent(action_find(action)))
		return true;
	return json_is_object(json_object_get(found, "undo")) &&
	       json_flag(found, "atomic", false) &&
	       drill_passed(f, json_text(doc, "target", ""), action, now_ms);
}

static void gather_target(struct flow *f, const struct task *task,
			  const json_t *doc, const json_t *found,
			  struct gathered *g)
{
	struct facts *facts = &g->facts;
	const char *agent = json_text(doc, "agent", "");

	facts->own_rollback = json_flag(doc, "ownRollback", false);
	/* What only tells takes nothing and gives nobody power. */
	if (!found || action_find(json_text(doc, "action", ""))->reads) {
		facts->reversible = true;
		facts->blast_radius = 0;
		facts->self_dealing = false;
		return;
	}
	facts->blast_radius = json_int(found, "blastRadius", INT32_MAX);
	facts->reversible = is_reversible(f, doc, found, facts->now_ms);
	facts->self_dealing =
		is_unresolved(json_object_get(found, "gains")) ||
		is_self_dealing(f, agent, g->humans, g->agents) ||
		is_dealing_in_chain(f, task, g->humans, g->agents);
}

static void gather_planes(const struct task *task, const char *plane,
			  struct gathered *g)
{
	const json_t *touched = json_object_get(task->doc, "planesTouched");

	g->planes =
		touched ? json_copy(json_object_get(task->doc, "planesTouched"))
			: json_array();
	if (!json_has_text(g->planes, plane))
		json_array_append_new(g->planes, json_string(plane));
}

/* Whether a limit of the class has been widened since the task was opened, and
 * only that lets it do this.  What the class says now policy looks at itself.
 */
static bool is_widened(const struct task *task, const json_t *class,
		       const struct classification *of)
{
	const json_t *doc = task->doc;

	if (of->tier <= json_int(class, "maxTier", 0) &&
	    of->tier > json_int(doc, "maxTier", -1))
		return true;
	if (json_has_text(json_object_get(class, "planes"), of->plane) &&
	    !json_has_text(json_object_get(doc, "classPlanes"), of->plane))
		return true;
	return strcmp(json_text(doc, "domain", ""),
		      json_text(class, "domain", "")) != 0;
}

/* Whether the class lets a task do this, as it was when the task was opened and
 * as it is now. */
static bool is_covered(const struct task *task, const json_t *class,
		       const struct action *action,
		       const struct classification *of)
{
	return json_has_text(json_object_get(class, "actions"), action->name) &&
	       json_has_text(json_object_get(task->doc, "actions"),
			     action->name) &&
	       !is_widened(task, class, of);
}

/* ---- what detectors say ---- */

static void add_name(json_t *names, json_t *seen, const char *name)
{
	if (name && *name)
		cited_add_once(names, seen, name);
}

/* Everything at the target that an act touches: the resource, what it stands
 * in, and the account it is about. */
static json_t *touched(const json_t *doc, const json_t *found)
{
	CLEANUP(json_put_p) json_t *seen = json_object();
	json_t *names = json_array();
	const json_t *above;
	size_t at;

	add_name(names, seen, json_text(doc, "resource", NULL));
	add_name(names, seen, json_text(found, "resource", NULL));
	add_name(names, seen,
		 json_text(json_object_get(doc, "parameters"), "member", NULL));
	add_name(names, seen,
		 json_text(json_object_get(found, "parameters"), "member",
			   NULL));
	json_array_foreach(json_object_get(found, "nestedIn"), at, above)
		add_name(names, seen, json_string_value(above));
	return names;
}

static void keep_risk(struct gathered *g, struct risk *risk)
{
	if (!json_array_size(risk->seen)) {
		json_decref(risk->seen);
		return;
	}
	g->risk = json_object();
	json_set_int(g->risk, "score", risk->score);
	json_set_int(g->risk, "signals", risk->signals);
	json_set_new(g->risk, "seen", risk->seen);
}

/* Whether the detectors that the tasks above demand are heard; one demand of
 * them, if there is any, is in ret_demand. */
static bool heard_above(struct flow *f, const struct task *task, int64_t now_ms,
			const json_t **ret_demand)
{
	bool heard = true;

	while ((task = task_parent(task))) {
		const json_t *class =
			inventory_spec(f->inventory, MANIFEST_TASK_CLASS,
				       json_text(task->doc, "class", ""));
		const json_t *now = json_object_get(class, "monitoring");
		const json_t *then = json_object_get(task->doc, "monitoring");

		heard = heard && detectors_are_heard(f, now, now_ms) &&
			detectors_are_heard(f, then, now_ms);
		if (now || then)
			*ret_demand = now ? now : then;
	}
	return heard;
}

/* What is said of a task above is said of what it delegated; the highest score
 * counts.  It lifts no review. */
static void risk_above(struct flow *f, const struct task *task,
		       const struct risk_of *of, int64_t now_ms,
		       struct risk *risk)
{
	while ((task = task_parent(task))) {
		struct risk_of above_of = *of;
		struct risk above = { 0 };

		above_of.agent = json_text(task->doc, "agent", "");
		above_of.task = task->id;
		risk_read(f, &above_of, now_ms, &above);
		if (above.score > risk->score) {
			risk->score = above.score;
			json_decref(risk->seen);
			risk->seen = json_incref(above.seen);
		}
		json_decref(above.seen);
	}
}

/*
 * A class that demands detectors demands them of the tasks that were opened
 * under it, too, whatever it says now.  While they are silent the others'
 * signals lift no review: what is not known must not permit more.
 */
static void gather_signals(struct flow *f, const struct task *task,
			   const json_t *doc, const json_t *found,
			   const json_t *class, struct gathered *g)
{
	const json_t *now = json_object_get(class, "monitoring");
	const json_t *then = json_object_get(task->doc, "monitoring");
	CLEANUP(json_put_p) json_t *names = NULL;
	struct facts *facts = &g->facts;
	struct risk risk = { 0 };
	struct risk_of of = {
		.agent = json_text(doc, "agent", ""),
		.task = task->id,
		.target = json_text(doc, "target", ""),
	};

	facts->monitored = detectors_are_heard(f, now, facts->now_ms) &&
			   detectors_are_heard(f, then, facts->now_ms) &&
			   heard_above(f, task, facts->now_ms, &then);
	if (then && !now) {
		CLEANUP(json_put_p)
		json_t *spec = json_copy((json_t *)(uintptr_t) class);

		json_object_set(spec, "monitoring", (json_t *)(uintptr_t)then);
		g->class = inventory_class_entity(
			json_text(task->doc, "class", ""), spec);
	}
	facts->risk_score = 0;
	facts->risk_signals = 0;
	if (!json_object_size(f->signals))
		return;
	names = touched(doc, found);
	of.resources = names;
	risk_read(f, &of, facts->now_ms, &risk);
	risk_above(f, task, &of, facts->now_ms, &risk);
	if (!facts->monitored)
		risk.signals = 0;
	facts->risk_score = risk.score;
	facts->risk_signals = risk.signals;
	keep_risk(g, &risk);
}

static void gather(struct flow *f, const struct task *task, const json_t *doc,
		   const json_t *found, const struct classification *of,
		   struct gathered *g)
{
	struct facts *facts = &g->facts;
	const char *class_name = json_text(task->doc, "class", "");
	const json_t *class =
		inventory_spec(f->inventory, MANIFEST_TASK_CLASS, class_name);
	const struct action *action = action_find(json_text(doc, "action", ""));
	bool privileged = action->privileged && !grant_would_renew(f, doc);

	*g = (struct gathered){ 0 };
	facts_init(facts);
	facts->now_ms = clock_wall_ms();
	decide_people(f, doc, found, &g->humans, &g->agents, &g->barred);
	g->evidence = evidence_kinds(f, task, doc, found, facts->now_ms);
	g->lacks = class_lacks(task, class, g->evidence);
	g->looked = lookup_words(doc);
	g->approvals = approval_count(
		f->inventory, json_object_get(doc, "approvals"), g->barred);
	gather_time(f, class, facts);
	gather_target(f, task, doc, found, g);
	gather_planes(task, of->plane, g);
	facts->change_freeze =
		inventory_is_frozen(f->inventory, of->domain, facts->now_ms);
	g->exception = exception_for(f, task->id, of->tier, facts->now_ms);
	facts->exception = g->exception;
	facts->attested = json_text(doc, "attestedBy", NULL);
	facts->recommend = !strcmp(json_text(doc, "mode", ""), "recommend");
	facts->covered = is_covered(task, class, action, of) &&
			 delegation_covers(task, action,
					   json_text(doc, "target", ""), of);
	delegation_facts(task, of->plane, facts->now_ms, facts);
	gather_signals(f, task, doc, found, class, g);
	facts->ttl_s = json_int(doc, "ttlSeconds", 0);
	facts->gains_humans = g->humans;
	facts->gains_agents = g->agents;
	facts->evidence = g->evidence;
	facts->approvals = g->approvals;
	facts->planes = g->planes;
	meter_read(f, json_text(doc, "agent", ""), facts->now_ms, privileged,
		   facts->reversible, of->plane, facts);
	meter_read_above(f, task_chain(task), privileged, of->plane, facts);
}

/* ---- the verdict as a route ---- */

/* However many policies a bundle has, and however much they say. */
enum {
	TITLE_MAX = 128,      /* bytes of a policy's title */
	CITED_MAX = 2 * 1024, /* bytes of the ids that a leaf lists */
	SHADOWS_MAX = 4 * 1024,
};

static json_t *policies_json(const struct flow *f, const json_t *ids)
{
	json_t *out = json_array();
	const json_t *id;
	size_t at;

	json_array_foreach(ids, at, id) {
		const char *name = json_string_value(id);
		const char *title = policy_title(f->linked, name);
		CLEANUP(mem_free_p)
		char *shown = cited_text(title ? title : name, TITLE_MAX);
		json_t *row = json_object();

		json_set_text(row, "id", name);
		json_set_text(row, "title", shown);
		json_array_append_new(out, row);
	}
	return out;
}

/* Sets "policies", and "policiesCut" where there are too many to be listed. */
static void cite_policies(const struct flow *f, const json_t *ids,
			  json_t *decision)
{
	cited_set(decision, "policies", ids, CITED_MAX);
	json_set_new(decision, "policies",
		     policies_json(f, json_object_get(decision, "policies")));
}

static char *titles_joined(const json_t *policies)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);
	const json_t *row;
	size_t at;

	json_array_foreach(policies, at, row)
		buf_putf(&b, "%s%s", at ? "; " : "",
			 json_text(row, "title", ""));
	return buf_take_text(&b);
}

static char *names_joined(const json_t *names)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);
	const json_t *name;
	size_t at;

	json_array_foreach(names, at, name)
		buf_putf(&b, "%s%s", at ? ", " : "", json_string_value(name));
	return buf_take_text(&b);
}

static void say(json_t *decision, const char *for_agent, const char *for_human)
{
	json_set_text(decision, "forAgent", for_agent);
	json_set_text(decision, "forHuman", for_human);
}

static void say_denied(json_t *decision, bool nobody)
{
	CLEANUP(mem_free_p)
	char *titles = titles_joined(json_object_get(decision, "policies"));
	CLEANUP(mem_free_p) char *agent = NULL;
	CLEANUP(mem_free_p) char *human = NULL;

	json_set_text(decision, "cause", "policy");
	if (nobody) {
		say(decision,
		    "Too few people may sign this. Asking again will not help "
		    "until somebody else can.",
		    "Everybody who could approve is barred, suspended or "
		    "missing from the group that would be asked.");
		json_set_text(decision, "code", "nobody-may-approve");
		return;
	}
	agent = mem_format("Nothing that you or anybody could add makes this "
			   "allowed now: %s.",
			   *titles ? titles : "no policy permits it");
	human = mem_format("Denied by policy: %s.",
			   *titles ? titles : "no policy permits it");
	say(decision, agent, human);
}

json_t *decision_denied(const struct flow *f, const json_t *policies)
{
	json_t *decision = json_object();

	cite_policies(f, policies, decision);
	json_set_text(decision, "bundle", f->bundle_digest);
	json_set_text(decision, "engine", policy_engine());
	say_denied(decision, false);
	return decision;
}

void decision_offer_ttl(json_t *decision, int64_t longest_s, const char *why)
{
	CLEANUP(mem_free_p) char *longest = clock_format_duration(longest_s);
	CLEANUP(mem_free_p)
	char *agent =
		mem_format("Ask for a ttl of at most %s: %s.", longest, why);
	CLEANUP(mem_free_p)
	char *human =
		mem_format("%s It would not be denied with a ttl of at "
			   "most %s: %s.",
			   json_text(decision, "forHuman", ""), longest, why);
	CLEANUP(mem_free_p)
	char *remedy = mem_format("ask for a ttl of at most %s", longest);
	json_t *requires = json_object_get(decision, "requires");

	requires = requires ? json_copy(requires) : json_object();
	json_set_text(requires, "maxTtl", longest);
	json_set_new(decision, "requires", requires);
	json_set_text(decision, "remedy", remedy);
	say(decision, agent, human);
}

/* looked: words on what was looked up in vain. */
static void say_evidence(json_t *decision, const json_t *missing,
			 const char *looked)
{
	CLEANUP(mem_free_p) char *kinds = names_joined(missing);
	CLEANUP(mem_free_p)
	char *vain = *looked ? mem_format(" Looked up in vain: %s.", looked)
			     : mem_str("");
	CLEANUP(mem_free_p)
	char *agent = mem_format("Missing evidence: %s.%s Have a person vouch "
				 "for it (prompt and tool_trace: attach it to "
				 "the task), then ask again.",
				 kinds, vain);
	CLEANUP(mem_free_p)
	char *human =
		mem_format("Refused for lack of evidence: %s.%s", kinds, vain);

	json_set_text(decision, "cause", "evidence");
	json_set_text(decision, "remedy", kinds);
	say(decision, agent, human);
}

static void say_approval(json_t *decision, const json_t *groups)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1024);
	CLEANUP(mem_free_p) char *agent = NULL;
	const char *group;
	const json_t *count;
	bool first = true;

	json_object_foreach((json_t *)(uintptr_t)groups, group, count) {
		buf_putf(&b, "%s%" JSON_INTEGER_FORMAT " of %s",
			 first ? "" : ", ", json_integer_value(count), group);
		first = false;
	}
	agent = mem_format("People must sign this plan: %s. Wait for the "
			   "request, do not ask again.",
			   buf_text(&b));
	say(decision, agent,
	    "It would be allowed once the people named have signed exactly "
	    "this plan.");
}

static json_t *merge_missing(const json_t *requires, const json_t *lacks)
{
	json_t *missing = json_array();
	json_t *kind;
	size_t at;

	json_array_foreach(json_object_get(requires, "evidence"), at, kind)
		json_array_append(missing, kind);
	json_array_foreach(lacks, at, kind) {
		if (!json_has_text(missing, json_string_value(kind)))
			json_array_append(missing, kind);
	}
	return missing;
}

size_t decide_members(void *cookie, const char *group, const char **names,
		      size_t max)
{
	const struct flow *f = cookie;

	return inventory_members(f->inventory, group, names, max);
}

/* Everything one pass of deciding needs. */
struct question {
	struct flow *flow;
	const struct task *task;
	struct ask_resource resource;
	struct ask_task ask_task;
	const struct action *action;
	struct gathered *gathered;
	int64_t request_expires_ms;
};

static json_t *build_ask(const struct question *q)
{
	json_t *ask = ask_action(q->action->name, &q->ask_task, &q->resource,
				 &q->gathered->facts, q->gathered->barred,
				 q->request_expires_ms);

	if (q->gathered->class)
		json_array_append(json_object_get(ask, "entities"),
				  q->gathered->class);
	return ask;
}

/* Asks with typed facts, or in JSON alone where only that can say them. */
static int ask_policy(const struct question *q, const json_t *ask,
		      struct policy_verdict *ret)
{
	CLEANUP(ask_typed_clear) struct ask_typed typed;
	struct policy_people people = { decide_members, q->flow };
	bool complete =
		ask_typed_init(&typed, q->action->name, &q->ask_task,
			       &q->resource, &q->gathered->facts,
			       q->gathered->barred, q->request_expires_ms) &&
		!q->gathered->class;

	return policy_decide_typed(q->flow->linked, q->flow->world, ask,
				   complete ? &typed.question : NULL, &people,
				   ret);
}

/* What of the facts people and agents are told beside the rules. */
static void keep_facts(const struct gathered *g, struct decided *ret)
{
	if (g->risk)
		json_object_set(ret->decision, "risk", g->risk);
	if (g->exception)
		json_set_text(ret->decision, "exception",
			      json_text(g->exception, "id", NULL));
	if (g->facts.change_freeze)
		json_set_flag(ret->decision, "changeFreeze", true);
}

static void keep_verdict(struct flow *f, const struct policy_verdict *v,
			 struct decided *ret)
{
	cite_policies(f, v->policies, ret->decision);
	if (json_array_size(v->errors))
		cited_set(ret->decision, "errors", v->errors, CITED_MAX);
	if (json_array_size(v->shadows))
		cited_set(ret->decision, "shadow", v->shadows, SHADOWS_MAX);
	json_set_text(ret->decision, "bundle", f->bundle_digest);
	json_set_text(ret->decision, "engine", policy_engine());
}

static enum route route_of(const struct policy_verdict *v,
			   const struct gathered *g, struct decided *ret)
{
	CLEANUP(json_put_p)
	json_t *missing = merge_missing(v->requires, g->lacks);
	json_t *groups = json_object_get(v->requires, "approvals");

	if (v->decision == POLICY_DENY) {
		say_denied(ret->decision, v->nobody);
		return ROUTE_DENY;
	}
	if (json_array_size(missing)) {
		json_t *requires = json_deep_copy(v->requires);

		if (!requires)
		requires = json_object();
		json_object_set(requires, "evidence", missing);
		json_set_new(ret->decision, "requires", requires);
		say_evidence(ret->decision, missing, g->looked);
		return ROUTE_DENY;
	}
	if (v->decision == POLICY_PENDING) {
		json_object_set(ret->decision, "requires", v->requires);
		say_approval(ret->decision, groups);
		return ROUTE_APPROVAL;
	}
	say(ret->decision, "Allowed.", "Allowed by policy on the facts.");
	return g->facts.recommend ? ROUTE_RECOMMEND : ROUTE_AUTO;
}

/* A denial of the act that would stand as advice says so: that is what would
 * help. */
static void offer_advice(struct decided *ret)
{
	CLEANUP(mem_free_p)
	char *agent = mem_format("%s As advice it would be allowed: ask in "
				 "mode recommend, and a person may adopt it.",
				 json_text(ret->decision, "forAgent", ""));

	json_set_text(ret->decision, "remedy", "mode: recommend");
	json_set_text(ret->decision, "forAgent", agent);
}

/* One pass; true if the time was lowered and it must be asked again. */
static bool decide_once(const struct question *q, struct decided *ret)
{
	struct policy_verdict verdict = { 0 };
	struct facts *facts = &q->gathered->facts;
	const char *longest;
	bool again = false;

	json_decref(ret->facts);
	json_decref(ret->decision);
	ret->decision = json_object();
	ret->facts = build_ask(q);
	if (ask_policy(q, ret->facts, &verdict) < 0)
		verdict.decision = POLICY_DENY;
	longest = json_text(verdict.requires, "maxTtl", NULL);
	if (verdict.decision == POLICY_PENDING && longest)
		again = clock_parse_duration(longest, &facts->ttl_s) == 0;
	keep_verdict(q->flow, &verdict, ret);
	if (!again)
		ret->route = route_of(&verdict, q->gathered, ret);
	if (!again && verdict.as_advice)
		offer_advice(ret);
	ret->ttl_s = facts->ttl_s;
	policy_verdict_clear(&verdict);
	return again;
}

/*
 * So little time that it is not proposed by itself may still be all that a task
 * has left: then that is what would help.  Asked only in a task's last minute.
 */
static void offer_less_time(const struct question *q, struct decided *ret)
{
	struct facts *facts = &q->gathered->facts;
	int64_t left_s = (q->ask_task.expires_ms - facts->now_ms) / 1000;
	int64_t asked_s = facts->ttl_s;
	struct policy_verdict verdict = { 0 };
	CLEANUP(json_put_p) json_t *ask = NULL;

	if (ret->route != ROUTE_DENY || left_s < 1 ||
	    left_s >= POLICY_TTL_FLOOR_S || left_s >= asked_s ||
	    strcmp(json_text(ret->decision, "cause", ""), "policy") != 0)
		return;
	facts->ttl_s = left_s;
	ask = build_ask(q);
	if (ask_policy(q, ask, &verdict) == 0 &&
	    verdict.decision != POLICY_DENY) {
		json_object_set(ret->decision, "requires", verdict.requires);
		decision_offer_ttl(ret->decision, left_s,
				   "the task's window is nearly over");
	}
	facts->ttl_s = asked_s;
	policy_verdict_clear(&verdict);
}

/* People sign plans, and what only tells has none. */
static void deny_unsignable(struct decided *ret)
{
	ret->route = ROUTE_DENY;
	json_object_del(ret->decision, "requires");
	json_set_text(ret->decision, "cause", "policy");
	say(ret->decision,
	    "Policy wants people to sign this, and nobody can sign what only "
	    "reads. Ask a person to read it.",
	    "The rules ask for approvals of an action that only reads: there "
	    "is no plan of it that could be signed.");
}

static void decide_unavailable(struct decided *ret, const char *detail)
{
	ret->decision = json_object();
	ret->facts = json_object();
	ret->route = ROUTE_DENY;
	json_set_new(ret->decision, "policies", json_array());
	json_set_text(ret->decision, "cause", "unavailable");
	say(ret->decision, detail, detail);
}

/*
 * What is planned keeps its ttl: that of the plan is the longest it may last,
 * and it ends with its task in any case.  So the rules are asked about what is
 * left of the task, and the minutes that people take to sign change nothing.
 * Returns the seconds left, or 0 if that is not less than the ttl.
 */
static int64_t shorten_to_window(const json_t *doc, const struct task *task,
				 struct facts *facts)
{
	int64_t left_s = (task_window_ms(task) - facts->now_ms) / 1000;

	if (!json_text(doc, "planText", NULL) || left_s <= 0 ||
	    left_s >= facts->ttl_s)
		return 0;
	facts->ttl_s = left_s;
	return left_s;
}

void decide(struct flow *f, const struct task *task, const json_t *doc,
	    const json_t *found, struct decided *ret)
{
	int64_t left_s;
	struct gathered g;
	struct question q = {
		.flow = f,
		.task = task,
		.action = action_find(json_text(doc, "action", NULL)),
		.gathered = &g,
	};
	const char *target = json_text(doc, "target", "");

	*ret = (struct decided){ 0 };
	if (!q.action || !decide_classify(f, doc, found, &q.resource.class)) {
		decide_unavailable(ret, "There is no such target or action.");
		return;
	}
	q.resource.type = q.action->resource_type;
	q.resource.target = target;
	q.resource.id = json_text(found ? found : doc, "resource", "");
	task_as_ask(task, &q.ask_task);
	/* A long way off: whether it is still open is checked by its timer. */
	q.request_expires_ms = clock_wall_ms() + 3600 * 1000;
	gather(f, task, doc, found, &q.resource.class, &g);
	left_s = shorten_to_window(doc, task, &g.facts);
	/* Lowering the time twice is once more than any set needs. */
	for (int i = 0; i < 3 && decide_once(&q, ret); i++)
		ret->route = ROUTE_DENY;
	offer_less_time(&q, ret);
	if (q.action->reads && ret->route == ROUTE_APPROVAL)
		deny_unsignable(ret);
	if (left_s && ret->ttl_s == left_s)
		ret->ttl_s = json_int(doc, "ttlSeconds", 0);
	if (ret->route != ROUTE_DENY)
		json_set_int(ret->decision, "ttlSeconds", ret->ttl_s);
	if (json_array_size(g.lacks))
		ret->lacks = json_incref(g.lacks);
	keep_facts(&g, ret);
	gathered_clear(&g);
}
