/* The statements' texts, and how statements are run. */
#include "store/connection.h"

#include <assert.h>

#include "base/error.h"

/* What outbox.c reads of a row, and the oldest of an endpoint (1) that are too
 * many (2). */
#define OUTBOX_ROW                                                             \
	"SELECT id, endpoint, event, about, role, human, made, due, until,"    \
	" attempts, state, why FROM outbox"
#define OUTBOX_TOO_MANY                                                        \
	"(SELECT seq FROM outbox WHERE endpoint = ?1 ORDER BY seq LIMIT"       \
	" max(0, (SELECT count(*) FROM outbox WHERE endpoint = ?1) - ?2))"

static const char *const texts[STATEMENT_COUNT] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_LEAF_ADD] =
		"INSERT INTO leaf(idx, at, kind, about, hash, body)"
		" VALUES(?, ?, ?, ?, ?, ?)",
	[STATEMENT_LEAF_GET] = "SELECT body, hash FROM leaf WHERE idx = ?",
	[STATEMENT_LEAF_ABOUT] =
		"SELECT idx FROM leaf WHERE about = ? ORDER BY idx LIMIT ?",
	[STATEMENT_LEAF_EACH] = "SELECT idx, hash, body FROM leaf"
				" WHERE idx >= ? AND idx < ? ORDER BY idx",
	[STATEMENT_TILE_ADD] =
		"INSERT INTO tile(level, number, hashes) VALUES(?, ?, ?)",
	[STATEMENT_TILE_GET] =
		"SELECT hashes FROM tile WHERE level = ? AND number = ?",
	[STATEMENT_HEAD_SET] =
		"INSERT INTO head(id, size, root, frontier) VALUES(1, ?, ?, ?)"
		" ON CONFLICT(id) DO UPDATE SET size = excluded.size,"
		" root = excluded.root, frontier = excluded.frontier",
	[STATEMENT_HEAD_GET] = "SELECT size, root, frontier FROM head",
	[STATEMENT_CHECKPOINT_ADD] =
		"INSERT INTO checkpoint(size, root, at, note)"
		" VALUES(?, ?, ?, ?)",
	[STATEMENT_CHECKPOINT_LAST] =
		"SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1",
	[STATEMENT_SUBJECT_ADD] =
		"INSERT INTO subject(name, wrapped, kek) VALUES(?, ?, ?)",
	[STATEMENT_SUBJECT_GET] =
		"SELECT wrapped, kek FROM subject WHERE name = ?",
	[STATEMENT_PAYLOAD_ADD] =
		"INSERT INTO payload(place, subject, sealed) VALUES(?, ?, ?)",
	[STATEMENT_PAYLOAD_GET] =
		"SELECT subject, sealed FROM payload WHERE place = ?",
	[STATEMENT_REPLY_PUT] =
		"INSERT INTO reply(scope, key, request, about, expires)"
		" VALUES(?, ?, ?, ?, ?) ON CONFLICT(scope, key) DO UPDATE SET"
		" request = excluded.request, about = excluded.about,"
		" expires = excluded.expires",
	[STATEMENT_REQUEST_USES] = "SELECT id FROM request WHERE exception = ?1"
				   " ORDER BY id LIMIT ?2",
	[STATEMENT_REPLY_GET] =
		"SELECT request, about FROM reply WHERE scope = ? AND key = ?",
	[STATEMENT_REPLY_EXPIRE] =
		"DELETE FROM reply WHERE (scope, key) IN (SELECT scope, key"
		" FROM reply WHERE expires < ? ORDER BY expires LIMIT ?)",
	[STATEMENT_SEEN_PUT] =
		"INSERT INTO seen(scope, value, expires) VALUES(?, ?, ?)"
		" ON CONFLICT(scope, value) DO UPDATE SET"
		" expires = max(expires, excluded.expires)",
	[STATEMENT_SEEN_GET] =
		"SELECT 1 FROM seen WHERE scope = ? AND value = ?",
	[STATEMENT_SEEN_EXPIRE] =
		"DELETE FROM seen WHERE (scope, value) IN (SELECT scope, value"
		" FROM seen WHERE expires < ? ORDER BY expires LIMIT ?)",
	[STATEMENT_OUTBOX_ADD] =
		"INSERT INTO outbox(id, endpoint, event, about, role, human,"
		" made, due, until) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"
		" ON CONFLICT(id) DO NOTHING",
	[STATEMENT_OUTBOX_MOVE] =
		"UPDATE outbox SET attempts = ?2, due = ?3,"
		" state = iif(?4, 'dead', state), why = ?5 WHERE id = ?1",
	[STATEMENT_OUTBOX_AGAIN] =
		"UPDATE outbox SET state = 'waiting', attempts = 0, due = ?2,"
		" until = ?3 WHERE id = ?1",
	[STATEMENT_OUTBOX_DROP] = "DELETE FROM outbox WHERE id = ?",
	[STATEMENT_OUTBOX_TRIM_COUNT] =
		"INSERT INTO outbox_dropped(endpoint, count) SELECT ?1,"
		" count(*) FROM " OUTBOX_TOO_MANY " WHERE true"
		" ON CONFLICT(endpoint)"
		" DO UPDATE SET count = count + excluded.count",
	[STATEMENT_OUTBOX_TRIM] =
		"DELETE FROM outbox WHERE seq IN " OUTBOX_TOO_MANY,
	[STATEMENT_OUTBOX_ORPHAN] =
		"UPDATE outbox SET state = 'dead', why = ?2"
		" WHERE endpoint = ?1 AND state = 'waiting'",
	[STATEMENT_OUTBOX_EXPIRE] =
		"DELETE FROM outbox WHERE state = 'dead' AND until < ?",
	[STATEMENT_OUTBOX_DUE] =
		OUTBOX_ROW " WHERE endpoint = ? AND state = 'waiting'"
			   " AND due <= ? ORDER BY due, seq LIMIT ?",
	[STATEMENT_OUTBOX_LIST] = OUTBOX_ROW " WHERE ?1 IS NULL OR state = ?1"
					     " ORDER BY seq LIMIT ?2",
	[STATEMENT_OUTBOX_GET] = OUTBOX_ROW " WHERE id = ?",
	[STATEMENT_OUTBOX_NEXT] = "SELECT min(due) FROM outbox"
				  " WHERE state = 'waiting' AND due > ?",
	[STATEMENT_OUTBOX_COUNTS] =
		"SELECT sum(state = 'waiting'), sum(state = 'dead'),"
		" (SELECT sum(count) FROM outbox_dropped),"
		" min(iif(state = 'waiting', made, NULL)) FROM outbox",
	[STATEMENT_OUTBOX_ENDPOINTS] =
		"SELECT endpoint, count(*) FROM outbox GROUP BY endpoint",
	[STATEMENT_CHECKPOINT_GET] =
		"SELECT note FROM checkpoint WHERE size = ?",
	[STATEMENT_COSIGNATURE_PUT] =
		"INSERT INTO cosignature(size, witness, at, line)"
		" VALUES(?, ?, ?, ?) ON CONFLICT(size, witness) DO UPDATE SET"
		" at = excluded.at, line = excluded.line",
	[STATEMENT_COSIGNATURE_DROP] = "DELETE FROM cosignature WHERE size < ?",
	[STATEMENT_COSIGNATURE_ALL] =
		"SELECT size, witness, at, line FROM cosignature"
		" ORDER BY size DESC, witness",
	/* Keys are named subject || '#' || number; '$' follows '#'. */
	[STATEMENT_ERASE_PAYLOADS] =
		"DELETE FROM payload WHERE subject >= ?1 || '#'"
		" AND subject < ?1 || '$'",
	[STATEMENT_ERASE_KEYS] = "DELETE FROM subject WHERE name >= ?1 || '#'"
				 " AND name < ?1 || '$'",
	[STATEMENT_ERASE_COUNT] =
		"SELECT count(*) FROM payload WHERE subject >= ?1 || '#'"
		" AND subject < ?1 || '$'",
	/* Scopes are caller || ' ' || route. */
	[STATEMENT_ERASE_REPLIES] = "DELETE FROM reply WHERE scope >= ?1 || ' '"
				    " AND scope < ?1 || '!'",
	[STATEMENT_ERASE_NOTICES] = "DELETE FROM outbox WHERE human = ?",
};

