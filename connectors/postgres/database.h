/*
 * One PostgreSQL server, spoken to through libpq: connecting by our rules,
 * questions with parameters, statements, transactions.  Every call ends in
 * time: the server is told its limits, and what does not answer is given up
 * together with the connection.
 *
 * Nothing of the surroundings is taken over: no PG* variables, no service file,
 * no password file or certificate of the home folder.
 */
#pragma once

#include <libpq-fe.h>

#include "base/buf.h"

enum {
	DATABASE_TIMEOUT_MAX_SECONDS = 10,
	DATABASE_PASSWORD_MAX = 8 * 1024, /* bytes of the file */
	DATABASE_VERSION_LEAST = 140000,  /* PQserverVersion() */
	DATABASE_ROWS_MAX = 50000,	  /* of one answer */
};

struct database_options {
	const char *host; /* name or address; "/folder" is a Unix socket's */
	int port;
	const char *name; /* of the database */
	const char *user;
	const char *password_file; /* NULL: none is sent */
	const char *ca_file;	   /* NULL: no TLS, only to this machine */
	const char *cert_file;	   /* NULL: none */
	const char *key_file;
	int timeout_seconds; /* for each answer */
};

/* One connection, or the will to make one. */
struct database;

DEFINE_CLEANUP(PGresult *, PQclear)

/*
 * Takes options (borrowed) after checking that they fit together.  Does not
 * connect.
 *
 * ret_database: owned.
 * Errors: ERR_SYNTAX with the rule that is broken.
 */
MUST_USE int database_open(const struct database_options *options,
			   struct database **ret_database);

/* Accepts NULL. */
void database_close(struct database *d);
DEFINE_CLEANUP(struct database *, database_close)

/* The same server and account in another database; owned, not connected.  The
 * calls to it have until the same moment as those to d. */
struct database *database_beside(const struct database *d, const char *name);

/* All calls until the next of these must be over by then. */
void database_hurry(struct database *d, int64_t budget_ms);

/* Milliseconds that are left, at least 0. */
int64_t database_left_ms(const struct database *d);

/*
 * Makes sure of a live, idle connection: the one there is is tried, then a new
 * one made.  The others do not reconnect.
 *
 * Errors: ERR_UNAVAILABLE (no answer, no trust, no login, read-only),
 * ERR_REFUSED (a version that we do not know).
 */
MUST_USE int database_connect(struct database *d);

/* Asks with texts as parameters, as DATABASE_ASK(d, &rows, "...", a, b). */
#define DATABASE_ASK(d, ret_rows, question, ...)                               \
	database_ask((d), (question), (const char *const[]){ __VA_ARGS__ },    \
		     (int)ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })),   \
		     (ret_rows))

/* Runs a statement with values, as DATABASE_RUN(d, "DROP ROLE %I", name). */
#define DATABASE_RUN(d, template, ...)                                         \
	database_run((d), (template),                                          \
		     (const char *const[]){ __VA_ARGS__, NULL })

/*
 * Asks with count parameters $1 ...
 *
 * ret_rows: owned, PQclear().
 * Errors: ERR_UNAVAILABLE (the line is lost; also the time is over),
 * ERR_REFUSED (the server said no), ERR_LIMIT (more than DATABASE_ROWS_MAX
 * rows).
 */
MUST_USE int database_ask(struct database *d, const char *question,
			  const char *const *params, int count,
			  PGresult **ret_rows);

/*
 * Runs one statement that answers nothing, made of a template and values by
 * statement_build().
 * Errors: as database_ask(); ERR_SYNTAX for a value that cannot be said.
 */
MUST_USE int database_run(struct database *d, const char *template,
			  const char *const *values);

/* The SQLSTATE of what the server refused last, five characters, "" if it did
 * not answer. */
const char *database_state(const struct database *d);

/* ---- transactions ---- */

MUST_USE int database_begin(struct database *d);

/* Statements until the end of the transaction have all the time that is left,
 * not only that of an answer: for what takes the longer the more there is. */
MUST_USE int database_allow_time(struct database *d);

enum commit_outcome {
	COMMIT_DONE,
	COMMIT_NOT,	/* certainly rolled back */
	COMMIT_UNKNOWN, /* sent, and no answer that settles it */
};

/* Words of what failed are in error_message(). */
enum commit_outcome database_commit(struct database *d);

/* Leaves nothing of a transaction, if need be by hanging up. */
void database_rollback(struct database *d);

/* ---- answers ---- */

/* One value, borrowed from rows; "" for null. */
const char *database_text(const PGresult *rows, int row, int column);
bool database_flag(const PGresult *rows, int row, int column);
int64_t database_int(const PGresult *rows, int row, int column);
