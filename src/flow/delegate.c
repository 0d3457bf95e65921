/*
 * Delegation: an agent hands a part of its open task to another agent, as a
 * task of that one.  What may be done in it is what every task above may do,
 * too; it ends with the task that it came from.
 *
 * A chain is at most three deep, so it is walked, never kept beside the
 * documents: "parent" and "chain" in that of the child, "children" in that of
 * the parent, which are written in one transaction.
 */
#include "flow/task_parts.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "govern/cited.h"

enum {
	CHILDREN_MAX = 256,  /* of one task, those that are over included */
	TTL_LOWERED_MAX = 3, /* once more than any policy set needs */
	IDS_MAX = 2 * 1024,  /* bytes of policies that a leaf lists */
};

const json_t *task_chain(const struct task *t)
{
	return json_array_in(t->doc, "chain");
}

struct task *task_parent(const struct task *t)
{
	const char *id = json_text(t->doc, "parent", NULL);

	return id ? task_find(t->flow, id) : NULL;
}

static bool has_parent(const struct task *t)
{
	return json_text(t->doc, "parent", NULL) != NULL;
}

/* The first of the chain, as far as it is there. */
static const struct task *root_of(const struct task *t)
{
	const struct task *parent;

	while ((parent = task_parent(t)))
		t = parent;
	return t;
}

/* It was delegated, or something of it was. */
static bool is_in_chain(const struct task *t)
{
	return has_parent(t) ||
	       json_array_size(json_array_in(t->doc, "children"));
}

static const char *agent_of(const struct task *t)
{
	return json_text(t->doc, "agent", "");
}

static const json_t *class_of(const struct task *t)
{
	return inventory_spec(t->flow->inventory, MANIFEST_TASK_CLASS,
			      json_text(t->doc, "class", ""));
}

/* ---- looking up the chain ---- */

int64_t delegation_window_ms(const struct task *t)
{
	const struct task *parent = task_parent(t);

	if (!has_parent(t))
		return INT64_MAX;
	return parent ? task_window_ms(parent) : 0;
}

const char *delegation_fault(const struct task *t, int64_t now_ms)
{
	const struct task *parent = task_parent(t);

	if (!has_parent(t))
		return NULL;
	if (!parent || !task_is_open(parent))
		return "the task it was delegated from is not open";
	if (!task_fault(parent, now_ms))
		return NULL;
	if (is_contained(t->flow, agent_of(parent), parent->id))
		return "an agent above in the chain, or its task, is contained";
	if (inventory_agent_fault(t->flow->inventory, agent_of(parent), now_ms))
		return "an agent above in the chain may not act any more";
	return "the task it was delegated from may carry nothing any more";
}

bool delegation_is_within_class(const struct task *t)
{
	const struct task *parent = task_parent(t);

	return parent && !strcmp(json_text(t->doc, "class", ""),
				 json_text(parent->doc, "class", ""));
}

bool delegation_concerns(const struct task *t, const char *agent,
			 const char *id)
{
	for (; t; t = task_parent(t)) {
		if ((agent && !strcmp(agent_of(t), agent)) ||
		    (id && !strcmp(t->id, id)))
			return true;
	}
	return false;
}

/* Whether a task above may do this to what is at target. */
static bool covers(const struct task *t, const struct action *action,
		   const char *target, const struct classification *of)
{
	const json_t *class = class_of(t);
	const json_t *doc = t->doc;

	return json_has_text(json_object_get(class, "actions"), action->name) &&
	       json_has_text(json_object_get(doc, "actions"), action->name) &&
	       json_has_text(json_object_get(doc, "targets"), target) &&
	       json_has_text(json_object_get(class, "planes"), of->plane) &&
	       json_has_text(json_object_get(doc, "classPlanes"), of->plane) &&
	       json_has_text(json_object_get(doc, "planes"), of->plane) &&
	       !strcmp(json_text(doc, "domain", ""),
		       json_text(class, "domain", "?")) &&
	       of->tier <= json_int(class, "maxTier", -1) &&
	       of->tier <= json_int(doc, "maxTier", -1);
}

bool delegation_covers(const struct task *t, const struct action *action,
		       const char *target, const struct classification *of)
{
	while (has_parent(t)) {
		t = task_parent(t);
		if (!t || !covers(t, action, target, of))
			return false;
	}
	return true;
}

