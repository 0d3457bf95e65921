/*
 * Exceptions, break-glass: for one task, up to one tier, until one moment, for
 * a reason, signed by several administrators over the same terms.  What one
 * lifts is said by policy; the authority only says that it is in force.  One
 * signature takes it back.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "flow/state.h"
#include "govern/approval.h"

enum {
	LIFE_MAX_MS = 24 * 3600 * 1000,
	WAITING_MAX = 256, /* that are waiting or in force */
	USES_MAX = 500,	   /* requests that are told with one */
};

json_t *exception_view(const json_t *doc)
{
	static const char *const members[] = {
		"id",	 "task",    "agent",   "tierCap", "expires", "reason",
		"state", "created", "signers", "digest",  "revoked", "evidence"
	};
	json_t *view = json_object();

	json_pick(view, doc, members, ARRAY_LEN(members));
	return view;
}

void exception_show_uses(const struct flow *f, json_t *shown)
{
	json_t *ids = NULL;

	if (store_exception_uses(evidence_reader(f->evidence),
				 json_text(shown, "id", ""), USES_MAX + 1,
				 &ids) < 0)
		ids = json_array();
	if (json_array_size(ids) > USES_MAX) {
		json_array_remove(ids, USES_MAX);
		json_set_flag(shown, "usesMore", true);
	}
	json_set_new(shown, "uses", ids);
}

void exception_load(struct flow *f, json_t *doc)
{
	map_put(f->exceptions, json_text(doc, "id", ""), json_incref(doc));
}

/* ---- who signs ---- */

/* Whoever answers for the task does not lift what binds it. */
static bool is_barred(const struct flow *f, const json_t *doc,
		      const char *human)
{
	CLEANUP(json_put_p)
	json_t *barred =
		approval_barred(f->inventory, json_text(doc, "agent", ""),
				json_text(doc, "class", ""), NULL, NULL, NULL);
	const struct task *task = task_find((struct flow *)(uintptr_t)f,
					    json_text(doc, "task", ""));

	if (task)
		delegation_bar(task, barred);
	return json_has_text(barred, human);
}

/* Names of those whose signatures count now; owned. */
static json_t *signers_of(const struct flow *f, const json_t *doc)
{
	json_t *names = json_array();
	const json_t *one;
	size_t at;

	json_array_foreach(json_object_get(doc, "signed"), at, one) {
		const char *human = json_text(one, "human", "");

		if (human_is(f, human, "administrators") &&
		    approval_key_stands(f->inventory, one) &&
		    !is_barred(f, doc, human))
			json_array_append_new(names, json_string(human));
	}
	return names;
}

/* Policy is asked for each of them, and never is one enough. */
static bool enough(struct flow *f, const json_t *names)
{
	int64_t count = (int64_t)json_array_size(names);
	const json_t *name;
	size_t at;

	json_array_foreach(names, at, name) {
		CLEANUP(json_put_p)
		json_t *ask =
			ask_administer(json_string_value(name), "Exception",
				       false, clock_wall_ms(), count);
		struct policy_answer policy = { 0 };
		bool allow =
			policy_ask(f->linked, f->world, ask, &policy) == 0 &&
			policy.allow;

		policy_answer_clear(&policy);
		if (!allow)
			return false;
	}
	return count >= 2;
}

/* ---- the fact ---- */

static bool is_in_force(const json_t *doc, const char *task, int64_t now_ms)
{
	return !strcmp(json_text(doc, "state", ""), "in-force") &&
	       !strcmp(json_text(doc, "task", ""), task) &&
	       now_ms < json_int(doc, "expiresMs", 0);
}

/* Of two the one that reaches the tier, then the one more have signed. */
static bool is_better(const json_t *doc, int64_t signers, const json_t *best,
		      int tier)
{
	bool reaches = json_int(doc, "tierCap", -1) >= tier;
	bool best_reaches = json_int(best, "tierCap", -1) >= tier;

	if (!best || reaches != best_reaches)
		return !best || reaches;
	return signers > json_int(best, "signers", 0);
}

json_t *exception_for(struct flow *f, const char *task, int tier,
		      int64_t now_ms)
{
	json_t *best = NULL;
	const json_t *doc;
	size_t at = 0;

	while ((doc = map_next(f->exceptions, &at, NULL))) {
		static const char *const members[] = { "id", "tierCap",
						       "expiresMs" };
		CLEANUP(json_put_p) json_t *names = NULL;
		int64_t signers;

		if (!is_in_force(doc, task, now_ms))
			continue;
		names = signers_of(f, doc);
		signers = (int64_t)json_array_size(names);
		if (!is_better(doc, signers, best, tier))
			continue;
		json_decref(best);
		best = json_object();
		json_pick(best, doc, members, ARRAY_LEN(members));
		json_set_int(best, "signers", signers);
	}
	return best;
}

