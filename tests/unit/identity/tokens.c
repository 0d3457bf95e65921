#include "tokens.h"

#include <dirent.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

void test_key_make(struct test_key *key, const char *curve)
{
	key->curve = curve;
	key->pkey = curve ? EVP_EC_gen(curve) : EVP_RSA_gen(2048);
	assert_non_null(key->pkey);
}

void test_key_clear(struct test_key *key)
{
	EVP_PKEY_free(key->pkey);
	key->pkey = NULL;
}

static int coordinate_len(const char *curve)
{
	if (!strcmp(curve, "P-256"))
		return 32;
	return strcmp(curve, "P-384") ? 66 : 48;
}

/* len: 0 for as short as can be. */
static void set_number(json_t *jwk, const char *name, const EVP_PKEY *pkey,
		       const char *param, int len)
{
	uint8_t bytes[512];
	CLEANUP(mem_free_p) char *text = NULL;
	BIGNUM *number = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(pkey, param, &number), 1);
	if (!len)
		len = BN_num_bytes(number);
	assert_int_equal(BN_bn2binpad(number, bytes, len), len);
	BN_free(number);
	text = text_base64url(slice_of(bytes, (size_t)len));
	json_set_text(jwk, name, text);
}

json_t *test_jwk(const struct test_key *key, const char *kid, const char *use)
{
	json_t *jwk = json_object();

	json_set_text(jwk, "kty", key->curve ? "EC" : "RSA");
	json_set_text(jwk, "kid", kid);
	json_set_text(jwk, "use", use);
	json_set_text(jwk, "crv", key->curve);
	if (key->curve) {
		int len = coordinate_len(key->curve);

		set_number(jwk, "x", key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, len);
		set_number(jwk, "y", key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, len);
	} else {
		set_number(jwk, "n", key->pkey, OSSL_PKEY_PARAM_RSA_N, 0);
		set_number(jwk, "e", key->pkey, OSSL_PKEY_PARAM_RSA_E, 0);
	}
	return jwk;
}

char *test_bundle(const struct test_key *key)
{
	CLEANUP(json_put_p)
	json_t *bundle =
		json_pack("{s:[o]}", "keys", test_jwk(key, "k1", "jwt-svid"));

	return json_canonical(bundle);
}

static const EVP_MD *hash_of(const char *alg)
{
	if (strstr(alg, "384"))
		return EVP_sha384();
	return strstr(alg, "512") ? EVP_sha512() : EVP_sha256();
}

/* ECDSA of JOSE is r and s side by side, that of OpenSSL is DER. */
static size_t flatten(const char *curve, uint8_t *signature, size_t len)
{
	const uint8_t *at = signature;
	ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &at, (long)len);
	int half = coordinate_len(curve);

	assert_non_null(parts);
	BN_bn2binpad(ECDSA_SIG_get0_r(parts), signature, half);
	BN_bn2binpad(ECDSA_SIG_get0_s(parts), signature + half, half);
	ECDSA_SIG_free(parts);
	return 2 * (size_t)half;
}

static void sign(const struct test_key *key, const char *alg, struct buf *token)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	uint8_t signature[1024];
	size_t len = sizeof(signature);

	assert_int_equal(
		EVP_DigestSignInit(ctx, &pctx, hash_of(alg), NULL, key->pkey),
		1);
	if (alg[0] == 'P') {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_int_equal(
		EVP_DigestSign(ctx, signature, &len, token->data, token->len),
		1);
	EVP_MD_CTX_free(ctx);
	if (key->curve)
		len = flatten(key->curve, signature, len);
	buf_put_str(token, ".");
	text_put_base64url(token, slice_of(signature, len));
}

char *test_token(const struct test_key *key, const char *alg,
		 const char *header, const char *claims)
{
	CLEANUP(buf_clear) struct buf token = BUF_INIT(64 * 1024);

	text_put_base64url(&token, slice_str(header));
	buf_put_str(&token, ".");
	text_put_base64url(&token, slice_str(claims));
	sign(key, alg, &token);
	return buf_take_text(&token);
}

void test_folder_make(struct test_folder *f)
{
	snprintf(f->path, sizeof(f->path), "/tmp/writ-identity-XXXXXX");
	assert_non_null(mkdtemp(f->path));
}

char *test_path(const struct test_folder *f, const char *name)
{
	return mem_format("%s/%s", f->path, name);
}

void test_folder_remove(struct test_folder *f)
{
	DIR *dir = opendir(f->path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		CLEANUP(mem_free_p) char *path = test_path(f, entry->d_name);

		if (entry->d_name[0] != '.')
			unlink(path);
	}
	closedir(dir);
	rmdir(f->path);
}

void test_write(const struct test_folder *f, const char *name, const char *text)
{
	CLEANUP(mem_free_p) char *path = test_path(f, name);

	assert_int_equal(file_write(path, slice_str(text), 0600), 0);
}

void test_trust(struct trust *t, const struct test_folder *f,
		const char *domain, const char *file, size_t faults)
{
	CLEANUP(mem_free_p) char *path = test_path(f, file);
	CLEANUP(json_put_p)
	json_t *domains = json_pack("[{s:s, s:s}]", "trustDomain", domain,
				    "bundleFile", path);
	CLEANUP(json_put_p) json_t *found = NULL;

	trust_set(t, domains, &found);
	assert_int_equal(json_array_size(found), faults);
}
