/* Listen addresses and their sockets. */
#pragma once

#include "base/base.h"

/*
 * Opens a listening, non-blocking socket.
 *
 * address: "127.0.0.1:8470", "[::1]:8470" (port 0: any free one), "unix:PATH";
 * a socket file left behind by a process that is no more is replaced, the new
 * one is 0660.
 * Errors: ERR_SYNTAX, ERR_IO, ERR_BUSY (somebody listens there).
 */
MUST_USE int address_listen(const char *address, int *ret_fd);

/* Whether address is one; nothing is opened.
 * ret_local: whether only this machine can reach it.
 * Errors: ERR_SYNTAX. */
MUST_USE int address_check(const char *address, bool *ret_local);

/* The port that fd is bound to, 0 for a Unix socket. */
unsigned address_port(int fd);

/* The path of a "unix:" address, NULL for another. */
const char *address_path(const char *address);
