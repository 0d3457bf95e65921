/*
 * What the files of this layer share of OpenSSL's EVP interface: algorithms
 * fetched once, cleanup, and signature checks.  Not for other layers.
 *
 * Include it before everything else: the library's headers use names that
 * base/banned.h forbids.
 */
#pragma once

#include <openssl/evp.h>

#include "base/buf.h"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)

enum evp_hash { EVP_HASH_SHA256, EVP_HASH_SHA384, EVP_HASH_SHA512 };
enum evp_cipher { EVP_CIPHER_AES256_GCM, EVP_CIPHER_AES256_KW };

enum {
	EVP_ED25519_KEY_LEN = 32,
	EVP_ED25519_SIGNATURE_LEN = 64,
	EVP_COORDINATE_MAX = 66, /* bytes, P-521 */
	EVP_POINT_UNCOMPRESSED = 0x04,
	EVP_POINT_MAX = 1 + 2 * EVP_COORDINATE_MAX, /* uncompressed */
};

/* Fetched on first use and kept; a library without them ends the process. */
const EVP_MD *evp_md(enum evp_hash hash);
const EVP_CIPHER *evp_cipher(enum evp_cipher cipher);

/* Records ERR_CRYPTO with the library's reason and empties its queue. */
MUST_USE int evp_fail(const char *what);

/* An Ed25519 public key of 32 bytes; owned, NULL if it is not one. */
EVP_PKEY *evp_ed25519(struct slice key);

/*
 * A public key on group ("P-256" and so on) from an uncompressed point; owned,
 * NULL if the point is not on the curve.
 */
EVP_PKEY *evp_ec(const char *group, struct slice point);

/* An RSA public key from big-endian numbers; owned, NULL if the library does
 * not take them. */
EVP_PKEY *evp_rsa(struct slice modulus, struct slice exponent);

/* How a signature is made; md is NULL for Ed25519. */
struct evp_scheme {
	const EVP_MD *md;
	bool pss; /* RSA: PSS with a salt as long as the digest */
};

/* Says whether signature, in the library's form, is key's over input. */
bool evp_verify(EVP_PKEY *key, struct evp_scheme scheme, struct slice signature,
		struct slice input);

/* The same for ECDSA with r and s as big-endian numbers of at most
 * EVP_COORDINATE_MAX + 1 bytes. */
bool evp_verify_ecdsa(EVP_PKEY *key, const EVP_MD *md, struct slice r,
		      struct slice s, struct slice input);
