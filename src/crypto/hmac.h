/* HMAC-SHA256 (RFC 2104, FIPS 198-1). */
#pragma once

#include "crypto/digest.h"

/* The tag of the parts one after another under key (any length), at
 * most 16 of them.  The key is not kept. */
struct digest hmac_of_parts(struct slice key, const struct slice *parts,
			    size_t count);
