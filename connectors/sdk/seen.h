/*
 * The armed leaves a connector has acted on, so that no order serves twice.
 * One file of lines, the first with the floor:
 *
 *   writ-seen 1 FLOOR
 *   INDEX EXECUTION
 *
 * The last SEEN_MAX are kept; the floor rises to what is dropped, and every
 * index up to it is refused.  A last line cut short by a crash is removed: its
 * order was not carried out.
 */
#pragma once

#include "base/base.h"

enum { SEEN_MAX = 4096, SEEN_EXECUTION_MAX = 64 /* bytes with NUL */ };

struct seen;

/*
 * Opens the file, making it if absent, and keeps others out of it.
 *
 * ret_seen: owned, seen_close().
 * Errors: ERR_CORRUPT, ERR_BUSY (another connector has it), ERR_IO.
 */
MUST_USE int seen_open(const char *path, struct seen **ret_seen);
void seen_close(struct seen *seen);
DEFINE_CLEANUP(struct seen *, seen_close)

/* NULL when an order of this leaf may be carried out, else why not. */
const char *seen_objection(const struct seen *seen, const char *execution,
			   uint64_t index);

/*
 * Adds a leaf without objection; it is on disk when this returns 0.  After a
 * failure every further call is ERR_BROKEN.
 *
 * execution: less than SEEN_EXECUTION_MAX bytes of [A-Za-z0-9_-].
 * Errors: ERR_SYNTAX, ERR_IO, ERR_BROKEN.
 */
MUST_USE int seen_add(struct seen *seen, const char *execution, uint64_t index);
