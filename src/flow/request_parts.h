/*
 * What the files of a request's life share, and nobody else calls.
 */
#pragma once

#include "flow/state.h"

enum {
	REQUEST_ATTEMPTS_MAX = 3,	 /* plans again before giving up */
	REQUEST_WAIT_MAX_MS = 30 * 1000, /* longest a call is kept waiting */
};

/* ---- request.c ---- */

/* A request with this document, in state planning. */
struct request *request_new(struct flow *f, json_t *owned_doc);
/* Puts a new one among those of its task. */
void request_enter_task(struct request *r);
/* Its task; ret_fault: why that may not carry it now, or NULL.  NULL, with a
 * fault, if it is gone. */
const struct task *request_task(const struct request *r,
				const char **ret_fault);
/* A transaction for it. */
struct evidence_txn *request_begin(struct request *r);
/* Whose data the private parts of its leaves are; owned. */
char *request_subject(const struct request *r);
/* A commit of its document is durable: tell, and drop what has ended. */
void request_told(void *cookie);
/* Answers by a document; reading: a denial is then no refusal. */
void request_tell_doc(const json_t *doc, enum request_state state, bool reading,
		      struct reply_to reply);

/* The same for what is armed: it goes on by itself, and nobody is told yet. */
void request_armed_durable(void *cookie);
/* Waits for an end; reading as in request_tell_doc(). */
void request_wait_for(struct request *r, int64_t wait_ms, bool reading,
		      struct reply_to reply);
/* Whether the time for carrying it out is over. */
bool request_has_expired(const struct request *r);

/* The place is what the request changes: one effect at a time on it. */
bool request_place_is_taken(const struct request *r);
void request_take_place(struct request *r);
void request_leave_place(struct request *r);

/* ---- request_decide.c ---- */

/* Takes the decision into the document. */
void request_keep_decision(struct request *r, const struct decided *d);
void request_decision_leaf(struct request *r, struct evidence_txn *t,
			   const struct decided *d);
/* Ends r as failed, "too-large", if the leaf of this decision could not be
 * built; false if it can. */
bool request_refuse_large(struct request *r, const struct decided *d);
/* What routes lead to: each records the decision and tells. */
void request_deny(struct request *r, const struct decided *d);
void request_advise(struct request *r, const struct decided *d);
void request_ask_people(struct request *r, const struct decided *d);
/* Fixes the time after which its plan may not run. */
void request_set_not_after(struct request *r, const struct task *task);
/* Starts the timer that ends its waiting. */
void request_set_expiry(struct request *r, const struct task *task);

/* ---- request_plan.c ---- */

/* What it refers to has been looked up: decides on that, then plans. */
void request_looked_up(struct request *r);
/* Goes on with what stopped halfway, once its target is there; a timer. */
void request_resume(void *cookie);

/* Nothing can be had of the target or the log now: denied, with when to come
 * again. */
void request_unavailable(struct request *r, const char *detail);

/* ---- request_read.c ---- */

/* Whether doc asks for something that tells and changes nothing. */
bool request_reads(const json_t *doc);
/* Notes whose data the account is that is asked about: "human:NAME" or
 * "agent:NAME", where the inventory knows. */
void request_note_concerned(struct request *r, const char *account);
/* Asks t, decides on what it says and tells it; r is busy. */
void request_ask_target(struct request *r, const struct target *t);

/* ---- request_effect.c ---- */

/* Whether it asks for something that is lent. */
bool request_lends(const struct request *r);

/* "request", or "end" for taking back what a request placed. */
const char *request_purpose(const struct request *r);
/* Arms the plan and carries it out. */
void request_arm(struct request *r, const struct decided *d);
/* Nobody can tell what came of it: recorded, then read until it is known. */
void request_become_unknown(struct request *r, const char *reason,
			    const char *detail);
/* Looks at an unknown outcome; a timer. */
void request_reread(void *cookie);
