/*
 * The live state of the authority: what the files of this folder share and
 * nobody else sees.  Each thing keeps its JSON document, which is what the
 * database holds, and beside it what only lives: timers, waiters, flags.
 */
#pragma once

#include "base/map.h"
#include "connect/connector.h"
#include "flow/flow.h"
#include "govern/action.h"
#include "govern/ask.h"
#include "govern/inventory.h"
#include "govern/request.h"
#include "policy/policy.h"

struct meter;

struct target {
	struct flow *flow;
	char *name;
	struct connector *connector;
	bool up;
	char why[160]; /* why it is down */
};

struct waiter {
	struct waiter *next;
	struct reply_to reply;
	struct loop_timer *timer;
	struct request *request;
	bool reading; /* asks how it stands: a denial is an answer, too */
};

struct task {
	struct flow *flow;
	char id[40];
	json_t *doc;
	struct loop_timer *expiry; /* NULL once it has fired */
	struct waiter *waiters;	   /* for its end */
};

struct request {
	struct flow *flow;
	char id[40];
	json_t *doc;
	enum request_state state;
	struct loop_timer *expiry;
	struct loop_timer *reread; /* while unknown, or its target is down */
	unsigned resumes;	   /* how often its target was not there */
	struct waiter *waiters;
	unsigned commits; /* of its document that are not yet durable */
	bool recorded;	  /* something of it is durable: it may be told */
	bool busy;	  /* a connector has it in its hands */
	bool bound;	  /* key and token of the call are durable */
	struct evidence_txn *begun; /* its next leaf stands in this one, too */
	struct caller caller;	    /* of the creating call */
	struct acting acting;
	bool resolved; /* its outcome is a human's word: the target is asked */
	char *to_read; /* id of the grant that is asked about */
	char *place; /* while it is armed or unknown: nobody else changes it */
	char *key;   /* owned copies that acting points to */
	char *route;
	bool cancelled; /* to be withdrawn as soon as it is not busy */
	bool untaken;	/* loaded, and not yet taken up again */
};

struct grant {
	struct flow *flow;
	char id[40];
	json_t *doc;
	struct loop_timer *timer; /* next end or retry; NULL if none */
	int64_t backoff_ms;
	json_t *held_by; /* tasks that held it, for settling them */
	bool busy;	 /* an end is being planned or applied */
	bool gone;	 /* undone by a request; only waits to be freed */
};

struct flow {
	struct loop *loop;
	struct evidence *evidence;
	char *origin;
	char *audience;
	bool closing;
	void (*drained)(void *cookie);
	void *drained_cookie;

	struct inventory *inventory;
	struct policy_bundle *bundle; /* as activated */
	struct policy_bundle *linked; /* with quarantine links */
	struct policy_world *world;
	char bundle_name[64];
	char bundle_digest[DIGEST_TEXT_LEN];
	bool bootstrap_over; /* two administrators have been there once */
	struct trust *trust;
	struct svid_cache *svids;
	struct loop_timer *tick;
	struct loop_timer *freeze; /* of what was contained at the start */
	struct reading *readings;  /* that have not been answered */
	bool unlinked;		   /* quarantines are not in linked */
	int64_t clock_offset_ms;   /* wall minus boot clock when last sound */
	bool clock_stepped;
	char trouble[160];	 /* why the evidence is degraded, "" if not */
	struct drill *cut_short; /* drills that are being cleaned up */

	struct map *targets;	  /* name -> target */
	struct map *tasks;	  /* open ones */
	struct map *requests;	  /* not ended, or just ended */
	struct map *asked;	  /* what an agent asks -> its request */
	struct map *grants;	  /* not ended */
	struct map *places;	  /* what a grant places -> grant */
	struct map *inflight;	  /* place -> request that changes it now */
	struct map *changes;	  /* waiting for signatures: json_t */
	struct map *activations;  /* the same, by bundle: json_t */
	struct map *containments; /* in force: json_t */
	struct map *meters;	  /* agent -> meter */
	json_t *vouchers;	  /* subject -> "human kind" -> document */
	int64_t vouchers_ms;	  /* boot clock: when they are looked over */
	json_t *drills;		  /* "target/action" -> {"build", "at", "ok"} */
	json_t *recent;		  /* seen values and keys not yet durable */
	json_t *sessions;	  /* digest of token -> {"human", "expires"} */
	size_t in_flight;	  /* effects and answers closing waits for */
	json_t *refusals; /* reason class -> count, since the last leaf */
	int64_t refusals_since_ms;
};