/* ---- signing ---- */

static void terms_digest(const json_t *body, char ret[DIGEST_TEXT_LEN])
{
	static const char *const members[] = { "task", "tierCap", "expires",
					       "reason" };
	CLEANUP(json_put_p) json_t *terms = json_object();
	CLEANUP(mem_free_p) char *text = NULL;
	struct digest digest;

	json_pick(terms, body, members, ARRAY_LEN(members));
	text = json_canonical(terms);
	digest = digest_of(slice_str(text));
	digest_format(&digest, ret);
}

/* What waits or is in force with the same terms, or NULL. */
static json_t *same_terms(const struct flow *f, const char *digest)
{
	json_t *doc;
	size_t at = 0;

	while ((doc = map_next(f->exceptions, &at, NULL))) {
		if (!strcmp(json_text(doc, "digest", ""), digest))
			return doc;
	}
	return NULL;
}

static json_t *new_doc(const struct flow *f, const json_t *body,
		       const char *digest)
{
	static const char *const members[] = { "task", "tierCap", "expires",
					       "reason" };
	const struct task *task = task_find((struct flow *)(uintptr_t)f,
					    json_text(body, "task", ""));
	json_t *doc = json_object();
	int64_t expires = 0;
	char id[ID_MAX];

	id_new("exc", id);
	discard(clock_parse(json_text(body, "expires", ""), &expires));
	json_set_text(doc, "id", id);
	json_pick(doc, body, members, ARRAY_LEN(members));
	json_set_text(doc, "agent", json_text(task->doc, "agent", ""));
	json_set_text(doc, "class", json_text(task->doc, "class", ""));
	json_set_int(doc, "expiresMs", expires);
	json_set_text(doc, "digest", digest);
	json_set_text(doc, "state", "waiting");
	json_set_time(doc, "created", clock_wall_ms());
	json_set_new(doc, "signed", json_array());
	return doc;
}

static const char *terms_fault(struct flow *f, const json_t *body,
			       int64_t now_ms)
{
	const struct task *task = task_find(f, json_text(body, "task", ""));
	int64_t expires = 0;

	if (!task || !task_is_open(task))
		return "There is no such open task.";
	if (clock_parse(json_text(body, "expires", ""), &expires) < 0 ||
	    expires <= now_ms)
		return "It has expired already.";
	if (expires > now_ms + LIFE_MAX_MS)
		return "An exception lasts at most 24 hours.";
	return NULL;
}

static void exception_leaf(struct evidence_txn *t, json_t *doc,
			   const struct statement *s, const char *event)
{
	static const char *const members[] = { "task", "tierCap", "expires",
					       "digest" };
	CLEANUP(mem_free_p) char *subject = mem_format("human:%s", s->human);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	struct evidence_part part = { subject, kept };
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_pick(fields, doc, members, ARRAY_LEN(members));
	json_set_text(fields, "event", event);
	json_set_int(fields, "signatures",
		     (int64_t)json_array_size(json_object_get(doc, "signers")));
	must(evidence_leaf(t, LEAF_EXCEPTION, json_text(doc, "id", ""), fields,
			   &part, 1, &leaf),
	     "an exception's leaf");
	leaf_note(doc, event, &leaf);
}

static void record_signature(struct flow *f, json_t *doc,
			     const struct statement *s, struct reply_to reply)
{
	const char *id = json_text(doc, "id", "");
	struct evidence_txn *t;
	bool before = !strcmp(json_text(doc, "state", ""), "in-force");
	bool now;

	json_array_append_new(json_object_get(doc, "signed"), signed_json(s));
	json_set_new(doc, "signers", signers_of(f, doc));
	now = before || enough(f, json_object_get(doc, "signers"));
	if (now)
		json_set_text(doc, "state", "in-force");
	t = evidence_begin(f->evidence);
	exception_leaf(t, doc, s, now && !before ? "in-force" : "signed");
	signed_put(f, t, s);
	evidence_put(t, NOUN_EXCEPTION, id, doc);
	if (!before)
		notice_exception(f, t, doc);
	commit_answer(f, t, reply, now ? ANSWER_OK : ANSWER_WAITING,
		      exception_view(doc));
	if (now && !before)
		requests_look_again(f, NULL, json_text(doc, "task", ""), NULL);
}

