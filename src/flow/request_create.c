/* How a request begins: asked for, undone, adopted; or only explained. */
#include "flow/request_parts.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "flow/mint.h"

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
	json_set_text(doc, "attestedBy", caller->attested_by);
	json_pick(doc, body, members, ARRAY_LEN(members));
	subject = subject_digest(doc);
	json_set_text(doc, "subject", subject);
	json_object_set(doc, "references", json_object_get(body, "evidence"));
	discard(clock_parse_duration(json_text(body, "ttl", "15m"), &ttl_s));
	json_set_text(doc, "ttl", json_text(body, "ttl", "15m"));
	json_set_int(doc, "ttlSeconds", ttl_s);
	json_set_text(doc, "state", "planning");
	json_set_time(doc, "created", clock_wall_ms());
	json_set_new(doc, "approvals", json_array());
	json_set_new(doc, "signatures", json_array());
	return doc;
}

struct request *request_new(struct flow *f, json_t *owned_doc)
{
	struct request *r = mem_new(struct request);

	r->flow = f;
	r->doc = owned_doc;
	snprintf(r->id, sizeof(r->id), "%s", json_text(owned_doc, "id", ""));
	map_put(f->requests, r->id, r);
	request_enter_task(r);
	quota_count_request(f, json_text(owned_doc, "agent", ""), 1);
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
	if (request_reads(r->doc))
		request_note_concerned(r, json_text(r->doc, "resource", ""));
	request_set_not_after(r, task);
	request_wait(r, wait_ms > 0 ? wait_ms : 1, reply);
	decide(f, task, r->doc, NULL, &d);
	if (d.route == ROUTE_DENY)
		request_deny(r, &d);
	else
		request_plan(r);
	decided_clear(&d);
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
		request_tell_doc(doc, state, false, reply);
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
	case ONCE_UNKNOWN:
		answer_unreadable(reply);
		return true;
	case ONCE_NEW:
		break;
	}
	return answered_as_replayed(f, caller, reply);
}

/* Faults of a request that its shape does not show; answers and says true. */
static bool answered_as_wrong(struct flow *f, const json_t *body,
			      const struct task *task, struct reply_to reply)
{
	const char *target = json_text(body, "target", "");
	const char *fault;
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
	fault = lookup_fault(f, json_object_get(body, "evidence"));
	if (fault) {
		answer_problem(reply, ANSWER_INVALID, "evidence", "%s", fault);
		return true;
	}
	return answer_if_busy(f, reply);
}

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

/* doc undoes what original did. */
static void note_undone(json_t *doc, const struct caller *caller,
			const json_t *original)
{
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
}

/* Giving back what one was lent is undoing the request that lent it: it takes
 * nothing from anybody else. */
static void note_given_back(struct flow *f, json_t *doc,
			    const struct caller *caller)
{
	CLEANUP(json_put_p) json_t *original = NULL;
	struct grant *g;

	if (!action_takes_back_lent(action_find(json_text(doc, "action", ""))))
		return;
	g = grant_find_same(f, json_text(doc, "target", ""),
			    json_text(doc, "resource", ""),
			    json_object_get(doc, "parameters"));
	if (!g || strcmp(json_text(grant_doc(g), "agent", ""), caller->name) ||
	    store_get(evidence_reader(f->evidence), NOUN_REQUEST,
		      json_text(g->doc, "request", ""), &original, NULL) < 0 ||
	    json_object_in(original, "erased"))
		return;
	note_undone(doc, caller, original);
}

/* What is asked, word for word, inside one task. */
static void note_asked(json_t *doc)
{
	static const char *const members[] = { "task",	     "action",
					       "target",     "resource",
					       "mode",	     "ttlSeconds",
					       "parameters", "references" };
	CLEANUP(json_put_p) json_t *asked = json_object();
	CLEANUP(mem_free_p) char *text = NULL;
	char digest_text[DIGEST_TEXT_LEN];
	struct digest digest;

	json_pick(asked, doc, members, ARRAY_LEN(members));
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

/* What is signed is for minutes, and within the task, unless it says how long
 * it is for. */
static void set_default_ttl(const struct flow *f, const struct task *task,
			    const json_t *body, json_t *doc)
{
	int64_t left_s = (task_window_ms(task) - clock_wall_ms()) / 1000 - 1;
	int64_t ttl_s = mint_default_ttl_s(f, body);
	CLEANUP(mem_free_p) char *text = NULL;

	if (!ttl_s)
		return;
	if (left_s > 0 && left_s < ttl_s)
		ttl_s = left_s;
	text = clock_format_duration(ttl_s);
	json_set_text(doc, "ttl", text);
	json_set_int(doc, "ttlSeconds", ttl_s);
}

void flow_request_create(struct flow *f, const struct caller *caller,
			 const struct acting *acting, const json_t *body,
			 int64_t wait_ms, struct reply_to reply)
{
	const struct task *task;
	json_t *doc;

	if (answered_by_key(f, caller, acting, wait_ms, reply))
		return;
	task = task_own_open(f, caller, json_text(body, "task", ""), reply);
	if (!task || answered_as_wrong(f, body, task, reply) ||
	    quota_rate_over(f, caller->name, reply))
		return;
	doc = request_doc_of(caller, body);
	set_default_ttl(f, task, body, doc);
	note_given_back(f, doc, caller);
	note_asked(doc);
	if (joined(f, caller, acting, doc, wait_ms, reply) ||
	    quota_requests_over(f, caller->name, reply))
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
		request_wait_for(r, wait_ms, true, reply);
	else
		flow_view(f, caller, VIEW_REQUEST, id, NULL, reply);
}

/* ---- rollback ---- */

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
	note_undone(doc, caller, original);
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
	if (json_object_in(original, "erased")) {
		answer_problem(reply, ANSWER_CONFLICT, "erased",
			       "What was kept of this request was erased; it "
			       "cannot be undone by it any more.");
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
	task = task_own_open(f, caller, json_text(doc, "task", ""), reply);
	if (!task || answered_as_wrong(f, doc, task, reply) ||
	    quota_rate_over(f, caller->name, reply) ||
	    quota_requests_over(f, caller->name, reply)) {
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
		task_own_open(f, caller, json_text(body, "task", ""), reply);
	struct decided d;
	json_t *out;

	if (!task || answered_as_wrong(f, body, task, reply) ||
	    quota_rate_over(f, caller->name, reply))
		return;
	doc = request_doc_of(caller, body);
	set_default_ttl(f, task, body, doc);
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
