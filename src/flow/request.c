/*
 * A request as a thing: its document, its place, who waits for it, and its ends
 * without an effect.  Its life goes on in the other files:
 *
 *   request_create.c -> request_plan.c -> request_decide.c -> (people: sign.c)
 *                    -> request_plan.c again -> request_effect.c
 *
 * A request that was never acknowledged is not in the log: its first leaf is
 * its decision.
 */
#include "flow/request_parts.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum {
	RESUME_MS = 500, /* between looks for a target that is down */
	TAKE_UP_MS = 50, /* between looks for a log with room */
};

struct request *request_find(struct flow *f, const char *id)
{
	return map_get(f->requests, id);
}

/* ---- of which task: an index, so that no task looks at all requests ---- */

static struct asking_task *asking_of(struct flow *f, const char *task)
{
	struct asking_task *of = map_get(f->asking, task);

	if (of)
		return of;
	of = mem_new(struct asking_task);
	snprintf(of->task, sizeof(of->task), "%s", task);
	map_put(f->asking, of->task, of);
	return of;
}

void request_enter_task(struct request *r)
{
	struct asking_task *of =
		asking_of(r->flow, json_text(r->doc, "task", ""));

	r->of = of;
	r->next_of = of->first;
	r->link_of = &of->first;
	if (of->first)
		of->first->link_of = &r->next_of;
	of->first = r;
	of->open += !request_state_is_end(r->state);
}

static void leave_task(struct request *r)
{
	struct asking_task *of = r->of;

	*r->link_of = r->next_of;
	if (r->next_of)
		r->next_of->link_of = r->link_of;
	of->open -= !request_state_is_end(r->state);
	if (of->first)
		return;
	map_remove(r->flow->asking, of->task);
	free(of);
}

/* Its task's count follows. */
static void set_state(struct request *r, enum request_state state)
{
	r->of->open -= !request_state_is_end(r->state);
	r->state = state;
	r->of->open += !request_state_is_end(r->state);
}

size_t requests_open_of(const struct flow *f, const char *task)
{
	const struct asking_task *of = map_get(f->asking, task);

	return of ? of->open : 0;
}

void requests_withdraw_of(struct flow *f, const char *task, const char *why)
{
	const struct asking_task *of = map_get(f->asking, task);
	struct request *next;

	/* None of them is gone before its end is durable. */
	for (struct request *r = of ? of->first : NULL; r; r = next) {
		next = r->next_of;
		request_withdraw(r, why);
	}
}

/* ---- the document ---- */

json_t *request_view(const json_t *doc)
{
	static const char *const members[] = {
		"id",	      "task",	    "agent",	  "action",
		"target",     "resource",   "parameters", "mode",
		"ttl",	      "state",	    "route",	  "created",
		"expires",    "decision",   "digest",	  "approvals",
		"waitingFor", "outcome",    "grant",	  "rollbackToken",
		"rollbackOf", "sponsor",    "adoptedAs",  "evidence",
		"erased",     "tier",	    "adviceOf",	  "execution",
		"attestedBy", "references", "lookups",	  "escalated"
	};
	json_t *view = json_object();
	json_t *found = json_object_get(doc, "found");

	json_pick(view, doc, members, ARRAY_LEN(members));
	if (found)
		json_object_set(view, "plan", found);
	return view;
}

