/*
 * One request from its creation to its end.
 *
 *   create -> pre-decide -> plan -> decide -> (people) -> plan again -> arm
 *          -> apply and read back -> outcome
 *
 * A request that was never acknowledged is not in the log: its first leaf is
 * its decision.
 */
#include "flow/state.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "govern/approval.h"
#include "govern/plan.h"

enum {
	ATTEMPTS_MAX = 3,      /* plans again before giving up */
	REREAD_SOON_MS = 1000, /* first look at an unknown outcome */
	REREAD_MS = 5 * 1000,  /* between further ones */
	RESUME_MS = 500,       /* between looks for a target that is down */
	TAKE_UP_MS = 50,       /* between looks for a log with room */
	RESUMES_MAX = 120,
	PLAN_MAX =
		256 * 1024, /* bytes: what people can sign and the log hold */
	REREADS_ABSENT = 3, /* equal looks that close it as not applied */
	DEFAULT_APPROVAL_S = 4 * 3600,
	WAIT_MAX_MS = 30 * 1000, /* longest a call is kept waiting */
};

struct request *request_find(struct flow *f, const char *id)
{
	return map_get(f->requests, id);
}

/* ---- the document ---- */

json_t *request_view(const json_t *doc)
{
	static const char *const members[] = {
		"id",	      "task",	  "agent",	"action",
		"target",     "resource", "parameters", "mode",
		"ttl",	      "state",	  "route",	"created",
		"expires",    "decision", "digest",	"approvals",
		"waitingFor", "outcome",  "grant",	"rollbackToken",
		"rollbackOf", "sponsor",  "adoptedAs",	"evidence",
		"tier",	      "adviceOf", "execution",	"attestedBy"
	};
	json_t *view = json_object();
	json_t *found = json_object_get(doc, "found");

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		json_t *value = json_object_get(doc, members[i]);

		if (value)
			json_object_set(view, members[i], value);
	}
	if (found)
		json_object_set(view, "plan", found);
	return view;
}

/* What of it an agent may know: nothing of the target where it was denied, or
 * may not read so much. */
json_t *request_agent_view(const json_t *doc)
{
	json_t *view = request_view(doc);

	if (json_flag(doc, "concealed", false) ||
	    !strcmp(json_text(doc, "state", ""),
		    request_state_name(REQUEST_DENIED)))
		json_object_del(view, "plan");
	return view;
}

/* Key and token of the creating call become durable with the first document,
 * so that a key never stands for a request that is not there. */
static void bind_key(struct request *r, struct evidence_txn *t)
{
	if (r->bound)
		return;
	r->bound = true;
	once_key_put(r->flow, t, &r->caller, &r->acting, r->id);
	if (*r->caller.jti)
		once_seen_put(r->flow, t, "jti", r->caller.jti,
			      r->caller.expires_ms);
}

void request_put(struct request *r, struct evidence_txn *t)
{
	json_set_text(r->doc, "state", request_state_name(r->state));
	bind_key(r, t);
	evidence_put(t, NOUN_REQUEST, r->id, r->doc);
	r->commits++;
}

void request_step(struct request *r, enum request_event event)
{
	enum request_state next = r->state;

	if (!request_next(r->state, event, &next)) {
		error_set(ERR_BROKEN, "request in '%s' cannot '%s'",
			  request_state_name(r->state),
			  request_event_name(event));
		must(ERR_BROKEN, "a step that is not in the table");
	}
	r->state = next;
	json_set_text(r->doc, "state", request_state_name(next));
}

static void forget_asked(struct request *r)
{
	const char *asked = json_text(r->doc, "asked", NULL);

	if (asked && map_get(r->flow->asked, asked) == r)
		map_remove(r->flow->asked, asked);
}

/* ---- the place: one effect at a time ---- */

static char *place_of(const struct request *r)
{
	const json_t *found = json_object_get(r->doc, "found");

	return place_key(json_text(r->doc, "target", ""),
			 json_text(found, "resource", ""),
			 json_object_get(found, "parameters"));
}

/* Whether an effect on the same is under way: a request that is armed or whose
 * outcome is unknown, or the end of a grant. */
static bool place_is_taken(const struct request *r)
{
	CLEANUP(mem_free_p) char *place = place_of(r);
	const struct request *other = map_get(r->flow->inflight, place);
	const struct grant *g = map_get(r->flow->places, place);

	return (other && other != r) || (g && !g->gone && !grant_is_live(g));
}

static void take_place(struct request *r)
{
	free(r->place);
	r->place = place_of(r);
	map_put(r->flow->inflight, r->place, r);
}

static void leave_place(struct request *r)
{
	if (r->place && map_get(r->flow->inflight, r->place) == r)
		map_remove(r->flow->inflight, r->place);
	free(r->place);
	r->place = NULL;
}

void request_free(struct request *r)
{
	leave_place(r);
	forget_asked(r);
	loop_timer_end(r->expiry);
	loop_timer_end(r->reread);
	json_decref(r->doc);
	free(r->to_read);
	free(r->key);
	free(r->route);
	free(r);
}

void request_drop(struct request *r)
{
	map_remove(r->flow->requests, r->id);
	request_free(r);
}

/* Whose data the private parts of its leaves are. */
static char *subject_of(const struct request *r)
{
	const char *human = json_text(r->doc, "gainsHuman", NULL);

	if (human)
		return mem_format("human:%s", human);
	return mem_format("agent:%s", json_text(r->doc, "agent", ""));
}

static void note_leaf(struct request *r, const char *name,
		      const struct leaf_ref *leaf)
{
	json_t *evidence = json_object_get(r->doc, "evidence");

	if (!evidence) {
		evidence = json_object();
		json_set_new(r->doc, "evidence", evidence);
	}
	json_set_new(evidence, name, leaf_json(leaf));
}

/* ---- answers ---- */

static enum answer_kind answer_for(enum request_state state, bool reading)
{
	if (state == REQUEST_DENIED && !reading)
		return ANSWER_DENIED;
	return request_state_is_end(state) ? ANSWER_OK : ANSWER_WAITING;
}

static void tell_doc(const json_t *doc, enum request_state state, bool reading,
		     struct reply_to reply)
{
	enum answer_kind kind = answer_for(state, reading);
	const json_t *decision = json_object_get(doc, "decision");
	struct answer a = {
		.kind = kind,
		.code = kind == ANSWER_DENIED ? "denied" : NULL,
		.detail = json_text(decision, "forAgent", "Denied."),
		.body = request_agent_view(doc),
	};

	reply.fn(reply.cookie, &a);
	json_decref(a.body);
}

void request_tell(struct request *r)
{
	while (r->waiters) {
		struct waiter *w = r->waiters;

		r->waiters = w->next;
		loop_timer_end(w->timer);
		tell_doc(r->doc, r->state, w->reading, w->reply);
		free(w);
	}
}

static void waiter_timeout(void *cookie)
{
	struct waiter *w = cookie;
	struct waiter **place = &w->request->waiters;

	while (*place != w)
		place = &(*place)->next;
	*place = w->next;
	if (w->request->commits > 0 || !w->request->recorded)
		answer_problem(w->reply, ANSWER_UNAVAILABLE, "not-recorded",
			       "It is not recorded yet; ask again.");
	else
		tell_doc(w->request->doc, w->request->state, w->reading,
			 w->reply);
	free(w);
}

static void wait_for(struct request *r, int64_t wait_ms, bool reading,
		     struct reply_to reply)
{
	struct waiter *w;

	/* What is on its way is worth a moment even to who would not wait, and
	 * nothing is told before it is durable. */
	if (r->commits > 0 || !r->recorded ||
	    (r->state != REQUEST_WAITING && r->state != REQUEST_UNKNOWN))
		wait_ms = WAIT_MAX_MS;
	if (r->commits == 0 && r->recorded &&
	    (request_state_is_end(r->state) || wait_ms <= 0)) {
		tell_doc(r->doc, r->state, reading, reply);
		return;
	}
	w = mem_new(struct waiter);
	*w = (struct waiter){ .next = r->waiters,
			      .reply = reply,
			      .request = r,
			      .reading = reading };
	w->timer = loop_timer(r->flow->loop, wait_ms, waiter_timeout, w);
	r->waiters = w;
}

void request_wait(struct request *r, int64_t wait_ms, struct reply_to reply)
{
	wait_for(r, wait_ms, false, reply);
}

