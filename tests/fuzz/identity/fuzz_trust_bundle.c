/* Every key of a bundle that is taken is for tokens and has an id. */
#include "identity/trust.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jose_key **keys;

	if (bundle_parse(slice_of(data, size), &keys) < 0)
		return 0;
	for (size_t i = 0; keys[i]; i++) {
		assert(i < JOSE_KEYS_MAX);
		assert(*jose_key_id(keys[i]));
		assert(!strcmp(jose_key_use(keys[i]), "jwt-svid"));
	}
	bundle_keys_free(keys);
	return 0;
}
