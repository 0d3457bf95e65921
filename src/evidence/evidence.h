/*
 * The evidence log and the durable path.
 *
 * The loop's thread builds a transaction: leaves, state documents, payloads.
 * The leaf's index and hash are known at once; a writer thread puts whatever
 * arrived while the last fsync ran into one SQLite transaction and reports
 * back on the loop.  Order of submission is order of the log.
 *
 * What is not durable is not signed; what is not signed is not published and
 * arms nothing.  A failed write or fsync ends the process (exit status 70);
 * a full disk frees the ballast, lets the batch land, and shows as degraded.
 */
#pragma once

#include "base/json.h"
#include "base/loop.h"
#include "crypto/merkle.h"
#include "crypto/note.h"
#include "evidence/leaf.h"
#include "evidence/witness_policy.h"
#include "store/outbox.h"
#include "store/store.h"

enum {
	EVIDENCE_LEAF_MAX = 16 * 1024,	    /* bytes of a leaf */
	EVIDENCE_PAYLOAD_MAX = 1024 * 1024, /* bytes of a payload part */
	EVIDENCE_QUEUE_MAX = 4096,	    /* transactions waiting */
};

struct evidence;
struct evidence_keeper; /* evidence/keeper.h: the other end of the keeper */
struct transfers;	/* net/transfer.h: outgoing calls */

struct evidence_config {
	const char *folder; /* data folder */
	const char *origin; /* C2SP origin, the log key's name */
	struct loop *loop;
	struct evidence_keeper *keeper; /* ready: hello was answered */
	/* Who cosigns the log's checkpoints, NULL for nobody; with the way to
	 * them.  Both borrowed, and outlive the log. */
	const struct witness_policy *witnesses;
	struct transfers *transfers;
	/* Entering and leaving a condition that must stop arming. */
	void (*degraded)(void *cookie, bool on, const char *why);
	void *cookie;
};

/*
 * Opens the log of an initialised folder: recomputes the root from the leaves,
 * compares with the stored head and with the keeper's last checkpoint.
 *
 * Errors: ERR_CORRUPT (the log does not verify, or is behind or beside what the
 * keeper has signed: a rollback or a fork), ERR_IO, ERR_BUSY, ERR_SYNTAX (the
 * witnesses' policy is for other logs).
 */
MUST_USE int evidence_open(const struct evidence_config *config,
			   struct evidence **ret_evidence);

/*
 * Commits what is queued, signs the last checkpoint, stops the writer.  The
 * loop is run for that, at most 5 s; no callback of this layer comes from here
 * on, but other watches of the loop may fire.
 */
void evidence_close(struct evidence *e);
DEFINE_CLEANUP(struct evidence *, evidence_close)

/* The reading connection of the loop's thread; it sees what is durable. */
struct store *evidence_reader(struct evidence *e);

struct leaf_ref {
	uint64_t index;
	struct digest hash;
};

/* ---- building a transaction: on the loop, one at a time ---- */

struct evidence_txn;

/* Begins; there is at most one open transaction. */
struct evidence_txn *evidence_begin(struct evidence *e);

/* One payload part: what is committed to, and whose data it is. */
struct evidence_part {
	const char *subject; /* data subject, such as "human:alice" */
	const json_t *value; /* any JSON */
};

/*
 * Adds a leaf.
 *
 * about: id of the thing, NULL for none.
 * fields: public members, ownership is taken; NULL for none.
 * parts: borrowed; each is salted, committed to, encrypted and stored.
 * Errors: ERR_LIMIT (leaf or payload too large, more than STORE_PARTS_MAX
 * parts), ERR_SYNTAX (a real number, or a field whose name the leaf itself
 * has), ERR_BUSY (no data key at hand), ERR_CRYPTO.  After an error the
 * transaction can only be abandoned.
 */
MUST_USE int evidence_leaf(struct evidence_txn *t, enum leaf_kind kind,
			   const char *about, json_t *fields,
			   const struct evidence_part *parts, size_t part_count,
			   struct leaf_ref *ret_leaf);

/* State documents; they are stamped with the last leaf of the transaction.
 * doc is borrowed and copied as text at once. */
void evidence_put(struct evidence_txn *t, enum noun noun, const char *id,
		  const json_t *doc);
void evidence_delete(struct evidence_txn *t, enum noun noun, const char *id);
void evidence_reply(struct evidence_txn *t, const char *scope, const char *key,
		    const struct digest *request, const char *about,
		    int64_t expires_ms);
void evidence_seen(struct evidence_txn *t, const char *scope, const char *value,
		   int64_t expires_ms);

/* A change of the outbox; texts are copied. */
void evidence_outbox(struct evidence_txn *t,
		     const struct outbox_change *change);

/*
 * Queues the transaction.  done (may be NULL) runs on the loop once it is
 * durable.  Never fails: what cannot be made durable ends the process.
 */
