/* State documents: one table a noun, id, document, leaf and look-up columns. */
#include "store/connection.h"
#include "store/erase.h"

#include "base/error.h"

static const struct {
	const char *name; /* of the table, too */
	const char *columns[STORE_COLUMNS_MAX + 1];
} nouns[NOUN_COUNT] = {
	[NOUN_OBJECT] = { "object", { "kind" } },
	[NOUN_CHANGE] = { "change", { "state" } },
	[NOUN_TASK] = { "task", { "agent", "state" } },
	[NOUN_REQUEST] = { "request",
			   { "task", "agent", "state", "exception" } },
	[NOUN_GRANT] = { "grant", { "state", "target" } },
	[NOUN_VOUCHER] = { "voucher", { "subject" } },
	[NOUN_CONTAINMENT] = { "containment", { "state" } },
	[NOUN_BUNDLE] = { "bundle", { "name" } },
	[NOUN_DRILL] = { "drill", { NULL } },
	[NOUN_INCIDENT] = { "incident", { "state" } },
	[NOUN_SETTING] = { "setting", { NULL } },
	[NOUN_SIGNAL] = { "signal", { "detector" } },
	[NOUN_EXCEPTION] = { "exception", { "state", "task" } },
	[NOUN_POINT] = { "point", { "containment" } },
	[NOUN_CREDENTIAL] = { "credential", { "state" } },
};

const char *noun_name(enum noun noun)
{
	return nouns[noun].name;
}

const char *const *noun_columns(enum noun noun)
{
	return nouns[noun].columns;
}

/* A member of the document, or of the decision in it. */
static const char *value_of(const json_t *doc, const char *column)
{
	return json_text(
		doc, column,
		json_text(json_object_get(doc, "decision"), column, NULL));
}

void noun_values(enum noun noun, const json_t *doc,
		 const char *ret_values[STORE_COLUMNS_MAX])
{
	for (size_t i = 0; i < STORE_COLUMNS_MAX; i++) {
		const char *column = nouns[noun].columns[i];

		ret_values[i] = column ? value_of(doc, column) : NULL;
		if (!column)
			break;
	}
}

/* The sum that is kept beside a document. */
static struct digest sum_of(enum noun noun, struct slice id, struct slice text,
			    uint64_t leaf)
{
	char head[64];
	int len = snprintf(head, sizeof(head), "%s %llu ", noun_name(noun),
			   (unsigned long long)leaf);
	const struct slice parts[] = { slice_of(head, (size_t)len), id,
				       slice_of("", 1), text };

	return digest_of_parts(parts, ARRAY_LEN(parts));
}

int store_put_text(struct store *s, enum noun noun, const char *id,
		   struct slice text,
		   const char *const values[STORE_COLUMNS_MAX], uint64_t leaf)
{
	struct digest sum = sum_of(noun, slice_str(id), text, leaf);
	struct bind binds[4 + STORE_COLUMNS_MAX] = {
		bind_text(id),
		bind_slice_text(text),
		bind_index(leaf),
		bind_blob(digest_slice(&sum)),
	};
	sqlite3_stmt *statement;
	size_t count = 4;

	for (size_t i = 0; nouns[noun].columns[i]; i++)
		binds[count++] = bind_text(values[i]);
	TRY(statement_of_noun(s, noun, NOUN_STATEMENT_PUT, &statement));
	return statement_run(s, statement, binds, count);
}

int store_put(struct store *s, enum noun noun, const char *id,
	      const json_t *doc, uint64_t leaf)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(64 << 20);
	const char *values[STORE_COLUMNS_MAX];
	struct slice bytes;

	TRY(json_put_canonical(&text, doc));
	TRY(buf_finish(&text, &bytes));
	noun_values(noun, doc, values);
	return store_put_text(s, noun, id, bytes, values, leaf);
}

int store_delete(struct store *s, enum noun noun, const char *id)
{
	const struct bind values[] = { bind_text(id) };
	sqlite3_stmt *statement;

	TRY(statement_of_noun(s, noun, NOUN_STATEMENT_DELETE, &statement));
	return statement_run(s, statement, values, ARRAY_LEN(values));
}

