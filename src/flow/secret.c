/*
 * What is lent is used by whoever has its secret: a password, a token, a
 * certificate.  It lives in memory only, beside the grant, from the outcome of
 * the request until the agent that asked takes it, once, or its time is over.
 * Nothing of it is in a document, a leaf or a log.
 *
 *   outcome -> kept -> (leaf "delivered" durable) -> answered and wiped
 *                   -> never taken, lost by a stop, or its grant ends: wiped
 *
 * A credential whose secret nobody has can only be ended, so that is done.
 */
#include "flow/request_parts.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"

enum { TAKE_WITHIN_S = 120 };

static const char secret_why_untaken[] = "never taken";
static const char secret_why_lost[] = "its secret was lost";

struct secret {
	struct grant *grant;
	char *request, *agent, *task; /* of whom it was asked by; owned */
	struct loop_timer *timer;     /* NULL once it has fired */
	json_t *value;		      /* wiped */
};

void secret_free(struct secret *secret)
{
	if (!secret)
		return;
	map_remove(secret->grant->flow->secrets, secret->request);
	loop_timer_end(secret->timer);
	json_wipe(secret->value);
	free(secret->request);
	free(secret->agent);
	free(secret->task);
	free(secret);
}

/* ---- kept ---- */

static void not_taken(void *cookie)
{
	struct secret *secret = cookie;

	secret->timer = NULL;
	grant_end(secret->grant, secret_why_untaken);
}

static void keep(struct grant *g, const struct request *r, json_t *owned_value)
{
	struct secret *secret = mem_new(struct secret);
	int64_t seconds = g->flow->limits.secret_seconds;

	secret->grant = g;
	secret->request = mem_str(r->id);
	secret->agent = mem_str(json_text(r->doc, "agent", ""));
	secret->task = mem_str(json_text(r->doc, "task", ""));
	secret->value = owned_value;
	secret->timer = loop_timer(
		g->flow->loop, (seconds > 0 ? seconds : TAKE_WITHIN_S) * 1000,
		not_taken, secret);
	g->secret = secret;
	map_put(g->flow->secrets, r->id, g);
}

static struct grant *grant_of(const struct flow *f, const json_t *request)
{
	const json_t *note = json_object_in(request, "grant");

	return map_get(f->grants, json_text(note, "id", ""));
}

void secret_settle(struct request *r)
{
	struct grant *g = grant_of(r->flow, r->doc);
	CLEANUP(json_wipe_p) json_t *value = TAKE(r->secret);

	if (!request_lends(r) || !g || !g->active || g->secret)
		return;
	grants_replaced(g, json_text(r->doc, "task", ""));
	if (value)
		keep(g, r, TAKE(value));
	else
		grant_end(g, secret_why_lost);
}

static bool lends(const json_t *doc)
{
	const struct action *action =
		action_find(json_text(doc, "action", NULL));

	return action && action->lends;
}

void secret_loaded(struct grant *g)
{
	if (g->active && lends(g->doc) && !json_text(g->doc, "delivered", NULL))
		grant_end(g, secret_why_lost);
}

/* ---- handed out ---- */

/* On its way to the agent; the answer waits for the leaf. */
struct handing {
	struct flow *flow;
	struct reply_to reply;
	char grant[ID_MAX];
	json_t *body; /* wiped */
};

static void answer_ended(struct reply_to reply, const char *why)
{
	answer_problem(reply, ANSWER_CONFLICT, "ended",
		       "What was lent has ended already: %s. Make a new "
		       "request if it is still needed.",
		       why);
}

/* Its end may have come while the leaf was written. */
static void handing_durable(void *cookie)
{
	struct handing *h = cookie;
	struct flow *f = h->flow;
	const struct grant *g = map_get(f->grants, h->grant);

	if (g && g->active)
		answer(h->reply, ANSWER_OK, json_incref(h->body));
	else
		answer_ended(h->reply, "it was just taken back");
	json_wipe(h->body);
	free(h);
	effect_settled(f);
}

static json_t *handed(const struct grant *g, const char *request,
		      json_t *owned_value)
{
	json_t *body = json_object();

	json_set_text(body, "request", request);
	json_set_text(body, "grant", g->id);
	json_set_text(body, "expires", json_text(g->doc, "ends", ""));
	json_set_new(body, "secret", owned_value);
	return body;
}

static void put_delivered(struct grant *g, struct evidence_txn *t)
{
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "request", json_text(g->doc, "request", ""));
	json_set_int(fields, "armed",
		     json_int(json_object_in(g->doc, "base"), "armed", 0));
	must(evidence_leaf(t, LEAF_DELIVERED, g->id, fields, NULL, 0, &leaf),
	     "a delivery's leaf");
	json_set_time(g->doc, "delivered", clock_wall_ms());
	leaf_note(g->doc, "delivered", &leaf);
	grant_put(g, t);
}

/* Who has seen a token that has served cannot come before its agent. */
static void hand_out(struct grant *g, const struct caller *caller,
		     struct reply_to reply)
{
	struct flow *f = g->flow;
	struct evidence_txn *t;
	struct handing *h;

