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

struct lookup;
struct meter;
struct notifier;
struct transfers;

struct target {
	struct flow *flow;
	char *name;
	struct connector *connector; /* NULL for none: see issues */
	struct connector *reader;    /* it only reads back; NULL for none */
	bool issues; /* this program changes it, its connector reads: point.h */
	bool drilling;		 /* one drill at a time */
	int64_t drill_again_ms;	 /* boot clock: not before, by itself */
	unsigned ends;		 /* of grants, under way */
	struct grant *first_end; /* the others wait in line */
	struct grant **last_end;
	bool up;       /* changes can be made */
	char why[256]; /* why its connector is down */
	char reader_why[256];
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
	struct loop_timer *expiry;   /* NULL once it has fired */
	struct loop_timer *lease;    /* NULL without one */
	struct waiter *waiters;	     /* for its end */
	struct gathering *gathering; /* of what came of it, or NULL */
};

struct request {
	struct flow *flow;
	struct asking_task *of;	  /* its task */
	struct request *next_of;  /* of the same task */
	struct request **link_of; /* what points to it in there */
	char id[40];
	json_t *doc;
	enum request_state state;
	struct loop_timer *expiry;
	struct loop_timer *reread;  /* while unknown, or its target is down */
	struct loop_timer *silence; /* until a group asked has said nothing */
	unsigned resumes;	    /* how often its target was not there */
	struct waiter *waiters;
	unsigned commits;      /* of its document that are not yet durable */
	bool recorded;	       /* something of it is durable: it may be told */
	bool busy;	       /* a connector has it in its hands */
	struct lookup *lookup; /* under way, or NULL */
	bool bound;	       /* key and token of the call are durable */
	struct evidence_txn *begun; /* its next leaf stands in this one, too */
	struct caller caller;	    /* of the creating call */
	struct acting acting;
	bool resolved; /* its outcome is a human's word: the target is asked */
	char *to_read; /* id of the grant that is asked about */
	char *place; /* while it is armed or unknown: nobody else changes it */
	char *key;   /* owned copies that acting points to */
	char *route;
	bool cancelled; /* to be withdrawn as soon as it is not busy */
	const char *cancelled_why; /* static */
	bool untaken;		   /* loaded, and not yet taken up again */
	json_t *secret; /* of what it lent, until its grant has it; wiped */
};

/* A task and its requests; lives as long as there is one in memory. */
struct asking_task {
	struct request *first;
	size_t open; /* that have not ended */
	char task[40];
};

/* A task and the grants it holds or held; lives as long as it has any. */
struct holding {
	struct grant **grants; /* owned array of borrowed */
	size_t count;
	size_t capacity;
	size_t standing; /* those it still holds, or whose end it waits for */
	char *agent;	 /* owned */
	char task[40];
};

/*
 * A grant.  There may be very many, and nearly all of them only wait for their
 * end: such a one is folded, its document is in the database alone.
 */
struct grant {
	struct flow *flow;
	char id[40];
	json_t *doc;		  /* NULL while folded: see grant_doc() */
	char *target;		  /* owned: its name */
	struct loop_timer *timer; /* next end or retry; NULL if none */
	struct grant_hold {
		struct holding *by;
		size_t at;	/* in the other's array */
		bool ended;	/* it held it once; its end is awaited */
		bool standing;	/* counted by the other */
	} * holds;		/* owned */
	struct grant *next_end; /* in the line of its target */
	char *lent;		/* what a task has once; owned, or NULL */
	struct secret *secret;	/* of what was lent; NULL: nothing waits */
	struct sample *sample;	/* of what is done with it, or NULL */
	unsigned hold_count;
	unsigned backoff_ms;
	uint64_t put;	 /* evidence_committed() when it was last put */
	bool active : 1; /* else it is ending, or has ended */
	bool unconfirmed : 1;
	bool busy : 1;	  /* an end is being planned or applied */
	bool gone : 1;	  /* undone by a request; only waits to be freed */
	bool in_line : 1; /* its end waits for those before it */
};

