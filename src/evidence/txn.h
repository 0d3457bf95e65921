/*
 * Inside the evidence layer: a transaction as a list of things to write.  It is
 * built on the loop and read by the writer's thread; all text and bytes lie in
 * one buffer.
 */
#pragma once

#include "crypto/merkle.h"
#include "crypto/seal.h"
#include "store/outbox.h"

struct evidence;

enum op_kind {
	OP_LEAF,
	OP_TILE,
	OP_PUT,
	OP_DELETE,
	OP_REPLY,
	OP_SEEN,
	OP_SUBJECT,
	OP_PAYLOAD,
	OP_CHECKPOINT,
	OP_COSIGNATURE,
	OP_COSIGNATURES_DROP,
	OP_ERASE,
	OP_OUTBOX,
};

/* A piece of the transaction's buffer; what is text has a NUL after it. */
struct span {
	size_t at;
	size_t len;
	bool is_set;
};

struct op {
	enum op_kind kind;
	unsigned number; /* leaf kind, level, noun, part, key number or act */
	uint64_t index;	 /* of a leaf, tile or checkpoint */
	int64_t at_ms;	 /* when, or until when */
	struct digest digest;
	struct span name;  /* about, id, scope, subject */
	struct span bytes; /* body, hashes, document, key, sealed, note */
	struct span about; /* of a reply */
	struct span values[STORE_COLUMNS_MAX];
};

/* A subject's data key. */
struct data_key {
	struct data_key *next; /* in a transaction */
	char *subject;
	char *name; /* "subject#number" */
	uint64_t used;
	uint8_t key[SEAL_KEY_LEN];
};

struct evidence_txn {
	struct evidence_txn *next; /* in a queue */
	struct evidence *evidence;
	struct buf bytes;
	struct op *ops; /* owned */
	size_t op_count;
	size_t op_capacity;
	unsigned leaf_count;
	uint64_t stamp; /* the leaf that documents are stamped with */
	struct merkle_frontier frontier; /* after it, if it has leaves */
	struct data_key *keys;		 /* made for it */
	bool tells;			 /* changes the outbox */
	bool scrubs;			 /* the files are rewritten after it */
	int failed; /* an error that leaves only evidence_abandon() */
	void (*done)(void *cookie);
	void *cookie;
};

struct evidence_txn *txn_new(struct evidence *e);
void txn_free(struct evidence_txn *t);

/* Appends an operation, all zero; valid until the next one. */
struct op *txn_op(struct evidence_txn *t, enum op_kind kind);

/* Copy into the transaction's buffer; text may be NULL. */
struct span txn_put(struct evidence_txn *t, struct slice bytes);
struct span txn_put_text(struct evidence_txn *t, const char *text);
/* What was put straight into bytes since mark. */
struct span txn_span_since(struct evidence_txn *t, size_t mark);

/* Writes a transaction's operations.  Errors: those of the store. */
MUST_USE int txn_apply(struct store *s, const struct evidence_txn *t);

void data_key_free(struct data_key *k);
