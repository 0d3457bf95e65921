/*
 * Payload encryption: AES-256-GCM (NIST SP 800-38D) under a data key, and data
 * keys wrapped by AES-256-KW (RFC 3394).
 */
#pragma once

#include "base/buf.h"

enum {
	SEAL_KEY_LEN = 32,
	SEAL_NONCE_LEN = 12,
	SEAL_TAG_LEN = 16,
	SEAL_WRAPPED_LEN = SEAL_KEY_LEN + 8,
};

/* Appends nonce || ciphertext || tag; the nonce is random.
 * Errors: ERR_CRYPTO, ERR_LIMIT. */
MUST_USE int seal_close(const uint8_t key[SEAL_KEY_LEN], struct slice aad,
			struct slice plain, struct buf *out);

/* Appends the plain text.  Errors: ERR_CORRUPT when it does not verify,
 * ERR_CRYPTO, ERR_LIMIT. */
MUST_USE int seal_open(const uint8_t key[SEAL_KEY_LEN], struct slice aad,
		       struct slice sealed, struct buf *out);

/* Errors: ERR_CRYPTO. */
MUST_USE int seal_wrap(const uint8_t kek[SEAL_KEY_LEN],
		       const uint8_t key[SEAL_KEY_LEN],
		       uint8_t ret_wrapped[SEAL_WRAPPED_LEN]);

/* Errors: ERR_CORRUPT, ERR_CRYPTO. */
MUST_USE int seal_unwrap(const uint8_t kek[SEAL_KEY_LEN],
			 const uint8_t wrapped[SEAL_WRAPPED_LEN],
			 uint8_t ret_key[SEAL_KEY_LEN]);
