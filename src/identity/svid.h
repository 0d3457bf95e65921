/*
 * SVID validation: tokens (SPIFFE JWT-SVID, sections 2 to 5) and certificates
 * (SPIFFE X509-SVID, section 5), and SPIFFE IDs (SPIFFE-ID, section 2).
 */
#pragma once

#include "crypto/digest.h"
#include "identity/token_cache.h"
#include "identity/trust.h"

enum {
	SPIFFE_ID_MAX = 2049,	   /* bytes with NUL */
	SVID_LIFETIME_MAX_S = 600, /* exp - iat (or exp - now without iat) */
	SVID_LEEWAY_S = 10,
};

/* A SPIFFE ID in parts. */
struct spiffe_id {
	char text[SPIFFE_ID_MAX];
	char domain[256];
};

/* Errors: ERR_SYNTAX for anything SPIFFE-ID section 2 does not allow. */
MUST_USE int spiffe_id_parse(const char *text, struct spiffe_id *ret_id);

enum svid_verdict {
	SVID_VALID,
	SVID_MALFORMED,
	SVID_HEADER,
	SVID_ALGORITHM,
	SVID_SUBJECT,	/* no sub, or not a SPIFFE ID with a path */
	SVID_AUDIENCE,	/* absent, or ours is not among them */
	SVID_EXPIRED,	/* no exp, or past */
	SVID_NOT_YET,	/* nbf or iat in the future */
	SVID_TOO_LONG,	/* lives longer than SVID_LIFETIME_MAX_S */
	SVID_UNTRUSTED, /* no bundle for the domain, or no such key */
	SVID_SIGNATURE,
	SVID_ISSUER,	/* no iss, or none of our issuers */
	SVID_AUTHORITY, /* a certificate that may sign others */
	SVID_USAGE,	/* a certificate whose key is for something else */
};

/* Whether a token, of either kind, names one audience alone (of what is no
 * token nothing is said: true). */
bool token_has_one_audience(struct slice token);

/* The reason class told to the caller, such as "expired"; never the token. */
const char *svid_verdict_name(enum svid_verdict verdict);

struct svid {
	struct spiffe_id id;
	char jti[128];	     /* "" if the token has none */
	int64_t expires_ms;  /* exp and the leeway */
	struct digest token; /* of the whole token, or of the chain */
};

/*
 * Validates one token.  Without kid at most eight fitting keys are tried.
 *
 * ret_svid: undefined unless the verdict is SVID_VALID.
 */
enum svid_verdict svid_verify(const struct trust *t, struct slice token,
			      const char *audience, int64_t now_ms,
			      struct svid *ret_svid);

/*
 * Validates the certificates that a peer has proved to hold the key of: DER,
 * its own first.  The path leads to the authorities of the domain that the leaf
 * names, and to no others.
 *
 * ret_svid: undefined unless the verdict is SVID_VALID; jti is "".
 */
enum svid_verdict x509_svid_verify(const struct trust *t,
				   const struct slice *chain, size_t count,
				   int64_t now_ms, struct svid *ret_svid);

/* The same by way of a cache of what was found valid; a key that the bundle
 * does not have makes it be fetched early. */
enum svid_verdict svid_cache_verify(struct token_cache *c, struct trust *t,
				    struct slice token, const char *audience,
				    int64_t now_ms, struct svid *ret_svid);
enum svid_verdict svid_cache_verify_x509(struct token_cache *c, struct trust *t,
					 const struct slice *chain,
					 size_t count, int64_t now_ms,
					 struct svid *ret_svid);
