/* Files, read and replaced whole. */
#pragma once

#include "base/buf.h"

struct stat;

/* Appends the file's content.  Errors: ERR_IO, ERR_NOT_FOUND, ERR_LIMIT. */
MUST_USE int file_read(const char *path, struct buf *b);

/*
 * Appends the end of a file that may grow meanwhile, at most max bytes.
 *
 * ret_whole: that was all of it.
 * Errors: ERR_IO (also for what is no regular file), ERR_LIMIT.
 */
MUST_USE int file_read_end(const char *path, size_t max, struct buf *b,
			   bool *ret_whole);

/*
 * Whether a file is for its user alone: no right of the group and of others.
 * The group may read what belongs to root where we are not root, as it is
 * handed to services.
 */
bool file_is_private(const struct stat *status);

/* Refuses an open file that file_is_private() is not true of; the message has
 * the chmod that closes it.  path: for the message.
 * Errors: ERR_REFUSED, ERR_IO. */
MUST_USE int file_check_private(int fd, const char *path);

/* As file_read(), of a file that holds a secret: one that is open to others is
 * refused, and nothing of it is read.  Errors: also ERR_REFUSED. */
MUST_USE int file_read_private(const char *path, struct buf *b);

/* The same check of a file that another library reads.
 * Errors: ERR_IO, ERR_NOT_FOUND, ERR_REFUSED. */
MUST_USE int file_test_private(const char *path);

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