/* ---- reply.c: answers, durable answers ---- */

void answer(struct reply_to reply, enum answer_kind kind, json_t *owned_body);
PRINTF_LIKE(4, 5)
void answer_problem(struct reply_to reply, enum answer_kind kind,
		    const char *code, const char *format, ...);

/* For who still waits when the authority closes. */
void answer_closing(struct reply_to reply);

/* Commits t, then answers. */
void commit_answer(struct flow *f, struct evidence_txn *t,
		   struct reply_to reply, enum answer_kind kind,
		   json_t *owned_body);
void commit_problem(struct flow *f, struct evidence_txn *t,
		    struct reply_to reply, enum answer_kind kind,
		    const char *code, const char *detail, json_t *owned_body);

/* The process cannot go on: message on the log, exit status 70.  For failures
 * of what must not fail, such as building a leaf. */
void must(int r, const char *what);

/* {"index", "hash"} of a leaf. */
json_t *leaf_json(const struct leaf_ref *leaf);

/* Notes a leaf under name in a document's "evidence". */
void leaf_note(json_t *doc, const char *name, const struct leaf_ref *leaf);

/* ---- once.c: idempotency keys, nonces, token ids ---- */

enum once { ONCE_NEW, ONCE_AGAIN, ONCE_OTHER };

/* What a key stands for.  ret_about: owned, set on ONCE_AGAIN. */
enum once once_key(struct flow *f, const struct caller *caller,
		   const struct acting *acting, char **ret_about);
/* Holds key and token until their transaction is built; for a call whose answer
 * takes longer than a commit. */
void once_hold(struct flow *f, const struct caller *caller,
	       const struct acting *acting, const char *about);
void once_key_put(struct flow *f, struct evidence_txn *t,
		  const struct caller *caller, const struct acting *acting,
		  const char *about);
/* True if value has served in scope; the caller then refuses. */
bool once_seen(struct flow *f, const char *scope, const char *value);
void once_seen_put(struct flow *f, struct evidence_txn *t, const char *scope,
		   const char *value, int64_t expires_ms);
/* Forgets what is old. */
void once_tick(struct flow *f, int64_t now_ms);

/* ---- people.c: proving, signed forms, sessions ---- */

/*
 * Verifies a signed form and that its nonce is fresh; answers the refusal
 * itself and returns false.  The caller records the nonce by signed_put().
 */
bool signed_take(struct flow *f, const json_t *signed_form,
		 enum statement_type type, struct reply_to reply,
		 struct statement *ret_statement);
void signed_put(struct flow *f, struct evidence_txn *t,
		const struct statement *s);
/* {"statement", "signature", "human", "fingerprint"}: what evidence keeps. */
json_t *signed_json(const struct statement *s);
bool human_is(const struct flow *f, const char *human, const char *group);

/* ---- task.c ---- */

struct task *task_find(struct flow *f, const char *id);
/* Why a task may not carry a request now, or NULL; static text. */
const char *task_fault(const struct task *t, int64_t now_ms);
bool task_is_open(const struct task *t);
void task_as_ask(const struct task *t, struct ask_task *ret);
void task_load(struct flow *f, json_t *doc);
/* Something of a task has ended: completes an ending one when it was the last.
 */
void task_settle(struct flow *f, const char *task);
void task_end(struct task *t, const char *how);
json_t *task_view(const json_t *doc);
void task_free(struct task *t);

/* The document of a request that caller asks for by body; owned. */
json_t *request_doc_of(const struct caller *caller, const json_t *body);

/* ---- request.c, decide.c ---- */

struct request *request_find(struct flow *f, const char *id);
void request_load(struct flow *f, json_t *doc);
json_t *request_view(const json_t *doc);
json_t *request_agent_view(const json_t *doc);
void request_free(struct request *r);
/* Moves r along the table; a step that is not there ends the process. */
void request_step(struct request *r, enum request_event event);
void request_put(struct request *r, struct evidence_txn *t);
/* Answers waiters of an ended or waiting request. */
void request_tell(struct request *r);
void request_drop(struct request *r);
/* Ends a request with a leaf and tells it. */
void request_close(struct request *r, enum request_event event,
		   const char *cause, const char *detail);
/* Plans; afterwards decides. */
void request_plan(struct request *r);
/* Withdraws it unless something is in flight. */
void request_withdraw(struct request *r, const char *why);
void request_start(struct flow *f, const struct caller *caller,
		   const struct acting *acting, json_t *owned_doc,
		   int64_t wait_ms, struct reply_to reply);
