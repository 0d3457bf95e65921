/*
 * Inside the evidence layer: the client of the log's witnesses (C2SP
 * tlog-witness).  What is published is shown to every witness of the policy;
 * their cosignatures are verified, stored, and published with the checkpoint.
 *
 * All are shown the same checkpoint, a round, until the quorum is there; then
 * the newest one.  A witness that says it has seen another log than ours, or
 * more of it, stops arming: somebody has gone back, or forked.
 */
#pragma once

#include "evidence/evidence.h"

struct witnesses;

/* Takes up what is stored.  Errors: those of the store. */
MUST_USE int witnesses_open(struct evidence *e, struct witnesses **ret);
/* Ends what is under way; nobody is called any more.  Accepts NULL. */
void witnesses_close(struct witnesses *w);

/* Something was published: shows it to them when it is time. */
void witnesses_advance(struct witnesses *w);

/* Appends the cosignature lines there are for the checkpoint of size. */
void witnesses_put_lines(const struct witnesses *w, uint64_t size,
			 struct buf *b);

/* The newest checkpoint with a quorum of cosignatures; empty before the first.
 * Valid until the loop's next turn. */
struct slice witnesses_note(const struct witnesses *w, uint64_t *ret_size);

/* What evidence_witness_report() says. */
json_t *witnesses_report(const struct witnesses *w);

/* What evidence_when_receipt() does. */
void witnesses_await(struct witnesses *w, uint64_t index,
		     enum receipt_strength strength, int64_t timeout_ms,
		     evidence_receipt_fn fn, void *cookie);
/* What evidence_give_up() does. */
void witnesses_give_up(struct witnesses *w, const char *why);
