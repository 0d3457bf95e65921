#include "crypto/evp.h"

#include "crypto/seal.h"

#include <limits.h>

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"

enum { OVERHEAD = SEAL_NONCE_LEN + SEAL_TAG_LEN };

/* Working memory that is wiped on the way out. */
struct scratch {
	uint8_t *bytes; /* owned */
	size_t len;
};

static void scratch_clear(struct scratch *s)
{
	mem_wipe(s->bytes, s->len);
	free(s->bytes);
}

static struct scratch scratch_of(size_t len)
{
	return (struct scratch){ mem_alloc(len + 1), len };
}

static int check_len(size_t len)
{
	if (len > INT_MAX)
		return error_set(ERR_LIMIT, "%zu bytes to seal", len);
	return 0;
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const uint8_t *key,
		    const uint8_t *nonce, struct slice aad, struct slice plain,
		    uint8_t *out)
{
	int len = 0;

	return EVP_EncryptInit_ex2(ctx, evp_cipher(EVP_CIPHER_AES256_GCM), key,
				   nonce, NULL) == 1 &&
	       (aad.len == 0 || EVP_EncryptUpdate(ctx, NULL, &len, aad.ptr,
						  (int)aad.len) == 1) &&
	       (plain.len == 0 || EVP_EncryptUpdate(ctx, out, &len, plain.ptr,
						    (int)plain.len) == 1) &&
	       EVP_EncryptFinal_ex(ctx, out + plain.len, &len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_LEN,
				   out + plain.len) == 1;
}

int seal_close(const uint8_t key[SEAL_KEY_LEN], struct slice aad,
	       struct slice plain, struct buf *out)
{
	CLEANUP(EVP_CIPHER_CTX_free_p)
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	CLEANUP(scratch_clear) struct scratch sealed = { NULL, 0 };
	struct slice all;

	TRY(check_len(aad.len));
	TRY(check_len(plain.len));
	if (plain.len + OVERHEAD > out->max)
		return error_set(ERR_LIMIT, "%zu bytes to seal", plain.len);
	sealed = scratch_of(plain.len + OVERHEAD);
	random_bytes(sealed.bytes, SEAL_NONCE_LEN);
	if (!ctx || !encrypt(ctx, key, sealed.bytes, aad, plain,
			     sealed.bytes + SEAL_NONCE_LEN))
		return evp_fail("seal");
	buf_put(out, slice_of(sealed.bytes, sealed.len));
	return buf_finish(out, &all);
}

/* False also when the tag does not verify; then out means nothing. */
static bool decrypt(EVP_CIPHER_CTX *ctx, const uint8_t *key, struct slice aad,
		    struct slice sealed, uint8_t *out)
{
	const uint8_t *nonce = sealed.ptr;
	struct slice cipher = { sealed.ptr + SEAL_NONCE_LEN,
				sealed.len - OVERHEAD };
	uint8_t tag[SEAL_TAG_LEN];
	int len = 0;

	memcpy(tag, cipher.ptr + cipher.len, SEAL_TAG_LEN);
	return EVP_DecryptInit_ex2(ctx, evp_cipher(EVP_CIPHER_AES256_GCM), key,
				   nonce, NULL) == 1 &&
	       (aad.len == 0 || EVP_DecryptUpdate(ctx, NULL, &len, aad.ptr,
						  (int)aad.len) == 1) &&
	       (cipher.len == 0 || EVP_DecryptUpdate(ctx, out, &len, cipher.ptr,
						     (int)cipher.len) == 1) &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_LEN,
				   tag) == 1 &&
	       EVP_DecryptFinal_ex(ctx, out + cipher.len, &len) == 1;
}

int seal_open(const uint8_t key[SEAL_KEY_LEN], struct slice aad,
	      struct slice sealed, struct buf *out)
{
	CLEANUP(EVP_CIPHER_CTX_free_p)
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	CLEANUP(scratch_clear) struct scratch plain = { NULL, 0 };
	struct slice all;

	TRY(check_len(aad.len));
	TRY(check_len(sealed.len));
	if (sealed.len < OVERHEAD)
		return error_set(ERR_CORRUPT, "sealed bytes cut short");
	plain = scratch_of(sealed.len - OVERHEAD);
	if (!ctx)
		return evp_fail("open");
	if (!decrypt(ctx, key, aad, sealed, plain.bytes)) {
		discard(evp_fail("open"));
		return error_set(ERR_CORRUPT, "sealed bytes do not verify");
	}
	buf_put(out, slice_of(plain.bytes, plain.len));
	return buf_finish(out, &all);
}

/* The cipher has its key and direction; wrapping is one update. */
static bool wrap_update(EVP_CIPHER_CTX *ctx, const uint8_t *kek, int direction,
			struct slice in, uint8_t *out, size_t want)
{
	int len = 0;

	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	return EVP_CipherInit_ex(ctx, evp_cipher(EVP_CIPHER_AES256_KW), NULL,
				 kek, NULL, direction) == 1 &&
	       EVP_CipherUpdate(ctx, out, &len, in.ptr, (int)in.len) == 1 &&
	       len == (int)want;
}

int seal_wrap(const uint8_t kek[SEAL_KEY_LEN], const uint8_t key[SEAL_KEY_LEN],
	      uint8_t ret_wrapped[SEAL_WRAPPED_LEN])
{
	CLEANUP(EVP_CIPHER_CTX_free_p)
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	/* The library may write one block beyond. */
	uint8_t out[SEAL_WRAPPED_LEN + 8];

	if (!ctx || !wrap_update(ctx, kek, 1, slice_of(key, SEAL_KEY_LEN), out,
				 SEAL_WRAPPED_LEN))
		return evp_fail("wrap");
	memcpy(ret_wrapped, out, SEAL_WRAPPED_LEN);
	return 0;
}

int seal_unwrap(const uint8_t kek[SEAL_KEY_LEN],
		const uint8_t wrapped[SEAL_WRAPPED_LEN],
		uint8_t ret_key[SEAL_KEY_LEN])
{
	CLEANUP(EVP_CIPHER_CTX_free_p)
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	CLEANUP(scratch_clear)
	struct scratch key = scratch_of(SEAL_WRAPPED_LEN + 8);

	if (!ctx)
		return evp_fail("unwrap");
	if (!wrap_update(ctx, kek, 0, slice_of(wrapped, SEAL_WRAPPED_LEN),
			 key.bytes, SEAL_KEY_LEN)) {
		discard(evp_fail("unwrap"));
		return error_set(ERR_CORRUPT, "wrapped key does not verify");
	}
	memcpy(ret_key, key.bytes, SEAL_KEY_LEN);
	return 0;
}
