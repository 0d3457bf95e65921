/* Every key of a bundle that is taken is for tokens and has an id; of a map
 * only the domain's own entry is. */
#include "identity/bundle.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(bundle_free_p) struct bundle *bundle = NULL;

	if (bundle_parse(slice_of(data, size), "example.org", &bundle) < 0)
		return 0;
	assert(bundle->sequence >= -1 && bundle->refresh_hint_s >= -1);
	assert(x509_roots_count(bundle->roots) <= X509_ROOTS_MAX);
	for (size_t i = 0; bundle->keys[i]; i++) {
		assert(i < JOSE_KEYS_MAX);
		assert(*jose_key_id(bundle->keys[i]));
		assert(!strcmp(jose_key_use(bundle->keys[i]), "jwt-svid"));
	}
	return 0;
}
