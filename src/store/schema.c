/*
 * The schema, as the steps that lead to it.  A step that was released is never
 * changed; PRAGMA user_version counts the steps taken.
 */
#include "store/connection.h"

#include "base/error.h"

static const char step_1[] =
	"CREATE TABLE head(id INTEGER PRIMARY KEY CHECK(id = 1),"
	" size INTEGER NOT NULL, root BLOB NOT NULL CHECK(length(root) = 32),"
	" frontier BLOB NOT NULL) STRICT;"

	"CREATE TABLE leaf(idx INTEGER PRIMARY KEY CHECK(idx >= 0),"
	" at INTEGER NOT NULL, kind TEXT NOT NULL, about TEXT,"
	" hash BLOB NOT NULL CHECK(length(hash) = 32),"
	" body BLOB NOT NULL CHECK(length(body) <= 65535)) STRICT;"
	"CREATE INDEX leaf_about ON leaf(about, idx) WHERE about IS NOT NULL;"
	"CREATE TRIGGER leaf_in_order BEFORE INSERT ON leaf"
	" WHEN NEW.idx <> (SELECT coalesce(max(idx) + 1, 0) FROM leaf)"
	" BEGIN SELECT RAISE(ABORT, 'leaves have no gaps'); END;"
	"CREATE TRIGGER leaf_no_update BEFORE UPDATE ON leaf"
	" BEGIN SELECT RAISE(ABORT, 'leaves are append only'); END;"
	"CREATE TRIGGER leaf_no_delete BEFORE DELETE ON leaf"
	" BEGIN SELECT RAISE(ABORT, 'leaves are append only'); END;"

	"CREATE TABLE tile(level INTEGER NOT NULL, number INTEGER NOT NULL,"
	" hashes BLOB NOT NULL CHECK(length(hashes) = 8192),"
	" PRIMARY KEY(level, number)) STRICT;"
	"CREATE TRIGGER tile_no_update BEFORE UPDATE ON tile"
	" BEGIN SELECT RAISE(ABORT, 'tiles are append only'); END;"
	"CREATE TRIGGER tile_no_delete BEFORE DELETE ON tile"
	" BEGIN SELECT RAISE(ABORT, 'tiles are append only'); END;"

	"CREATE TABLE checkpoint(size INTEGER PRIMARY KEY,"
	" root BLOB NOT NULL CHECK(length(root) = 32),"
	" at INTEGER NOT NULL, note BLOB NOT NULL) STRICT;"
	"CREATE TRIGGER checkpoint_grows BEFORE INSERT ON checkpoint"
	" WHEN NEW.size <= (SELECT max(size) FROM checkpoint)"
	" BEGIN SELECT RAISE(ABORT, 'checkpoints grow'); END;"
	"CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint"
	" BEGIN SELECT RAISE(ABORT, 'checkpoints are append only'); END;"
	"CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint"
	" BEGIN SELECT RAISE(ABORT, 'checkpoints are append only'); END;"

	"CREATE TABLE subject(name TEXT PRIMARY KEY,"
	" wrapped BLOB NOT NULL, kek INTEGER NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	/* place = leaf * 16 + part, so that rows follow the log. */
	"CREATE TABLE payload(place INTEGER PRIMARY KEY,"
	" subject TEXT NOT NULL REFERENCES subject(name),"
	" sealed BLOB NOT NULL) STRICT;"
	"CREATE INDEX payload_subject ON payload(subject);"

	"CREATE TABLE reply(scope TEXT NOT NULL, key TEXT NOT NULL,"
	" request BLOB NOT NULL CHECK(length(request) = 32),"
	" about TEXT NOT NULL, expires INTEGER NOT NULL,"
	" PRIMARY KEY(scope, key)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX reply_expires ON reply(expires);"
	"CREATE TABLE seen(scope TEXT NOT NULL, value TEXT NOT NULL,"
	" expires INTEGER NOT NULL, PRIMARY KEY(scope, value))"
	" STRICT, WITHOUT ROWID;"
	"CREATE INDEX seen_expires ON seen(expires);"

	/* sum: of id, document and leaf, so that a bit that was turned is
	 * noticed before it is acted on. */
	"CREATE TABLE object(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, kind TEXT) STRICT;"
	"CREATE INDEX object_kind ON object(kind, id);"
	"CREATE TABLE change(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, state TEXT) STRICT;"
	"CREATE INDEX change_state ON change(state, id);"
	"CREATE TABLE task(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, agent TEXT, state TEXT) "
	"STRICT;"
	"CREATE INDEX task_agent ON task(agent, id);"
	"CREATE INDEX task_state ON task(state, id);"
	"CREATE TABLE request(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, task TEXT, agent TEXT, "
	"state TEXT) STRICT;"
	"CREATE INDEX request_task ON request(task, id);"
	"CREATE INDEX request_agent ON request(agent, id);"
	"CREATE INDEX request_state ON request(state, id);"
	"CREATE TABLE grant(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, state TEXT, target TEXT) "
	"STRICT;"
	"CREATE INDEX grant_state ON grant(state, id);"
	"CREATE INDEX grant_target ON grant(target, id);"
	"CREATE TABLE voucher(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, subject TEXT) STRICT;"
	"CREATE INDEX voucher_subject ON voucher(subject, id);"
	"CREATE TABLE containment(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, state TEXT) STRICT;"
	"CREATE INDEX containment_state ON containment(state, id);"
	"CREATE TABLE bundle(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, name TEXT) STRICT;"
	"CREATE INDEX bundle_name ON bundle(name, id);"
	"CREATE TABLE drill(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL) STRICT;"
	"CREATE TABLE incident(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, state TEXT) STRICT;"
	"CREATE INDEX incident_state ON incident(state, id);"
	"CREATE TABLE setting(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL) STRICT;";

