/*
 * A folder that is kept in memory alone and that only its owner enters: what is
 * lent to a program lies there while it runs, and nowhere else.  The kernel may
 * swap it out; a machine that must not keep it has no swap, or an encrypted
 * one.
 */
#pragma once

#include "base/base.h"
#include "base/slice.h"

struct scratch;

/*
 * Makes one below $XDG_RUNTIME_DIR, else /dev/shm, whichever is a tmpfs.  Those
 * that dead processes of this user left are removed.
 *
 * Errors: ERR_REFUSED (neither is in memory), ERR_IO.
 */
MUST_USE int scratch_open(struct scratch **ret_scratch);
/* Removes it with all that is in it.  NULL is allowed. */
void scratch_close(struct scratch *s);
DEFINE_CLEANUP(struct scratch *, scratch_close)

/* Path of a file in it, there or not; owned.  name: without a slash. */
char *scratch_path(const struct scratch *s, const char *name);

/* Writes a file whole, mode 0600; one that reads it sees the old or the new.
 * Errors: ERR_IO. */
MUST_USE int scratch_write(struct scratch *s, const char *name,
			   struct slice content);
/* Removes a file, if it is there. */
void scratch_remove(struct scratch *s, const char *name);