/* An agent is told its risk, and not who watches it. */
static void hide_detectors(json_t *view)
{
	const json_t *decision = json_object_get(view, "decision");
	json_t *risk = json_copy(json_object_get(decision, "risk"));
	json_t *copy;

	if (!risk)
		return;
	copy = json_copy((json_t *)(uintptr_t)decision);
	json_object_del(risk, "seen");
	json_set_new(copy, "risk", risk);
	json_set_new(view, "decision", copy);
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
	/* What it read is its own; people read the leaf, which leaves one. */
	if (json_object_in(doc, "result"))
		json_object_set(view, "result", json_object_in(doc, "result"));
	hide_detectors(view);
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
	notice_request(r, t);
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
	set_state(r, next);
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
bool request_place_is_taken(const struct request *r)
{
	CLEANUP(mem_free_p) char *place = place_of(r);
	const struct request *other = map_get(r->flow->inflight, place);
	const struct grant *g = map_get(r->flow->places, place);

	return (other && other != r) || (g && !g->gone && !grant_is_live(g));
}

void request_take_place(struct request *r)
{
	free(r->place);
	r->place = place_of(r);
	map_put(r->flow->inflight, r->place, r);
}

void request_leave_place(struct request *r)
{
	if (r->place && map_get(r->flow->inflight, r->place) == r)
		map_remove(r->flow->inflight, r->place);
	free(r->place);
	r->place = NULL;
}

void request_free(struct request *r)
{
	lookup_cancel(r);
	request_leave_place(r);
	leave_task(r);
	forget_asked(r);
	loop_timer_end(r->expiry);
	loop_timer_end(r->reread);
	loop_timer_end(r->silence);
	quota_count_request(r->flow, json_text(r->doc, "agent", ""), -1);
	json_decref(r->doc);
	json_wipe(r->secret);
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
char *request_subject(const struct request *r)
{
	const char *human = json_text(r->doc, "gainsHuman", NULL);
	const char *concerned = json_text(r->doc, "concerns", NULL);

	if (concerned)
		return mem_str(concerned);
	if (human)
		return mem_format("human:%s", human);
	return mem_format("agent:%s", json_text(r->doc, "agent", ""));
}

/* ---- answers ---- */

static enum answer_kind answer_for(enum request_state state, bool reading)
{
	if (state == REQUEST_DENIED && !reading)
		return ANSWER_DENIED;
	return request_state_is_end(state) ? ANSWER_OK : ANSWER_WAITING;
}

void request_tell_doc(const json_t *doc, enum request_state state, bool reading,
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
		request_tell_doc(r->doc, r->state, w->reading, w->reply);
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
		request_tell_doc(w->request->doc, w->request->state, w->reading,
				 w->reply);
	free(w);
}

void request_wait_for(struct request *r, int64_t wait_ms, bool reading,
		      struct reply_to reply)
{
	struct waiter *w;

	/* What is on its way is worth a moment even to who would not wait, and
	 * nothing is told before it is durable. */
	if (r->commits > 0 || !r->recorded ||
	    (r->state != REQUEST_WAITING && r->state != REQUEST_UNKNOWN))
		wait_ms = REQUEST_WAIT_MAX_MS;
	if (r->commits == 0 && r->recorded &&
	    (request_state_is_end(r->state) || wait_ms <= 0)) {
		request_tell_doc(r->doc, r->state, reading, reply);
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
	request_wait_for(r, wait_ms, false, reply);
}

void request_watch(struct request *r, int64_t wait_ms, struct reply_to reply)
{
	request_wait_for(r, wait_ms, true, reply);
}

/* After a commit: tell, and drop what has ended. */
void request_told(void *cookie)
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
void request_armed_durable(void *cookie)
{
	struct request *r = cookie;

	r->recorded = true;
	r->commits--;
}

/* ---- ends without an effect ---- */

/* A transaction, or the one that somebody has begun for what comes next. */
const struct task *request_task(const struct request *r, const char **ret_fault)
{
	const struct task *t =
		task_find(r->flow, json_text(r->doc, "task", ""));

	*ret_fault = t ? task_fault(t, clock_wall_ms()) : "the task is gone";
	return t;
}

struct evidence_txn *request_begin(struct request *r)
{
	return r->begun ? TAKE(r->begun) : evidence_begin(r->flow->evidence);
}

void request_close(struct request *r, enum request_event event,
		   const char *cause, const char *detail)
{
	struct flow *f = r->flow;
	struct evidence_txn *t = request_begin(r);
	CLEANUP(mem_free_p) char *subject = request_subject(r);
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
	leaf_note(r->doc, "closed", &leaf);
	containment_note(f, r->id, request_state_name(r->state), &leaf, t);
	request_put(r, t);
	evidence_commit(t, request_told, r);
}

bool request_has_expired(const struct request *r)
{
	int64_t expires = json_int(r->doc, "expiresMs", 0);

	return expires && clock_wall_ms() >= expires;
}

/* ---- withdrawing ---- */

static void withdraw_again(void *cookie)
{
	struct request *r = cookie;

	r->reread = NULL;
	if (!r->flow->closing)
		request_withdraw(r, r->cancelled_why);
}

void request_withdraw(struct request *r, const char *why)
{
	r->cancelled = true;
	r->cancelled_why = why;
	if (r->busy || r->untaken || request_state_is_end(r->state) ||
	    (r->state != REQUEST_WAITING && r->state != REQUEST_PLANNING &&
	     r->state != REQUEST_REPLANNING))
		return;
	if (!evidence_lacks_keys(r->flow->evidence)) {
		request_close(r, REQUEST_EVENT_CANCEL, "cancelled", why);
		return;
	}
	/* One of a great many: it arms no more, and is recorded in its turn. */
	loop_timer_end(r->reread);
	r->reread = loop_timer(r->flow->loop, TAKE_UP_MS, withdraw_again, r);
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
	request_wait(r, REQUEST_WAIT_MAX_MS, reply);
	request_withdraw(r, "withdrawn by its agent");
}

/* ---- loading: what a stop left open ---- */

/* Whether a stop may have kept it from going on. */
static bool stopped_halfway(const struct request *r, const struct task *task)
{
	return r->state != REQUEST_WAITING || !task || request_has_expired(r) ||
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
		request_become_unknown(
			r, "restart",
			"the authority stopped between arming and "
			"recording");
	else if (r->state == REQUEST_UNKNOWN)
		request_reread(r);
	else if (r->cancelled)
		request_withdraw(r, "withdrawn");
	else
		request_resume(r);
}

void request_load(struct flow *f, json_t *doc)
{
	struct request *r = request_new(f, json_incref(doc));
	const struct task *task = task_find(f, json_text(doc, "task", ""));
	enum request_state state;

	r->recorded = true;
	r->bound = true;
	if (!request_state_find(json_text(doc, "state", ""), &state))
		must(ERR_CORRUPT, "a request in no known state");
	set_state(r, state);
	if (r->state == REQUEST_PLANNING || r->state == REQUEST_WAITING ||
	    r->state == REQUEST_REPLANNING) {
		r->untaken = stopped_halfway(r, task);
		if (r->untaken)
			r->reread = loop_timer(f->loop, 0, take_up, r);
		if (task && r->state == REQUEST_PLANNING)
			request_set_not_after(r, task);
		if (task && r->state == REQUEST_WAITING &&
		    !request_has_expired(r))
			request_set_expiry(r, task);
		escalation_watch(r);
	} else if (r->state == REQUEST_ARMED || r->state == REQUEST_READING ||
		   r->state == REQUEST_UNKNOWN) {
		/* Nobody can tell what happened: it is read, never redone. */
		request_take_place(r);
		if (r->state == REQUEST_READING)
			set_state(r, REQUEST_ARMED);
		r->reread = loop_timer(
			f->loop, r->state == REQUEST_ARMED ? 0 : RESUME_MS,
			take_up, r);
	}
}
