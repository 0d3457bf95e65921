/*
 * Proofs that a caller holds a key (DPoP, RFC 9449): a token bound to the key
 * is worth nothing to who only reads it.  Every check of section 4.3 is made
 * here, but that there is one header.
 *
 * Each proof serves once.  What has served is remembered in memory for as long
 * as a proof counts, so that after a start proofs made before it would count
 * again: those, and all others without our nonce until that time is over, are
 * asked for a nonce (section 8), which says that they were made since.
 */
#pragma once

#include "crypto/jose.h"

enum {
	DPOP_AGE_MAX_S = 60,   /* of a proof */
	DPOP_AHEAD_MAX_S = 10, /* that a caller's clock may be ahead */
	DPOP_PROOF_MAX = 8 * 1024,
	DPOP_JTI_MAX = 256, /* bytes */
	DPOP_NONCE_LEN = 23,
	DPOP_NONCE_MS = 5 * 60 * 1000, /* a nonce counts as long again */
};

enum dpop_verdict {
	DPOP_VALID,
	DPOP_MALFORMED, /* no compact JWS of two JSON objects */
	DPOP_TYPE,	/* typ is not dpop+jwt */
	DPOP_ALGORITHM, /* none of the nine, or not the key's */
	DPOP_KEY,	/* no jwk, a private or weak one, one we do not use */
	DPOP_CLAIMS,	/* jti, htm, htu or iat is not there or not right */
	DPOP_METHOD,	/* for another method */
	DPOP_URL,	/* for another address */
	DPOP_TIME,	/* too old, or of the future */
	DPOP_TOKEN,	/* for another access token, or none */
	DPOP_NONCE,	/* without a nonce of ours that counts */
	DPOP_SIGNATURE,
	DPOP_REPLAYED,
	DPOP_FULL, /* too many proofs are remembered: none is taken now */
};

/* A word such as "replayed"; never of the proof itself. */
const char *dpop_verdict_name(enum dpop_verdict verdict);
/* What is wrong, for the person; static text. */
const char *dpop_verdict_words(enum dpop_verdict verdict);

/* The proofs that have served, and the nonces. */
struct dpop;

/*
 * entries: how many proofs are remembered.
 * now_ms: wall clock.
 */
struct dpop *dpop_new(size_t entries, int64_t now_ms);
void dpop_free(struct dpop *d);
DEFINE_CLEANUP(struct dpop *, dpop_free)

/* The call that a proof came with. */
struct dpop_call {
	const char *method;
	const char *url;    /* absolute; its query and fragment do not count */
	struct slice token; /* the access token used; empty for none */
	int64_t now_ms;	    /* wall clock */
	int64_t boot_ms;
};

/*
 * Checks a proof and remembers it.
 *
 * ret_thumbprint: of its key, as "cnf" has it in "jkt" (RFC 9449, 6.1); set on
 *   DPOP_VALID.
 */
enum dpop_verdict dpop_verify(struct dpop *d, struct slice proof,
			      const struct dpop_call *call,
			      char ret_thumbprint[JOSE_THUMBPRINT_LEN]);

/* The nonce for new proofs (RFC 9449, 8); borrowed until the next call. */
const char *dpop_nonce(struct dpop *d, int64_t boot_ms);
