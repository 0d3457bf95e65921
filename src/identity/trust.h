/*
 * Trust domains and their bundles: which keys may speak for a SPIFFE trust
 * domain (SPIFFE Trust Domain and Bundle, section 4).  Bundles are read from
 * files and read again when the file changes.  A bundle that cannot be read
 * leaves the last good one in place; a domain that never had one is untrusted.
 */
#pragma once

#include "base/json.h"
#include "crypto/jose.h"

struct trust;

struct trust *trust_new(void);
void trust_free(struct trust *t);
DEFINE_CLEANUP(struct trust *, trust_free)

/*
 * Replaces the set of domains: array of {"trustDomain", "bundleFile"}.  Domains
 * that stay keep their bundle.
 * ret_faults: owned array of texts, one per domain whose bundle is not usable.
 */
void trust_set(struct trust *t, const json_t *domains, json_t **ret_faults);

/* Looks whether files changed and reads them; call it about once a second.  A
 * fault is told once, when its file is read, not again at each call.  Faults
 * are dropped where ret_faults is NULL. Returns true if any bundle changed
 * (cached verdicts of its domain are dropped by svid.c through
 * trust_generation()). */
bool trust_refresh(struct trust *t, json_t **ret_faults);

/* Changes whenever the keys of the domain do; 0 for an unknown domain. */
uint64_t trust_generation(const struct trust *t, const char *domain);

/* Reads a SPIFFE bundle document.  Unknown kty/use are ignored, a jwt-svid key
 * without kid is refused.
 * ret_keys: owned array of owned keys with use "jwt-svid", NULL-terminated;
 * released with bundle_keys_free().
 * Errors: ERR_SYNTAX, ERR_LIMIT. */
MUST_USE int bundle_parse(struct slice text, struct jose_key ***ret_keys);
void bundle_keys_free(struct jose_key **keys);

/* Keys of a domain, NULL-terminated and borrowed; NULL for an unknown one. */
struct jose_key *const *trust_keys(const struct trust *t, const char *domain);
