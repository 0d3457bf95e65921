#include "crypto/evp.h"

#include "crypto/ed25519.h"

#include "base/error.h"

/* Freeing it wipes the secret part. */
static int key_of(struct slice seed, EVP_PKEY **ret_key)
{
	if (seed.len != ED25519_SEED_LEN)
		return error_set(ERR_CRYPTO, "seed of %zu bytes", seed.len);
	*ret_key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
						seed.ptr, seed.len);
	return *ret_key ? 0 : evp_fail("Ed25519 key");
}

int ed25519_public(struct slice seed, uint8_t ret_key[ED25519_KEY_LEN])
{
	CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;
	size_t len = ED25519_KEY_LEN;

	TRY(key_of(seed, &key));
	if (EVP_PKEY_get_raw_public_key(key, ret_key, &len) != 1 ||
	    len != ED25519_KEY_LEN)
		return evp_fail("Ed25519 public key");
	return 0;
}

int ed25519_sign(struct slice seed, struct slice message,
		 uint8_t ret_signature[ED25519_SIGNATURE_LEN])
{
	CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;
	size_t len = ED25519_SIGNATURE_LEN;

	TRY(key_of(seed, &key));
	if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(ctx, ret_signature, &len, message.ptr,
			   message.len) != 1 ||
	    len != ED25519_SIGNATURE_LEN)
		return evp_fail("Ed25519 signature");
	return 0;
}
