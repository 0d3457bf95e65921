/*
 * Certificates of workloads: what an X.509-SVID may look like (SPIFFE
 * X509-SVID, sections 2 to 5), and the path from it to the authorities of one
 * trust domain (RFC 5280, section 6).  Nothing of the system's own trust is
 * looked at.
 */
#pragma once

#include "base/slice.h"
#include "crypto/digest.h"

enum {
	X509_CHAIN_MAX = 10,	  /* certificates of a peer */
	X509_DER_MAX = 64 * 1024, /* bytes of one */
	X509_ROOTS_MAX = 64,	  /* authorities of a trust domain */
	X509_URI_MAX = 2048 + 1,  /* bytes with NUL */
};

/* The authorities of one trust domain. */
struct x509_roots;

struct x509_roots *x509_roots_new(void);
void x509_roots_free(struct x509_roots *roots);
DEFINE_CLEANUP(struct x509_roots *, x509_roots_free)

/*
 * Adds a certificate, which must be an authority's: cA, and keyCertSign where
 * it says what its key is for.  It is trusted whoever signed it.
 * Errors: ERR_SYNTAX, ERR_LIMIT (X509_ROOTS_MAX).
 */
MUST_USE int x509_roots_add(struct x509_roots *roots, struct slice der);
size_t x509_roots_count(const struct x509_roots *roots);

enum x509_verdict {
	X509_VALID,
	X509_MALFORMED, /* no certificate of version 3, or too many, too large
			 */
	X509_SUBJECT,	/* not exactly one URI among its names */
	X509_AUTHORITY, /* it may sign certificates */
	X509_USAGE,	/* key usage or extended key usage is not a leaf's */
	X509_EXPIRED,
	X509_NOT_YET,
	X509_UNTRUSTED, /* no path to the trust domain's authorities */
};

/* What a leaf says of itself. */
struct x509_leaf {
	char uri[X509_URI_MAX]; /* its one URI SAN */
	int64_t from_ms;	/* notBefore */
	int64_t until_ms;	/* notAfter */
};

/*
 * Reads a leaf and checks its form; nothing is verified yet.
 * ret_leaf: undefined unless the verdict is X509_VALID.
 */
enum x509_verdict x509_read_leaf(struct slice der, struct x509_leaf *ret_leaf);

/*
 * Verifies the path from a leaf (chain[0]) by way of the others to roots at
 * now_ms.  Keys and digests below 112 bits of strength are not taken; neither
 * is a signing certificate with a SPIFFE ID that has a path.
 */
enum x509_verdict x509_verify(const struct x509_roots *roots,
			      const struct slice *chain, size_t count,
			      int64_t now_ms);
