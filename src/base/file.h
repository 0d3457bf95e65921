/* Files, read and replaced whole. */
#pragma once

#include "base/buf.h"

/* Appends the file's content.  Errors: ERR_IO, ERR_NOT_FOUND, ERR_LIMIT. */
MUST_USE int file_read(const char *path, struct buf *b);

/*
 * Replaces path by content: new file beside it, fsync, rename, fsync of the
 * folder.  mode: permission bits of the new file.  Errors: ERR_IO.
 */
MUST_USE int file_write(const char *path, struct slice content, unsigned mode);

/* Makes folder path and its parents (0700).  Errors: ERR_IO. */
MUST_USE int file_make_folder(const char *path);

/* Opens path (made 0600 if absent) and takes an exclusive lock held until the
 * descriptor is closed.  Errors: ERR_IO, ERR_BUSY. */
MUST_USE int file_lock(const char *path, int *ret_fd);

/* Device, inode, size and mtime in one text, owned, to see that a file has
 * changed; NULL if there is no such file. */
char *file_stamp(const char *path);

bool file_exists(const char *path);

/* For CLEANUP(fd_close_p) on a descriptor; -1 is none. */
void fd_close_p(int *fd);
