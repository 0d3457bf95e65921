/*
 * Whom writd believes about who calls: SPIFFE trust domains with their bundles,
 * and OIDC issuers with their key sets.  A domain's keys speak for that domain
 * alone; nothing is ever merged.
 *
 * Bundles come from files, read again when they change, or from bundle
 * endpoints (SPIFFE Federation, section 5); key sets are found by discovery
 * (OpenID Connect Discovery 1.0, section 4; RFC 8414).  A document that cannot
 * be read or fetched leaves the last good one in place; one that was fetched
 * counts until it is older than its manifest's "staleAfter".
 */
#pragma once

#include "base/json.h"
#include "crypto/jose.h"
#include "crypto/x509.h"

struct trust;
struct transfers;

/* How documents are fetched and where the last good ones are kept. */
struct trust_means {
	struct transfers *transfers; /* borrowed; NULL: nothing is fetched */
	const char *folder; /* copied; NULL: nothing outlives the process */
};

struct trust *trust_new(void);
void trust_free(struct trust *t);
DEFINE_CLEANUP(struct trust *, trust_free)

/* Before the first trust_set(). */
void trust_use(struct trust *t, const struct trust_means *means);

/*
 * Replaces what is trusted: array of specs of TrustDomain.  What stays as it
 * was keeps its bundle or key set.
 * ret_faults: owned array of texts, one for each document that is not usable;
 * may be NULL.
 */
void trust_set(struct trust *t, const json_t *specs, json_t **ret_faults);

/* Looks whether files changed and fetches are due; call it about once a second.
 * A fault is told once, not again at each call.  Faults are dropped where
 * ret_faults is NULL.  Returns true if any keys changed (cached verdicts are
 * dropped by svid.c through trust_generation()). */
bool trust_refresh(struct trust *t, json_t **ret_faults);

/* Changes whenever the keys of the domain (or issuer) do; 0 for an unknown one,
 * and for an issuer without keys that count. */
uint64_t trust_generation(const struct trust *t, const char *domain);

/* Keys of a domain for JWT-SVIDs, NULL-terminated and borrowed; NULL for an
 * unknown one, and for one whose bundle is too old. */
struct jose_key *const *trust_keys(const struct trust *t, const char *domain);

/* The same: its authorities for X.509-SVIDs. */
const struct x509_roots *trust_roots(const struct trust *t, const char *domain);

/* How long a certificate of the domain may live, seconds. */
int64_t trust_certificate_longest_s(const struct trust *t, const char *domain);

/* A key that the domain's (or issuer's) document does not have is asked for:
 * the document is fetched early, within limits. */
void trust_hurry(struct trust *t, const char *domain);

/* An OIDC issuer, by its exact name; NULL if it is none of ours.  Borrowed
 * until the next trust_set(). */
struct issuer;
const struct issuer *trust_issuer(const struct trust *t, const char *issuer);
bool trust_has_issuers(const struct trust *t);

/* [{"name", "kind", "source", "usable", "fetched" (time), "trouble"}]; owned.
 */
json_t *trust_health(const struct trust *t);
