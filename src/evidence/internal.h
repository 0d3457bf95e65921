/* Inside the evidence layer: what its files share. */
#pragma once

#include "evidence/evidence.h"
#include "evidence/keeper.h"
#include "evidence/tree.h"
#include "evidence/txn.h"
#include "evidence/vault.h"
#include "evidence/witness.h"
#include "evidence/writer.h"

/* Conditions that must stop arming; the bits of evidence.trouble. */
enum {
	TROUBLE_DISK = 1,
	TROUBLE_KEEPER = 2,
	TROUBLE_WITNESS = 4,
	TROUBLE_START = 8, /* the witnesses have not been heard yet */
};

struct waiter {
	uint64_t index;
	void (*fn)(void *cookie, struct slice note, uint64_t size);
	void *cookie;
};

struct waiters {
	struct waiter *items; /* owned */
	size_t count;
	size_t capacity;
};

struct evidence {
	struct evidence_config config;
	char *folder;
	struct store *reader;
	struct writer *writer;
	struct tree *tree; /* ahead of what is durable */
	struct vault *vault;
	struct evidence_txn *open;
	bool is_open;
	int64_t last_at;    /* time of the last leaf */
	unsigned queued;    /* transactions that are not durable yet */
	uint64_t committed; /* transactions in all */
	bool closing;
	void (*on_outbox)(void *cookie);
	void *outbox_cookie;

	struct merkle_frontier durable;

	/* signer.c */
	bool signing;		     /* the keeper is asked */
	uint64_t asked_size;	     /* for this */
	bool note_waits;	     /* signed is not in the store yet */
	bool note_written;	     /* a transaction with a note is queued */
	uint64_t signed_size;	     /* of signed_note */
	struct buf signed_note;	     /* the newest */
	uint64_t writing_size;	     /* of writing_note */
	struct buf writing_note;     /* on its way into the store */
	uint64_t published_size;     /* of published_note */
	struct buf published_note;   /* in the store */
	struct waiters waiters;	     /* for signatures to come */
	struct waiters ready;	     /* to be called in the next turn */
	struct loop_timer *cadence;  /* for the next signature nobody awaits */
	struct loop_timer *keeping;  /* for the newest note to be stored */
	struct loop_timer *calls;    /* calls those that are ready */
	struct loop_timer *patience; /* while the keeper is asked */
	struct loop_timer *limit;    /* when closing */

	struct witnesses *witnesses;

	unsigned trouble;
	char trouble_why[256];
	struct disclosure *disclosures;
};

void evidence_set_trouble(struct evidence *e, unsigned bit, bool on,
			  const char *why);

/* More is durable: sees what can be signed, stored and published now. */
void signer_advance(struct evidence *e);
void signer_clear(struct evidence *e);
/* True when all that is durable is signed and its note is in the store, or
 * cannot be. */
bool signer_is_done(const struct evidence *e);
