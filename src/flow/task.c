/*
 * Tasks: opened inside a class, ended by their agent, by time or by
 * containment.  Ending waits for what is in flight, then undoes what nobody
 * else holds; a task is completed when its last grant is confirmed gone.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/task_parts.h"
#include "govern/cited.h"

enum {
	WAIT_END_MS = 30 * 1000,
	TAKE_UP_MS = 50,	/* between looks for a log with room */
	DENIAL_MAX = 64 * 1024, /* bytes of one that is told again */
	CITED_MAX = 2 * 1024,	/* bytes of policies that a leaf lists */
	KEPT_MAX = EVIDENCE_PAYLOAD_MAX - 64 * 1024, /* bytes of a task */
	LIST_MAX = 128 * 1024, /* bytes of a list in one that is larger */
};

struct task *task_find(struct flow *f, const char *id)
{
	return map_get(f->tasks, id);
}

static const char *state_of(const struct task *t)
{
	return json_text(t->doc, "state", "");
}

bool task_is_open(const struct task *t)
{
	return !strcmp(state_of(t), "open");
}

/* Until when its agent may act, as far as is known now: what it was lent does
 * not outlast that. */
static int64_t agent_until_ms(const struct task *t)
{
	const struct inventory *inv = t->flow->inventory;
	const char *agent = json_text(t->doc, "agent", "");
	int64_t until = 0;

	if (inventory_agent_fault(inv, agent, 0) ||
	    clock_parse(json_text(inventory_spec(inv, MANIFEST_AGENT, agent),
				  "expires", ""),
			&until) < 0)
		return 0;
	return until;
}

static int64_t class_window_ms(const struct task *t)
{
	const json_t *class =
		inventory_spec(t->flow->inventory, MANIFEST_TASK_CLASS,
			       json_text(t->doc, "class", ""));
	int64_t until = json_int(t->doc, "expiresMs", 0);
	int64_t opened = 0;
	int64_t longest_s = 0;

	if (clock_parse_duration(json_text(class, "longest", ""), &longest_s) <
		    0 ||
	    clock_parse(json_text(t->doc, "opened", ""), &opened) < 0)
		return until;
	return opened + longest_s * 1000 < until ? opened + longest_s * 1000
						 : until;
}

static int64_t own_window_ms(const struct task *t)
{
	int64_t class_ms = class_window_ms(t);
	int64_t agent_ms = agent_until_ms(t);

	return class_ms < agent_ms ? class_ms : agent_ms;
}

int64_t task_window_ms(const struct task *t)
{
	int64_t own_ms = own_window_ms(t);
	int64_t above_ms = delegation_window_ms(t);

	return own_ms < above_ms ? own_ms : above_ms;
}

const char *task_fault(const struct task *t, int64_t now_ms)
{
	const struct flow *f = t->flow;
	const char *agent = json_text(t->doc, "agent", "");
	const json_t *class;
	const char *fault;

	if (is_contained(f, agent, t->id))
		return "the agent or its task is contained";
	if (!task_is_open(t))
		return "the task is not open";
	if (now_ms >= task_window_ms(t))
		return "the task's window is over";
	class = inventory_spec(f->inventory, MANIFEST_TASK_CLASS,
			       json_text(t->doc, "class", ""));
	if (!class)
		return "the task's class is gone";
	if (strcmp(json_text(class, "status", "active"), "active") != 0)
		return "the task's class is not active any more";
	if (!json_has_text(json_object_get(class, "openers"), agent) &&
	    !delegation_is_within_class(t))
		return "the agent may not open tasks of this class any more";
	fault = inventory_agent_fault(f->inventory, agent, now_ms);
	return fault ? fault : delegation_fault(t, now_ms);
}

struct task *task_own_open(struct flow *f, const struct caller *caller,
			   const char *id, struct reply_to reply)
{
	struct task *t = task_find(f, id);
	const char *fault;

	if (!t || strcmp(json_text(t->doc, "agent", ""), caller->name) != 0) {
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-task",
			       "This agent has no such open task.");
		return NULL;
	}
	fault = task_fault(t, clock_wall_ms());
	if (!fault)
		return t;
	answer_problem(reply, ANSWER_CONFLICT, "task-not-open", "%s", fault);
	return NULL;
}