struct flow {
	struct loop *loop;
	struct evidence *evidence;
	struct mint *mint;     /* mint.h */
	struct issued *issued; /* the same */
	json_t *shown; /* id of an ended credential -> when it is news again */
	char *origin;
	char *audience;
	char *folder; /* of the data, or NULL */
	bool closing;
	void (*drained)(void *cookie);
	void *drained_cookie;

	struct inventory *inventory;
	struct policy_bundle *bundle; /* as activated */
	struct policy_bundle *linked; /* with quarantine links */
	struct policy_world *world;
	char bundle_name[64];
	char bundle_digest[DIGEST_TEXT_LEN];
	char world_digest[DIGEST_TEXT_LEN]; /* of the inventory's entities */
	struct replaying *replaying;	    /* past decisions, or NULL */
	bool bootstrap_over; /* two administrators have been there once */
	struct trust *trust;
	struct token_cache *tokens; /* SVIDs and OIDC tokens found valid */
	struct loop_timer *tick;
	struct loop_timer *freeze; /* of what was contained at the start */
	struct reading *readings;  /* that have not been answered */
	bool unlinked;		   /* quarantines are not in linked */
	int64_t clock_offset_ms;   /* wall minus boot clock when last sound */
	bool clock_stepped;
	char trouble[160];	 /* why the evidence is degraded, "" if not */
	struct drill *cut_short; /* drills that are being cleaned up */

	struct transfers *transfers;
	struct notifier *notifier; /* NULL: nobody is told anything */
	json_t *noticed;	   /* agent -> what was told of its expiry */
	int64_t noticed_ms;	   /* boot clock: when agents are looked over */
	json_t *lookup_rules;	   /* array */
	struct lookup *lookups;	   /* under way */

	struct map *targets;	  /* name -> target */
	struct map *tasks;	  /* open ones */
	struct map *requests;	  /* not ended, or just ended */
	struct map *asked;	  /* what an agent asks -> its request */
	struct map *grants;	  /* not ended */
	struct map *places;	  /* what a grant places -> grant */
	struct map *holdings;	  /* task -> holding */
	struct map *asking;	  /* task -> asking_task */
	struct map *unfolded;	  /* grants with a document */
	struct map *secrets;	  /* request -> grant whose secret waits */
	struct map *inflight;	  /* place -> request that changes it now */
	struct map *changes;	  /* waiting for signatures: json_t */
	struct map *activations;  /* the same, by bundle: json_t */
	struct map *containments; /* in force: json_t */
	struct map *points;	  /* "containment point" -> its JSON in there */
	struct map *meters;	  /* agent -> meter */
	json_t *vouchers;	  /* subject -> "human kind" -> document */
	int64_t vouchers_ms;	  /* boot clock: when they are looked over */
	json_t *drills;		  /* "target/action" -> {"build", "at", "ok"} */
	json_t *recent;		  /* seen values and keys not yet durable */
	json_t *erasures; /* subject -> document that waits for a signature */
	json_t *sessions; /* digest of token -> {"human", "expires"} */
	size_t in_flight; /* effects and answers closing waits for */
	json_t *refusals; /* reason class -> count, since the last leaf */
	int64_t refusals_since_ms;
	json_t *signals;    /* subject -> "detector kind" -> document */
	json_t *detectors;  /* name -> {"heardMs", "live", "sent", ...} */
	json_t *beats;	    /* detector -> heartbeats since the last leaf */
	int64_t beats_ms;   /* boot clock: when their leaf was made */
	int64_t signals_ms; /* boot clock: when they are looked over */
	json_t *stale;	    /* ids of requests to look at again */
	struct loop_timer *look; /* that does it */
	struct map *exceptions;	 /* waiting or in force: json_t */
	struct map *quotas;	 /* agent -> quota */
	struct flow_limits limits;
	json_t *over_quota; /* agent -> calls refused since the last leaf */
	json_t *leaving;    /* "Kind/name" -> document of its change */
};

/* ---- reply.c: answers, durable answers ---- */

