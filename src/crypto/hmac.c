#include "crypto/hmac.h"

#include <assert.h>

#include "base/mem.h"

enum { BLOCK_LEN = 64, PARTS_MAX = 16 };

static struct digest keyed(const uint8_t block[BLOCK_LEN], uint8_t pad,
			   const struct slice *parts, size_t count)
{
	struct slice all[PARTS_MAX + 1];
	uint8_t padded[BLOCK_LEN];
	struct digest digest;

	for (size_t i = 0; i < BLOCK_LEN; i++)
		padded[i] = block[i] ^ pad;
	all[0] = slice_of(padded, sizeof(padded));
	for (size_t i = 0; i < count; i++)
		all[i + 1] = parts[i];
	digest = digest_of_parts(all, count + 1);
	mem_wipe(padded, sizeof(padded));
	return digest;
}

struct digest hmac_of_parts(struct slice key, const struct slice *parts,
			    size_t count)
{
	uint8_t block[BLOCK_LEN] = { 0 };
	struct digest inner;
	struct digest outer;
	struct slice rest;

	assert(count <= PARTS_MAX);
	if (key.len > BLOCK_LEN) {
		inner = digest_of(key);
		memcpy(block, inner.bytes, DIGEST_LEN);
	} else if (key.len > 0) {
		memcpy(block, key.ptr, key.len);
	}
	inner = keyed(block, 0x36, parts, count);
	rest = digest_slice(&inner);
	outer = keyed(block, 0x5c, &rest, 1);
	mem_wipe(block, sizeof(block));
	return outer;
}
