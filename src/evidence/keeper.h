/*
 * The daemon's end of the keeper: asks for signatures and data keys.  The
 * messages are docs/keeper-protocol.md.
 */
#pragma once

#include "base/json.h"
#include "base/loop.h"
#include "crypto/merkle.h"
#include "crypto/note.h"

struct evidence_keeper;

struct keeper_config {
	struct loop *loop;
	const char *const *command; /* NULL-terminated, or NULL */
	const char *socket;	    /* Unix socket, or NULL */
	/* The keeper is gone; the daemon stops arming and ends. */
	void (*lost)(void *cookie, const char *why);
	void *cookie;
};

/*
 * Starts or connects and waits (at most 10 s, before the loop runs) for the
 * answer to hello.  Errors: ERR_UNAVAILABLE, ERR_CORRUPT, ERR_IO.
 */
MUST_USE int keeper_open(const struct keeper_config *config,
			 struct evidence_keeper **ret_keeper);
void keeper_close(struct evidence_keeper *k);
DEFINE_CLEANUP(struct evidence_keeper *, keeper_close)

const struct note_vkey *keeper_vkey(const struct evidence_keeper *k);
/* The last checkpoint the keeper signed; size 0 and an empty tree's root if it
 * has signed none. */
const struct checkpoint *keeper_last(const struct evidence_keeper *k);

/*
 * Asks for a checkpoint of (size, root), consistent with the last one by proof.
 * proof may be NULL for a tree the keeper has signed nothing of, or the same.
 * fn: note is empty when it was refused, with why.  A note was verified, and
 * keeper_last() is what it says.  One at a time.
 */
void keeper_sign(struct evidence_keeper *k, uint64_t size,
		 const struct digest *root, const struct merkle_proof *proof,
		 void (*fn)(void *cookie, struct slice note, const char *why),
		 void *cookie);

/* What it says it has shut behind itself, as sandbox_report() has it; borrowed,
 * NULL for a keeper that says nothing. */
const json_t *keeper_sandbox(const struct evidence_keeper *k);

/* The public keys that verify what the keeper issues: a JWK Set, and {"keys":
 * [lines for TrustedUserCAKeys]}.  The last of each is in use.  Borrowed; NULL
 * for a keeper that issues nothing. */
const json_t *keeper_jwks(const struct evidence_keeper *k);
const json_t *keeper_ssh_keys(const struct evidence_keeper *k);

enum keeper_form { KEEPER_TOKEN, KEEPER_SSH };

/* A leaf of kind "issued", that it is in the log, and what it commits to;
 * borrowed for the call. */
struct keeper_issue {
	enum keeper_form form;
	const char *leaf; /* its text */
	uint64_t index;
	const struct merkle_proof *proof; /* in the tree of note */
	struct slice note;		  /* a checkpoint the keeper signed */
	const char *salt; /* base64url; both as evidence_disclose() has them */
	const json_t *payload;
};

/*
 * Asks for the credential of a leaf; a leaf serves once, whatever becomes of
 * the answer.  fn: credential is the token, or the certificate's line; NULL
 * when it was refused, with why.  It is a secret: wiped after the call. Errors:
 * ERR_LIMIT, ERR_SYNTAX: fn is not called.
 */
MUST_USE int
keeper_issue(struct evidence_keeper *k, const struct keeper_issue *issue,
	     void (*fn)(void *cookie, const char *credential, const char *why),
	     void *cookie);

/* True when keeper_take_key() has so many keys to give that new work may begin;
 * what has begun uses the rest. */
bool keeper_has_keys(const struct evidence_keeper *k);

/* Forgets what was asked with this cookie: no call to its fn comes any more. */
void keeper_forget(struct evidence_keeper *k, const void *cookie);

/*
 * A fresh data key with its wrapped form, from a pool that is refilled in the
 * background.  Errors: ERR_BUSY when the pool is empty.
 */
MUST_USE int keeper_take_key(struct evidence_keeper *k, uint8_t key[32],
			     uint8_t wrapped[40], unsigned *ret_kek);

/* fn: key is NULL when it was refused, with why; wiped after the call. */
void keeper_unwrap(struct evidence_keeper *k, const uint8_t wrapped[40],
		   unsigned kek,
		   void (*fn)(void *cookie, const uint8_t *key,
			      const char *why),
		   void *cookie);
