#include "crypto/evp.h"

#include "crypto/scram.h"

#include <limits.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/hmac.h"

enum { PASSWORD_MAX = 1024 }; /* bytes */

/* What a verifier is made of; wiped on the way out. */
struct keys {
	uint8_t salted[DIGEST_LEN];
	struct digest client;
	struct digest stored;
	struct digest server;
};

static void keys_clear(struct keys *keys)
{
	mem_wipe(keys, sizeof(*keys));
}

static bool is_printable_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
			return false;
	return text.len > 0 && text.len <= PASSWORD_MAX;
}

static struct digest key_of(const struct keys *keys, const char *label)
{
	const struct slice part = slice_str(label);

	return hmac_of_parts(slice_of(keys->salted, sizeof(keys->salted)),
			     &part, 1);
}

/* RFC 5802, 3. */
static int derive(struct slice password, const uint8_t *salt,
		  unsigned iterations, struct keys *keys)
{
	if (PKCS5_PBKDF2_HMAC((const char *)password.ptr, (int)password.len,
			      salt, SCRAM_SALT_LEN, (int)iterations,
			      evp_md(EVP_HASH_SHA256), DIGEST_LEN,
			      keys->salted) != 1)
		return evp_fail("PBKDF2");
	keys->client = key_of(keys, "Client Key");
	keys->stored = digest_of(digest_slice(&keys->client));
	keys->server = key_of(keys, "Server Key");
	return 0;
}

int scram_verifier(struct slice password, const uint8_t salt[SCRAM_SALT_LEN],
		   unsigned iterations, char ret_verifier[SCRAM_VERIFIER_MAX])
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(SCRAM_VERIFIER_MAX - 1);
	CLEANUP(keys_clear) struct keys keys;
	struct slice whole;

	if (!is_printable_ascii(password))
		return error_set(ERR_SYNTAX,
				 "a password of other than 1 to %d "
				 "printable ASCII characters",
				 PASSWORD_MAX);
	if (iterations < 1 || iterations > INT_MAX)
		return error_set(ERR_SYNTAX, "%u iterations", iterations);
	TRY(derive(password, salt, iterations, &keys));
	buf_putf(&text, "SCRAM-SHA-256$%u:", iterations);
	text_put_base64(&text, slice_of(salt, SCRAM_SALT_LEN));
	buf_put_str(&text, "$");
	text_put_base64(&text, digest_slice(&keys.stored));
	buf_put_str(&text, ":");
	text_put_base64(&text, digest_slice(&keys.server));
	TRY(buf_finish(&text, &whole));
	memcpy(ret_verifier, buf_text(&text), whole.len + 1);
	return 0;
}
