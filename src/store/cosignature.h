/* Witnesses' cosignatures of the newest checkpoints. */
#pragma once

#include "store/store.h"

/* Between store_begin() and store_commit(); a second one of the same witness
 * for the same size replaces the first.  Errors: those of writing. */
MUST_USE int store_cosignature_put(struct store *s, uint64_t size,
				   const char *witness, int64_t at_s,
				   struct slice line);
/* Drops those of checkpoints smaller than size.  Errors: those of writing. */
MUST_USE int store_cosignatures_drop(struct store *s, uint64_t size);

/* All, largest size first: an owned array of {"size", "witness", "at" (POSIX
 * seconds), "line"}. */
MUST_USE int store_cosignatures(struct store *s, json_t **ret_rows);

/* The checkpoint of a size, appended to b.  Errors: ERR_NOT_FOUND. */
MUST_USE int store_checkpoint_get(struct store *s, uint64_t size,
				  struct buf *b);