bool task_needs_witnesses(const struct task *t)
{
	const json_t *class =
		inventory_spec(t->flow->inventory, MANIFEST_TASK_CLASS,
			       json_text(t->doc, "class", ""));

	const struct task *parent = task_parent(t);

	return !strcmp(json_text(t->doc, "requiresReceipt", ""), "witnessed") ||
	       !strcmp(json_text(class, "requiresReceipt", ""), "witnessed") ||
	       (parent && task_needs_witnesses(parent));
}

void task_as_ask(const struct task *t, struct ask_task *ret)
{
	*ret = (struct ask_task){
		.agent = json_text(t->doc, "agent", ""),
		.task = t->id,
		.class = json_text(t->doc, "class", ""),
		.planes = json_object_get(t->doc, "planes"),
		.expires_ms = task_window_ms(t),
	};
}

json_t *task_view(const json_t *doc)
{
	static const char *const members[] = {
		"id",	    "agent",	"class",    "intent",  "targets",
		"planes",   "state",	"opened",   "expires", "ended",
		"endedHow", "records",	"evidence", "erased",  "leaseSeconds",
		"return",   "parent",	"chain",    "depth",   "actions",
		"children", "endedWith"
	};

	json_t *view = json_object();

	json_pick(view, doc, members, ARRAY_LEN(members));
	return view;
}

/* ---- opening ---- */

json_t *task_planes(const struct flow *f, const json_t *targets,
		    const char **ret_missing)
{
	CLEANUP(json_put_p) json_t *planes = json_array();
	const json_t *target;
	size_t at;

	json_array_foreach(targets, at, target) {
		const char *name = json_string_value(target);
		const json_t *spec =
			inventory_spec(f->inventory, MANIFEST_TARGET, name);
		const char *plane = json_text(spec, "plane", NULL);

		*ret_missing = name;
		if (!plane || is_leaving(f, MANIFEST_TARGET, name))
			return NULL;
		if (!json_has_text(planes, plane))
			json_array_append_new(planes, json_string(plane));
	}
	return TAKE(planes);
}

json_t *task_doc_new(struct flow *f, const struct caller *caller,
		     const json_t *body, json_t *planes, int64_t now_ms,
		     int64_t ttl_s)
{
	const char *class = json_text(body, "class", "");
	const json_t *manifest =
		inventory_find(f->inventory, MANIFEST_TASK_CLASS, class);
	static const char *const kept[] = { "requiresEvidence", "monitoring",
					    "escalation", "requiresReceipt",
					    "requiresEffects" };
	struct digest digest = manifest_digest(manifest);
	char text[DIGEST_TEXT_LEN];
	char id[ID_MAX];
	json_t *doc = json_object();
	int64_t lease_s = 0;
	const json_t *spec;

	id_new("tsk", id);
	digest_format(&digest, text);
	json_set_text(doc, "id", id);
	json_set_text(doc, "agent", caller->name);
	json_set_text(doc, "class", class);
	json_set_text(doc, "classDigest", text);
	json_set_text(doc, "intent", json_text(body, "intent", ""));
	json_object_set(doc, "targets", json_object_get(body, "targets"));
	json_object_set(doc, "planes", planes);
	/* What the class says now is a limit for the whole task. */
	spec = json_object_get(manifest, "spec");
	json_object_set(doc, "actions", json_object_get(spec, "actions"));
	json_object_set(doc, "classPlanes", json_object_get(spec, "planes"));
	json_object_set(doc, "domain", json_object_get(spec, "domain"));
	json_object_set(doc, "maxTier", json_object_get(spec, "maxTier"));
	json_object_set(doc, "classOwner", json_object_get(spec, "owner"));
	json_set_flag(doc, "softwareKeys",
		      json_flag(spec, "softwareKeys", false));
	json_pick(doc, spec, kept, ARRAY_LEN(kept));
	json_set_new(doc, "planesTouched", json_array());
	json_set_new(doc, "records", json_object());
	if (clock_parse_duration(json_text(body, "lease", ""), &lease_s) == 0)
		json_set_int(doc, "leaseSeconds", lease_s);
	json_set_text(doc, "state", "open");
	json_set_time(doc, "opened", now_ms);
	json_set_time(doc, "expires", now_ms + ttl_s * 1000);
	json_set_int(doc, "expiresMs", now_ms + ttl_s * 1000);
	return doc;
}

