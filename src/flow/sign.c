/*
 * What humans sign about requests: approvals and denials, adoption of advice,
 * and evidence they vouch for.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "flow/state.h"
#include "govern/approval.h"

/* ---- approving ---- */

/* Whether step-up is shown, or the class lets software keys stand for it, and
 * those of the tasks above, too. */
static bool steps_up(const struct flow *f, const struct task *task,
		     bool step_up)
{
	while (task && !step_up) {
		const json_t *class =
			inventory_spec(f->inventory, MANIFEST_TASK_CLASS,
				       json_text(task->doc, "class", ""));

		if (!json_flag(class, "softwareKeys", false) ||
		    !json_flag(task->doc, "softwareKeys", true))
			return false;
		task = task_parent(task);
	}
	return true;
}

/* A signature that policy is asked about. */
struct signer {
	const char *human;
	const char *group;
	bool step_up;
	const json_t *barred;
	int64_t until_ms; /* when the request expires */
};

/* Why this human may not sign for this group; NULL if policy lets them.  Text
 * is static or a policy's title. */
static const char *approve_fault(struct flow *f, const struct task *task,
				 const struct signer *signer)
{
	CLEANUP(json_put_p) json_t *ask = NULL;
	struct policy_answer policy = { 0 };
	struct ask_task ask_task;
	const char *why = NULL;

	task_as_ask(task, &ask_task);
	ask = ask_approve(signer->human, signer->group,
			  steps_up(f, task, signer->step_up), &ask_task,
			  signer->barred, clock_wall_ms(), signer->until_ms);
	if (policy_ask(f->linked, f->world, ask, &policy) < 0 ||
	    !policy.allow) {
		const char *id =
			json_string_value(json_array_get(policy.policies, 0));

		why = id ? policy_title(f->linked, id) : NULL;
		if (!why)
			why = "Only an active member of the group that is "
			      "asked signs, with step-up.";
	}
	policy_answer_clear(&policy);
	return why;
}

/* The group a human signs as: the one asked, or the one that may sign in its
 * place since it was silent. */
static const char *signs_as(struct flow *f, const struct task *task,
			    const json_t *doc, const char *human,
			    const char *group)
{
	const char *to = escalation_of(f, task, doc, group);

	if (to && !inventory_is_member(f->inventory, human, group) &&
	    inventory_is_member(f->inventory, human, to))
		return to;
	return group;
}

/* Why a signature is not taken. */
struct unfit {
	enum answer_kind kind;
	const char *code;
	const char *detail;
};

/* NULL if it is fit. */
static const struct unfit *unfit_of(struct flow *f, struct request *r,
				    const struct statement *s,
				    struct unfit *ret)
{
	const char *group = json_text(s->body, "group", "");
	const json_t *requires = json_object_get(
		json_object_get(r->doc, "decision"), "requires");
	const struct task *task = task_find(f, json_text(r->doc, "task", ""));
	const char *why;

	if (strcmp(json_text(s->body, "digest", ""),
		   json_text(r->doc, "digest", "")) != 0)
		*ret = (struct unfit){ ANSWER_CONFLICT, "another-plan",
				       "The signature is over another plan "
				       "than the one that waits." };
	else if (!json_object_get(json_object_get(requires, "approvals"),
				  group))
		*ret = (struct unfit){ ANSWER_CONFLICT, "group-not-asked",
				       "That group is not asked." };
	else if (approval_has(json_object_get(r->doc, "approvals"), s->human))
		*ret = (struct unfit){ ANSWER_CONFLICT, "signed-already",
				       "This person has signed this request "
				       "already." };
	else {
		struct signer signer = {
			.human = s->human,
			.group = task ? signs_as(f, task, r->doc, s->human,
						 group)
				      : group,
			.step_up = s->step_up,
			.barred = json_object_get(r->doc, "barred"),
			.until_ms = json_int(r->doc, "expiresMs", 0),
		};

		why = task ? approve_fault(f, task, &signer)
			   : "The task is gone.";
		if (!why)
			return NULL;
		*ret = (struct unfit){ ANSWER_DENIED, "may-not-approve", why };
	}
	return ret;
}

