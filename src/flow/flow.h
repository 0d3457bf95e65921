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
	int64_t record_bytes;	/* of one task */
	int64_t secret_seconds; /* in which what was lent is taken */
};

struct flow_config {
	struct loop *loop;
	struct evidence *evidence;
	struct evidence_keeper *keeper; /* of that log; outlives the flow */
	const char *origin;
	const char *audience; /* of agents' tokens */
	const char *issuer; /* "iss" of tokens that are lent; NULL: audience */
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

/* What of "lookups" can be seen before anything runs: URLs, tokens, CAs.
 * rules: may be NULL.
 * Errors: ERR_SYNTAX, ERR_IO, ERR_NOT_FOUND, ERR_LIMIT, ERR_REFUSED (a token is
 * open to others). */
MUST_USE int flow_check_lookups(const json_t *rules);

/*
 * Loads the state, begins the log if it is empty, starts connectors and takes
 * up what a stop left open.
 *
 * Errors: ERR_IO, ERR_CORRUPT (state that does not fit together), ERR_SYNTAX
 * (the bundle or a manifest no longer loads), ERR_NOT_FOUND (nothing to begin
 * with), and those of flow_check_lookups() and notify_check().
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
	ANSWER_MALFORMED, /* a signed form is not in its form; body: "errors" */
	ANSWER_UNPROVED,  /* who asks is not proved */
	ANSWER_DENIED,	  /* policy or its own rules say no */
	ANSWER_NOT_FOUND, /* no such thing, or not for this caller */
	ANSWER_CONFLICT,  /* not in this state */
	ANSWER_MISMATCH,  /* idempotency key used for another body */
	ANSWER_BUSY,	  /* try again later */
	ANSWER_UNAVAILABLE, /* degraded or closing */
	ANSWER_FULL,	    /* the disk is full: nothing new is taken */
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
	/* What the token may be for, NULL-terminated; it names one of them and
	 * nobody else.  NULL: it names, perhaps among others, the authority's
	 * own audience. */
	const char *const *audiences;
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

/* body: {"class", "intent", "targets", "ttl"?, "lease"?}, checked for shape. */
void flow_task_open(struct flow *f, const struct caller *caller,
		    const struct acting *acting, const json_t *body,
		    struct reply_to reply);
void flow_task_complete(struct flow *f, const struct caller *caller,
			const char *task, struct reply_to reply);
/* Renews the lease of the caller's task. */
void flow_task_lease(struct flow *f, const struct caller *caller,
		     const char *task, struct reply_to reply);
/* body: {"effects": [{"target", "action", "object"?, "count"?, "note"?}]}: what
 * the agent did with what it was lent; a key is not required. */
void flow_task_report(struct flow *f, const struct caller *caller,
		      const struct acting *acting, const char *task,
		      const json_t *body, struct reply_to reply);
/*
 * An agent hands a part of its open task to another agent, as a task of that
 * one, which lies within it in all respects and ends with it.
 *
 * body: {"agent", "intent", "actions", "targets", "ttl"?, "class"?}, checked
 * for shape; without a class it is that of task.
 */
void flow_task_delegate(struct flow *f, const struct caller *caller,
			const struct acting *acting, const char *task,
			const json_t *body, struct reply_to reply);
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
/* What a request lent, once, to the agent that asked for it: the answer comes
 * after the leaf that tells so. */
void flow_secret(struct flow *f, const struct caller *caller,
		 const char *request, int64_t wait_ms, struct reply_to reply);
void flow_request_rollback(struct flow *f, const struct caller *caller,
			   const struct acting *acting, const char *request,
			   const json_t *body, int64_t wait_ms,
			   struct reply_to reply);
/* The decision a request would get, without the target and without effect. */
void flow_explain(struct flow *f, const struct caller *caller,
		  const json_t *body, struct reply_to reply);

/* ---- credentials that Writ signs itself: docs/credentials.md ---- */

/*
 * What an access token is worth now (RFC 7662, 2.2): ANSWER_OK with
 * {"active": true, "scope", "client_id", ...}, or {"active": false} alone: also
 * for who is neither a verifier of the token's target nor the agent it was lent
 * to.  An ended token that is shown is an incident.
 */
void flow_introspect(struct flow *f, const struct caller *caller,
		     const char *token, struct reply_to reply);
/*
 * Ends what was lent (RFC 7009, 2): token, certificate's or token's id
 * ("crd_...").  By the agent that it was lent to, or a verifier of its target.
 * ANSWER_OK also for what is no credential; ANSWER_DENIED "not-yours" for
 * anybody else's.
 */
void flow_token_revoke(struct flow *f, const struct caller *caller,
		       const char *token, struct reply_to reply);
/* What is asked of the token endpoint; NULL where nothing is said. */
struct token_ask {
	const char *request;  /* id of what was asked before */
	const char *resource; /* URL of whom the token is for */
	const char *audience; /* the same, or the name of its Target */
	const char *scope;    /* a role of the Target */
	const json_t *detail; /* of authorization_details: the one */
	const json_t *cnf;    /* what the token is bound to */
	const char *subject;  /* a token of the task above */
	const char *ttl;      /* duration */
	int64_t not_after_ms; /* wall clock; 0: does not matter */
};

/*
 * A token for its caller: a request of IssueCredential, made anew or redeemed
 * by its id, with its route.  docs/oauth.md tells what is meant where nothing
 * is said.
 *
 * ANSWER_OK as flow_secret() has it.  ANSWER_WAITING and ANSWER_DENIED have the
 * request.  ANSWER_INVALID has one of the codes "which-task", "no-task",
 * "task", "target", "scope", "details", "binding", "ttl", "subject", "request";
 * ANSWER_CONFLICT "expired", "failed", "taken", "lost", "ended",
 * "not-lent".
 */
void flow_token(struct flow *f, const struct caller *caller,
		const struct token_ask *ask, struct reply_to reply);

/* Whether an agent is known to others by this name: one of its SPIFFE IDs, or
 * its "sub" in tokens. */
bool flow_agent_is(const struct flow *f, const char *agent, const char *id);

/* Counts a call that was refused before anything was asked.  class: static. */
void flow_count_refusal(struct flow *f, const char *class);
/* An agent's assertion or proof came again: a leaf, once a minute of an agent.
 * what: "assertion", "proof" or "redemption". */
void flow_replay(struct flow *f, const struct caller *caller, const char *what);

/* Somebody showed a bearer token where it is not taken: if it is one of ours
 * that has ended, that is an incident. */
void flow_token_shown(struct flow *f, struct slice token);

/*
 * The list of revoked SSH certificates whose time is not over, in OpenSSH's
 * form.  ret_list: borrowed, until something is called that may change it.
 * ret_version: changes when the list does.
 * Errors: ERR_UNAVAILABLE (the keeper issues no certificates), ERR_LIMIT.
 */
MUST_USE int flow_ssh_krl(struct flow *f, struct slice *ret_list,
			  uint64_t *ret_version);
/* The keys that verify certificates and tokens: {"keys": [lines for
 * TrustedUserCAKeys]}, and a JWK Set; borrowed, NULL for a keeper that issues
 * nothing. */
const json_t *flow_ssh_authorities(const struct flow *f);
const json_t *flow_jwks(const struct flow *f);

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
/* Ends a grant before its time, whatever holds it; answers with it while its
 * end is under way. */
void flow_grant_end(struct flow *f, const char *grant,
		    const json_t *signed_form, struct reply_to reply);
void flow_drill(struct flow *f, const char *target, const json_t *signed_form,
		struct reply_to reply);
void flow_activate(struct flow *f, const char *bundle,
		   const json_t *signed_form, struct reply_to reply);
/* subject: "human:NAME" or "agent:NAME"; two administrators sign. */
void flow_erase(struct flow *f, const char *subject, const json_t *signed_form,
		struct reply_to reply);
/* Erasures that wait for a signature; for administrators and auditors. */
void flow_erasures(struct flow *f, const struct caller *caller,
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

/* What whoever is proved may know of a target: {"name", "plane", "up", "lends":
 * "login", "token" or "ssh", absent where it lends nothing; "audience",
 * "hosts"}. */
void flow_target(struct flow *f, const char *name, struct reply_to reply);
/* A page of the accounts and groups that a target holds, for administrators:
 * {"target", "accounts": [...], "next"}, see docs/connector-protocol.md; each
 * account that the inventory has says so in "inventory".  cursor: "next" of the
 * page before, NULL for the first.  limit: 1 to 1000. */
void flow_discover(struct flow *f, const struct caller *caller,
		   const char *target, const char *cursor, int64_t limit,
		   struct reply_to reply);

/* Health: owned.  Without details nothing that a stranger may not know. */
json_t *flow_health(struct flow *f, bool details);