/* Signatures changed: decide again, and go on if nothing is missing. */
void request_reconsider(struct request *r);
void request_wait(struct request *r, int64_t wait_ms, struct reply_to reply);
/* The same for one to whom a denied request is no refusal of their call. */
void request_watch(struct request *r, int64_t wait_ms, struct reply_to reply);

/* What a decision came to. */
enum route { ROUTE_DENY, ROUTE_APPROVAL, ROUTE_AUTO, ROUTE_RECOMMEND };
const char *route_name(enum route route);

struct decided {
	enum route route;
	json_t *decision; /* owned: the "decision" member of the document */
	json_t *facts;	  /* owned: the ask that was decided, and its texts */
	int64_t ttl_s;
};
void decided_clear(struct decided *d);

/*
 * Decides doc on fresh facts.
 *
 * found: the connector's plan, NULL before there is one: facts of the target
 *   are then at their best.
 */
void decide(struct flow *f, const struct task *task, const json_t *doc,
	    const json_t *found, struct decided *ret);
/* Who gains by found, who owns them; fills arrays (owned). */
void decide_people(struct flow *f, const json_t *doc, const json_t *found,
		   json_t **ret_humans, json_t **ret_agents,
		   json_t **ret_barred);
bool decide_classify(const struct flow *f, const json_t *doc,
		     const json_t *found, struct classification *ret);

/* ---- sign.c: signatures under requests, vouchers ---- */

/* Takes the signatures under doc that do not count any more out of it: of a key
 * that was taken from its human, without the step-up that is asked for now, or
 * of somebody whom policy does not let sign now. */
void approvals_review(struct flow *f, const struct task *task, json_t *doc);

void voucher_load(struct flow *f, json_t *doc);
/* What is vouched for a subject: "human kind" -> document; borrowed, may be
 * NULL. */
const json_t *vouchers_of(const struct flow *f, const char *subject);
/* Drops what has expired, at most once a minute and a bounded number. */
void vouchers_tick(struct flow *f, int64_t now_ms);

/* ---- meter.c: counters in a window ---- */

/* Counts the request of doc as its member "counted" says: {"atMs", "plane",
 * "reversible"}. */
void meter_count(struct flow *f, const json_t *doc);
/* Counts what the last 24 hours left in the database. */
MUST_USE int meters_load(struct flow *f);
void meter_read(struct flow *f, const char *agent, int64_t now_ms,
		const struct action *action, bool reversible, const char *plane,
		struct facts *ret);
void meters_free(struct map *meters);

/* ---- effect.c: armed leaf -> signed -> applied -> read back ---- */

enum effect_end {
	EFFECT_APPLIED,	  /* applied, and read back as planned */
	EFFECT_DIFFERS,	  /* applied, and read back otherwise */
	EFFECT_NO_CHANGE, /* it was so already */
	EFFECT_REFUSED,	  /* certainly no effect */
	EFFECT_WITHDRAWN, /* never sent */
	EFFECT_UNKNOWN,	  /* nobody can tell */
};
const char *effect_end_name(enum effect_end end);

struct effect_result {
	enum effect_end end;
	const char *reason; /* one word */
	const char *detail;
	json_t *observed; /* borrowed; NULL if nothing was read */
};

struct effect_order {
	const char *target;
	const char *plan;	  /* canonical text */
	const json_t *signatures; /* array, may be NULL */
	const json_t *base;	  /* {"plan", "armed": index}, may be NULL */
	uint64_t armed;		  /* index of the armed leaf */
	bool first;		  /* ends go first */
	/* Asked once more before it is sent: NULL to go on, else why not. */
	const char *(*fault)(void *cookie);
	void (*done)(void *cookie, const struct effect_result *result);
	void *cookie;
};

/* Carries an order out; its armed leaf has been committed.  Copies what order
 * points to; done comes exactly once, never from within this. */
void effect_run(struct flow *f, const struct effect_order *order);
/* Reads whether the after-state of plan stands.  present: 1, 0, -1 unknown. */
void effect_read(struct flow *f, const char *target, const char *plan,
		 void (*done)(void *cookie, int present, json_t *observed),
		 void *cookie);
/* One thing less in flight: closing may go on. */
void effect_settled(struct flow *f);
/* Forgets readings nobody answers any more. */
void readings_drop(struct flow *f);
/* Nothing may be armed now: why, or NULL. */
const char *arming_fault(struct flow *f);
/* Whether a connector's reason says that what would be undone is gone. */
bool is_gone(const char *reason);