void request_watch(struct request *r, int64_t wait_ms, struct reply_to reply)
{
	wait_for(r, wait_ms, true, reply);
}

/* After a commit: tell, and drop what has ended. */
static void told(void *cookie)
{
	struct request *r = cookie;
	struct flow *f = r->flow;
	CLEANUP(mem_free_p) char *task = NULL;

	r->recorded = true;
	if (--r->commits > 0 || r->state == REQUEST_REPLANNING)
		return;
	request_tell(r);
	if (!request_state_is_end(r->state))
		return;
	task = mem_str(json_text(r->doc, "task", ""));
	request_drop(r);
	task_settle(f, task);
}

/* What is armed goes on by itself: nobody is told yet. */
static void armed_durable(void *cookie)
{
	struct request *r = cookie;

	r->recorded = true;
	r->commits--;
}

/* ---- ends without an effect ---- */

/* A transaction, or the one that somebody has begun for what comes next. */
static struct evidence_txn *begin(struct request *r)
{
	return r->begun ? TAKE(r->begun) : evidence_begin(r->flow->evidence);
}

void request_close(struct request *r, enum request_event event,
		   const char *cause, const char *detail)
{
	struct flow *f = r->flow;
	struct evidence_txn *t = begin(r);
	CLEANUP(mem_free_p) char *subject = subject_of(r);
	json_t *outcome = json_object();
	json_t *fields = json_object();
	struct evidence_part part;
	struct leaf_ref leaf;

	request_step(r, event);
	loop_timer_end(r->expiry);
	r->expiry = NULL;
	json_set_text(outcome, "effect", "none");
	json_set_text(outcome, "cause", cause);
	json_set_text(outcome, "detail", detail);
	json_set_new(r->doc, "outcome", outcome);
	json_object_del(r->doc, "waitingFor");
	json_set_text(fields, "state", request_state_name(r->state));
	json_set_text(fields, "cause", cause);
	part = (struct evidence_part){ subject, outcome };
	must(evidence_leaf(t, LEAF_CLOSED, r->id, fields, &part, 1, &leaf),
	     "a request's end");
	note_leaf(r, "closed", &leaf);
	containment_note(f, r->id, request_state_name(r->state), &leaf, t);
	request_put(r, t);
	evidence_commit(t, told, r);
}

/* ---- the decision's leaf ---- */

static json_t *policy_ids(const json_t *decision)
{
	json_t *ids = json_array();
	const json_t *row;
	size_t at;

	json_array_foreach(json_object_get(decision, "policies"), at, row)
		json_array_append(ids, json_object_get(row, "id"));
	return ids;
}

static json_t *decision_fields(const struct request *r, const struct decided *d)
{
	json_t *fields = json_object();

	json_set_text(fields, "action", json_text(r->doc, "action", ""));
	json_set_text(fields, "mode", json_text(r->doc, "mode", ""));
	json_set_text(fields, "route", route_name(d->route));
	json_set_text(fields, "task", json_text(r->doc, "task", ""));
	json_set_text(fields, "bundle", r->flow->bundle_digest);
	json_set_text(fields, "cause", json_text(d->decision, "cause", NULL));
	json_set_text(fields, "digest", json_text(r->doc, "digest", NULL));
	json_set_text(fields, "attestedBy",
		      json_text(r->doc, "attestedBy", NULL));
	json_set_text(fields, "rollbackOf",
		      json_text(r->doc, "rollbackOf", NULL));
	json_set_new(fields, "policies", policy_ids(d->decision));
	json_object_set(fields, "tier", json_object_get(r->doc, "tier"));
	return fields;
}

/* Two private parts: what was asked and planned, and the facts decided on. */
static void decision_leaf(struct request *r, struct evidence_txn *t,
			  const struct decided *d)
{
	CLEANUP(mem_free_p) char *subject = subject_of(r);
	CLEANUP(json_put_p) json_t *asked = request_view(r->doc);
	struct evidence_part parts[] = { { subject, asked },
					 { subject, d->facts } };
	struct leaf_ref leaf;

	must(evidence_leaf(t, LEAF_DECISION, r->id, decision_fields(r, d),
			   parts, ARRAY_LEN(parts), &leaf),
	     "a decision's leaf");
	note_leaf(r, "decision", &leaf);
}

/* What people have signed was not automatic, though it is allowed now. */
static enum route route_taken(const struct request *r, const struct decided *d)
{
	if (d->route == ROUTE_AUTO &&
	    json_array_size(json_object_get(r->doc, "approvals")))
		return ROUTE_APPROVAL;
	return d->route;
}

static void keep_decision(struct request *r, const struct decided *d)
{
	json_object_set(r->doc, "decision", d->decision);
	json_set_text(r->doc, "route", route_name(route_taken(r, d)));
	if (d->route != ROUTE_DENY) {
		CLEANUP(mem_free_p)
		char *ttl = clock_format_duration(d->ttl_s);

		json_set_int(r->doc, "ttlSeconds", d->ttl_s);
		json_set_text(r->doc, "ttl", ttl);
	}
}

static void record_denial(struct request *r, const struct decided *d)
{
	struct evidence_txn *t = evidence_begin(r->flow->evidence);

	request_step(r, REQUEST_EVENT_DENY);
	loop_timer_end(r->expiry);
	r->expiry = NULL;
	json_object_del(r->doc, "waitingFor");
	keep_decision(r, d);
	decision_leaf(r, t, d);
	request_put(r, t);
	evidence_commit(t, told, r);
}

static void record_advice(struct request *r, const struct decided *d)
{
	struct evidence_txn *t = evidence_begin(r->flow->evidence);
	struct decided execute;
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));
	CLEANUP(json_put_p) json_t *as_execute = json_copy(r->doc);

	request_step(r, REQUEST_EVENT_ADVISE);
	keep_decision(r, d);
	/* What carrying it out would take, so that a human can judge. */
	json_set_text(as_execute, "mode", "execute");
	decide(r->flow, task, as_execute, json_object_get(r->doc, "found"),
	       &execute);
	json_object_set(json_object_get(r->doc, "decision"), "ifExecuted",
			execute.decision);
	json_set_text(json_object_get(r->doc, "decision"), "ifExecutedRoute",
		      route_name(execute.route));
	decision_leaf(r, t, d);
	request_put(r, t);
	evidence_commit(t, told, r);
	decided_clear(&execute);
}

/* ---- asking people ---- */

static void request_expired(void *cookie)
{
	struct request *r = cookie;

	r->expiry = NULL;
	if (r->state == REQUEST_WAITING)
		request_close(r, REQUEST_EVENT_EXPIRE, "unanswered",
			      "Not enough people signed in time.");
}

static int64_t approval_window_s(const struct request *r,
				 const struct task *task)
{
	const json_t *class =
		inventory_spec(r->flow->inventory, MANIFEST_TASK_CLASS,
			       json_text(task->doc, "class", ""));
	int64_t seconds = DEFAULT_APPROVAL_S;

	if (json_text(class, "approvalWithin", NULL))
		discard(clock_parse_duration(
			json_text(class, "approvalWithin", ""), &seconds));
	return seconds;
}

/* When its plans are void to the connector: fixed for its life, so that a plan
 * made again has an equal digest. */
static void set_not_after(struct request *r, const struct task *task)
{
	int64_t until = clock_wall_ms() + approval_window_s(r, task) * 1000;
	int64_t window = json_int(task->doc, "expiresMs", 0);

	if (!json_text(r->doc, "notAfter", NULL))
		json_set_time(r->doc, "notAfter",
			      window < until ? window : until);
}

static void set_expiry(struct request *r, const struct task *task)
{
	int64_t now_ms = clock_wall_ms();
	int64_t until = now_ms + approval_window_s(r, task) * 1000;
	int64_t window = json_int(task->doc, "expiresMs", 0);

	if (r->expiry)
		return;
	/* A signature is of no use once the plan is void. */
	if (json_int(r->doc, "expiresMs", 0))
		until = json_int(r->doc, "expiresMs", 0);
	else if (clock_parse(json_text(r->doc, "notAfter", ""), &until) < 0 &&
		 window < until)
		until = window;
	json_set_int(r->doc, "expiresMs", until);
	json_set_time(r->doc, "expires", until);
	r->expiry =
		loop_timer(r->flow->loop, until > now_ms ? until - now_ms : 0,
			   request_expired, r);
}

/* What is still missing: required counts, which already include what is there.
 */
