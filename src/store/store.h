/*
 * The database: one SQLite file behind typed calls.  Nothing above this layer
 * knows SQL.
 *
 * There is one writing connection, used by one thread alone, which also does
 * the checkpoints of the write-ahead log; reading connections never write.
 * Leaves and checkpoints can be added, never changed or removed: triggers in
 * the schema refuse it.
 *
 * State is kept as documents: a noun's row is its id, a JSON document, the
 * index of the leaf that last changed it, and the noun's look-up columns, which
 * are copied from members of the document of the same names (table in nouns.c).
 * Beside it stands a sum: a row that is not what was written is ERR_CORRUPT.
 */
#pragma once

#include "base/json.h"
#include "crypto/digest.h"

enum noun {
	NOUN_OBJECT,  /* a manifest; id "Kind/name"; by kind */
	NOUN_CHANGE,  /* a proposed change waiting for signatures; by state */
	NOUN_TASK,    /* by agent, state */
	NOUN_REQUEST, /* by task, agent, state */
	NOUN_GRANT,   /* by state, target */
	NOUN_VOUCHER, /* evidence vouched for; by subject (digest text) */
	NOUN_CONTAINMENT, /* by state */
	NOUN_BUNDLE,	  /* a policy bundle with its files; by name */
	NOUN_DRILL,	  /* last drill; id "target/action" */
	NOUN_INCIDENT,	  /* by state */
	NOUN_SETTING,	  /* single values of the authority; no columns */
	NOUN_SIGNAL,	  /* live signals of detectors; by detector */
	NOUN_EXCEPTION,	  /* break-glass; by state, task */
	NOUN_POINT,	  /* what became of a point; by containment */
	NOUN_CREDENTIAL,  /* what the keeper signed; by state */
	NOUN_COUNT,
};

const char *noun_name(enum noun noun);

enum {
	STORE_COLUMNS_MAX = 4, /* look-up columns of a noun */
	STORE_PARTS_MAX = 16,  /* payload parts of a leaf */
	STORE_TILE_LEN = 8192, /* bytes of a full tile */
};

/* The noun's look-up columns, ended by NULL. */
const char *const *noun_columns(enum noun noun);

/* The values of noun's look-up columns in doc: borrowed, NULL where doc has no
 * such text. */
void noun_values(enum noun noun, const json_t *doc,
		 const char *ret_values[STORE_COLUMNS_MAX]);

struct store;

/* The oldest SQLite that has what the store uses (STRICT tables). */
#define STORE_SQLITE_LEAST "3.37"

/* The version of the SQLite that is linked, such as "3.40.1": static text.
 * ret_old: true if it is older than STORE_SQLITE_LEAST. */
const char *store_version(bool *ret_old);

/*
 * Opens folder/state.db, creating it if create is set, checks the schema's
 * version and brings an older one up to date in one transaction.  The whole
 * file is read once to see that its pages, rows and indexes fit each other.
 *
 * Errors: ERR_IO, ERR_CORRUPT, ERR_BUSY (another process has the folder),
 * ERR_NOT_FOUND (not there and not to be created).
 */
MUST_USE int store_open(const char *folder, bool create,
			struct store **ret_store);
/* A read-only connection of its own, for one thread. */
MUST_USE int store_open_reader(const char *folder, struct store **ret_store);
void store_close(struct store *s);
DEFINE_CLEANUP(struct store *, store_close)

/* ---- writing: only on the writer, only between begin and commit ----------
 *
 * Errors of each of these: ERR_LIMIT when the disk is full (after
 * store_rollback() the transaction may be tried again); anything else ends the
 * use of s.
 */

MUST_USE int store_begin(struct store *s);
/* When this returns 0 the transaction is on disk.  A failed write into the main
 * file after that (a checkpoint of the write-ahead log) is ERR_IO too; a full
 * disk there is not an error, the write-ahead log keeps what it has. */
MUST_USE int store_commit(struct store *s);
void store_rollback(struct store *s);

/* Adds a leaf; index is the size of the log so far.  Errors: ERR_IO, ERR_LIMIT
 * (disk full). */
MUST_USE int store_leaf_add(struct store *s, uint64_t index, int64_t at_ms,
			    const char *kind, const char *about,
			    const struct digest *hash, struct slice body);
/* A full tile: 256 hashes of 32 bytes. */
MUST_USE int store_tile_add(struct store *s, unsigned level, uint64_t number,
			    struct slice hashes);