/* A signature that is not taken is a decision, too: it leaves a leaf. */
static void refuse_signature(struct flow *f, struct request *r,
			     const struct statement *s,
			     const struct unfit *unfit, struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *subject = mem_format("human:%s", s->human);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	struct evidence_part part = { subject, kept };
	json_t *fields = json_object();
	json_t *body = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "action", "Approve");
	json_set_text(fields, "route", "deny");
	json_set_text(fields, "cause", unfit->code);
	json_set_text(fields, "bundle", f->bundle_digest);
	must(evidence_leaf(t, LEAF_DECISION, r->id, fields, &part, 1, &leaf),
	     "the leaf of a refused signature");
	json_set_new(body, "evidence", leaf_json(&leaf));
	signed_put(f, t, s);
	commit_problem(f, t, reply, unfit->kind, unfit->code, unfit->detail,
		       body);
}

/* as: the group that signs in the place of the silent one, or NULL. */
static struct leaf_ref approval_leaf(struct request *r, struct evidence_txn *t,
				     const struct statement *s, const char *as)
{
	CLEANUP(mem_free_p) char *subject = mem_format("human:%s", s->human);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	struct evidence_part part = { subject, kept };
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "digest", json_text(r->doc, "digest", ""));
	json_set_text(fields, "decision", json_text(s->body, "decision", ""));
	json_set_text(fields, "group", json_text(s->body, "group", ""));
	json_set_text(fields, "insteadBy", as);
	json_set_flag(fields, "stepUp", s->step_up);
	must(evidence_leaf(t, LEAF_APPROVAL, r->id, fields, &part, 1, &leaf),
	     "an approval's leaf");
	return leaf;
}

static void keep_approval(struct request *r, const struct statement *s,
			  const struct leaf_ref *leaf, const char *as)
{
	json_t *approval = json_object();
	static const char *const members[] = { "human",	 "group", "decision",
					       "digest", "at",	  "reason" };

	json_pick(approval, s->body, members, ARRAY_LEN(members));
	json_set_text(approval, "insteadBy", as);
	json_set_flag(approval, "stepUp", s->step_up);
	json_set_text(approval, "fingerprint", s->fingerprint);
	json_set_int(approval, "leaf", (int64_t)leaf->index);
	json_array_append_new(json_object_get(r->doc, "approvals"), approval);
	json_array_append_new(json_object_get(r->doc, "signatures"),
			      signed_json(s));
}

/* Why a signature that was taken does not count any more, or NULL. */
static const char *stale_fault(struct flow *f, const struct task *task,
			       const json_t *doc, const json_t *approval,
			       const json_t *barred)
{
	const char *as = json_text(approval, "insteadBy", NULL);
	const char *group = json_text(approval, "group", "");
	const char *to = escalation_of(f, task, doc, group);
	struct signer signer = {
		.human = json_text(approval, "human", ""),
		.group = as ? as : group,
		.step_up = json_flag(approval, "stepUp", false),
		.barred = barred,
		/* It was given in time; whether the request is still open is
		 * checked by its timer. */
		.until_ms = clock_wall_ms() + 3600 * 1000,
	};

	if (!approval_key_stands(f->inventory, approval))
		return "the key is not this person's any more";
	if (as && (!to || strcmp(to, as) != 0))
		return "that group may not sign in the place of the other any "
		       "more";
	return approve_fault(f, task, &signer);
}

/* Moves the approval at, and the signature of the same place, to "voided". */
static void void_one(json_t *doc, size_t at, const char *why)
{
	json_t *approvals = json_object_get(doc, "approvals");
	json_t *voided = json_object_get(doc, "voided");
	json_t *approval = json_array_get(approvals, at);

	if (!voided) {
		voided = json_array();
		json_set_new(doc, "voided", voided);
	}
	json_set_text(approval, "voidedBy", why);
	json_array_append(voided, approval);
	json_array_remove(approvals, at);
	json_array_remove(json_object_get(doc, "signatures"), at);
}

