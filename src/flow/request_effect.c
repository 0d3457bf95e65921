/*
 * From arming to the outcome; and what nobody can tell, until it is read or
 * resolved.
 */
#include "flow/request_parts.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"

enum {
	REREAD_SOON_MS = 1000, /* first look at an unknown outcome */
	REREAD_MS = 5 * 1000,  /* between further ones */
	REREADS_ABSENT = 3,    /* equal looks that close it as not applied */
};

/* ---- arming ---- */

static void effect_over(void *cookie, const struct effect_result *result);

/* Asked once more when the checkpoint is signed: containment may have come. */
static const char *late_fault(void *cookie)
{
	struct request *r = cookie;
	const char *fault;

	if (r->cancelled)
		return "withdrawn";
	request_task(r, &fault);
	return fault;
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
const char *request_purpose(const struct request *r)
{
	return json_object_in(r->doc, "base") ? "end" : "request";
}

static json_t *armed_fields(const struct request *r)
{
	json_t *fields = json_object();

	json_set_text(fields, "digest", json_text(r->doc, "digest", ""));
	json_set_text(fields, "bundle", r->flow->bundle_digest);
	json_set_int(fields, "attempt", json_int(r->doc, "attempts", 0));
	json_set_text(fields, "purpose", request_purpose(r));
	json_set_text(fields, "execution", json_text(r->doc, "execution", ""));
	json_set_new(fields, "approvals", approval_leaves(r));
	return fields;
}

/* Taking back what was placed never waits for anybody outside. */
static bool wants_witnesses(const struct request *r)
{
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));

	return task && task_needs_witnesses(task) &&
	       strcmp(request_purpose(r), "end") != 0;
}

bool request_lends(const struct request *r)
{
	const struct action *action =
		action_find(json_text(r->doc, "action", NULL));

	return action && action->lends;
}

static void start_effect(struct request *r, uint64_t armed)
{
	struct effect_order order = {
		.target = json_text(r->doc, "target", ""),
		.plan = json_text(r->doc, "planText", ""),
		.signatures = json_object_get(r->doc, "signatures"),
		.base = json_object_in(r->doc, "base"),
		.armed = armed,
		.witnessed = wants_witnesses(r),
		.lends = request_lends(r),
		.fault = late_fault,
		.done = effect_over,
		.cookie = r,
	};

	r->busy = true;
	effect_run(r->flow, &order);
}

/* Counts an act once, in the transaction that arms it: the document says so for
 * the next start. */