void task_open_facts(struct facts *facts, int64_t now_ms, int64_t ttl_s,
		     const json_t *planes)
{
	facts_init(facts);
	facts->now_ms = now_ms;
	facts->ttl_s = ttl_s;
	facts->attested = true;
	facts->change_freeze = false;
	facts->covered = true;
	facts->monitored = true;
	facts->self_dealing = false;
	facts->blast_radius = 0;
	facts->risk_score = 0;
	facts->privileged_24h = 0;
	facts->irreversible_24h = 0;
	facts->planes_24h = (int64_t)json_array_size(planes);
	facts->planes = planes;
}

void task_open_signals(struct flow *f, const json_t *doc, int64_t now_ms,
		       struct facts *facts)
{
	struct risk_of of = { .agent = json_text(doc, "agent", "") };
	struct risk risk;

	risk_read(f, &of, now_ms, &risk);
	json_decref(risk.seen);
	facts->risk_score = risk.score;
	facts->monitored = detectors_are_heard(
		f, json_object_get(doc, "monitoring"), now_ms);
}

static json_t *task_fields(const json_t *doc, const char *event)
{
	json_t *fields = json_object();

	json_set_text(fields, "event", event);
	json_set_text(fields, "class", json_text(doc, "classDigest", ""));
	json_set_text(fields, "expires", json_text(doc, "expires", ""));
	json_set_text(fields, "parent", json_text(doc, "parent", NULL));
	json_set_text(fields, "endedWith", json_text(doc, "endedWith", NULL));
	return fields;
}

static void cut_lists(json_t *of, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (json_array_in(of, names[i]))
			cited_set(of, names[i], json_array_in(of, names[i]),
				  LIST_MAX);
	}
}

/* What its leaf keeps of a task, owned: all of it, unless so much was reported
 * and observed that there is no room; what was reported stands in leaves of its
 * own. */
static json_t *kept_of(const json_t *doc)
{
	static const char *const reported[] = { "effects" };
	static const char *const returned[] = { "changed", "lent", "reported",
						"observed", "differences" };
	json_t *kept = json_copy((json_t *)(uintptr_t)doc);
	json_t *back = json_copy(json_object_in(doc, "return"));

	if (json_dumpb(kept, NULL, 0, JSON_COMPACT) > KEPT_MAX) {
		cut_lists(kept, reported, ARRAY_LEN(reported));
		cut_lists(back, returned, ARRAY_LEN(returned));
		if (back)
			json_object_set(kept, "return", back);
	}
	json_decref(back);
	return kept;
}

void task_leaf(struct evidence_txn *t, json_t *doc, const char *event,
	       struct leaf_ref *ret_leaf)
{
	CLEANUP(mem_free_p)
	char *subject = mem_format("agent:%s", json_text(doc, "agent", ""));
	CLEANUP(json_put_p) json_t *kept = kept_of(doc);
	struct evidence_part part = { subject, kept };

	must(evidence_leaf(t, LEAF_TASK, json_text(doc, "id", NULL),
			   task_fields(doc, event), &part, 1, ret_leaf),
	     "a task's leaf");
	leaf_note(doc, event, ret_leaf);
}

/* What the key of a call stands for that opened nothing: this, and the decision
 * as it was told. */
static const char about_denied[] = "denied";
static const char says_denied[] =
	"Policy does not let this agent open a task of this class.";

/* A denial as it is told, of a decision that is then its; owned. */
static json_t *denial_body(json_t *owned_decision)
{
	json_t *body = json_object();

	json_set_new(body, "decision", owned_decision);
	return body;
}

static char *denial_about(const json_t *decision)
{
	CLEANUP(mem_free_p) char *text = json_canonical(decision);

	return mem_format("%s %s", about_denied, text);
}