void evidence_commit(struct evidence_txn *t, void (*done)(void *cookie),
		     void *cookie);

/* How many transactions have been committed, and how many of those are durable,
 * since the start: what was put when the first count was n can be read once the
 * second is n. */
uint64_t evidence_committed(const struct evidence *e);
uint64_t evidence_durable(const struct evidence *e);

/* Drops an open transaction; nothing of it happened. */
void evidence_abandon(struct evidence_txn *t);

/* Calls fn on the loop whenever a change of the outbox has become durable; fn
 * NULL: nobody any more. */
void evidence_on_outbox(struct evidence *e, void (*fn)(void *cookie),
			void *cookie);

/* True when new work must be refused with "busy" (queue full, no data keys) or
 * because the log is degraded. */
bool evidence_is_busy(const struct evidence *e);
/* True when leaves about people whose key is not at hand may not be built now:
 * what can wait comes again a moment later. */
bool evidence_lacks_keys(const struct evidence *e);
bool evidence_is_degraded(const struct evidence *e, const char **ret_why);
/* It is degraded because its disk is full. */
bool evidence_is_full(const struct evidence *e);

/* ---- signed state ---------------------------------------------------------
 */

/*
 * Calls fn on the loop once a checkpoint that covers leaf index is signed.
 * note stays valid during the call.  note is NULL when the keeper refused or is
 * gone: nothing may be armed then.
 */
void evidence_when_signed(struct evidence *e, uint64_t index,
			  void (*fn)(void *cookie, struct slice note,
				     uint64_t size),
			  void *cookie);

/* How strong a receipt is, above the answer's own index and hash. */
enum receipt_strength {
	RECEIPT_SIGNED,	   /* under a checkpoint that is signed and published */
	RECEIPT_WITNESSED, /* and that a quorum of witnesses has cosigned */
};

typedef void (*evidence_receipt_fn)(void *cookie, struct slice note,
				    uint64_t size, const char *why);

/*
 * Calls fn on the loop, once and never from within this, when a checkpoint of
 * that strength covers leaf index: its note, with the cosignatures if they were
 * waited for, valid during the call.  Empty with why when there is none after
 * timeout_ms, or when there are no witnesses: what waits for it must not be
 * carried out then.
 */
void evidence_when_receipt(struct evidence *e, uint64_t index,
			   enum receipt_strength strength, int64_t timeout_ms,
			   evidence_receipt_fn fn, void *cookie);

/*
 * Before the end: who waits for a receipt is called in the loop's next turn as
 * if its time were over, and so is whoever asks from now on.  Afterwards
 * evidence_close() calls nobody.
 *
 * why: static text.
 */
void evidence_give_up(struct evidence *e, const char *why);

/*
 * How it stands with the witnesses: owned, NULL when none are configured.
 *   {"published": size, "witnessed": size, "witnesses": [{"name", "key",
 *    "size", "at": RFC 3339, "why": what is wrong with it}]}
 */
json_t *evidence_witness_report(const struct evidence *e);

/* Inclusion of index in the tree of size (both durable).  Errors: ERR_IO,
 * ERR_NOT_FOUND. */
MUST_USE int evidence_prove(struct evidence *e, uint64_t index, uint64_t size,
			    struct merkle_proof *ret_proof);

/* The latest published note without cosignatures, empty before the first. Valid
 * until the loop's next turn. */
struct slice evidence_checkpoint(const struct evidence *e);
uint64_t evidence_durable_size(const struct evidence *e);
const struct note_vkey *evidence_vkey(const struct evidence *e);

/*
 * The C2SP tlog-tiles path below /log/ ("checkpoint", "tile/0/x001/234",
 * "tile/entries/000.p/17") into b; only what the published checkpoint covers.
 * The checkpoint is the newest, with the cosignatures it has so far;
 * "checkpoint.witnessed" is the newest one with a quorum of them.
 * Errors: ERR_NOT_FOUND, ERR_SYNTAX, ERR_IO.
 */
MUST_USE int evidence_public_file(struct evidence *e, const char *path,
				  struct buf *b, const char **ret_type);

/* A C2SP .tlog-proof of leaf index.  Errors: ERR_NOT_FOUND (no such checkpoint
 * covers it yet). */
MUST_USE int evidence_receipt(struct evidence *e, uint64_t index,
			      enum receipt_strength strength, struct buf *b);

/*
 * Opens payload part of a leaf; fn gets {"salt": base64url, "payload": value},
 * owned, or NULL with why ("erased", "not found", ...).  The caller has already
 * recorded the disclosure where one is due.
 */
void evidence_disclose(struct evidence *e, uint64_t leaf, unsigned part,
		       void (*fn)(void *cookie, json_t *payload,
				  const char *why),
		       void *cookie);

/* SHA-256("evc1" || 0 || salt || payload) as "c:" and base64url; owned. */
char *evidence_commitment(const uint8_t salt[32], struct slice payload);