static void count_act(struct request *r, struct evidence_txn *t,
		      const struct decided *d)
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
	/* As it was decided. */
	json_set_flag(counted, "reversible",
		      json_flag(json_object_get(d->facts, "context"),
				"reversible", false));
	if (task_chain(task))
		json_object_set(counted, "chain",
				(json_t *)(uintptr_t)task_chain(task));
	if (grant_would_renew(r->flow, r->doc))
		json_set_flag(counted, "renews", true);
	json_set_new(r->doc, "counted", counted);
	meter_count(r->flow, r->doc);
	if (!json_has_text(touched, class.plane))
		json_array_append_new(touched, json_string(class.plane));
	delegation_touch(task, &class, t);
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
void request_arm(struct request *r, const struct decided *d)
{
	struct flow *f = r->flow;
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *subject = request_subject(r);
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
	request_keep_decision(r, d);
	if (!json_text(r->doc, "execution", NULL)) {
		id_new("exe", execution);
		json_set_text(r->doc, "execution", execution);
		count_act(r, t, d);
	}
	json_set_int(r->doc, "attempts", json_int(r->doc, "attempts", 0) + 1);
	request_decision_leaf(r, t, d);
	plan = json_string(json_text(r->doc, "planText", ""));
	part = (struct evidence_part){ subject, plan };
	must(evidence_leaf(t, LEAF_ARMED, r->id, armed_fields(r), &part, 1,
			   &leaf),
	     "an armed leaf");
	leaf_note(r->doc, "armed", &leaf);
	json_set_int(r->doc, "armedLeaf", (int64_t)leaf.index);
	json_set_int(r->doc, "armedAtMs", clock_wall_ms());
	request_take_place(r);
	request_put(r, t);
	evidence_commit(t, request_armed_durable, r);
	start_effect(r, leaf.index);
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

static void record_outcome(struct request *r, enum request_event event,
			   const char *effect, const char *detail,
			   json_t *observed, enum leaf_kind kind)
{
	struct flow *f = r->flow;
	struct evidence_txn *t = request_begin(r);
	CLEANUP(mem_free_p) char *subject = request_subject(r);
	json_t *outcome = json_object();
	json_t *fields = json_object();
	struct evidence_part part;
	struct leaf_ref leaf;

	request_step(r, event);
	json_set_text(outcome, "effect", effect);
	json_set_text(outcome, "detail", detail);
	observed_keep(outcome, observed);
	json_set_new(r->doc, "outcome", outcome);
	json_set_text(fields, "effect", effect);
	json_set_text(fields, "state", request_state_name(r->state));
	json_set_text(fields, "digest", json_text(r->doc, "digest", ""));
	json_set_int(fields, "armed", json_int(r->doc, "armedLeaf", 0));
	part = (struct evidence_part){ subject, outcome };
	must(evidence_leaf(t, kind, r->id, fields, &part, 1, &leaf),
	     "an outcome's leaf");
	leaf_note(r->doc, "outcome", &leaf);
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
		request_leave_place(r);
	request_put(r, t);
	evidence_commit(t, request_told, r);
	secret_settle(r);
	if (r->to_read)
		grant_end(map_get(f->grants, r->to_read),
			  "its outcome was resolved by a human");
	grant_check_orphan(r);
}

void request_reread(void *cookie);

void request_become_unknown(struct request *r, const char *reason,
			    const char *detail)
{
	json_set_int(r->doc, "absent", 0);
	record_outcome(r, REQUEST_EVENT_CANNOT_TELL, "unknown",
		       detail && *detail ? detail : reason, NULL, LEAF_OUTCOME);
	if (!r->reread)
		r->reread = loop_timer(r->flow->loop, REREAD_SOON_MS,
				       request_reread, r);
}

/* The target refused before any effect: the plan did not fit any more. */
static void refused_before_effect(struct request *r,
				  const struct effect_result *result)
{
	bool again = !strcmp(result->reason, "precondition") &&
		     json_int(r->doc, "attempts", 0) < REQUEST_ATTEMPTS_MAX;

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
	r->secret = result->secret;
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
		request_become_unknown(r, result->reason, result->detail);
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
	r->reread = loop_timer(r->flow->loop, REREAD_MS, request_reread, r);
}

void request_reread(void *cookie)
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
		CLEANUP(mem_free_p) char *subject = request_subject(r);
		CLEANUP(json_put_p) json_t *kept = signed_json(&s);
		struct evidence_part part = { subject, kept };
		json_t *fields = json_object();
		struct leaf_ref leaf;

		json_set_text(fields, "as", json_text(s.body, "outcome", ""));
		must(evidence_leaf(t, LEAF_RESOLVED, r->id, fields, &part, 1,
				   &leaf),
		     "a resolution");
		leaf_note(r->doc, "resolved", &leaf);
		signed_put(f, t, &s);
		r->begun = t; /* one with the outcome */
		loop_timer_end(r->reread);
		r->reread = NULL;
		as_applied =
			!strcmp(json_text(s.body, "outcome", ""), "applied");
		grants = action_find(json_text(r->doc, "action", ""))->grants;
		r->recorded = false; /* told once this is durable */
		request_wait(r, REQUEST_WAIT_MAX_MS, reply);
		r->resolved = !as_applied || !grants;
		record_outcome(r,
			       as_applied ? REQUEST_EVENT_AS_PLANNED
					  : REQUEST_EVENT_NOT_APPLIED,
			       as_applied ? "applied" : "none",
			       "resolved by the owner", NULL, LEAF_OUTCOME);
	}
	statement_clear(&s);
}
