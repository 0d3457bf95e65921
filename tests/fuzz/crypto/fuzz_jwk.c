/* A key from somebody's key set. */
#include "crypto/jose.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_put_p) json_t *jwk = NULL;
	CLEANUP(jose_key_free_p) struct jose_key *key = NULL;

	if (json_parse(slice_of(data, size), JOSE_SET_MAX, &jwk) < 0)
		return 0;
	if (jose_key_parse(jwk, &key) < 0 || !key)
		return 0;
	assert(!json_object_get(jwk, "d"));
	assert(strcmp(jose_key_id(key), json_text(jwk, "kid", "")) == 0);
	assert(strcmp(jose_key_use(key), json_text(jwk, "use", "")) == 0);
	return 0;
}
