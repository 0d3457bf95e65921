/*
 * What a connector has acted on, so that neither an order nor an approval
 * serves twice.  One file of lines:
 *
 *   writ-seen 2 FLOOR FORGOTTEN    the first
 *   INDEX EXECUTION                an armed leaf that has served
 *   spent REQUEST NOT_AFTER        a request that was carried out, or may be
 *   free REQUEST                   it was refused after all: nothing happened
 *
 * Of the leaves the last SEEN_MAX are kept; FLOOR rises to what is dropped, and
 * every index below it is refused.  Requests are kept until their time is over
 * (milliseconds since 1970); FORGOTTEN rises to the latest that was dropped,
 * and what ends at it or earlier is refused, whatever the clock says then.  A
 * last line cut short by a crash is removed: its order was not carried out.
 */
#pragma once

#include "base/base.h"

enum {
	SEEN_MAX = 4096,
	SEEN_REQUESTS_MAX = 1 << 18, /* whose time is not over */
	SEEN_EXECUTION_MAX = 64,     /* bytes with NUL, of a request, too */
};

struct seen;

/* An order as it is remembered.  Names: less than SEEN_EXECUTION_MAX bytes of
 * [A-Za-z0-9_-]. */
struct seen_order {
	const char *execution;
	uint64_t index;
	const char *request;  /* that is carried out once; NULL if none */
	int64_t not_after_ms; /* beside request: positive */
};

/*
 * Opens the file, making it if absent, and keeps others out of it.
 *
 * over_ms: requests that end before it are forgotten, as by seen_add().
 * ret_seen: owned, seen_close().
 * Errors: ERR_CORRUPT, ERR_BUSY (another connector has it), ERR_IO.
 */
MUST_USE int seen_open(const char *path, int64_t over_ms,
		       struct seen **ret_seen);
void seen_close(struct seen *seen);
DEFINE_CLEANUP(struct seen *, seen_close)

/* NULL when this order may be carried out, else why not. */
const char *seen_objection(const struct seen *seen,
			   const struct seen_order *order);

/*
 * Adds an order without objection: from now on seen_objection() knows it, but
 * nothing may be done for it before seen_sync().
 *
 * over_ms: requests that end before it are refused for that by the caller; they
 *   may be forgotten.
 * Errors: ERR_SYNTAX, ERR_LIMIT (SEEN_REQUESTS_MAX), ERR_IO, ERR_BROKEN.
 */
MUST_USE int seen_add(struct seen *seen, const struct seen_order *order,
		      int64_t over_ms);

/* Has all that was added on disk when it returns 0.  After a failure to write
 * every further call is ERR_BROKEN.  Errors: ERR_IO, ERR_BROKEN. */
MUST_USE int seen_sync(struct seen *seen);

/* The request was refused and certainly nothing happened: another leaf of it
 * may serve.  Errors: ERR_IO, ERR_BROKEN; it then stays spent. */
MUST_USE int seen_release(struct seen *seen, const char *request);
