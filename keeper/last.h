/*
 * The last checkpoint the keeper signed, in file "last".  It is on disk before
 * its signature leaves the process, so that after any crash the keeper
 * remembers at least what others may have seen.
 */
#pragma once

#include "crypto/note.h"
#include "keeper/slots.h"

struct last {
	struct slots slots;
	struct checkpoint head; /* the last one, on disk or put */
	struct buf note;	/* what was put and is not on disk yet */
};

/*
 * Reads the file of a folder.  One of an earlier version, which is the note
 * itself, is replaced.
 *
 * last: filled in any case; last_close().
 * Errors: ERR_NOT_FOUND; ERR_CORRUPT (damaged, or not signed by vkey), ERR_IO.
 */
MUST_USE int last_open(struct last *last, int folder_fd,
		       const struct note_vkey *vkey);

/* Makes the file.  Errors: ERR_IO, ERR_LIMIT (no checkpoint is that long). */
MUST_USE int last_make(int folder_fd, struct slice note);

/*
 * Takes a checkpoint as the last one; its note must not leave before
 * last_sync().
 *
 * head: what note signs.
 * Errors: ERR_BROKEN, ERR_LIMIT.
 */
MUST_USE int last_put(struct last *last, const struct checkpoint *head,
		      struct slice note);

/* Has what was put on disk when it returns 0.  After a failure every further
 * call of either is ERR_BROKEN.  Errors: ERR_IO, ERR_BROKEN. */
MUST_USE int last_sync(struct last *last);
void last_close(struct last *last);
