/*
 * Flow carries requests through their life.  It owns all live state, asks
 * govern what is next and puts things in motion: policy, evidence, connectors.
 *
 * Everything runs on the loop's thread.  An answer comes once what it says is
 * durable.  Flow knows nothing of HTTP: it answers in the words below, and the
 * api layer has one table that turns them into statuses.
 */
#pragma once

#include "base/json.h"
#include "base/loop.h"
#include "evidence/evidence.h"
#include "identity/statement.h"
#include "identity/svid.h"
#include "net/transfer.h"

struct flow;

struct flow_connector {
	const char *target;	    /* name of a Target */
	const char *const *command; /* NULL-terminated */
	int64_t timeout_ms;	    /* for plan, apply and read; 0: their own */
	const char *const *read_command; /* reads back from tier 2; or NULL */
};

/* What one agent may have at once; an Agent's own limits come first.  0: the
 * default. */
struct flow_limits {
	int64_t open_tasks;
	int64_t open_requests;
	int64_t requests_per_minute;
	int64_t record_bytes; /* of one task */
};

struct flow_config {
	struct loop *loop;
	struct evidence *evidence;
	const char *origin;
	const char *audience; /* of agents' tokens */
	const struct flow_connector *connectors;
	size_t connector_count;
	const json_t *notify;	     /* of writd.yaml, checked; or NULL */
	const json_t *lookups;	     /* the same */
	const json_t *bootstrap;     /* {"admin", "key", "timezone"}; NULL once
					the log has begun */
	const json_t *policy_bundle; /* spec of the first PolicyBundle */
	struct transfers *transfers; /* for what is fetched; outlives it */
	const char *folder;	     /* where fetched trust is kept; copied */
	struct flow_limits limits;
};

/*
 * Loads the state, begins the log if it is empty, starts connectors and takes
 * up what a stop left open.
 *
 * Errors: ERR_IO, ERR_CORRUPT (state that does not fit together), ERR_SYNTAX
 * (the bundle or a manifest no longer loads), ERR_NOT_FOUND (nothing to begin
 * with).
 */
MUST_USE int flow_open(const struct flow_config *config,
		       struct flow **ret_flow);

/* A condition of the evidence that stops arming came or went (why: its words,
 * when it came): it gets a leaf.  Nothing happens while the flow closes. */
void flow_degraded(struct flow *f, bool on, const char *why);

/* Stops arming and planning; what is in flight ends or is found at the next
 * start.  done runs when no connector has a call in its hands. */
void flow_drain(struct flow *f, void (*done)(void *cookie), void *cookie);
void flow_close(struct flow *f);
DEFINE_CLEANUP(struct flow *, flow_close)

/* ---- answers ---- */

enum answer_kind {
	ANSWER_OK,
	ANSWER_CREATED,
	ANSWER_WAITING,	  /* accepted, not ended: body says what it waits for */
	ANSWER_INVALID,	  /* the call is wrong, nothing was done */
	ANSWER_UNPROVED,  /* who asks is not proved */
	ANSWER_DENIED,	  /* policy or its own rules say no */
	ANSWER_NOT_FOUND, /* no such thing, or not for this caller */
	ANSWER_CONFLICT,  /* not in this state */
	ANSWER_MISMATCH,  /* idempotency key used for another body */
	ANSWER_BUSY,	  /* try again later */
	ANSWER_UNAVAILABLE, /* degraded or closing */
	ANSWER_LIMITED,	    /* over a quota; body has "retryAfter", seconds */
	ANSWER_KIND_COUNT,
};

struct answer {
	enum answer_kind kind;
	const char *code;   /* machine-readable word; NULL for OK .. WAITING */
	const char *detail; /* a sentence for the person */
	json_t *body;	    /* borrowed during the call; NULL for none */
};

typedef void (*answer_fn)(void *cookie, const struct answer *answer);

/* Where an answer goes. */
struct reply_to {
	answer_fn fn;
	void *cookie;
};

/* ---- who asks ---- */

