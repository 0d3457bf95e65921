/*
 * Policy: facts in, verdict and remedies out.  Cedar stands behind this header
 * and nothing above knows it; an ask is plain JSON in Cedar's own entity form
 * (docs/policy.md).
 *
 * Nothing here allows by failing: an error, an empty set, a policy that errs,
 * an entity that is missing all come out as deny.
 */
#pragma once

#include "base/json.h"
#include "crypto/digest.h"
#include "policy/question.h"

/* ---- bundles ---------------------------------------------------------------
 */

/* Policies, invariants, templates and schema, parsed, strictly validated,
 * indexed; immutable and reference counted. */
struct policy_bundle;

/*
 * Builds a bundle from {"schema": text, "policies": {file: text}, "invariants":
 * text, "templates": text}.  Policies of shadow.cedar and *.shadow.cedar are
 * shadows: evaluated beside the others and told of, never obeyed.
 *
 * ret_bundle: owned, NULL when there are faults.
 * ret_faults: owned array of {"policy"?, "file"?, "line"?, "detail"}; warnings
 *   of the validator are faults.
 * Errors: ERR_LIMIT, ERR_SYNTAX (not that shape).
 */
MUST_USE int policy_bundle_build(const json_t *files,
				 struct policy_bundle **ret_bundle,
				 json_t **ret_faults);
struct policy_bundle *policy_bundle_ref(struct policy_bundle *b);
void policy_bundle_unref(struct policy_bundle *b);
DEFINE_CLEANUP(struct policy_bundle *, policy_bundle_unref)

/* SHA-256 over the canonical JSON of the files. */
const struct digest *policy_bundle_digest(const struct policy_bundle *b);

/* The @title of a policy, or its id; and its text.  Borrowed; NULL if there is
 * no such policy. */
const char *policy_title(const struct policy_bundle *b, const char *id);
const char *policy_text(const struct policy_bundle *b, const char *id);
/* Policies, invariants, templates and shadows; without links. */
size_t policy_count(const struct policy_bundle *b);
/* Owned array of {"id", "title", "effect", "shadow"?: true}. */
json_t *policy_list(const struct policy_bundle *b);

/*
 * Runs scenarios (policy/scenarios.json's form) against a bundle.
 *
 * mutants: also delete each policy, invariant and template in turn; one without
 *   which no scenario fails is a fault.
 * ret_report: owned {"scenarios": n, "faults": [{"scenario" or "policy",
 *   "detail"}]}.
 */
MUST_USE int policy_test(const struct policy_bundle *b, const json_t *scenarios,
			 bool mutants, json_t **ret_report);

/* Told while mutants are tried; done of total policies.  Returns false to give
 * up, which is a fault. */
typedef bool (*policy_progress_fn)(void *cookie, size_t done, size_t total);

/* The same with word of its progress; progress may be NULL. */
MUST_USE int policy_test_slowly(const struct policy_bundle *b,
				const json_t *scenarios, bool mutants,
				policy_progress_fn progress, void *cookie,
				json_t **ret_report);

/* ---- the world: entities that many asks share -------------------------------
 */

/* Inventory as Cedar entities; immutable and reference counted. */
struct policy_world;

/* entities: array in Cedar's JSON form.  Validated against the bundle's schema.
 * Errors: ERR_SYNTAX with what does not fit. */
MUST_USE int policy_world_build(const struct policy_bundle *b,
				const json_t *entities,
				struct policy_world **ret_world);
struct policy_world *policy_world_ref(struct policy_world *w);
void policy_world_unref(struct policy_world *w);
DEFINE_CLEANUP(struct policy_world *, policy_world_unref)

/* ---- links: templates bound at run time (quarantine, freeze) ---- */

/*
 * A copy of the bundle with links added: array of {"id", "template",
 * "principal"|"resource": {"type", "id"}}.  Digest and texts stay the bundle's.
 * Errors: ERR_SYNTAX.
 */
MUST_USE int policy_bundle_link(struct policy_bundle *b, const json_t *links,
				struct policy_bundle **ret_linked);

