/*
 * Credentials, each made from one leaf of the log and from nothing else:
 * whoever asks for one has it recorded first, and cannot have another one than
 * recorded. docs/leaves.md says what a leaf of kind "issued" and its first
 * payload part hold, docs/keeper-protocol.md what becomes of it.
 *
 * Why a credential is refused is told in fault; a negative result is an error.
 */
#pragma once

#include "base/json.h"
#include "base/schema.h"
#include "connect/rpc.h"
#include "crypto/es256.h"
#include "crypto/note.h"
#include "crypto/sshcert.h"

enum {
	CREDENTIAL_LEAF_MAX = 16 * 1024,    /* bytes of a leaf */
	CREDENTIAL_PAYLOAD_MAX = 16 * 1024, /* bytes of its part, canonical */
	CREDENTIAL_SKEW_S = 60, /* that the clocks of two machines differ by */
	CREDENTIAL_TOKEN_S = 3600,    /* longest life of an access token */
	CREDENTIAL_SSH_S = 24 * 3600, /* of a certificate */
};

/* A leaf that justifies a credential, taken apart. */
struct credential {
	json_t *leaf;	       /* owned */
	const json_t *payload; /* borrowed; what the leaf commits to */
	uint64_t index;
	const char *id;	  /* of the credential: what the leaf is about */
	const char *task; /* id */
	int64_t made;	  /* seconds since 1970, as all below */
	int64_t expires;
};

/* The params of a request that names a leaf, for requests.c. */
extern const struct schema credential_rows[];

/*
 * Takes a request's params apart and verifies them: the leaf is in the tree of
 * a checkpoint, of kind "issued" and of this form, its payload is what it
 * commits to, and its time is not over.
 *
 * head: of the tree, whose checkpoint was verified.
 * form: "token" or "ssh".  life: the longest, in seconds.
 * ret_credential: set only without a fault; credential_clear().
 */
void credential_open(const json_t *params, const struct checkpoint *head,
		     const char *form, int64_t life,
		     struct credential *ret_credential,
		     struct rpc_fault *fault);
void credential_clear(struct credential *credential);

/* Appends an access token (RFC 9068).  Errors: ERR_CRYPTO, ERR_LIMIT. */
MUST_USE int credential_token(const struct credential *credential,
			      const struct es256_key *key, struct buf *out,
			      struct rpc_fault *fault);

/* Appends an SSH user certificate, the serial of which is the leaf's index.
 * Errors: ERR_CRYPTO, ERR_LIMIT. */
MUST_USE int credential_ssh(const struct credential *credential,
			    const struct sshcert_authority *authority,
			    struct buf *out, struct rpc_fault *fault);