void approvals_review(struct flow *f, const struct task *task, json_t *doc)
{
	const json_t *approvals = json_object_get(doc, "approvals");
	CLEANUP(json_put_p) json_t *humans = NULL;
	CLEANUP(json_put_p) json_t *agents = NULL;
	CLEANUP(json_put_p) json_t *barred = NULL;

	if (!task || !json_array_size(approvals))
		return;
	decide_people(f, doc, json_object_get(doc, "found"), &humans, &agents,
		      &barred);
	for (size_t at = json_array_size(approvals); at > 0; at--) {
		const char *why =
			stale_fault(f, task, doc,
				    json_array_get(approvals, at - 1), barred);

		if (why)
			void_one(doc, at - 1, why);
	}
}

struct signing {
	struct flow *flow;
	char request[ID_MAX];
	struct reply_to reply;
};

/* The approval is durable: decide again from scratch. */
static void approval_durable(void *cookie)
{
	struct signing *signing = cookie;
	struct flow *f = signing->flow;
	struct request *r = request_find(f, signing->request);

	if (r) {
		r->commits--;
		if (r->state == REQUEST_WAITING && r->commits == 0)
			request_reconsider(r);
		request_wait(r, 0, signing->reply);
	} else {
		flow_view(f, NULL, VIEW_REQUEST, signing->request, NULL,
			  signing->reply);
	}
	free(signing);
	effect_settled(f);
}

static const char *instead_of(struct flow *f, const struct request *r,
			      const struct statement *s)
{
	const struct task *task = task_find(f, json_text(r->doc, "task", ""));
	const char *group = json_text(s->body, "group", "");
	const char *as =
		task ? signs_as(f, task, r->doc, s->human, group) : group;

	return strcmp(as, group) != 0 ? as : NULL;
}

static void take_approval(struct flow *f, struct request *r,
			  const struct statement *s, struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	const char *as = instead_of(f, r, s);
	struct leaf_ref leaf = approval_leaf(r, t, s, as);
	struct signing *signing = mem_new(struct signing);

	keep_approval(r, s, &leaf, as);
	signed_put(f, t, s);
	request_put(r, t);
	*signing = (struct signing){ .flow = f, .reply = reply };
	snprintf(signing->request, sizeof(signing->request), "%s", r->id);
	f->in_flight++;
	evidence_commit(t, approval_durable, signing);
}

static void take_denial(struct flow *f, struct request *r,
			const struct statement *s, struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	const char *as = instead_of(f, r, s);
	struct leaf_ref leaf = approval_leaf(r, t, s, as);
	json_t *decision = json_object_get(r->doc, "decision");

	keep_approval(r, s, &leaf, as);
	signed_put(f, t, s);
	r->begun = t; /* one with the end of the request */
	json_set_text(decision, "cause", "human");
	json_set_text(decision, "forAgent", "A person who was asked said no.");
	json_set_text(decision, "forHuman", "Denied by one who was asked.");
	r->recorded = false;	    /* told once this is durable */
	request_watch(r, 1, reply); /* a denial is what they asked for */
	request_close(r, REQUEST_EVENT_DENY, "human",
		      json_text(s->body, "reason", ""));
}

/* Whoever signed with a key that is gone may sign again. */
static bool is_unfit(struct flow *f, struct request *r,
		     const struct statement *s, struct unfit *ret)
{
	approvals_review(f, task_find(f, json_text(r->doc, "task", "")),
			 r->doc);
	return unfit_of(f, r, s, ret) != NULL;
}

void flow_sign(struct flow *f, const char *id, const json_t *signed_form,
	       struct reply_to reply)
{
	struct request *r = request_find(f, id);
	struct statement s;
	struct unfit unfit;

