/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677): what a server keeps of a password, so
 * that the password itself never has to reach it.
 */
#pragma once

#include "base/buf.h"

enum {
	SCRAM_SALT_LEN = 16,
	SCRAM_ITERATIONS = 4096, /* RFC 7677, 4: at least */
	SCRAM_VERIFIER_MAX = 160 /* bytes of text with NUL, PostgreSQL's */
};

/*
 * Writes "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey", the form in which
 * PostgreSQL takes and keeps a verifier (base64 with padding).
 *
 * password: printable ASCII, so that SASLprep (RFC 4013) changes nothing.
 * salt: SCRAM_SALT_LEN bytes.
 * Errors: ERR_SYNTAX for another password, ERR_CRYPTO.
 */
MUST_USE int scram_verifier(struct slice password,
			    const uint8_t salt[SCRAM_SALT_LEN],
			    unsigned iterations,
			    char ret_verifier[SCRAM_VERIFIER_MAX]);
