/*
 * Text of statements that take no parameters (GRANT, CREATE ROLE, ...): the one
 * place where names and values become part of a statement.
 */
#pragma once

#include <libpq-fe.h>

#include "base/buf.h"

enum { STATEMENT_MAX = 8 * 1024 }; /* bytes */

/*
 * Appends the template with its marks replaced by values, in order: %I by a
 * quoted identifier, %L by a quoted literal (both by libpq, for the
 * connection's encoding), %N by a decimal number.
 *
 * values: as many as there are marks; ended by NULL.
 * Errors: ERR_SYNTAX for a value that is no text of the connection's encoding,
 * or no number; ERR_LIMIT.
 */
MUST_USE int statement_build(PGconn *conn, const char *template,
			     const char *const *values, struct buf *out);