int delegation_tier(const struct task *t, int tier)
{
	int64_t touched = json_int(root_of(t)->doc, "tierTouched", 0);

	return is_in_chain(t) && touched > tier ? (int)touched : tier;
}

void delegation_touch(struct task *t, const struct classification *of,
		      struct evidence_txn *txn)
{
	struct task *root = (struct task *)(uintptr_t)root_of(t);
	json_t *planes = json_array_in(root->doc, "chainPlanes");

	if (!planes) {
		planes = json_array();
		json_set_new(root->doc, "chainPlanes", planes);
	}
	if (!json_has_text(planes, of->plane))
		json_array_append_new(planes, json_string(of->plane));
	if (of->tier > json_int(root->doc, "tierTouched", 0))
		json_set_int(root->doc, "tierTouched", of->tier);
	if (root != t)
		evidence_put(txn, NOUN_TASK, root->id, root->doc);
}

static void bar(json_t *barred, const char *human)
{
	if (human && !json_has_text(barred, human))
		json_array_append_new(barred, json_string(human));
}

void delegation_bar(const struct task *t, json_t *barred)
{
	for (t = task_parent(t); t; t = task_parent(t)) {
		bar(barred,
		    json_text(inventory_spec(t->flow->inventory, MANIFEST_AGENT,
					     agent_of(t)),
			      "owner", NULL));
		bar(barred, json_text(class_of(t), "owner", NULL));
		bar(barred, json_text(t->doc, "classOwner", NULL));
	}
}

/* ---- what a link may not widen ---- */

/* The first text of inner that is not in outer, or NULL. */
static const char *not_within(const json_t *inner, const json_t *outer)
{
	const json_t *name;
	size_t at;

	json_array_foreach(inner, at, name) {
		if (!json_has_text(outer, json_string_value(name)))
			return json_string_value(name);
	}
	return NULL;
}

/* Lists of a task that lie within those of the task above. */
static const struct {
	const char *member;
	const char *word;
} lists[] = {
	{ "targets", "target" },
	{ "actions", "action" },
	{ "planes", "plane" },
	{ "classPlanes", "plane of its class" },
};

static char *wider_list(const json_t *doc, const json_t *above)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const char *name =
			not_within(json_object_get(doc, lists[i].member),
				   json_object_get(above, lists[i].member));

		if (name)
			return mem_format("%s '%s' is not one of the task "
					  "above",
					  lists[i].word, name);
	}
	return NULL;
}

/* How an agent has more than the one above it, as the manifests say now; owned,
 * NULL if it has not. */
static char *wider_agent(const struct inventory *inv, const char *agent,
			 const char *above)
{
	const json_t *spec = inventory_spec(inv, MANIFEST_AGENT, agent);
	const json_t *limit = inventory_spec(inv, MANIFEST_AGENT, above);
	const char *more = not_within(json_object_get(spec, "capabilities"),
				      json_object_get(limit, "capabilities"));

	if (!spec || !limit)
		return mem_str("an agent of the chain is gone");
	if (more)
		return mem_format("agent '%s' can %s, and agent '%s' above it "
				  "cannot",
				  agent, more, above);
	if (json_int(spec, "clearance", 0) > json_int(limit, "clearance", 0))
		return mem_format("agent '%s' has a higher clearance than "
				  "agent '%s' above it",
				  agent, above);
	return NULL;
}

/* Whether the chain of doc is that above it and the agent there. */
static bool continues(const json_t *doc, const json_t *above)
{
	CLEANUP(json_put_p)
	json_t *chain = json_array_in(above, "chain")
				? json_copy(json_array_in(above, "chain"))
				: json_array();

	json_array_append(chain, json_object_get(above, "agent"));
	return json_equal(chain, json_object_get(doc, "chain")) &&
	       json_int(doc, "depth", 0) == json_int(above, "depth", 0) + 1;
}

/* What makes the task of doc wider than the one above; owned, NULL if nothing
 * does. */
static char *wider(const struct inventory *inv, const json_t *doc,
		   const json_t *above)
{
	char *why = wider_list(doc, above);

	if (why)
		return why;
	if (json_int(doc, "maxTier", 0) > json_int(above, "maxTier", -1))
		return mem_str("its highest tier is above that of the task "
			       "above");
	if (strcmp(json_text(doc, "domain", ""),
		   json_text(above, "domain", "?")) != 0)
		return mem_str("its class is of another domain than the task "
			       "above");
	if (json_int(doc, "expiresMs", INT64_MAX) >
	    json_int(above, "expiresMs", 0))
		return mem_str("it would last longer than the task above");
	if (!continues(doc, above))
		return mem_str("its chain is not that of the task above");
	return wider_agent(inv, json_text(doc, "agent", ""),
			   json_text(above, "agent", ""));
}

