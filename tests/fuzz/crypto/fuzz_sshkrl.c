/* A list of revoked keys that somebody serves. */
#include "crypto/sshkrl.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t version;
	unsigned count;

	if (sshkrl_check(slice_of(data, size), &version, &count) < 0)
		return 0;
	/* A head of 44 bytes, and five for each section at least. */
	assert(size >= 44 + 5 * (size_t)count);
	return 0;
}
