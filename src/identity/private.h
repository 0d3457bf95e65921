/* What the files of this layer share.  Not for other layers. */
#pragma once

#include "identity/svid.h"
#include "identity/trust.h"

/* A number that no generation of keys has had. */
uint64_t trust_next_generation(struct trust *t);

/*
 * Checks a chain, its leaf first, against the authorities of one domain:
 * whether the leaf's ID is of that domain is the caller's to see.
 *
 * longest_s: that the leaf may live.
 * ret_until_ms: its end; may be NULL.
 */
enum svid_verdict x509_svid_check(const struct x509_roots *roots,
				  const struct slice *chain, size_t count,
				  int64_t now_ms, int64_t longest_s,
				  struct spiffe_id *ret_id,
				  int64_t *ret_until_ms);

/* One digest for a chain as it came, of at most X509_CHAIN_MAX. */
struct digest chain_digest(const struct slice *chain, size_t count);

/* What both kinds of tokens are checked for (RFC 7519, 4.1). */
struct token_check {
	const struct jose_token *token;
	const char *audience;
	int64_t now_s;
	int64_t longest_s; /* from iat (or now) to exp */
};

/* aud: one text or an array of them, with ours. */
enum svid_verdict token_check_audience(const struct token_check *c);
/* exp, nbf and iat.  ret_expires_ms: exp and the leeway. */
enum svid_verdict token_check_times(const struct token_check *c,
				    int64_t *ret_expires_ms);
/* jti, "" if there is none. */
enum svid_verdict token_check_jti(const struct token_check *c, char *jti,
				  size_t size);
/* The signature by one of keys (which may be NULL); without kid at most eight
 * fitting ones are tried. */
enum svid_verdict token_check_signature(const struct jose_token *token,
					struct jose_key *const *keys);
/* One thing that a kind of token is checked for; check is the kind's own. */
typedef enum svid_verdict (*token_clause_fn)(const void *check);
/* The first verdict that is not SVID_VALID; the cheap ones stand first. */
enum svid_verdict token_check_clauses(const token_clause_fn *clauses,
				      size_t count, const void *check);
/* A verdict of the layer below. */
enum svid_verdict svid_from_jose(enum jose_verdict verdict);
