/* Plans: made, judged, made again; and what a plan waits for. */
#include "flow/request_parts.h"

#include "base/clock.h"
#include "base/mem.h"
#include "flow/point.h"
#include "govern/plan.h"

enum {
	RESUME_MS = 500, /* between looks for a target that is down */
	RESUMES_MAX = 120,
	/* Bytes: what people can sign and the log hold. */
	PLAN_MAX = 256 * 1024,
};

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
		.purpose = request_purpose(r),
		.request = r->id,
		.agent = json_text(r->doc, "agent", ""),
		.chain = task_chain(task),
		.task = task->id,
		.class_digest = json_text(task->doc, "classDigest", ""),
		.intent = intent_digest,
		.action = json_text(r->doc, "action", ""),
		.target = target_name,
		.target_digest = target_digest,
		.connector_build = target ? point_build(target) : "",
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
	request_keep_decision(r, d);
	json_object_del(r->doc, "waitingFor");
	json_set_text(outcome, "effect", "none");
	json_set_text(outcome, "cause", "held");
	json_set_text(outcome, "detail",
		      "It stands already; this task holds it, too.");
	json_set_new(r->doc, "outcome", outcome);
	request_decision_leaf(r, t, d);
	grant_join(g, r, t);
	request_put(r, t);
	evidence_commit(t, request_told, r);
}

static bool may_try_again(struct request *r);
static void try_again(struct request *r);

/* Allowed on the facts as they stand, with a plan that was made just now. */
static void go(struct request *r, const struct decided *d)
{
	struct grant *g = held_already(r);
	const char *fault = arming_fault(r->flow);

	if (request_refuse_large(r, d))
		return;
	if (fault)
		request_unavailable(r, fault);
	else if (g)
		join_grant(r, g, d);
	else
		request_arm(r, d);
}

static void act_on(struct request *r, const struct decided *d)
{
	if (d->route == ROUTE_DENY)
		request_deny(r, d);
	else if (d->route == ROUTE_RECOMMEND)
		request_advise(r, d);
	else if (d->route == ROUTE_APPROVAL)
		request_ask_people(r, d);
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
	struct grant *g = held_already(r);
	CLEANUP(json_put_p) json_t *base = NULL;
	CLEANUP(json_put_p) json_t *found = NULL;

	if (!g)
		return;
	must(json_parse(
		     slice_str(json_text(json_object_get(grant_doc(g), "base"),
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

void request_unavailable(struct request *r, const char *detail)
{
	struct decided d = { .route = ROUTE_DENY };

	d.decision = json_object();
	d.facts = json_object();
	json_set_text(d.decision, "cause", "unavailable");
	json_set_text(d.decision, "forAgent", detail);
	json_set_text(d.decision, "forHuman", detail);
	json_set_new(d.decision, "policies", json_array());
	json_set_text(d.decision, "retry", "30s");
	request_deny(r, &d);
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
	if (request_place_is_taken(r)) {
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
		if (replans >= REQUEST_ATTEMPTS_MAX) {
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

void request_resume(void *cookie);

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
	r->reread = loop_timer(r->flow->loop, RESUME_MS, request_resume, r);
}

bool plan_is_too_large(const json_t *found)
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
	const char *fault;

	request_task(r, &fault);
	r->busy = false;
	/* What is recorded is taken up at the next start as it stands. */
	if (r->flow->closing)
		return;
	if (!r->cancelled && !fault && is_passing(p) && may_try_again(r))
		try_again(r);
	else if (r->cancelled || fault)
		request_close(r, REQUEST_EVENT_CANCEL, "cancelled",
			      fault ? fault : "withdrawn");
	else if (p->status == CONNECT_OK && plan_is_too_large(p->json))
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

	json_pick(params, r->doc, members, ARRAY_LEN(members));
	/* What is lent has a name that follows from the request. */
	if (request_lends(r)) {
		json_t *parameters = json_object();

		json_object_update(parameters,
				   json_object_get(r->doc, "parameters"));
		json_set_text(parameters, "request", r->id);
		json_set_new(params, "parameters", parameters);
	}
	return params;
}

void request_plan(struct request *r)
{
	struct target *t =
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
	if (lookup_is_due(r)) {
		lookup_run(r);
		return;
	}
	if (request_reads(r->doc)) {
		request_ask_target(r, t);
		return;
	}
	point_call(t, CONNECT_PLAN, plan_params(r), CONNECTOR_NORMAL, 0,
		   plan_done, r);
}

void request_looked_up(struct request *r)
{
	const char *fault;
	const struct task *task = request_task(r, &fault);
	struct decided d;

	r->busy = false;
	if (r->flow->closing)
		return;
	if (r->cancelled || fault) {
		request_close(r, REQUEST_EVENT_CANCEL, "cancelled",
			      fault ? fault : "withdrawn");
		return;
	}
	decide(r->flow, task, r->doc, NULL, &d);
	if (d.route == ROUTE_DENY)
		request_deny(r, &d);
	else
		request_plan(r);
	decided_clear(&d);
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
void request_resume(void *cookie)
{
	struct request *r = cookie;
	const char *fault;

	request_task(r, &fault);
	r->reread = NULL;
	if (r->busy || r->flow->closing ||
	    (r->state != REQUEST_PLANNING && r->state != REQUEST_WAITING &&
	     r->state != REQUEST_REPLANNING))
		return;
	if (fault)
		request_withdraw(r, fault);
	else if (request_has_expired(r))
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
	evidence_commit(t, request_told, r);
	r->reread = loop_timer(r->flow->loop, RESUME_MS, request_resume, r);
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
		request_ask_people(r, &d);
	} else {
		request_deny(r, &d);
	}
	decided_clear(&d);
}