void answer(struct reply_to reply, enum answer_kind kind, json_t *owned_body);
PRINTF_LIKE(4, 5)
void answer_problem(struct reply_to reply, enum answer_kind kind,
		    const char *code, const char *format, ...);

/* For who would sign what is not, or no longer, to be signed. */
void answer_not_waiting(struct reply_to reply, const char *state);

/* For who still waits when the authority closes. */
void answer_closing(struct reply_to reply);
/* Where nothing new is taken just now: says why and returns true.  The first
 * for a full disk, a keeper that does not sign, witnesses; the second for load
 * as well. */
bool answer_if_degraded(struct flow *f, struct reply_to reply);
bool answer_if_busy(struct flow *f, struct reply_to reply);

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

enum once {
	ONCE_NEW,
	ONCE_AGAIN,
	ONCE_OTHER,
	ONCE_UNKNOWN, /* the database cannot be read: answer_unreadable() */
};

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
enum seen {
	SEEN_NEVER,
	SEEN_BEFORE,
	SEEN_UNKNOWN, /* the database cannot be read: answer_unreadable() */
};

/* Whether value has served in scope; unless never, the caller refuses. */
enum seen once_seen(struct flow *f, const char *scope, const char *value);
/* Answers that the token of a call has served, or that nobody can tell just
 * now; false if it has not served, or serves more than once. */
bool answered_as_replayed(struct flow *f, const struct caller *caller,
			  struct reply_to reply);
/* Answers that the database cannot be read. */
void answer_unreadable(struct reply_to reply);
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
/* The caller's own task, if it may carry something now; else NULL, after
 * answering why not. */
struct task *task_own_open(struct flow *f, const struct caller *caller,
			   const char *id, struct reply_to reply);
bool task_is_open(const struct task *t);
/* When its window is over (wall clock): as it was opened, and no later than its
 * class lets a task last now. */
int64_t task_window_ms(const struct task *t);
/* Their classes may have changed: their windows are looked at again. */
void tasks_review(struct flow *f);
/* Whether its class demands, or did when it was opened, that witnesses have
 * cosigned what is armed before it is carried out. */
bool task_needs_witnesses(const struct task *t);
void task_as_ask(const struct task *t, struct ask_task *ret);
void task_load(struct flow *f, json_t *doc);
/* Something of a task has ended: completes an ending one when it was the last.
 */
void task_settle(struct flow *f, const char *task);
void task_end(struct task *t, const char *how);
json_t *task_view(const json_t *doc);
void task_free(struct task *t);

/* ---- delegate.c: tasks that agents hand to each other ---- */

/*
 * The agents above a task: element 0 is the agent of the task that a person's
 * class let somebody open, the last one delegated this task; its own agent is
 * not in it.  Borrowed array of names, NULL if nobody is above.  `act` of a
 * token nests the other way round (RFC 8693, 4.1): its outermost object is the
 * task's own agent, within it the last element, and so on down to element 0.
 */
const json_t *task_chain(const struct task *t);
/* The task that it came from; NULL without one, or if that is over. */
struct task *task_parent(const struct task *t);
/* When the tasks above are over, INT64_MAX if there are none. */
int64_t delegation_window_ms(const struct task *t);
/* Why a task above keeps it from carrying a request, or NULL. */
const char *delegation_fault(const struct task *t, int64_t now_ms);
/* It is of the class of the task that it came from: who may open tasks of that
 * is asked of that one's agent. */
bool delegation_is_within_class(const struct task *t);
/* The task, or one that it came from, is of this agent or has this id. */
bool delegation_concerns(const struct task *t, const char *agent,
			 const char *id);
/* Ends what it has delegated, the deepest first. */
void delegation_end(struct task *t, const char *how);
bool delegation_has_open(const struct task *t);
/* What t has delegated and is not over, the deepest first, and t itself; owned
 * array of borrowed. */
struct task **delegation_tree(struct task *t, size_t *ret_count);
/* Whether each task above may do this, too. */
bool delegation_covers(const struct task *t, const struct action *action,
		       const char *target, const struct classification *of);