static bool is_attenuated(const struct task *t)
{
	const struct task *parent = task_parent(t);

	if (!has_parent(t))
		return true;
	if (parent) {
		CLEANUP(mem_free_p)
		char *why = wider(t->flow->inventory, t->doc, parent->doc);

		return !why && is_attenuated(parent);
	}
	return false;
}

static int64_t planes_with(const json_t *planes, const char *plane)
{
	return (int64_t)json_array_size(planes) + !json_has_text(planes, plane);
}

void delegation_facts(const struct task *t, const char *plane, int64_t now_ms,
		      struct facts *ret)
{
	ret->depth = json_int(t->doc, "depth", 0);
	ret->chain = task_chain(t);
	ret->attenuated = is_attenuated(t);
	ret->chain_healthy = !delegation_fault(t, now_ms);
	ret->plane_count = is_in_chain(t)
				   ? planes_with(json_array_in(root_of(t)->doc,
							       "chainPlanes"),
						 plane)
				   : 0;
}

/* ---- what came of a task ---- */

static void gather_tree(struct task *t, struct task **list, size_t *count)
{
	const json_t *row;
	size_t at;

	json_array_foreach(json_array_in(t->doc, "children"), at, row) {
		struct task *child =
			task_find(t->flow, json_text(row, "id", ""));

		if (child)
			gather_tree(child, list, count);
	}
	list[(*count)++] = t;
}

struct task **delegation_tree(struct task *t, size_t *ret_count)
{
	struct task **list =
		mem_array(map_count(t->flow->tasks) + 1, sizeof(struct task *));

	*ret_count = 0;
	gather_tree(t, list, ret_count);
	return list;
}

void delegation_end(struct task *t, const char *how)
{
	const json_t *row;
	size_t at;

	json_array_foreach(json_array_in(t->doc, "children"), at, row) {
		struct task *child =
			task_find(t->flow, json_text(row, "id", ""));

		if (!child || !task_is_open(child))
			continue;
		json_set_text(child->doc, "endedWith", t->id);
		task_end(child, how);
	}
}

bool delegation_has_open(const struct task *t)
{
	const json_t *row;
	size_t at;

	json_array_foreach(json_array_in(t->doc, "children"), at, row) {
		if (task_find(t->flow, json_text(row, "id", "")))
			return true;
	}
	return false;
}

/* ---- delegating ---- */

static const char says_denied[] =
	"This agent may not delegate this to that agent.";

/* A delegation that is being decided. */
struct delegating {
	struct flow *flow;
	struct task *parent;
	const char *receiver;
	int64_t now_ms;
	int64_t ttl_s;
	json_t *doc; /* owned: of the task it would be */
	json_t *ask; /* owned */
	char *why;   /* owned: not by policy, NULL if nothing is against it */
	struct policy_verdict verdict;
};

static void delegating_clear(struct delegating *d)
{
	json_decref(d->doc);
	json_decref(d->ask);
	free(d->why);
	policy_verdict_clear(&d->verdict);
}

/* A ttl is a maximum: what is left of the task above, and what a task of the
 * class may last, are less. */
static int64_t lowered_ttl(const struct task *parent, const json_t *class,
			   const json_t *body, int64_t now_ms)
{
	int64_t left_s = (task_window_ms(parent) - now_ms) / 1000;
	int64_t longest_s = 0;
	int64_t ttl_s = left_s;

	if (json_text(body, "ttl", NULL) &&
	    clock_parse_duration(json_text(body, "ttl", ""), &ttl_s) < 0)
		return 0;
	if (clock_parse_duration(json_text(class, "longest", ""), &longest_s) <
	    0)
		return 0;
	ttl_s = ttl_s < left_s ? ttl_s : left_s;
	return ttl_s < longest_s ? ttl_s : longest_s;
}

/* Texts that are in both, in the order of the first; owned. */
static json_t *in_both(const json_t *first, const json_t *second)
{
	json_t *both = json_array();
	json_t *name;
	size_t at;

	json_array_foreach(first, at, name) {
		if (json_has_text(second, json_string_value(name)))
			json_array_append(both, name);
	}
	return both;
}

