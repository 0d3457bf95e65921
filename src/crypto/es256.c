#include "crypto/evp.h"

#include "crypto/es256.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/text.h"
#include "crypto/digest.h"

DEFINE_CLEANUP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM *, OSSL_PARAM_free)
DEFINE_CLEANUP(BIGNUM *, BN_clear_free)
DEFINE_CLEANUP(EC_GROUP *, EC_GROUP_free)
DEFINE_CLEANUP(EC_POINT *, EC_POINT_clear_free)

enum {
	COORDINATE_LEN = 32,
	POINT_LEN = 1 + 2 * COORDINATE_LEN,
	/* SEQUENCE of two INTEGERs with a sign byte each; short lengths. */
	DER_MAX = 2 + 2 * (2 + 1 + COORDINATE_LEN),
	DER_SEQUENCE = 0x30,
	DER_INTEGER = 0x02,
	TOKEN_MAX = 64 * 1024, /* bytes */
};

struct es256_key {
	EVP_PKEY *key; /* owned */
	uint8_t point[POINT_LEN];
	char id[ES256_ID_LEN];
};

void es256_secret(uint8_t ret_secret[ES256_SECRET_LEN])
{
	struct es256_key *key = NULL;

	/* All but one number in 2^32 is less than the order of the curve. */
	while (!key) {
		random_bytes(ret_secret, ES256_SECRET_LEN);
		if (es256_key_new(ret_secret, &key) == ERR_CRYPTO)
			abort();
	}
	es256_key_free(key);
}

/* The point that belongs to a private number. */
static int find_point(const EC_GROUP *group, const BIGNUM *secret,
		      uint8_t ret_point[POINT_LEN])
{
	CLEANUP(EC_POINT_clear_free_p) EC_POINT *point = EC_POINT_new(group);

	if (BN_is_zero(secret) ||
	    BN_cmp(secret, EC_GROUP_get0_order(group)) >= 0)
		return error_set(ERR_SYNTAX, "no private key of P-256");
	if (!point ||
	    EC_POINT_mul(group, point, secret, NULL, NULL, NULL) != 1 ||
	    EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED,
			       ret_point, POINT_LEN, NULL) != POINT_LEN)
		return evp_fail("P-256");
	return 0;
}

/* Owned; NULL if the library does not take it. */
static EVP_PKEY *import_pair(BIGNUM *secret, const uint8_t point[POINT_LEN])
{
	CLEANUP(OSSL_PARAM_BLD_free_p)
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	CLEANUP(EVP_PKEY_CTX_free_p)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	CLEANUP(OSSL_PARAM_free_p) OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (!builder || !ctx ||
	    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
					    "P-256", 0) != 1 ||
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret) !=
		    1 ||
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY,
					     point, POINT_LEN) != 1)
		return NULL;
	params = OSSL_PARAM_BLD_to_param(builder);
	if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		return NULL;
	return key;
}

static char *coordinate(const struct es256_key *key, size_t number)
{
	return text_base64url(slice_of(key->point + 1 + number * COORDINATE_LEN,
				       COORDINATE_LEN));
}

/* The members that name the key and nothing else (RFC 7638, 3.2); owned. */
static json_t *bare_jwk(const struct es256_key *key)
{
	CLEANUP(mem_free_p) char *x = coordinate(key, 0);
	CLEANUP(mem_free_p) char *y = coordinate(key, 1);
	json_t *jwk = json_object();

	json_set_text(jwk, "crv", "P-256");
	json_set_text(jwk, "kty", "EC");
	json_set_text(jwk, "x", x);
	json_set_text(jwk, "y", y);
	return jwk;
}

static void name_key(struct es256_key *key)
{
	CLEANUP(json_put_p) json_t *jwk = bare_jwk(key);
	CLEANUP(mem_free_p) char *text = json_canonical(jwk);
	struct digest digest = digest_of(slice_str(text));
	CLEANUP(mem_free_p) char *id = text_base64url(digest_slice(&digest));

	snprintf(key->id, sizeof(key->id), "%s", id);
}