struct bind bind_int(int64_t number)
{
	return (struct bind){ .type = BIND_INT, .number = number };
}

struct bind bind_index(uint64_t number)
{
	assert(number <= INT64_MAX);
	return bind_int((int64_t)number);
}

struct bind bind_text(const char *text)
{
	return bind_slice_text(slice_str(text));
}

struct bind bind_slice_text(struct slice text)
{
	return (struct bind){ .type = BIND_TEXT, .bytes = text };
}

struct bind bind_blob(struct slice bytes)
{
	return (struct bind){ .type = BIND_BLOB, .bytes = bytes };
}

/* The codes of SQLite that mean something to a caller; others are ERR_IO.  A
 * shared-memory file that cannot grow is a full disk, too. */
static int code_of(int extended)
{
	static const struct {
		int sqlite;
		int code;
	} rows[] = {
		{ SQLITE_FULL, ERR_LIMIT },
		{ SQLITE_IOERR_SHMSIZE, ERR_LIMIT },
		{ SQLITE_BUSY, ERR_BUSY },
		{ SQLITE_CORRUPT, ERR_CORRUPT },
		{ SQLITE_NOTADB, ERR_CORRUPT },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].sqlite == extended ||
		    rows[i].sqlite == (extended & 0xff))
			return rows[i].code;
	}
	return ERR_IO;
}