/* What the class would let it do and the task above does not is cut off; what
 * is asked for is not. */
static void narrow(json_t *doc, const json_t *body, const struct task *parent)
{
	const json_t *above = parent->doc;
	int64_t tier = json_int(doc, "maxTier", 0);
	int64_t highest = json_int(above, "maxTier", 0);
	json_t *chain =
		task_chain(parent)
			? json_copy((json_t *)(uintptr_t)task_chain(parent))
			: json_array();

	json_object_set(doc, "actions", json_object_get(body, "actions"));
	json_set_int(doc, "maxTier", tier < highest ? tier : highest);
	json_set_new(doc, "classPlanes",
		     in_both(json_object_get(doc, "classPlanes"),
			     json_object_get(above, "classPlanes")));
	json_array_append(chain, json_object_get(above, "agent"));
	json_set_text(doc, "parent", parent->id);
	json_set_new(doc, "chain", chain);
	json_set_int(doc, "depth", json_int(above, "depth", 0) + 1);
}

/* The document of the part of parent that body hands over; owned. */
static json_t *part_doc(const struct delegating *d, const json_t *body,
			json_t *planes)
{
	struct caller receiver = { .kind = CALLER_AGENT };
	CLEANUP(json_put_p)
	json_t *wanted = json_copy((json_t *)(uintptr_t)body);
	json_t *doc;

	snprintf(receiver.name, sizeof(receiver.name), "%s", d->receiver);
	if (!json_text(wanted, "class", NULL))
		json_object_set(wanted, "class",
				json_object_get(d->parent->doc, "class"));
	doc = task_doc_new(d->flow, &receiver, wanted, planes, d->now_ms,
			   d->ttl_s);
	narrow(doc, body, d->parent);
	return doc;
}

/* Why the receiver may not be given it, whatever policy says; owned, or NULL.
 */
static char *receiver_fault(const struct delegating *d)
{
	const char *fault = inventory_agent_fault(d->flow->inventory,
						  d->receiver, d->now_ms);
	const char *class = json_text(d->doc, "class", "");

	if (is_contained(d->flow, d->receiver, NULL))
		return mem_format("agent '%s' is contained", d->receiver);
	if (fault)
		return mem_format("agent '%s': %s", d->receiver, fault);
	if (strcmp(class, json_text(d->parent->doc, "class", "")) != 0 &&
	    !json_has_text(
		    json_object_get(inventory_spec(d->flow->inventory,
						   MANIFEST_TASK_CLASS, class),
				    "openers"),
		    d->receiver))
		return mem_format("agent '%s' may not open tasks of class "
				  "'%s'",
				  d->receiver, class);
	return NULL;
}

/* An action that the class of the part does not list, or NULL. */
static const char *not_of_class(const struct delegating *d)
{
	const json_t *class =
		inventory_spec(d->flow->inventory, MANIFEST_TASK_CLASS,
			       json_text(d->doc, "class", ""));

	return not_within(json_object_get(d->doc, "actions"),
			  json_object_get(class, "actions"));
}

static bool may_delegate_by_class(const struct task *t)
{
	for (; t; t = task_parent(t)) {
		if (!json_has_text(json_object_get(class_of(t), "actions"),
				   "Delegate") ||
		    !json_has_text(json_object_get(t->doc, "actions"),
				   "Delegate"))
			return false;
	}
	return true;
}

static char *own_fault(const struct delegating *d)
{
	const char *action = not_of_class(d);
	char *why = wider(d->flow->inventory, d->doc, d->parent->doc);

	if (why)
		return why;
	if (action)
		return mem_format("class '%s' does not list action '%s'",
				  json_text(d->doc, "class", ""), action);
	return receiver_fault(d);
}

static void gather(const struct delegating *d, struct facts *facts)
{
	const json_t *planes = json_object_get(d->doc, "planes");

	task_open_facts(facts, d->now_ms, d->ttl_s, planes);
	task_open_signals(d->flow, d->parent->doc, d->now_ms, facts);
	facts->covered = may_delegate_by_class(d->parent);
	facts->depth = json_int(d->doc, "depth", 0);
	facts->chain = task_chain(d->parent);
	facts->attenuated = is_attenuated(d->parent);
	facts->chain_healthy = !delegation_fault(d->parent, d->now_ms);
}