/* The denial that about keeps; one of an older version kept none. */
static json_t *denial_again(const char *about)
{
	json_t *decision = NULL;

	if (!about[sizeof(about_denied) - 1] ||
	    json_parse(slice_str(about + sizeof(about_denied)), DENIAL_MAX,
		       &decision) < 0)
		return NULL;
	return denial_body(decision);
}

void task_deny(struct flow *f, const struct caller *caller,
	       const struct acting *acting, const struct task_denial *denial,
	       struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *about = denial_about(denial->decision);
	CLEANUP(mem_free_p)
	char *subject =
		mem_format("agent:%s", json_text(denial->doc, "agent", ""));
	struct evidence_part parts[] = { { subject, denial->doc },
					 { subject, denial->ask } };
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "action", denial->action);
	json_set_text(fields, "route", "deny");
	cited_set(fields, "policies", denial->policies, CITED_MAX);
	json_set_text(fields, "task", json_text(denial->doc, "parent", NULL));
	json_set_text(fields, "bundle", f->bundle_digest);
	must(evidence_leaf(t, LEAF_DECISION, json_text(denial->doc, "id", NULL),
			   fields, parts, ARRAY_LEN(parts), &leaf),
	     "a decision's leaf");
	once_key_put(f, t, caller, acting, about);
	if (*caller->jti)
		once_seen_put(f, t, "jti", caller->jti, caller->expires_ms);
	commit_problem(f, t, reply, ANSWER_DENIED, "denied", denial->says,
		       denial_body(denial->decision));
}

static void open_task(struct flow *f, const struct caller *caller,
		      const struct acting *acting, json_t *doc,
		      struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	struct task *opened;
	struct leaf_ref leaf;

	task_leaf(t, doc, "opened", &leaf);
	evidence_put(t, NOUN_TASK, json_text(doc, "id", ""), doc);
	once_key_put(f, t, caller, acting, json_text(doc, "id", ""));
	if (*caller->jti)
		once_seen_put(f, t, "jti", caller->jti, caller->expires_ms);
	opened = task_new(f, json_incref(doc));
	task_schedule_expiry(opened);
	lease_run(opened);
	commit_answer(f, t, reply, ANSWER_CREATED, task_view(doc));
}

/* A call again is answered as the first was, with the task as it now is. */
static void answer_opened(struct flow *f, const char *id, struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *doc = NULL;
	const struct task *t = task_find(f, id);

	/* One that is not durable yet is answered after it is. */
	if (t)
		commit_answer(f, evidence_begin(f->evidence), reply,
			      ANSWER_CREATED, task_view(t->doc));
	else if (store_get(evidence_reader(f->evidence), NOUN_TASK, id, &doc,
			   NULL) == 0)
		answer(reply, ANSWER_CREATED, task_view(doc));
	else
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-task",
			       "What this key stands for is gone.");
}

bool task_answered_by_key(struct flow *f, const struct caller *caller,
			  const struct acting *acting, const char *says,
			  struct reply_to reply)
{
	CLEANUP(mem_free_p) char *about = NULL;
	enum once once = once_key(f, caller, acting, &about);

	if (once == ONCE_UNKNOWN) {
		answer_unreadable(reply);
		return true;
	}
	if (once == ONCE_OTHER) {
		answer_problem(reply, ANSWER_MISMATCH, "key-reused",
			       "This Idempotency-Key was used for another "
			       "request.");
		return true;
	}
	if (once == ONCE_AGAIN &&
	    !strncmp(about, about_denied, sizeof(about_denied) - 1)) {
		/* After the first answer's transaction, should that last. */
		commit_problem(f, evidence_begin(f->evidence), reply,
			       ANSWER_DENIED, "denied", says,
			       denial_again(about));
		return true;
	}
	if (once == ONCE_AGAIN) {
		answer_opened(f, about, reply);
		return true;
	}
	return answered_as_replayed(f, caller, reply);
}

static int64_t open_ttl(const json_t *class, const json_t *body)
{
	int64_t ttl_s = 0;
	const char *text =
		json_text(body, "ttl", json_text(class, "longest", "1h"));

	return clock_parse_duration(text, &ttl_s) < 0 ? 0 : ttl_s;
}

