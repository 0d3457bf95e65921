/* Without a key set no token is ever valid, whatever it looks like. */
#include "identity/oidc.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(trust_free_p) struct trust *t = trust_new();
	CLEANUP(json_put_p)
	json_t *specs = json_pack("[{s:{s:s}}]", "oidc", "issuer",
				  "https://issuer.example");
	struct oidc_token token = { 0 };

	trust_set(t, specs, NULL);
	assert(oidc_verify(t, slice_of(data, size), "writ", 1800000000000,
			   &token) != SVID_VALID);
	assert(!token.claims);
	return 0;
}
