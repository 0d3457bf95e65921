/* Taking what belongs to a data subject out of the database for good. */
#pragma once

#include "store/store.h"

/*
 * Deletes a subject's data keys and every part sealed under them.  Between
 * store_begin() and store_commit().  Errors: those of writing.
 */
MUST_USE int store_subject_erase(struct store *s, const char *subject);

/* How many parts are sealed for a subject. */
MUST_USE int store_subject_parts(struct store *s, const char *subject,
				 uint64_t *ret_count);

/*
 * Rewrites the whole database, so that its files hold what it has now and
 * nothing of what was deleted or replaced, and empties the write-ahead log.
 * Only on the writer, outside a transaction; it takes about a second for each
 * hundred megabytes, and their size again on disk for as long.
 *
 * Errors: ERR_LIMIT (the disk is full: it may be tried again), ERR_BUSY (a
 * reader held the write-ahead log; likewise), ERR_IO.
 */
MUST_USE int store_scrub(struct store *s);

/*
 * The next documents of a noun after id `after` (NULL: from the start) whose
 * text holds words somewhere, at most max: owned array.
 */
MUST_USE int store_find_words(struct store *s, enum noun noun,
			      const char *words, const char *after,
			      unsigned max, json_t **ret_docs);

/* Drops the replies that are kept for a caller.  Errors: those of writing. */
MUST_USE int store_replies_drop(struct store *s, const char *caller);
/* Drops the notices that are on their way to a human.  Likewise. */
MUST_USE int store_notices_drop(struct store *s, const char *human);