static void ask_policy(struct delegating *d)
{
	struct policy_people people = { decide_members, d->flow };
	struct ask_task ask_task;
	struct facts facts;

	gather(d, &facts);
	/* What is wider than what it came from is a chain that widened. */
	if (d->why)
		facts.attenuated = false;
	task_as_ask(d->parent, &ask_task);
	json_decref(d->ask);
	policy_verdict_clear(&d->verdict);
	d->ask = ask_delegate(&ask_task, d->receiver, &facts);
	if (policy_decide(d->flow->linked, d->flow->world, d->ask, &people,
			  &d->verdict) < 0)
		d->verdict.decision = POLICY_DENY;
}

/* Time is lowered before anything else, as for requests. */
static void decide_part(struct delegating *d)
{
	d->why = own_fault(d);
	for (int i = 0; i < TTL_LOWERED_MAX; i++) {
		const char *longest;

		ask_policy(d);
		longest = json_text(d->verdict.requires, "maxTtl", NULL);
		if (d->verdict.decision != POLICY_PENDING || !longest ||
		    clock_parse_duration(longest, &d->ttl_s) < 0)
			return;
		json_set_time(d->doc, "expires", d->now_ms + d->ttl_s * 1000);
		json_set_int(d->doc, "expiresMs", d->now_ms + d->ttl_s * 1000);
	}
	d->verdict.decision = POLICY_DENY;
}

/* Why it is denied, in words; owned. */
static json_t *denial_of(const struct delegating *d)
{
	json_t *decision = decision_denied(d->flow, d->verdict.policies);
	CLEANUP(mem_free_p) char *agent = NULL;

	if (d->why)
		agent = mem_format("It cannot be delegated: %s.", d->why);
	else if (d->verdict.decision == POLICY_PENDING)
		agent = mem_str("People would have to approve it, and a "
				"delegation does not wait for people: let the "
				"agent that has the task ask for the action "
				"itself.");
	else
		return decision;
	json_set_text(decision, "forAgent", agent);
	json_set_text(decision, "forHuman", agent);
	if (json_object_size(d->verdict.requires))
		json_object_set(decision, "requires", d->verdict.requires);
	return decision;
}

static void deny(struct delegating *d, const struct caller *caller,
		 const struct acting *acting, struct reply_to reply)
{
	struct task_denial denial = {
		.action = "Delegate",
		.says = says_denied,
		.doc = d->doc,
		.ask = d->ask,
		.policies = d->verdict.policies,
		.decision = denial_of(d),
	};

	task_deny(d->flow, caller, acting, &denial, reply);
}

static void decision_leaf(const struct delegating *d, struct evidence_txn *t)
{
	CLEANUP(mem_free_p)
	char *subject = mem_format("agent:%s", agent_of(d->parent));
	struct evidence_part parts[] = { { subject, d->doc },
					 { subject, d->ask } };
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "action", "Delegate");
	json_set_text(fields, "mode", "execute");
	json_set_text(fields, "route", "auto");
	json_set_text(fields, "task", d->parent->id);
	json_set_text(fields, "bundle", d->flow->bundle_digest);
	cited_set(fields, "policies", d->verdict.policies, IDS_MAX);
	must(evidence_leaf(t, LEAF_DECISION, json_text(d->doc, "id", ""),
			   fields, parts, ARRAY_LEN(parts), &leaf),
	     "a decision's leaf");
	leaf_note(d->doc, "decision", &leaf);
}

/* The parent's document names the child in the transaction that begins it. */
static void note_child(struct delegating *d, struct evidence_txn *t)
{
	json_t *children = json_array_in(d->parent->doc, "children");
	json_t *row = json_object();

	if (!children) {
		children = json_array();
		json_set_new(d->parent->doc, "children", children);
	}
	json_object_set(row, "id", json_object_get(d->doc, "id"));
	json_object_set(row, "agent", json_object_get(d->doc, "agent"));
	json_array_append_new(children, row);
	evidence_put(t, NOUN_TASK, d->parent->id, d->parent->doc);
}