int es256_key_new(const uint8_t secret[ES256_SECRET_LEN],
		  struct es256_key **ret_key)
{
	CLEANUP(es256_key_free_p)
	struct es256_key *key = mem_new(struct es256_key);
	CLEANUP(BN_clear_free_p)
	BIGNUM *number = BN_bin2bn(secret, ES256_SECRET_LEN, NULL);
	CLEANUP(EC_GROUP_free_p)
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);

	if (!number || !group)
		return evp_fail("P-256");
	TRY(find_point(group, number, key->point));
	key->key = import_pair(number, key->point);
	if (!key->key)
		return evp_fail("P-256 key");
	name_key(key);
	*ret_key = TAKE(key);
	return 0;
}

void es256_key_free(struct es256_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->key); /* wipes the private part */
	free(key);
}

const char *es256_key_id(const struct es256_key *key)
{
	return key->id;
}

json_t *es256_key_jwk(const struct es256_key *key)
{
	json_t *jwk = bare_jwk(key);

	json_set_text(jwk, "alg", "ES256");
	json_set_text(jwk, "kid", key->id);
	json_set_text(jwk, "use", "sig");
	return jwk;
}

/* Reads an INTEGER (X.690, 8.3) into exactly COORDINATE_LEN bytes. */
static bool take_integer(struct reader *r, uint8_t ret[COORDINATE_LEN])
{
	uint8_t tag = reader_u8(r);
	struct slice number = reader_bytes(r, reader_u8(r));

	while (number.len > 0 && number.ptr[0] == 0)
		number = slice_of(number.ptr + 1, number.len - 1);
	if (r->failed || tag != DER_INTEGER || number.len > COORDINATE_LEN)
		return false;
	memset(ret, 0, COORDINATE_LEN - number.len);
	if (number.len > 0)
		memcpy(ret + COORDINATE_LEN - number.len, number.ptr,
		       number.len);
	return true;
}

/* From Ecdsa-Sig-Value (RFC 3279, 2.2.3) to r and s of RFC 7518, 3.4. */
static bool flatten(struct slice der, uint8_t ret[ES256_SIGNATURE_LEN])
{
	struct reader r = reader_of(der);

	return reader_u8(&r) == DER_SEQUENCE && reader_u8(&r) == r.rest.len &&
	       take_integer(&r, ret) &&
	       take_integer(&r, ret + COORDINATE_LEN) && reader_finish(&r) == 0;
}

int es256_sign(const struct es256_key *key, struct slice input,
	       uint8_t ret_signature[ES256_SIGNATURE_LEN])
{
	CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[DER_MAX];
	size_t len = sizeof(der);

	if (!ctx ||
	    EVP_DigestSignInit(ctx, NULL, evp_md(EVP_HASH_SHA256), NULL,
			       key->key) != 1 ||
	    EVP_DigestSign(ctx, der, &len, input.ptr, input.len) != 1 ||
	    !flatten(slice_of(der, len), ret_signature))
		return evp_fail("sign with P-256");
	return 0;
}

/* Appends the base64url of an object's text. */
static int put_part(struct buf *b, const json_t *object)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(TOKEN_MAX);
	struct slice bytes;

	TRY(json_put_canonical(&text, object));
	TRY(buf_finish(&text, &bytes));
	text_put_base64url(b, bytes);
	return 0;
}

int es256_token(const struct es256_key *key, const char *type,
		const json_t *claims, struct buf *out)
{
	CLEANUP(buf_clear) struct buf token = BUF_INIT(TOKEN_MAX);
	CLEANUP(json_put_p) json_t *header = json_object();
	uint8_t signature[ES256_SIGNATURE_LEN];
	struct slice bytes;

	json_set_text(header, "alg", "ES256");
	json_set_text(header, "kid", key->id);
	json_set_text(header, "typ", type);
	TRY(put_part(&token, header));
	buf_put_str(&token, ".");
	TRY(put_part(&token, claims));
	TRY(buf_finish(&token, &bytes));
	TRY(es256_sign(key, bytes, signature));
	buf_put_str(&token, ".");
	text_put_base64url(&token, slice_of(signature, sizeof(signature)));
	TRY(buf_finish(&token, &bytes));
	buf_put(out, bytes);
	return buf_finish(out, &bytes);
}
