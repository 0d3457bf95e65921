#include "store/cosignature.h"

#include "base/error.h"
#include "store/connection.h"

int store_cosignature_put(struct store *s, uint64_t size, const char *witness,
			  int64_t at_s, struct slice line)
{
	const struct bind values[] = {
		bind_index(size),
		bind_text(witness),
		bind_int(at_s),
		bind_slice_text(line),
	};

	return statement_run_fixed(s, STATEMENT_COSIGNATURE_PUT, values,
				   ARRAY_LEN(values));
}

int store_cosignatures_drop(struct store *s, uint64_t size)
{
	const struct bind values[] = { bind_index(size) };

	return statement_run_fixed(s, STATEMENT_COSIGNATURE_DROP, values,
				   ARRAY_LEN(values));
}

static json_t *row_of(sqlite3_stmt *statement)
{
	json_t *row = json_object();

	json_set_int(row, "size", sqlite3_column_int64(statement, 0));
	json_set_text(row, "witness",
		      (const char *)sqlite3_column_text(statement, 1));
	json_set_int(row, "at", sqlite3_column_int64(statement, 2));
	json_set_text(row, "line",
		      (const char *)sqlite3_column_text(statement, 3));
	return row;
}

int store_cosignatures(struct store *s, json_t **ret_rows)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	CLEANUP(json_put_p) json_t *rows = json_array();
	bool row;

	TRY(statement_get(s, STATEMENT_COSIGNATURE_ALL, &statement));
	TRY(statement_step(s, statement, &row));
	while (row) {
		json_array_append_new(rows, row_of(statement));
		TRY(statement_step(s, statement, &row));
	}
	*ret_rows = TAKE(rows);
	return 0;
}

int store_checkpoint_get(struct store *s, uint64_t size, struct buf *b)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = { bind_index(size) };
	bool row;

	TRY(statement_get(s, STATEMENT_CHECKPOINT_GET, &statement));
	TRY(statement_bind(s, statement, values, ARRAY_LEN(values)));
	TRY(statement_step(s, statement, &row));
	if (!row)
		return error_set(ERR_NOT_FOUND, "no checkpoint of size %llu",
				 (unsigned long long)size);
	buf_put(b, column_slice(statement, 0));
	return 0;
}