	if (!signed_take(f, signed_form, STATEMENT_APPROVAL, reply, &s))
		return;
	if (strcmp(json_text(s.body, "request", ""), id) != 0)
		answer_problem(reply, ANSWER_INVALID, "another-request",
			       "The statement is about another request.");
	else if (!r)
		answer_problem(reply, ANSWER_CONFLICT, "not-waiting",
			       "No such request is waiting.");
	else if (r->state != REQUEST_WAITING)
		answer_not_waiting(reply, request_state_name(r->state));
	else if (is_unfit(f, r, &s, &unfit))
		refuse_signature(f, r, &s, &unfit, reply);
	else if (!strcmp(json_text(s.body, "decision", ""), "approve"))
		take_approval(f, r, &s, reply);
	else
		take_denial(f, r, &s, reply);
	statement_clear(&s);
}

/* ---- adopting ---- */

static json_t *adopted_doc(const json_t *advice, const struct task *task,
			   const struct statement *s)
{
	static const char *const members[] = { "action", "target", "resource",
					       "parameters", "ttl" };
	struct caller caller = { .kind = CALLER_AGENT };
	CLEANUP(json_put_p) json_t *body = json_object();
	json_t *doc;

	snprintf(caller.name, sizeof(caller.name), "%s",
		 json_text(task->doc, "agent", ""));
	json_pick(body, advice, members, ARRAY_LEN(members));
	json_set_text(body, "task", task->id);
	/* Whatever it refers to is looked up anew. */
	json_object_set(body, "evidence",
			json_object_get(advice, "references"));
	doc = request_doc_of(&caller, body);
	json_set_text(doc, "sponsor", s->human);
	/* The signature of the agent's owner stands in for its token. */
	json_set_text(doc, "attestedBy", "sponsor");
	json_set_text(doc, "adviceOf", json_text(advice, "id", ""));
	return doc;
}

static void adopt(struct flow *f, json_t *advice, const struct task *task,
		  const struct statement *s, struct reply_to reply)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	CLEANUP(mem_free_p) char *subject = mem_format("human:%s", s->human);
	CLEANUP(json_put_p) json_t *kept = signed_json(s);
	struct evidence_part part = { subject, kept };
	json_t *doc = adopted_doc(advice, task, s);
	json_t *fields = json_object();
	struct caller caller = { .kind = CALLER_AGENT };
	struct acting acting = { .route = "adopt" };
	struct leaf_ref leaf;

	json_set_text(fields, "decision", "adopt");
	json_set_text(fields, "digest", json_text(advice, "digest", ""));
	json_set_text(fields, "as", json_text(doc, "id", ""));
	must(evidence_leaf(t, LEAF_APPROVAL, json_text(advice, "id", ""),
			   fields, &part, 1, &leaf),
	     "an adoption's leaf");
	json_set_text(advice, "state", request_state_name(REQUEST_ADOPTED));
	json_set_text(advice, "adoptedAs", json_text(doc, "id", ""));
	evidence_put(t, NOUN_REQUEST, json_text(advice, "id", ""), advice);
	/* What was adopted is not lost if a stop comes before its plan. */
	evidence_put(t, NOUN_REQUEST, json_text(doc, "id", ""), doc);
	once_seen_put(f, t, "adopt", json_text(advice, "id", ""),
		      clock_wall_ms() + STATEMENT_AGE_MAX_MS);
	signed_put(f, t, s);
	evidence_commit(t, NULL, NULL);
	snprintf(caller.name, sizeof(caller.name), "%s",
		 json_text(task->doc, "agent", ""));
	request_start(f, &caller, &acting, doc, 1, reply);
}