static void set_waiting_for(struct request *r, const struct decided *d)
{
	json_t *requires = json_object_get(d->decision, "requires");
	json_t *groups = json_object_get(requires, "approvals");

	json_object_set(r->doc, "waitingFor", groups);
}

static void record_waiting(struct request *r, const struct decided *d)
{
	struct evidence_txn *t = evidence_begin(r->flow->evidence);
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));

	if (r->state != REQUEST_WAITING)
		request_step(r, REQUEST_EVENT_ASK_PEOPLE);
	keep_decision(r, d);
	set_waiting_for(r, d);
	set_expiry(r, task);
	decision_leaf(r, t, d);
	request_put(r, t);
	evidence_commit(t, told, r);
}

/* ---- arming ---- */

static void effect_over(void *cookie, const struct effect_result *result);

/* Asked once more when the checkpoint is signed: containment may have come. */
static const char *late_fault(void *cookie)
{
	struct request *r = cookie;
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));

	if (r->cancelled)
		return "withdrawn";
	return task ? task_fault(task, clock_wall_ms()) : "the task is gone";
}

static json_t *approval_leaves(const struct request *r)
{
	json_t *leaves = json_array();
	const json_t *approval;
	size_t at;

	json_array_foreach(json_object_get(r->doc, "approvals"), at, approval)
		json_array_append(leaves, json_object_get(approval, "leaf"));
	return leaves;
}

/* Taking back what a request placed is an end of it to the connector. */
static const char *purpose_of(const struct request *r)
{
	return json_object_in(r->doc, "base") ? "end" : "request";
}

static json_t *armed_fields(const struct request *r)
{
	json_t *fields = json_object();

	json_set_text(fields, "digest", json_text(r->doc, "digest", ""));
	json_set_text(fields, "bundle", r->flow->bundle_digest);
	json_set_int(fields, "attempt", json_int(r->doc, "attempts", 0));
	json_set_text(fields, "purpose", purpose_of(r));
	json_set_text(fields, "execution", json_text(r->doc, "execution", ""));
	json_set_new(fields, "approvals", approval_leaves(r));
	return fields;
}

static void start_effect(struct request *r, uint64_t armed)
{
	struct effect_order order = {
		.target = json_text(r->doc, "target", ""),
		.plan = json_text(r->doc, "planText", ""),
		.signatures = json_object_get(r->doc, "signatures"),
		.base = json_object_in(r->doc, "base"),
		.armed = armed,
		.fault = late_fault,
		.done = effect_over,
		.cookie = r,
	};

	r->busy = true;
	effect_run(r->flow, &order);
}

/* Counts an act once, in the transaction that arms it: the document says so for
 * the next start. */
static void count_act(struct request *r, struct evidence_txn *t)
{
	struct task *task = task_find(r->flow, json_text(r->doc, "task", ""));
	json_t *touched = json_object_get(task->doc, "planesTouched");
	json_t *counted = json_object();
	struct classification class;

	if (!decide_classify(r->flow, r->doc, json_object_get(r->doc, "found"),
			     &class)) {
		json_decref(counted);
		return;
	}
	json_set_int(counted, "atMs", clock_wall_ms());
	json_set_text(counted, "plane", class.plane);
	json_set_flag(counted, "reversible",
		      drill_passed(r->flow, json_text(r->doc, "target", ""),
				   json_text(r->doc, "action", ""),
				   clock_wall_ms()));
	json_set_new(r->doc, "counted", counted);
	meter_count(r->flow, r->doc);
	if (!json_has_text(touched, class.plane))
		json_array_append_new(touched, json_string(class.plane));
	evidence_put(t, NOUN_TASK, task->id, task->doc);
}

/* Every signature is over exactly the plan that is being armed. */
static bool signed_for_this(const struct request *r)
{
	const char *digest = json_text(r->doc, "digest", "");
	const json_t *approval;
	size_t at;

	json_array_foreach(json_object_get(r->doc, "approvals"), at, approval) {
		if (strcmp(json_text(approval, "digest", ""), digest) != 0)
			return false;
	}
	return true;
}

/*
 * The arming transaction: the approvals are consumed for this execution by
 * standing in its leaf, and the document says so.
 */
static void arm(struct request *r, const struct decided *d)
{
	struct flow *f = r->flow;
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *subject = subject_of(r);
	CLEANUP(json_put_p) json_t *plan = NULL;
	struct evidence_part part;
	struct leaf_ref leaf;
	char execution[ID_MAX];

	if (!signed_for_this(r))
		must(ERR_BROKEN, "arming what was not signed");
	request_step(r, REQUEST_EVENT_ARM);
	loop_timer_end(r->expiry);
	r->expiry = NULL;
	json_object_del(r->doc, "waitingFor");
	keep_decision(r, d);
	if (!json_text(r->doc, "execution", NULL)) {
		id_new("exe", execution);
		json_set_text(r->doc, "execution", execution);
		count_act(r, t);
	}
	json_set_int(r->doc, "attempts", json_int(r->doc, "attempts", 0) + 1);
	decision_leaf(r, t, d);
	plan = json_string(json_text(r->doc, "planText", ""));
	part = (struct evidence_part){ subject, plan };
	must(evidence_leaf(t, LEAF_ARMED, r->id, armed_fields(r), &part, 1,
			   &leaf),
	     "an armed leaf");
	note_leaf(r, "armed", &leaf);
	json_set_int(r->doc, "armedLeaf", (int64_t)leaf.index);
	json_set_int(r->doc, "armedAtMs", clock_wall_ms());
	take_place(r);
	request_put(r, t);
	evidence_commit(t, armed_durable, r);
	start_effect(r, leaf.index);
}

/* ---- planning ---- */

static void make_plan(struct request *r, int64_t ttl_s,
		      char ret_digest[DIGEST_TEXT_LEN], char **ret_text)
{
	struct flow *f = r->flow;
	const struct task *task = task_find(f, json_text(r->doc, "task", ""));
	const char *target_name = json_text(r->doc, "target", "");
	const json_t *manifest =
		inventory_find(f->inventory, MANIFEST_TARGET, target_name);
	struct digest digest = manifest_digest(manifest);
	struct digest intent =
		digest_of(slice_str(json_text(task->doc, "intent", "")));
	const struct target *target = map_get(f->targets, target_name);
	struct classification class = { .tier = TIER_HIGHEST,
					.sensitivity = SENSITIVITY_HIGHEST };
	char target_digest[DIGEST_TEXT_LEN];
	char intent_digest[DIGEST_TEXT_LEN];
	struct plan_parts parts;

	digest_format(&digest, target_digest);
	digest_format(&intent, intent_digest);
	discard(decide_classify(f, r->doc, json_object_get(r->doc, "found"),
				&class));
	json_set_int(r->doc, "tier", class.tier);
	json_set_flag(
		r->doc, "concealed",
		class.sensitivity >
			json_int(inventory_spec(f->inventory, MANIFEST_AGENT,
						json_text(r->doc, "agent", "")),
				 "clearance", 0));
	parts = (struct plan_parts){
		.purpose = purpose_of(r),
		.request = r->id,
		.agent = json_text(r->doc, "agent", ""),
		.task = task->id,
		.class_digest = json_text(task->doc, "classDigest", ""),
		.intent = intent_digest,
		.action = json_text(r->doc, "action", ""),
		.target = target_name,
		.target_digest = target_digest,
		.connector_build =
			target ? connector_build(target->connector) : "",
		.tier = class.tier,
		.recommend =
			!strcmp(json_text(r->doc, "mode", ""), "recommend"),
		.ttl_s = ttl_s,
		.not_after = json_text(r->doc, "notAfter", NULL),
		.found = json_object_get(r->doc, "found"),
	};
	*ret_text = plan_text(&parts, ret_digest);
}

static void set_plan(struct request *r, const char *text, const char *digest)
{
	json_set_text(r->doc, "planText", text);
	json_set_text(r->doc, "digest", digest);
}

/* Notes the first human who gains: whose data this is. */
static void note_gainer(struct request *r, const json_t *found)
{
	CLEANUP(json_put_p) json_t *humans = NULL;
	CLEANUP(json_put_p) json_t *agents = NULL;
	CLEANUP(json_put_p) json_t *barred = NULL;

	decide_people(r->flow, r->doc, found, &humans, &agents, &barred);
	json_object_set(r->doc, "barred", barred);
	if (json_array_size(humans))
		json_object_set(r->doc, "gainsHuman",
				json_array_get(humans, 0));
}

