/*
 * Bundle documents: the keys that speak for one trust domain (SPIFFE Trust
 * Domain and Bundle, section 4), by themselves or in a bundle map (section 5).
 */
#pragma once

#include "crypto/jose.h"
#include "crypto/x509.h"

struct bundle {
	struct jose_key **keys;	  /* owned: use "jwt-svid", NULL-terminated */
	struct x509_roots *roots; /* owned: use "x509-svid"; may be empty */
	int64_t sequence;	  /* spiffe_sequence, -1 if there is none */
	int64_t refresh_hint_s;	  /* spiffe_refresh_hint, -1 likewise */
};

/*
 * Reads the bundle of a trust domain.  From a bundle map ("trust_domains") its
 * own entry is taken and nothing else is looked into.  Unknown kty and use are
 * passed over; a jwt-svid key without kid is refused, and so is an x509-svid
 * key whose certificate is not an authority's.
 *
 * ret_bundle: owned.
 * Errors: ERR_SYNTAX, ERR_LIMIT, ERR_NOT_FOUND (a map without this domain).
 */
MUST_USE int bundle_parse(struct slice text, const char *domain,
			  struct bundle **ret_bundle);
void bundle_free(struct bundle *b);
DEFINE_CLEANUP(struct bundle *, bundle_free)
