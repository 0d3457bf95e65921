/* SHA-256 digests (FIPS 180-4). */
#pragma once

#include "base/buf.h"

enum { DIGEST_LEN = 32, DIGEST_TEXT_LEN = 7 + 2 * DIGEST_LEN + 1 };

struct digest {
	uint8_t bytes[DIGEST_LEN];
};

struct digest digest_of(struct slice bytes);

/* The digest of the parts one after another. */
struct digest digest_of_parts(const struct slice *parts, size_t count);

bool digest_equals(const struct digest *a, const struct digest *b);

static inline struct slice digest_slice(const struct digest *d)
{
	return slice_of(d->bytes, DIGEST_LEN);
}

/* "sha256:" and 64 lower-case hex digits. */
void digest_format(const struct digest *d, char text[DIGEST_TEXT_LEN]);

/* Errors: ERR_SYNTAX for anything that digest_format() does not write. */
MUST_USE int digest_parse(const char *text, struct digest *ret_digest);