/* A grant of Writ's that holds what is asked for already, or NULL. */
static struct grant *held_already(struct request *r)
{
	const json_t *found = json_object_get(r->doc, "found");
	const struct action *action =
		action_find(json_text(r->doc, "action", ""));

	struct grant *g;

	if (!action->grants || !json_flag(found, "noChange", false))
		return NULL;
	g = grant_find_same(r->flow, json_text(r->doc, "target", ""),
			    json_text(found, "resource", ""),
			    json_object_get(found, "parameters"));
	return grant_is_live(g) ? g : NULL;
}

static void join_grant(struct request *r, struct grant *g,
		       const struct decided *d)
{
	struct evidence_txn *t = evidence_begin(r->flow->evidence);
	json_t *outcome = json_object();

	request_step(r, REQUEST_EVENT_ALREADY_SO);
	loop_timer_end(r->expiry);
	r->expiry = NULL;
	keep_decision(r, d);
	json_object_del(r->doc, "waitingFor");
	json_set_text(outcome, "effect", "none");
	json_set_text(outcome, "cause", "held");
	json_set_text(outcome, "detail",
		      "It stands already; this task holds it, too.");
	json_set_new(r->doc, "outcome", outcome);
	decision_leaf(r, t, d);
	grant_join(g, r, t);
	request_put(r, t);
	evidence_commit(t, told, r);
}

static void request_unavailable(struct request *r, const char *detail);
static bool may_try_again(struct request *r);
static void try_again(struct request *r);

/* Allowed on the facts as they stand, with a plan that was made just now. */
static void go(struct request *r, const struct decided *d)
{
	struct grant *g = held_already(r);
	const char *fault = arming_fault(r->flow);

	if (fault)
		request_unavailable(r, fault);
	else if (g)
		join_grant(r, g, d);
	else
		arm(r, d);
}

static void act_on(struct request *r, const struct decided *d)
{
	if (d->route == ROUTE_DENY)
		record_denial(r, d);
	else if (d->route == ROUTE_RECOMMEND)
		record_advice(r, d);
	else if (d->route == ROUTE_APPROVAL)
		record_waiting(r, d);
	else
		go(r, d);
}

/*
 * Why what a rollback would undo must stay, or NULL.  Taking back is for a
 * grant that stands as it was placed and that nobody else holds; what somebody
 * gave outside is never Writ's to remove.
 */
static const char *rollback_fault(struct flow *f, const json_t *doc,
				  const char **ret_cause)
{
	const char *id = json_text(doc, "undoesGrant", NULL);
	const struct grant *g = id ? map_get(f->grants, id) : NULL;

	if (!id)
		return NULL;
	*ret_cause = "conflict";
	if (!grant_is_live(g))
		return "What it placed does not stand any more.";
	*ret_cause = "held-by-others";
	if (grant_is_held_by_others(g, json_text(doc, "undoesTask", "")))
		return "Another task holds it, too: it ends when its last "
		       "holder does.";
	return NULL;
}

/* Somebody changes the same just now: look again when that is over. */
static void wait_for_place(struct request *r)
{
	if (r->state == REQUEST_PLANNING)
		request_step(r, REQUEST_EVENT_PLAN_AGAIN);
	if (may_try_again(r))
		try_again(r);
	else
		request_unavailable(r, "Another change of the same is under "
				       "way and does not end.");
}

/*
 * What another execution placed already is judged as if it were placed now:
 * who gains and the way back are those of its grant.
 */
static void judge_as_held(struct request *r)
{
	const struct grant *g = held_already(r);
	CLEANUP(json_put_p) json_t *base = NULL;
	CLEANUP(json_put_p) json_t *found = NULL;

	if (!g)
		return;
	must(json_parse(slice_str(json_text(json_object_get(g->doc, "base"),
					    "plan", "")),
			1 << 20, &base),
	     "the plan of a grant");
	found = json_copy(json_object_get(r->doc, "found"));
	json_object_set(found, "gains", json_object_get(base, "gains"));
	json_object_set(found, "undo", json_object_get(g->doc, "undo"));
	json_object_set(r->doc, "found", found);
}

static void void_approvals(struct request *r)
{
	json_t *voided = json_object_get(r->doc, "voided");

	if (!voided) {
		voided = json_array();
		json_set_new(r->doc, "voided", voided);
	}
	json_array_extend(voided, json_object_get(r->doc, "approvals"));
	json_set_new(r->doc, "approvals", json_array());
	json_set_new(r->doc, "signatures", json_array());
}

static void request_unavailable(struct request *r, const char *detail)
{
	struct decided d = { .route = ROUTE_DENY };

	d.decision = json_object();
	d.facts = json_object();
	json_set_text(d.decision, "cause", "unavailable");
	json_set_text(d.decision, "forAgent", detail);
	json_set_text(d.decision, "forHuman", detail);
	json_set_new(d.decision, "policies", json_array());
	json_set_text(d.decision, "retry", "30s");
	record_denial(r, &d);
	decided_clear(&d);
}

/* Decides on what was found, then makes the plan with the time that is left. */
static void plan_and_decide(struct request *r, const struct task *task,
			    char digest[DIGEST_TEXT_LEN], char **ret_text,
			    struct decided *ret)
{
	approvals_review(r->flow, task, r->doc);
	decide(r->flow, task, r->doc, json_object_get(r->doc, "found"), ret);
	make_plan(r,
		  ret->route == ROUTE_DENY ? json_int(r->doc, "ttlSeconds", 0)
					   : ret->ttl_s,
		  digest, ret_text);
}

/*
 * First plan: the decision is made on it.  A later one: with an equal digest
 * the approvals stand, otherwise they are void and people are asked again.
 */
static void plan_arrived(struct request *r, const json_t *found)
{
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));
	CLEANUP(mem_free_p) char *text = NULL;
	char digest[DIGEST_TEXT_LEN];
	bool again = r->state == REQUEST_REPLANNING &&
		     json_text(r->doc, "digest", NULL);
	const char *cause = "";
	const char *why;
	struct decided d;

	json_object_set(r->doc, "found", (json_t *)(uintptr_t)found);
	judge_as_held(r);
	note_gainer(r, json_object_get(r->doc, "found"));
	if (place_is_taken(r)) {
		wait_for_place(r);
		return;
	}
	why = rollback_fault(r->flow, r->doc, &cause);
	if (why) {
		request_close(r, REQUEST_EVENT_STATE_DIFFERS, cause, why);
		return;
	}
	if (json_flag(found, "noChange", false) && !held_already(r)) {
		bool undo = json_text(r->doc, "rollbackOf", NULL);

		request_close(r,
			      undo ? REQUEST_EVENT_STATE_DIFFERS
				   : REQUEST_EVENT_ALREADY_SO,
			      undo ? "conflict" : "already-so",
			      undo ? "What was to be undone does not stand "
				     "any more."
				   : "It was so before Writ came; nothing was "
				     "changed and nothing will be removed.");
		return;
	}
	plan_and_decide(r, task, digest, &text, &d);
	if (again && strcmp(digest, json_text(r->doc, "digest", "")) != 0) {
		/* What was signed is not what would run. */
		int64_t replans = json_int(r->doc, "replans", 0) + 1;

		void_approvals(r);
		json_set_int(r->doc, "replans", replans);
		decided_clear(&d);
		free(TAKE(text));
		if (replans >= ATTEMPTS_MAX) {
			request_close(r, REQUEST_EVENT_GIVE_UP, "changed",
				      "The target keeps changing under the "
				      "plan.");
			return;
		}
		plan_and_decide(r, task, digest, &text, &d);
	}
	set_plan(r, text, digest);
	act_on(r, &d);
	decided_clear(&d);
}

static void plan_refused(struct request *r, const struct connector_result *p)
{
	bool undo = json_text(r->doc, "rollbackOf", NULL);
	bool gone = is_gone(p->reason);

	if (!strcmp(p->reason, "unavailable")) {
		request_unavailable(r, "The target cannot be reached.");
		return;
	}
	request_close(r,
		      undo && gone ? REQUEST_EVENT_STATE_DIFFERS
				   : REQUEST_EVENT_GIVE_UP,
		      p->reason, p->detail);
}

static void resume(void *cookie);

/* What people have signed is tried until it expires, other things for a
 * minute. */
