/*
 * Signing with ECDSA on P-256 (RFC 7518, section 3.4): compact JWS as access
 * tokens are.  What verifies them is crypto/jose.h.
 */
#pragma once

#include "base/json.h"

enum {
	ES256_SECRET_LEN = 32,	  /* a private scalar, big-endian */
	ES256_SIGNATURE_LEN = 64, /* r and s */
	ES256_ID_LEN = 44,	  /* bytes of a key's id with NUL */
};

struct es256_key;

/* A fresh private scalar that es256_key_new() takes. */
void es256_secret(uint8_t ret_secret[ES256_SECRET_LEN]);

/*
 * ret_key: owned, es256_key_free().
 * Errors: ERR_SYNTAX for a number that is no private key of the curve,
 * ERR_CRYPTO.
 */
MUST_USE int es256_key_new(const uint8_t secret[ES256_SECRET_LEN],
			   struct es256_key **ret_key);
void es256_key_free(struct es256_key *key); /* wipes */
DEFINE_CLEANUP(struct es256_key *, es256_key_free)

/* Its id: the SHA-256 thumbprint of RFC 7638 in base64url. */
const char *es256_key_id(const struct es256_key *key);

/* The public key as a JWK with "alg", "kid" and "use" (RFC 7517); owned. */
json_t *es256_key_jwk(const struct es256_key *key);

/* Signs input.  Errors: ERR_CRYPTO. */
MUST_USE int es256_sign(const struct es256_key *key, struct slice input,
			uint8_t ret_signature[ES256_SIGNATURE_LEN]);

/*
 * Appends the compact JWS (RFC 7515, section 7.1) of an object; its header has
 * "alg", "kid" and "typ".
 *
 * type: the "typ", such as "at+jwt".
 * Errors: ERR_CRYPTO; ERR_SYNTAX for a real number, ERR_LIMIT.
 */
MUST_USE int es256_token(const struct es256_key *key, const char *type,
			 const json_t *claims, struct buf *out);
