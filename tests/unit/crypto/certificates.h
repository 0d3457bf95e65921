/* Certificates for the tests, made by OpenSSL alone. */
#pragma once

#include <openssl/x509.h>

#include "base/slice.h"

#define CERT_NOW_S 1800000000L
#define CERT_NOW_MS (CERT_NOW_S * 1000)

struct test_cert {
	X509 *x;
	EVP_PKEY *key;
	uint8_t *der;
	int der_len;
};

/*
 * Makes a certificate with a fresh P-256 key.
 *
 * issuer: NULL: it signs itself.
 * extensions: names and values as in openssl.cnf, NULL-terminated.
 */
void test_cert_make(struct test_cert *c, const struct test_cert *issuer,
		    long from_s, long until_s, const char *const *extensions);
void test_cert_clear(struct test_cert *c);

/* An authority, an hour old and good for a day. */
void test_cert_authority(struct test_cert *c, const struct test_cert *issuer);
/* A leaf with one URI, as an X.509-SVID has to be, good for an hour. */
void test_cert_leaf(struct test_cert *c, const struct test_cert *issuer,
		    const char *uri);

static inline struct slice test_cert_der(const struct test_cert *c)
{
	return slice_of(c->der, (size_t)c->der_len);
}