static void open_part(struct delegating *d, const struct caller *caller,
		      const struct acting *acting, struct reply_to reply)
{
	struct flow *f = d->flow;
	struct evidence_txn *t = evidence_begin(f->evidence);
	const char *id = json_text(d->doc, "id", "");
	struct leaf_ref leaf;
	struct task *child;

	decision_leaf(d, t);
	task_leaf(t, d->doc, "opened", &leaf);
	evidence_put(t, NOUN_TASK, id, d->doc);
	note_child(d, t);
	once_key_put(f, t, caller, acting, id);
	if (*caller->jti)
		once_seen_put(f, t, "jti", caller->jti, caller->expires_ms);
	child = task_new(f, json_incref(d->doc));
	task_schedule_expiry(child);
	lease_run(child);
	commit_answer(f, t, reply, ANSWER_CREATED, task_view(d->doc));
}

/* The open task of the caller that it would delegate from; answers if it has
 * none. */
static struct task *parent_of(struct flow *f, const struct caller *caller,
			      const char *id, struct reply_to reply)
{
	struct task *t = task_own_open(f, caller, id, reply);

	if (!t)
		return NULL;
	if (json_array_size(json_array_in(t->doc, "children")) >=
	    CHILDREN_MAX) {
		answer_problem(reply, ANSWER_CONFLICT, "too-many-children",
			       "A task delegates at most %d times.",
			       CHILDREN_MAX);
		return NULL;
	}
	return t;
}

/* The class of the part; answers if there is none that could be. */
static const json_t *part_class(struct flow *f, const struct task *parent,
				const json_t *body, struct reply_to reply)
{
	const char *name =
		json_text(body, "class", json_text(parent->doc, "class", ""));
	const json_t *class =
		inventory_spec(f->inventory, MANIFEST_TASK_CLASS, name);

	if (!class || is_leaving(f, MANIFEST_TASK_CLASS, name)) {
		answer_problem(reply, ANSWER_INVALID, "no-such-class",
			       "There is no task class '%s'.", name);
		return NULL;
	}
	if (strcmp(json_text(class, "status", "active"), "active") != 0) {
		answer_problem(reply, ANSWER_CONFLICT, "class-not-active",
			       "The task class '%s' is %s.", name,
			       json_text(class, "status", ""));
		return NULL;
	}
	return class;
}

static bool is_no_agent(struct flow *f, const char *name, struct reply_to reply)
{
	if (inventory_find(f->inventory, MANIFEST_AGENT, name) &&
	    !is_leaving(f, MANIFEST_AGENT, name))
		return false;
	answer_problem(reply, ANSWER_INVALID, "no-such-agent",
		       "There is no agent '%s'.", name);
	return true;
}

/* Everything but policy: fills d; answers and says false if it stops here. */
static bool prepare(struct delegating *d, const struct caller *caller,
		    const char *task, const json_t *body, struct reply_to reply)
{
	struct flow *f = d->flow;
	const json_t *class;
	CLEANUP(json_put_p) json_t *planes = NULL;
	const char *missing = "";

	d->parent = parent_of(f, caller, task, reply);
	class = d->parent ? part_class(f, d->parent, body, reply) : NULL;
	if (!class || is_no_agent(f, d->receiver, reply) ||
	    quota_rate_over(f, caller->name, reply) ||
	    quota_tasks_over(f, d->receiver, reply))
		return false;
	planes = task_planes(f, json_object_get(body, "targets"), &missing);
	if (!planes) {
		answer_problem(reply, ANSWER_INVALID, "no-such-target",
			       "There is no target '%s'.", missing);
		return false;
	}
	d->ttl_s = lowered_ttl(d->parent, class, body, d->now_ms);
	d->doc = part_doc(d, body, planes);
	return true;
}

void flow_task_delegate(struct flow *f, const struct caller *caller,
			const struct acting *acting, const char *task,
			const json_t *body, struct reply_to reply)
{
	CLEANUP(delegating_clear)
	struct delegating d = {
		.flow = f,
		.receiver = json_text(body, "agent", ""),
		.now_ms = clock_wall_ms(),
	};
	const char *fault = arming_fault(f);

	if (task_answered_by_key(f, caller, acting, says_denied, reply))
		return;
	if (fault) {
		answer_problem(reply, ANSWER_UNAVAILABLE, "unavailable", "%s",
			       fault);
		return;
	}
	if (!prepare(&d, caller, task, body, reply))
		return;
	decide_part(&d);
	if (!d.why && d.verdict.decision == POLICY_ALLOW)
		open_part(&d, caller, acting, reply);
	else
		deny(&d, caller, acting, reply);
}
