/*
 * What opening a task and delegating a part of one share, and nobody else
 * calls.
 */
#pragma once

#include "flow/state.h"

/* The planes of targets, owned; NULL if there is no such target, whose name is
 * then in ret_missing. */
json_t *task_planes(const struct flow *f, const json_t *targets,
		    const char **ret_missing);
/* The document of a task of caller that body asks for; owned. */
json_t *task_doc_new(struct flow *f, const struct caller *caller,
		     const json_t *body, json_t *planes, int64_t now_ms,
		     int64_t ttl_s);
/* Facts of what touches no target, at their best; what the chain is, is the
 * caller's to say. */
void task_open_facts(struct facts *facts, int64_t now_ms, int64_t ttl_s,
		     const json_t *planes);
/* What detectors say of doc's agent, and whether those of its class live. */
void task_open_signals(struct flow *f, const json_t *doc, int64_t now_ms,
		       struct facts *facts);
/* A leaf about doc, noted in it. */
void task_leaf(struct evidence_txn *t, json_t *doc, const char *event,
	       struct leaf_ref *ret_leaf);
/* Takes a document into memory. */
struct task *task_new(struct flow *f, json_t *owned_doc);
void task_schedule_expiry(struct task *t);

/* A call that opens nothing; all borrowed but the decision. */
struct task_denial {
	const char *action; /* "OpenTask" or "Delegate" */
	const char *says;   /* to the caller */
	const json_t *doc;  /* of the task it would have been */
	const json_t *ask;
	const json_t *policies;
	json_t *decision; /* owned */
};

/* Records and answers it; the call's key stands for it. */
void task_deny(struct flow *f, const struct caller *caller,
	       const struct acting *acting, const struct task_denial *denial,
	       struct reply_to reply);
/* Answers a repeated or misused key; false if the call is new.  says: that of a
 * denial. */
bool task_answered_by_key(struct flow *f, const struct caller *caller,
			  const struct acting *acting, const char *says,
			  struct reply_to reply);