	if (answered_as_replayed(f, caller, reply))
		return;
	t = evidence_begin(f->evidence);
	h = mem_new(struct handing);
	grant_doc(g);
	put_delivered(g, t);
	if (*caller->jti)
		once_seen_put(f, t, "jti", caller->jti, caller->expires_ms);
	h->flow = f;
	h->reply = reply;
	snprintf(h->grant, sizeof(h->grant), "%s", g->id);
	h->body = handed(g, g->secret->request, TAKE(g->secret->value));
	secret_free(TAKE(g->secret));
	f->in_flight++;
	evidence_commit(t, handing_durable, h);
}

/* ---- asked for ---- */

/* Why there is nothing to hand out of a grant. */
static void answer_without(const json_t *grant, struct reply_to reply)
{
	const char *why = json_text(grant, "why", "");

	if (json_text(grant, "delivered", NULL))
		answer_problem(reply, ANSWER_CONFLICT, "taken",
			       "It was handed out already, and is not a second "
			       "time. Make a new request: what it lends takes "
			       "the place of this.");
	else if (!*why || !strcmp(why, secret_why_lost) ||
		 !strcmp(why, secret_why_untaken))
		answer_problem(reply, ANSWER_CONFLICT, "lost",
			       "Nobody took it in time, or the authority was "
			       "started again before: it is taken back. Make a "
			       "new request.");
	else
		answer_ended(reply, why);
}

/* The grant whose secret waits for this caller; NULL where the documents say
 * why there is none. */
static struct grant *grant_ready(struct flow *f, const struct caller *caller,
				 const char *request)
{
	struct grant *g = map_get(f->secrets, request);
	const struct task *task = g ? task_find(f, g->secret->task) : NULL;
	bool own = task && caller->kind == CALLER_AGENT &&
		   !strcmp(g->secret->agent, caller->name);

	if (!own || !g->active || !task_is_open(task) ||
	    is_contained(f, caller->name, task->id))
		return NULL;
	return g;
}

static void answer_from_grant(struct flow *f, const json_t *request,
			      struct reply_to reply)
{
	struct grant *g = grant_of(f, request);
	CLEANUP(json_put_p) json_t *doc = NULL;
	const char *id = json_text(json_object_in(request, "grant"), "id", "");

	if (g)
		answer_without(grant_doc(g), reply);
	else if (store_get(evidence_reader(f->evidence), NOUN_GRANT, id, &doc,
			   NULL) == 0)
		answer_without(doc, reply);
	else
		answer_problem(reply, ANSWER_CONFLICT, "not-lent",
			       "Nothing was lent by this request.");
}

/* The request has ended. */
static void answer_ended_request(struct flow *f, const json_t *doc,
				 struct reply_to reply)
{
	enum request_state state;

	if (!request_state_find(json_text(doc, "state", ""), &state))
		must(ERR_CORRUPT, "a request in no known state");
	if (state == REQUEST_DENIED || !request_state_is_end(state))
		request_tell_doc(doc, state, false, reply);
	else if (json_object_in(doc, "grant"))
		answer_from_grant(f, doc, reply);
	else
		answer_problem(reply, ANSWER_CONFLICT, "not-lent",
			       "The request is '%s': nothing was lent.",
			       request_state_name(state));
}

static bool is_refused(const struct caller *caller, const json_t *doc,
		       struct reply_to reply)
{
	if (!doc || caller->kind != CALLER_AGENT ||
	    strcmp(json_text(doc, "agent", ""), caller->name) != 0) {
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-request",
			       "This agent has no such request.");
		return true;
	}
	if (!lends(doc)) {
		answer_problem(reply, ANSWER_CONFLICT, "not-lent",
			       "'%s' lends nothing: there is no secret.",
			       json_text(doc, "action", ""));
		return true;
	}
	return false;
}

/* Somebody who waits until there is something to hand out. */
struct asking {
	struct flow *flow;
	struct reply_to reply;
	struct caller caller;
	char request[ID_MAX];
};

static void answer_from_store(struct flow *f, const struct caller *caller,
			      const char *id, struct reply_to reply)
{
	struct grant *ready = grant_ready(f, caller, id);
	CLEANUP(json_put_p) json_t *doc = NULL;

	if (ready) {
		hand_out(ready, caller, reply);
		return;
	}
	if (store_get(evidence_reader(f->evidence), NOUN_REQUEST, id, &doc,
		      NULL) < 0)
		doc = NULL;
	if (!is_refused(caller, doc, reply))
		answer_ended_request(f, doc, reply);
}

static void asked(void *cookie, const struct answer *a)
{
	struct asking *asking = cookie;

	if (a->kind == ANSWER_OK)
		answer_from_store(asking->flow, &asking->caller,
				  asking->request, asking->reply);
	else if (asking->reply.fn)
		asking->reply.fn(asking->reply.cookie, a);
	free(asking);
}

void flow_secret(struct flow *f, const struct caller *caller, const char *id,
		 int64_t wait_ms, struct reply_to reply)
{
	struct request *r = request_find(f, id);
	struct asking *asking;

	if (!r) {
		answer_from_store(f, caller, id, reply);
		return;
	}
	if (is_refused(caller, r->doc, reply))
		return;
	asking = mem_new(struct asking);
	asking->flow = f;
	asking->reply = reply;
	asking->caller = *caller;
	snprintf(asking->request, sizeof(asking->request), "%s", r->id);
	request_wait_for(r, wait_ms, false, (struct reply_to){ asked, asking });
}
