#include "crypto/evp.h"

#include <pthread.h>
#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "base/error.h"

DEFINE_CLEANUP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM *, OSSL_PARAM_free)
DEFINE_CLEANUP(BIGNUM *, BN_free)

enum {
	/* SEQUENCE of two INTEGERs with a sign byte each. */
	DER_INTEGER_MAX = 2 + 1 + EVP_COORDINATE_MAX,
	DER_SIGNATURE_MAX = 3 + 2 * DER_INTEGER_MAX,
	DER_SEQUENCE = 0x30,
	DER_INTEGER = 0x02,
	DER_LONG_LENGTH = 0x81, /* one length byte follows */
};

static const char *const hash_names[] = {
	[EVP_HASH_SHA256] = "SHA256",
	[EVP_HASH_SHA384] = "SHA384",
	[EVP_HASH_SHA512] = "SHA512",
};

static const char *const cipher_names[] = {
	[EVP_CIPHER_AES256_GCM] = "AES-256-GCM",
	[EVP_CIPHER_AES256_KW] = "AES-256-WRAP",
};

static EVP_MD *hashes[ARRAY_LEN(hash_names)];
static EVP_CIPHER *ciphers[ARRAY_LEN(cipher_names)];
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void require(const void *algorithm, const char *name)
{
	if (algorithm)
		return;
	fprintf(stderr, "libcrypto does not offer %s\n", name);
	abort();
}

static void fetch(void)
{
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		hashes[i] = EVP_MD_fetch(NULL, hash_names[i], NULL);
		require(hashes[i], hash_names[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(ciphers); i++) {
		ciphers[i] = EVP_CIPHER_fetch(NULL, cipher_names[i], NULL);
		require(ciphers[i], cipher_names[i]);
	}
}

const EVP_MD *evp_md(enum evp_hash hash)
{
	discard(pthread_once(&fetched, fetch));
	return hashes[hash];
}

const EVP_CIPHER *evp_cipher(enum evp_cipher cipher)
{
	discard(pthread_once(&fetched, fetch));
	return ciphers[cipher];
}

int evp_fail(const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return error_set(ERR_CRYPTO, "%s: %s", what,
			 reason ? reason : "the crypto library failed");
}

EVP_PKEY *evp_ed25519(struct slice key)
{
	EVP_PKEY *pkey;

	if (key.len != EVP_ED25519_KEY_LEN)
		return NULL;
	pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key.ptr,
					   key.len);
	ERR_clear_error();
	return pkey;
}

static EVP_PKEY *import_key(const char *type, OSSL_PARAM_BLD *builder)
{
	CLEANUP(EVP_PKEY_CTX_free_p)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	CLEANUP(OSSL_PARAM_free_p)
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY *pkey = NULL;

	if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1)
		discard(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY,
					  params));
	ERR_clear_error();
	return pkey;
}

EVP_PKEY *evp_ec(const char *group, struct slice point)
{
	CLEANUP(OSSL_PARAM_BLD_free_p)
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();

	if (!builder || point.len == 0 ||
	    point.ptr[0] != EVP_POINT_UNCOMPRESSED ||
	    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
					    group, 0) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY,
					     point.ptr, point.len) != 1)
		return NULL;
	return import_key("EC", builder);
}

EVP_PKEY *evp_rsa(struct slice modulus, struct slice exponent)
{
	CLEANUP(BN_free_p)
	BIGNUM *n = BN_bin2bn(modulus.ptr, (int)modulus.len, NULL);
	CLEANUP(BN_free_p)
	BIGNUM *e = BN_bin2bn(exponent.ptr, (int)exponent.len, NULL);
	CLEANUP(OSSL_PARAM_BLD_free_p)
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();

	if (!n || !e || !builder ||
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1)
		return NULL;
	return import_key("RSA", builder);
}

static bool set_pss(EVP_PKEY_CTX *ctx, const EVP_MD *md)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) ==
		       1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1;
}

static bool verify_with(EVP_MD_CTX *ctx, EVP_PKEY *key,
			struct evp_scheme scheme, struct slice signature,
			struct slice input)
{
	EVP_PKEY_CTX *key_ctx = NULL; /* belongs to ctx */

	if (EVP_DigestVerifyInit(ctx, &key_ctx, scheme.md, NULL, key) != 1)
		return false;
	if (scheme.pss && !set_pss(key_ctx, scheme.md))
		return false;
	return EVP_DigestVerify(ctx, signature.ptr, signature.len, input.ptr,
				input.len) == 1;
}

bool evp_verify(EVP_PKEY *key, struct evp_scheme scheme, struct slice signature,
		struct slice input)
{
	CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool valid = ctx && verify_with(ctx, key, scheme, signature, input);

	ERR_clear_error();
	return valid;
}

/* Appends an INTEGER (X.690, 8.3) from a big-endian unsigned number. */
static void put_integer(struct buf *b, struct slice number)
{
	static const uint8_t zero = 0;
	bool sign_byte;

	while (number.len > 0 && number.ptr[0] == 0)
		number = slice_of(number.ptr + 1, number.len - 1);
	if (number.len == 0)
		number = slice_of(&zero, 1);
	sign_byte = number.ptr[0] >= 0x80;
	buf_put_u8(b, DER_INTEGER);
	buf_put_u8(b, (uint8_t)(number.len + sign_byte));
	if (sign_byte)
		buf_put_u8(b, 0);
	buf_put(b, number);
}

/* Appends Ecdsa-Sig-Value (RFC 3279, 2.2.3). */
static void put_signature(struct buf *b, struct slice integers)
{
	buf_put_u8(b, DER_SEQUENCE);
	if (integers.len >= 0x80)
		buf_put_u8(b, DER_LONG_LENGTH);
	buf_put_u8(b, (uint8_t)integers.len);
	buf_put(b, integers);
}

bool evp_verify_ecdsa(EVP_PKEY *key, const EVP_MD *md, struct slice r,
		      struct slice s, struct slice input)
{
	CLEANUP(buf_clear)
	struct buf integers = BUF_INIT(2 * DER_INTEGER_MAX);
	CLEANUP(buf_clear)
	struct buf signature = BUF_INIT(DER_SIGNATURE_MAX);
	struct slice der;

	if (r.len > EVP_COORDINATE_MAX + 1 || s.len > EVP_COORDINATE_MAX + 1)
		return false;
	put_integer(&integers, r);
	put_integer(&integers, s);
	put_signature(&signature, buf_slice(&integers));
	if (integers.overflow || buf_finish(&signature, &der) < 0)
		return false;
	return evp_verify(key, (struct evp_scheme){ .md = md }, der, input);
}