int connection_error(struct store *s, const char *what)
{
	return error_set(code_of(sqlite3_extended_errcode(s->db)),
			 "state.db: %s: %s", what, sqlite3_errmsg(s->db));
}

static int prepare(struct store *s, const char *text, sqlite3_stmt **slot)
{
	if (sqlite3_prepare_v3(s->db, text, -1, SQLITE_PREPARE_PERSISTENT, slot,
			       NULL) != SQLITE_OK)
		return connection_error(s, "prepare");
	return 0;
}

int statement_get(struct store *s, enum statement which,
		  sqlite3_stmt **ret_statement)
{
	if (!s->statements[which])
		TRY(prepare(s, texts[which], &s->statements[which]));
	*ret_statement = s->statements[which];
	return 0;
}

static void put_noun(struct buf *b, enum noun noun)
{
	const char *const *columns = noun_columns(noun);

	buf_putf(b, "INSERT INTO %s(id, doc, leaf, sum", noun_name(noun));
	for (size_t i = 0; columns[i]; i++)
		buf_putf(b, ", %s", columns[i]);
	buf_put_str(b, ") VALUES(?, ?, ?, ?");
	for (size_t i = 0; columns[i]; i++)
		buf_put_str(b, ", ?");
	buf_put_str(b, ") ON CONFLICT(id) DO UPDATE SET doc = excluded.doc,"
		       " leaf = excluded.leaf, sum = excluded.sum");
	for (size_t i = 0; columns[i]; i++)
		buf_putf(b, ", %s = excluded.%s", columns[i], columns[i]);
}

/* What nouns.c reads of a row. */
#define NOUN_ROW "SELECT doc, leaf, id, sum"

static void write_noun(struct buf *b, enum noun noun, enum noun_statement which)
{
	const char *name = noun_name(noun);

	switch (which) {
	case NOUN_STATEMENT_PUT:
		put_noun(b, noun);
		return;
	case NOUN_STATEMENT_DELETE:
		buf_putf(b, "DELETE FROM %s WHERE id = ?", name);
		return;
	case NOUN_STATEMENT_GET:
		buf_putf(b, NOUN_ROW " FROM %s WHERE id = ?", name);
		return;
	case NOUN_STATEMENT_ALL:
		buf_putf(b,
			 NOUN_ROW " FROM %s WHERE id > ?"
				  " ORDER BY id LIMIT ?",
			 name);
		return;
	case NOUN_STATEMENT_WORDS:
		buf_putf(b,
			 NOUN_ROW " FROM %s WHERE id > ?1 AND"
				  " instr(doc, ?3) > 0 ORDER BY id LIMIT ?2",
			 name);
		return;
	case NOUN_STATEMENT_FIND:
	case NOUN_STATEMENT_COUNT:
	default:
		buf_putf(b,
			 NOUN_ROW " FROM %s WHERE id > ?"
				  " AND %s = ?3 ORDER BY id LIMIT ?2",
			 name, noun_columns(noun)[which - NOUN_STATEMENT_FIND]);
	}
}

