/*
 * The last checkpoint the keeper signed: one file that holds the signed note
 * itself.  It is on disk before its signature leaves the process, so that after
 * any crash the keeper remembers at least what others may have seen.
 */
#pragma once

#include "crypto/note.h"

struct last {
	int folder_fd;		/* owned */
	struct checkpoint head; /* what the file says */
	bool broken; /* a write failed: what the file says is not known */
};

/*
 * Reads the file "last" of a folder.
 *
 * folder_fd: owned from now on, also after an error.
 * Errors: ERR_NOT_FOUND; ERR_CORRUPT (damaged, or not signed by vkey), ERR_IO.
 */
MUST_USE int last_open(struct last *last, int folder_fd,
		       const struct note_vkey *vkey);

/*
 * Replaces the file: new file, fsync, rename, fsync of the folder.  After a
 * failure every further call is ERR_BROKEN.
 *
 * head: what note signs.
 * Errors: ERR_IO, ERR_BROKEN.
 */
MUST_USE int last_store(struct last *last, const struct checkpoint *head,
			struct slice note);

/* Replaces file name of a folder in the same way, mode 0600.
 * Errors: ERR_IO. */
MUST_USE int last_replace(int folder_fd, const char *name,
			  struct slice content);

void last_close(struct last *last);