/* Policy's answer on opening doc; true if it allows. */
static bool may_open(struct flow *f, const json_t *doc, int64_t ttl_s,
		     int64_t now_ms, json_t **ret_ask,
		     struct policy_answer *ret_policy)
{
	struct ask_task ask_task = {
		.agent = json_text(doc, "agent", ""),
		.task = json_text(doc, "id", ""),
		.class = json_text(doc, "class", ""),
		.planes = json_object_get(doc, "planes"),
		.expires_ms = json_int(doc, "expiresMs", 0),
	};
	struct facts facts;

	task_open_facts(&facts, now_ms, ttl_s, ask_task.planes);
	task_open_signals(f, doc, now_ms, &facts);
	/* Nobody is above. */
	facts.attenuated = true;
	facts.chain_healthy = true;
	*ret_ask = ask_open_task(&ask_task, &facts);
	return policy_ask(f->linked, f->world, *ret_ask, ret_policy) == 0 &&
	       ret_policy->allow && !is_contained(f, ask_task.agent, NULL);
}

/* Why it is denied and what would help: less time, where the class's longest is
 * what stands against it.  Owned. */
static json_t *denial_of(struct flow *f, const json_t *doc, const json_t *class,
			 int64_t now_ms, const struct policy_answer *policy)
{
	CLEANUP(json_put_p)
	json_t *shorter = json_copy((json_t *)(uintptr_t)doc);
	CLEANUP(json_put_p) json_t *ask = NULL;
	json_t *decision = decision_denied(f, policy->policies);
	struct policy_answer answer = { 0 };
	int64_t longest_s = 0;

	if (is_contained(f, json_text(doc, "agent", ""), NULL)) {
		json_set_new(decision, "policies", json_array());
		json_set_text(decision, "cause", "contained");
		json_set_text(decision, "forAgent",
			      "This agent is contained; a person must release "
			      "it.");
		json_set_text(decision, "forHuman",
			      "The agent is contained; releasing it would "
			      "help.");
		json_set_text(decision, "remedy", "release the agent");
		return decision;
	}
	if (clock_parse_duration(json_text(class, "longest", ""), &longest_s) <
		    0 ||
	    json_int(doc, "expiresMs", 0) <= now_ms + longest_s * 1000)
		return decision;
	json_set_int(shorter, "expiresMs", now_ms + longest_s * 1000);
	if (may_open(f, shorter, longest_s, now_ms, &ask, &answer))
		decision_offer_ttl(decision, longest_s,
				   "tasks of this class last no longer");
	policy_answer_clear(&answer);
	return decision;
}

void flow_task_open(struct flow *f, const struct caller *caller,
		    const struct acting *acting, const json_t *body,
		    struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *planes = NULL;
	CLEANUP(json_put_p) json_t *doc = NULL;
	CLEANUP(json_put_p) json_t *ask = NULL;
	struct policy_answer policy = { 0 };
	const char *class_name = json_text(body, "class", "");
	const json_t *class =
		inventory_spec(f->inventory, MANIFEST_TASK_CLASS, class_name);
	const char *missing = "";
	int64_t now_ms = clock_wall_ms();
	int64_t ttl_s = open_ttl(class, body);
	const char *fault = arming_fault(f);

	if (task_answered_by_key(f, caller, acting, says_denied, reply))
		return;
	if (answer_if_degraded(f, reply))
		return;
	if (fault) {
		answer_problem(reply, ANSWER_UNAVAILABLE, "unavailable", "%s",
			       fault);
		return;
	}
	if (!class || is_leaving(f, MANIFEST_TASK_CLASS, class_name)) {
		answer_problem(reply, ANSWER_INVALID, "no-such-class",
			       "There is no task class '%s'.", class_name);
		return;
	}
	if (strcmp(json_text(class, "status", "active"), "active") != 0) {
		answer_problem(reply, ANSWER_CONFLICT, "class-not-active",
			       "The task class '%s' is %s.", class_name,
			       json_text(class, "status", ""));
		return;
	}
	if (quota_rate_over(f, caller->name, reply) ||
	    quota_tasks_over(f, caller->name, reply))
		return;
	planes = task_planes(f, json_object_get(body, "targets"), &missing);
	if (!planes) {
		answer_problem(reply, ANSWER_INVALID, "no-such-target",
			       "There is no target '%s'.", missing);
		return;
	}
	doc = task_doc_new(f, caller, body, planes, now_ms, ttl_s);
	if (may_open(f, doc, ttl_s, now_ms, &ask, &policy)) {
		open_task(f, caller, acting, doc, reply);
	} else {
		struct task_denial denial = {
			.action = "OpenTask",
			.says = says_denied,
			.doc = doc,
			.ask = ask,
			.policies = policy.policies,
			.decision = denial_of(f, doc, class, now_ms, &policy),
		};

		task_deny(f, caller, acting, &denial, reply);
	}
	policy_answer_clear(&policy);
}