/* Notices on their way; of an endpoint that is full the oldest are dropped. */
static const char step_outbox[] =
	"CREATE TABLE outbox(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	" id TEXT NOT NULL UNIQUE, endpoint TEXT NOT NULL,"
	" event TEXT NOT NULL, about TEXT NOT NULL, role TEXT NOT NULL,"
	" human TEXT, made INTEGER NOT NULL, due INTEGER NOT NULL,"
	" until INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,"
	" state TEXT NOT NULL DEFAULT 'waiting'"
	" CHECK(state IN ('waiting', 'dead')), why TEXT) STRICT;"
	"CREATE INDEX outbox_due ON outbox(endpoint, state, due, seq);"
	"CREATE TABLE outbox_dropped(endpoint TEXT PRIMARY KEY,"
	" count INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

static const char step_signals[] =
	"CREATE TABLE signal(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, detector TEXT) STRICT;"
	"CREATE INDEX signal_detector ON signal(detector, id);"
	"CREATE TABLE exception(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, state TEXT, task TEXT)"
	" STRICT;"
	"CREATE INDEX exception_state ON exception(state, id);"
	"CREATE INDEX exception_task ON exception(task, id);";

/* Of the newest checkpoints alone: what a larger one has covers the smaller. */
static const char step_cosignatures[] =
	"CREATE TABLE cosignature(size INTEGER NOT NULL,"
	" witness TEXT NOT NULL, at INTEGER NOT NULL, line TEXT NOT NULL,"
	" PRIMARY KEY(size, witness)) STRICT, WITHOUT ROWID;";

static const char step_points[] =
	"CREATE TABLE point(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, containment TEXT) STRICT;"
	"CREATE INDEX point_containment ON point(containment, id);";

/* What the keeper made tokens and certificates of. */
static const char step_credentials[] =
	"CREATE TABLE credential(id TEXT PRIMARY KEY, doc TEXT NOT NULL,"
	" leaf INTEGER NOT NULL, sum BLOB NOT NULL, state TEXT) STRICT;"
	"CREATE INDEX credential_state ON credential(state, id);";

/* By the exception that a request's decision rests on: few have one. */
static const char step_uses[] =
	"ALTER TABLE request ADD COLUMN exception TEXT;"
	"UPDATE request SET"
	" exception = json_extract(doc, '$.decision.exception');"
	"CREATE INDEX request_exception ON request(exception, id)"
	" WHERE exception IS NOT NULL;";

static const char *const steps[] = { step_1,	   step_outbox,
				     step_signals, step_cosignatures,
				     step_points,  step_credentials,
				     step_uses };

static int exec_sql(struct store *s, const char *sql)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return connection_error(s, "schema");
	return 0;
}

static int read_version(struct store *s, unsigned *ret_version)
{
	sqlite3_stmt *statement = NULL;
	int rc;

	if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &statement,
			       NULL) != SQLITE_OK)
		return connection_error(s, "schema version");
	rc = sqlite3_step(statement);
	*ret_version = (unsigned)sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	if (rc != SQLITE_ROW)
		return connection_error(s, "schema version");
	return 0;
}

static int take_steps(struct store *s, unsigned version)
{
	char pragma[48];

	for (unsigned i = version; i < ARRAY_LEN(steps); i++)
		TRY(exec_sql(s, steps[i]));
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %zu",
		 ARRAY_LEN(steps));
	TRY(exec_sql(s, pragma));
	return exec_sql(s, "COMMIT");
}

int schema_migrate(struct store *s)
{
	unsigned version = 0;
	int r;

	TRY(read_version(s, &version));
	if (version == ARRAY_LEN(steps))
		return 0;
	if (version > ARRAY_LEN(steps))
		return schema_require(s);
	TRY(exec_sql(s, "BEGIN IMMEDIATE"));
	r = take_steps(s, version);
	if (r < 0)
		discard(sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL));
	return r;
}

int schema_require(struct store *s)
{
	unsigned version = 0;

	TRY(read_version(s, &version));
	if (version != ARRAY_LEN(steps))
		return error_set(ERR_CORRUPT,
				 "state.db has schema version %u, this program "
				 "knows %zu",
				 version, ARRAY_LEN(steps));
	return 0;
}
