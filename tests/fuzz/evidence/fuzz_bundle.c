/* Entry bundles: entries lie within the bytes and use them up. */
#include "evidence/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice entries[TILE_WIDTH];
	unsigned width;
	size_t used = 0;

	if (size < 1)
		return 0;
	width = data[0] + 1U;
	if (entry_bundle_parse(slice_of(data + 1, size - 1), width, entries) <
	    0)
		return 0;
	for (unsigned i = 0; i < width; i++)
		used += 2 + entries[i].len;
	if (used != size - 1)
		__builtin_trap();
	return 0;
}