MUST_USE int store_head_set(struct store *s, uint64_t size,
			    const struct digest *root, struct slice frontier);
MUST_USE int store_checkpoint_add(struct store *s, uint64_t size,
				  const struct digest *root, int64_t at_ms,
				  struct slice note);
MUST_USE int store_put(struct store *s, enum noun noun, const char *id,
		       const json_t *doc, uint64_t leaf);
/* The same with the document's text and what noun_values() said of it. */
MUST_USE int store_put_text(struct store *s, enum noun noun, const char *id,
			    struct slice text,
			    const char *const values[STORE_COLUMNS_MAX],
			    uint64_t leaf);
MUST_USE int store_delete(struct store *s, enum noun noun, const char *id);
/* A data key.  subject: name of the key, "<data subject>#<number>"; a data
 * subject may have several. */
MUST_USE int store_subject_add(struct store *s, const char *subject,
			       struct slice wrapped_key, unsigned kek);
/* part: below STORE_PARTS_MAX. */
MUST_USE int store_payload_add(struct store *s, uint64_t leaf, unsigned part,
			       const char *subject, struct slice sealed);
/* Replies to acting calls, for RFC-draft Idempotency-Key. */
MUST_USE int store_reply_put(struct store *s, const char *scope,
			     const char *key, const struct digest *request,
			     const char *about, int64_t expires_ms);
/* A token id (jti) or nonce that has served; kept until expires_ms. */
MUST_USE int store_seen_put(struct store *s, const char *scope,
			    const char *value, int64_t expires_ms);
/* Drops replies and seen values that expired before now_ms, at most max. */
MUST_USE int store_expire(struct store *s, int64_t now_ms, unsigned max);

/* ---- reading: writer's thread or a reader ---- */

struct store_head {
	uint64_t size;
	struct digest root;
	uint8_t frontier[64 * DIGEST_LEN];
	size_t frontier_len;
};
MUST_USE int store_head_get(struct store *s, struct store_head *ret_head);

/* body is appended to b; ret_hash may be NULL.  Errors: ERR_NOT_FOUND. */
MUST_USE int store_leaf_get(struct store *s, uint64_t index, struct buf *b,
			    struct digest *ret_hash);
/* Indexes of leaves about id, ascending: an owned array of integers. */
MUST_USE int store_leaves_about(struct store *s, const char *about,
				unsigned max, json_t **ret_indexes);
/* Calls fn for leaves first..last-1 in order; stops when fn is negative. */
MUST_USE int store_leaf_each(struct store *s, uint64_t first, uint64_t last,
			     int (*fn)(void *cookie, uint64_t index,
				       const struct digest *hash,
				       struct slice body),
			     void *cookie);
/* 8192 bytes appended to b.  Errors: ERR_NOT_FOUND. */
MUST_USE int store_tile_get(struct store *s, unsigned level, uint64_t number,
			    struct buf *b);
/* The checkpoint with the largest size.  Errors: ERR_NOT_FOUND. */
MUST_USE int store_checkpoint_last(struct store *s, uint64_t *ret_size,
				   struct buf *b);
/* Errors: ERR_NOT_FOUND. ret_doc owned; ret_leaf may be NULL. */
MUST_USE int store_get(struct store *s, enum noun noun, const char *id,
		       json_t **ret_doc, uint64_t *ret_leaf);
/*
 * Documents whose column equals value (column NULL: all), in order of id after
 * `after` (NULL: from the start), at most max.
 * ret_docs: owned array of documents.
 * Errors: ERR_NOT_FOUND for a column the noun does not have.
 */
MUST_USE int store_find(struct store *s, enum noun noun, const char *column,
			const char *value, const char *after, unsigned max,
			json_t **ret_docs);
/* Ids of the requests whose decision rests on an exception, in order, at most
 * max; owned array. */
MUST_USE int store_exception_uses(struct store *s, const char *exception,
				  unsigned max, json_t **ret_ids);
MUST_USE int store_subject_get(struct store *s, const char *subject,
			       struct buf *ret_wrapped, unsigned *ret_kek);
MUST_USE int store_payload_get(struct store *s, uint64_t leaf, unsigned part,
			       char **ret_subject, struct buf *ret_sealed);
/* Errors: ERR_NOT_FOUND.  ret_about is owned. */
MUST_USE int store_reply_get(struct store *s, const char *scope,
			     const char *key, struct digest *ret_request,
			     char **ret_about);
MUST_USE int store_seen_get(struct store *s, const char *scope,
			    const char *value, bool *ret_seen);
