#include "store/outbox.h"

#include "base/error.h"
#include "store/connection.h"

static int add(struct store *s, const struct outbox_change *c)
{
	const struct bind values[] = {
		bind_text(c->id),     bind_text(c->endpoint),
		bind_text(c->event),  bind_text(c->about),
		bind_text(c->role),   bind_text(c->human),
		bind_int(c->at_ms),   bind_int(c->at_ms),
		bind_int(c->until_ms)
	};

	return statement_run_fixed(s, STATEMENT_OUTBOX_ADD, values,
				   ARRAY_LEN(values));
}

static int move(struct store *s, const struct outbox_change *c)
{
	const struct bind values[] = { bind_text(c->id), bind_int(c->attempts),
				       bind_int(c->at_ms), bind_int(c->is_dead),
				       bind_text(c->why) };

	return statement_run_fixed(s, STATEMENT_OUTBOX_MOVE, values,
				   ARRAY_LEN(values));
}

static int again(struct store *s, const struct outbox_change *c)
{
	const struct bind values[] = { bind_text(c->id), bind_int(c->at_ms),
				       bind_int(c->until_ms) };

	return statement_run_fixed(s, STATEMENT_OUTBOX_AGAIN, values,
				   ARRAY_LEN(values));
}

static int drop(struct store *s, const struct outbox_change *c)
{
	const struct bind values[] = { bind_text(c->id) };

	return statement_run_fixed(s, STATEMENT_OUTBOX_DROP, values,
				   ARRAY_LEN(values));
}

/* Counts first: both say the same of what goes. */
static int trim(struct store *s, const struct outbox_change *c)
{
	const struct bind values[] = { bind_text(c->endpoint),
				       bind_int(c->at_most) };

	TRY(statement_run_fixed(s, STATEMENT_OUTBOX_TRIM_COUNT, values,
				ARRAY_LEN(values)));
	return statement_run_fixed(s, STATEMENT_OUTBOX_TRIM, values,
				   ARRAY_LEN(values));
}

static int orphan(struct store *s, const struct outbox_change *c)
{
	const struct bind values[] = { bind_text(c->endpoint),
				       bind_text(c->why) };

	return statement_run_fixed(s, STATEMENT_OUTBOX_ORPHAN, values,
				   ARRAY_LEN(values));
}

static int expire(struct store *s, const struct outbox_change *c)
{
	const struct bind values[] = { bind_int(c->at_ms) };

	return statement_run_fixed(s, STATEMENT_OUTBOX_EXPIRE, values,
				   ARRAY_LEN(values));
}

int store_outbox_change(struct store *s, const struct outbox_change *change)
{
	static int (*const acts[OUTBOX_ACT_COUNT])(
		struct store *, const struct outbox_change *) = {
		[OUTBOX_ADD] = add,	  [OUTBOX_MOVE] = move,
		[OUTBOX_AGAIN] = again,	  [OUTBOX_DROP] = drop,
		[OUTBOX_TRIM] = trim,	  [OUTBOX_ORPHAN] = orphan,
		[OUTBOX_EXPIRE] = expire,
	};

	return acts[change->act](s, change);
}

/* ---- reading ---- */

/* A member of a row, in the order of OUTBOX_ROW in statement.c. */
static const struct {
	const char *name;
	bool is_text;
} members[] = {
	{ "id", true },	       { "endpoint", true }, { "event", true },
	{ "about", true },     { "role", true },     { "human", true },
	{ "madeMs", false },   { "dueMs", false },   { "untilMs", false },
	{ "attempts", false }, { "state", true },    { "why", true },
};

static json_t *row_of(sqlite3_stmt *statement)
{
	json_t *row = json_object();

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		int column = (int)i;

		if (members[i].is_text)
			json_set_text(row, members[i].name,
				      (const char *)sqlite3_column_text(
					      statement, column));
		else
			json_set_int(row, members[i].name,
				     sqlite3_column_int64(statement, column));
	}
	return row;
}

static int read_rows(struct store *s, enum statement which,
		     const struct bind *values, size_t count, json_t **ret_rows)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	CLEANUP(json_put_p) json_t *rows = json_array();
	bool row;

	TRY(statement_get(s, which, &statement));
	TRY(statement_bind(s, statement, values, count));
	TRY(statement_step(s, statement, &row));
	while (row) {
		json_array_append_new(rows, row_of(statement));
		TRY(statement_step(s, statement, &row));
	}
	*ret_rows = TAKE(rows);
	return 0;
}

int store_outbox_due(struct store *s, const char *endpoint, int64_t now_ms,
		     unsigned max, json_t **ret_rows)
{
	const struct bind values[] = { bind_text(endpoint), bind_int(now_ms),
				       bind_int(max) };

	return read_rows(s, STATEMENT_OUTBOX_DUE, values, ARRAY_LEN(values),
			 ret_rows);
}

int store_outbox_list(struct store *s, const char *state, unsigned max,
		      json_t **ret_rows)
{
	const struct bind values[] = { bind_text(state), bind_int(max) };

	return read_rows(s, STATEMENT_OUTBOX_LIST, values, ARRAY_LEN(values),
			 ret_rows);
}

int store_outbox_get(struct store *s, const char *id, json_t **ret_row)
{
	CLEANUP(json_put_p) json_t *rows = NULL;
	const struct bind values[] = { bind_text(id) };

	TRY(read_rows(s, STATEMENT_OUTBOX_GET, values, ARRAY_LEN(values),
		      &rows));
	if (!json_array_size(rows))
		return error_set(ERR_NOT_FOUND, "notice %s: none", id);
	*ret_row = json_incref(json_array_get(rows, 0));
	return 0;
}

/* The first row of a query of numbers, NULL as fallback. */
static int read_numbers(struct store *s, enum statement which,
			const struct bind *values, size_t count,
			int64_t *ret_numbers, size_t number_count)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	bool row;

	TRY(statement_get(s, which, &statement));
	TRY(statement_bind(s, statement, values, count));
	TRY(statement_step(s, statement, &row));
	for (size_t i = 0; row && i < number_count; i++) {
		if (sqlite3_column_type(statement, (int)i) != SQLITE_NULL)
			ret_numbers[i] =
				sqlite3_column_int64(statement, (int)i);
	}
	return 0;
}

int store_outbox_next(struct store *s, int64_t now_ms, int64_t *ret_due_ms)
{
	const struct bind values[] = { bind_int(now_ms) };
	int64_t due_ms = INT64_MAX;

	TRY(read_numbers(s, STATEMENT_OUTBOX_NEXT, values, ARRAY_LEN(values),
			 &due_ms, 1));
	*ret_due_ms = due_ms;
	return 0;
}

int store_outbox_counts(struct store *s, struct outbox_counts *ret)
{
	int64_t numbers[4] = { 0 };

	TRY(read_numbers(s, STATEMENT_OUTBOX_COUNTS, NULL, 0, numbers,
			 ARRAY_LEN(numbers)));
	*ret = (struct outbox_counts){ numbers[0], numbers[1], numbers[2],
				       numbers[3] };
	return 0;
}

int store_outbox_endpoints(struct store *s, json_t **ret_counts)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	CLEANUP(json_put_p) json_t *counts = json_object();
	bool row;

	TRY(statement_get(s, STATEMENT_OUTBOX_ENDPOINTS, &statement));
	TRY(statement_step(s, statement, &row));
	while (row) {
		json_set_int(counts,
			     (const char *)sqlite3_column_text(statement, 0),
			     sqlite3_column_int64(statement, 1));
		TRY(statement_step(s, statement, &row));
	}
	*ret_counts = TAKE(counts);
	return 0;
}
