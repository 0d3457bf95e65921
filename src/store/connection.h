/* Inside the store: a connection, its statements, and how they are run. */
#pragma once

#include <sqlite3.h>

#include "store/store.h"

/* Every statement but the nouns' own; the text is in statement.c. */
enum statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_LEAF_ADD,
	STATEMENT_LEAF_GET,
	STATEMENT_LEAF_ABOUT,
	STATEMENT_LEAF_EACH,
	STATEMENT_TILE_ADD,
	STATEMENT_TILE_GET,
	STATEMENT_HEAD_SET,
	STATEMENT_HEAD_GET,
	STATEMENT_CHECKPOINT_ADD,
	STATEMENT_CHECKPOINT_LAST,
	STATEMENT_SUBJECT_ADD,
	STATEMENT_SUBJECT_GET,
	STATEMENT_PAYLOAD_ADD,
	STATEMENT_PAYLOAD_GET,
	STATEMENT_REPLY_PUT,
	STATEMENT_REQUEST_USES,
	STATEMENT_REPLY_GET,
	STATEMENT_REPLY_EXPIRE,
	STATEMENT_SEEN_PUT,
	STATEMENT_SEEN_GET,
	STATEMENT_SEEN_EXPIRE,
	STATEMENT_OUTBOX_ADD,
	STATEMENT_OUTBOX_MOVE,
	STATEMENT_OUTBOX_AGAIN,
	STATEMENT_OUTBOX_DROP,
	STATEMENT_OUTBOX_TRIM_COUNT,
	STATEMENT_OUTBOX_TRIM,
	STATEMENT_OUTBOX_ORPHAN,
	STATEMENT_OUTBOX_EXPIRE,
	STATEMENT_OUTBOX_DUE,
	STATEMENT_OUTBOX_LIST,
	STATEMENT_OUTBOX_GET,
	STATEMENT_OUTBOX_NEXT,
	STATEMENT_OUTBOX_COUNTS,
	STATEMENT_OUTBOX_ENDPOINTS,
	STATEMENT_CHECKPOINT_GET,
	STATEMENT_COSIGNATURE_PUT,
	STATEMENT_COSIGNATURE_DROP,
	STATEMENT_COSIGNATURE_ALL,
	STATEMENT_ERASE_PAYLOADS,
	STATEMENT_ERASE_KEYS,
	STATEMENT_ERASE_COUNT,
	STATEMENT_ERASE_REPLIES,
	STATEMENT_ERASE_NOTICES,
	STATEMENT_COUNT,
};

/* What can be done with a noun; FIND + n looks up by its column n. */
enum noun_statement {
	NOUN_STATEMENT_PUT,
	NOUN_STATEMENT_DELETE,
	NOUN_STATEMENT_GET,
	NOUN_STATEMENT_ALL,
	NOUN_STATEMENT_WORDS,
	NOUN_STATEMENT_FIND,
	NOUN_STATEMENT_COUNT = NOUN_STATEMENT_FIND + STORE_COLUMNS_MAX,
};

struct store {
	sqlite3 *db;
	int lock_fd;	     /* -1 for a reader */
	unsigned wal_frames; /* after the last commit */
	sqlite3_stmt *statements[STATEMENT_COUNT];
	sqlite3_stmt *nouns[NOUN_COUNT][NOUN_STATEMENT_COUNT];
};

/* A value bound to a parameter, in the order of the parameters. */
struct bind {
	enum { BIND_INT, BIND_TEXT, BIND_BLOB } type;
	int64_t number;
	struct slice bytes; /* ptr NULL: SQL's NULL */
};

struct bind bind_int(int64_t number);
struct bind bind_index(uint64_t number); /* below 2^63 */
struct bind bind_text(const char *text); /* may be NULL */
struct bind bind_slice_text(struct slice text);
struct bind bind_blob(struct slice bytes);

/* Turns the connection's last failure into a code with its message. */
int connection_error(struct store *s, const char *what);

/* The statement, prepared when first wanted and kept. */
MUST_USE int statement_get(struct store *s, enum statement which,
			   sqlite3_stmt **ret_statement);
MUST_USE int statement_of_noun(struct store *s, enum noun noun,
			       enum noun_statement which,
			       sqlite3_stmt **ret_statement);
void statements_close(struct store *s);

/* For CLEANUP(statement_end_p): resets a statement and forgets its values. */
void statement_end_p(sqlite3_stmt **statement);

/* Binds values, which must stay until the statement is reset. */
MUST_USE int statement_bind(struct store *s, sqlite3_stmt *statement,
			    const struct bind *values, size_t count);
/* ret_row: false when there is no further row. */
MUST_USE int statement_step(struct store *s, sqlite3_stmt *statement,
			    bool *ret_row);
/* Binds, runs to the end without a row, resets. */
MUST_USE int statement_run(struct store *s, sqlite3_stmt *statement,
			   const struct bind *values, size_t count);
MUST_USE int statement_run_fixed(struct store *s, enum statement which,
				 const struct bind *values, size_t count);

/* A column as bytes, valid until the next step. */
struct slice column_slice(sqlite3_stmt *statement, int column);
/* A column as an index. */
uint64_t column_index(sqlite3_stmt *statement, int column);
/* Errors: ERR_CORRUPT when it is not 32 bytes. */
MUST_USE int column_digest(sqlite3_stmt *statement, int column,
			   struct digest *ret_digest);

/* schema.c: brings the database to this program's version, or checks that it is
 * there.  Errors: ERR_CORRUPT for a version we do not know, ERR_IO. */
MUST_USE int schema_migrate(struct store *s);
MUST_USE int schema_require(struct store *s);
