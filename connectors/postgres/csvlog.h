/*
 * The server's own log in CSV (log_destination = csvlog), read backwards in
 * spirit: only its end, and only the lines of one role.  Bytes of the log are
 * the server's and its users': any of them may be anything.
 */
#pragma once

#include "base/buf.h"

enum {
	CSVLOG_FIELDS_MAX = 32, /* of a record; more are passed over */
	CSVLOG_FIELD_TIME = 0,
	CSVLOG_FIELD_USER = 1,
	CSVLOG_FIELD_DATABASE = 2,
	CSVLOG_FIELD_COMMAND = 7,
	CSVLOG_FIELD_SEVERITY = 11,
	CSVLOG_FIELD_MESSAGE = 13,
	CSVLOG_FIELDS_LEAST = 14,
};

/* One record; fields are text as it stands in the log, with doubled quotes. */
struct csvlog_record {
	struct slice fields[CSVLOG_FIELDS_MAX];
	size_t count;
};

/*
 * Takes the first record off text (RFC 4180 with line feeds, quotes doubled).
 *
 * ret_record: borrows from text.
 * Returns false when text holds no whole record any more.
 */
bool csvlog_next(struct slice *text, struct csvlog_record *ret_record);

/* Appends what a field says: each two quotes in it are one. */
void csvlog_put(struct buf *out, struct slice field);

/* Whether a field, in which quotes are doubled, says exactly this. */
bool csvlog_is(struct slice field, const char *text);

/*
 * Reads "2026-11-23 10:00:00.120 UTC" or with "GMT".  Another zone is not
 * understood: what the server calls it says nothing for sure.
 *
 * Errors: ERR_SYNTAX.
 */
MUST_USE int csvlog_time(struct slice field, int64_t *ret_wall_ms);

/* The statement in a message "statement: ..." or "duration: ... statement: ..."
 * or "execute NAME: ..."; empty if there is none. */
struct slice csvlog_statement(struct slice message);
