/* Metadata that is taken is this issuer's and names a URL; keys that are taken
 * are for signatures. */
#include "identity/issuer.h"

#include <assert.h>

#include "base/mem.h"
#include "net/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *uri = NULL;
	struct jose_key **keys = NULL;
	struct slice text = slice_of(data, size);

	if (issuer_parse_metadata(text, "https://issuer.example", &uri) == 0)
		assert(transfer_check_url(uri) == 0);
	if (issuer_parse_keys(text, &keys) < 0)
		return 0;
	for (size_t i = 0; keys[i]; i++) {
		const char *use = jose_key_use(keys[i]);

		assert(i < JOSE_KEYS_MAX);
		assert(!*use || !strcmp(use, "sig"));
	}
	issuer_keys_free(keys);
	return 0;
}
