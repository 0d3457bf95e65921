/*
 * Inside the evidence layer: data keys of recent subjects, and what is sealed
 * under them.
 *
 * A data key is made when a subject is first written about, and again when it
 * is no longer in memory; its name is the subject, '#', and the index of the
 * leaf it was made for.  So nothing is read back in order to write, and erasing
 * a subject is deleting the keys of its name.
 *
 * A sealed part is AES-256-GCM of salt[32] || canonical JSON, with the leaf's
 * index, '/' and the part's number, in decimal, as additional data.
 */
#pragma once

#include "evidence/evidence.h"
#include "evidence/txn.h"

struct vault;

struct vault *vault_new(void);
void vault_free(struct vault *v);

/* The key a part for subject is to be sealed under; NULL if there is none. */
struct data_key *vault_find(struct vault *v, const char *subject);

/* Adds a key, taking ownership; another of the same subject is dropped. */
void vault_add(struct vault *v, struct data_key *key);

/* Wipes the key of a subject, if there is one. */
void vault_drop(struct vault *v, const char *subject);

/*
 * Seals one part into t and appends its commitment to commit.
 * Errors: ERR_LIMIT, ERR_SYNTAX, ERR_BUSY, ERR_CRYPTO.
 */
MUST_USE int vault_seal(struct evidence_txn *t, uint64_t leaf, unsigned part,
			const struct evidence_part *what, json_t *commit);

/* {"salt": base64url, "payload": value}, owned.  Errors: ERR_CORRUPT. */
MUST_USE int vault_unseal(const uint8_t key[SEAL_KEY_LEN], uint64_t leaf,
			  unsigned part, struct slice sealed,
			  json_t **ret_payload);

/* Ends all jobs that evidence_disclose() began, without a call. */
struct disclosure;
void disclosures_drop(struct evidence *e);
