/*
 * Tokens of workload platforms (OpenID Connect Core 1.0, section 2; RFC 7519):
 * Kubernetes service accounts, pipelines, clouds.  An issuer's own key set says
 * whether a token is genuine; what it says is matched by the rules of agents.
 */
#pragma once

#include "identity/svid.h"

enum {
	OIDC_LIFETIME_MAX_S = 3600, /* of a token, unless its issuer's manifest
				       says another */
};

struct oidc_token {
	const char *issuer; /* borrowed from trust */
	json_t *claims;	    /* owned */
	char jti[128]; /* "" if it has none or need not be used once; one that
			  is there is told apart by issuer */
	int64_t expires_ms;
};

/*
 * Validates one token: iss is one of our issuers, aud holds ours, exp, nbf, iat
 * and its lifetime are right, and a key of that issuer has signed it by the
 * algorithm the key is for.  Header members beside alg, kid and typ are not
 * looked at, "crit" is refused.  A token whose sub is a SPIFFE ID is an SVID
 * and never taken here (SVID_ISSUER).
 *
 * A key that the issuer's set does not have makes it be fetched early.
 * ret_token: set on SVID_VALID, released with oidc_token_clear().
 */
enum svid_verdict oidc_verify(struct trust *t, struct slice token,
			      const char *audience, int64_t now_ms,
			      struct oidc_token *ret_token);
void oidc_token_clear(struct oidc_token *token);

/* True if the cache knows the token to be valid; ret_token as above, its claims
 * not to be changed. */
bool oidc_cache_find(struct token_cache *c, const struct trust *t,
		     struct slice token, const char *audience, int64_t now_ms,
		     struct oidc_token *ret_token);
/* The same as oidc_verify() by way of the cache.  A token of more than
 * TOKEN_CACHED_MAX bytes is verified each time. */
enum svid_verdict oidc_cache_verify(struct token_cache *c, struct trust *t,
				    struct slice token, const char *audience,
				    int64_t now_ms,
				    struct oidc_token *ret_token);