/* ---- ending ---- */

void task_free(struct task *t)
{
	while (t->waiters) {
		struct waiter *w = t->waiters;

		t->waiters = w->next;
		loop_timer_end(w->timer);
		answer_closing(w->reply);
		free(w);
	}
	loop_timer_end(t->expiry);
	lease_end(t);
	quota_count_task(t->flow, json_text(t->doc, "agent", ""), -1);
	json_decref(t->doc);
	free(t);
}

static void task_expired(void *cookie)
{
	struct task *t = cookie;

	t->expiry = NULL;
	task_end(t, "expired");
}

void task_schedule_expiry(struct task *t)
{
	int64_t left = task_window_ms(t) - clock_wall_ms();

	t->expiry =
		loop_timer(t->flow->loop, left > 0 ? left : 0, task_expired, t);
}

void tasks_review(struct flow *f)
{
	struct task *t;
	size_t at = 0;

	while ((t = map_next(f->tasks, &at, NULL))) {
		if (!task_is_open(t) || !t->expiry)
			continue;
		loop_timer_end(t->expiry);
		task_schedule_expiry(t);
	}
}

struct task *task_new(struct flow *f, json_t *owned_doc)
{
	struct task *t = mem_new(struct task);

	t->flow = f;
	t->doc = owned_doc;
	snprintf(t->id, sizeof(t->id), "%s", json_text(owned_doc, "id", ""));
	map_put(f->tasks, t->id, t);
	quota_count_task(f, json_text(owned_doc, "agent", ""), 1);
	return t;
}

static void tell_waiters(struct task *t)
{
	while (t->waiters) {
		struct waiter *w = t->waiters;

		t->waiters = w->next;
		loop_timer_end(w->timer);
		answer(w->reply, ANSWER_OK, task_view(t->doc));
		free(w);
	}
}

static void task_ended(void *cookie)
{
	struct task *t = cookie;
	struct flow *f = t->flow;
	CLEANUP(mem_free_p)
	char *parent = mem_str(json_text(t->doc, "parent", ""));

	tell_waiters(t);
	map_remove(f->tasks, t->id);
	task_free(t);
	task_settle(f, parent);
}

static void complete(struct task *t)
{
	struct flow *f = t->flow;
	struct evidence_txn *txn = evidence_begin(f->evidence);
	const char *how = json_text(t->doc, "endedHow", "completed");
	struct leaf_ref leaf;

	json_set_text(t->doc, "state", how);
	json_set_time(t->doc, "ended", clock_wall_ms());
	task_leaf(txn, t->doc, "ended", &leaf);
	containment_note(f, t->id, "ended", &leaf, txn);
	evidence_put(txn, NOUN_TASK, t->id, t->doc);
	evidence_commit(txn, task_ended, t);
}

void task_settle(struct flow *f, const char *id)
{
	struct task *t = task_find(f, id);

	if (!t || strcmp(state_of(t), "ending") != 0)
		return;
	if (!delegation_has_open(t) && requests_open_of(f, id) == 0 &&
	    grants_of_task(f, id) == 0 && return_is_ready(t))
		complete(t);
}

static void settle_later(void *cookie)
{
	struct task *t = cookie;

	task_settle(t->flow, t->id);
}

