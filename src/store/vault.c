/* Data keys, sealed payloads, replies to repeated calls, and values that have
 * served. */
#include "store/connection.h"

#include "base/error.h"
#include "base/mem.h"

int store_subject_add(struct store *s, const char *subject,
		      struct slice wrapped_key, unsigned kek)
{
	const struct bind values[] = {
		bind_text(subject),
		bind_blob(wrapped_key),
		bind_int(kek),
	};

	return statement_run_fixed(s, STATEMENT_SUBJECT_ADD, values,
				   ARRAY_LEN(values));
}

/* False for a place no payload can have. */
static bool place_of(uint64_t leaf, unsigned part, struct bind *ret_place)
{
	if (leaf > INT64_MAX / STORE_PARTS_MAX - 1 || part >= STORE_PARTS_MAX)
		return false;
	*ret_place = bind_index(leaf * STORE_PARTS_MAX + part);
	return true;
}

int store_payload_add(struct store *s, uint64_t leaf, unsigned part,
		      const char *subject, struct slice sealed)
{
	struct bind values[] = {
		bind_int(0),
		bind_text(subject),
		bind_blob(sealed),
	};

	if (!place_of(leaf, part, &values[0]))
		return error_set(ERR_LIMIT, "payload part %u", part);
	return statement_run_fixed(s, STATEMENT_PAYLOAD_ADD, values,
				   ARRAY_LEN(values));
}

int store_subject_get(struct store *s, const char *subject,
		      struct buf *ret_wrapped, unsigned *ret_kek)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = { bind_text(subject) };
	bool row;

	TRY(statement_get(s, STATEMENT_SUBJECT_GET, &statement));
	TRY(statement_bind(s, statement, values, ARRAY_LEN(values)));
	TRY(statement_step(s, statement, &row));
	if (!row)
		return error_set(ERR_NOT_FOUND, "no such data key");
	buf_put(ret_wrapped, column_slice(statement, 0));
	*ret_kek = (unsigned)sqlite3_column_int(statement, 1);
	return 0;
}

int store_payload_get(struct store *s, uint64_t leaf, unsigned part,
		      char **ret_subject, struct buf *ret_sealed)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	struct bind place;
	bool row = false;

	if (place_of(leaf, part, &place)) {
		TRY(statement_get(s, STATEMENT_PAYLOAD_GET, &statement));
		TRY(statement_bind(s, statement, &place, 1));
		TRY(statement_step(s, statement, &row));
	}
	if (!row)
		return error_set(ERR_NOT_FOUND, "leaf %llu has no payload %u",
				 (unsigned long long)leaf, part);
	buf_put(ret_sealed, column_slice(statement, 1));
	*ret_subject = mem_str((const char *)sqlite3_column_text(statement, 0));
	return 0;
}

int store_reply_put(struct store *s, const char *scope, const char *key,
		    const struct digest *request, const char *about,
		    int64_t expires_ms)
{
	const struct bind values[] = {
		bind_text(scope),
		bind_text(key),
		bind_blob(digest_slice(request)),
		bind_text(about),
		bind_int(expires_ms),
	};

	return statement_run_fixed(s, STATEMENT_REPLY_PUT, values,
				   ARRAY_LEN(values));
}

int store_reply_get(struct store *s, const char *scope, const char *key,
		    struct digest *ret_request, char **ret_about)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = { bind_text(scope), bind_text(key) };
	bool row;

	TRY(statement_get(s, STATEMENT_REPLY_GET, &statement));
	TRY(statement_bind(s, statement, values, ARRAY_LEN(values)));
	TRY(statement_step(s, statement, &row));
	if (!row)
		return error_set(ERR_NOT_FOUND, "no such reply");
	TRY(column_digest(statement, 0, ret_request));
	*ret_about = mem_str((const char *)sqlite3_column_text(statement, 1));
	return 0;
}

int store_seen_put(struct store *s, const char *scope, const char *value,
		   int64_t expires_ms)
{
	const struct bind values[] = {
		bind_text(scope),
		bind_text(value),
		bind_int(expires_ms),
	};

	return statement_run_fixed(s, STATEMENT_SEEN_PUT, values,
				   ARRAY_LEN(values));
}

int store_seen_get(struct store *s, const char *scope, const char *value,
		   bool *ret_seen)
{
	CLEANUP(statement_end_p) sqlite3_stmt *statement = NULL;
	const struct bind values[] = { bind_text(scope), bind_text(value) };

	TRY(statement_get(s, STATEMENT_SEEN_GET, &statement));
	TRY(statement_bind(s, statement, values, ARRAY_LEN(values)));
	return statement_step(s, statement, ret_seen);
}

int store_expire(struct store *s, int64_t now_ms, unsigned max)
{
	const struct bind values[] = { bind_int(now_ms), bind_int(max) };

	TRY(statement_run_fixed(s, STATEMENT_REPLY_EXPIRE, values,
				ARRAY_LEN(values)));
	return statement_run_fixed(s, STATEMENT_SEEN_EXPIRE, values,
				   ARRAY_LEN(values));
}
