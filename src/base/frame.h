/*
 * Messages between processes: a big-endian u32 length, then that many bytes of
 * JSON.  Blocking form for the keeper and connectors, see channel.h for the
 * daemon's side.
 */
#pragma once

#include "base/buf.h"

enum { FRAME_MAX = 4 << 20 }; /* bytes of one message */

/* Reads one message into body (emptied first).  ret_end: true at a clean end of
 * the stream.  Errors: ERR_IO, ERR_LIMIT, ERR_SYNTAX (cut short). */
MUST_USE int frame_read(int fd, struct buf *body, bool *ret_end);

/* Writes one message whole.  Errors: ERR_IO, ERR_LIMIT. */
MUST_USE int frame_write(int fd, struct slice body);