static bool may_try_again(struct request *r)
{
	if (r->state != REQUEST_REPLANNING)
		return false;
	return json_array_size(json_object_get(r->doc, "approvals")) > 0 ||
	       r->resumes++ < RESUMES_MAX;
}

static void try_again(struct request *r)
{
	r->reread = loop_timer(r->flow->loop, RESUME_MS, resume, r);
}

static bool is_too_large(const json_t *found)
{
	CLEANUP(mem_free_p) char *text = json_canonical(found);

	return strlen(text) > PLAN_MAX;
}

/* The connector gave no plan, and not because of what was asked. */
static bool is_passing(const struct connector_result *p)
{
	return p->status != CONNECT_OK && (p->status != CONNECT_REFUSED ||
					   !strcmp(p->reason, "unavailable"));
}

static void plan_done(void *cookie, const struct connector_result *p)
{
	struct request *r = cookie;
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));
	const char *fault =
		task ? task_fault(task, clock_wall_ms()) : "the task is gone";

	r->busy = false;
	/* What is recorded is taken up at the next start as it stands. */
	if (r->flow->closing)
		return;
	if (!r->cancelled && !fault && is_passing(p) && may_try_again(r))
		try_again(r);
	else if (r->cancelled || fault)
		request_close(r, REQUEST_EVENT_CANCEL, "cancelled",
			      fault ? fault : "withdrawn");
	else if (p->status == CONNECT_OK && is_too_large(p->json))
		request_close(r, REQUEST_EVENT_GIVE_UP, "too-large",
			      "The plan concerns more than people can review.");
	else if (p->status == CONNECT_OK)
		plan_arrived(r, p->json);
	else if (p->status == CONNECT_REFUSED)
		plan_refused(r, p);
	else
		request_unavailable(r, "The connector did not answer in time.");
}

static json_t *plan_params(const struct request *r)
{
	json_t *params = json_object();
	static const char *const members[] = { "action", "resource",
					       "parameters" };

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		json_object_set(params, members[i],
				json_object_get(r->doc, members[i]));
	return params;
}

void request_plan(struct request *r)
{
	const struct target *t =
		map_get(r->flow->targets, json_text(r->doc, "target", ""));
	const char *fault = arming_fault(r->flow);

	if (fault) {
		request_unavailable(r, fault);
		return;
	}
	if (!t || !t->up) {
		request_unavailable(r, "No connector for this target is up.");
		return;
	}
	r->busy = true;
	connector_call(t->connector, CONNECT_PLAN, plan_params(r),
		       CONNECTOR_NORMAL, 0, plan_done, r);
}

static bool has_expired(const struct request *r)
{
	int64_t expires = json_int(r->doc, "expiresMs", 0);

	return expires && clock_wall_ms() >= expires;
}

/* As may_try_again(), for what waits with all its signatures, too. */
static bool may_wait(struct request *r)
{
	return json_array_size(json_object_get(r->doc, "approvals")) > 0 ||
	       r->resumes++ < RESUMES_MAX;
}

static bool target_is_up(const struct request *r)
{
	const struct target *t =
		map_get(r->flow->targets, json_text(r->doc, "target", ""));

	return t && t->up && !arming_fault(r->flow);
}

/* Goes on with what stopped halfway, once its target is there. */
static void resume(void *cookie)
{
	struct request *r = cookie;
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));
	const char *fault =
		task ? task_fault(task, clock_wall_ms()) : "its task is gone";

	r->reread = NULL;
	if (r->busy || r->flow->closing ||
	    (r->state != REQUEST_PLANNING && r->state != REQUEST_WAITING &&
	     r->state != REQUEST_REPLANNING))
		return;
	if (fault)
		request_withdraw(r, fault);
	else if (has_expired(r))
		request_close(r, REQUEST_EVENT_EXPIRE, "unanswered",
			      "It could not be carried out in time.");
	else if (!target_is_up(r) && may_wait(r))
		try_again(r);
	else if (r->state == REQUEST_WAITING)
		request_reconsider(r);
	else
		request_plan(r);
}

/* What people have signed is not lost because the target is down. */
static void wait_for_target(struct request *r)
{
	struct evidence_txn *t = evidence_begin(r->flow->evidence);

	json_set_new(r->doc, "waitingFor", json_object());
	request_put(r, t);
	evidence_commit(t, told, r);
	r->reread = loop_timer(r->flow->loop, RESUME_MS, resume, r);
}

void request_reconsider(struct request *r)
{
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));
	struct decided d;

	loop_timer_end(r->reread);
	r->reread = NULL;
	r->untaken = false;
	approvals_review(r->flow, task, r->doc);
	decide(r->flow, task, r->doc, json_object_get(r->doc, "found"), &d);
	if (d.route == ROUTE_AUTO && !target_is_up(r) && may_wait(r)) {
		wait_for_target(r);
	} else if (d.route == ROUTE_AUTO) {
		request_step(r, REQUEST_EVENT_PLAN_AGAIN);
		request_plan(r);
	} else if (d.route == ROUTE_APPROVAL) {
		record_waiting(r, &d);
	} else {
		record_denial(r, &d);
	}
	decided_clear(&d);
}

/* ---- outcomes ---- */

static void undone(struct flow *f, const char *id, struct evidence_txn *t,
		   const char *by)
{
	json_t *doc = NULL;
	enum request_state state;

	/* What is undone has ended, so it is in the database. */
	if (store_get(evidence_reader(f->evidence), NOUN_REQUEST, id, &doc,
		      NULL) < 0)
		return;
	if (request_state_find(json_text(doc, "state", ""), &state) &&
	    request_next(state, REQUEST_EVENT_UNDONE, &state)) {
		json_set_text(doc, "state", request_state_name(state));
		json_set_text(doc, "undoneBy", by);
		evidence_put(t, NOUN_REQUEST, id, doc);
	}
	json_decref(doc);
}

/* Grants that the effect of a removal has made empty. */
static void settle_grants(struct request *r, struct evidence_txn *t)
{
	const json_t *found = json_object_get(r->doc, "found");
	const struct action *action =
		action_find(json_text(r->doc, "action", ""));
	struct grant *g =
		grant_find_same(r->flow, json_text(r->doc, "target", ""),
				json_text(found, "resource", ""),
				json_object_get(found, "parameters"));

	if (action->grants && json_flag(r->doc, "restores", false))
		return; /* what stood before Writ came stands again */
	if (action->grants && grant_is_live(g)) {
		grant_join(g, r, t);
	} else if (action->grants) {
		grant_place(r, t);
	} else if (g && !g->busy && r->state == REQUEST_DONE) {
		/* What was not read back as gone goes on standing; one whose
		 * end is under way will find that it is gone. */
		json_set_text(r->doc, "endedGrant", g->id);
		grant_gone(g, t, "undone by a request");
	}
}

/*
 * Nobody's word ends or spares a grant: after a resolution the target is asked
 * what stands, and what should not is taken back.
 */
static void settle_by_reading(struct request *r, struct evidence_txn *t)
{
	const json_t *found = json_object_get(r->doc, "found");
	const struct action *action =
		action_find(json_text(r->doc, "action", ""));
	struct grant *g;

	if (action->grants && !json_flag(r->doc, "restores", false))
		grant_place(r, t);
	g = grant_find_same(r->flow, json_text(r->doc, "target", ""),
			    json_text(found, "resource", ""),
			    json_object_get(found, "parameters"));
	if (g)
		r->to_read = mem_str(g->id);
}

enum { OBSERVED_MAX = 64 * 1024 }; /* bytes kept of what a target showed */

/* A connector cannot make an outcome too large to record. */
static void keep_observed(json_t *outcome, json_t *observed)
{
	CLEANUP(mem_free_p) char *text = NULL;

	if (!observed)
		return;
	text = json_canonical(observed);
	if (strlen(text) <= OBSERVED_MAX)
		json_object_set(outcome, "observed", observed);
	else
		json_set_text(outcome, "observed", "too large to keep");
}