/* Why this human may not adopt it into that task. */
static const char *adopt_fault(struct flow *f, const json_t *advice,
			       const struct task *task,
			       const struct statement *s)
{
	const char *owner;

	if (strcmp(json_text(advice, "state", ""), "recommended") != 0 ||
	    once_seen(f, "adopt", json_text(advice, "id", "")))
		return "It is not a recommendation that still stands.";
	if (strcmp(json_text(advice, "digest", ""),
		   json_text(s->body, "digest", "")) != 0)
		return "The signature is over another plan.";
	if (!task)
		return "There is no such open task.";
	if (!json_has_text(json_object_get(task->doc, "targets"),
			   json_text(advice, "target", "")))
		return "The task did not declare that target.";
	owner = json_text(inventory_spec(f->inventory, MANIFEST_AGENT,
					 json_text(task->doc, "agent", "")),
			  "owner", "");
	if (strcmp(owner, s->human) != 0)
		return "Only the owner of the agent that would carry it out "
		       "adopts it.";
	return task_fault(task, clock_wall_ms());
}

void flow_adopt(struct flow *f, const char *id, const json_t *signed_form,
		struct reply_to reply)
{
	CLEANUP(json_put_p) json_t *advice = NULL;
	const struct task *task;
	const char *why;
	struct statement s;

	if (!signed_take(f, signed_form, STATEMENT_ADOPT, reply, &s))
		return;
	if (strcmp(json_text(s.body, "request", ""), id) != 0 ||
	    store_get(evidence_reader(f->evidence), NOUN_REQUEST, id, &advice,
		      NULL) < 0) {
		answer_problem(reply, ANSWER_NOT_FOUND, "no-such-request",
			       "There is no such request.");
		statement_clear(&s);
		return;
	}
	task = task_find(
		f, json_text(s.body, "task", json_text(advice, "task", "")));
	why = adopt_fault(f, advice, task, &s);
	if (why)
		answer_problem(reply, ANSWER_CONFLICT, "may-not-adopt", "%s",
			       why);
	else
		adopt(f, advice, task, &s, reply);
	statement_clear(&s);
}

/* ---- vouching ---- */

enum {
	VOUCHERS_TICK_MS = 60 * 1000,
	VOUCHERS_DROPPED_MAX = 256, /* at a time, or little more */
};
static const int64_t VOUCHER_LIFE_MAX_MS = 30LL * 24 * 3600 * 1000;

/* Some evidence only one person can give. */
static const char *vouch_fault(const struct flow *f, const struct statement *s)
{
	const char *kind = json_text(s->body, "kind", "");
	const char *target = json_text(s->body, "target", "");
	const json_t *spec =
		inventory_spec(f->inventory, MANIFEST_TARGET, target);
	int64_t expires = 0;

	if (!spec)
		return "There is no such target.";
	if (!strcmp(kind, "owner_ack") &&
	    strcmp(json_text(spec, "owner", ""), s->human) != 0)
		return "Only the target's owner acknowledges for it.";
	if (clock_parse(json_text(s->body, "expires", ""), &expires) < 0 ||
	    expires <= clock_wall_ms())
		return "It has expired already.";
	if (expires > clock_wall_ms() + VOUCHER_LIFE_MAX_MS)
		return "Evidence is vouched for at most 30 days ahead.";
	return NULL;
}

static char *voucher_key(const json_t *voucher)
{
	return mem_format("%s %s", json_text(voucher, "human", ""),
			  json_text(voucher, "kind", ""));
}

const json_t *vouchers_of(const struct flow *f, const char *subject)
{
	return json_object_get(f->vouchers, subject);
}

/* A person vouches for a thing once of each kind: anew replaces. */
void voucher_load(struct flow *f, json_t *doc)
{
	const char *subject = json_text(doc, "subject", "");
	json_t *of = json_object_get(f->vouchers, subject);
	CLEANUP(mem_free_p) char *key = voucher_key(doc);

	if (!of) {
		of = json_object();
		json_set_new(f->vouchers, subject, of);
	}
	json_object_set(of, key, doc);
}

/* Deletes those of one subject that have expired; returns how many. */
static unsigned drop_expired(struct evidence_txn *t, json_t *of, int64_t now_ms)
{
	const char *key;
	json_t *voucher;
	void *next;
	unsigned count = 0;

	json_object_foreach_safe(of, next, key, voucher) {
		if (json_int(voucher, "expiresMs", 0) > now_ms)
			continue;
		evidence_delete(t, NOUN_VOUCHER, json_text(voucher, "id", ""));
		json_object_del(of, key);
		count++;
	}
	return count;
}

