/* Policy files: whatever is taken has a quorum that more witnesses never
 * undo. */
#include "evidence/witness_policy.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct witness_policy *p = NULL;

	if (witness_policy_parse(slice_of(data, size), &p) < 0)
		return 0;
	assert(witness_policy_count(p) <= WITNESS_MAX);
	for (uint64_t set = 0; set < 8; set++)
		assert(!witness_policy_is_met(p, set) ||
		       witness_policy_is_met(p, set | 5));
	witness_policy_free(p);
	return 0;
}
