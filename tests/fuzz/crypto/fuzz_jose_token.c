/* A bearer token from anybody, verified with the key of RFC 7515, A.3. */
#include "crypto/jose.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char jwk_text[] =
	"{\"kty\":\"EC\",\"crv\":\"P-256\","
	"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";

static struct jose_key *load_key(void)
{
	CLEANUP(json_put_p) json_t *jwk = json_loads(jwk_text, 0, NULL);
	struct jose_key *key = NULL;

	if (jose_key_parse(jwk, &key) < 0 || !key)
		abort();
	return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jose_key *key;
	struct jose_token token;
	enum jose_verdict verdict;

	if (!key)
		key = load_key();
	verdict = jose_token_parse(slice_of(data, size), &token);
	assert(verdict != JOSE_BAD_SIGNATURE);
	if (verdict != JOSE_VALID)
		return 0;
	verdict = jose_verify(&token, key);
	assert(verdict != JOSE_MALFORMED);
	/* The issuer of the one token this key is known to have signed. */
	if (verdict == JOSE_VALID)
		assert(strcmp(json_text(token.claims, "iss", ""), "joe") == 0);
	jose_token_clear(&token);
	return 0;
}