static void record_outcome(struct request *r, enum request_event event,
			   const char *effect, const char *detail,
			   json_t *observed, enum leaf_kind kind)
{
	struct flow *f = r->flow;
	struct evidence_txn *t = begin(r);
	CLEANUP(mem_free_p) char *subject = subject_of(r);
	json_t *outcome = json_object();
	json_t *fields = json_object();
	struct evidence_part part;
	struct leaf_ref leaf;

	request_step(r, event);
	json_set_text(outcome, "effect", effect);
	json_set_text(outcome, "detail", detail);
	keep_observed(outcome, observed);
	json_set_new(r->doc, "outcome", outcome);
	json_set_text(fields, "effect", effect);
	json_set_text(fields, "state", request_state_name(r->state));
	json_set_text(fields, "digest", json_text(r->doc, "digest", ""));
	json_set_int(fields, "armed", json_int(r->doc, "armedLeaf", 0));
	part = (struct evidence_part){ subject, outcome };
	must(evidence_leaf(t, kind, r->id, fields, &part, 1, &leaf),
	     "an outcome's leaf");
	note_leaf(r, "outcome", &leaf);
	containment_note(f, r->id, request_state_name(r->state), &leaf, t);
	if (r->resolved) {
		settle_by_reading(r, t);
	} else if (r->state == REQUEST_DONE || r->state == REQUEST_PARTIAL) {
		json_set_text(r->doc, "rollbackToken",
			      json_text(r->doc, "execution", ""));
		settle_grants(r, t);
		if (r->state == REQUEST_DONE &&
		    json_text(r->doc, "rollbackOf", NULL))
			undone(f, json_text(r->doc, "rollbackOf", ""), t,
			       r->id);
	}
	if (r->state != REQUEST_UNKNOWN)
		leave_place(r);
	request_put(r, t);
	evidence_commit(t, told, r);
	if (r->to_read)
		grant_end(map_get(f->grants, r->to_read),
			  "its outcome was resolved by a human");
	grant_check_orphan(r);
}

static void reread(void *cookie);

static void become_unknown(struct request *r, const char *reason,
			   const char *detail)
{
	json_set_int(r->doc, "absent", 0);
	record_outcome(r, REQUEST_EVENT_CANNOT_TELL, "unknown",
		       detail && *detail ? detail : reason, NULL, LEAF_OUTCOME);
	if (!r->reread)
		r->reread =
			loop_timer(r->flow->loop, REREAD_SOON_MS, reread, r);
}

/* The target refused before any effect: the plan did not fit any more. */
static void refused_before_effect(struct request *r,
				  const struct effect_result *result)
{
	bool again = !strcmp(result->reason, "precondition") &&
		     json_int(r->doc, "attempts", 0) < ATTEMPTS_MAX;

	if (!again) {
		record_outcome(r, REQUEST_EVENT_NOT_APPLIED, "none",
			       !strcmp(result->reason, "precondition")
				       ? "changed: the target keeps changing"
				       : result->detail,
			       NULL, LEAF_OUTCOME);
		return;
	}
	record_outcome(r, REQUEST_EVENT_PLAN_AGAIN, "none",
		       "the target had changed; planned again", NULL,
		       LEAF_OUTCOME);
	request_plan(r);
}

static void applied(struct request *r, const struct effect_result *result)
{
	request_step(r, REQUEST_EVENT_APPLIED);
	if (result->end == EFFECT_APPLIED)
		record_outcome(r, REQUEST_EVENT_AS_PLANNED, "applied", "",
			       result->observed, LEAF_OUTCOME);
	else
		record_outcome(r, REQUEST_EVENT_NOT_AS_PLANNED, "differs",
			       result->detail, result->observed, LEAF_OUTCOME);
}

static void effect_over(void *cookie, const struct effect_result *result)
{
	struct request *r = cookie;

	r->busy = false;
	switch (result->end) {
	case EFFECT_APPLIED:
	case EFFECT_DIFFERS:
		applied(r, result);
		break;
	case EFFECT_NO_CHANGE:
		record_outcome(r, REQUEST_EVENT_ALREADY_SO, "none",
			       "it was so already", result->observed,
			       LEAF_OUTCOME);
		break;
	case EFFECT_REFUSED:
		refused_before_effect(r, result);
		break;
	case EFFECT_WITHDRAWN:
		record_outcome(r, REQUEST_EVENT_NOT_APPLIED, "none",
			       result->detail, NULL, LEAF_OUTCOME);
		break;
	case EFFECT_UNKNOWN:
		become_unknown(r, result->reason, result->detail);
		break;
	}
}

/* ---- unknown: read until it is known ---- */

static void reread_done(void *cookie, int present, json_t *observed)
{
	struct request *r = cookie;

	r->busy = false;
	if (r->state != REQUEST_UNKNOWN)
		return;
	if (present == 1) {
		record_outcome(r, REQUEST_EVENT_AS_PLANNED, "applied",
			       "found by reading back", observed,
			       LEAF_RECOVERY);
		return;
	}
	if (present == 0)
		json_set_int(r->doc, "absent",
			     json_int(r->doc, "absent", 0) + 1);
	if (json_int(r->doc, "absent", 0) >= REREADS_ABSENT) {
		record_outcome(r, REQUEST_EVENT_NOT_APPLIED, "none",
			       "not there when read back", observed,
			       LEAF_RECOVERY);
		return;
	}
	r->reread = loop_timer(r->flow->loop, REREAD_MS, reread, r);
}

static void reread(void *cookie)
{
	struct request *r = cookie;

	r->reread = NULL;
	if (r->state != REQUEST_UNKNOWN || r->flow->closing)
		return;
	r->busy = true;
	effect_read(r->flow, json_text(r->doc, "target", ""),
		    json_text(r->doc, "planText", ""), reread_done, r);
}

void flow_resolve(struct flow *f, const char *id, const json_t *signed_form,
		  struct reply_to reply)
{
	struct request *r = request_find(f, id);
	struct statement s;
	const char *owner;
	bool as_applied;
	bool grants;

	if (!signed_take(f, signed_form, STATEMENT_RESOLVE, reply, &s))
		return;
	owner = r ? json_text(inventory_spec(f->inventory, MANIFEST_AGENT,
					     json_text(r->doc, "agent", "")),
			      "owner", "")
		  : "";
	if (!r || strcmp(json_text(s.body, "request", ""), id) != 0) {
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-request",
			       "There is no such open request.");
	} else if (strcmp(owner, s.human) != 0) {
		answer_problem(reply, ANSWER_DENIED, "not-the-owner",
			       "Only the agent's owner resolves it.");
	} else if (r->state != REQUEST_UNKNOWN || r->busy) {
		answer_problem(reply, ANSWER_CONFLICT, "not-unknown",
			       "The outcome is not unknown, or is being read "
			       "just now.");
	} else {
		struct evidence_txn *t = evidence_begin(f->evidence);
		CLEANUP(mem_free_p) char *subject = subject_of(r);
		CLEANUP(json_put_p) json_t *kept = signed_json(&s);
		struct evidence_part part = { subject, kept };
		json_t *fields = json_object();
		struct leaf_ref leaf;

		json_set_text(fields, "as", json_text(s.body, "outcome", ""));
		must(evidence_leaf(t, LEAF_RESOLVED, r->id, fields, &part, 1,
				   &leaf),
		     "a resolution");
		note_leaf(r, "resolved", &leaf);
		signed_put(f, t, &s);
		r->begun = t; /* one with the outcome */
		loop_timer_end(r->reread);
		r->reread = NULL;
		as_applied =
			!strcmp(json_text(s.body, "outcome", ""), "applied");
		grants = action_find(json_text(r->doc, "action", ""))->grants;
		r->recorded = false; /* told once this is durable */
		request_wait(r, WAIT_MAX_MS, reply);
		r->resolved = !as_applied || !grants;
		record_outcome(r,
			       as_applied ? REQUEST_EVENT_AS_PLANNED
					  : REQUEST_EVENT_NOT_APPLIED,
			       as_applied ? "applied" : "none",
			       "resolved by the owner", NULL, LEAF_OUTCOME);
	}
	statement_clear(&s);
}

/* ---- withdrawing ---- */

void request_withdraw(struct request *r, const char *why)
{
	r->cancelled = true;
	if (r->busy || r->untaken || request_state_is_end(r->state))
		return;
	if (r->state == REQUEST_WAITING || r->state == REQUEST_PLANNING ||
	    r->state == REQUEST_REPLANNING)
		request_close(r, REQUEST_EVENT_CANCEL, "cancelled", why);
}

