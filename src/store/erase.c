#include "store/erase.h"

#include "base/error.h"
#include "store/connection.h"

static int run_with(struct store *s, enum statement which, const char *text)
{
	const struct bind values[] = { bind_text(text) };

	return statement_run_fixed(s, which, values, ARRAY_LEN(values));
}

int store_subject_erase(struct store *s, const char *subject)
{
	TRY(run_with(s, STATEMENT_ERASE_PAYLOADS, subject));
	return run_with(s, STATEMENT_ERASE_KEYS, subject);
}

int store_replies_drop(struct store *s, const char *caller)
{
	return run_with(s, STATEMENT_ERASE_REPLIES, caller);
}

int store_notices_drop(struct store *s, const char *human)
{
	return run_with(s, STATEMENT_ERASE_NOTICES, human);
}

int store_subject_parts(struct store *s, const char *subject,
			uint64_t *ret_count)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = { bind_text(subject) };
	bool row;

	TRY(statement_get(s, STATEMENT_ERASE_COUNT, &statement));
	TRY(statement_bind(s, statement, values, ARRAY_LEN(values)));
	TRY(statement_step(s, statement, &row));
	*ret_count = row ? column_index(statement, 0) : 0;
	return 0;
}

/*
 * Deleting overwrites what is deleted (secure_delete), but moving rows between
 * pages leaves copies of them in pages' free space: only writing everything
 * anew is certain.
 */
int store_scrub(struct store *s)
{
	int left;
	int moved;

	if (sqlite3_exec(s->db, "VACUUM", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
				      &left, &moved) != SQLITE_OK)
		return connection_error(s, "rewrite");
	s->wal_frames = 0;
	return 0;
}
