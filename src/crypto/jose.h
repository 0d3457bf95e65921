/*
 * JSON Web Keys and compact signatures (RFC 7515, 7517, 7518): the nine
 * asymmetric algorithms RS/PS/ES 256, 384, 512 and nothing else.  The algorithm
 * is pinned by the key (family and curve, narrowed by the key's own "alg"); a
 * token's header may only agree.
 */
#pragma once

#include "base/json.h"

enum {
	JOSE_TOKEN_MAX = 16 * 1024, /* bytes of a token */
	JOSE_KEYS_MAX = 64,	    /* keys in a set */
	JOSE_SET_MAX = 256 * 1024,  /* bytes of a key set */
	JOSE_THUMBPRINT_LEN = 44,   /* bytes of its text with NUL */
};

struct jose_key;

/*
 * Reads one public JWK.  RSA of 2048 to 8192 bits, EC on P-256, P-384, P-521.
 *
 * ret_key: owned; NULL, without error, for a key we do not use (another key
 * type, curve or "alg", "key_ops" without "verify").
 * Errors: ERR_SYNTAX (damaged, private, weak, off the curve, "alg" that does
 * not suit the key).
 */
MUST_USE int jose_key_parse(const json_t *jwk, struct jose_key **ret_key);
const char *jose_key_id(const struct jose_key *key);  /* "" if none */
const char *jose_key_use(const struct jose_key *key); /* "" if none */
void jose_key_free(struct jose_key *key);
DEFINE_CLEANUP(struct jose_key *, jose_key_free)

/*
 * The SHA-256 thumbprint (RFC 7638) of a JWK that jose_key_parse() has taken,
 * in base64url.
 */
void jose_thumbprint(const json_t *jwk, char ret_text[JOSE_THUMBPRINT_LEN]);

/* The names of the nine algorithms, NULL-terminated. */
extern const char *const jose_algorithms[];

/* A token taken apart, nothing of it verified yet. */
struct jose_token {
	json_t *header;		    /* owned */
	json_t *claims;		    /* owned */
	struct slice signing_input; /* view into the token */
	uint8_t signature[1024];
	size_t signature_len;
};

/* Why a token is not taken; a value, not an error. */
enum jose_verdict {
	JOSE_VALID,
	JOSE_MALFORMED, /* not three clean parts, not JSON, too large */
	JOSE_HEADER,	/* a header member that must not be there */
	JOSE_ALGORITHM, /* not one of the nine, or not the key's */
	JOSE_BAD_SIGNATURE,
};

/* "malformed", "header", "algorithm", "signature"; "valid". */
const char *jose_verdict_name(enum jose_verdict verdict);

/*
 * Takes a compact JWS whose payload is a JSON object apart.  Header members
 * alg, kid and typ are allowed, as texts; all others are refused (JOSE_HEADER),
 * and so are duplicate members, in header or claims (JOSE_MALFORMED).  The
 * meaning of typ is the caller's to check.
 *
 * token: borrowed, must outlive ret_token.
 * ret_token: set on JOSE_VALID only, released with jose_token_clear().
 */
enum jose_verdict jose_token_parse(struct slice token,
				   struct jose_token *ret_token);
void jose_token_clear(struct jose_token *token);

/* The same for issuers that put more into the header: members beside alg, kid
 * and typ are passed over, except "crit", which is refused. */
enum jose_verdict jose_token_parse_any(struct slice token,
				       struct jose_token *ret_token);

/* Which part of a token that is JOSE_MALFORMED is wrong, in words that repeat
 * nothing of it; NULL if its parts are right. */
const char *jose_token_fault(struct slice token);

/*
 * Verifies the signature with key.  A key with a "use" that is not for signing
 * gives JOSE_ALGORITHM, a token that names another kid than the key's
 * JOSE_HEADER.
 */
enum jose_verdict jose_verify(const struct jose_token *token,
			      const struct jose_key *key);
