/*
 * The connector's own copy of the approvers' public keys: a file of lines
 *
 *   human ssh-ed25519 AAAA... [comment]
 *
 * Empty lines and lines that start with '#' are passed over.  A human may have
 * several keys; a key belongs to one human.
 */
#pragma once

#include "base/json.h"
#include "crypto/digest.h"

enum {
	APPROVERS_KEYS_MAX = 1024,
	APPROVERS_FILE_MAX = 1 << 20,	     /* bytes */
	APPROVERS_SIGNATURES_MAX = 64,	     /* beside one order */
	APPROVERS_STATEMENT_MAX = 16 * 1024, /* bytes */
};

struct approvers;

/* ret_approvers: owned, approvers_free().
 * Errors: ERR_SYNTAX with the line; ERR_LIMIT. */
MUST_USE int approvers_parse(struct slice text,
			     struct approvers **ret_approvers);
void approvers_free(struct approvers *approvers);
DEFINE_CLEANUP(struct approvers *, approvers_free)

/*
 * How many different humans of the file approved digest for this authority:
 * valid SSHSIG of namespace writ-approval over a statement approval/v1 that
 * says so.  Signatures that do not hold are passed over.
 *
 * signatures: array of {"statement", "signature", "human"}.
 * authority: the origin of the log.  digest: "sha256:...".
 */
size_t approvers_count(const struct approvers *approvers,
		       const json_t *signatures, const char *authority,
		       const char *digest);
