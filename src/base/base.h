/*
 * What every file of the project may use without asking: attributes, cleanup,
 * and three small helpers.  Nothing here allocates, fails or keeps state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/banned.h"

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define UNUSED __attribute__((unused))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Runs function on a local's address when the local leaves its scope, as in
 * CLEANUP(buf_clear) struct buf b = ...;
 */
#define CLEANUP(function) __attribute__((cleanup(function)))

/*
 * For a destructor foo_free(type), defines foo_free_p(type *), the form that
 * CLEANUP wants.  The destructor must accept NULL.
 */
#define DEFINE_CLEANUP(type, destructor)                                       \
	static inline UNUSED void destructor##_p(type *pointer)                \
	{                                                                      \
		destructor(*pointer);                                          \
	}

/* Yields a pointer and sets the variable to NULL: ownership moves on. */
#define TAKE(pointer)                                                          \
	({                                                                     \
		__typeof__(pointer) taken_ = (pointer);                        \
		(pointer) = NULL;                                              \
		taken_;                                                        \
	})

/* Says aloud that a result does not matter here. */
static inline void discard(long long result UNUSED)
{
}