enum caller_kind { CALLER_NOBODY, CALLER_AGENT, CALLER_HUMAN };

struct caller {
	enum caller_kind kind;
	char name[64];
	char jti[128]; /* of the agent's token, "" if it has none */
	int64_t expires_ms;
	const char *attested_by; /* static: "token", "certificate"; or NULL */
};

/* What a caller shows of itself. */
struct proof {
	struct slice bearer;	   /* empty: none */
	const struct slice *chain; /* certificates of the TLS peer in DER, its
				      own first; the peer holds its key */
	size_t chain_count;	   /* 0: none */
};

/*
 * Proves who calls: an agent by JWT-SVID, OIDC token or X.509-SVID, a human by
 * a session.  A token and a certificate at once must be of the same agent.
 * ret_class: reason class when it is refused, static text.
 */
bool flow_prove(struct flow *f, const struct proof *proof,
		struct caller *ret_caller, const char **ret_class);

/* Idempotency-Key and body of an acting call. */
struct acting {
	const char *route; /* scope of the key with the caller */
	const char *key;   /* NULL for none */
	struct digest body;
};

/* ---- agents ---- */

/* body: {"class", "intent", "targets", "ttl"}, checked for shape. */
void flow_task_open(struct flow *f, const struct caller *caller,
		    const struct acting *acting, const json_t *body,
		    struct reply_to reply);
void flow_task_complete(struct flow *f, const struct caller *caller,
			const char *task, struct reply_to reply);
/* body: {"kind", "content", "tool"?}; a key is not required. */
void flow_task_attach(struct flow *f, const struct caller *caller,
		      const struct acting *acting, const char *task,
		      const json_t *body, struct reply_to reply);

/* body: {"task", "action", "target", "resource", "parameters", "mode", "ttl"}.
 * wait_ms: how long the caller would wait for an end. */
void flow_request_create(struct flow *f, const struct caller *caller,
			 const struct acting *acting, const json_t *body,
			 int64_t wait_ms, struct reply_to reply);
void flow_request_wait(struct flow *f, const struct caller *caller,
		       const char *request, int64_t wait_ms,
		       struct reply_to reply);
void flow_request_cancel(struct flow *f, const struct caller *caller,
			 const char *request, struct reply_to reply);
void flow_request_rollback(struct flow *f, const struct caller *caller,
			   const struct acting *acting, const char *request,
			   const json_t *body, int64_t wait_ms,
			   struct reply_to reply);
/* The decision a request would get, without the target and without effect. */
void flow_explain(struct flow *f, const struct caller *caller,
		  const json_t *body, struct reply_to reply);

/* ---- humans: each takes a signed form ---- */

void flow_login(struct flow *f, const json_t *signed_form,
		struct reply_to reply);
void flow_sign(struct flow *f, const char *request, const json_t *signed_form,
	       struct reply_to reply);
void flow_adopt(struct flow *f, const char *request, const json_t *signed_form,
		struct reply_to reply);
void flow_resolve(struct flow *f, const char *request,
		  const json_t *signed_form, struct reply_to reply);
void flow_vouch(struct flow *f, const json_t *signed_form,
		struct reply_to reply);
void flow_contain(struct flow *f, const json_t *signed_form,
		  struct reply_to reply);
void flow_release(struct flow *f, const char *containment,
		  const json_t *signed_form, struct reply_to reply);
void flow_drill(struct flow *f, const char *target, const json_t *signed_form,
		struct reply_to reply);
void flow_activate(struct flow *f, const char *bundle,
		   const json_t *signed_form, struct reply_to reply);
/* subject: "human:NAME" or "agent:NAME"; two administrators sign. */
void flow_erase(struct flow *f, const char *subject, const json_t *signed_form,
		struct reply_to reply);
void flow_disclose(struct flow *f, uint64_t leaf, const json_t *signed_form,
		   struct reply_to reply);

/* Break-glass for one task: the first signature proposes, others under the same
 * terms add to it. */
void flow_exception_sign(struct flow *f, const json_t *signed_form,
			 struct reply_to reply);