void vouchers_tick(struct flow *f, int64_t now_ms)
{
	struct evidence_txn *t;
	unsigned count = 0;
	const char *subject;
	void *next;
	json_t *of;

	if (clock_boot_ms() < f->vouchers_ms || !json_object_size(f->vouchers))
		return;
	f->vouchers_ms = clock_boot_ms() + VOUCHERS_TICK_MS;
	t = evidence_begin(f->evidence);
	json_object_foreach_safe(f->vouchers, next, subject, of) {
		if (count < VOUCHERS_DROPPED_MAX)
			count += drop_expired(t, of, now_ms);
		if (!json_object_size(of))
			json_object_del(f->vouchers, subject);
	}
	if (count)
		evidence_commit(t, NULL, NULL);
	else
		evidence_abandon(t);
}

static json_t *voucher_doc(const struct statement *s, const char *id)
{
	static const char *const members[] = { "kind",	    "action",
					       "target",    "resource",
					       "reference", "text",
					       "expires",   "human" };
	CLEANUP(mem_free_p)
	char *joined =
		mem_format("%s\n%s\n%s", json_text(s->body, "action", ""),
			   json_text(s->body, "target", ""),
			   json_text(s->body, "resource", ""));
	struct digest digest = digest_of(slice_str(joined));
	char subject[DIGEST_TEXT_LEN];
	json_t *doc = json_object();
	int64_t expires = 0;

	digest_format(&digest, subject);
	discard(clock_parse(json_text(s->body, "expires", ""), &expires));
	json_set_text(doc, "id", id);
	json_set_int(doc, "expiresMs", expires);
	json_set_text(doc, "subject", subject);
	json_pick(doc, s->body, members, ARRAY_LEN(members));
	return doc;
}

static void replace_voucher(struct flow *f, struct evidence_txn *t, json_t *doc)
{
	CLEANUP(mem_free_p) char *key = voucher_key(doc);
	const json_t *old = json_object_get(
		vouchers_of(f, json_text(doc, "subject", "")), key);

	if (old)
		evidence_delete(t, NOUN_VOUCHER, json_text(old, "id", ""));
	voucher_load(f, doc);
}

void flow_vouch(struct flow *f, const json_t *signed_form,
		struct reply_to reply)
{
	struct statement s;
	struct evidence_txn *t;
	CLEANUP(mem_free_p) char *subject = NULL;
	CLEANUP(json_put_p) json_t *kept = NULL;
	json_t *fields = json_object();
	struct evidence_part part;
	struct leaf_ref leaf;
	const char *why;
	char id[ID_MAX];
	json_t *doc;

	if (!signed_take(f, signed_form, STATEMENT_VOUCHER, reply, &s)) {
		json_decref(fields);
		return;
	}
	why = vouch_fault(f, &s);
	if (why) {
		json_decref(fields);
		answer_problem(reply, ANSWER_CONFLICT, "may-not-vouch", "%s",
			       why);
		statement_clear(&s);
		return;
	}
	id_new("vch", id);
	doc = voucher_doc(&s, id);
	subject = mem_format("human:%s", s.human);
	kept = signed_json(&s);
	part = (struct evidence_part){ subject, kept };
	json_set_text(fields, "evidence", json_text(s.body, "kind", ""));
	t = evidence_begin(f->evidence);
	must(evidence_leaf(t, LEAF_VOUCHER, id, fields, &part, 1, &leaf),
	     "a voucher's leaf");
	json_set_new(doc, "evidence", leaf_json(&leaf));
	replace_voucher(f, t, doc);
	evidence_put(t, NOUN_VOUCHER, id, doc);
	signed_put(f, t, &s);
	commit_answer(f, t, reply, ANSWER_CREATED, doc);
	statement_clear(&s);
}
