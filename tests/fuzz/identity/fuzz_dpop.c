/* A proof that is taken is signed by the key it shows and says what was asked;
 * it is not taken again. */
#include "identity/dpop.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(dpop_free_p) struct dpop *d = dpop_new(8, 0);
	const struct dpop_call call = {
		.method = "POST",
		.url = "https://writ.example/oauth/token",
		.now_ms = 1800000000000,
		.boot_ms = 1000,
	};
	struct slice proof = slice_of(data, size);
	char thumbprint[JOSE_THUMBPRINT_LEN] = "";
	enum dpop_verdict verdict = dpop_verify(d, proof, &call, thumbprint);

	assert(dpop_verdict_name(verdict) && dpop_verdict_words(verdict));
	assert((verdict == DPOP_VALID) == (thumbprint[0] != '\0'));
	if (verdict == DPOP_VALID)
		assert(dpop_verify(d, proof, &call, thumbprint) ==
		       DPOP_REPLAYED);
	return 0;
}
