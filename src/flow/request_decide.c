/* What a decision leaves: its leaf, a denial, advice, or people who are asked.
 */
#include "flow/request_parts.h"

#include "base/clock.h"
#include "base/mem.h"

enum {
	DEFAULT_APPROVAL_S = 4 * 3600,
	VOUCHERS_FEW = 256,
	/* Bytes of a part of a decision's leaf, with room for what is noted
	 * in the document until the leaf is built. */
	DECISION_MAX = EVIDENCE_PAYLOAD_MAX - 192 * 1024,
};

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
	static const char *const cut[] = { "policiesCut" };
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
	json_pick(fields, d->decision, cut, ARRAY_LEN(cut));
	json_object_set(fields, "tier", json_object_get(r->doc, "tier"));
	return fields;
}

/*
 * Of a plan that concerns very many, who they are may be more than the log
 * holds, though the plan itself is not.  What comes before a plan is as small
 * as the call, but for those who vouch.
 */
static bool may_be_large(const struct request *r)
{
	const char *subject = json_text(r->doc, "subject", "");

	return json_object_get(r->doc, "found") ||
	       json_object_size(vouchers_of(r->flow, subject)) > VOUCHERS_FEW;
}

static size_t size_of(const json_t *value)
{
	return json_dumpb(value, NULL, 0, JSON_COMPACT);
}

static bool is_too_large(const struct request *r, const struct decided *d)
{
	CLEANUP(json_put_p) json_t *asked = NULL;
	CLEANUP(json_put_p) json_t *facts = NULL;

	if (!may_be_large(r))
		return false;
	asked = request_view(r->doc);
	json_object_set(asked, "decision", d->decision);
	facts = replay_facts(r->flow, d);
	return size_of(asked) > DECISION_MAX || size_of(facts) > DECISION_MAX;
}

/* Nothing of it is in the log yet, and nothing of it will be. */
bool request_refuse_large(struct request *r, const struct decided *d)
{
	if (!is_too_large(r, d))
		return false;
	if (r->state == REQUEST_WAITING)
		request_step(r, REQUEST_EVENT_PLAN_AGAIN);
	request_close(r, REQUEST_EVENT_GIVE_UP, "too-large",
		      "It concerns more people than can be recorded with one "
		      "decision. Ask for something that concerns fewer.");
	return true;
}

/* Two private parts: what was asked and planned, and the facts decided on. */
void request_decision_leaf(struct request *r, struct evidence_txn *t,
			   const struct decided *d)
{
	CLEANUP(mem_free_p) char *subject = request_subject(r);
	CLEANUP(json_put_p) json_t *asked = request_view(r->doc);
	CLEANUP(json_put_p) json_t *facts = replay_facts(r->flow, d);
	struct evidence_part parts[] = { { subject, asked },
					 { subject, facts } };
	struct leaf_ref leaf;

	must(evidence_leaf(t, LEAF_DECISION, r->id, decision_fields(r, d),
			   parts, ARRAY_LEN(parts), &leaf),
	     "a decision's leaf");
	leaf_note(r->doc, "decision", &leaf);
}

/* What people have signed was not automatic, though it is allowed now. */
static enum route route_taken(const struct request *r, const struct decided *d)
{
	if (d->route == ROUTE_AUTO &&
	    json_array_size(json_object_get(r->doc, "approvals")))
		return ROUTE_APPROVAL;
	return d->route;
}

void request_keep_decision(struct request *r, const struct decided *d)
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

void request_deny(struct request *r, const struct decided *d)
{
	struct evidence_txn *t;

	if (request_refuse_large(r, d))
		return;
	t = evidence_begin(r->flow->evidence);
	request_step(r, REQUEST_EVENT_DENY);
	loop_timer_end(r->expiry);
	r->expiry = NULL;
	json_object_del(r->doc, "waitingFor");
	request_keep_decision(r, d);
	request_decision_leaf(r, t, d);
	request_put(r, t);
	evidence_commit(t, request_told, r);
}

void request_advise(struct request *r, const struct decided *d)
{
	struct evidence_txn *t;
	struct decided execute;
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));
	CLEANUP(json_put_p) json_t *as_execute = json_copy(r->doc);

	if (request_refuse_large(r, d))
		return;
	t = evidence_begin(r->flow->evidence);
	request_step(r, REQUEST_EVENT_ADVISE);
	request_keep_decision(r, d);
	/* What carrying it out would take, so that a human can judge. */
	json_set_text(as_execute, "mode", "execute");
	decide(r->flow, task, as_execute, json_object_get(r->doc, "found"),
	       &execute);
	json_object_set(json_object_get(r->doc, "decision"), "ifExecuted",
			execute.decision);
	json_set_text(json_object_get(r->doc, "decision"), "ifExecutedRoute",
		      route_name(execute.route));
	request_decision_leaf(r, t, d);
	request_put(r, t);
	evidence_commit(t, request_told, r);
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
void request_set_not_after(struct request *r, const struct task *task)
{
	int64_t until = clock_wall_ms() + approval_window_s(r, task) * 1000;
	int64_t window = task_window_ms(task);

	if (!json_text(r->doc, "notAfter", NULL))
		json_set_time(r->doc, "notAfter",
			      window < until ? window : until);
}

void request_set_expiry(struct request *r, const struct task *task)
{
	int64_t now_ms = clock_wall_ms();
	int64_t until = now_ms + approval_window_s(r, task) * 1000;
	int64_t window = task_window_ms(task);

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

void request_ask_people(struct request *r, const struct decided *d)
{
	struct evidence_txn *t;
	const struct task *task =
		task_find(r->flow, json_text(r->doc, "task", ""));

	if (request_refuse_large(r, d))
		return;
	t = evidence_begin(r->flow->evidence);
	if (r->state != REQUEST_WAITING)
		request_step(r, REQUEST_EVENT_ASK_PEOPLE);
	request_keep_decision(r, d);
	set_waiting_for(r, d);
	request_set_expiry(r, task);
	escalation_watch(r);
	request_decision_leaf(r, t, d);
	request_put(r, t);
	evidence_commit(t, request_told, r);
}