/* One that has ended is cancelled already, or can no longer be. */
static void cancel_ended(struct flow *f, const struct caller *caller,
			 const char *id, struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *doc = NULL;
	const char *state;

	if (store_get(evidence_reader(f->evidence), NOUN_REQUEST, id, &doc,
		      NULL) < 0 ||
	    strcmp(json_text(doc, "agent", ""), caller->name) != 0) {
		flow_view(f, caller, VIEW_REQUEST, id, NULL, reply);
		return;
	}
	state = json_text(doc, "state", "");
	if (!strcmp(state, request_state_name(REQUEST_CANCELLED)))
		flow_view(f, caller, VIEW_REQUEST, id, NULL, reply);
	else
		answer_problem(reply, ANSWER_CONFLICT, "ended",
			       "It has ended already: it is '%s'.", state);
}

void flow_request_cancel(struct flow *f, const struct caller *caller,
			 const char *id, struct reply_to reply)
{
	struct request *r = request_find(f, id);

	if (!r || strcmp(json_text(r->doc, "agent", ""), caller->name) != 0) {
		cancel_ended(f, caller, id, reply);
		return;
	}
	if (r->state == REQUEST_ARMED || r->state == REQUEST_READING ||
	    r->state == REQUEST_UNKNOWN) {
		answer_problem(
			reply, ANSWER_CONFLICT, "in-flight",
			"It is being carried out; roll it back instead.");
		return;
	}
	r->recorded = false; /* told once this is durable */
	request_wait(r, WAIT_MAX_MS, reply);
	request_withdraw(r, "withdrawn by its agent");
}

/* ---- creating ---- */

static char *subject_digest(const json_t *doc)
{
	char text[DIGEST_TEXT_LEN];
	CLEANUP(mem_free_p)
	char *joined = mem_format("%s\n%s\n%s", json_text(doc, "action", ""),
				  json_text(doc, "target", ""),
				  json_text(doc, "resource", ""));
	struct digest digest = digest_of(slice_str(joined));

	digest_format(&digest, text);
	return mem_str(text);
}

json_t *request_doc_of(const struct caller *caller, const json_t *body)
{
	static const char *const members[] = { "task",	     "action",
					       "target",     "resource",
					       "parameters", "mode" };
	json_t *doc = json_object();
	CLEANUP(mem_free_p) char *subject = NULL;
	char id[ID_MAX];
	int64_t ttl_s = 0;

	id_new("req", id);
	json_set_text(doc, "id", id);
	json_set_text(doc, "agent", caller->name);
	json_set_text(doc, "mode", "execute");
	if (caller->expires_ms) /* a token proved it */
		json_set_text(doc, "attestedBy", "token");
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		json_t *value = json_object_get(body, members[i]);

		if (value)
			json_object_set(doc, members[i], value);
	}
	subject = subject_digest(doc);
	json_set_text(doc, "subject", subject);
	discard(clock_parse_duration(json_text(body, "ttl", "15m"), &ttl_s));
	json_set_text(doc, "ttl", json_text(body, "ttl", "15m"));
	json_set_int(doc, "ttlSeconds", ttl_s);
	json_set_text(doc, "state", "planning");
	json_set_time(doc, "created", clock_wall_ms());
	json_set_new(doc, "approvals", json_array());
	json_set_new(doc, "signatures", json_array());
	return doc;
}

static struct request *request_new(struct flow *f, json_t *owned_doc)
{
	struct request *r = mem_new(struct request);

	r->flow = f;
	r->doc = owned_doc;
	snprintf(r->id, sizeof(r->id), "%s", json_text(owned_doc, "id", ""));
	map_put(f->requests, r->id, r);
	if (json_text(owned_doc, "asked", NULL))
		map_put(f->asked, json_text(owned_doc, "asked", ""), r);
	return r;
}

/* Keeps the call's key and token, and holds them against a second call until
 * they are durable. */
static void keep_call(struct request *r, const struct caller *caller,
		      const struct acting *acting)
{
	r->caller = *caller;
	r->acting = *acting;
	r->key = mem_str(acting->key);
	r->route = mem_str(acting->route);
	r->acting.key = r->key;
	r->acting.route = r->route;
	once_hold(r->flow, &r->caller, &r->acting, r->id);
}

void request_start(struct flow *f, const struct caller *caller,
		   const struct acting *acting, json_t *owned_doc,
		   int64_t wait_ms, struct reply_to reply)
{
	const struct task *task =
		task_find(f, json_text(owned_doc, "task", ""));
	struct request *r = request_new(f, owned_doc);
	struct decided d;

	keep_call(r, caller, acting);
	set_not_after(r, task);
	request_wait(r, wait_ms > 0 ? wait_ms : 1, reply);
	decide(f, task, r->doc, NULL, &d);
	if (d.route == ROUTE_DENY)
		record_denial(r, &d);
	else
		request_plan(r);
	decided_clear(&d);
}

/* Whether the caller may ask inside this task at all; answers if not. */
static struct task *bound_task(struct flow *f, const struct caller *caller,
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
	if (fault) {
		answer_problem(reply, ANSWER_CONFLICT, "task-not-open", "%s",
			       fault);
		return NULL;
	}
	return t;
}

/* A call again: the same answer, while it lasts and after. */
static void answer_again(struct flow *f, const char *id, int64_t wait_ms,
			 struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *doc = NULL;
	struct request *r = request_find(f, id);
	enum request_state state;

	if (r)
		request_wait(r, wait_ms, reply);
	else if (store_get(evidence_reader(f->evidence), NOUN_REQUEST, id, &doc,
			   NULL) == 0 &&
		 request_state_find(json_text(doc, "state", ""), &state))
		tell_doc(doc, state, false, reply);
	else
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-request",
			       "What this key stands for is gone.");
}

static bool answered_by_key(struct flow *f, const struct caller *caller,
			    const struct acting *acting, int64_t wait_ms,
			    struct reply_to reply)
{
	CLEANUP(mem_free_p) char *about = NULL;

	switch (once_key(f, caller, acting, &about)) {
	case ONCE_OTHER:
		answer_problem(reply, ANSWER_MISMATCH, "key-reused",
			       "This Idempotency-Key was used for another "
			       "request.");
		return true;
	case ONCE_AGAIN:
		answer_again(f, about, wait_ms, reply);
		return true;
	case ONCE_NEW:
		break;
	}
	if (*caller->jti && once_seen(f, "jti", caller->jti)) {
		answer_problem(reply, ANSWER_UNPROVED, "replayed",
			       "This token has served an acting call.");
		return true;
	}
	return false;
}

/* Faults of a request that its shape does not show; answers and says true. */
static bool answered_as_wrong(struct flow *f, const json_t *body,
			      const struct task *task, struct reply_to reply)
{
	const char *target = json_text(body, "target", "");
	int64_t ttl_s;

	if (!json_has_text(json_object_get(task->doc, "targets"), target)) {
		answer_problem(reply, ANSWER_INVALID, "target-not-declared",
			       "The task did not declare target '%s'.", target);
		return true;
	}
	if (json_text(body, "ttl", NULL) &&
	    clock_parse_duration(json_text(body, "ttl", ""), &ttl_s) < 0) {
		answer_problem(reply, ANSWER_INVALID, "ttl",
			       "The ttl is not a duration.");
		return true;
	}
	if (evidence_is_busy(f->evidence)) {
		answer_problem(reply, ANSWER_BUSY, "busy",
			       "Too many requests are waiting to be recorded.");
		return true;
	}
	return false;
}

/* What is asked, word for word, inside one task. */
static void note_asked(json_t *doc)
{
	static const char *const members[] = { "task",	    "action",
					       "target",    "resource",
					       "mode",	    "ttlSeconds",
					       "parameters" };
	CLEANUP(json_put_p) json_t *asked = json_object();
	CLEANUP(mem_free_p) char *text = NULL;
	char digest_text[DIGEST_TEXT_LEN];
	struct digest digest;

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		json_object_set(asked, members[i],
				json_object_get(doc, members[i]));
	text = json_canonical(asked);
	digest = digest_of(slice_str(text));
	digest_format(&digest, digest_text);
	json_set_text(doc, "asked", digest_text);
}

/* The same thing is asked once at a time: who asks again joins. */
static bool joined(struct flow *f, const struct caller *caller,
		   const struct acting *acting, const json_t *doc,
		   int64_t wait_ms, struct reply_to reply)
{
	struct request *r = map_get(f->asked, json_text(doc, "asked", ""));
	struct evidence_txn *t;

	if (!r || r->cancelled || request_state_is_end(r->state))
		return false;
	once_hold(f, caller, acting, r->id);
	/* A key never becomes durable before what it stands for. */
	if (r->bound) {
		t = evidence_begin(f->evidence);
		once_key_put(f, t, caller, acting, r->id);
		if (*caller->jti)
			once_seen_put(f, t, "jti", caller->jti,
				      caller->expires_ms);
		evidence_commit(t, NULL, NULL);
	}
	request_wait(r, wait_ms, reply);
	return true;
}