/* The tier that counts for a request of t on something of this tier: the
 * highest that has been armed by any task it shares a root with. */
int delegation_tier(const struct task *t, int tier);
/* Notes what t has armed where delegation_tier() looks, and puts documents
 * other than t's own into txn. */
void delegation_touch(struct task *t, const struct classification *of,
		      struct evidence_txn *txn);
/* Facts of the chain, and planes that its tasks have touched with plane. */
void delegation_facts(const struct task *t, const char *plane, int64_t now_ms,
		      struct facts *ret);
/* Adds the owners of the agents above and of their classes. */
void delegation_bar(const struct task *t, json_t *barred);

/* ---- lease.c ---- */

/* Runs the lease of a task anew, if it has one. */
void lease_run(struct task *t);
void lease_end(struct task *t);

/* ---- return.c ---- */

/* Whether what came of an ending task stands in its document ("return"); if
 * not, it is put together, and task_settle() is called when it is there. */
bool return_is_ready(struct task *t);

/* The document of a request that caller asks for by body; owned. */
json_t *request_doc_of(const struct caller *caller, const json_t *body);

/* ---- request.c, decide.c ---- */

struct request *request_find(struct flow *f, const char *id);
/* Requests of a task that have not ended. */
size_t requests_open_of(const struct flow *f, const char *task);
/* Withdraws them; why: static text. */
void requests_withdraw_of(struct flow *f, const char *task, const char *why);
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
/* Whether a connector's plan is more than is shown to people and kept. */
bool plan_is_too_large(const json_t *found);
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
	json_t *lacks; /* owned: evidence the class demands in vain, or NULL */
	int64_t ttl_s;
};
void decided_clear(struct decided *d);

/* The member "decision" of a denial by these policies (ids); owned. */
json_t *decision_denied(const struct flow *f, const json_t *policies);
/* Says of a denial that a ttl of at most so many seconds would help, and why;
 * adds to its "requires". */
void decision_offer_ttl(json_t *decision, int64_t longest_s, const char *why);

/*
 * Decides doc on fresh facts.
 *
 * found: the connector's plan, NULL before there is one: facts of the target
 *   are then at their best.
 */
void decide(struct flow *f, const struct task *task, const json_t *doc,
	    const json_t *found, struct decided *ret);
/* Members of a group: policy_members_fn with a flow as its cookie. */
size_t decide_members(void *cookie, const char *group, const char **names,
		      size_t max);
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
 * "reversible", "chain"?: the agents above}. */
void meter_count(struct flow *f, const json_t *doc);
/* Counts what the last 24 hours left in the database. */
MUST_USE int meters_load(struct flow *f);
/* privileged, reversible: of the request that is decided, which counts in. */
void meter_read(struct flow *f, const char *agent, int64_t now_ms,
		bool privileged, bool reversible, const char *plane,
		struct facts *ret);
/* Raises counters to those of the agents above, whose acts these are, too. */
void meter_read_above(struct flow *f, const json_t *chain, bool privileged,
		      const char *plane, struct facts *ret);
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
	/* What the target tells who uses what it lends.  Owned by whom it is
	 * told, who ends it by json_wipe(); NULL unless the order lends. */
	json_t *secret;
};

