/* Ed25519 (RFC 8032) with a bare seed: what signs webhooks. */
#pragma once

#include "base/base.h"
#include "base/slice.h"

enum {
	ED25519_SEED_LEN = 32,
	ED25519_KEY_LEN = 32,
	ED25519_SIGNATURE_LEN = 64,
};

/* The public key of a secret seed of 32 bytes.  Errors: ERR_CRYPTO. */
MUST_USE int ed25519_public(struct slice seed,
			    uint8_t ret_key[ED25519_KEY_LEN]);

/* The signature of message by a secret seed of 32 bytes, which is not kept.
 * Errors: ERR_CRYPTO. */
MUST_USE int ed25519_sign(struct slice seed, struct slice message,
			  uint8_t ret_signature[ED25519_SIGNATURE_LEN]);
