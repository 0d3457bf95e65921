/* The log's own tables: leaves, tiles, head, checkpoints. */
#include "store/connection.h"

#include "base/error.h"

int store_leaf_add(struct store *s, uint64_t index, int64_t at_ms,
		   const char *kind, const char *about,
		   const struct digest *hash, struct slice body)
{
	const struct bind values[] = {
		bind_index(index),
		bind_int(at_ms),
		bind_text(kind),
		bind_text(about),
		bind_blob(digest_slice(hash)),
		bind_blob(body),
	};

	return statement_run_fixed(s, STATEMENT_LEAF_ADD, values,
				   ARRAY_LEN(values));
}

int store_tile_add(struct store *s, unsigned level, uint64_t number,
		   struct slice hashes)
{
	const struct bind values[] = {
		bind_int(level),
		bind_index(number),
		bind_blob(hashes),
	};

	return statement_run_fixed(s, STATEMENT_TILE_ADD, values,
				   ARRAY_LEN(values));
}

int store_head_set(struct store *s, uint64_t size, const struct digest *root,
		   struct slice frontier)
{
	const struct bind values[] = {
		bind_index(size),
		bind_blob(digest_slice(root)),
		bind_blob(frontier),
	};

	return statement_run_fixed(s, STATEMENT_HEAD_SET, values,
				   ARRAY_LEN(values));
}

int store_checkpoint_add(struct store *s, uint64_t size,
			 const struct digest *root, int64_t at_ms,
			 struct slice note)
{
	const struct bind values[] = {
		bind_index(size),
		bind_blob(digest_slice(root)),
		bind_int(at_ms),
		bind_blob(note),
	};

	return statement_run_fixed(s, STATEMENT_CHECKPOINT_ADD, values,
				   ARRAY_LEN(values));
}

/* Starts a query; the first row's presence is an answer. */
static int begin_query(struct store *s, enum statement which,
		       const struct bind *values, size_t count,
		       sqlite3_stmt **ret_statement, bool *ret_row)
{
	TRY(statement_get(s, which, ret_statement));
	TRY(statement_bind(s, *ret_statement, values, count));
	return statement_step(s, *ret_statement, ret_row);
}

int store_head_get(struct store *s, struct store_head *ret_head)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	struct store_head head = { 0 };
	struct slice frontier;
	bool row;

	TRY(begin_query(s, STATEMENT_HEAD_GET, NULL, 0, &statement, &row));
	head.root = digest_of(slice_of(NULL, 0));
	if (row) {
		head.size = column_index(statement, 0);
		TRY(column_digest(statement, 1, &head.root));
		frontier = column_slice(statement, 2);
		if (frontier.len > sizeof(head.frontier))
			return error_set(ERR_CORRUPT,
					 "state.db: frontier of %zu bytes",
					 frontier.len);
		if (frontier.len > 0)
			memcpy(head.frontier, frontier.ptr, frontier.len);
		head.frontier_len = frontier.len;
	}
	*ret_head = head;
	return 0;
}

int store_leaf_get(struct store *s, uint64_t index, struct buf *b,
		   struct digest *ret_hash)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = { bind_int((int64_t)index) };
	struct digest hash;
	bool row;

	TRY(begin_query(s, STATEMENT_LEAF_GET, values, ARRAY_LEN(values),
			&statement, &row));
	if (!row || index > INT64_MAX)
		return error_set(ERR_NOT_FOUND, "leaf %llu: none",
				 (unsigned long long)index);
	TRY(column_digest(statement, 1, &hash));
	buf_put(b, column_slice(statement, 0));
	if (ret_hash)
		*ret_hash = hash;
	return 0;
}

int store_leaves_about(struct store *s, const char *about, unsigned max,
		       json_t **ret_indexes)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	CLEANUP(json_put_p) json_t *indexes = json_array();
	const struct bind values[] = { bind_text(about), bind_int(max) };
	bool row;

	TRY(begin_query(s, STATEMENT_LEAF_ABOUT, values, ARRAY_LEN(values),
			&statement, &row));
	while (row) {
		json_array_append_new(
			indexes,
			json_integer(sqlite3_column_int64(statement, 0)));
		TRY(statement_step(s, statement, &row));
	}
	*ret_indexes = TAKE(indexes);
	return 0;
}

int store_leaf_each(struct store *s, uint64_t first, uint64_t last,
		    int (*fn)(void *cookie, uint64_t index,
			      const struct digest *hash, struct slice body),
		    void *cookie)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = { bind_index(first), bind_index(last) };
	struct digest hash;
	bool row;

	TRY(begin_query(s, STATEMENT_LEAF_EACH, values, ARRAY_LEN(values),
			&statement, &row));
	while (row) {
		TRY(column_digest(statement, 1, &hash));
		TRY(fn(cookie, column_index(statement, 0), &hash,
		       column_slice(statement, 2)));
		TRY(statement_step(s, statement, &row));
	}
	return 0;
}

int store_tile_get(struct store *s, unsigned level, uint64_t number,
		   struct buf *b)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = { bind_int(level), bind_index(number) };
	struct slice hashes;
	bool row;

	TRY(begin_query(s, STATEMENT_TILE_GET, values, ARRAY_LEN(values),
			&statement, &row));
	if (!row)
		return error_set(ERR_NOT_FOUND, "tile %u/%llu: none", level,
				 (unsigned long long)number);
	hashes = column_slice(statement, 0);
	if (hashes.len != STORE_TILE_LEN)
		return error_set(ERR_CORRUPT, "tile of %zu bytes", hashes.len);
	buf_put(b, hashes);
	return 0;
}

int store_checkpoint_last(struct store *s, uint64_t *ret_size, struct buf *b)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	bool row;

	TRY(begin_query(s, STATEMENT_CHECKPOINT_LAST, NULL, 0, &statement,
			&row));
	if (!row)
		return error_set(ERR_NOT_FOUND, "nothing is signed yet");
	*ret_size = column_index(statement, 0);
	buf_put(b, column_slice(statement, 1));
	return 0;
}