struct effect_order {
	const char *target;
	const char *plan;	  /* canonical text */
	const json_t *signatures; /* array, may be NULL */
	const json_t *base;	  /* {"plan", "armed": index}, may be NULL */
	uint64_t armed;		  /* index of the armed leaf */
	bool first;		  /* ends go first */
	bool witnessed; /* not before witnesses have cosigned the armed leaf */
	bool lends;	/* a secret is wanted with the result */
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
/* Keeps what a target showed in a document, NULL for nothing; a connector
 * cannot make one too large to record. */
void observed_keep(json_t *to, json_t *observed);
/* One thing less in flight: closing may go on. */
void effect_settled(struct flow *f);
/* Forgets readings nobody answers any more. */
void readings_drop(struct flow *f);
/* Nothing may be armed now: why, or NULL. */
const char *arming_fault(struct flow *f);
/* Whether a connector's reason says that what would be undone is gone. */
bool is_gone(const char *reason);

/* ---- notice.c: who is told ---- */

/* Errors: those of notify_open(). */
MUST_USE int notices_open(struct flow *f, const json_t *config);
/* Each of these puts what is to be told into t, the transaction of what it
 * tells of; none of them can fail. */

/* What r has come to; called whenever its document is written, and notes there
 * what was told. */
void notice_request(struct request *r, struct evidence_txn *t);
/* A group that was asked is silent: group may sign in its place. */
void notice_escalate(struct request *r, struct evidence_txn *t,
		     const char *group);
void notice_grant(struct grant *g, struct evidence_txn *t);
void notice_contained(struct flow *f, struct evidence_txn *t,
		      const json_t *containment);
/* A credential was shown after its end. */
void notice_shown(struct flow *f, struct evidence_txn *t,
		  const json_t *credential);
/* Break-glass waits, is in force or was revoked, as its document says. */
void notice_exception(struct flow *f, struct evidence_txn *t,
		      const json_t *exception);
/* A change has its first signature and needs more. */
void notice_change_waiting(struct flow *f, struct evidence_txn *t,
			   const json_t *change);
/* What a change lets go ("leaving") is about to be removed. */
void notice_change_removed(struct flow *f, struct evidence_txn *t,
			   const json_t *change);
/* What was told of agents' expiry, from the settings; looks for more of it. */
void notice_load(struct flow *f, const json_t *doc);
void notices_tick(struct flow *f, int64_t now_ms);

/* ---- lookup.c: evidence that is looked up ---- */

/* Why references (array of {"kind", "reference"}, may be NULL) cannot be looked
 * up, or NULL; static text. */
const char *lookup_fault(const struct flow *f, const json_t *references);
/* It has references that nobody has looked up. */
bool lookup_is_due(const struct request *r);
/* Looks them up; then comes request_looked_up(). */
void lookup_run(struct request *r);
/* Ends that without a word. */
void lookup_cancel(struct request *r);
/* Adds the kinds of evidence that were looked up for doc, or, before that, that
 * will be. */
void lookup_kinds(const json_t *doc, json_t *kinds);
/* What was looked up in vain, and why; owned, "" if nothing was. */
char *lookup_words(const json_t *doc);

/* ---- secret.c: what is lent, until it is handed out ---- */

/* A secret in memory; it is wiped with this. */
struct secret;
void secret_free(struct secret *secret);
/* The outcome of r was recorded: its grant gets its secret, or ends if that is
 * lost; what an earlier request of the task was lent for the same ends. */
void secret_settle(struct request *r);
/* A grant was loaded: if something was lent and never delivered, its secret is
 * lost, and it ends. */
void secret_loaded(struct grant *g);

/* ---- sample.c: what is seen of a credential while it is lent ---- */

struct sample;
/* g was placed or loaded: if it lends, and its target has a connector, that is
 * asked now and then. */
void sample_begin(struct grant *g);
/* g ends: what was seen is put into its document, as "sampled": {"last",
 * "deeds"}; its caller writes that. */
void sample_end(struct grant *g);
void sample_free(struct sample *s);

/* What its target knows the borrower of a grant by; owned, NULL for none. */
char *lent_account(const json_t *grant);
/* Counts a deed of CONNECT_ACTIVITY in an array of rows {"command", "source",
 * "first", "last", "count"}, one a kind; a kind beyond max is passed over. */
void deed_count(json_t *kinds, const json_t *deed, size_t max);
/* Whether an answer to CONNECT_ACTIVITY is of records that stay. */
bool activity_is_of_log(const json_t *activity);

/* ---- grant.c ---- */

/* Why a grant ended whose time was over. */
extern const char grant_why_expired[];

/* One name for what a change places or takes: one membership of one target;
 * owned. */
char *place_key(const char *target, const char *resource,
		const json_t *parameters);
/* Its document, from the database if it is folded; borrowed until the next turn
 * of the loop. */
json_t *grant_doc(struct grant *g);
/* Folds what has not been touched since it became durable. */
void grants_fold(struct flow *f);
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
/* Whether a request would be lent what its task has already: it takes the place
 * of that, and is no more power than there was. */
bool grant_would_renew(const struct flow *f, const json_t *doc);
/* g was lent to a task: what the task had of the same before is released. */
void grants_replaced(struct grant *g, const char *task);
/* Writes its document, which grant_doc() gave. */
void grant_put(struct grant *g, struct evidence_txn *t);
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
/* Brings the points of a stored containment up to what became of them. */
void containment_overlay(struct flow *f, json_t *doc);
/* Once everything is loaded: a stop may have come between a containment and
 * what follows from it. */
void containments_take_up(struct flow *f);

/* ---- signal.c: what detectors say ---- */

/* The spec of a detector that is active and has an active owner, or NULL. */
const json_t *detector_spec(const struct flow *f, const char *name);

/* What live signals say of an act. */
struct risk {
	int score;    /* 0..100 */
	int signals;  /* distinct detectors that speak of what is acted on */
	json_t *seen; /* owned: array of the signals that counted */
};

/* Who acts on what.  resources: array of names at target; it and task may be
 * NULL. */
struct risk_of {
	const char *agent;
	const char *task;
	const char *target;
	const json_t *resources;
};
/* ret_risk->seen is owned by the caller. */
void risk_read(struct flow *f, const struct risk_of *of, int64_t now_ms,
	       struct risk *ret_risk);
/* Whether each detector that monitoring (of a class, NULL for none) names was
 * heard from within its time. */
bool detectors_are_heard(struct flow *f, const json_t *monitoring,
			 int64_t now_ms);
void signal_load(struct flow *f, json_t *doc);
/* When detectors were last heard, as it was kept. */
void heard_load(struct flow *f, const json_t *doc);
/* Records heartbeats and drops what has expired. */
void signals_tick(struct flow *f, int64_t now_ms);
/* Decides waiting requests again soon: of this agent, task or target, where
 * they are not NULL. */
void requests_look_again(struct flow *f, const char *agent, const char *task,
			 const char *target);

/* ---- exception.c: break-glass ---- */

void exception_load(struct flow *f, json_t *doc);
/* {"id", "tierCap", "expiresMs", "signers"} of what is in force for a task and
 * reaches tier best, or NULL; owned. */
json_t *exception_for(struct flow *f, const char *task, int tier,
		      int64_t now_ms);
void exceptions_tick(struct flow *f, int64_t now_ms);
json_t *exception_view(const json_t *doc);
/* Adds "uses" to what is shown of an exception: ids of the requests it was used
 * for, the first of them; "usesMore" if there are others. */
void exception_show_uses(const struct flow *f, json_t *shown);

/* ---- escalate.c: silence of a group that is asked ---- */

/* Watches over the silence of whom a waiting request asks. */
void escalation_watch(struct request *r);
/* The group that may sign in the place of group, or NULL: as the request's
 * document says, as the manifests say now, and as the class said when the task
 * was opened. */
const char *escalation_of(const struct flow *f, const struct task *task,
			  const json_t *doc, const char *group);

/* ---- quota.c ---- */

/* Answers 429 and says true if the agent is over this quota. */
bool quota_tasks_over(struct flow *f, const char *agent, struct reply_to reply);
bool quota_requests_over(struct flow *f, const char *agent,
			 struct reply_to reply);
/* Takes one of the requests of this minute. */
bool quota_rate_over(struct flow *f, const char *agent, struct reply_to reply);
bool quota_record_over(struct flow *f, const struct task *t, size_t bytes,
		       struct reply_to reply);
/* A call beyond a limit: counted, answered with 429; ret is true. */
bool quota_refuse(struct flow *f, const char *who, int64_t retry_s,
		  const char *detail, struct reply_to reply);
/* One task or request more (1) or less (-1). */
void quota_count_task(struct flow *f, const char *agent, int by);
void quota_count_request(struct flow *f, const char *agent, int by);
void quotas_free(struct map *quotas);

/* ---- prune.c: what is absent from a change is removed ---- */

/*
 * The inventory as a change with prune leaves it: at first, when what leaves
 * stands there without power until all it holds has ended, or in the end.
 * Owned object of "Kind/name" to manifest.
 */
json_t *prune_merged(const struct flow *f, const json_t *manifests, bool first);
/* all without what leaves already and is not among manifests; owned. */
json_t *prune_without_leaving(const struct flow *f, const json_t *all,
			      const json_t *manifests);
/* Appends the rows of the diff: of the manifests, with agents that lose their
 * owner suspended, and of what is removed. */
void prune_describe(const struct flow *f, const json_t *manifests,
		    json_t *diff);
/* {"tasks", "grants"}: how many end first; owned. */
json_t *prune_ends(struct flow *f, const json_t *manifests);
/* Notes in a change that is applied what leaves with it ("leaving"); its state
 * is then "ending" until that is gone. */
void prune_note(const struct flow *f, json_t *doc);
/* What a change brings does not leave any more. */
void prune_come_back(struct flow *f, struct evidence_txn *t,
		     const json_t *manifests);
/* Ends the tasks of what leaves, and of agents that lost their owner. */
void prune_begin(struct flow *f, json_t *doc);
void prune_load(struct flow *f, json_t *doc);
/* Removes what has ended. */
void prune_tick(struct flow *f);
bool is_leaving(const struct flow *f, enum manifest_kind kind,
		const char *name);
/* One row of a change's diff; owned. */
json_t *change_row(const struct inventory *inv, const json_t *manifest);

/* ---- inventory.c, policy.c ---- */

/* While there has been only one administrator there is nobody else to ask. */
bool is_bootstrap(const struct flow *f);
/* Exchanges the snapshot and what follows from it: trust, world, links. */
MUST_USE int inventory_swap(struct flow *f, struct inventory *owned);
/* Builds the bundle of a PolicyBundle's spec.  Errors: ERR_SYNTAX with the
 * first fault. */
MUST_USE int policy_build(const json_t *spec,
			  struct policy_bundle **ret_bundle);
/* The digest of the bundle of a PolicyBundle's spec. */
void policy_spec_digest(const json_t *spec, char text[DIGEST_TEXT_LEN]);
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

/* ---- erase.c ---- */

/* A copy of manifests without what they say of people; owned. */
json_t *without_people(const json_t *manifests);
/* One leaf for each Human of manifests, sealed for that human alone, so that it
 * can be erased by itself.  about: id of the change, or NULL; change: its leaf.
 * Errors: those of evidence_leaf(). */
MUST_USE int people_leaves(struct evidence_txn *t, const json_t *manifests,
			   const char *about, uint64_t change);

/* A setting that an erasure left: one that waits for its second signature, or
 * one whose files have not been rewritten. */
void erasure_load(struct flow *f, json_t *doc);

/* ---- simulate.c: past decisions made again ---- */

/* What a decision's leaf keeps, sealed, so that it can be made again: the ask
 * with what it does not say itself; owned. */
json_t *replay_facts(const struct flow *f, const struct decided *d);
/* Notes which inventory decides from now on.  entities: of all of it. */
void replay_note_world(struct flow *f, const json_t *entities);
/* Ends what is under way, without an answer. */
void replaying_free(struct flow *f);

/* ---- flow.c ---- */

void record_degraded(struct flow *f, bool on, const char *why);

/* ---- drill.c ---- */

/* A drill that a stop has cut short: what it left is removed. */
void drill_load(struct flow *f, json_t *doc);
void drills_free(struct flow *f);
/* Begins the drills that targets want repeated and that are due. */
void drills_tick(struct flow *f, int64_t now_ms);

/* Whether a drill of this build passed within the target's days. */
bool drill_passed(const struct flow *f, const char *target, const char *action,
		  int64_t now_ms);
