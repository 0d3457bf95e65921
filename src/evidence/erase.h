/*
 * Erasing a data subject: its data keys and sealed parts go, with the salts
 * that are sealed in them.  Leaves stay as they are: their commitments say
 * nothing any more, and every proof still verifies.
 */
#pragma once

#include "evidence/evidence.h"

/* What is kept of whom, beside payloads. */
struct evidence_subject {
	const char *subject; /* as of payload parts, such as "human:alice" */
	const char *caller;  /* whose replies are kept, or NULL */
	const char *human;   /* to whom notices are on their way, or NULL */
};

/*
 * Adds it to a transaction, which becomes durable as a whole and is then, and
 * before its done is called, followed by a rewriting of the database's files:
 * so that done says they hold nothing of it.
 */
void evidence_erase(struct evidence_txn *t,
		    const struct evidence_subject *subject);

/* Only the rewriting, for one that a stop cut short. */
void evidence_scrub(struct evidence_txn *t);

/* How many parts are sealed for a subject.  Errors: those of the store. */
MUST_USE int evidence_parts_of(struct evidence *e, const char *subject,
			       uint64_t *ret_count);