void task_end(struct task *t, const char *how)
{
	struct flow *f = t->flow;
	struct evidence_txn *txn;
	struct leaf_ref leaf;

	if (strcmp(state_of(t), "open") != 0)
		return;
	delegation_end(t, how);
	loop_timer_end(t->expiry);
	t->expiry = NULL;
	lease_end(t);
	json_set_text(t->doc, "state", "ending");
	json_set_text(t->doc, "endedHow", how);
	txn = evidence_begin(f->evidence);
	task_leaf(txn, t->doc, "ending", &leaf);
	containment_note(f, t->id, "ending", &leaf, txn);
	evidence_put(txn, NOUN_TASK, t->id, t->doc);
	evidence_commit(txn, settle_later, t);
	requests_withdraw_of(f, t->id, "the task ended");
	grants_release(f, t->id, how);
}

/* Somebody who waits for a task's end, and not longer than a call may take. */
struct end_waiter {
	struct waiter waiter; /* first: the task's list holds these */
	struct task *task;
};

static void end_waiter_timeout(void *cookie)
{
	struct end_waiter *w = cookie;
	struct waiter **place = &w->task->waiters;

	while (*place != &w->waiter)
		place = &(*place)->next;
	*place = w->waiter.next;
	answer(w->waiter.reply, ANSWER_WAITING, task_view(w->task->doc));
	free(w);
}

static void wait_for_end(struct task *t, struct reply_to reply)
{
	struct end_waiter *w = mem_new(struct end_waiter);

	w->task = t;
	w->waiter.reply = reply;
	w->waiter.next = t->waiters;
	w->waiter.timer =
		loop_timer(t->flow->loop, WAIT_END_MS, end_waiter_timeout, w);
	t->waiters = &w->waiter;
}

/* Its class demands a report, and nothing was reported, not even nothing. */
static bool lacks_report(const struct task *t)
{
	return task_is_open(t) && json_flag(t->doc, "requiresEffects", false) &&
	       !json_object_get(t->doc, "effects");
}

void flow_task_complete(struct flow *f, const struct caller *caller,
			const char *id, struct reply_to reply)
{
	struct task *t = task_find(f, id);
	bool own = t && !strcmp(json_text(t->doc, "agent", ""), caller->name);

	/* An agent above ends what it has delegated, reported on or not. */
	if (!own && !(t && json_has_text(task_chain(t), caller->name))) {
		flow_view(f, caller, VIEW_TASK, id, NULL, reply);
		return;
	}
	if (own && lacks_report(t)) {
		answer_problem(reply, ANSWER_CONFLICT, "report-missing",
			       "The class wants to be told first what was done "
			       "with what was lent (POST "
			       "/v1/tasks/{id}/effects; an empty list if "
			       "nothing was).");
		return;
	}
	task_end(t, "completed");
	wait_for_end(t, reply);
}

/* ---- loading ---- */

/* A stop may have come between a task's end and those of its grants, or lasted
 * longer than its window.  It goes on when the log has room for it. */
static void take_up(void *cookie)
{
	struct task *t = cookie;
	struct flow *f = t->flow;

	t->expiry = NULL;
	if (evidence_is_busy(f->evidence)) {
		t->expiry = loop_timer(f->loop, TAKE_UP_MS, take_up, t);
	} else if (task_is_open(t) && clock_wall_ms() < task_window_ms(t)) {
		/* It was loaded before the task that it came from. */
		task_schedule_expiry(t);
		lease_run(t);
	} else if (task_is_open(t)) {
		task_end(t, "expired");
	} else {
		delegation_end(t, json_text(t->doc, "endedHow", "completed"));
		grants_release(f, t->id,
			       json_text(t->doc, "endedHow", "completed"));
		task_settle(f, t->id);
	}
}

void task_load(struct flow *f, json_t *doc)
{
	struct task *t = task_new(f, json_incref(doc));

	if (task_is_open(t) && clock_wall_ms() < task_window_ms(t)) {
		task_schedule_expiry(t);
		lease_run(t);
	} else
		t->expiry = loop_timer(f->loop, 0, take_up, t);
}