void flow_request_create(struct flow *f, const struct caller *caller,
			 const struct acting *acting, const json_t *body,
			 int64_t wait_ms, struct reply_to reply)
{
	const struct task *task;
	json_t *doc;

	if (answered_by_key(f, caller, acting, wait_ms, reply))
		return;
	task = bound_task(f, caller, json_text(body, "task", ""), reply);
	if (!task || answered_as_wrong(f, body, task, reply))
		return;
	doc = request_doc_of(caller, body);
	note_asked(doc);
	if (joined(f, caller, acting, doc, wait_ms, reply))
		json_decref(doc);
	else
		request_start(f, caller, acting, doc, wait_ms, reply);
}

void flow_request_wait(struct flow *f, const struct caller *caller,
		       const char *id, int64_t wait_ms, struct reply_to reply)
{
	struct request *r = request_find(f, id);
	bool own = r && caller->kind == CALLER_AGENT &&
		   !strcmp(json_text(r->doc, "agent", ""), caller->name);

	if (own)
		wait_for(r, wait_ms, true, reply);
	else
		flow_view(f, caller, VIEW_REQUEST, id, NULL, reply);
}

/* ---- rollback ---- */

/*
 * The plan that is undone and the leaf that armed it, for the connector: taking
 * back what it placed needs nobody's signature there, as a grant's end does
 * not.  Giving back what was taken away does: that adds power.
 */
static json_t *base_of(const json_t *original)
{
	const struct action *action =
		action_find(json_text(original, "action", ""));
	json_t *base;

	if (!action || !action->grants)
		return NULL;
	base = json_object();
	json_set_text(base, "plan", json_text(original, "planText", ""));
	json_set_int(base, "armed", json_int(original, "armedLeaf", 0));
	return base;
}

static json_t *rollback_doc(const struct caller *caller, const json_t *original,
			    const json_t *body)
{
	const json_t *undo =
		json_object_get(json_object_get(original, "found"), "undo");
	json_t *doc;
	CLEANUP(json_put_p) json_t *wanted = json_object();

	if (!json_is_object(undo))
		return NULL;
	json_object_set(wanted, "task", json_object_get(original, "task"));
	if (json_text(body, "task", NULL))
		json_object_set(wanted, "task", json_object_get(body, "task"));
	json_object_set(wanted, "target", json_object_get(original, "target"));
	json_object_set(wanted, "action", json_object_get(undo, "action"));
	json_object_set(wanted, "resource", json_object_get(undo, "resource"));
	json_object_set(wanted, "parameters",
			json_object_get(undo, "parameters"));
	if (json_text(body, "ttl", NULL))
		json_object_set(wanted, "ttl", json_object_get(body, "ttl"));
	doc = request_doc_of(caller, wanted);
	json_set_text(doc, "rollbackOf", json_text(original, "id", ""));
	json_set_text(doc, "undoesTask", json_text(original, "task", ""));
	json_set_text(
		doc, "undoesGrant",
		json_text(json_object_get(original, "grant"), "id", NULL));
	json_set_flag(doc, "restores",
		      !json_text(original, "endedGrant", NULL));
	json_set_new(doc, "base", base_of(original));
	json_set_flag(doc, "ownRollback",
		      !strcmp(json_text(original, "agent", ""), caller->name));
	return doc;
}

void flow_request_rollback(struct flow *f, const struct caller *caller,
			   const struct acting *acting, const char *id,
			   const json_t *body, int64_t wait_ms,
			   struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *original = NULL;
	const struct grant *g;
	json_t *doc;
	const struct task *task;

	if (answered_by_key(f, caller, acting, wait_ms, reply))
		return;
	if (store_get(evidence_reader(f->evidence), NOUN_REQUEST, id, &original,
		      NULL) < 0 ||
	    strcmp(json_text(original, "agent", ""), caller->name) != 0) {
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-request",
			       "This agent has no such request.");
		return;
	}
	if (strcmp(json_text(original, "state", ""), "done") != 0 &&
	    strcmp(json_text(original, "state", ""), "partial") != 0) {
		answer_problem(reply, ANSWER_CONFLICT, "nothing-to-undo",
			       "The request is '%s'; there is nothing to undo.",
			       json_text(original, "state", ""));
		return;
	}
	g = map_get(f->grants,
		    json_text(json_object_get(original, "grant"), "id", ""));
	if (g && grant_is_held_by_others(g, json_text(original, "task", ""))) {
		answer_problem(reply, ANSWER_CONFLICT, "held-by-others",
			       "Another task holds it, too. Complete the task: "
			       "it ends when its last holder does.");
		return;
	}
	doc = rollback_doc(caller, original, body);
	if (!doc) {
		answer_problem(reply, ANSWER_CONFLICT, "no-way-back",
			       "This change has no way back.");
		return;
	}
	task = bound_task(f, caller, json_text(doc, "task", ""), reply);
	if (!task || answered_as_wrong(f, doc, task, reply)) {
		json_decref(doc);
		return;
	}
	request_start(f, caller, acting, doc, wait_ms, reply);
}

/* ---- explaining ---- */

void flow_explain(struct flow *f, const struct caller *caller,
		  const json_t *body, struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *doc = NULL;
	const struct task *task =
		bound_task(f, caller, json_text(body, "task", ""), reply);
	struct decided d;
	json_t *out;

	if (!task || answered_as_wrong(f, body, task, reply))
		return;
	doc = request_doc_of(caller, body);
	decide(f, task, doc, NULL, &d);
	out = json_object();
	json_set_text(out, "route", route_name(d.route));
	json_object_set(out, "decision", d.decision);
	json_object_set(out, "facts", json_object_get(d.facts, "context"));
	json_set_text(out, "note",
		      "Decided without reading the target: facts that only a "
		      "plan gives are at their best.");
	decided_clear(&d);
	answer(reply, ANSWER_OK, out);
}

/* ---- loading: what a stop left open ---- */

/* Whether a stop may have kept it from going on. */
static bool stopped_halfway(const struct request *r, const struct task *task)
{
	return r->state != REQUEST_WAITING || !task || has_expired(r) ||
	       task_fault(task, clock_wall_ms()) ||
	       json_array_size(json_object_get(r->doc, "approvals"));
}

/* What a stop left open goes on when the log has room for it. */
static void take_up(void *cookie)
{
	struct request *r = cookie;

	r->reread = NULL;
	if (r->flow->closing)
		return;
	if (evidence_is_busy(r->flow->evidence)) {
		r->reread = loop_timer(r->flow->loop, TAKE_UP_MS, take_up, r);
		return;
	}
	r->untaken = false;
	if (r->state == REQUEST_ARMED)
		become_unknown(r, "restart",
			       "the authority stopped between arming and "
			       "recording");
	else if (r->state == REQUEST_UNKNOWN)
		reread(r);
	else if (r->cancelled)
		request_withdraw(r, "withdrawn");
	else
		resume(r);
}

void request_load(struct flow *f, json_t *doc)
{
	struct request *r = request_new(f, json_incref(doc));
	const struct task *task = task_find(f, json_text(doc, "task", ""));

	r->recorded = true;
	r->bound = true;
	if (!request_state_find(json_text(doc, "state", ""), &r->state))
		must(ERR_CORRUPT, "a request in no known state");
	if (r->state == REQUEST_PLANNING || r->state == REQUEST_WAITING ||
	    r->state == REQUEST_REPLANNING) {
		r->untaken = stopped_halfway(r, task);
		if (r->untaken)
			r->reread = loop_timer(f->loop, 0, take_up, r);
		if (task && r->state == REQUEST_PLANNING)
			set_not_after(r, task);
		if (task && r->state == REQUEST_WAITING && !has_expired(r))
			set_expiry(r, task);
	} else if (r->state == REQUEST_ARMED || r->state == REQUEST_READING ||
		   r->state == REQUEST_UNKNOWN) {
		/* Nobody can tell what happened: it is read, never redone. */
		take_place(r);
		if (r->state == REQUEST_READING)
			r->state = REQUEST_ARMED;
		r->reread = loop_timer(
			f->loop, r->state == REQUEST_ARMED ? 0 : RESUME_MS,
			take_up, r);
	}
}