/* Reads a row of NOUN_ROW, if it is as it was written. */
static int read_doc(enum noun noun, sqlite3_stmt *statement, json_t **ret_doc)
{
	struct slice text = column_slice(statement, 0);
	struct slice id = column_slice(statement, 2);
	struct digest sum = sum_of(noun, id, text, column_index(statement, 1));
	struct digest kept;

	TRY(column_digest(statement, 3, &kept));
	if (!digest_equals(&sum, &kept))
		return error_set(ERR_CORRUPT,
				 "state.db: %s %.*s is not what was written",
				 noun_name(noun), (int)id.len,
				 (const char *)id.ptr);
	if (json_parse(text, 64 << 20, ret_doc) < 0)
		return error_context(ERR_CORRUPT, "state.db: %s",
				     noun_name(noun));
	return 0;
}

int store_get(struct store *s, enum noun noun, const char *id, json_t **ret_doc,
	      uint64_t *ret_leaf)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = { bind_text(id) };
	bool row;

	TRY(statement_of_noun(s, noun, NOUN_STATEMENT_GET, &statement));
	TRY(statement_bind(s, statement, values, ARRAY_LEN(values)));
	TRY(statement_step(s, statement, &row));
	if (!row)
		return error_set(ERR_NOT_FOUND, "%s %s: none", noun_name(noun),
				 id);
	TRY(read_doc(noun, statement, ret_doc));
	if (ret_leaf)
		*ret_leaf = column_index(statement, 1);
	return 0;
}

/* Which statement looks up by column. */
static int find_statement(enum noun noun, const char *column,
			  enum noun_statement *ret_which)
{
	*ret_which = NOUN_STATEMENT_ALL;
	if (!column)
		return 0;
	for (unsigned i = 0; nouns[noun].columns[i]; i++) {
		if (!strcmp(nouns[noun].columns[i], column)) {
			*ret_which = NOUN_STATEMENT_FIND + i;
			return 0;
		}
	}
	return error_set(ERR_NOT_FOUND, "%s has no column %s", noun_name(noun),
			 column);
}

/* Every row of a look-up that has begun. */
static int read_docs(struct store *s, enum noun noun, sqlite3_stmt *statement,
		     json_t **ret_docs)
{
	CLEANUP(json_put_p) json_t *docs = json_array();
	bool row;

	TRY(statement_step(s, statement, &row));
	while (row) {
		json_t *doc;

		TRY(read_doc(noun, statement, &doc));
		json_array_append_new(docs, doc);
		TRY(statement_step(s, statement, &row));
	}
	*ret_docs = TAKE(docs);
	return 0;
}

int store_find(struct store *s, enum noun noun, const char *column,
	       const char *value, const char *after, unsigned max,
	       json_t **ret_docs)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = {
		bind_text(after ? after : ""),
		bind_int(max),
		bind_text(value),
	};
	enum noun_statement which;

	TRY(find_statement(noun, column, &which));
	TRY(statement_of_noun(s, noun, which, &statement));
	TRY(statement_bind(s, statement, values, column ? 3 : 2));
	return read_docs(s, noun, statement, ret_docs);
}

int store_find_words(struct store *s, enum noun noun, const char *words,
		     const char *after, unsigned max, json_t **ret_docs)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = {
		bind_text(after ? after : ""),
		bind_int(max),
		bind_text(words),
	};

	TRY(statement_of_noun(s, noun, NOUN_STATEMENT_WORDS, &statement));
	TRY(statement_bind(s, statement, values, ARRAY_LEN(values)));
	return read_docs(s, noun, statement, ret_docs);
}

int store_exception_uses(struct store *s, const char *exception, unsigned max,
			 json_t **ret_ids)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	CLEANUP(json_put_p) json_t *ids = json_array();
	const struct bind values[] = { bind_text(exception), bind_int(max) };
	bool row;

	TRY(statement_get(s, STATEMENT_REQUEST_USES, &statement));
	TRY(statement_bind(s, statement, values, ARRAY_LEN(values)));
	TRY(statement_step(s, statement, &row));
	while (row) {
		struct slice id = column_slice(statement, 0);

		json_array_append_new(
			ids, json_stringn((const char *)id.ptr, id.len));
		TRY(statement_step(s, statement, &row));
	}
	*ret_ids = TAKE(ids);
	return 0;
}