static void sign(struct flow *f, const struct statement *s,
		 struct reply_to reply)
{
	char digest[DIGEST_TEXT_LEN];
	CLEANUP(json_put_p) json_t *made = NULL;
	CLEANUP(json_put_p) json_t *signers = NULL;
	json_t *doc;

	terms_digest(s->body, digest);
	doc = same_terms(f, digest);
	if (!doc && map_count(f->exceptions) >= WAITING_MAX) {
		answer_problem(reply, ANSWER_BUSY, "busy",
			       "Too many exceptions are waiting.");
		return;
	}
	if (!doc)
		doc = made = new_doc(f, s->body, digest);
	signers = signers_of(f, doc);
	if (is_barred(f, doc, s->human)) {
		answer_problem(reply, ANSWER_DENIED, "may-not-except",
			       "Who answers for the task's agent or class "
			       "does not sign an exception for it.");
		return;
	}
	if (json_has_text(signers, s->human)) {
		answer_problem(reply, ANSWER_CONFLICT, "signed-already",
			       "This person has signed the exception already.");
		return;
	}
	if (made)
		exception_load(f, made);
	record_signature(f, doc, s, reply);
}

void flow_exception_sign(struct flow *f, const json_t *signed_form,
			 struct reply_to reply)
{
	const char *why;
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_EXCEPTION, reply, &s))
		return;
	why = terms_fault(f, s.body, clock_wall_ms());
	if (!human_is(f, s.human, "administrators"))
		answer_problem(reply, ANSWER_DENIED, "may-not-except",
			       "Only administrators sign exceptions.");
	else if (why)
		answer_problem(reply, ANSWER_INVALID, "exception", "%s", why);
	else if (!answer_if_busy(f, reply))
		sign(f, &s, reply);
	statement_clear(&s);
}

/* ---- its end ---- */

static void revoke(struct flow *f, json_t *owned_doc, const struct statement *s,
		   struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *doc = owned_doc;
	struct evidence_txn *t = evidence_begin(f->evidence);
	json_t *revoked = json_object();

	json_set_text(doc, "state", "revoked");
	json_set_text(revoked, "by", s->human);
	json_set_time(revoked, "at", clock_wall_ms());
	json_set_text(revoked, "reason", json_text(s->body, "reason", ""));
	json_set_new(doc, "revoked", revoked);
	exception_leaf(t, doc, s, "revoked");
	signed_put(f, t, s);
	evidence_put(t, NOUN_EXCEPTION, json_text(doc, "id", ""), doc);
	notice_exception(f, t, doc);
	requests_look_again(f, NULL, json_text(doc, "task", ""), NULL);
	commit_answer(f, t, reply, ANSWER_OK, exception_view(doc));
}

/* Taking power back needs one: an administrator, or the owner of the agent. */
static bool may_revoke(const struct flow *f, const json_t *doc,
		       const char *human)
{
	const json_t *agent = inventory_spec(f->inventory, MANIFEST_AGENT,
					     json_text(doc, "agent", ""));

	return human_is(f, human, "administrators") ||
	       !strcmp(json_text(agent, "owner", ""), human);
}

void flow_exception_revoke(struct flow *f, const char *id,
			   const json_t *signed_form, struct reply_to reply)
{
	json_t *doc = map_get(f->exceptions, id);
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_REVOKE, reply, &s))
		return;
	if (!doc || strcmp(json_text(s.body, "exception", ""), id) != 0)
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-exception",
			       "No such exception waits or is in force.");
	else if (!may_revoke(f, doc, s.human))
		answer_problem(reply, ANSWER_DENIED, "may-not-except",
			       "Only administrators and the agent's owner take "
			       "an exception back.");
	else
		revoke(f, map_remove(f->exceptions, id), &s, reply);
	statement_clear(&s);
}

void exceptions_tick(struct flow *f, int64_t now_ms)
{
	CLEANUP(json_put_p) json_t *over = json_array();
	struct evidence_txn *t;
	json_t *doc;
	size_t at = 0;

	while ((doc = map_next(f->exceptions, &at, NULL))) {
		if (json_int(doc, "expiresMs", 0) <= now_ms)
			json_array_append(over, doc);
	}
	if (!json_array_size(over) || evidence_is_busy(f->evidence))
		return;
	t = evidence_begin(f->evidence);
	json_array_foreach(over, at, doc) {
		const char *id = json_text(doc, "id", "");

		json_set_text(doc, "state", "expired");
		evidence_put(t, NOUN_EXCEPTION, id, doc);
		requests_look_again(f, NULL, json_text(doc, "task", ""), NULL);
		json_decref(map_remove(f->exceptions, id));
	}
	evidence_commit(t, NULL, NULL);
}
