/* A view of bytes that somebody else owns. */
#pragma once

#include "base/base.h"

struct slice {
	const uint8_t *ptr;
	size_t len;
};

static inline struct slice slice_of(const void *ptr, size_t len)
{
	return (struct slice){ (const uint8_t *)ptr, len };
}

/* The bytes of text without its NUL; text may be NULL. */
static inline struct slice slice_str(const char *text)
{
	return slice_of(text, text ? strlen(text) : 0);
}

/* Equality of public bytes; for secrets use secret_equals(). */
static inline bool slice_equals(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.ptr, b.ptr, a.len));
}

static inline bool slice_is(struct slice a, const char *text)
{
	return slice_equals(a, slice_str(text));
}

/* Compares in a time that depends on the lengths alone. */
static inline bool secret_equals(struct slice a, struct slice b)
{
	uint8_t difference = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		difference |= (uint8_t)(a.ptr[i] ^ b.ptr[i]);
	return difference == 0;
}