/* ---- grant.c ---- */

/* One name for what a change places or takes: one membership of one target;
 * owned. */
char *place_key(const char *target, const char *resource,
		const json_t *parameters);
/* It stands, and no end of it is under way; g may be NULL. */
bool grant_is_live(const struct grant *g);
bool grant_is_held_by_others(const struct grant *g, const char *task);
/* Ends a grant whatever holds it: the target is asked what stands. */
void grant_end(struct grant *g, const char *why);
struct grant *grant_find_same(struct flow *f, const char *target,
			      const char *resource, const json_t *parameters);
/* A grant for a request that was carried out; fills doc's "grant". */
void grant_place(struct request *r, struct evidence_txn *t);
/* After the outcome is recorded: ends a grant whose task is over. */
void grant_check_orphan(struct request *r);
/* One more holder of what a grant holds already. */
void grant_join(struct grant *g, struct request *r, struct evidence_txn *t);
void grant_load(struct flow *f, json_t *doc);
/* Drops the holds of a task (or all, task NULL) and ends what nobody holds. */
void grants_release(struct flow *f, const char *task, const char *why);
void grant_release(struct grant *g, const char *task, const char *why);
/* The effect was undone by a request. */
void grant_gone(struct grant *g, struct evidence_txn *t, const char *why);
json_t *grant_view(const json_t *doc);
void grant_free(struct grant *g);
size_t grants_of_task(struct flow *f, const char *task);

/* ---- contain.c ---- */

bool is_contained(const struct flow *f, const char *agent, const char *task);
void containment_load(struct flow *f, json_t *doc);
/* A point of a containment (request, task, grant) has come to state, proved by
 * leaf. */
void containment_note(struct flow *f, const char *id, const char *state,
		      const struct leaf_ref *leaf, struct evidence_txn *t);
/* One point more of whatever contains this agent or task. */
void containment_point(struct flow *f, const char *agent, const char *task,
		       const char *kind, const char *id, const char *state);
json_t *containment_view(const json_t *doc);
/* Once everything is loaded: a stop may have come between a containment and
 * what follows from it. */
void containments_take_up(struct flow *f);

/* ---- inventory.c, policy.c ---- */

/* While there has been only one administrator there is nobody else to ask. */
bool is_bootstrap(const struct flow *f);
/* Exchanges the snapshot and what follows from it: trust, world, links. */
MUST_USE int inventory_swap(struct flow *f, struct inventory *owned);
MUST_USE int policy_load(struct flow *f, const char *name, const json_t *spec);
/* Keeps the active bundle as it is, apart from what is staged by its name. */
void policy_put(struct flow *f, struct evidence_txn *t, const json_t *spec);
/* Puts what is contained into policy.  Where that fails it goes on without the
 * links, as degraded: is_contained() holds all the same.  Not while a
 * transaction is open. */
void policy_relink(struct flow *f);
/* Whether the active bundle can be linked with quarantines.  Errors:
 * ERR_SYNTAX. */
MUST_USE int policy_check_links(struct policy_bundle *bundle);
json_t *change_view(const json_t *doc);
void change_load(struct flow *f, json_t *doc);

/* Proposals: changes and activations that wait for signatures.  A new document
 * with id "PREFIX_..." and nobody's signature; owned. */
json_t *proposal_new(const char *prefix, const char *digest, int64_t needs);
/* A copy with one signature more, without those of people who are no
 * administrators any more; owned. */
json_t *proposal_signed(const struct flow *f, const json_t *doc,
			const struct statement *s);
bool proposal_is_over(const json_t *doc, int64_t now_ms);
/* Nobody signs it any more: its signatures are void.  state: why. */
void proposal_drop(struct evidence_txn *t, struct map *map, const char *key,
		   const char *state);
/* Drops what is older than a proposal may be. */
void proposals_tick(struct flow *f, int64_t now_ms);
/* Answers that a proposal's leaf could not be made; r: why. */
void proposal_refused(struct reply_to reply, int r);
MUST_USE int begin_log(struct flow *f, const struct flow_config *config);

/* ---- flow.c ---- */

void record_degraded(struct flow *f, bool on, const char *why);

/* ---- drill.c ---- */

/* A drill that a stop has cut short: what it left is removed. */
void drill_load(struct flow *f, json_t *doc);
void drills_free(struct flow *f);

/* Whether a drill of this build passed within the target's days. */
bool drill_passed(const struct flow *f, const char *target, const char *action,
		  int64_t now_ms);
