/*
 * Requests that read: the connector is asked what an account has, and the agent
 * is told.  Nothing is planned, armed or placed, and nothing is to be undone.
 *
 * It is decided twice: before the target is asked, with facts at their best,
 * and on the account as the target spells it, when its answer has come.  An
 * answer is told once that decision, and that it was read, are durable.
 */
#include "flow/request_parts.h"

#include "base/clock.h"
#include "base/mem.h"
#include "flow/point.h"

bool request_reads(const json_t *doc)
{
	const struct action *action =
		action_find(json_text(doc, "action", NULL));

	return action && action->reads;
}

/* Whose data it is: those of who has the account, where the inventory knows. */
void request_note_concerned(struct request *r, const char *account)
{
	CLEANUP(mem_free_p)
	char *id =
		mem_format("%s/%s", json_text(r->doc, "target", ""), account);
	CLEANUP(mem_free_p) char *subject = NULL;
	bool agent = false;
	const char *name =
		inventory_owner_of_account(r->flow->inventory, id, &agent);

	if (!name)
		return;
	subject = mem_format("%s:%s", agent ? "agent" : "human", name);
	json_set_text(r->doc, "concerns", subject);
}

/* ---- the decision on what the target spells ---- */

/* What a plan would say of the account: that is all there is to decide on. */
static json_t *found_of(const char *account)
{
	json_t *found = json_object();

	json_set_text(found, "resource", account);
	json_set_new(found, "nestedIn", json_array());
	json_set_new(found, "gains", json_array());
	json_set_int(found, "blastRadius", 0);
	return found;
}

static void decide_on(struct request *r, const struct task *task,
		      const char *account, struct decided *ret)
{
	CLEANUP(json_put_p) json_t *found = found_of(account);
	struct classification class;

	request_note_concerned(r, account);
	decide(r->flow, task, r->doc, found, ret);
	if (decide_classify(r->flow, r->doc, found, &class))
		json_set_int(r->doc, "tier", class.tier);
}

/* ---- telling ---- */

static json_t *result_of(const struct request *r, const json_t *told)
{
	json_t *result = json_object();

	json_object_set(result, "account", json_object_get(told, "account"));
	json_set_text(result, "target", json_text(r->doc, "target", ""));
	json_set_time(result, "read", clock_wall_ms());
	json_object_set(result, "entitlements",
			json_object_get(told, "entitlements"));
	return result;
}

/* That it was told, to whom, of whom and how much; what was told is committed
 * to and can be erased. */
static void read_leaf(struct request *r, struct evidence_txn *t,
		      const json_t *result)
{
	CLEANUP(mem_free_p) char *subject = request_subject(r);
	CLEANUP(json_put_p) json_t *kept = json_object();
	struct evidence_part part = { subject, kept };
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_object_set(kept, "agent", json_object_get(r->doc, "agent"));
	json_object_set(kept, "resource", json_object_get(r->doc, "resource"));
	json_object_set(kept, "result", (json_t *)(uintptr_t)result);
	json_set_text(fields, "action", json_text(r->doc, "action", ""));
	json_set_text(fields, "task", json_text(r->doc, "task", ""));
	json_set_int(fields, "count",
		     (int64_t)json_array_size(
			     json_object_get(result, "entitlements")));
	must(evidence_leaf(t, LEAF_READ, r->id, fields, &part, 1, &leaf),
	     "the leaf of what was read");
	leaf_note(r->doc, "read", &leaf);
}

static json_t *outcome_of(size_t count)
{
	CLEANUP(mem_free_p)
	char *detail = mem_format("%zu %s told; nothing was changed.", count,
				  count == 1 ? "was" : "were");
	json_t *outcome = json_object();

	json_set_text(outcome, "effect", "none");
	json_set_text(outcome, "cause", "read");
	json_set_int(outcome, "count", (int64_t)count);
	json_set_text(outcome, "detail", detail);
	return outcome;
}

static void tell(struct request *r, const struct decided *d, const json_t *told)
{
	struct evidence_txn *t = evidence_begin(r->flow->evidence);
	json_t *result = result_of(r, told);

	request_step(r, REQUEST_EVENT_ANSWERED);
	request_keep_decision(r, d);
	request_decision_leaf(r, t, d);
	read_leaf(r, t, result);
	json_set_new(r->doc, "outcome",
		     outcome_of(json_array_size(
			     json_object_get(result, "entitlements"))));
	json_set_new(r->doc, "result", result);
	request_put(r, t);
	evidence_commit(t, request_told, r);
}

/* ---- what the connector said ---- */

static void answered(struct request *r, const struct task *task, json_t *told)
{
	struct decided d;

	decide_on(r, task, json_text(told, "account", ""), &d);
	if (d.route != ROUTE_AUTO)
		request_deny(r, &d);
	else if (plan_is_too_large(told))
		request_close(r, REQUEST_EVENT_GIVE_UP, "too-large",
			      "The account has more than is told at once.");
	else
		tell(r, &d, told);
	decided_clear(&d);
}

/* What the target says of an account that the agent may not read is not told
 * either, not even that there is none. */
static void refused(struct request *r, const struct task *task,
		    const struct connector_result *p)
{
	struct decided d;

	if (!strcmp(p->reason, "unavailable")) {
		request_unavailable(r, "The target cannot be reached.");
		return;
	}
	decide_on(r, task, json_text(r->doc, "resource", ""), &d);
	if (d.route == ROUTE_DENY)
		request_deny(r, &d);
	else
		request_close(r, REQUEST_EVENT_GIVE_UP, p->reason, p->detail);
	decided_clear(&d);
}

static void read_done(void *cookie, const struct connector_result *p)
{
	struct request *r = cookie;
	const char *fault;
	const struct task *task = request_task(r, &fault);

	r->busy = false;
	if (r->flow->closing)
		return;
	if (r->cancelled || fault)
		request_close(r, REQUEST_EVENT_CANCEL, "cancelled",
			      fault ? fault : "withdrawn");
	else if (p->status == CONNECT_OK)
		answered(r, task, p->json);
	else if (p->status == CONNECT_REFUSED)
		refused(r, task, p);
	else
		request_unavailable(r, "The connector did not answer in time.");
}

void request_ask_target(struct request *r, const struct target *t)
{
	json_t *params;

	if (t->connector && !connector_is_up(t->connector)) {
		r->busy = false;
		request_unavailable(r, "No connector for this target is up.");
		return;
	}
	if (!point_tells(t, CONNECT_ENTITLEMENTS)) {
		r->busy = false;
		request_close(r, REQUEST_EVENT_GIVE_UP, "cannot-read",
			      "This kind of connector cannot tell what an "
			      "account has.");
		return;
	}
	params = json_object();
	json_set_text(params, "account", json_text(r->doc, "resource", ""));
	connector_call(t->connector, CONNECT_ENTITLEMENTS, params,
		       CONNECTOR_NORMAL, 0, read_done, r);
}
