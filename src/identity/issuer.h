/*
 * One OIDC issuer: its metadata (OpenID Connect Discovery 1.0, section 4; where
 * there is none, RFC 8414), and its key set (RFC 7517) with the freshness that
 * Cache-Control gives it.  Nothing of it outlives the process.
 */
#pragma once

#include "identity/trust.h"

struct issuer;

/* spec: of a TrustDomain with "oidc", checked; a reference is taken.  t:
 * borrowed. */
struct issuer *issuer_new(struct trust *t, const struct trust_means *means,
			  const json_t *spec);
void issuer_free(struct issuer *i);

const char *issuer_name(const struct issuer *i);
/* The TrustDomain it was made of. */
const json_t *issuer_spec(const struct issuer *i);

/* As trust_refresh(), for this issuer. */
bool issuer_refresh(struct issuer *i, json_t *faults);
void issuer_hurry(struct issuer *i);

/* Its keys, NULL-terminated; NULL if there are none or they are too old. */
struct jose_key *const *issuer_keys(const struct issuer *i);
/* Changes whenever its keys do; 0 while it has none that count. */
uint64_t issuer_generation(const struct issuer *i);
/* How long a token may live, seconds. */
int64_t issuer_longest_s(const struct issuer *i);
/* Whether a token's jti serves one acting call. */
bool issuer_is_single_use(const struct issuer *i);

/* A row of trust_health(). */
json_t *issuer_health(const struct issuer *i);

/*
 * Reads an issuer's metadata: "issuer" must be exactly this one, "jwks_uri" a
 * URL.  ret_jwks_uri: owned.  Errors: ERR_SYNTAX, ERR_LIMIT, ERR_REFUSED
 * (another issuer).
 */
MUST_USE int issuer_parse_metadata(struct slice text, const char *issuer,
				   char **ret_jwks_uri);

/*
 * Reads a key set for signatures: keys of other uses, of kinds we do not use
 * and damaged ones are passed over (RFC 7517, 5).  ret_keys: owned array of
 * owned keys, NULL-terminated, released with issuer_keys_free().  Errors:
 * ERR_SYNTAX, ERR_LIMIT.
 */
MUST_USE int issuer_parse_keys(struct slice text, struct jose_key ***ret_keys);
void issuer_keys_free(struct jose_key **keys);