/* ---- asking ---- */

struct policy_answer {
	bool allow;	  /* both sets allowed and nothing erred */
	json_t *policies; /* owned: ids that determined it */
	json_t *errors;	  /* owned: ids that erred, or "ceiling", "request" */
};
void policy_answer_clear(struct policy_answer *a);

/*
 * One evaluation, of policies and invariants.
 *
 * ask: {"principal": {"type", "id"}, "action": name, "resource": {...},
 *   "context": {...}, "entities": [...]}.
 * Errors: none that allow; ERR_SYNTAX or ERR_BROKEN leave ret_answer a deny.
 */
MUST_USE int policy_ask(const struct policy_bundle *b,
			const struct policy_world *w, const json_t *ask,
			struct policy_answer *ret_answer);

/* Members of an approver group, nested ones too: fills names (borrowed until
 * the next call) up to max and returns how many. */
typedef size_t (*policy_members_fn)(void *cookie, const char *group,
				    const char **names, size_t max);

struct policy_people {
	policy_members_fn members;
	void *cookie;
	/* The ask's Approve question: entity Request::"pending" is among its
	 * entities; now as in its context. */
};

/* Seconds; less time than this is never proposed by policy_decide(). */
enum { POLICY_TTL_FLOOR_S = 60 };

enum policy_decision { POLICY_DENY, POLICY_PENDING, POLICY_ALLOW };

struct policy_verdict {
	enum policy_decision decision;
	bool nobody;	  /* denied because nobody may approve */
	bool as_advice;	  /* denied, and allowed in mode recommend */
	json_t *policies; /* owned array of ids */
	json_t *errors;	  /* owned array of ids */
	json_t *requires; /* owned {"approvals": {group: n}, "evidence": [],
			     "maxTtl": duration}; members absent when empty */
	json_t *shadows;  /* owned array of {"id", "would": "forbid", "permit"
			     or "error"}: shadows that hold; nothing of the
			     above comes from them */
	unsigned evaluations;
};
void policy_verdict_clear(struct policy_verdict *v);

/*
 * The decision with its remedies: allow now, or the least set of better facts
 * that would allow (time, then evidence, then approvals that people may give),
 * or deny.  The ask's context members ttl, evidence and its Ledger entity
 * "this" are what remedies vary.  Both sets must allow.
 */
MUST_USE int policy_decide(const struct policy_bundle *b,
			   const struct policy_world *w, const json_t *ask,
			   const struct policy_people *people,
			   struct policy_verdict *ret_verdict);

/*
 * The same with typed facts beside the ask, which says the same in JSON: then
 * the ask is only read, and nothing is parsed.  typed may be NULL.
 */
MUST_USE int policy_decide_typed(const struct policy_bundle *b,
				 const struct policy_world *w,
				 const json_t *ask,
				 const struct policy_question *typed,
				 const struct policy_people *people,
				 struct policy_verdict *ret_verdict);

/*
 * What a bundle would say of a question that was decided before: a pure
 * function of its arguments.
 *
 * facts: the ask as it was kept with the decision.
 * decided: what was decided, {"route"?, "policies"?: [ids or {"id"}]}.
 * ret_replay: owned {"decision": "allow|pending|deny", "policies": [ids],
 *   "errors"?, "requires"?, "shadow"?, "route", "was": route, "changed": bool,
 *   "ttl"?}.  The route is what the decision comes to: deny, approval, auto,
 *   recommend; a time that must be lowered first is lowered, as when a request
 *   is decided: it is "ttl" then.  It is "changed" if the route is another one.
 * Errors: ERR_SYNTAX for facts the bundle's schema does not know: the replay
 *   then is a deny.
 */
MUST_USE int policy_replay(const struct policy_bundle *b,
			   const struct policy_world *w, const json_t *facts,
			   const json_t *decided,
			   const struct policy_people *people,
			   json_t **ret_replay);

/* The engine's name and version, such as "cedar-policy 4.13.0". */
const char *policy_engine(void);
