/*
 * Connections and transactions.
 *
 * The writer alone writes and alone copies the write-ahead log into the main
 * file: with one connection doing both, a checkpoint never races a commit.
 * SQLite's own automatic checkpoint drops its errors, and a failed fsync must
 * not be dropped, so it is off and store_commit() does it.
 */
#include "store/connection.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum {
	WAL_FRAMES_MAX = 1000, /* pages in the log before they are moved */
	SQLITE_LEAST = 3037000,
};

static const char writer_pragmas[] = "PRAGMA page_size = 4096;"
				     "PRAGMA journal_mode = WAL;"
				     "PRAGMA synchronous = FULL;"
				     "PRAGMA wal_autocheckpoint = 0;"
				     "PRAGMA cache_size = -65536;"
				     "PRAGMA foreign_keys = ON;"
				     "PRAGMA trusted_schema = OFF;"
				     "PRAGMA cell_size_check = ON;"
				     "PRAGMA secure_delete = ON;";

static const char reader_pragmas[] = "PRAGMA query_only = ON;"
				     "PRAGMA trusted_schema = OFF;"
				     "PRAGMA cell_size_check = ON;";

const char *store_version(bool *ret_old)
{
	*ret_old = sqlite3_libversion_number() < SQLITE_LEAST;
	return sqlite3_libversion();
}

/* Remembers how long the write-ahead log has become. */
static int note_frames(void *cookie, sqlite3 *db UNUSED,
		       const char *name UNUSED, int frames)
{
	struct store *s = cookie;

	s->wal_frames = (unsigned)frames;
	return SQLITE_OK;
}

static int open_database(struct store *s, const char *path, int flags,
			 const char *pragmas)
{
	int rc = sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_EXRESCODE,
				 NULL);

	if (rc != SQLITE_OK)
		return s->db ? connection_error(s, path)
			     : error_set(ERR_IO, "%s: no memory", path);
	sqlite3_busy_timeout(s->db, 5000);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (sqlite3_exec(s->db, pragmas, NULL, NULL, NULL) != SQLITE_OK)
		return connection_error(s, path);
	return 0;
}

/* Makes the names of the database's files durable, too. */
static int sync_folder(const char *folder)
{
	CLEANUP(fd_close_p)
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_sys("open %s", folder);
	if (fsync(fd) < 0)
		return error_sys("sync %s", folder);
	return 0;
}

/* Pages, rows and indexes fit each other: what an index does not find is
 * otherwise not missed by anybody. */
static int check_whole(struct store *s)
{
	sqlite3_stmt *statement = NULL;
	const char *said = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1,
			       &statement, NULL) != SQLITE_OK)
		return connection_error(s, "check");
	if (sqlite3_step(statement) == SQLITE_ROW)
		said = (const char *)sqlite3_column_text(statement, 0);
	if (!said)
		r = connection_error(s, "check");
	else if (strcmp(said, "ok") != 0)
		r = error_set(ERR_CORRUPT, "state.db is damaged: %s", said);
	sqlite3_finalize(statement);
	return r;
}

static int open_writer(struct store *s, const char *folder, bool create)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/state.db", folder);
	CLEANUP(mem_free_p) char *lock = mem_format("%s/lock", folder);
	bool exists = file_exists(path);

	if (!exists && !create)
		return error_set(ERR_NOT_FOUND, "%s: no such file", path);
	TRY(file_lock(lock, &s->lock_fd));
	/* What is written anew is written here, not where others may look. */
	if (!sqlite3_temp_directory)
		sqlite3_temp_directory = sqlite3_mprintf("%s", folder);
	TRY(open_database(s, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
			  writer_pragmas));
	sqlite3_wal_hook(s->db, note_frames, s);
	if (!exists && chmod(path, 0600) < 0)
		return error_sys("chmod %s", path);
	TRY(schema_migrate(s));
	return exists ? check_whole(s) : sync_folder(folder);
}

int store_open(const char *folder, bool create, struct store **ret_store)
{
	CLEANUP(store_close_p) struct store *s = mem_new(struct store);

	s->lock_fd = -1;
	TRY(open_writer(s, folder, create));
	*ret_store = TAKE(s);
	return 0;
}

int store_open_reader(const char *folder, struct store **ret_store)
{
	CLEANUP(store_close_p) struct store *s = mem_new(struct store);
	CLEANUP(mem_free_p) char *path = mem_format("%s/state.db", folder);

	s->lock_fd = -1;
	if (!file_exists(path))
		return error_set(ERR_NOT_FOUND, "%s: no such file", path);
	TRY(open_database(s, path, SQLITE_OPEN_READONLY, reader_pragmas));
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	TRY(schema_require(s));
	*ret_store = TAKE(s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	statements_close(s);
	sqlite3_close(s->db);
	fd_close_p(&s->lock_fd);
	free(s);
}

int store_begin(struct store *s)
{
	return statement_run_fixed(s, STATEMENT_BEGIN, NULL, 0);
}

/* Moves the write-ahead log into the main file.  A reader may keep us from
 * finishing, a full disk from starting: both are tried again later. */
static int move_frames(struct store *s)
{
	int left;
	int moved;
	int rc = sqlite3_wal_checkpoint_v2(
		s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &left, &moved);

	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY ||
	    (rc & 0xff) == SQLITE_FULL)
		return 0;
	return connection_error(s, "checkpoint");
}

int store_commit(struct store *s)
{
	int r = statement_run_fixed(s, STATEMENT_COMMIT, NULL, 0);

	if (r < 0) {
		if (r == ERR_LIMIT)
			store_rollback(s);
		return r;
	}
	return s->wal_frames < WAL_FRAMES_MAX ? 0 : move_frames(s);
}

void store_rollback(struct store *s)
{
	/* A full disk may have rolled back by itself. */
	if (!sqlite3_get_autocommit(s->db))
		discard(statement_run_fixed(s, STATEMENT_ROLLBACK, NULL, 0));
}