void flow_exception_revoke(struct flow *f, const char *exception,
			   const json_t *signed_form, struct reply_to reply);

/* The outbox: what waits and what nobody took, for those who look after it. */
void flow_notifications(struct flow *f, const struct caller *caller,
			const char *state, struct reply_to reply);
/* A signed retry or drop of one notice. */
void flow_notification_act(struct flow *f, const char *notification,
			   const json_t *signed_form, struct reply_to reply);

/* Looks what a set of manifests would change.  prune: what is not in it is
 * removed. */
void flow_change_preview(struct flow *f, const json_t *manifests, bool prune,
			 struct reply_to reply);
/* Proposes it with a first signature; applied at once where one is enough. */
void flow_change_propose(struct flow *f, const json_t *manifests, bool prune,
			 const json_t *signed_form, struct reply_to reply);
void flow_change_sign(struct flow *f, const char *change,
		      const json_t *signed_form, struct reply_to reply);

/* ---- detectors ---- */

/* A signed signal or heartbeat. */
void flow_signal(struct flow *f, const json_t *signed_form,
		 struct reply_to reply);

/* ---- reading ---- */

enum view {
	VIEW_TASK,
	VIEW_REQUEST,
	VIEW_GRANT,
	VIEW_CHANGE,
	VIEW_CONTAINMENT,
	VIEW_APPROVAL, /* requests that wait for this human */
	VIEW_SIGNAL,   /* live ones */
	VIEW_EXCEPTION,
	VIEW_COUNT,
};

/* The part of a list that is wanted. */
struct page {
	const char *state; /* NULL for all */
	const char *after; /* the id that the last page ended with, or NULL */
	unsigned limit;	   /* rows; 0 for the most there are on one page */
};
enum { PAGE_MAX = 500 };

/* One thing, or (id NULL) a list's first page, by state where it is not NULL.
 */
void flow_view(struct flow *f, const struct caller *caller, enum view view,
	       const char *id, const char *state, struct reply_to reply);
/* What of a list this caller may read, in order of id; "next" in the answer is
 * what the next page comes after, if there may be one.  A page can have fewer
 * rows than its limit and yet not be the last. */
void flow_list(struct flow *f, const struct caller *caller, enum view view,
	       const struct page *page, struct reply_to reply);
/* Whether a view has things in this state. */
bool flow_view_has_state(enum view view, const char *state);
void flow_inventory(struct flow *f, const struct caller *caller,
		    const char *kind, const char *name, struct reply_to reply);
void flow_inventory_list(struct flow *f, const struct caller *caller,
			 const char *kind, const struct page *page,
			 struct reply_to reply);
void flow_policy(struct flow *f, const struct caller *caller,
		 struct reply_to reply);
/*
 * Makes past decisions again with another bundle, for administrators and
 * auditors; a leaf says that their facts were read.
 *
 * body: {"bundle": name of a staged one, or "files": as in a PolicyBundle;
 *   "from"?, "to"?: leaves, "limit"?: decisions}, checked for shape.
 */
void flow_simulate(struct flow *f, const struct caller *caller,
		   const json_t *body, struct reply_to reply);
/* Makes the last decision of a request again, with the bundle that made it. */
void flow_request_replay(struct flow *f, const struct caller *caller,
			 const char *request, struct reply_to reply);
enum { SIMULATE_MAX = 1000 }; /* decisions of one call */
void flow_leaf(struct flow *f, const struct caller *caller, uint64_t index,
	       struct reply_to reply);

/* A page of the accounts and groups that a target holds, for administrators:
 * {"target", "accounts": [...], "next"}, see docs/connector-protocol.md; each
 * account that the inventory has says so in "inventory".  cursor: "next" of the
 * page before, NULL for the first.  limit: 1 to 1000. */
void flow_discover(struct flow *f, const struct caller *caller,
		   const char *target, const char *cursor, int64_t limit,
		   struct reply_to reply);

/* Health: owned.  Without details nothing that a stranger may not know. */
json_t *flow_health(struct flow *f, bool details);
