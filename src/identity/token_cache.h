/*
 * Tokens and certificates that were found valid, by their digest, until they
 * expire or the keys that they were verified by change; bounded, the oldest
 * first out.  Nothing of a token is kept but its digest and what it says.
 *
 * One cache serves SVIDs (svid_cache_verify() and its like) and OIDC tokens
 * (oidc_cache_verify()).
 */
#pragma once

#include "crypto/digest.h"
#include "identity/trust.h"

enum { TOKEN_CACHED_MAX = 4096 }; /* bytes of a token that is remembered */

struct token_cache;
struct token_cache *token_cache_new(size_t entries);
void token_cache_free(struct token_cache *c); /* wipes what it held */
DEFINE_CLEANUP(struct token_cache *, token_cache_free)

/* What is known of one token; texts and claims are copied or shared in, and
 * borrowed out until the cache is used again. */
struct token_known {
	struct digest token;
	const char *audience; /* it was verified for; "" for a certificate */
	const char *source;   /* whose keys: a trust domain or an issuer */
	const char *id;	      /* SPIFFE ID, or NULL */
	const char *jti;      /* "" for none */
	json_t *claims;	      /* of an OIDC token, or NULL: borrowed */
	int64_t expires_ms;
};

/* Keeps it, in the place of the oldest if there is no other. */
void token_cache_put(struct token_cache *c, const struct trust *t,
		     const struct token_known *known);

/*
 * True if a token of this digest is known to be valid for this audience; what
 * has expired, and what was verified by other keys than its source has now, is
 * dropped.
 */
bool token_cache_find(struct token_cache *c, const struct trust *t,
		      const struct digest *token, const char *audience,
		      int64_t now_ms, struct token_known *ret_known);
