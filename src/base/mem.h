/*
 * Memory.  Running out of it ends the process: sizes that outsiders choose are
 * limited before they get here.
 */
#pragma once

#include "base/base.h"

/* size zeroed bytes, owned by the caller, released with free(). */
void *mem_alloc(size_t size);

/* count elements of size bytes, zeroed; the product is checked. */
void *mem_array(size_t count, size_t size);

/* Grows old (which may be NULL) to count elements; new bytes are undefined. */
void *mem_grow(void *old, size_t count, size_t size);

/* A copy of text, which may be NULL (then NULL). */
char *mem_str(const char *text);

/* A formatted string, owned by the caller. */
PRINTF_LIKE(1, 2) char *mem_format(const char *format, ...);

/* Overwrites bytes in a way the compiler keeps. */
void mem_wipe(void *bytes, size_t size);

#define mem_new(type) ((type *)mem_alloc(sizeof(type)))

/* For CLEANUP(mem_free_p) on a pointer of any type. */
static inline UNUSED void mem_free_p(void *address)
{
	void *pointer;

	memcpy(&pointer, address, sizeof(pointer));
	free(pointer);
}