int statement_of_noun(struct store *s, enum noun noun,
		      enum noun_statement which, sqlite3_stmt **ret_statement)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(1024);
	sqlite3_stmt **slot = &s->nouns[noun][which];
	struct slice bytes;

	if (!*slot) {
		write_noun(&text, noun, which);
		TRY(buf_finish(&text, &bytes));
		TRY(prepare(s, buf_text(&text), slot));
	}
	*ret_statement = *slot;
	return 0;
}

void statements_close(struct store *s)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(s->statements[i]);
	for (size_t i = 0; i < NOUN_COUNT; i++) {
		for (size_t k = 0; k < NOUN_STATEMENT_COUNT; k++)
			sqlite3_finalize(s->nouns[i][k]);
	}
}

void statement_end_p(sqlite3_stmt **statement)
{
	if (!*statement)
		return;
	sqlite3_reset(*statement);
	sqlite3_clear_bindings(*statement);
}

static int bind_one(sqlite3_stmt *statement, int at, const struct bind *value)
{
	switch (value->type) {
	case BIND_INT:
		return sqlite3_bind_int64(statement, at, value->number);
	case BIND_TEXT:
		return sqlite3_bind_text64(
			statement, at, (const char *)value->bytes.ptr,
			value->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
	case BIND_BLOB:
		break;
	}
	if (value->bytes.len == 0)
		return sqlite3_bind_zeroblob(statement, at, 0);
	return sqlite3_bind_blob64(statement, at, value->bytes.ptr,
				   value->bytes.len, SQLITE_STATIC);
}

int statement_bind(struct store *s, sqlite3_stmt *statement,
		   const struct bind *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bind_one(statement, (int)i + 1, &values[i]) != SQLITE_OK)
			return connection_error(s, "bind");
	}
	return 0;
}

int statement_step(struct store *s, sqlite3_stmt *statement, bool *ret_row)
{
	int rc = sqlite3_step(statement);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return connection_error(s, sqlite3_sql(statement));
	*ret_row = rc == SQLITE_ROW;
	return 0;
}

int statement_run(struct store *s, sqlite3_stmt *statement,
		  const struct bind *values, size_t count)
{
	CLEANUP(statement_end_p) sqlite3_stmt *running = statement;
	bool row;

	TRY(statement_bind(s, running, values, count));
	return statement_step(s, running, &row);
}

int statement_run_fixed(struct store *s, enum statement which,
			const struct bind *values, size_t count)
{
	sqlite3_stmt *statement;

	TRY(statement_get(s, which, &statement));
	return statement_run(s, statement, values, count);
}

struct slice column_slice(sqlite3_stmt *statement, int column)
{
	const void *ptr = sqlite3_column_blob(statement, column);

	return slice_of(ptr, (size_t)sqlite3_column_bytes(statement, column));
}

uint64_t column_index(sqlite3_stmt *statement, int column)
{
	return (uint64_t)sqlite3_column_int64(statement, column);
}

int column_digest(sqlite3_stmt *statement, int column,
		  struct digest *ret_digest)
{
	struct slice bytes = column_slice(statement, column);

	if (bytes.len != DIGEST_LEN)
		return error_set(ERR_CORRUPT, "state.db: a hash of %zu bytes",
				 bytes.len);
	memcpy(ret_digest->bytes, bytes.ptr, DIGEST_LEN);
	return 0;
}
