/*
 * Decodes bytes from outside.  After the first thing that does not fit every
 * get returns zero or an empty slice; reader_finish() reports it, and refuses
 * left-over bytes.
 */
#pragma once

#include "base/slice.h"

struct reader {
	struct slice rest;
	bool failed;
};

static inline struct reader reader_of(struct slice bytes)
{
	return (struct reader){ bytes, false };
}

uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r); /* big-endian, as all below */
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
struct slice reader_bytes(struct reader *r, size_t count);
/* RFC 4251 string. */
struct slice reader_string(struct reader *r);

/* Errors: ERR_SYNTAX when something did not fit or bytes are left over. */
MUST_USE int reader_finish(const struct reader *r);
