/* Leaves, one a line: whatever they say, the rules get through them. */
#include "base/slice.h"
#include "evidence/verify_leaf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_fault(void *cookie, uint64_t index, const char *what)
{
	uint64_t *last = cookie;

	if (index < *last || what[0] == '\0')
		abort();
	*last = index;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t last = 0;
	CLEANUP(leaf_rules_free_p)
	struct leaf_rules *rules = leaf_rules_new(on_fault, &last);
	uint64_t index = 0;

	while (size > 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;

		leaf_rules_add(rules, index++, slice_of(data, len));
		data += len;
		size -= len;
		if (end) {
			data++;
			size--;
		}
	}
	json_decref(leaf_rules_open(rules));
	json_decref(leaf_rules_lent(rules));
	last = 0; /* of credentials, in no order */
	leaf_rules_finish(rules);
	return 0;
}
